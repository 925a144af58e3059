#!/usr/bin/env python3
# Runs flowrun/__main__.py without importing the package, which would load torch's libraries only to be replaced.
import importlib.util
import pathlib
import runpy
import sys

spec = importlib.util.find_spec("flowrun")
if spec is None:
    sys.exit(f"flowrun: error: this Python has no package flowrun ({sys.executable}): install it again")
runpy.run_path(str(pathlib.Path(spec.origin).with_name("__main__.py")), run_name="__main__")
