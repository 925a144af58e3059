"""Options of the command line, and the batch and the folder of pictures, which all importers read alike."""
import dataclasses
import os
import pathlib

from config import Config
from recipe import Recipe

IMAGENET = 1281167  # pictures of its training set


@dataclasses.dataclass
class Options:
    name: str  # of the file
    data: str = ""
    gpus: int = 0
    pictures: int = 0


def batch_of(r: Recipe, options: Options, key: str, published: int) -> int:
    """The number of GPUs of a configuration that does not give it: --gpus, or 1 with a note."""
    if options.gpus == 0:
        r.note(f"{key} is for one GPU, and the file does not say on how many it ran: written for 1 (published: {published}); --gpus N")
    return options.gpus or 1


def folder_of(c: Config, r: Recipe, options: Options, keys: list[str], path: str, inside: str = "train") -> None:
    """The folder of training pictures: --data, or what these keys make together with `inside`."""
    parts = [str(c.get(key, "text", "")) for key in keys]
    if options.data:
        r.set(path, os.path.join(options.data, inside), because="--data")
    elif all(parts) and not any("$" in part for part in parts):
        r.set(path, str(pathlib.PurePath(*parts, inside)), *keys)
    else:
        r.note(f"the file names no folder of pictures: --data FOLDER, or --set {path}=FOLDER")
