"""Runs: starting one, and reading what it left."""
import fcntl
import json
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from . import _core
from ._sets import Changes, Path, as_sets

STOPPED = 75


def columns(lines):
    """{name: numpy array} of the numbers in lines of JSON, in their order; NaN where a line has none."""
    import numpy as np

    names = dict.fromkeys(name for line in lines for name, value in line.items() if isinstance(value, (int, float)))
    number = lambda value: value if isinstance(value, (int, float)) else float("nan")  # noqa: E731
    return {name: np.array([number(line.get(name)) for line in lines], dtype=np.int64 if name == "step" else np.float64) for name in names}


class Checkpoint:
    """The states of a run's models and nodes at one step."""

    def __init__(self, path: Path):
        self.path = pathlib.Path(path)
        self.step = int(self.path.name.removeprefix("step-"))

    @property
    def names(self) -> list[str]:
        return sorted(file.name.removesuffix(".safetensors") for file in self.path.glob("*.safetensors"))

    def state_dict(self, name: str) -> dict[str, Any]:
        """{parameter: torch tensor} of a model ("student", "teacher") or of a node with a state ("update")."""
        from safetensors.torch import load_file

        file = self.path / f"{name}.safetensors"
        if not file.exists():
            raise KeyError(f"{self.path} has no state of {name!r}; it has {', '.join(self.names)}")
        return load_file(file)

    def __repr__(self):
        return f"Checkpoint({str(self.path)!r})"


class Run:
    """A run's folder. Reading disturbs no run that goes on; every property reads anew."""

    def __init__(self, path: Path):
        self.path = pathlib.Path(path)
        if not (self.path / "pipeline.resolved.json").exists():
            raise _core.PipelineError(f"error: {path} holds no run: there is no pipeline.resolved.json in it")

    @property
    def pipeline(self) -> dict[str, Any]:
        """The pipeline with every default filled in, as a dict."""
        return json.loads((self.path / "pipeline.resolved.json").read_text())

    @property
    def result(self) -> dict[str, Any]:
        """result.json as a dict; empty while the run goes on."""
        file = self.path / "result.json"
        return json.loads(file.read_text()) if file.exists() else {}

    @property
    def status(self) -> str:
        """"running" while a process holds the folder, also where an earlier one left a result; then "done", "stopped", "failed", or without a
        result "killed": resume=True goes on."""
        return "running" if self._is_held() else self.result.get("status", "killed")

    def _is_held(self) -> bool:
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
        finally:
            os.close(folder)
        return False

    def _lines(self, name):
        file = self.path / name
        if not file.exists():
            return []
        text = file.read_text()
        whole = text[:text.rfind("\n") + 1]  # a line may just be written
        return [json.loads(line) for line in whole.splitlines()]

    @property
    def metrics(self) -> dict[str, Any]:
        """{name: numpy array} of the reported steps, in their order; NaN where a step has no such value. "step" is int64."""
        return columns(self._lines("metrics.jsonl"))

    @property
    def ledgers(self) -> dict[int, str]:
        """{step: ledger} of the reported steps."""
        return {line["step"]: line["ledger"] for line in self._lines("metrics.jsonl") if "ledger" in line}

    @property
    def evaluations(self) -> dict[str, dict[str, Any]]:
        """{node: {name: numpy array}} over the times of each evaluation; "step" is int64."""
        out: dict[str, list[dict[str, Any]]] = {}
        for line in self._lines("evaluations.jsonl"):
            out.setdefault(line["node"], []).append(line)
        return {node: columns(lines) for node, lines in out.items()}

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """Complete checkpoints by step, the newest last."""
        folders = (self.path / "checkpoints").glob("step-*")
        return sorted((Checkpoint(folder) for folder in folders if (folder / "manifest.json").exists()), key=lambda found: found.step)

    @property
    def best(self) -> Checkpoint | None:
        """The checkpoint that an evaluation found best (`best` of report.checkpoint); none: the run keeps none."""
        return next((Checkpoint(folder) for folder in (self.path / "best").glob("step-*") if (folder / "manifest.json").exists()), None)

    def state_dict(self, name: str, step: int | None = None) -> dict[str, Any]:
        """{parameter: torch tensor} of the newest checkpoint, or of that of `step`."""
        for found in reversed(self.checkpoints):
            if step is None or found.step == step:
                return found.state_dict(name)
        steps = ", ".join(str(found.step) for found in self.checkpoints)
        raise KeyError(f"{self.path} has no checkpoint" + (f" of step {step}; there are {steps}" if steps else ""))

    def model(self, name: str = "", step: int | None = None, best: bool = False) -> Any:
        """An encoder of the newest checkpoint, of that of `step`, or of the best, as timm's module in evaluation mode, without a classifier. `name`:
        "teacher", "student"; empty: the teacher, or the student where there is none."""
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder) / "model"
            if best and self.best is None:
                raise KeyError(f"{self.path} keeps no best checkpoint")
            source = self.best.path if best and self.best else self if step is None else self.path / f"checkpoints/step-{step}"
            return export(source, place, model=name)

    def __repr__(self):
        return f"Run({str(self.path)!r})"


def export(source: "Run | Path", folder: Path, *, model: str = "", heads: int = 0, allow_partial: bool = False, licence: str = "",
           onnx: bool = False, pt2: bool = False) -> Any:
    """Writes an encoder in the layout of model hubs (`flowrun export`), and returns it as timm's module.

    source   a Run, its folder, a checkpoint, or a file of weights in any layout that Flowrun reads
    heads    number of attention heads, where the width does not determine it
    onnx, pt2    also write model.onnx (which needs onnxscript and onnxruntime), model.pt2 (a program of torch.export)"""
    from . import hub

    source = source.path if isinstance(source, Run) else source
    _core.export_folder(os.fspath(source), os.fspath(folder), model, heads, allow_partial, licence, onnx, pt2)
    if onnx or pt2:
        hub.write(folder, onnx=onnx, pt2=pt2)
    return hub.load(folder)


def run(path: Path, *, set: Changes = None, out: Path | None = None, resume: bool = False, threads: int = 0,  # noqa: A002
        on_step: Callable[[dict[str, Any]], Any] | None = None, log: bool | Callable[[str], Any] = True, trust: bool = False) -> Run:
    """Runs a pipeline in this process, and returns its Run. Ctrl-C ends it after the step in work, saved; `resume=True` goes on.

    out      its folder; None: runs/NAME, of the file's name
    on_step  called after every step with {"step", "epoch", "images", and what the step's nodes report, such as "loss"}, on one of the run's
             threads. An exception ends the run after that step, saved, and comes out of run()
    log      True: lines on standard error; a function: called with each line

    Raises PipelineError and RunError with the program's texts."""
    say = (lambda line: print(line, file=sys.stderr)) if log is True else log or None
    status, folder = _core.run(os.fspath(path), as_sets(set), os.fspath(out or ""), resume, threads, trust, say, on_step)
    if status not in (0, STOPPED):
        raise _core.RunError(f"the run in {folder} failed; its log.txt says why")
    return Run(folder)
