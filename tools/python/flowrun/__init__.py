"""Flowrun: self-supervised training as a graph of nodes, from a JSON file.

    for batch in flowrun.open("pretrain.json"): ...     the input alone, as torch tensors or numpy arrays
    flowrun.run("pretrain.json", out="runs/x")          a whole run
    flowrun.check("pretrain.json")                      its faults
    flowrun.Run("runs/x")                               what a run left
    flowrun.export("runs/x", "x")                       a folder that timm takes
    flowrun.embed("runs/x", "data/birds", "birds.npy")  features of pictures
    @flowrun.node("image.mine")                         a node in Python; mask, source

Docs: docs/python.md.
"""
import importlib
import typing

if typing.TYPE_CHECKING:
    from ._core import PipelineError, RunError, __version__
    from ._embed import Features, embed
    from ._input import Batch, Batches, open
    from ._node import (BadSample, Bytes, Caption, DeclarationError, Image, Label, LabelMap, Masks, Range, Region, Rng, Sample, mask, node,
                        source)
    from ._pipeline import Fault, check, expand
    from ._run import Checkpoint, Run, export, run

# Loaded when they are used: a file of nodes needs neither torch nor the program (_worker.py).
_PLACES = {"_core": ("PipelineError", "RunError", "__version__"), "_embed": ("Features", "embed"), "_input": ("Batch", "Batches", "open"),
           "_node": ("BadSample", "Bytes", "Caption", "DeclarationError", "Image", "Label", "LabelMap", "Masks", "Range", "Region", "Rng", "Sample",
                     "mask", "node", "source"),
           "_pipeline": ("Fault", "check", "expand"), "_run": ("Checkpoint", "Run", "export", "run")}
_PLACE = {name: module for module, names in _PLACES.items() for name in names}

__all__ = ["BadSample", "Batch", "Batches", "Bytes", "Caption", "Checkpoint", "DeclarationError", "Fault", "Features", "Image", "Label", "LabelMap",
           "Masks", "PipelineError", "Range", "Region", "Rng", "Run", "RunError", "Sample", "check", "embed", "expand", "export", "mask", "node", "open",
           "run", "source"]


def __getattr__(name):
    if name not in _PLACE:
        raise AttributeError(f"module 'flowrun' has no attribute {name!r}")
    if _PLACE[name] != "_node":
        from . import _libraries  # noqa: F401 - the program's, once
    value = globals()[name] = getattr(importlib.import_module(f".{_PLACE[name]}", __name__), name)
    return value


def __dir__():
    return sorted({*globals(), *__all__})
