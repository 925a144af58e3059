"""Loads flowrun._core, and what it needs."""
import os
import sys

try:
    from . import _core  # noqa: F401
except ImportError:  # torch or oneTBB is in another environment, or nowhere
    from .__main__ import load_libraries

    load_libraries()
    from . import _core  # noqa: F401

os.environ.setdefault("FLOWRUN_PYTHON", sys.executable)  # for nodes in Python
