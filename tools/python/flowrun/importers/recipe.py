"""The pipeline that is written: changes of a shipped file. A comment behind each line names the keys that its value comes from."""
import json
import math
from typing import Any

from config import Config

MOST_COMMENT = 150


def number(value: float) -> float | int:
    """Ten digits, so that products of short numbers stay short. What is not finite stays as it is: in comments only."""
    if not math.isfinite(value):
        return value
    rounded = float(f"{value:.10g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e15 else rounded


def text_of(value: Any) -> str:
    if isinstance(value, float):
        value = number(value)
    if isinstance(value, list):
        return "[" + ", ".join(text_of(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)}: {text_of(item)}" for key, item in value.items()) + " }" if value else "{}"
    return json.dumps(value, ensure_ascii=False)


def one_line(text: str) -> str:
    """The text of a comment: line breaks and control characters of the file become spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


class Node:
    """A node that is added, or takes another's place, with its parameters in order."""

    def __init__(self, recipe: "Recipe", name: str, type_: str) -> None:
        self.recipe, self.name = recipe, name
        self.lines: list[tuple[str, Any, str]] = [("type", type_, "")]

    def set(self, param: str, value: Any, *keys: str, because: str = "") -> "Node":
        self.lines.append((param, value, self.recipe.comment(f"{self.name}.{param}", keys, because)))
        return self


class Recipe:
    def __init__(self, config: Config, base: str, about: str) -> None:
        self.config, self.base, self.about = config, base, about
        self.notes: list[str] = []  # for people: what was taken for granted
        self.drops: list[str] = []
        self.swaps: dict[str, Node] = {}
        self.adds: dict[str, Node] = {}
        self.sets: dict[str, tuple[Any, str]] = {}

    def comment(self, path: str, keys: tuple[str, ...], because: str) -> str:
        for key in keys:
            if key in self.config.used:
                self.config.used[key].append(path)
        said = self.config.says(keys)
        line = one_line(f"{said}: {because}" if said and because else said or because)
        return line if len(line) <= MOST_COMMENT else line[:MOST_COMMENT - 1] + "…"

    def set(self, path: str, value: Any, *keys: str, because: str = "") -> None:
        """Sets a value. `keys` are those of the configuration that it comes from."""
        self.sets[path] = (value, self.comment(path, keys, because))

    def swap(self, name: str, type_: str) -> Node:
        self.swaps[name] = Node(self, name, type_)
        return self.swaps[name]

    def add(self, name: str, type_: str) -> Node:
        self.adds[name] = Node(self, name, type_)
        return self.adds[name]

    def drop(self, *names: str) -> None:
        self.drops += names

    def note(self, text: str) -> None:
        self.notes.append(text)

    def text(self, head: list[str]) -> str:
        sections = [f"  \"about\": {text_of(self.about)}", f"  \"extends\": \"shipped:{self.base}\""]
        if self.drops:
            sections.append(f"  \"drop\": {text_of(self.drops)}")
        for key, nodes in (("swap", self.swaps), ("add", self.adds)):
            if nodes:
                members = [f"    {json.dumps(name)}: {{\n" + aligned(node.lines, 6) + "\n    }" for name, node in nodes.items()]
                sections.append(f"  \"{key}\": {{\n" + ",\n".join(members) + "\n  }")
        if self.sets:
            sections.append("  \"set\": {\n" + aligned([(path, value, why) for path, (value, why) in self.sets.items()], 4) + "\n  }")
        lines = [f"  // {one_line(line)}" if line else "" for line in head]
        return "\n".join(["{", *lines, ",\n".join(sections), "}"]) + "\n"


def aligned(lines: list[tuple[str, Any, str]], indent: int) -> str:
    """The text of an object's members: one a line, with comments in a column."""
    texts = [f"{json.dumps(key)}: {text_of(value)}" + ("," if i + 1 < len(lines) else "") for i, (key, value, _) in enumerate(lines)]
    width = min(64, max(map(len, texts)))
    return "\n".join(" " * indent + (f"{text:{width}}  // {why}" if why else text) for text, (_, _, why) in zip(texts, lines))
