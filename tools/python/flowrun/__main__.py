"""The program: `flowrun …` and `python -m flowrun …`. Python is replaced by it, so signals and the exit status are its own."""
import importlib.metadata
import importlib.util
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
TORCH = "2.11"


def fail(message):
    sys.exit(f"flowrun: error: {message}")


def torch_folder():
    """PyTorch's folder. It is found, not imported, which would take a second."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        fail(f"this Python has no torch ({sys.executable}): pip install 'torch=={TORCH}.*'")
    folder = pathlib.Path(spec.origin).parent
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return folder
    if not version.startswith(TORCH + "."):
        fail(f"torch is {version}, but this Flowrun was built for {TORCH}: pip install 'torch=={TORCH}.*'")
    return folder


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
    fail(f"this Python has no oneTBB ({sys.executable}): pip install 'tbb==2023.2.*'")


def library_path():
    """Folders where the program's own search does not look: torch or oneTBB may lie in another environment than Flowrun."""
    folders = []
    torch, tbb = torch_folder(), tbb_folder()
    if torch.parent != HERE.parent:
        folders += [torch / "lib", torch.parent / "nvidia/cu13/lib"]
    if tbb != HERE.parents[2]:
        folders.append(tbb)
    return [str(folder) for folder in folders]


def main():
    program = HERE / "bin/flowrun"
    if not program.exists():
        fail(f"{program} is missing: install Flowrun again")
    environment = dict(os.environ)
    if folders := library_path():
        environment["LD_LIBRARY_PATH"] = ":".join([*folders, *filter(None, [environment.get("LD_LIBRARY_PATH")])])
    os.execve(program, [str(program), *sys.argv[1:]], environment)


if __name__ == "__main__":
    main()
