"""Changes to a pipeline file, as `--set` takes them."""
import json
import os
from collections.abc import Mapping
from typing import Any

Path = str | os.PathLike
Changes = Mapping[str, Any] | None


def as_sets(changes: Changes) -> list[str]:
    """{"batch.size": 64, "files.path": "data/train"} as ["batch.size=64", ...]. Values are JSON, strings stand for themselves."""
    return [f"{path}={json.dumps(value)}" for path, value in (changes or {}).items()]
