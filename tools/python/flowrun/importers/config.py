"""Reads configurations of other projects: values by dotted keys, and a record of how each key was used."""
import ast
import collections.abc
import json
import math
import os
import pathlib
import re
import shlex
import sys
from typing import Any

Values = dict[str, Any]
REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")
# YAML 1.1 reads 1e-4 as text, because it has no point; OmegaConf, and people, read a number.
NUMBER = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")
KINDS = {"integer": "a whole number", "number": "a number", "truth": "true or false", "text": "text", "numbers": "a list of numbers", "pair": "a list of two numbers"}
MISSING = object()
MOST_VALUES = 10_000


class ConfigError(Exception):
    """A fault of the configuration: one line says what is wrong, `fix` how to repair it."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class Config:
    """The values of a configuration. Each key ends in one of four lists: `used`, with the paths of the pipeline that it sets; `none`, keys without
    counterpart, with the reason; `idle`, keys without meaning here, with the reason; unknown() has those that no importer asked for."""

    def __init__(self, values: Values, defaults: Values | None = None) -> None:
        self.values, self.defaults = values, defaults or {}
        self.used: dict[str, list[str]] = {}
        self.none: dict[str, str] = {}
        self.idle: dict[str, str] = {}

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def under(self, prefix: str) -> list[str]:
        """The key itself, if it is there, and all keys below it."""
        return [key for key in self.values if key == prefix or key.startswith(prefix + ".")]

    def get(self, key: str, kind: str, default: Any = MISSING) -> Any:
        """The value of a key, which counts as used; where it is absent or null, the default given here, or the project's own. Throws ConfigError."""
        if key in self.values:
            self.used.setdefault(key, [])
            if self.values[key] is not None:
                return self.read(key, kind)
        if default is not MISSING:
            return default
        if self.defaults.get(key) is not None:
            return self.defaults[key]
        raise ConfigError(f"{key} is missing", f"add {key}: {KINDS[kind]}")

    def read(self, key: str, kind: str) -> Any:
        value = self.values[key]
        found = typed(value, kind)
        if found is None:
            fix = "write its value in its place: only values of the same file are looked up" if isinstance(value, str) and "$" in value else ""
            raise ConfigError(f"{key} must be {KINDS[kind]}, not {json.dumps(value)}", fix)
        return found

    def choose(self, key: str, choices: dict[str, Any], what: str) -> Any:
        """The value that a key's name stands for in `choices`. Throws ConfigError."""
        name = self.get(key, "text")
        if name not in choices:
            raise ConfigError(f"{key}: there is no {what} {json.dumps(name)} here", f"{key} may be: {', '.join(choices)}")
        return choices[name]

    def same(self, key: str, value: Any, why: str) -> None:
        """Marks a key as used if it has this value or is null, and as without counterpart otherwise."""
        if self.values.get(key, value) in (value, None):
            if key in self.values:
                self.used.setdefault(key, [])
        else:
            self.no_counterpart(key, why=why)

    def no_counterpart(self, *keys: str, why: str) -> None:
        self.settle(keys, self.none, why)

    def no_meaning(self, *keys: str, why: str) -> None:
        self.settle(keys, self.idle, why)

    def settle(self, keys: tuple[str, ...], where: dict[str, str], why: str) -> None:
        """Moves keys, and those below them, into a list. Keys that set something, or are in a list already, stay where they are."""
        for key in (found for key in keys for found in self.under(key)):
            if not self.used.get(key) and key not in self.none and key not in self.idle:
                self.used.pop(key, None)
                where[key] = why

    def unknown(self) -> list[str]:
        return [key for key in self.values if key not in self.used and key not in self.none and key not in self.idle]

    def says(self, keys: tuple[str, ...]) -> str:
        """The text of a comment: keys with their values, then the keys that have their defaults."""
        given = [f"{key} {shown(self.values[key])}" for key in keys if key in self]
        absent = [key for key in keys if key not in self]
        return ", ".join(given + ([f"default{'s' * (len(absent) > 1)} of {', '.join(absent)}"] if absent else []))


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def finite(value: float) -> bool:
    """Whether it is a number that a pipeline can hold: not .nan, not .inf, and not beyond a double."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def typed(value: Any, kind: str) -> Any:
    """The value as this kind, or None."""
    if isinstance(value, str) and kind in ("integer", "number") and NUMBER.match(value):
        value = float(value)
    if kind == "truth":
        return value if isinstance(value, bool) else None
    if kind == "text":
        return value if isinstance(value, str) else None
    if kind in ("pair", "numbers"):
        numbers = [typed(item, "number") for item in value] if isinstance(value, (list, tuple)) else [None]
        return numbers if None not in numbers and (kind == "numbers" or len(numbers) == 2) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not finite(value):
        return None
    if kind == "integer":
        return int(value) if value == int(value) else None
    return value


def flat(value: Any, prefix: str = "") -> Values:
    """{"data.crop_scale": [0.3, 1]}: objects, and lists of objects, by dotted keys."""
    items: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = [(str(index), item) for index, item in enumerate(value)]
    if not items:
        return {prefix: value} if prefix else {}
    out: Values = {}
    for key, item in items:
        out |= flat(item, f"{prefix}.{key}" if prefix else key)
    return out


def resolve(values: Values) -> Values:
    """Replaces references to other values of the file, ${data.size}; other references stay as they are."""
    def one(value: Any, depth: int = 0) -> Any:
        if isinstance(value, list):
            return [one(item, depth) for item in value]
        if not isinstance(value, str) or depth == 8:
            return value
        whole = REFERENCE.fullmatch(value)
        if whole:
            return one(values[whole[1]], depth + 1) if whole[1] in values else value
        return REFERENCE.sub(lambda found: shown(one(values.get(found[1], found[0]), depth + 1)), value)

    return {key: one(value) for key, value in values.items()}


def parse_yaml(text: str, name: str) -> Any:
    """The content of YAML or JSON. A key that comes twice is refused: the second would silently win."""
    try:
        import yaml
    except ImportError:
        raise ConfigError(f"{sys.executable} has no PyYAML", f"{sys.executable} -m pip install pyyaml") from None

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: Any, node: Any) -> Any:
        keys: set[Any] = set()
        for key_node, _ in node.value:
            key = loader.construct_object(key_node)
            if not isinstance(key, collections.abc.Hashable):
                continue  # SafeLoader refuses it
            if key in keys:
                raise ConfigError(f"{name}:{key_node.start_mark.line + 1}: the key {shown(key)} comes twice", "remove one of them")
            keys.add(key)
        return yaml.SafeLoader.construct_mapping(loader, node, deep=True)

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        found = yaml.load(text, Loader)
        if size(found, {}) >= MOST_VALUES:
            raise ConfigError(f"it has {MOST_VALUES} values or more, aliases counted each time", "no configuration of these projects has so many")
        return found
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{mark.line + 1}: " if mark else ""
        raise ConfigError(f"{name}:{line}can't be read: {getattr(error, 'problem', error)}") from None


def size(value: Any, known: dict[int, int]) -> int:
    """The number of values when aliases (*name) are written out; MOST_VALUES if a value holds itself."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_VALUES
        known[id(value)] = 1 + sum(size(item, known) for item in (value.values() if isinstance(value, dict) else value))
    return known[id(value)]


