"""docs/cookbook.md: every command and every file of each recipe, with small data and the smallest model."""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from PIL import Image

import support

PAGE = (support.ROOT / "docs/cookbook.md").read_text()
TORCHRUN = pathlib.Path(sys.executable).parent / "torchrun"


def recipes():
    """{title: [("file", name, text) or ("command", words)]}, in the order of the page."""
    out = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        title, body = section.split("\n", 1)
        steps = []
        for match in re.finditer(r"^```json\n// (\S+)\n(.*?)^```|^    ((?:flowrun|torchrun) [^\n]*)$", body, flags=re.MULTILINE | re.DOTALL):
            name, text, command = match.groups()
            steps.append(("command", command.split()) if command else ("file", name, text))
        out[title] = steps
    return out


def small(text):
    """The pipeline that init wrote, with one block, for two epochs."""
    student = re.search(r'"student": .*', text)[0]
    smaller = re.sub(r', "depth": \d+', "", student).replace(" },", ', "depth": 1 },')
    text = text.replace(student, smaller)
    text = re.sub(r'"blocks": \[[\d, ]+\]', '"blocks": [1]', text, count=1)
    return re.sub(r'"epochs": \d+', '"epochs": 2', text, count=1)


class Cookbook(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.random = np.random.default_rng(0)

    def picture(self, height, width):
        return Image.fromarray(self.random.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((width, height))

    def draw(self, folder, count, height, width):
        for i in range(count):
            path = self.folder / folder / ("ant", "bee")[i % 2] / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.picture(height, width).save(path)

    def gray(self, folder, values, extension):
        (self.folder / folder).mkdir(parents=True)
        for i in range(40):
            Image.fromarray(values((20, 24))).save(self.folder / f"{folder}/{i}.{extension}")

    def data(self, title):
        if title == "High resolution":
            self.draw("data/large", 44, 800, 900)
        elif title in ("One GPU", "A cluster", "A deadline"):
            self.draw("data/large", 80, 40, 50)
        elif title == "Medical pictures":
            self.gray("data/scans", lambda shape: self.random.integers(200, 3000, shape).astype(np.uint16), "png")
        elif title == "Satellite tiles":
            self.gray("data/tiles", lambda shape: self.random.random(shape).astype(np.float32), "tif")
        else:
            self.draw("data/small", 60, 24, 28)
        if title == "Continue from DINOv2":
            self.weights()

    def weights(self):
        """In place of DINOv2's: of the same layout, one block."""
        (self.folder / "weights").mkdir()
        self.run_command(["flowrun", "init", "data/small", "--size", "112", "--patch", "14", "-o", "before.json"])
        self.run_command(["flowrun", "run", "before.json"])
        self.run_command(["flowrun", "export", "runs/before", "weights/dinov2.safetensors"])

    def run_command(self, words):
        if words[0] == "torchrun":
            words = [TORCHRUN, *("2" if word == "8" else word for word in words[1:])]
        words = [support.FLOWRUN if word == "flowrun" else word for word in words]
        done = subprocess.run(list(map(str, words)), cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}")
        if words[1] == "init":
            file = re.search(r"^(\S+) is written", done.stdout, flags=re.MULTILINE)[1]
            (self.folder / file).write_text(small((self.folder / file).read_text()))

    def test_recipes(self):
        self.assertEqual(len(recipes()), 10)
        self.assertEqual(len(re.findall(r"^\| \[", PAGE, flags=re.MULTILINE)), 10)
        for title, steps in recipes().items():
            self.assertTrue(steps, title)
            with self.subTest(title):
                self.setUp()
                self.data(title)
                for kind, *step in steps:
                    if kind == "command":
                        if step[0][0] != "torchrun" or TORCHRUN.exists():
                            self.run_command(step[0])
                    else:
                        name, text = step
                        (self.folder / name).write_text(f"// {name}\n{text.replace('[4, 8, 12]', '[1]')}")


if __name__ == "__main__":
    sys.exit(unittest.main())
