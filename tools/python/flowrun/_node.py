"""Nodes in Python: what a file declares, for the program's help, schema and checks. Needs neither torch nor the program."""
import dataclasses
import inspect
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import numpy as np


@dataclasses.dataclass(frozen=True)
class Range:
    """Bounds of a parameter, both included: `strength: Annotated[float, Range(0, 1), "Largest change."]`."""

    low: float = -np.inf
    high: float = np.inf


@dataclasses.dataclass(frozen=True)
class _Port:
    type: str


Image = Annotated[np.ndarray, _Port("image")]  # uint8, H W C, or V H W C of several views
LabelMap = Annotated[np.ndarray, _Port("label map")]  # uint8, H W, 255 where there is no class
Label = Annotated[int, _Port("label")]  # -1: none
Bytes = Annotated[bytes, _Port("bytes")]  # a picture as it lies on disk
Caption = Annotated[list[str], _Port("caption")]
Region = Annotated[np.ndarray, _Port("region")]  # int64, V 4: x, y, width, height of each view, in pixels of the picture
Rng = np.random.Generator

PORTS = ("Image", "LabelMap", "Label", "Bytes", "Caption", "Region")
KINDS = {bool: "bool", int: "int", float: "float", str: "str", list[int]: "list[int]", list[float]: "list[float]", list[str]: "list[str]"}
GIVEN = ("rng", "sample")  # keyword arguments that are no parameters


class BadSample(Exception):
    """Raised by a node for a sample that can't be used: it is replaced, as a picture that can't be decoded (run.max_bad)."""


