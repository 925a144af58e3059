"""Types of the Python package: the stub is that of the extension, and everything that users see says its types.

    test_types.py --write    makes the stub anew
"""
import ast
import inspect
import sys
import tempfile
import typing
import unittest

import support

PACKAGE = support.FLOWRUN.parents[1] / "python"
SOURCES = support.ROOT / "tools/python"
STUB = SOURCES / "flowrun/_core.pyi"
sys.path.insert(0, str(PACKAGE))
try:
    import flowrun
    import flowrun.hub
    import flowrun.log
    from nanobind import stubgen
except ImportError:
    flowrun = None


def made_stub():
    with tempfile.NamedTemporaryFile("r", suffix=".pyi") as file:
        stubgen.main(["-q", "-m", "flowrun._core", "-p", str(SOURCES / "stub_patterns.txt"), "-o", file.name])
        return file.read()


def functions_of(scope, name):
    """(name, function) of a class or a function and its public parts."""
    if inspect.isfunction(scope):
        yield name, scope
    for part, value in vars(scope).items() if inspect.isclass(scope) and scope.__module__.startswith("flowrun") else ():
        value = value.fget if isinstance(value, property) else value
        if inspect.isfunction(value) and (not part.startswith("_") or part in ("__init__", "__iter__", "__len__", "__enter__")):
            yield f"{name}.{part}", value


@unittest.skipUnless(flowrun, f"no Python module in {PACKAGE}: it needs nanobind and Python's headers")
class Types(unittest.TestCase):
    def test_the_stub_is_that_of_the_extension(self):
        self.assertEqual(STUB.read_text(), made_stub(), "make it anew: python tests/cli/test_types.py --write")
        self.assertTrue((PACKAGE / "flowrun/_core.pyi").samefile(STUB), "it lies beside the extension")
        self.assertTrue((PACKAGE / "flowrun/py.typed").exists())

    def test_the_stub_names_what_the_package_uses(self):
        """By the names alone: without an object whose type is not told, and with every name that the package takes from it."""
        tree = ast.parse(STUB.read_text())
        told = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))} | {"__version__"}
        used = {node.attr for path in SOURCES.glob("flowrun/*.py") for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "_core"}
        self.assertEqual(used - told, set())
        results = [ast.unparse(node.returns) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        self.assertNotIn("object", results)

    def test_what_users_see_says_its_types(self):
        seen = [(name, getattr(flowrun, name)) for name in flowrun.__all__]
        seen += [("log.follow", flowrun.log.follow), ("hub.write", flowrun.hub.write), ("hub.load", flowrun.hub.load)]
        functions = [found for name, value in seen for found in functions_of(value, name)]
        self.assertGreater(len(functions), 30)
        for name, function in functions:
            signature = inspect.signature(function)
            untold = [parameter.name for parameter in list(signature.parameters.values())[1 if "." in function.__qualname__ else 0:]
                      if parameter.annotation is parameter.empty]
            self.assertEqual(untold, [], name)
            if not name.endswith("__init__"):
                self.assertIsNot(signature.return_annotation, signature.empty, name)
            typing.get_type_hints(function)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        STUB.write_text(made_stub())
    else:
        support.main()
