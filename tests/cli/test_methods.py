"""Methods beside those of the paper: the files of pipelines/methods, pipelines/compare/shapes and twins, their resume, several ranks, and their faults."""
import io
import json
import subprocess
import sys
import tarfile
import unittest

import numpy as np
import safetensors.numpy
from PIL import Image

import support

METHODS = support.ROOT / "pipelines/methods"
SHAPES = support.ROOT / "pipelines/compare/shapes"
TWINS = support.ROOT / "pipelines/compare/twins"
SMALL = ["let.images=256", "let.batch=32", "let.group=16", "known.images=60", "unseen.images=60", "known_features.batch=30", "unseen_features.batch=30",
         "run.epochs=1", "run.intra_op=1", "metrics.every=1 step", "save.every=2 steps", "knn.at=end", "linear.at=end"]


def settings(*more):
    return [part for text in [*SMALL, *more] for part in ("--set", text)]


PRETEXT = ("rotnet", "jigsaw", "colorization")


def few_asked(name):
    """Fewer pictures of which a pretext task's own question is asked."""
    return ["asked.images=60", "asked_batch.size=30"] if name in PRETEXT else []


def shapes(folder=SHAPES):
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("_"))


def methods():
    """beit_tokens.json fits codes and has no loss; beit.json needs them."""
    return sorted(path for path in METHODS.rglob("*.json") if not path.name.startswith("_") and path.stem != "beit_tokens")


def tiny(resolved):
    """Changes that make a published file run in seconds: the same nodes at another size."""
    sets = ["let.size=32", "run.steps=2", "run.intra_op=1", "run.memory_mib=64", "run.precision=fp32", "metrics.every=1 step", "update.warmup_epochs=0"]
    if "knn" in resolved["nodes"]:
        sets += ["let.path=data", "let.resize=36", "let.batch=8", "let.group=4", "let.patch=8", "knn.k=[3]"]
    elif resolved["nodes"]["files"]["type"] == "source.grids":
        sets[0] = "let.size=4"
        sets += ["let.path=grids", "let.batch=8", "let.group=4", "let.channels=5"]
    elif "zero_shot" in resolved["nodes"]:
        sets += ["let.path=captions", "let.judged=data/val", "let.names=captions/names.txt", "let.vocabulary=captions/merges.txt", "let.resize=36", "let.batch=8", "let.group=4",
                 "let.context=40", "let.width=16"] + (["zero_shot.templates_file=captions/templates.txt"] if resolved["nodes"]["zero_shot"]["templates_file"] else [])
    else:  # of pipelines/paper, whose evaluations are files of their own
        sets += ["files.path=data/train", "batch.size=8", "batch.group=4", "let.patch=8"]
    sets += ["let.splits=2"] if resolved["nodes"].get("key_seen") else []
    grids = resolved["nodes"]["files"]["type"] == "source.grids"
    sets += [f"let.small={2 if grids else 16}"] if "small" in str(list(resolved["nodes"])) else []
    masked = "hidden" in resolved["nodes"]
    for name, node in resolved["nodes"].items():
        if node["type"] == "mask.blockwise":
            sets += [f"{name}.min_block=2"] + ([f"{name}.count=6"] if node["count"] else [])
        elif node["type"] == "mask.ijepa_compat":
            sets += [f"{name}.min_keep=1", f"{name}.size=[0.3, 0.4]", f"{name}.regions=1"]
        elif node["type"] == "mask.units":
            sets += [f"{name}.unit=16"]
        elif node["type"] == "mim.hidden_targets":
            sets += [f"{name}.blocks=[1]"]
        elif node["type"] == "image.tiles":
            sets += [f"{name}.cell=12", f"{name}.tile=8", f"{name}.permutations=12"]
        elif node["type"] == "encode.images" and node["blocks"]:
            sets += [f"{name}.blocks=[1]"]
        elif node["type"] == "image.matches":
            sets += [f"{name}.from_grid={2 if 'small' in name else 4}", f"{name}.to_grid=4", f"{name}.window={1 if 'small' in name else 2}"]
        elif node["type"] == "vectors.queued":
            sets += [f"{name}.from=0"]
        elif node["type"] == "pretext.lab":
            sets += [f"{name}.bin=30", f"{name}.stride=4"]
    if "tiles" in resolved["nodes"]:
        sets += ["resize.size=36", "asked_view.size=36"]
    for name, model in resolved["models"].items():
        if model["type"] == "model.vit":
            sets += [f"{name}.depth=1", f"{name}.width=24", f"{name}.heads=2", f"{name}.patch={1 if grids else 8}"]
        elif model["type"] == "model.resnet":
            sets += [f"{name}.arch=8", f"{name}.width=4"] + ([f"{name}.strides=[1, 2, 2]"] if model["strides"] else [])
        elif model["type"] == "model.convnet":
            sets += [f'{name}.layers=["conv 4 3 2", "pool 2 2", "linear 8"]' if model["arch"] == "alexnet" else f'{name}.layers=["conv 4 5", "average 3 2 1", "conv 4 1"]']
        elif model["type"] == "model.text":
            sets += [f"{name}.vocabulary=517", f"{name}.depth=1", f"{name}.width=24", f"{name}.heads=2"]
        elif model["type"] == "model.head" and "zero_shot" not in resolved["nodes"]:
            last = {"painter": 192, "clusters": 20}[name] if name in ("painter", "clusters") else {"mim.pixel_targets": 192, "mim.hog_targets": 27, "mim.hidden_targets": 24}.get(resolved["nodes"].get("targets", {}).get("type"), 16) if masked else 12
            sets += [f"{name}.layers={[12] * (len(model['layers']) - 1) + [last]}"] if model["layers"] else []
            sets += [f"{name}.prototypes=20"] if model["prototypes"] else []
            sets += [f"{name}.squeeze=8"] if model["squeeze"] else []
        elif model["type"] == "model.cross_predictor":
            sets += [f"{name}.depth=1", f"{name}.width=24", f"{name}.heads=2", f"{name}.out=24"]
        elif model["type"] == "model.codebook":
            sets += [f"{name}.codes=16", f"{name}.width=192", f"{name}.weights=codes/checkpoints/step-2/codebook.safetensors"]
        elif model["type"] == "model.predictor":
            sets += [f"{name}.depth=1", f"{name}.width=24", f"{name}.heads=2"] + (["let.blocks=[1]"] if model["blocks"] else [f"{name}.out={3 * 8 * 8}"])
            sets += [f"{name}.visible_out={3 * 8 * 8}"] if model["visible_out"] else []
        elif model["type"] == "model.queue":
            sets += [f"{name}.rows=24"]
        elif model["type"] == "model.counts":
            sets += [f"{name}.classes=54", "head.layers=[54]"]
    return sets