class DeclarationError(TypeError):
    """A declaration that is no node; the message says why."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """Which sample a node works on: its number in the source, and the epoch, and its place there."""

    index: int
    epoch: int
    position: int


@dataclasses.dataclass(frozen=True)
class Masks:
    """Masks as lists, for those with several target regions: `visible` B K, `targets` B R M; a patch is row * grid + column."""

    visible: np.ndarray
    targets: np.ndarray


@dataclasses.dataclass(frozen=True)
class Declared:
    """A node type of a file: its description, and what makes its function from parameters."""

    description: dict
    make: Callable[[dict], Any]
    call: tuple[str, ...]  # which of GIVEN the function takes

    @property
    def outputs(self):
        return [port["type"] for port in self.description["ports"] if not port["input"]]


declared: dict[str, Declared] = {}  # by type, of all files that this process has read
Code = TypeVar("Code", bound=Callable)


def node(type: str, *, outputs: dict[str, Any] | None = None) -> Callable[[Code], Code]:  # noqa: A002
    """Declares a function as a node that works on samples.

        @flowrun.node("image.noise")
        def noise(image: flowrun.Image, *, strength: Annotated[float, flowrun.Range(0, 1), "…"] = 0.1, rng) -> flowrun.Image:
            '''Adds noise.'''

    Positional arguments are inputs, keyword arguments are parameters of the pipeline; `rng` is a numpy Generator that is a function of the
    run's seed, the node's stream, the epoch and the sample; `sample` is a Sample. The result is the output "out"; `outputs` names
    several, which the function returns as a tuple. A class is opened once in each process: parameters go to `__init__`, a sample to
    `__call__`. Raises DeclarationError.
    """
    return lambda code: _declare(type, "sample", code, outputs)


def mask(type: str, *, varies: bool = False) -> Callable[[Code], Code]:  # noqa: A002
    """Declares a function that draws the masks of a group: `def mine(images: int, grid: int, *, rng, …)`.

    It returns which patches are hidden, bool, images x grid * grid; or flowrun.Masks. Rows that hide more than the group's smallest
    are cut to it at random; with `varies` each keeps its number (DINOv2). The node has the ports and the `patch` of every mask node.
    """
    return lambda code: _declare(type, "mask", code, None, varies)


def source(type: str, *, outputs: dict[str, Any] | None = None) -> Callable[[Code], Code]:  # noqa: A002
    """Declares a class as a source: `__len__`, and `__getitem__(index)` with an annotated result; parameters go to `__init__`.

    Optional: `key(index)`, the sample's name in messages, by which a changed data set is known; `classes`, names of classes, with `labels`,
    an integer for each sample (-1: none): then there is an output "label".
    """
    return lambda code: _declare(type, "source", code, outputs)


def _declare(name, scope, code, outputs, varies=False):
    if not isinstance(name, str) or not name.count(".") or not all(name.split(".")):
        raise DeclarationError(f'{code.__name__}: a type is called family.name, as "image.noise", not {name!r}')
    if name in declared:
        raise DeclarationError(f"{name} is declared twice")
    call = _function_of(name, scope, code)
    hints, signature = typing.get_type_hints(call, include_extras=True), inspect.signature(call)
    arguments = [argument for argument in signature.parameters.values() if argument.name != "self" or inspect.isfunction(code)]
    inputs = [argument for argument in arguments if argument.kind is not inspect.Parameter.KEYWORD_ONLY]
    keywords = [argument for argument in arguments if argument.kind is inspect.Parameter.KEYWORD_ONLY]
    ports, params = [], []
    if scope == "sample":
        ports = [_input(name, argument, hints.get(argument.name)) for argument in inputs]
    elif scope == "mask" and [argument.name for argument in inputs] != ["images", "grid"]:
        raise DeclarationError(f"{name}: a mask function begins with (images, grid, *, …)")
    if scope != "mask":
        ports += _outputs(name, hints.get("return"), outputs)
    if scope == "source" and hasattr(code, "classes"):
        if any(port["name"] == "label" for port in ports):
            raise DeclarationError(f"{name}: a class with `classes` gets the output label automatically, from `labels`")
        ports.append({"name": "label", "brief": "Its class.", "type": "label", "input": False, "optional": False})
    made = inspect.isclass(code)
    if made and (strange := [argument.name for argument in keywords if argument.name not in GIVEN]):
        raise DeclarationError(f"{name}: parameters of a class belong into __init__: {', '.join(strange)}")
    params = [_param(name, *item) for item in (_init_arguments(code) if made else [(argument, hints.get(argument.name)) for argument in keywords])
              if item[0].name not in GIVEN]
    brief, details = _texts(name, code)
    description = {"type": name, "scope": scope, "brief": brief, "details": details, "ports": ports, "params": params, "varies": varies}
    given = tuple(argument.name for argument in keywords if argument.name in GIVEN)
    declared[name] = Declared(description, (lambda values: code(**values)) if made else (lambda values: _Bound(code, values)), given)
    return code


class _Bound:
    """A function with its parameters."""

    def __init__(self, code, values):
        self._code, self._values = code, values

    def __call__(self, *inputs, **given):
        return self._code(*inputs, **self._values, **given)


def _function_of(name, scope, code):
    if not inspect.isclass(code):
        if scope == "source":
            raise DeclarationError(f"{name}: a source is a class with __len__ and __getitem__")
        return code
    wanted = ("__len__", "__getitem__") if scope == "source" else ("__call__",)
    for member in wanted:
        if not callable(getattr(code, member, None)):
            raise DeclarationError(f"{name}: the class has no {member}")
    return getattr(code, wanted[-1])


def _init_arguments(code):
    if code.__init__ is object.__init__:
        return []
    hints = typing.get_type_hints(code.__init__, include_extras=True)
    return [(argument, hints.get(argument.name)) for argument in list(inspect.signature(code.__init__).parameters.values())[1:]]


def _texts(name, code):
    text = inspect.getdoc(code) or ""
    if not text or (inspect.isclass(code) and not code.__doc__):
        raise DeclarationError(f"{name}: say in a docstring what it does; the first line is shown by flowrun help")
    brief, _, details = text.partition("\n")
    return brief.strip(), " ".join(details.split())


def _port_of(hint):
    """(type of the port, its words, whether it may be missing), or None."""
    optional = False
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        members = [member for member in typing.get_args(hint) if member is not types.NoneType]
        optional, hint = len(members) < len(typing.get_args(hint)), members[0]
    if typing.get_origin(hint) is not Annotated:
        return None
    extras = typing.get_args(hint)[1:]
    found = [extra for extra in extras if isinstance(extra, _Port)]
    return (found[0].type, _words(extras), optional) if found else None


def _words(extras):
    return next((extra for extra in extras if isinstance(extra, str)), "")


def _no_port(name, what, hint):
    shown = "nothing" if hint is None else getattr(hint, "__name__", str(hint))
    return DeclarationError(f"{name}: {what} is annotated as {shown}; it must be one of " + ", ".join(f"flowrun.{port}" for port in PORTS))


def _input(name, argument, hint):
    port = _port_of(hint)
    if argument.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD) or port is None:
        raise _no_port(name, f"the input {argument.name}", hint)
    kind, brief, optional = port
    if optional and argument.default is not None:
        raise DeclarationError(f"{name}: the optional input {argument.name} must be None by default")
    return {"name": argument.name, "brief": brief, "type": kind, "input": True, "optional": optional}


def _outputs(name, hint, outputs):
    if outputs is None:
        if _port_of(hint) is None:
            raise _no_port(name, "the result", hint)
        outputs = {"out": hint}
    ports = []
    for port, annotation in outputs.items():
        found = _port_of(annotation)
        if found is None:
            raise _no_port(name, f"the output {port}", annotation)
        ports.append({"name": port, "brief": found[1], "type": found[0], "input": False, "optional": False})
    return ports


def _param(name, argument, hint):
    if argument.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise DeclarationError(f"{name}: parameters are named one by one, not by *{argument.name}")
    extras = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
    plain = typing.get_args(hint)[0] if extras else hint
    choices = [str(choice) for choice in typing.get_args(plain)] if typing.get_origin(plain) is Literal else []
    kind = "str" if choices else KINDS.get(plain)
    if kind is None:
        shown = "nothing" if hint is None else getattr(plain, "__name__", str(plain))
        raise DeclarationError(f"{name}: the parameter {argument.name} is annotated as {shown}; it must be bool, int, float, str, a Literal of "
                               "strings, or a list of int, float or str")
    required = argument.default is inspect.Parameter.empty
    bounds = next((extra for extra in extras if isinstance(extra, Range)), None)
    ends = [float(end) if np.isfinite(end) else None for end in ((bounds.low, bounds.high) if bounds else (-np.inf, np.inf))]
    return {"name": argument.name, "brief": _words(extras), "kind": kind, "required": required, "range": ends, "choices": choices,
            "default": None if required else list(argument.default) if kind.startswith("list") else argument.default}
