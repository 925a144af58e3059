"""Nodes in Python: declared in a file, called in processes of their own, the same for any number of these."""
import itertools
import json
import os
import pathlib
import re
import shutil
import sys
import unittest

import numpy as np
import support
from PIL import Image

os.environ["FLOWRUN_PYTHON"] = sys.executable
PACKAGE = support.FLOWRUN.parents[1] / "python"
sys.path.insert(0, str(PACKAGE))
import flowrun  # noqa: E402 - the build's

HEAD = "import os\nfrom typing import Annotated, Literal\nimport numpy as np\nimport flowrun\n"
NOISE = '''
@flowrun.node("test.noise")
def noise(image: flowrun.Image, *, strength: Annotated[float, flowrun.Range(0, 1), "How much."] = 0.2, rng) -> flowrun.Image:
    """Adds noise."""
    return np.clip(image + rng.normal(0, 255 * strength, image.shape), 0, 255).astype(np.uint8)
'''
IDENTITY = '''
@flowrun.node("test.identity")
def identity(image: flowrun.Image) -> flowrun.Image:
    """Changes nothing."""
    return image
'''


class Nodes(support.Folder):
    tests = itertools.count()

    def setUp(self):
        super().setUp()
        self.family = f"test{next(Nodes.tests)}."  # types are known to the process by their names

    def code(self, text, name="mine.py"):
        (self.folder / name).write_text(HEAD + text.replace('"test.', f'"{self.family}'))

    def write(self, pipeline, name="pipeline.json"):
        (self.folder / name).write_text(json.dumps(pipeline, indent=2).replace('"test.', f'"{self.family}'))
        return name

    def pipeline(self, type="test.noise", base=None, **params):  # noqa: A002
        """The data pipeline, or another, with the node behind the flip."""
        pipeline = base or support.data_pipeline(epochs=1)
        pipeline["plugins"] = ["mine.py"]
        pipeline["nodes"]["mine"] = {"type": type, "in": "flip", **params}
        pipeline["nodes"]["batch"]["in"] = "mine"
        return pipeline

    def fails(self, status=1, **options):
        self.write(self.pipeline(**options))
        return self.run_fails(status)

    def run_fails(self, status=1):
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        return self.flowrun("pipeline.json", "--out", "run", status=status).stderr

    def ledgers(self, out):
        return [line["ledger"] for line in self.metrics(out)]

    def batches(self, *args, **options):
        before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        batches = flowrun.open("pipeline.json", *args, arrays="numpy", **{"threads": 2, **options})
        self.addCleanup(batches.close)
        return batches


