"""flowrun init: a pipeline for a user's pictures, which checks, trains and says why its numbers are what they are."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from PIL import Image

import support


def without_comments(text):
    return re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)


class Init(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.random = np.random.default_rng(0)

    def draw(self, path, shape=(24, 20, 3)):
        path.parent.mkdir(parents=True, exist_ok=True)
        small = self.random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize(shape[1::-1]).save(path)

    def classes(self, root, count=60):
        for i in range(count):
            self.draw(root / ("ant", "bee", "cow")[i % 3] / f"{i:03}.jpg")

    def init(self, *words, status=0):
        done = subprocess.run([support.FLOWRUN, "init", *map(str, words)], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def nodes(self, file):
        return json.loads(without_comments((self.folder / file).read_text()))["nodes"]

    def trains(self, file, *sets):
        """Two steps with the smallest model; what result.json says."""
        words = [support.FLOWRUN, "run", file, "--quiet", "--out", "run"]
        for text in ("run.steps=2", "student.depth=1", "let.blocks=[1]", "run.device=cpu", *sets):
            words += ["--set", text]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(path.name for path in (self.folder / "run/features").iterdir()), ["step-0.safetensors", "step-2.safetensors"])
        return json.loads((self.folder / "run/result.json").read_text())

    def test_class_folders(self):
        self.classes(self.folder / "data/insects")
        done = self.init("data/insects", "--device", "cpu")
        self.assertIn("3 classes", done.stdout)
        self.assertIn("insects.json is written", done.stdout)
        self.assertIn("\n  flowrun run insects.json", done.stdout)
        self.assertIn("accuracies are of 12 unseen pictures", done.stderr)  # a fifth of 60
        nodes = self.nodes("insects.json")
        self.assertEqual([nodes["files"]["part"], nodes["known"]["part"], nodes["unseen"]["part"]], ["kept", "kept", "held_out"])
        result = self.trains("insects.json")
        self.assertEqual([entry["step"] for entry in result["knn"]["history"]], [0, 2])
        self.assertIn("pixels_knn", result)

    def test_a_part_of_their_own(self):
        self.classes(self.folder / "data/train")
        self.classes(self.folder / "data/val", 9)
        self.init("data", "-o", "made/mine.json")
        nodes = self.nodes("made/mine.json")
        self.assertEqual([nodes["files"]["path"], nodes["unseen"]["path"]], ["data/train", "data/val"])
        self.assertNotIn("part", nodes["files"])
        self.assertEqual(self.trains("made/mine.json")["linear"]["step"], 2)

    def test_scans_of_sixteen_bits(self):
        for i in range(40):
            values = self.random.integers(100, 900, (20, 20)).astype(np.uint16)
            values[0, :2] = 64, 1023
            (self.folder / "scans").mkdir(exist_ok=True)
            Image.fromarray(values).save(self.folder / f"scans/{i}.png")
        facts = json.loads(self.init("scans", "--json").stdout)
        self.assertEqual((facts["data"]["range"], facts["data"]["gray"], facts["recipe"]["evaluates"]), ([64, 1023], True, False))
        self.assertEqual(self.nodes("scans.json")["decode"]["range"], [64, 1023])
        self.trains("scans.json")
        self.assertNotIn("16 bits", (self.folder / "run/log.txt").read_text())

    def test_mean_and_deviation(self):
        for i in range(40):
            picture = np.empty((20, 20, 3), dtype=np.uint8)
            picture[...] = (51, 102, 204)
            picture[:10, :, 0] = 153
            (self.folder / "flat").mkdir(exist_ok=True)
            Image.fromarray(picture).save(self.folder / f"flat/{i}.png")
        self.init("flat")
        text = (self.folder / "flat.json").read_text()
        self.assertIn('"mean": [0.400, 0.400, 0.800], "std": [0.200, 0.010, 0.010]', text)

    def test_label_maps(self):
        for part, count in (("train", 32), ("test", 4)):
            for i in range(count):
                self.draw(self.folder / f"data/{part}/images/{i}.jpg")
                mask = np.zeros((24, 20), dtype=np.uint8)
                mask[4:12, 5:15] = 255
                (self.folder / f"data/{part}/masks").mkdir(exist_ok=True)
                Image.fromarray(mask).save(self.folder / f"data/{part}/masks/{i}.png")
        done = self.init("data")
        self.assertIn("32 pictures, JPEG", done.stdout)
        self.assertEqual(self.nodes("data.json")["known_labels"]["map"], [255, 1])
        self.assertEqual(self.trains("data.json")["segmentation"]["classes"], 2)

    def test_label_maps_that_cannot_be_used(self):
        for i in range(33):
            self.draw(self.folder / f"data/images/{i}.jpg")
        (self.folder / "data/labels").mkdir()
        done = self.init("data")
        self.assertIn("has none in data/labels", done.stderr)
        self.assertEqual(self.nodes("data.json")["files"]["path"], "data/images")

    def test_what_is_doubtful_is_said(self):
        for i in range(60):
            self.draw(self.folder / f"data/{i % 30}/{i}.jpg")
        (self.folder / "data/7/7.jpg").write_text("<html>")
        done = self.init("data", "--size", "32")
        self.assertIn("data/7/7.jpg: ", done.stderr)
        self.assertIn("30 folders for 60 pictures: they are not taken for classes", done.stderr)
        self.assertIn("below 32 pixels: they are enlarged", done.stderr)
        self.assertIn('"max_bad": 2', (self.folder / "data.json").read_text())
        self.assertNotIn("knn", self.nodes("data.json"))

    def test_pictures_that_are_turned(self):
        for i in range(40):
            exif = Image.Exif()
            exif[274] = 6
            (self.folder / "phone").mkdir(exist_ok=True)
            Image.new("RGB", (24, 20), (i, 80, 90)).save(self.folder / f"phone/{i}.jpg", exif=exif)
        self.init("phone")
        nodes = self.nodes("phone.json")
        self.assertEqual([nodes["crop"]["orientation"], nodes["decode"]["orientation"]], ["exif", "exif"])
        self.trains("phone.json")

    def test_a_machine_with_gpus(self):
        for i in range(200):
            self.draw(self.folder / f"data/{i}.jpg", (226, 230, 3))
        facts = json.loads(self.init("data", "--device", "h100", "--gpus", "2", "--json").stdout)
        recipe = facts["recipe"]
        self.assertEqual((recipe["arch"], recipe["size"], recipe["patch"]), ("ti", 224, 16))
        self.assertEqual(recipe["batch"] % (2 * recipe["group"]), 0)
        self.init("data", "--device", "h100", "--arch", "b", "--epochs", "3", "--overwrite")
        text = (self.folder / "data.json").read_text()
        self.assertIn('"arch": "b"', text)
        self.assertIn('"epochs": 3', text)

    def test_hours_bound_the_epochs(self):
        self.classes(self.folder / "data", 300)
        long, short = (json.loads(self.init("data", "--device", "cpu", "--hours", hours, "--json", "--overwrite").stdout)["recipe"] for hours in (10, 0.01))
        self.assertEqual(long["epochs"], 800)
        expected = int(short["images_per_second"] * 36 / short["training"])
        self.assertEqual(short["epochs"], max(1, expected))
        self.assertLess(short["epochs"], 800)

    def test_refusals_leave_nothing(self):
        self.classes(self.folder / "few", 9)
        self.assertIn("too few: 32 at least", self.init("few", status=2).stderr)
        self.assertIn("there is no nothing", self.init("nothing", status=2).stderr)
        (self.folder / "empty").mkdir()
        self.assertIn("empty", self.init("empty", status=2).stderr)
        self.assertEqual(list(self.folder.glob("*.json")), [])
        self.classes(self.folder / "data")
        (self.folder / "data.json").write_text("mine")
        self.assertIn("data.json exists already", self.init("data", status=2).stderr)
        self.assertIn("don't suit views of 32", self.init("data", "--size", "32", "--patch", "8", "-o", "x.json", status=2).stderr)
        self.assertEqual((self.folder / "data.json").read_text(), "mine")

    def test_settings_for_an_editor(self):
        self.classes(self.folder / "data")
        self.init("data", "--vscode")
        settings = json.loads((self.folder / ".vscode/settings.json").read_text())
        schema = json.loads((self.folder / settings["json.schemas"][0]["url"]).read_text())
        self.assertEqual(settings["json.schemas"][0]["fileMatch"], ["data.json"])
        self.assertIn("source.folder", json.dumps(schema))
        (self.folder / ".vscode/settings.json").write_text("{}")
        self.assertIn("stays as it is", self.init("data", "--vscode", "--overwrite").stderr)
        self.assertEqual((self.folder / ".vscode/settings.json").read_text(), "{}")

    @support.needs_photographs
    def test_photographs(self):
        done = self.init(support.PHOTOGRAPHS, "-o", "photographs.json", "--look", "32")
        self.assertIn("143 pictures, JPEG", done.stdout)
        self.trains("photographs.json")


if __name__ == "__main__":
    sys.exit(unittest.main())
