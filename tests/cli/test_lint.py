"""Which files clang-tidy reads: those that differ from the commit at which all had passed, and what includes them."""
import pathlib
import re
import subprocess
import sys
import unittest

import support

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import check_style  # noqa: E402


class Lint(support.Folder):
    def setUp(self):
        super().setUp()
        self.root = self.folder.resolve()
        for name in ("graph/a.cpp", "graph/b.cpp", "graph/a.h", ".clang-tidy", ".ci/linted"):
            file = self.root / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(name)
        self.git("init", "-q")
        self.commit()
        (self.root / ".ci/linted").write_text(self.git("rev-parse", "HEAD"))
        self.paths = [self.root / "graph/a.cpp", self.root / "graph/b.cpp"]
        self.made_of = {"graph/a.cpp": {"graph/a.cpp", "graph/a.h"}, "graph/b.cpp": {"graph/b.cpp"}}

    def git(self, *words):
        return subprocess.run(["git", "-C", self.root, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True, capture_output=True, text=True).stdout

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-qm", "more")

    def linted(self):
        changed = check_style.changed_since_lint(self.root)
        return [path.name for path in check_style.to_lint(self.paths, self.root, changed, self.made_of)]

    def test_nothing_changed(self):
        self.assertEqual(self.linted(), [])

    def test_a_source_changed(self):
        (self.root / "graph/b.cpp").write_text("changed")
        self.assertEqual(self.linted(), ["b.cpp"])
        self.commit()
        self.assertEqual(self.linted(), ["b.cpp"])

    def test_a_header_changed(self):
        (self.root / "graph/a.h").write_text("changed")
        self.assertEqual(self.linted(), ["a.cpp"])

    def test_a_new_source(self):
        (self.root / "graph/c.cpp").write_text("new")
        self.paths.append(self.root / "graph/c.cpp")
        self.assertEqual(self.linted(), ["c.cpp"])
        self.made_of["graph/c.cpp"] = {"graph/c.cpp"}
        self.assertEqual(self.linted(), ["c.cpp"])

    def test_the_rules_changed(self):
        (self.root / ".clang-tidy").write_text("changed")
        self.assertEqual(self.linted(), ["a.cpp", "b.cpp"])

    def test_an_unknown_commit(self):
        (self.root / ".ci/linted").write_text("0123456789012345678901234567890123456789")
        self.assertEqual(self.linted(), ["a.cpp", "b.cpp"])
        (self.root / ".ci/linted").unlink()
        self.assertEqual(self.linted(), ["a.cpp", "b.cpp"])


class Nightly(unittest.TestCase):
    def test_parts_run_what_the_suite_leaves_to_them(self):
        """A test file that asks for FLOWRUN_MEASURE or FLOWRUN_ALL is among those of its part, and no other is."""
        text = (support.ROOT / ".ci/nightly").read_text()
        for flag, variable in (("MEASURES", "FLOWRUN_MEASURE"), ("EVERYTHING", "FLOWRUN_ALL")):
            named = re.search(rf"{variable}=1 tools/test -R 'cli\\\.\((.*?)\)'", text)[1].split("|")
            # one_of_each() asks for EVERYTHING itself.
            words = re.compile(rf"\b{flag}\b" + (r"|one_of_each" if flag == "EVERYTHING" else ""))
            asks = {path.stem.removeprefix("test_") for path in (support.ROOT / "tests/cli").glob("test_*.py") if words.search(path.read_text())}
            self.assertEqual(asks - {"lint"}, {*named})


if __name__ == "__main__":
    unittest.main()