class Samples(Nodes):
    def test_equal_on_any_number_of_threads_and_ranks(self):
        self.code(NOISE)
        self.write(self.pipeline())
        for threads in (1, 3):
            self.flowrun("pipeline.json", "--out", f"run{threads}", "--threads", threads)
        self.assertEqual(self.ledgers("run1"), self.ledgers("run3"))
        self.flowrun("pipeline.json", "--out", "serial", "--serial")
        self.assertEqual(self.ledgers("run1"), self.ledgers("serial"))
        for process in self.ranks(2, "pipeline.json", "--out", "ranks"):
            self.assertEqual(process.wait(), 0, process.communicate())
        self.assertEqual(self.ledgers("run1"), self.ledgers("ranks"))
        # The noise is in the ledger, and in the pictures.
        self.flowrun("pipeline.json", "--out", "other", "--set", "mine.strength=0.3")
        self.assertNotEqual(self.ledgers("run1"), self.ledgers("other"))
        noisy = [batch["image"] for batch in self.batches(until="batch")]
        plain = [batch["image"] for batch in self.batches(until="batch", set={"mine.strength": 0})]
        spread = np.concatenate(noisy).astype(float) - np.concatenate(plain)
        self.assertAlmostEqual(spread[np.concatenate(plain) == 128].std(), 51, delta=3)

    def test_a_run_goes_on_as_if_it_had_never_stopped(self):
        self.code(NOISE)
        self.write(self.pipeline(base=support.training_pipeline(epochs=2)))
        self.flowrun("pipeline.json", "--out", "whole")
        self.flowrun("pipeline.json", "--out", "halves", "--set", "run.steps=4")
        self.flowrun("pipeline.json", "--out", "halves", "--resume")
        self.assertEqual([line["loss"] for line in self.metrics("whole")], [line["loss"] for line in self.metrics("halves")])
        weights = [next((self.folder / out / "checkpoints").glob("*8/student.safetensors")).read_bytes() for out in ("whole", "halves")]
        self.assertEqual(*weights)

    def test_numbers_are_addressed(self):
        self.code('''
@flowrun.node("test.noise")
def show(image: flowrun.Image, *, rng, sample) -> flowrun.Image:
    """Writes down what it is given."""
    with open("seen.txt", "a") as out:
        out.write(f"{sample.epoch} {sample.index} {rng.bit_generator.state['state']['key'].tolist()} {rng.integers(1 << 62)}\\n")
    return image
''')
        self.write(self.pipeline(base=support.data_pipeline(epochs=2)))
        self.flowrun("pipeline.json", "--out", "run")
        lines = (self.folder / "seen.txt").read_text().splitlines()
        places = {tuple(line.split()[:2]) for line in lines}
        self.assertEqual((len(places), len({line.split()[-1] for line in lines})), (128, 128))
        self.assertEqual(len({line.split("[")[1].split("]")[0] for line in lines}), 1)
        self.assertTrue(lines[0].split("[")[1].startswith("3,"), lines[0])  # the run's seed

    def test_help_schema_and_checks_know_it(self):
        self.code(NOISE.replace("rng)", 'kind: Literal["a", "b"] = "a", sizes: list[int] = [1, 2], rng)'))
        help = self.flowrun("help", self.family + "noise", "--plugin", "mine.py").stdout
        for word in ("Adds noise.", "strength", "How much.", "0 to 1", '"a"', "list of integers", "out"):
            self.assertIn(word, help)
        schema = self.flowrun("schema", "--plugin", "mine.py").stdout
        self.assertIn(self.family + "noise", schema)
        self.assertIn("pipeline.json:", self.fails(status=2, strength=2))
        self.assertIn("strength must be between 0 and 1", (self.fails(status=2, strength=2)))
        self.assertIn('did you mean "strength"', self.fails(status=2, strenght=0.1))
        self.assertIn('kind can\'t be "c"', self.fails(status=2, kind="c"))
        self.write(self.pipeline(sizes=[3]))
        self.assertIn("[\n        3\n      ]", self.flowrun("expand", "pipeline.json").stdout)
        wrong = self.pipeline()
        wrong["nodes"]["mine"]["in"] = "files"
        self.write(wrong)
        self.assertIn("bytes", self.flowrun("check", "pipeline.json", status=2).stderr)

    def test_all_types(self):
        self.code('''
@flowrun.node("test.all", outputs={"bytes": flowrun.Bytes, "label": flowrun.Label, "caption": flowrun.Caption})
def everything(bytes: flowrun.Bytes, label: flowrun.Label, caption: flowrun.Caption, missing: flowrun.Label | None = None):
    """Passes all on."""
    assert isinstance(bytes, __builtins__["bytes"] if isinstance(__builtins__, dict) else __builtins__.bytes) and isinstance(label, int)
    assert missing is None and caption[0].split()[0] in ("a", "an"), caption
    return bytes, 9 - label, [text.upper() for text in caption]

@flowrun.node("test.half")
def half(region: flowrun.Region) -> flowrun.Region:
    """The left half of each region."""
    return region // [1, 1, 2, 1]

@flowrun.node("test.map", outputs={"image": flowrun.Image, "map": flowrun.LabelMap})
def to_map(image: flowrun.Image):
    """A label map of where it is bright, and the picture made larger."""
    return np.repeat(image, 2, axis=1), (image[:, :, 0] > 100).astype(np.uint8)
''')
        self.write({"plugins": ["mine.py"], "run": {"epochs": 1}, "nodes": {
            "files": {"type": "source.synthetic", "images": 32, "size": 24, "kind": "shapes"},
            "all": {"type": "test.all", "in": {"bytes": "files", "label": "files", "caption": "files"}},
            "crop": {"type": "image.random_crop", "in": "all"}, "half": {"type": "test.half", "in": "crop"},
            "decode": {"type": "image.decode", "in": {"bytes": "all", "region": "half"}},
            "view": {"type": "image.resize", "in": {"image": "decode", "region": "half"}, "size": 16},
            "map": {"type": "test.map", "in": "view"},
            "batch": {"type": "batch.stack", "in": {"image": "map", "label": "all", "label_map": "map"}, "size": 16}}})
        batch = next(iter(self.batches(until="batch")))
        self.assertEqual((batch["image"].shape, batch["label_map"].shape), ((16, 16, 32, 3), (16, 16, 16)))
        self.assertTrue((batch["image"][:, :, ::2, 0] > 100).astype(int).tolist() == batch["label_map"].tolist())
        self.assertEqual(set(batch["label"].tolist()) <= set(range(10)), True)

    def test_views(self):
        self.code(NOISE)
        pipeline = self.pipeline(strength=0)
        pipeline["nodes"]["crop"]["count"] = 2
        del pipeline["nodes"]["mask"], pipeline["nodes"]["sheet"]
        self.write(pipeline)
        batch = next(iter(self.batches(until="batch")))
        self.assertEqual(batch["image"].shape[:2], (8, 2))

    def test_a_class_is_opened_once_in_a_process(self):
        self.code('''
@flowrun.node("test.noise")
class Noise:
    """Counts where it is opened."""
    def __init__(self, level: int = 3):
        self.level = level
        with open("opened.txt", "a") as out:
            out.write(f"{os.getpid()}\\n")
    def __call__(self, image: flowrun.Image) -> flowrun.Image:
        with open("called.txt", "a") as out:
            out.write(f"{os.getpid()}\\n")
        return image // self.level
''')
        self.write(self.pipeline(level=2))
        self.flowrun("pipeline.json", "--out", "run", "--threads", 3)
        opened, called = ((self.folder / name).read_text().split() for name in ("opened.txt", "called.txt"))
        self.assertEqual(len(opened), len(set(opened)))
        self.assertLessEqual(set(called), set(opened))
        self.assertLessEqual(len(opened), 3)
        for process in set(opened):
            support.wait_until(lambda: not pathlib.Path(f"/proc/{process}").exists())
            self.assertFalse(pathlib.Path(f"/proc/{process}").exists(), "a worker outlives the run")

    def test_an_edited_file_is_read_again(self):
        self.code(IDENTITY)
        self.write(self.pipeline("test.identity"))
        before = next(iter(self.batches(until="batch")))["image"].copy()
        self.code(IDENTITY.replace("return image", "return 255 - image"))
        after = next(iter(self.batches(until="batch")))["image"]
        self.assertTrue((after == 255 - before).all())
        self.code(IDENTITY.replace("identity(image: flowrun.Image)", "identity(image: flowrun.Image, *, more: int = 1)"))
        self.assertEqual(len(list(self.batches(until="batch", set={"mine.more": 2}))), 8)


