"""Changes to a pipeline file, as `--set` takes them."""
import json


def as_sets(changes):
    """{"batch.size": 64, "files.path": "data/train"} as ["batch.size=64", ...]. Values are JSON, strings stand for themselves."""
    return [f"{path}={json.dumps(value)}" for path, value in (changes or {}).items()]