def merge(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: merge(below[key], value) if key in below else value for key, value in above.items()}}


def compose(own: dict[str, Any], folder: pathlib.Path) -> tuple[dict[str, Any], list[str], list[str]]:
    """Merges the files that Hydra's list of defaults names, from the same folder, in its order. Also returns the names of files read and of files missing."""
    own = dict(own)
    entries = own.pop("defaults")
    if not isinstance(entries, list):
        raise ConfigError("defaults must be a list", "as Hydra has it: - _self_, - GROUP: FILE.yaml")
    out: Any = {}
    read: list[str] = []
    gone: list[str] = []
    for entry in entries if "_self_" in entries else [*entries, "_self_"]:
        if entry == "_self_":
            out = merge(out, own)
            continue
        group, file = next(iter(entry.items())) if isinstance(entry, dict) else ("", entry)
        if str(group).startswith("override ") or file is None:
            continue
        path = folder / group / (file if str(file).endswith((".yaml", ".yml")) else f"{file}.yaml")
        shown_path = str(path.relative_to(folder))
        if not path.is_file():
            gone.append(shown_path)
            continue
        content = parse_yaml(path.read_text(), str(path))
        out = merge(out, {group: content} if group else content)
        read.append(shown_path)
    return out, read, gone


LAUNCHERS = {"nproc_per_node": "nproc_per_node", "nproc-per-node": "nproc_per_node", "nnodes": "nnodes"}


