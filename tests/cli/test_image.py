"""The Dockerfile and the devcontainer name what is there, in steps that .ci/image can follow; that script itself runs them (.ci/nightly image)."""
import importlib.machinery
import importlib.util
import json
import pathlib
import tempfile
import unittest

import support

LOADER = importlib.machinery.SourceFileLoader("image", str(support.ROOT / ".ci/image"))
image = importlib.util.module_from_spec(importlib.util.spec_from_loader("image", LOADER))
LOADER.exec_module(image)


class Image(unittest.TestCase):
    def setUp(self):
        self.steps = image.steps((support.ROOT / "Dockerfile").read_text())

    def test_the_dockerfile_names_what_is_there(self):
        self.assertEqual([word for word, _ in self.steps].count("FROM"), 2)
        for word, rest in self.steps:
            if word == "FROM":
                image.suite_of(rest.partition(" AS ")[0])
            if word == "COPY" and not rest.startswith("--from="):
                for source in rest.split()[:-1]:
                    self.assertTrue((support.ROOT / source).exists(), source)
            if word == "RUN" and rest.startswith("tools/"):
                program, option = rest.split()[:2]
                self.assertIn(option, (support.ROOT / program).read_text())
        self.assertEqual(json.loads(self.steps[-1][1]), ["flowrun"])

    def test_what_is_built_or_run_here_stays_out_of_the_image(self):
        ignored = image.ignored_names()
        for line in (support.ROOT / ".gitignore").read_text().split():
            if line.startswith("/") and not line.startswith(("/.gpu", "/gpu")):
                self.assertIn(line.strip("/"), ignored)

    def test_other_steps_are_refused(self):
        for text in ("FROM debian:bookworm\nVOLUME /x\n", "ADD https://x /y\n"):
            with self.assertRaisesRegex(SystemExit, "only FROM, WORKDIR, ENV, COPY, RUN, ENTRYPOINT are known here"):
                image.steps(text)
        with self.assertRaisesRegex(SystemExit, "the image alpine:3 is none of Debian's"):
            image.suite_of("alpine:3")
        self.assertEqual(image.steps("# a\nRUN a && \\\n    b\n"), [("RUN", "a &&      b")])

    def test_copies_are_those_of_docker(self):
        """Of a folder its contents; a file under the new name, or into a folder whose name ends with a slash."""
        with tempfile.TemporaryDirectory() as name:
            place = pathlib.Path(name)
            (place / "from/sub").mkdir(parents=True)
            (place / "from/sub/file").write_text("1")
            stage = object.__new__(image.Stage)
            stage.root, stage.folder = place / "root", "/at"
            stage.copy([place / "from"], ".")
            stage.copy([place / "from/sub/file"], "new")
            stage.copy([place / "from/sub/file"], "/deep/")
            stage.copy([place / "from/sub"], "folder")
            found = {str(path.relative_to(stage.root)) for path in stage.root.rglob("*") if path.is_file()}
            self.assertEqual(found, {"at/sub/file", "at/new", "deep/file", "at/folder/file"})

    def test_the_devcontainer_sets_up_what_the_tests_need(self):
        container = json.loads((support.ROOT / ".devcontainer/devcontainer.json").read_text())
        image.suite_of(container["image"])
        self.assertIn("tools/setup --test", container["postCreateCommand"])


if __name__ == "__main__":
    support.main()
