"""Distillation: the files of pipelines/distill and pipelines/compare/distill, their resume, two ranks, and their faults."""
import json
import pathlib
import shutil
import tempfile

import numpy as np
import safetensors.numpy
from PIL import Image

import support

DISTILL = support.ROOT / "pipelines/distill"
SHAPES = support.ROOT / "pipelines/compare/distill"
# The weights in a teacher's run at tiny size.
TAUGHT = "checkpoints/step-2/student{}.safetensors"


def files(folder):
    return sorted(path for path in folder.rglob("*.json") if not path.name.startswith("_"))


def narrow(resolved):
    """Networks of depth 8 and four channels."""
    models = {name: model for name, model in resolved["models"].items() if model["type"] == "model.resnet"}
    return [text for name in models for text in (f"{name}.arch=8", f"{name}.width=4")]


def taught(resolved, teacher):
    """Weights of a tiny run in place of published ones."""
    return [f"{name}.weights={teacher / TAUGHT.format('_head' if name.endswith('_head') else '')}" for name, model in resolved["models"].items() if model.get("frozen")]


def cifar(resolved, teacher=None):
    small = resolved["models"]["student"]["stem"] == "small"
    sets = ["let.path=data", "let.classes=2", "let.batch=8", "let.group=8", "run.steps=2", "run.intra_op=1", "run.memory_mib=64", "run.precision=fp32", "metrics.every=1 step",
            "save.every=2 steps", "unseen_batch.size=4", "result.at=end"]
    sets += ["files.per_class=8"] if resolved["nodes"]["files"]["per_class"] else []
    return sets + narrow(resolved) + (taught(resolved, teacher) if teacher else []) + (["student.stem=auto"] if small else [])


SMALL = ["let.images=64", "let.unseen=60", "unseen_batch.size=20", "let.batch=16", "let.group=8", "run.epochs=1", "run.intra_op=1", "metrics.every=1 step", "save.every=2 steps",
         "update.warmup_epochs=0", "answers.at=end"]


def settings(sets):
    return [part for text in sets for part in ("--set", text)]


