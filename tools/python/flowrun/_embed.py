"""Features of pictures."""
import json
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import _core
from ._run import STOPPED, Run
from ._sets import Changes, Path, as_sets


class Features(NamedTuple):
    features: Any            # numpy array, mapped from the file: [N, D], or [N, S, D] of tokens
    keys: list[str]          # the file of each row
    labels: Any              # int64 [N], -1 where there is none; None: the pictures have no classes
    classes: list[str]       # names by label
    bad: dict[int, str]      # rows that are NaN, and why


def embed(weights: "Run | Path", data: Path, out: Path, *, model: str = "", step: int = 0, what: str = "", blocks: Sequence[int] = (), size: int = 0,
          batch: int = 0, read_as: str = "", folder: Path = "", half: bool = False, labels: bool = True, again: bool = False, set: Changes = None,  # noqa: A002
          threads: int = 0, log: bool | Callable[[str], Any] = True) -> Features:
    """Writes features of pictures from a trained encoder into OUT.npy (`flowrun embed`, whose options these are; read_as is --as), and opens them.

    The same call goes on where it was; of complete work it opens the files. Ctrl-C raises KeyboardInterrupt. Raises PipelineError and
    RunError with the program's texts."""
    import numpy as np

    place = pathlib.Path(out)
    if place.suffix != ".npy":
        raise ValueError(f"out must end in .npy, not {place}: flowrun embed writes the other kinds")
    say = (lambda line: print(line, file=sys.stderr)) if log is True else log or None
    weights = weights.path if isinstance(weights, Run) else weights
    status = _core.embed(os.fspath(weights), os.fspath(data), os.fspath(out), model, step, what, list(blocks), size, batch, read_as,
                         os.fspath(folder), half,
                         not labels, again, as_sets(set), threads, say)
    if status == STOPPED:
        raise KeyboardInterrupt
    lines = lambda ending: file.read_text(errors="surrogateescape").split("\n")[:-1] if (file := place.with_suffix(ending)).exists() else []  # noqa: E731
    numbers = place.with_suffix(".labels.npy")
    bad = [json.loads(line) for line in lines(".faults.jsonl")]
    return Features(np.load(place, mmap_mode="r"), lines(".keys.txt"), np.load(numbers) if numbers.exists() else None, lines(".classes.txt"),
                    {entry["row"]: entry["error"] for entry in bad})