class Masks(Nodes):
    def masks(self, text, **params):
        self.code(text)
        pipeline = support.data_pipeline(epochs=1)
        pipeline["plugins"] = ["mine.py"]
        pipeline["nodes"]["mask"] = {"type": "test.mask", "in": "batch", "patch": 4, **params}
        self.write(pipeline)
        return pipeline

    def test_a_map(self):
        self.masks('''
@flowrun.mask("test.mask")
def mine(images: int, grid: int, *, ratio: Annotated[float, flowrun.Range(0, 1)] = 0.5, rng):
    """Random patches."""
    return rng.permuted(np.tile(np.arange(grid * grid) < ratio * grid * grid, (images, 1)), axis=1)
''', ratio=0.75)
        for threads in (1, 3):
            self.flowrun("pipeline.json", "--out", f"run{threads}", "--threads", threads)
        self.assertEqual(self.ledgers("run1"), self.ledgers("run3"))
        for batch in self.batches(until="mask"):
            visible, targets = batch["mask"]["visible"], batch["mask"]["targets"]
            self.assertEqual((visible.shape, targets.shape), ((8, 9), (8, 1, 27)))
            for row in range(8):
                self.assertEqual(sorted([*visible[row], *targets[row, 0]]), list(range(36)))
        self.assertRegex(self.flowrun("mask-report", "pipeline.json").stdout, r"seen +0.250 +0.000")

    def test_lists_with_regions(self):
        self.masks('''
@flowrun.mask("test.mask")
def mine(images: int, grid: int):
    """Two regions of the same patches for all."""
    return flowrun.Masks(visible=np.tile([0, 1, 2], (images, 1)), targets=np.tile([[5, 6], [7, 8]], (images, 1, 1)))
''')
        batch = next(iter(self.batches(until="mask")))
        self.assertEqual(batch["mask"]["targets"].tolist(), [[[5, 6], [7, 8]]] * 8)
        self.assertEqual(batch["mask"]["visible"].tolist(), [[0, 1, 2]] * 8)

    def test_what_is_wrong_is_said(self):
        whole = '@flowrun.mask("test.mask")\ndef mine(images: int, grid: int):\n    """Mine."""\n    return '
        for code, message in (("np.zeros((images, grid))", "a mask function returns bool, 8 x 36, not float64 of shape (8, 6)"),
                              ("np.ones((images, grid * grid), bool)", "an image has no visible patch left"),
                              ("flowrun.Masks(np.tile([36], (images, 1)), np.tile([[1]], (images, 1, 1)))", "patches outside of 0 to 35")):
            with self.subTest(code):
                self.masks(whole + code + "\n")
                self.assertIn(message, self.run_fails())


