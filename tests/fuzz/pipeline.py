"""Seeds: the shipped pipelines, and one with parts of every kind."""
import json
import pathlib
import shutil

for path in (pathlib.Path(__file__).resolve().parents[2] / "pipelines").rglob("*.json"):
    shutil.copy(path, path.name)

inner = {"in": ["y"], "out": "turn", "let": {"by": "$$3"}, "nodes": {"turn": {"type": "image.random_flip", "in": "in.y", "p": "$by"}}}
pair = {"in": ["x"], "out": {"left": "one", "right": "two.image"}, "let": {"p": None}, "parts": {"turn": inner},
        "nodes": {"one": {"use": "turn", "in": "in.*"}, "two": {"use": "turn", "in": {"y": "one"}, "by": "${p}", "after": "one", "stream": "s"}}}
nodes = {"files": {"type": "source.folder"}, "a": {"use": "pair", "in": "files.*", "p": 1, "streams": {"two/turn": "t"}},
         "b": {"use": "pair", "in": {"x": "a.left"}, "p": "$q", "after": "a"}, "c": {"use": "file", "in": "b.*"}}
pathlib.Path("with_parts.json").write_text(json.dumps({"let": {"q": 2}, "parts": {"pair": pair, "file": "pipelines/parts/squares.json"}, "nodes": nodes}))
