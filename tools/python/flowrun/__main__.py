"""The program: `flowrun …` and `python -m flowrun …`. Python is replaced by it, so signals and the exit status are its own.

Also where torch and oneTBB are, for the program and for the module. tools/python/program.py runs this file without the package around it.
"""
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).absolute().parent
TORCH = "2.11"


class Missing(Exception):
    """What is to be installed, in a sentence."""


def torch_folder():
    """PyTorch's folder. It is found, not imported, which would take a second."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise Missing(f"this Python has no torch ({sys.executable}): pip install 'torch=={TORCH}.*'")
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        version = TORCH + "."
    if not version.startswith(TORCH + "."):
        raise Missing(f"torch is {version}, but this Flowrun was built for {TORCH}: pip install 'torch=={TORCH}.*'")
    return pathlib.Path(spec.origin).parent


def tbb_folder():
    """Where pip put oneTBB's libraries: the environment's lib, in most cases."""
    for folder in (HERE.parents[2], pathlib.Path(sys.prefix) / "lib"):
        if (folder / "libtbb.so.12").exists():
            return folder
    try:
        for file in importlib.metadata.files("tbb") or ():
            if file.name == "libtbb.so.12" and (path := pathlib.Path(file.locate())).exists():
                return path.parent.resolve()
    except importlib.metadata.PackageNotFoundError:
        pass
    raise Missing(f"this Python has no oneTBB ({sys.executable}): pip install 'tbb==2023.2.*'")


def library_path():
    """Folders where the program's own search does not look: torch or oneTBB may lie in another environment than Flowrun."""
    folders = []
    torch, tbb = torch_folder(), tbb_folder()
    if torch.parent != HERE.parent:
        folders += [torch / "lib", torch.parent / "nvidia/cu13/lib"]
    if tbb != HERE.parents[2]:
        folders.append(tbb)
    return [str(folder) for folder in folders]


def load_libraries():
    """For the module, where its own search failed: libraries that are in the process already are found by their names."""
    import ctypes

    if not any((HERE / f"_core{suffix}").exists() for suffix in importlib.machinery.EXTENSION_SUFFIXES):
        raise ImportError(f"this flowrun was built without its module for Python {sys.version_info[0]}.{sys.version_info[1]} (tools/wheel --python)")
    try:
        torch_folder()
        ctypes.CDLL(str(tbb_folder() / "libtbb.so.12"))
    except Missing as missing:
        raise ImportError(str(missing)) from None
    import torch  # noqa: F401


def main():
    program, environment = HERE / "bin/flowrun", {"FLOWRUN_PYTHON": sys.executable, **os.environ}
    built = HERE.parents[1] / "bin/flowrun"  # a build folder, which knows its libraries
    try:
        if program.exists():
            if folders := library_path():
                environment["LD_LIBRARY_PATH"] = ":".join([*folders, *filter(None, [environment.get("LD_LIBRARY_PATH")])])
        elif built.exists():
            program = built
        else:
            raise Missing(f"{program} is missing: install Flowrun again")
    except Missing as missing:
        sys.exit(f"flowrun: error: {missing}")
    os.execve(program, [str(program), *sys.argv[1:]], environment)


if __name__ == "__main__":
    main()
