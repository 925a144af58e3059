"""Methods of two and more views: the files of pipelines/methods and pipelines/compare/shapes, their resume, several ranks, and their faults."""
import json

import numpy as np
import safetensors.numpy
from PIL import Image

import support

METHODS = support.ROOT / "pipelines/methods"
SHAPES = support.ROOT / "pipelines/compare/shapes"
SMALL = ["let.images=256", "let.batch=32", "let.group=16", "known.images=60", "unseen.images=60", "known_features.batch=30", "unseen_features.batch=30",
         "run.epochs=1", "run.intra_op=1", "metrics.every=1 step", "save.every=2 steps", "knn.at=end", "linear.at=end"]


def settings(*more):
    return [part for text in [*SMALL, *more] for part in ("--set", text)]


PRETEXT = ("rotnet", "jigsaw", "colorization")


def few_asked(name):
    """Fewer pictures of which a pretext task's own question is asked."""
    return ["asked.images=60", "asked_batch.size=30"] if name in PRETEXT else []


def shapes():
    return sorted(path for path in SHAPES.glob("*.json") if not path.name.startswith("_"))


def methods():
    return sorted(path for path in METHODS.rglob("*.json") if not path.name.startswith("_"))


def tiny(resolved):
    """Changes that make a published file run in seconds: the same nodes at another size."""
    sets = ["let.path=data", "let.size=32", "let.resize=36", "let.batch=8", "let.group=4", "run.steps=2", "run.intra_op=1", "run.memory_mib=64",
            "run.precision=fp32", "metrics.every=1 step", "knn.k=[3]", "update.warmup_epochs=0"]
    sets += ["let.splits=2"] if resolved["nodes"].get("key_seen") else []
    sets += ["let.small=16"] if "small" in str(list(resolved["nodes"])) else []
    for name, node in resolved["nodes"].items():
        if node["type"] == "image.tiles":
            sets += [f"{name}.cell=12", f"{name}.tile=8", f"{name}.permutations=12"]
        elif node["type"] == "pretext.lab":
            sets += [f"{name}.bin=30", f"{name}.stride=4"]
    if "tiles" in resolved["nodes"]:
        sets += ["resize.size=36", "asked_view.size=36"]
    for name, model in resolved["models"].items():
        if model["type"] == "model.vit":
            sets += [f"{name}.depth=1", f"{name}.width=24", f"{name}.heads=2", f"{name}.patch=8"]
        elif model["type"] == "model.resnet":
            sets += [f"{name}.arch=8", f"{name}.width=4"] + ([f"{name}.strides=[1, 2, 2]"] if model["strides"] else [])
        elif model["type"] == "model.head":
            sets += [f"{name}.layers={[12] * len(model['layers'])}"] + ([f"{name}.prototypes=20"] if model["prototypes"] else [])
        elif model["type"] == "model.queue":
            sets += [f"{name}.rows=24"]
        elif model["type"] == "model.counts":
            sets += [f"{name}.classes=40", "head.layers=[40]"]
    return sets


class Methods(support.Folder):
    def losses(self, out):
        return [(line["step"], line["loss"], line["ledger"]) for line in self.metrics(out)]

    def pictures(self):
        """Two classes for training, and for judging."""
        for split, count in (("train", 12), ("val", 6)):
            for index in range(count):
                path = self.folder / f"data/{split}/c{index % 2}/{index:02}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.random.default_rng(index).integers(0, 255, (40, 48, 3), dtype=np.uint8)).save(path)

    def test_every_file_expands_to_itself_and_runs(self):
        self.pictures()
        self.assertGreater(len(methods()), 5)
        for path in methods():
            with self.subTest(path.stem):
                self.assertIn("no faults", self.flowrun("check", path).stdout)
                resolved = self.flowrun("expand", path).stdout
                (self.folder / "resolved.json").write_text(resolved)
                self.assertEqual(self.flowrun("expand", "resolved.json").stdout, resolved)
                sets = [part for text in tiny(json.loads(resolved)) for part in ("--set", text)]
                self.flowrun(path, *sets, "--out", path.stem, "--quiet")
                self.assertTrue(all(np.isfinite(loss) for _, loss, _ in self.losses(path.stem)))
                self.assertIn("knn", self.result(path.stem))

    def test_ranks_train_the_same(self):
        for name in ("dino", "moco", "byol", "moco_resnet", "rotnet", "colorization"):
            queue = ["queue.rows=48"] if "moco" in name else []
            trained = json.loads(self.flowrun("expand", SHAPES / f"{name}.json").stdout)["nodes"]["update"]["models"]
            # Adam would make a step of a gradient that is nothing but rounding.
            self.write({"about": "With SGD", "extends": str(SHAPES / f"{name}.json"),
                        "swap": {"update": {"type": "train.sgd", "in": "loss", "models": trained, "lr": {"max": 0.02, "final": 0.02}}}}, f"{name}.json")
            with self.subTest(name):
                for world in (1, 2):
                    args = (f"{name}.json", *settings("let.group=8", "run.steps=6", "save.every=6 steps", *queue, *few_asked(name)), "--out", f"{name}-{world}", "--quiet")
                    self.ended(self.ranks(world, *args))
                one, two = self.losses(f"{name}-1"), self.losses(f"{name}-2")
                self.assertEqual([line[::2] for line in one], [line[::2] for line in two])
                for (_, mine, _), (_, theirs, _) in zip(one, two):
                    self.assertAlmostEqual(mine / theirs, 1, delta=1e-5)
                self.same_checkpoints(f"{name}-1", f"{name}-2")

    def same_checkpoints(self, one, two):
        files = sorted((self.folder / one / "checkpoints/step-6").glob("*.safetensors"))
        self.assertGreater(len(files), 2)
        for file in files:
            mine = safetensors.numpy.load_file(file)
            theirs = safetensors.numpy.load_file(self.folder / two / "checkpoints/step-6" / file.name)
            self.assertEqual(sorted(mine), sorted(theirs))
            for name, value in mine.items():
                if value.dtype.kind != "f":
                    np.testing.assert_array_equal(value, theirs[name], f"{file.name}: {name}")
                else:
                    np.testing.assert_allclose(value, theirs[name], rtol=1e-4, atol=1e-5, err_msg=f"{file.name}: {name}")

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
        for path in shapes():
            with self.subTest(path.stem):
                whole, parts = f"{path.stem}-whole", f"{path.stem}-parts"
                queue = few_asked(path.stem) + (["queue.rows=48"] if "moco" in path.stem else [])  # it wraps within a step
                self.flowrun(path, *settings(*queue), "--out", whole)
                self.assertEqual(len(self.losses(whole)), 8)
                self.flowrun(path, *settings("run.steps=4", *queue), "--out", parts)
                self.flowrun(path, *settings(*queue), "--out", parts, "--resume")
                self.assertEqual(self.losses(parts), self.losses(whole))
                files = sorted(file.relative_to(self.folder / whole) for file in (self.folder / whole / "checkpoints/step-8").glob("*.safetensors"))
                self.assertGreater(len(files), 2)
                for file in files:
                    self.assertEqual((self.folder / parts / file).read_bytes(), (self.folder / whole / file).read_bytes(), file)

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