class Distillation(support.Folder):
    """All tests share the runs of the teachers, and what files expand to."""
    folders, expanded = {}, {}

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="flowrun-teachers-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)

    def setUp(self):
        super().setUp()
        for split, count in (("train", 20), ("test", 8)):
            for index in range(count):
                path = self.folder / f"data/{split}/c{index % 2}/{index:02}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.random.default_rng(index).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)

    def text(self, path):
        if path not in self.expanded:
            self.expanded[path] = self.flowrun("expand", path).stdout
        return self.expanded[path]

    def resolved(self, path):
        return json.loads(self.text(path))

    def teacher(self, kind):
        """The folder of a teacher's run at tiny size."""
        if kind not in self.folders:
            path = DISTILL / "teacher_cifar.json" if kind == "cifar" else SHAPES / "teacher.json"
            sets = cifar(self.resolved(path)) if kind == "cifar" else [*SMALL, "run.steps=2"]
            self.flowrun(path, *settings(sets), "--out", self.shared / kind, "--quiet")
            self.folders[kind] = self.shared / kind
        return self.folders[kind]

    def shapes(self, name, *more):
        """Settings of a file of compare/distill."""
        return settings([*SMALL, *taught(self.resolved(SHAPES / f"{name}.json"), self.teacher("shapes")), *more])

    def losses(self, out):
        return [(line["step"], line["loss"], line["ledger"]) for line in self.metrics(out)]

    def test_every_file_expands_to_itself_and_runs(self):
        self.assertGreater(len(files(DISTILL)), 15)
        self.assertGreater(len(files(SHAPES)), 8)
        for path in files(DISTILL) + files(SHAPES):
            with self.subTest(f"{path.parent.name}/{path.stem}"):
                self.assertIn("no faults", self.flowrun("check", path).stdout)
                text = self.text(path)
                (self.folder / "resolved.json").write_text(text)
                self.assertEqual(self.flowrun("expand", "resolved.json").stdout, text)
                out = f"{path.parent.name}-{path.stem}"
                sets = settings(cifar(json.loads(text), self.teacher("cifar"))) if DISTILL in path.parents else self.shapes(path.stem, "run.steps=2")
                self.flowrun(path, *sets, "--out", out, "--quiet")
                self.assertEqual(len(self.losses(out)), 2)
                self.assertTrue(all(np.isfinite(loss) for _, loss, _ in self.losses(out)))
                self.assertIn("result" if DISTILL in path.parents else "answers", self.result(out))

    def test_the_teacher_stays_and_the_student_follows(self):
        self.flowrun(SHAPES / "fitnets.json", *self.shapes("fitnets", "run.steps=2"), "--out", "out", "--quiet")
        last = self.folder / "out/checkpoints/step-2"
        teacher = safetensors.numpy.load_file(last / "teacher.safetensors")
        for name, value in safetensors.numpy.load_file(self.teacher("shapes") / TAUGHT.format("")).items():
            np.testing.assert_array_equal(teacher[name], value, name)
        regressor = safetensors.numpy.load_file(last / "regressor.safetensors")
        self.assertEqual(int(regressor["bn1.num_batches_tracked"]), 4)  # two steps of two groups
        self.assertGreater(np.abs(regressor["bn1.bias"]).max(), 0)

    def test_a_run_resumes_as_if_never_stopped(self):
        path = SHAPES / "fitnets.json"
        self.flowrun(path, *self.shapes("fitnets"), "--out", "whole", "--quiet")
        self.flowrun(path, *self.shapes("fitnets", "run.steps=2"), "--out", "parts", "--quiet")
        self.flowrun(path, *self.shapes("fitnets"), "--out", "parts", "--quiet", "--resume")
        self.assertEqual(len(self.losses("whole")), 4)
        self.assertEqual(self.losses("parts"), self.losses("whole"))
        self.assertEqual(self.last_checkpoint("parts"), self.last_checkpoint("whole"))

    def test_two_ranks_train_the_same(self):
        # Adam would make a step of a gradient that is nothing but rounding.
        self.write({"about": "With SGD", "extends": str(SHAPES / "rkd.json"),
                    "swap": {"update": {"type": "train.sgd", "in": "loss", "models": ["student", "student_head"], "lr": {"max": 0.02, "final": 0.02}}}}, "rkd.json")
        for world in (1, 2):
            self.ended(self.ranks(world, "rkd.json", *self.shapes("rkd"), "--out", f"world-{world}", "--quiet"))
        one, two = self.losses("world-1"), self.losses("world-2")
        self.assertEqual([line[::2] for line in one], [line[::2] for line in two])
        for (_, mine, _), (_, theirs, _) in zip(one, two):
            self.assertAlmostEqual(mine / theirs, 1, delta=1e-5)
        mine, theirs = (safetensors.numpy.load_file(self.folder / f"world-{world}/checkpoints/step-4/student.safetensors") for world in (1, 2))
        for name, value in mine.items():
            np.testing.assert_allclose(value, theirs[name], rtol=1e-4, atol=1e-5, err_msg=name)

    def check(self, path, *sets):
        """The faults that are found before anything runs; of sizes, where the teacher's weights are there."""
        models = self.resolved(path if isinstance(path, pathlib.Path) else SHAPES / "at.json")
        return self.flowrun("check", path, *settings([*taught(models, self.teacher("shapes")), *sets]), status=2).stderr

    def test_faults_name_what_does_not_fit(self):
        for path, sets, *texts in (
                ("at", ["seen.stages=[3, 5]"], "seen: stage 5 is asked for, but student has 4", "stage 1 is the stem, stage 4 the last one"),
                ("at", ["seen.stages=[2, 4]"], "own_loss: the student has 2 maps, the teacher 3", "give both encode.images equally many stages"),
                ("at", ["seen.stages=[]"], "own_loss: student has no maps", "set stages of the encode.images that makes it"),
                ("at", ["seen.stages=[3, 2]"], "stages must increase"),
                ("at", ["seen.stages=[2]", "seen.splits=2"], "stages are of whole groups; set splits to 1"),
                ("at", ["own_loss.weight=-1"], "weight must be"),
                ("sp", ["seen.stages=[3, 4]"], "own_loss: the student has 2 maps, the teacher 1", "set stages of both encode.images, equally many"),
                ("rkd", ["own_loss.distance=0", "own_loss.angle=0"], "distance and angle are both 0, so nothing is compared"),
                ("fitnets", ["regressor.stage=7"], "student has no stage 7"),
                ("fitnets", ["seen.stages=[2]"], "regress: regressor takes the map of stage 3, which does not come in", "name it in stages of the encode.images that makes the maps"),
                ("fitnets", ["taught.stages=[2]"], "own_loss: the student's map of stage 3 has 64 channels, the teacher's of stage 2 32"),
                ("kd", ["student_head.layers=[11]"], "own_loss: the number of classes of student is 11, that of teacher 10", "both networks need the same classes"),
                ("kd", ["own_loss.js=true", "own_loss.reverse=true"], "js has no direction; set reverse or js")):
            with self.subTest(f"{path} {sets}"):
                said = self.check(SHAPES / f"{path}.json", *sets)
                for text in texts:
                    self.assertIn(text, said)

    def test_stages_need_a_network_that_has_them_and_equal_channels(self):
        self.write({"about": "A ViT has no stages", "extends": str(SHAPES / "at.json"),
                    "swap": {"student": {"type": "model.vit", "image": 32, "patch": 4, "width": 16, "depth": 1, "heads": 2}}}, "vit.json")
        self.assertIn("seen: student has no stages", self.check("vit.json"))
        self.write({"about": "Other channels", "extends": str(SHAPES / "at.json"), "swap": {"own_loss": {"type": "loss.fsp"}}}, "fsp.json")
        said = self.check("fsp.json")
        self.assertIn("own_loss: the student's map of stage 2 has 8 channels, the teacher's of stage 2 32", said)
        self.assertIn("channel is compared with channel: take stages of equal width, or put a maps.regress before the student's", said)
        self.write({"about": "No variances", "extends": str(SHAPES / "fitnets.json"), "swap": {"own_loss": {"type": "loss.vid", "model": "regressor"}}}, "vid.json")
        said = self.check("vid.json", "taught.stages=[2]")
        self.assertIn("own_loss: regressor has no variances", said)
        self.assertIn("own_loss: regressor is for the teacher's map of stage 3, which does not come in", said)

    def test_an_ensemble_needs_a_weight_for_each_teacher(self):
        path = DISTILL / "logits/kd_weighted_teachers.json"
        self.assertIn("weights must have the sum 1", self.check(path, "ensemble.weights=[0.5, 0.6]"))
        sets = [*cifar(self.resolved(path), self.teacher("cifar")), "ensemble.weights=[1]"]
        said = self.flowrun(path, *settings(sets), "--out", "out", "--quiet", status=1).stderr
        self.assertIn("there are 1 weights, but scores of 2 teachers", said)

    def test_smoothing_leaves_the_label_most(self):
        said = self.check(DISTILL / "logits/label_smoothing.json", "label_loss.smooth_over=some")
        self.assertIn("one of: all, others", said)


if __name__ == "__main__":
    support.main()