class Methods(support.Folder):
    def losses(self, out):
        return [(line["step"], line["loss"], line["ledger"]) for line in self.metrics(out)]

    def pictures(self):
        """Two classes for training, and for judging."""
        for split, count in (("train", 12), ("val", 6), ("test", 6)):
            for index in range(count):
                path = self.folder / f"data/{split}/c{index % 2}/{index:02}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.random.default_rng(index).integers(0, 255, (40, 48, 3), dtype=np.uint8)).save(path)

    def grids(self):
        """Feature grids of two kinds of numbers; in one some cells hold nothing."""
        for index in range(10):
            draw = np.random.default_rng(index)
            tensors = {"features": draw.normal(size=(6 + index % 3, 7, 5)).astype(np.float16 if index % 2 else np.float32)}
            if index == 3:
                tensors["valid"] = draw.random(tensors["features"].shape[:2]) < 0.5
            (self.folder / "grids").mkdir(exist_ok=True)
            safetensors.numpy.save_file(tensors, self.folder / f"grids/{index}.safetensors")

    def texts(self):
        """Pictures with .txt beside them in a shard, a list of merges, and what the classes are called."""
        (self.folder / "captions").mkdir()
        with tarfile.open(self.folder / "captions/a.tar", "w") as tar:
            for index in range(12):
                picture = (self.folder / f"data/train/c{index % 2}/{index:02}.jpg").read_bytes()
                for ending, content in ((".jpg", picture), (".txt", f"a picture of number {index}".encode())):
                    member = tarfile.TarInfo(f"{index:02}{ending}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
        (self.folder / "captions/merges.txt").write_text("#version: 0.2\np h\no f</w>\na t\n")
        (self.folder / "captions/names.txt").write_text("cat\ndog\n")
        (self.folder / "captions/templates.txt").write_text("a photo of a {}.\na drawing of a {}.\n")
        self.flowrun("index", "captions")

    def test_files_run_two_steps(self):
        self.pictures()
        self.grids()
        self.texts()
        self.fit_codes()
        resolved = {path: json.loads(self.flowrun("expand", path).stdout) for path in methods()}
        taken = support.one_of_each(resolved)
        self.assertGreater(len(taken), 12)
        for path in taken:
            out = f"{path.parent.name}-{path.stem}"
            with self.subTest(out):
                sets = [part for text in tiny(resolved[path]) for part in ("--set", text)]
                self.flowrun(path, *sets, "--out", out, "--quiet")
                self.assertTrue(all(np.isfinite(loss) for _, loss, _ in self.losses(out)))
                for evaluation in ("knn", "zero_shot"):
                    self.assertEqual(evaluation in self.result(out), evaluation in resolved[path]["nodes"])

    def fit_codes(self):
        """The codes for beit.json at tiny size."""
        tokens = ["let.path=data", "let.size=32", "let.patch=8", "let.batch=8", "let.group=4", "run.epochs=2", "run.memory_mib=64", "codebook.codes=16", "codebook.width=192"]
        self.flowrun(METHODS / "masked/beit_tokens.json", *[part for text in tokens for part in ("--set", text)], "--out", "codes", "--quiet")
        book = safetensors.numpy.load_file(self.folder / "codes/checkpoints/step-2/codebook.safetensors")
        self.assertEqual(book["counts"].sum(), 2 * 8 * 4)  # two steps of eight pictures, of whose 16 patches 4 are seen
        self.assertEqual(book["centers"].shape, (16, 192))

    def test_the_table_of_methods_is_rehearsed(self):
        self.pictures()
        command = [sys.executable, support.ROOT / "tools/methods-table", "--cifar10", "data", "--methods", "simclr", "--rehearse", "--out", "table",
                   "--flowrun", support.FLOWRUN, "--set", "projector.layers=[8, 8]"]
        done = subprocess.run(command, cwd=self.folder, text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"\| simclr \| 1 \| \d+\.\d+ \| \d+\.\d+ \| 90.74 \| [+-]\d+\.\d+ \|")
        again = subprocess.run([*command, "--report"], cwd=self.folder, text=True, capture_output=True)
        self.assertEqual(again.stdout.splitlines()[-3:], done.stdout.splitlines()[-3:])

    def test_codes_need_rows_enough(self):
        self.pictures()
        sets = ["let.path=data", "let.size=32", "let.patch=8", "let.batch=8", "let.group=4", "run.steps=2", "codebook.codes=17", "codebook.width=192"]
        said = self.flowrun(METHODS / "masked/beit_tokens.json", *[part for text in sets for part in ("--set", text)], "--out", "codes", "--quiet", status=1).stderr
        self.assertIn("the first group has 16 rows, but codebook has 17 codes: make batch.stack's group larger, or fewer codes", said)

    def test_hidden_patches_on_ranks(self):
        """Also where nothing is hidden in a whole group, so that the mask token has a gradient in some groups only; and codes that are fitted on the way."""
        for name, sets in (("beit", []), ("data2vec_1", ['mask={"type": "mask.blockwise", "in": "batch", "patch": 4, "min_block": 2, "choice": [[0, 0], [0.5, 0]]}'])):
            path = support.ROOT / f"pipelines/compare/textures/{name}.json"
            swap = {"update": {"type": "train.sgd", "in": "loss", "models": ["student", "predictor"], "lr": {"max": 0.02, "final": 0.02}}}
            swap |= {text.partition("=")[0]: json.loads(text.partition("=")[2]) for text in sets}
            self.write({"about": "With SGD", "extends": str(path), "swap": swap}, f"{name}.json")
            tiny = ["files.images=64", "known.images=20", "unseen.images=20", "known_batch.size=10", "unseen_batch.size=10", "batch.size=8", "batch.group=2", "run.steps=6",
                    "run.intra_op=1", "metrics.every=1 step", "save.every=6 steps", "knn.at=end", "linear.at=end"]
            tiny += ["codebook.codes=8"] if name == "beit" else []
            with self.subTest(name):
                for world in (1, 2, 4):
                    args = (f"{name}.json", *[part for text in tiny for part in ("--set", text)], "--out", f"{name}-{world}", "--quiet")
                    self.ended(self.ranks(world, *args))
                for world in (2, 4):
                    one, more = self.losses(f"{name}-1"), self.losses(f"{name}-{world}")
                    self.assertEqual([line[::2] for line in one], [line[::2] for line in more])
                    for (_, mine, _), (_, theirs, _) in zip(one, more):
                        self.assertAlmostEqual(mine, theirs, delta=1e-5 * max(1, abs(mine)))
                    self.same_checkpoints(f"{name}-1", f"{name}-{world}")

    def test_ranks_train_the_same(self):
        some, worlds = ("dino", "ibot", "udi", "byol", "moco_resnet", "colorization"), (2, 4) if support.EVERYTHING else (2,)
        for name in [path.stem for path in shapes()] if support.EVERYTHING else some:
            nodes = json.loads(self.flowrun("expand", SHAPES / f"{name}.json").stdout)["nodes"]
            queue = ["queue.rows=48"] if "queue" in nodes else []
            # Adam would make a step of a gradient that is nothing but rounding.
            self.write({"about": "With SGD", "extends": str(SHAPES / f"{name}.json"),
                        "swap": {"update": {"type": "train.sgd", "in": "loss", "models": nodes["update"]["models"], "lr": {"max": 0.02, "final": 0.02}}}}, f"{name}.json")
            # In others ReLUs flip by rounding, so gradients differ by parts of a thousand after some steps.
            steps, compared = (6, 6) if name in some else (2, 1)
            with self.subTest(name):
                for world in (1, *worlds):
                    sets = settings("let.group=8", f"run.steps={steps}", f"save.every={compared} steps", "save.keep=9", *queue, *few_asked(name))
                    self.ended(self.ranks(world, f"{name}.json", *sets, "--out", f"{name}-{world}", "--quiet"))
                for world in worlds:
                    one, more = self.losses(f"{name}-1"), self.losses(f"{name}-{world}")
                    self.assertEqual([line[::2] for line in one], [line[::2] for line in more])
                    for (_, mine, _), (_, theirs, _) in zip(one, more):
                        self.assertAlmostEqual(mine / theirs, 1, delta=1e-5)
                    self.same_checkpoints(f"{name}-1", f"{name}-{world}", compared)

    def same_checkpoints(self, one, two, step=6):
        files = sorted((self.folder / one / f"checkpoints/step-{step}").glob("*.safetensors"))
        self.assertGreater(len(files), 2)
        for file in files:
            mine = safetensors.numpy.load_file(file)
            theirs = safetensors.numpy.load_file(self.folder / two / f"checkpoints/step-{step}" / file.name)
            self.assertEqual(sorted(mine), sorted(theirs))
            for name, value in mine.items():
                if value.dtype.kind != "f":
                    np.testing.assert_array_equal(value, theirs[name], f"{file.name}: {name}")
                else:
                    np.testing.assert_allclose(value, theirs[name], rtol=1e-4, atol=1e-5, err_msg=f"{file.name}: {name}")

    def test_recomputed_blocks_change_no_bit(self):
        """Also where ranks exchange gradients, of which some come from within another backward pass."""
        for world in (1, 2):
            for out, more in (("kept", []), ("again", ["student.recompute=true"])):
                args = (SHAPES / "dino.json", *settings("let.group=8", "run.steps=6", "save.every=6 steps", "student.drop_path=0.2", "student.layer_scale=0.1", *more))
                self.ended(self.ranks(world, *args, "--out", f"{out}-{world}", "--quiet"))
            self.assertEqual(self.losses(f"kept-{world}"), self.losses(f"again-{world}"))
            for file in sorted((self.folder / f"kept-{world}/checkpoints/step-6").glob("*.safetensors")):
                self.assertEqual(file.read_bytes(), (self.folder / f"again-{world}/checkpoints/step-6" / file.name).read_bytes(), file.name)
        # So a run goes on with another choice.
        parts = ("--set", "let.group=8", "--set", "student.drop_path=0.2", "--set", "student.layer_scale=0.1", "--out", "parts", "--quiet")
        self.flowrun(SHAPES / "dino.json", *settings("run.steps=4"), *parts)
        self.flowrun(SHAPES / "dino.json", *settings("run.steps=6", "save.every=6 steps", "student.recompute=true"), *parts, "--resume")
        self.assertEqual(self.losses("parts"), self.losses("kept-1"))

    def test_noise_belongs_to_its_group(self):
        """UMD: times and noise are the same on any number of ranks, in a run that was resumed, and in another executor."""
        self.pictures()
        trained = ["student", "predictor"]
        path = self.write({"about": "With SGD", "extends": str(METHODS / "masked/umd.json"),
                           "swap": {"update": {"type": "train.sgd", "in": "loss", "models": trained, "lr": {"max": 0.02, "final": 0.02}}}}, "umd.json")
        sets = [part for text in [*tiny(json.loads(self.flowrun("expand", path).stdout)), "let.group=2", "run.steps=6", "save.every=2 steps", "save.keep=9"] for part in ("--set", text)]
        for world in (1, 2, 4):
            self.ended(self.ranks(world, path, *sets, "--out", f"umd-{world}", "--quiet"))
        for world in (2, 4):
            for (_, mine, ledger), (_, theirs, other) in zip(self.losses("umd-1"), self.losses(f"umd-{world}"), strict=True):
                self.assertAlmostEqual(mine, theirs, delta=1e-5 * mine)
                self.assertEqual(ledger, other)
            self.same_checkpoints("umd-1", f"umd-{world}")
        self.flowrun(path, *sets, "--serial", "--out", "serial", "--quiet")
        self.assertEqual(self.losses("serial"), self.losses("umd-1"))
        self.flowrun(path, *sets, "--set", "run.steps=4", "--out", "parts", "--quiet")
        self.flowrun(path, *sets, "--out", "parts", "--resume", "--quiet")
        self.assertEqual(self.losses("parts"), self.losses("umd-1"))
        for name in trained:
            file = f"checkpoints/step-6/{name}.safetensors"
            self.assertEqual((self.folder / "parts" / file).read_bytes(), (self.folder / "umd-1" / file).read_bytes())
        # Blocks begin as the identity; after some steps the norms of both models adapt.
        first, last = (safetensors.numpy.load_file(self.folder / f"umd-1/checkpoints/step-{step}/student.safetensors")["blocks.0.ada.weight"] for step in (2, 6))
        self.assertGreater(np.abs(last).max(), np.abs(first).max())
        self.assertGreater(np.abs(first).max(), 0)

    def test_times_need_models_that_take_them(self):
        path = METHODS / "masked/umd.json"
        for sets, text in ((["student.time=false"], "noised_encode: a time comes in, but student takes none\n"),
                           (["student.time=false"], "make student a model.vit with \"time\": true, or connect no time"),
                           (["predictor.time=false"], "noised_predict: a time comes in, but predictor takes none\n"),
                           (["predictor.time=false"], "make predictor a model.predictor with \"time\": true, or connect no time"),
                           (["predictor.visible_out=0"], "noised_predict: predictor makes no predictions at visible patches\n"),
                           (["predictor.visible_out=0"], "give predictor a \"visible_out\""),
                           (["predictor.regions=separate"], "predictor: visible_out requires \"regions\": \"joint\": a visible patch has one prediction, not one for each region"),
                           (["predictor.visible_out=27"], "noise: the width of prediction is 27, that of target 48")):
            with self.subTest(sets):
                said = self.flowrun("check", path, *[part for one in sets for part in ("--set", one)], status=2).stderr
                self.assertIn(text, said)
        encode = {"type": "mim.encode_visible", "in": {"image": "diffuse.image", "mask": "noised_upload"}, "model": "student"}
        predict = {"type": "mim.predict", "in": {"tokens": "noised_encode", "mask": "noised_upload"}, "model": "predictor", "visible": True}
        twice = {"add": {"again": {"type": "mim.diffuse", "in": "diffuse.image"}},
                 "swap": {"noised_encode": {**encode, "in": {"image": "again.image", "mask": "noised_upload", "time": "again"}}}}
        hidden = {"type": "mim.hidden_targets", "in": {"image": "diffuse.image", "mask": "noised_upload"}, "model": "student", "blocks": [1]}
        for change, text in (({"swap": {"noised_encode": encode}}, "noised_encode: pictures with noise come in without its time, which student takes\n"),
                             ({"swap": {"noised_encode": encode}}, "connect \"time\" of the node that adds the noise, or the pictures without noise"),
                             ({"swap": {"noised_predict": predict}}, "noised_predict: tokens of pictures with noise come in without its time, which predictor takes\n"),
                             ({"swap": {"noised_targets": hidden}}, "noised_targets: pictures with noise come in without its time, which student takes\n"),
                             (twice, "again: the pictures have noise already\n")):
            with self.subTest(text):
                self.write({"about": "A time is missing", "extends": str(path), **change}, "missing.json")
                self.assertIn(text, self.flowrun("check", "missing.json", status=2).stderr)

    def test_rotary_positions_are_checked(self):
        path = METHODS / "masked/capi_s.json"
        for sets, text in ((["student.class_token=true"], "student: CAPI's places have none for a class token"),
                           (["student.registers=6"], "student: CAPI's places lie on four edges, so registers must be a multiple of 4, not 6"),
                           (["student.heads=64"], "student: rotary positions need heads whose width is a multiple of 4, not 6"),
                           (["student.positions=sincos", "student.registers=5"], "predictor: CAPI's places need an encoder without a class token"),
                           (["predictor.heads=64"], "predictor: rotary positions need heads whose width is a multiple of 4, not 6")):
            with self.subTest(sets):
                said = self.flowrun("check", path, *[part for one in sets for part in ("--set", one)], status=2).stderr
                self.assertIn(text, said)

    def test_two_optimizers_keep_apart(self):
        """CAPI's clusters have one of their own: on ranks, and with a loss that reaches the other's models."""
        self.pictures()
        path = METHODS / "masked/capi_s.json"
        sets = [part for text in [*tiny(json.loads(self.flowrun("expand", path).stdout)), "run.steps=4", "run.epochs=20"] for part in ("--set", text)]
        for world in (1, 2):
            self.ended(self.ranks(world, path, *sets, "--out", f"capi-{world}", "--quiet"))
        for (_, mine, ledger), (_, theirs, other) in zip(self.losses("capi-1"), self.losses("capi-2"), strict=True):
            self.assertAlmostEqual(mine / theirs, 1, delta=1e-5)
            self.assertEqual(ledger, other)
        said = self.flowrun(path, *sets, "--set", "seen.model=student", "--set", "seen.train=true", "--out", "mixed", "--quiet", status=1).stderr
        self.assertIn("cluster: its loss reaches student.reg_token, which update trains: set \"train\" to false where that model is only looked at, "
                      "or let one optimizer train both with loss.sum", said)

    def test_a_copy_is_taken_at_its_steps(self):
        """Behind steps 2 and 5 of 8: in between it stays."""
        self.write({"about": "A copy of the teacher", "extends": str(SHAPES / "byol.json"), "set": {"save.after": "copy"}, "add": {
            "models.old": {"type": "model.ema_copy", "of": "student"},
            "copy": {"type": "train.copy", "after": "ema", "from": "teacher", "to": "old", "first": 2, "every": 3, "times": 2}}}, "copy.json")
        self.flowrun("copy.json", *settings("save.every=1 steps", "save.keep=10"), "--out", "out", "--quiet")
        old, teacher = ([safetensors.numpy.load_file(self.folder / f"out/checkpoints/step-{step}/{model}.safetensors") for step in range(1, 9)]
                        for model in ("old", "teacher"))
        for step, of in ((2, 2), (4, 2), (5, 5), (8, 5)):
            for name, value in teacher[of - 1].items():
                np.testing.assert_array_equal(old[step - 1][name], value, f"{name} behind step {step}")
        self.assertFalse(np.array_equal(old[0]["conv1.weight"], teacher[0]["conv1.weight"]))

    @unittest.skipUnless(support.EVERYTHING, "400 steps of 128 pictures")
    def test_the_broken_twin_of_dino_is_called_collapsed(self):
        """Without a center the teacher gives nearly all pictures one name: from step 20 on the entropy of the mean name is 0.11 of log K or less; the
        shipped file's is 0.23 or more."""
        for out, momentum, verdict in (("shipped", "0.9", {1}), ("broken", "1", {0})):
            self.flowrun(SHAPES / "dino.json", "--set", "run.steps=200", "--set", "knn.at=[]", "--set", "linear.at=[]", "--set", f"move.momentum={momentum}", "--out", out, "--quiet")
            self.assertEqual({line["health_ok"] for line in self.metrics(out) if line["step"] >= 100 and "health_ok" in line}, verdict)

    @unittest.skipUnless(support.EVERYTHING, "400 steps of 128 pictures")
    def test_the_broken_twin_of_simsiam_is_called_collapsed(self):
        """Without the stopped gradient its rank falls below 8 of 128 within 200 steps; the shipped file's stays above 10."""
        for out, stop, verdict in (("shipped", "true", 1), ("broken", "false", 0)):
            self.flowrun(SHAPES / "simsiam.json", "--set", "run.steps=200", "--set", "knn.at=[]", "--set", "linear.at=[]", "--set", f"loss.stop={stop}", "--out", out, "--quiet")
            self.assertEqual([line["health_ok"] for line in self.metrics(out) if line["step"] == 200], [verdict])

    def test_running_statistics_are_those_of_the_passes(self):
        """The teacher's own passes move them; a copy takes the student's."""
        for buffers in ("own", "copy"):
            self.flowrun(SHAPES / "byol.json", *settings("run.steps=2", "save.every=2 steps", f"ema.buffers={buffers}"), "--out", buffers, "--quiet")
            student, teacher = (safetensors.numpy.load_file(self.folder / buffers / f"checkpoints/step-2/{model}.safetensors") for model in ("student", "teacher"))
            self.assertEqual(int(student["bn1.num_batches_tracked"]), 8)  # two steps of two groups of two views
            self.assertEqual(int(teacher["bn1.num_batches_tracked"]), 8)
            self.assertEqual(np.array_equal(student["bn1.running_mean"], teacher["bn1.running_mean"]), buffers == "copy")
            self.assertGreater(np.abs(student["bn1.running_mean"]).max(), 1e-3)

    def test_shapes_resume_as_if_never_stopped(self):
        self.assertGreater(len(shapes()), 1)
        alike = ("moco", "simsiam", "rotnet", "simclr_batch", "barlow", "vicreg", "lejepa", "moco_v3")  # others have the same states
        for path in shapes():
            if path.stem in alike and not support.EVERYTHING:
                continue
            with self.subTest(path.stem):
                whole, parts = f"{path.stem}-whole", f"{path.stem}-parts"
                queue = few_asked(path.stem) + (["queue.rows=48"] if path.stem in ("moco", "moco_resnet") else [])  # it wraps within a step
                self.flowrun(path, *settings(*queue), "--out", whole)
                self.assertEqual(len(self.losses(whole)), 8)
                self.flowrun(path, *settings("run.steps=4", *queue), "--out", parts)
                self.flowrun(path, *settings(*queue), "--out", parts, "--resume")
                self.assertEqual(self.losses(parts), self.losses(whole))
                files = sorted(file.relative_to(self.folder / whole) for file in (self.folder / whole / "checkpoints/step-8").glob("*.safetensors"))
                self.assertGreater(len(files), 2)
                for file in files:
                    self.assertEqual((self.folder / parts / file).read_bytes(), (self.folder / whole / file).read_bytes(), file)

    def test_twins_run_and_differ_from_their_other_halves(self):
        """By the change that they are named for, from the first loss on; without momentum the teacher is the student."""
        self.assertGreater(len(shapes(TWINS)), 3)
        for path in shapes(TWINS):
            with self.subTest(path.stem):
                other = (path.parent / json.loads(path.read_text())["extends"]).resolve()
                self.assertEqual(other.parent, SHAPES)
                for file in (path, other):
                    sets = settings("run.steps=2", *(["let.group=32"] if path.stem == "simclr_128" and file == path else []))
                    self.flowrun(file, *sets, "--out", f"{path.stem}-{file.stem}", "--quiet")
                mine, others = (self.losses(f"{path.stem}-{file.stem}") for file in (path, other))
                self.assertEqual(len(mine), 2)
                self.assertTrue(all(np.isfinite(loss) for _, loss, _ in mine))
                self.assertNotEqual([line[1] for line in mine], [line[1] for line in others])
        student, teacher = (safetensors.numpy.load_file(self.folder / f"moco_v3_no_momentum-moco_v3_no_momentum/checkpoints/step-2/{name}.safetensors")
                            for name in ("student", "teacher"))
        np.testing.assert_array_equal(student["conv1.weight"], teacher["conv1.weight"])

    def check(self, path, *sets):
        """The faults that are found before anything runs."""
        return self.flowrun("check", path, *[part for text in sets for part in ("--set", text)], status=2).stderr

    def test_faults_name_what_does_not_fit(self):
        for path, sets, *texts in (
                ("moco", ["queue.rows=100"], "enqueue: a step has 128 keys, but the queue queue only 100 rows", "set rows of queue to a multiple of the batch"),
                ("dino", ["loss.pairs=cross", "large.count=1"], 'loss: pairs "cross" needs two views of a picture, and 1 comes in', "set count of image.random_crop to 2"),
                ("dino", ["small.size=20"], "small_seen: pictures of 20 pixels come in, but student is made for 32 or 16", "resize the pictures to 32"),
                ("moco", ["key_view.count=2"], "the number of views of query is 1, that of key 2"),
                ("byol", ["predictor.layers=[64, 32]"], "loss: the width of prediction is 32, that of target 64"),
                ("byol", ["predictor.layers=[32, 64]", "teacher_projector.of=predictor"], "ema: the models projector and teacher_projector have different parameters"),
                ("simsiam", ["predict.model=projector"], "predict: the width of vectors is 128, but projector takes 64"),
                ("moco_resnet", ["key_seen.splits=7"], "key_seen: a group of 64 pictures can't be cut into 7 equal parts"),
                ("moco_resnet", ["key_seen.splits=1"], "shuffle has no effect on one part; set splits to 2 or more"),
                ("ibot", ["student.mask_token=false"], "large_seen: student has no mask token for hidden patches", "set \"mask_token\" of student to true, or connect no mask"),
                ("ibot", ["large_mask.patch=4"], "large_seen: the masks are for a grid of 8x8 patches, but student has 4x4"),
                ("simsiam", ["student.arch=19"], "there is no ResNet-19"),
                ("simsiam", ["student.strides=[2, 2]"], "student: the network has 3 stages, but there are 2 strides"),
                ("simsiam", ["update.rates.match=[\"student.\"]"], "rates.match has 1 parts of names, but rates.times 0 factors"),
                ("simsiam", ["update.schedule=milestones"], "schedule is milestones, but milestones names no epoch"),
                ("simsiam", ["views/flip.p=[0.5, 0.5, 0.5]"], "p has 3 chances, but there are 2 views of a picture: give one number, or one for each view"),
                ("simsiam", ["views/flip.p=[]"], "p must be a number, or a list of numbers")):
            with self.subTest(f"{path} {sets}"):
                said = self.check(SHAPES / f"{path}.json", *sets)
                for text in texts:
                    self.assertIn(text, said)
        self.assertIn('the width of vectors is 64, but behind takes 32', self.other_head())
        for sets, text in ((['update.freeze.match=["no_layer"]'], 'freeze.match "no_layer" is in the name of no parameter of student, head'),
                           (['update.rates.steady=["no_layer"]'], 'rates.steady "no_layer" is in the name of no parameter of student, head'),
                           (['update.no_decay=["no_layer"]'], 'no_decay "no_layer" is in the name of no parameter of student, head')):
            self.assertIn(text, self.check(SHAPES / "dino.json", *sets))

    def test_rows_of_other_patches_are_refused(self):
        """How many patches are hidden is known when masks are drawn."""
        said = self.flowrun(SHAPES / "ibot.json", *settings("run.steps=2", "hidden_patches.what=visible"), "--out", "out", "--quiet", status=1).stderr
        self.assertRegex(said, r"patch_loss.*the student has \d+ rows of 256 scores, the target \d+ of 256")

    def other_head(self):
        """The faults of teacher's scores from a head that stands behind another head."""
        heads = {"models.projector": {"type": "model.head", "of": "student", "layers": [32]},
                 "models.behind": {"type": "model.head", "of": "projector", "layers": [32], "prototypes": 256}}
        self.write({"about": "A head behind another head", "extends": str(SHAPES / "dino.json"), "add": heads, "set": {"named.model": "behind"}}, "other.json")
        return self.check("other.json")

    def test_rates_and_milestones_act(self):
        self.flowrun(SHAPES / "simsiam.json", *settings("run.steps=8", "run.epochs=2", "update.schedule=milestones", "update.milestones=[1]", "update.warmup_epochs=0",
                                                        "let.images=128"), "--out", "steps", "--quiet")
        rates = [line["lr"] for line in self.metrics("steps")]
        self.assertEqual(rates, [2e-3] * 4 + [2e-3 * 0.1] * 4)
        self.flowrun(SHAPES / "simsiam.json", *settings("run.epochs=4", "update.per=epoch", "update.warmup_epochs=0", "update.lr.final=0", "let.images=64"),
                     "--out", "cosine", "--quiet")
        rates = [line["lr"] for line in self.metrics("cosine")]
        np.testing.assert_allclose(rates, np.repeat([2e-3 * (1 + np.cos(np.pi * epoch / 4)) / 2 for epoch in range(4)], 2), rtol=1e-9)

    def test_a_schedule_object_is_checked(self):
        err = self.flowrun("check", SHAPES / "dino.json", "--set", 'target.temperature={"start": 0.04, "shape": "wavy"}', status=2).stderr
        self.assertIn('temperature.shape can\'t be "wavy"', err)
        self.assertIn("one of: linear, cosine, step", err)
        resolved = json.loads(self.flowrun("expand", SHAPES / "dino.json", "--set", 'target.temperature={"start": 0.04, "final": 0.07}').stdout)
        self.assertEqual(resolved["nodes"]["target"]["temperature"], {"start": 0.04, "final": 0.07, "epochs": 0.0, "shape": "linear", "per": "step"})


if __name__ == "__main__":
    support.main()
