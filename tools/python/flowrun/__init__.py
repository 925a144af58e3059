"""Flowrun: self-supervised training as a graph of nodes, from a JSON file.

    for batch in flowrun.open("pretrain.json"): ...     the input alone, as torch tensors or numpy arrays
    flowrun.run("pretrain.json", out="runs/x")          a whole run
    flowrun.check("pretrain.json")                      its faults
    flowrun.Run("runs/x")                               what a run left
    flowrun.export("runs/x", "x")                       a folder that timm takes

Docs: docs/python.md.
"""
try:
    from ._core import PipelineError, RunError, __version__
except ImportError:  # torch or oneTBB is in another environment, or nowhere
    from .__main__ import load_libraries

    load_libraries()
    from ._core import PipelineError, RunError, __version__
from ._input import Batch, Batches, open
from ._pipeline import Fault, check, expand
from ._run import Checkpoint, Run, export, run

__all__ = ["Batch", "Batches", "Checkpoint", "Fault", "PipelineError", "Run", "RunError", "check", "expand", "export", "open", "run"]