class Sources(Nodes):
    TEXT = '''
@flowrun.source("test.source")
class Gray:
    """Gray pictures."""
    classes = ["dark", "bright"]
    def __init__(self, images: int = 32):
        self.labels = [i % 2 for i in range(images)]
    def __len__(self):
        return len(self.labels)
    def __getitem__(self, index) -> flowrun.Image:
        return np.full((24, 24, 3), 100 * self.labels[index] + index, np.uint8)
    def key(self, index):
        return f"gray {index}"
'''

    def source(self, text=TEXT, **params):
        self.code(text)
        self.write({"plugins": ["mine.py"], "run": {"epochs": 1}, "nodes": {
            "files": {"type": "test.source", **params},
            "batch": {"type": "batch.stack", "in": {"image": "files", "label": "files.label"}, "size": 16},
            "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 step", "tensorboard": False}}})

    def test_pictures_and_labels(self):
        self.source()
        batches = self.batches(until="batch")
        seen = {}
        for batch in batches:
            seen |= dict(zip(batch["image"][:, 0, 0, 0].tolist(), batch["label"].tolist()))
        self.assertEqual(seen, {100 * (i % 2) + i: i % 2 for i in range(32)})
        self.assertEqual(batches.classes, ["dark", "bright"])

    def test_changed_data_are_noticed(self):
        self.source()
        self.flowrun("pipeline.json", "--out", "run", "--set", "run.steps=1")
        data = json.loads((self.folder / "run/data.json").read_text())
        self.assertIn('"count": 32', json.dumps(data))
        self.source(self.TEXT.replace('"gray {index}"', '"grey {index}"'))
        self.assertIn("data", self.flowrun("pipeline.json", "--out", "run", "--resume", status=2).stderr)

    def test_what_is_wrong_is_said(self):
        for text, message in ((self.TEXT.replace("i % 2 for i", "i % 3 for i"), "labels are 0 to 2, but there are 2 classes"),
                              (self.TEXT.replace("len(self.labels)", "40"), "there are 32 labels for 40 samples"),
                              (self.TEXT.replace("100 * self", "bad * self"), "gray")):
            with self.subTest(message):
                self.source(text)
                self.assertIn(message, self.run_fails())


