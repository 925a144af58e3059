"""A pipeline before it runs."""
import dataclasses
import json
import os
from typing import Any

from . import _core
from ._sets import Changes, Path, as_sets


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault of a pipeline file. Line and column count from 1; 0: the fault has no place in a file."""

    message: str
    hint: str = ""
    node: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else ""
        return f"{place}{self.message}" + (f" ({self.hint})" if self.hint else "")


def check(path: Path, *, set: Changes = None, trust: bool = False) -> list[Fault]:  # noqa: A002
    """All faults that can be known before a run, as a list of Fault; empty: the pipeline runs."""
    found = json.loads(_core.check(os.fspath(path), as_sets(set), trust))
    names = [field.name for field in dataclasses.fields(Fault)]
    return [Fault(**{name: fault[name] for name in names if fault.get(name) is not None}) for fault in found["faults"]]


def expand(path: Path, *, set: Changes = None, trust: bool = False) -> dict[str, Any]:  # noqa: A002
    """The pipeline with every default filled in, as a dict. Raises PipelineError with all faults."""
    return json.loads(_core.expand(os.fspath(path), as_sets(set), trust))
