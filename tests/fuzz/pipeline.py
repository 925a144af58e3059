"""Seeds: the shipped pipelines."""
import pathlib
import shutil

for path in (pathlib.Path(__file__).resolve().parents[2] / "pipelines").rglob("*.json"):
    shutil.copy(path, path.name)
