#!/usr/bin/env python3
"""Format and lint, as .clang-format and .clang-tidy say.

    check_style.py format SOURCE_TREE
    check_style.py tidy SOURCE_TREE BUILD_FOLDER     graph/ and io/; BUILD_FOLDER has compile_commands.json

Both tools must be version 14, Debian 12's: others format and warn differently. Without them the check is skipped
(exit status 77).
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

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


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("format", "tidy"):
        sys.exit(__doc__)
    root = pathlib.Path(sys.argv[2])
    if sys.argv[1] == "format":
        command = [tool("clang-format"), "--dry-run", "-Werror"]
        paths = sources(root, ("graph", "io", "nodes", "tools", "tests", "examples"), (".h", ".cpp", ".cu", ".cuh"))
    else:
        command = [tool("clang-tidy"), "--quiet", "-p", sys.argv[3]]
        paths = sources(root, ("graph", "io"), (".cpp",))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda path: subprocess.run([*command, path], capture_output=True, text=True), paths))
    wrong = 0
    for path, done in zip(paths, results):
        if done.returncode != 0:
            wrong += 1
            print(f"{path.relative_to(root)}\n{done.stdout}{done.stderr if sys.argv[1] == 'format' else ''}")
    print(f"{len(paths)} files, {wrong} with faults")
    sys.exit(1 if wrong or len(paths) < 20 else 0)


if __name__ == "__main__":
    main()