def parse_command(text: str) -> Values:
    """The options of a command line, such as "python main_pretrain.py --model … --norm_pix_loss", or of the options alone. Options of torchrun that
    give the number of GPUs get "launcher." in front."""
    commands = []
    for line in text.replace("\\\n", " ").splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise ConfigError(f"a command line can't be read: {error}") from None
        if any(word.startswith("--") for word in words):
            commands.append(words)
    if len(commands) != 1:
        raise ConfigError(f"{len(commands)} command lines are in the file", "keep one, with the options of main_pretrain.py")
    words = commands[0]
    scripts = [index for index, word in enumerate(words) if word.endswith(".py")]
    begin = scripts[-1] + 1 if scripts else 0
    out: Values = {}
    for name, value in options(words[:begin]).items():
        if name in LAUNCHERS:
            out["launcher." + LAUNCHERS[name]] = value
    if scripts and words[scripts[-1]].endswith("submitit_pretrain.py"):
        out |= {"ngpus": 8, "nodes": 2}  # defaults of that script
    return out | options(words[begin:])


def options(words: list[str]) -> Values:
    out: Values = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, equal, value = word[2:].partition("=")
            out[name] = scalar(value) if equal else True
            if equal:
                name = ""
        elif name:
            out[name] = scalar(word)
            name = ""
    return out


def scalar(word: str) -> Any:
    if NUMBER.match(word):
        return int(word) if re.fullmatch(r"[-+]?\d+", word) else float(word)
    return {"True": True, "False": False, "None": None}.get(word, word)


def parse_namespace(text: str) -> Values:
    """The values of printed argparse arguments: Namespace(batch_size=64, blr=0.00015, …)."""
    begin = text.index("Namespace(")
    try:
        call = ast.parse(text[begin:text.index(")\n", begin) + 1 if ")\n" in text[begin:] else None].strip(), mode="eval").body
        assert isinstance(call, ast.Call)
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, AssertionError):
        raise ConfigError("Namespace(…) can't be read", "keep it as it was printed, up to its closing bracket") from None


def parse(text: str, name: str) -> Any:
    if "Namespace(" in text:
        return parse_namespace(text)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    if lines and re.match(r"^(--\w|(\w+=\S+ +)*(python|torchrun|srun|exec|CUDA_)\S* .*|.*\\$|.*\.py --)", lines[0]):
        return parse_command(text)
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            pass  # YAML has such objects, too
    return parse_yaml(text, name)


def read(file: str) -> Any:
    """The content of a file, as objects, lists and values. Throws ConfigError."""
    try:
        text = sys.stdin.read() if file == "-" else pathlib.Path(file).read_text()
    except OSError as error:
        raise ConfigError(f"can't be read: {os.strerror(error.errno or 0)}") from None
    except UnicodeDecodeError:
        raise ConfigError("the file is not text", "name a configuration; checkpoints are not read") from None
    try:
        return parse(text, "standard input" if file == "-" else file)
    except RecursionError:
        raise ConfigError("its lists and objects are nested too deep") from None