class Faults(Nodes):
    def test_an_error_has_its_place(self):
        self.code(NOISE.replace("return np.clip", "image.nothing\n    return np.clip"))
        self.assertRegex(self.fails(), r"mine: .*AttributeError: 'numpy.ndarray' object has no attribute 'nothing'\n\s*\S*mine.py:9 in noise: image.nothing")

    def test_bad_samples_are_replaced(self):
        self.code(NOISE.replace("return np.clip", 'if rng.random() < 0.05:\n        raise flowrun.BadSample("too dark")\n    return np.clip'))
        self.write(self.pipeline(base=support.data_pipeline(epochs=1, max_bad=20)))
        self.flowrun("pipeline.json", "--out", "run")
        self.assertIn("too dark", (self.folder / "run/quarantine.jsonl").read_text())
        self.write(self.pipeline(base=support.data_pipeline(epochs=1, max_bad=0)))
        self.assertIn("too dark", self.flowrun("pipeline.json", "--out", "none", status=1).stderr)

    def test_results_of_a_wrong_type(self):
        for result, message in (("image / 2", "an image is uint8, not float64: round and clip it first"), ("image[0]", "an image is H W C, or V H W C of several views"),
                                ("None", "an image is uint8, not object")):
            with self.subTest(result):
                self.code(IDENTITY.replace("return image", f"return {result}"))
                self.assertIn(message, self.fails(type="test.identity"))

    def test_a_process_that_dies(self):
        self.code(IDENTITY.replace("return image", "os.kill(os.getpid(), 9)"))
        self.assertRegex(self.fails(type="test.identity"), r"the Python process of \S*mine.py was ended by signal 9 \(Killed\)")
        self.code(IDENTITY.replace("return image", "os._exit(3)"))
        self.assertIn("ended with status 3", self.fails(type="test.identity"))

    def test_declarations(self):
        for code, message in (
                ("x = (", "SyntaxError: '(' was never closed"), ("import nothing_here", "No module named 'nothing_here'"), ("", "the file declares no node"),
                ("raise SystemExit(0)", "SystemExit"),
                (IDENTITY.replace("image: flowrun.Image", "image"), "the input image is annotated as nothing; it must be one of flowrun.Image"),
                (IDENTITY.replace("-> flowrun.Image", "-> int"), "the result is annotated as int"),
                (IDENTITY.replace("image: flowrun.Image", "image: flowrun.Image, *, path: dict"), "the parameter path is annotated as dict"),
                (IDENTITY.replace('"""Changes nothing."""', "pass"), "say in a docstring what it does"),
                (IDENTITY.replace("test.identity", "identity"), "a type is called family.name"),
                (IDENTITY.replace("test.identity", "image.resize"), "it defines the type image.resize, which exists already")):
            with self.subTest(message):
                self.code(code)
                error = self.fails(status=2, type="test.identity")
                self.assertIn(message, error)
                self.assertIn("pipeline.json:", error)

    def test_interpreters(self):
        self.code(IDENTITY)
        self.write(self.pipeline("test.identity"))
        for python, message in (("/no/python", "/no/python can't be started: No such file or directory; FLOWRUN_PYTHON names"), ("false", "ended with status 1")):
            error = self.flowrun("check", "pipeline.json", status=2, env={**os.environ, "FLOWRUN_PYTHON": python}).stderr
            self.assertIn(message, error)
        bare = {**os.environ, "FLOWRUN_PYTHON": "python3", "PYTHONPATH": str(self.folder)}
        (self.folder / "numpy.py").write_text("raise ImportError('none here')")
        self.assertIn("nodes in Python need numpy", self.flowrun("check", "pipeline.json", status=2, env=bare).stderr)

    def test_a_run_s_folder_is_not_trusted(self):
        self.code(IDENTITY)
        self.write(self.pipeline("test.identity"))
        self.flowrun("pipeline.json", "--out", "run", "--set", "run.steps=1")
        self.assertIn("--trust", self.flowrun("check", "run/pipeline.resolved.json", status=2).stderr)
        self.flowrun("check", "run/pipeline.resolved.json", "--trust")

    def test_prints_do_not_mix_with_the_program_s_output(self):
        self.code('print("from the file")\n' + IDENTITY)
        self.write(self.pipeline("test.identity"))
        done = self.flowrun("expand", "pipeline.json")
        json.loads(done.stdout)
        self.assertIn("from the file", done.stderr)


class Examples(Nodes):
    def test_the_page_s_code_runs(self):
        page = (support.ROOT / "docs/python.md").read_text()
        self.code("\n".join(re.findall(r"^```python node\n(.*?)^```", page, re.M | re.S)))
        pipeline = self.pipeline("image.noise", **{"strength": 0.05})
        pipeline["nodes"]["mask"] = {"type": "mask.checkers", "in": "batch", "patch": 4}
        self.write(pipeline)
        self.assertEqual(next(iter(self.batches(until="mask")))["mask"]["targets"].shape, (8, 1, 18))

    def test_the_example_runs(self):
        example = support.ROOT / "examples/python_node/pipeline.json"
        self.flowrun(example, "--out", "run", "--set", "files.images=160")
        with Image.open(self.folder / "run/contact_sheet.png") as sheet:
            self.assertEqual(sheet.mode, "RGB")
        self.write({"plugins": [str(example.parent / "nodes.py")], "run": {"epochs": 1}, "nodes": {
            "files": {"type": "example.gradients", "images": 8}, "batch": {"type": "batch.stack", "in": {"image": "files", "label": "files.label"}, "size": 8}}})
        batch = next(iter(self.batches(until="batch")))
        right = batch["image"][batch["label"] == 0].astype(int)
        self.assertTrue((right[:, :, 1:] >= right[:, :, :-1]).all() and (right[:, 1:] == right[:, :-1]).all())


if __name__ == "__main__":
    unittest.main()
