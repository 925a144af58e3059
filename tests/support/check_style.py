#!/usr/bin/env python3
"""Format and lint, as .clang-format and .clang-tidy say.

    check_style.py format SOURCE_TREE
    check_style.py tidy SOURCE_TREE BUILD_FOLDER     graph/, io/ and the nodes of the host; BUILD_FOLDER has compile_commands.json
    check_style.py tidy SOURCE_TREE BUILD_FOLDER --all
    check_style.py tidy-tensor SOURCE_TREE BUILD_FOLDER    the nodes of the device and tools/; BUILD_FOLDER compiles each file by itself

tidy reads the files that have changed, or include what has changed, since the commit that .ci/linted names: at that commit all
files had passed. With --all, without git or without that commit it reads all of them.

Both tools must be version 14, Debian 12's: others format and warn differently. Without them the check is skipped
(exit status 77).
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

from check_layout import HOST_NODES

VERSION = "14"


def tool(name):
    for candidate in (f"{name}-{VERSION}", name):
        path = shutil.which(candidate)
        if path and re.search(rf"version {VERSION}\.", subprocess.run([path, "--version"], capture_output=True, text=True).stdout):
            return path
    print(f"skipped: there is no {name} {VERSION}")
    sys.exit(77)


def sources(root, folders, suffixes):
    return [path for folder in folders for path in sorted((root / folder).rglob("*")) if path.suffix in suffixes]


def changed_since_lint(root):
    """Paths relative to the root that differ from the commit of .ci/linted, or are new; None: not known."""
    def git(*words):
        done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True)
        return done.stdout.split() if done.returncode == 0 else None

    file = root / ".ci/linted"
    if not file.exists() or shutil.which("git") is None:
        return None
    changed, new = git("diff", "--name-only", file.read_text().strip()), git("ls-files", "--others", "--exclude-standard")
    return None if changed is None or new is None else {*changed, *new}


def dependencies(root, build):
    """The dependencies of each source file at the last build, by its path: paths relative to the root."""
    out, done = {}, subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True)
    for block in done.stdout.split("\n\n"):
        paths = [pathlib.Path(os.path.normpath(pathlib.Path(build) / line.strip())) for line in block.splitlines()[1:]]
        inside = [str(path.relative_to(root)) for path in paths if path.is_relative_to(root) and not path.is_relative_to(build)]
        if inside:
            out[inside[0]] = set(inside)
    return out


def tidied(root, part, build):
    """The files of a part."""
    host = sources(root, ("graph", "io", "nodes/lib/host", *HOST_NODES), (".cpp",))
    if part == "tidy":
        return host
    # Some need what this machine may lack, such as CUDA.
    compiled = {entry["file"] for entry in json.loads((pathlib.Path(build) / "compile_commands.json").read_text())}
    return [path for path in sources(root, ("nodes", "tools"), (".cpp",)) if path not in host and str(path) in compiled]


def to_lint(paths, root, changed, made_of):
    """The paths that may have new faults."""
    if changed is None or {".clang-tidy", "tests/support/check_style.py"} & changed:
        return paths
    name = lambda path: str(path.relative_to(root))
    # The includes of a file that was never built are unknown.
    return [path for path in paths if name(path) not in made_of or made_of[name(path)] & changed]


def without_precompiled_headers(build, folder):
    """Writes the build's compile_commands.json to `folder`, for clang, which can't read GCC's precompiled headers."""
    commands = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    for entry in commands:
        entry["command"] = re.sub(r" -Winvalid-pch| -fpch-preprocess| -include \S+cmake_pch\.hxx", "", entry["command"])
    (pathlib.Path(folder) / "compile_commands.json").write_text(json.dumps(commands))
    return folder


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("format", "tidy", "tidy-tensor"):
        sys.exit(__doc__)
    root = pathlib.Path(sys.argv[2]).resolve()
    if sys.argv[1] == "format":
        command = [tool("clang-format"), "--dry-run", "-Werror"]
        paths = sources(root, ("graph", "io", "nodes", "tools", "tests", "examples"), (".h", ".cpp", ".cu", ".cuh"))
    else:
        folder = tempfile.TemporaryDirectory()
        command = [tool("clang-tidy"), "--quiet", "-p", without_precompiled_headers(sys.argv[3], folder.name)]
        paths = tidied(root, sys.argv[1], sys.argv[3])
        if sys.argv[1] == "tidy" and "--all" not in sys.argv:
            paths = to_lint(paths, root, changed_since_lint(root), dependencies(root, pathlib.Path(sys.argv[3]).resolve()))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda path: subprocess.run([*command, path], capture_output=True, text=True), paths))
    wrong = 0
    for path, done in zip(paths, results):
        if done.returncode != 0:
            wrong += 1
            print(f"{path.relative_to(root)}\n{done.stdout}{done.stderr if sys.argv[1] == 'format' else ''}")
    print(f"{len(paths)} files, {wrong} with faults")
    sys.exit(1 if wrong or (sys.argv[1] == "format" and len(paths) < 20) else 0)


if __name__ == "__main__":
    main()
