"""flowrun look: a page of principal components, similarities, attention and neighbours, recomputed from flowrun embed's features."""
import base64
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import numpy as np
from PIL import Image

import support
import test_embed
import test_report

COUNT, NEAR, GRID = 7, 4, 6


def colours(tokens):
    """NumPy's principal components of N D as N 3, as the page colours them; and their shares of the variance."""
    x = tokens.astype(np.float64)
    centred = x - x.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    components = vectors[:, ::-1][:, :3].T
    largest = np.abs(components).argmax(1)
    components *= np.sign(components[np.arange(3), largest])[:, None]
    places = centred @ components.T
    low, high = np.percentile(places, [1, 99], axis=0)
    return 255 * np.clip((places - low) / (high - low), 0, 1), values[::-1][:3] / values.sum()


def picture(src):
    return pixels(io.BytesIO(base64.b64decode(src.removeprefix("data:image/png;base64,"))))


def pixels(file):
    with Image.open(file) as opened:
        return np.asarray(opened)


class Look(support.Folder):
    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="flowrun-look-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.data, cls.run_folder = cls.shared / "data", cls.shared / "run"
        test_embed.draw(cls.data, 30)
        cls.paths = sorted(cls.data.rglob("*.jpg"))
        cls.rows = [i * len(cls.paths) // COUNT for i in range(COUNT)]
        (cls.shared / "pretrain.json").write_text(json.dumps(test_embed.pretraining(cls.data)))
        subprocess.run([support.FLOWRUN, "pretrain.json", "--out", "run", "--quiet"], cwd=cls.shared, check=True, capture_output=True)

    def look(self, out="look.html", *more, weights=None, data=None, **options):
        return self.flowrun("look", weights or self.run_folder, data or self.data, "-o", out, "--count", COUNT, "--neighbours", NEAR,
                            "--set", "run.intra_op=1", *more, **options)

    def features(self, what):
        self.flowrun("embed", self.run_folder, self.data, f"{what}.npy", "--what", what, "--set", "run.intra_op=1")
        return np.load(self.folder / f"{what}.npy")

    def page(self, path="look.html"):
        """Its words, figures (inside, caption), and the numbers of its script."""
        text = (self.folder / path).read_text()
        page = test_report.Page(text)
        self.assertEqual(page.faults, [])
        self.assertEqual(re.findall(r"url\(|@import|fetch\(|import\(|https?://", text), [])
        page.text = " ".join(" ".join(page.words).split())
        page.numbers = json.loads(re.search(r"const look = (\{.*?\});</script>", text)[1])
        cards = re.findall(r'<section class="card">(.*?)</section>', text, re.S)
        page.cards = []
        for card in cards:
            part = {name: re.search(rf'<div class="{name}">(.*?)</div>(?=\n<div class="row|\n?<h4|\n?$)', card, re.S) for name in ("three", "row heads", "row near")}
            images = {name: [picture(src) for src in re.findall(r'src="([^"]*)"', found[1])] if found else [] for name, found in part.items()}
            captions = {name: [re.sub("<[^>]*>", "", words) for words in re.findall(r"<figcaption>(.*?)</figcaption>", found[1])] if found else [] for name, found in part.items()}
            page.cards.append((images, captions))
        return page

    def test_the_page_is_what_numpy_makes_of_the_features(self):
        said = self.look().stdout
        self.assertIn(f"look.html: {COUNT} of 30 pictures", said)
        page = self.page()
        tokens, mean = self.features("tokens")[:, 2:], self.features("mean")
        shown = tokens[self.rows].reshape(-1, 24)
        expected, share = colours(shown)
        self.assertIn("They hold {:.0f} %, {:.0f} % and {:.0f} % of the variance".format(*(100 * share)), page.text)
        self.assertEqual(len(page.cards), COUNT)
        similarity = (mean / np.linalg.norm(mean, axis=1, keepdims=True)) @ (mean / np.linalg.norm(mean, axis=1, keepdims=True)).T
        same = 0
        for n, (row, (images, captions)) in enumerate(zip(self.rows, page.cards)):
            view, components = images["three"]
            np.testing.assert_allclose(view, test_embed.view(self.paths[row]), atol=0)
            np.testing.assert_allclose(components.reshape(-1, 3), expected.reshape(COUNT, -1, 3)[n], atol=0.6)
            self.assertEqual(captions["three"], ["view", "principal components", "similarity to the chosen patch"])
            near = [i for i in np.argsort(-similarity[row], kind="stable") if i != row][:NEAR]
            # Neighbours that are equally near to the last digits may change places.
            np.testing.assert_allclose([float(words.split()[0]) for words in captions["row near"]], similarity[row][near], atol=6e-4)
            self.assertEqual(len(captions["row near"]), NEAR)
            for words, found in zip(captions["row near"], images["row near"]):
                close = [i for i in range(30) if np.array_equal(found, test_embed.view(self.paths[i]))]
                self.assertEqual(len(close), 1)
                self.assertAlmostEqual(similarity[row][close[0]], float(words.split()[0]), delta=6e-4)
                self.assertEqual(words.split()[1], self.paths[close[0]].parent.name)
                same += self.paths[close[0]].parent == self.paths[row].parent
        self.assertIn(f"{same} of the {COUNT * NEAR} shown have the class of their picture", page.text)
        # The script's cosines are as exact as the page says.
        codes = np.frombuffer(base64.b64decode(page.numbers["codes"]), np.int8).reshape(len(shown), page.numbers["width"]).astype(np.float64)
        unit = shown / np.linalg.norm(shown, axis=1, keepdims=True)
        error = np.abs(page.numbers["scale"] ** 2 * codes @ codes.T - unit @ unit.T)
        said = re.search(r"over (\d+) patches against all it is wrong by ([\d.]+) in the mean and by ([\d.]+) at most", page.text)
        self.assertEqual(int(said[1]), len(shown))
        self.assertAlmostEqual(float(said[2]), error.mean(), delta=6e-4)
        self.assertAlmostEqual(float(said[3]), error.max(), delta=6e-4)
        self.assertLess(error.max(), 0.03)

    def test_attention_is_timms(self):
        import torch
        from safetensors.torch import load_file
        from timm.models.vision_transformer import VisionTransformer

        self.look()
        page = self.page()
        self.flowrun("export", self.run_folder, "teacher.safetensors")
        model = VisionTransformer(img_size=24, patch_size=4, embed_dim=24, depth=2, num_heads=2, class_token=True, reg_tokens=1, no_embed_class=True, num_classes=0)
        model.load_state_dict(load_file(self.folder / "teacher.safetensors"), strict=True)
        pixels = np.stack([(test_embed.view(self.paths[row]) / 255 - test_embed.MEAN) / test_embed.STD for row in self.rows]).astype(np.float32)
        taken = {}
        block = model.eval().blocks[1].attn
        block.qkv.register_forward_hook(lambda module, inputs, output: taken.update(qkv=output))
        with torch.no_grad():
            model(torch.from_numpy(pixels).permute(0, 3, 1, 2))
            query, key, _ = taken["qkv"].reshape(COUNT, 2 + GRID * GRID, 3, 2, 12).permute(2, 0, 3, 1, 4)
            attention = (query[:, :, :1] @ key.transpose(-1, -2) / 12**0.5).softmax(-1)[:, :, 0, 2:].numpy()
        for of_picture, (images, captions) in zip(attention, page.cards):
            self.assertEqual(captions["row heads"], [f"{h + 1}: {100 * values.sum():.0f} %" for h, values in enumerate(of_picture)])
            for values, gray in zip(of_picture, images["row heads"]):
                np.testing.assert_allclose(gray.reshape(-1), 255 * values / values.max(), atol=0.7)

    def test_again_it_is_the_same_file(self):
        self.look("a.html", "--threads", 1)
        self.look("b.html", "--threads", 3)
        self.assertEqual((self.folder / "a.html").read_bytes(), (self.folder / "b.html").read_bytes())
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["a.html", "b.html"], "nothing else is left")
        facts = json.loads(self.look("a.html", "--json", "--no-labels").stdout)
        self.assertEqual(facts, {"out": "a.html", "pictures": COUNT, "of": 30, "grid": GRID, "bad": 0})
        self.assertNotIn("have the class of their picture", self.page("a.html").text)

    def test_files_that_can_not_be_decoded_are_left_out(self):
        shutil.copytree(self.data, self.folder / "data")
        broken = self.folder / "data" / self.paths[0].relative_to(self.data)
        broken.write_bytes(b"no picture at all")
        self.assertIn("1 file can't be decoded, and is left out", self.look(data="data").stdout)
        page = self.page()
        self.assertIn("1 file can't be decoded, and is left out", page.text)
        self.assertNotIn(broken.name, page.text)
        self.assertTrue(page.text.count("of 29 pictures"))

    def test_what_an_encoder_has_no_attention_of(self):
        pipeline = support.training_pipeline(epochs=1)
        pipeline["models"]["student"]["class_token"] = False
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "run", "--quiet")
        self.look(weights="run")
        page = self.page()
        self.assertIn("The encoder has no class token, whose attention could be shown.", page.text)
        self.assertEqual(page.cards[0][0]["row heads"], [])
        self.assertEqual(len(page.cards[0][0]["three"]), 2)

    def test_what_it_says_and_does(self):
        done = self.look()
        self.assertEqual(done.stderr.count("matched 30 of 30 parameters"), 1, done.stderr)
        passes = [(int(some), int(all)) for some, all in re.findall(r"evaluating: (\d+) of (\d+) images", done.stderr)]
        self.assertEqual((passes[0][1], passes[-1][1]), (30, COUNT), "only the pictures shown pass the encoder again")

    def test_views_that_are_no_squares_are_refused_before_the_work(self):
        self.write({"seed": 0, "run": {"device": "cpu", "precision": "fp32", "intra_op": 1, "steps": 1, "epochs": 1},
                    "models": {"student": {"type": "model.resnet", "arch": 8, "width": 8, "stem_width": 0}, "head": {"type": "model.head", "of": "student", "layers": [10]}},
                    "nodes": {"files": {"type": "source.synthetic", "images": 16, "size": 32}, "decode": {"type": "image.decode", "in": "files"},
                              "batch": {"type": "batch.stack", "in": {"image": "decode", "label": "files"}, "size": 8}, "upload": {"type": "device.upload", "in": "batch.*"},
                              "encode": {"type": "encode.images", "in": "upload.image", "model": "student", "pool": "mean"},
                              "scores": {"type": "head.apply", "in": "encode", "model": "head"},
                              "loss": {"type": "loss.cross_entropy", "in": {"logits": "scores", "label": "upload"}},
                              "update": {"type": "train.sgd", "in": "loss", "models": ["student", "head"], "lr": {"start": 0.01, "max": 0.01, "final": 0.01}},
                              "save": {"type": "report.checkpoint", "after": "update"},
                              "pictures": {"type": "source.folder", "path": str(self.data)}, "open": {"type": "image.decode", "in": "pictures"},
                              "smaller": {"type": "image.resize", "in": "open", "size": 27, "fit": "shortest"},
                              "one": {"type": "batch.stack", "in": {"image": "smaller"}, "size": 1}, "shown": {"type": "device.upload", "in": "one.*"},
                              "features": {"type": "eval.features", "in": "shown", "model": "student", "pool": "mean"},
                              "rows": {"type": "eval.rows", "in": {"features": "features", "ids": "one"}, "file": "rows.npy"}}})
        self.flowrun("pipeline.json", "--out", "run", "--quiet")
        done = self.look(weights="run", status=1)
        self.assertRegex(done.stderr, r"flowrun look needs square pictures, and those that run/checkpoints/step-1/student.safetensors sees are not square")
        self.assertNotIn("as features of the run sees pictures", done.stderr, "before the encoder is run")

    def test_refusals(self):
        for words, status, said in ((["nowhere", self.data], 1, "there is no nowhere"),
                                    ([self.run_folder, self.data, "-o", "nowhere/look.html"], 2, "there is no folder nowhere for nowhere/look.html"),
                                    ([self.run_folder, self.data, "--step", 9], 2, "has no checkpoint of step 9")):
            self.assertIn(said, self.flowrun("look", *words, status=status).stderr)
        self.assertIn("flowrun look runs in one process", self.flowrun(
            "look", self.run_folder, self.data, status=2,
            env={**os.environ, "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}).stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    @unittest.skipUnless(test_report.BROWSER, "no browser: chromium is not installed")
    def test_in_a_browser(self):
        self.look()
        for scheme, paper in (("1", (255, 255, 255)), ("0", (0x17, 0x18, 0x1B))):
            seen = test_report.screenshot(self.folder / "look.html", self.folder, scheme)
            self.assertEqual(seen.getpixel((3, 3)), paper)
            drawn = {colour for _, colour in seen.getcolors(1 << 24)}
            self.assertIn((0xFD, 0xE7, 0x25), drawn, "the chosen patch has the cosine 1")
            self.assertIn((0x44, 0x01, 0x54), drawn, "the least similar patch is the darkest")


class ReportFeatures(support.Folder):
    """The node report.features: the same pictures after several steps of a run."""

    def pipeline(self, **params):
        pipeline = support.training_pipeline(epochs=3)
        pipeline["nodes"] |= support.frozen_streams(train=30, test=30)
        pipeline["nodes"] |= {"unseen_tokens": {"type": "eval.tokens", "in": {"image": "unseen_upload"}, "model": "teacher"},
                              "features": {"type": "report.features", "in": {"tokens": "unseen_tokens", "image": "unseen_batch"}, "at": ["start", "1 epoch"], **params}}
        pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [5]}
        pipeline["nodes"]["save"] |= {"every": "1 epoch", "keep": 9}
        return pipeline

    def trained(self, out="run", **params):
        self.write(self.pipeline(**params))
        self.flowrun("pipeline.json", "--out", out, "--quiet")

    def steps(self, out="run", name=""):
        from safetensors.numpy import load_file

        files = {int(path.stem.removeprefix(f"{name}step-")): path for path in (self.folder / out / "features").glob(f"{name}step-*.safetensors")}
        return {step: load_file(files[step])["patches"] for step in sorted(files)}

    def test_the_picture_is_what_numpy_makes_of_the_files(self):
        self.trained(side=12)
        steps = self.steps()
        self.assertEqual(list(steps), [0, 4, 8, 12])
        newest = steps[12].astype(np.float64)
        self.assertEqual((newest.shape, steps[12].dtype), ((8, 36, 24), np.float16))
        self.assertFalse(np.array_equal(steps[0], steps[12]))
        # One basis, that of the newest step.
        flat = newest.reshape(-1, 24)
        _, vectors = np.linalg.eigh(np.cov(flat.T))
        components = vectors[:, ::-1][:, :3].T
        components *= np.sign(components[np.arange(3), np.abs(components).argmax(1)])[:, None]
        low, high = np.percentile((flat - flat.mean(0)) @ components.T, [1, 99], axis=0)
        drawn = pixels(self.folder / "run/features.png")
        tile, gutter = 12, 6
        self.assertEqual(drawn.shape, (gutter + 8 * (tile + gutter), gutter + 5 * (tile + gutter), 3))
        for column, tokens in enumerate(steps.values(), 1):
            expected = 255 * np.clip(((tokens.astype(np.float64) - flat.mean(0)) @ components.T - low) / (high - low), 0, 1)
            for row in range(8):
                top, left = (gutter + i * (tile + gutter) for i in (row, column))
                np.testing.assert_allclose(drawn[top:top + tile:2, left:left + tile:2].reshape(-1, 3), expected[row], atol=0.6)
        words = test_report.Page((self.folder / "run/report.html").read_text()).words
        self.assertIn("Drawn by features: patches of the first pictures, a row for each. From the left: the picture; then the first three principal components of its "
                      "patches as red, green and blue, after the steps 0, 4, 8, 12. All have the basis of the newest step: equal colours mean similar features.", words)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(self.folder / "run"), size_guidance={"images": 0})
        events.Reload()
        images = events.Images("features")
        self.assertEqual([image.step for image in images], [0, 4, 8, 12])
        self.assertEqual(images[-1].encoded_image_string, (self.folder / "run/features.png").read_bytes())

    def test_columns_are_spread(self):
        self.trained(columns=3, count=2, file="few.png", side=12)
        self.assertEqual(list(self.steps(name="few-")), [0, 4, 8, 12])
        self.assertEqual(pixels(self.folder / "run/few.png").shape, (6 + 2 * 18, 6 + 4 * 18, 3))
        self.assertIn("after the steps 0, 4, 12.", (self.folder / "run/report.html").read_text())

    def test_ranks_and_resumes_change_no_byte(self):
        self.trained(count=20)
        whole = {path.name: path.read_bytes() for path in [*(self.folder / "run/features").iterdir(), self.folder / "run/features.png"]}
        self.assertEqual(len(whole), 5)
        # Without what came after step 4; with a file of a step that is undone.
        run = self.folder / "run"
        for step in (8, 12):
            shutil.rmtree(run / f"checkpoints/step-{step}")
        shutil.copy(run / "features/step-12.safetensors", run / "features/step-11.safetensors")
        self.flowrun("pipeline.json", "--out", "run", "--resume", "--quiet")
        self.assertEqual({path.name: path.read_bytes() for path in [*(run / "features").iterdir(), run / "features.png"]}, whole)
        self.ended(self.ranks(2, "pipeline.json", "--out", "two", "--quiet"))
        before, two = self.steps(), self.steps("two")
        self.assertEqual(list(two), list(before))
        for step, patches in two.items():
            np.testing.assert_allclose(patches.astype(np.float32), before[step].astype(np.float32), atol=4e-3)
        self.assertEqual(pixels(self.folder / "two/features.png").shape, pixels(run / "features.png").shape)

    def test_two_of_one_name_are_refused(self):
        pipeline = self.pipeline()
        pipeline["nodes"]["other"] = {"type": "report.features", "in": {"tokens": "unseen_tokens"}, "at": ["start"]}
        self.write(pipeline)
        err = self.flowrun("pipeline.json", "--out", "run", status=2).stderr
        self.assertRegex(err, r'error: (features|other): (features|other) writes features.png, too\n(.*\n)+  give one of them another "file"')
        pipeline["nodes"]["other"]["file"] = "other/features.png"
        self.write(pipeline)
        self.assertIn("file must be a name that ends in .png, without a folder", self.flowrun("check", "pipeline.json", status=2).stderr)


if __name__ == "__main__":
    unittest.main()
