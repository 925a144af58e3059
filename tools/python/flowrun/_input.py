"""Batches of a pipeline's input, made by threads inside this process."""
import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from . import _core
from ._sets import Changes, Path, as_sets


class Batch(dict[str, Any]):
    """Arrays of one group of samples, by name. No copy was made: the memory is the input's. It goes back when the last array of the batch is
    freed; until then nothing else writes to it."""

    __slots__ = ("step", "epoch", "group")

    def __init__(self, values: Any = (), step: int = 0, epoch: int = 0, group: int = 0):  # libraries make dicts of the same kind for other devices
        super().__init__(values)
        self.step, self.epoch, self.group = step, epoch, group


class Batches:
    """An iterator over the batches of an epoch; the next `for` gives those of the next epoch. Made by open()."""

    def __init__(self, core: _core.Batches, path: str, one_node: bool, as_torch: bool):
        self._core, self._path, self._one_node, self._torch = core, path, one_node, as_torch

    def __len__(self) -> int:
        """Batches in an epoch, on this rank."""
        return self._core.batches_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        """From where reading stands to the end of the epoch."""
        self._refuse_workers()
        if self._core.given >= self._core.epochs * len(self):
            raise _core.RunError(f"{self._path}: all {self._core.epochs} epochs were read: give open() more `epochs`, or load_state_dict() an earlier place")
        while True:
            batch = self._core.next(self._torch)
            if batch is None:
                return
            yield self._named(*batch)
            if self._core.given % len(self) == 0:
                return

    def _named(self, step, epoch, group, values):
        out = {}
        for node, port, arrays in values:
            value = arrays[0][1] if len(arrays) == 1 and not arrays[0][0] else dict(arrays)
            out[port if self._one_node else f"{node}.{port}"] = value
        return Batch(out, step, epoch, group)

    def _refuse_workers(self):
        pass

    @property
    def epoch(self) -> int:
        """Whole epochs that were read."""
        return self._core.given // len(self)

    @property
    def epochs(self) -> int:
        return self._core.epochs

    @property
    def nodes(self) -> list[str]:
        """The nodes whose outputs a batch holds."""
        return list(self._core.nodes)

    @property
    def classes(self) -> list[str]:
        """Names of the source's classes by label; empty: it has none, or nothing reads labels."""
        return list(self._core.classes)

    @property
    def batch_size(self) -> int:
        """Samples of a batch: the group of the pipeline's batch node."""
        return self._core.samples_per_batch

    @property
    def ledger(self) -> str | None:
        """The hash of every random decision in the last step that was read whole, as metrics.jsonl of the run has it; None: there is none yet.
        On several ranks it is this rank's part: the run's is the sum of all, modulo 2**64."""
        value = self._core.ledger()
        return None if value is None else f"{value:016x}"

    def state_dict(self) -> dict[str, int]:
        """Where reading stands, as one integer: exact for any number of threads, and of ranks."""
        position = self._core.position()
        if position is None:
            raise _core.RunError(f"{self._path}: reading stands inside a step of {self._core.groups_per_step} batches, which several ranks share: "
                                 "save when all batches of a step were read")
        return {"groups": position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._core.seek(int(state["groups"]))

    def close(self) -> None:
        """Ends the threads; batches that were given stay."""
        self._core.close()

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self):
        raise TypeError("flowrun's batches can't be sent to another process: their threads are inside this one; use num_workers=0")


def _torch_batches():
    """The same class as an IterableDataset, for DataLoader(batches, batch_size=None) and Lightning."""
    from torch.utils import data

    class TorchBatches(Batches, data.IterableDataset):
        def _refuse_workers(self):
            if data.get_worker_info() is not None:
                raise RuntimeError("flowrun's threads are inside the process that opened the batches: give the DataLoader num_workers=0, "
                                   "and set `threads` of flowrun.open for more speed")

    TorchBatches.__name__ = TorchBatches.__qualname__ = "Batches"
    return TorchBatches


def open(path: Path, until: str | Sequence[str] | None = None, *, set: Changes = None, epochs: int | None = None, threads: int = 0,  # noqa: A001, A002
         ahead: int = 2, rank: int | None = None, world: int | None = None, arrays: Literal["torch", "numpy"] = "torch", trust: bool = False) -> Batches:
    """Opens the input of a pipeline file, up to the batches that its models would get; no model is made.

    until    a node, or a list of nodes, whose outputs a batch holds: batch nodes (images as bytes, labels, masks), or device nodes without a
             model (normalised images). None: all batch nodes that lead to training. With one node given by its name the keys are its ports
             ("image", "label"), else node and port ("batch.image", "mask.mask")
    set      changes, {"files.path": "data/train"}
    epochs   in place of run.epochs
    threads  that make batches; 0: run.threads, else one for each core
    ahead    batches that wait for you
    rank, world   which part of each step; None: as torchrun says (RANK, WORLD_SIZE)
    arrays   "torch" or "numpy"

    A batch is a group of the pipeline's batch node: set "batch.group" to the batch size for whole batches. Raises PipelineError, which names
    file, line and fix, and RunError when samples fail (run.max_bad)."""
    if arrays not in ("torch", "numpy"):
        raise ValueError(f'arrays must be "torch" or "numpy", not {arrays!r}')
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs must be at least 1, not {epochs}")
    names = [until] if isinstance(until, str) else list(until or [])
    rank = int(os.environ.get("RANK", 0)) if rank is None else rank
    world = int(os.environ.get("WORLD_SIZE", 1)) if world is None else world
    core = _core.Batches(os.fspath(path), as_sets(set), names, epochs or 0, threads, ahead, rank, world, trust)
    kind = _torch_batches() if arrays == "torch" else Batches
    return kind(core, os.fspath(path), isinstance(until, str), arrays == "torch")
