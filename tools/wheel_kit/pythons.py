"""The interpreters for which the Python module is built beside that of the environment, a line for each: KIND PROGRAM.

    pythons.py [PROGRAM …]    these, which must have headers; without any, those on PATH that have

KIND is cp311, or abi3 for 3.12 and newer: one module with the stable ABI fits them all. The environment's own kind is left out.
"""
import json
import os
import pathlib
import subprocess
import sys

ASK = "import json, sys, sysconfig; print(json.dumps([sys.version_info[:2], sysconfig.get_paths()['include'], bool(sysconfig.get_config_var('Py_GIL_DISABLED'))]))"
NEWEST = 16


def ask(program):
    """(kind, None), or (None, why it can't be used)."""
    try:
        done = subprocess.run([program, "-c", ASK], text=True, capture_output=True)
    except OSError as error:
        return None, str(error)
    if done.returncode != 0:
        return None, (done.stderr.splitlines() or ["it fails"])[0]
    version, include, free_threaded = json.loads(done.stdout)
    if version < [3, 11] or free_threaded:
        return None, "it is older than 3.11, or without a global lock"
    if not (pathlib.Path(include) / "Python.h").exists():
        return None, f"its headers are missing ({include}/Python.h; Debian: python3-dev)"
    return "cp311" if version == [3, 11] else "abi3", None


def main(named):
    own, _ = ask(sys.executable)
    found = {}
    for program in named or ["python3", *(f"python3.{minor}" for minor in range(11, NEWEST))]:
        kind, why = ask(program)
        if kind is None and named:
            sys.exit(f"wheel: error: {program}: {why}")
        if kind is not None and kind != own:
            found.setdefault(kind, program)
    for kind, program in found.items():
        print(kind, os.path.abspath(program) if "/" in program else program)


if __name__ == "__main__":
    main(sys.argv[1:])
