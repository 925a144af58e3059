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
BENCHMARK = DISTILL / "benchmark"
# The weights in a teacher's run at tiny size.
TAUGHT = "checkpoints/step-2/student{}.safetensors"


def files(folder):
    return sorted(path for path in folder.rglob("*.json") if not path.name.startswith("_") and not path.name.endswith(".sweep.json"))


def narrow(resolved):
    """Networks of one block a stage and few channels."""
    small = {"model.resnet": ("arch=8", "width=4", "stem_width=0"), "model.wide_resnet": ("arch=10", "width=8")}
    return [f"{name}.{text}" for name, model in resolved["models"].items() for text in small.get(model["type"], ())]


def taught(resolved, teacher):
    """Weights of a tiny run in place of published ones."""
    return [f"{name}.weights={teacher / TAUGHT.format('_head' if name.endswith('_head') else '')}" for name, model in resolved["models"].items()
            if model.get("frozen") and model["weights"] and name != "paraphraser"]


def cifar(resolved, teacher=None):
    small = resolved["models"].get("student", {}).get("stem") == "small"
    sets = ["let.path=data", "let.classes=2", "let.batch=8", "let.group=8", "run.steps=2", "run.intra_op=1", "run.memory_mib=64", "run.precision=fp32", "metrics.every=1 step",
            "save.every=2 steps", "let.boundaries_run=features-ab_1/checkpoints/step-2", "let.paraphraser_run=features-ft_1/checkpoints/step-2"]
    sets += ["unseen_batch.size=4", "result.at=end"] if "result" in resolved["nodes"] else []
    sets += ["files.per_class=8"] if resolved["nodes"]["files"]["per_class"] else []
    sets += [f"{name}.samples=20" for name in ("memory", "bank") if name in resolved["models"]]
    sets += ["contrast.negatives=6"] if "contrast" in resolved["nodes"] else []
    sets += [f"{name}.layers=[8]" for name, model in resolved["models"].items() if model.get("layers") == [400]]
    sets += ["known_batch.size=10"] if "known_batch" in resolved["nodes"] else []
    sets += [text for name, model in resolved["models"].items() if model.get("prototypes") for text in (f"{name}.layers=[12, 8]", f"{name}.prototypes=20")]
    return sets + narrow(resolved) + (taught(resolved, teacher) if teacher else []) + (["student.stem=auto"] if small else [])


def segmentation(resolved):
    """Narrow networks and a random teacher, on pictures of 32 pixels."""
    sets = ["let.path=pairs", "let.size=32", "let.classes=3", "let.batch=4", "let.group=4", "run.steps=2", "run.intra_op=1", "run.precision=fp32", "metrics.every=1 step",
            "unseen_images.batch=2", "result.at=end"]
    for name, model in resolved["models"].items():
        sets += [f'{name}.weights=""'] if model.get("weights") else []
        sets += [f"{name}.width=4"] if model["type"] == "model.resnet" else []
    return sets


def vit(resolved):
    """Transformers of width 24 with their depth, so that blocks and taps stay, and random teachers."""
    sets = ["let.path=data", "let.size=32", "let.resize=36", "let.patch=8", "let.batch=8", "let.group=4", "run.steps=2", "run.intra_op=1", "run.memory_mib=64",
            "run.precision=fp32", "metrics.every=1 step", "update.warmup_epochs=0", "knn.k=[3]", "linear.at=[]"]
    sets += ["let.small=16"] if "small_batch" in resolved["nodes"] else []
    sets += ["mask.unit=16"] if resolved["nodes"].get("mask", {}).get("type") == "mask.units" else []
    for name, model in resolved["models"].items():
        sets += [f'{name}.weights=""'] if model.get("weights") else []
        if model["type"] == "model.vit":
            sets += [f"{name}.width=24", f"{name}.heads=2"]
        elif model["type"] == "model.predictor":
            sets += [f"{name}.depth=1", f"{name}.width=24", f"{name}.heads=2", f"{name}.out=192"]
        elif model["type"] == "model.head" and name == "fit":
            sets += ["fit.layers=[24]"]
        elif model.get("prototypes"):
            sets += [f"{name}.layers=[12, 8]", f"{name}.prototypes=20"]
        elif model["type"] == "model.head":
            sets += [f"{name}.layers=[2]"]
    return sets


SMALL = ["let.images=64", "let.unseen=60", "unseen_batch.size=20", "let.batch=16", "let.group=8", "run.epochs=1", "run.intra_op=1", "metrics.every=1 step", "save.every=2 steps",
         "update.warmup_epochs=0", "answers.at=end"]


def settings(sets):
    return [part for text in sets for part in ("--set", text)]


def swept(sets):
    """The settings of a sweep."""
    return settings(f"{path}={json.dumps(value)}" for path, value in sets.items())


class Distillation(support.Folder):
    """All tests share the runs of the teachers, and what files expand to."""
    folders, expanded = {}, {}

    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="flowrun-teachers-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)

    def setUp(self):
        super().setUp()
        for split, count in (("train", 20), ("test", 8), ("val", 8)):
            for index in range(count):
                path = self.folder / f"data/{split}/c{index % 2}/{index:02}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.random.default_rng(index).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
        for split, count in (("train", 8), ("test", 4)):
            for index in range(count):
                for kind, suffix, colours in (("images", "jpg", (3,)), ("labels", "png", ())):
                    path = self.folder / f"pairs/{split}/{kind}/{index}.{suffix}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    most = 3 if kind == "labels" else 255
                    Image.fromarray(np.random.default_rng(index).integers(0, most, (40, 36, *colours), dtype=np.uint8)).save(path)

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
        resolved = self.resolved(SHAPES / f"{name}.json")
        peer = ["peer_update.warmup_epochs=0", "peer_answers.at=end"] if "peer" in resolved["models"] else []
        return settings([*SMALL, *peer, *taught(resolved, self.teacher("shapes")), *more])

    def tiny(self, path):
        """Settings with which a file runs two steps."""
        if SHAPES in path.parents:
            return self.shapes(path.stem, "run.steps=2")
        resolved = self.resolved(path)
        if resolved["nodes"]["files"]["type"] == "source.pairs":
            return settings(segmentation(resolved))
        return settings(vit(resolved) if path.parent.name == "vit" else cifar(resolved, self.teacher("cifar")))

    def losses(self, out):
        return [(line["step"], line["loss"], line["ledger"]) for line in self.metrics(out)]

    def test_files_run_two_steps(self):
        taken = support.one_of_each({path: self.resolved(path) for path in files(DISTILL) + files(SHAPES)})
        self.assertGreater(len(taken), 20)
        for path in taken:
            with self.subTest(f"{path.parent.name}/{path.stem}"):
                out = f"{path.parent.name}-{path.stem}"
                self.flowrun(path, *self.tiny(path), "--out", out, "--quiet")
                self.assertEqual(len(self.losses(out)), 2)
                self.assertTrue(all(np.isfinite(loss) for _, loss, _ in self.losses(out)))
                evaluation = "answers" if SHAPES in path.parents else "knn" if path.parent.name == "vit" else "result"
                first = path.stem in ("ab_1", "ab_1_other_widths", "ft_1")  # of two runs; nothing is classified yet
                self.assertEqual(evaluation in self.result(out), not first)

    def test_columns_of_the_benchmark_are_sweeps_over_its_methods(self):
        networks = json.loads((BENCHMARK / "networks.sweep.json").read_text())
        self.assertEqual(set(networks["variants"]["resnet_8x4"]), {"let.student", "let.student_width", "let.stem_width"})
        columns = [path for path in sorted(BENCHMARK.glob("*_to_*.sweep.json"))]
        self.assertEqual(len(columns), 5)
        for path in columns:
            with self.subTest(path.name):
                column = json.loads(path.read_text())
                teacher, student = path.name.removesuffix(".sweep.json").split("_to_")
                self.assertIn(f"networks.sweep/{teacher}/", column["set"]["let.teacher_run"])
                resolved = json.loads(self.flowrun("expand", path.parent / column["variants"]["kd"], *swept(column["set"])).stdout)["models"]
                for name, network in (("teacher", teacher), ("student", student)):
                    alone = self.flowrun("expand", path.parent / networks["base"], *swept(networks["variants"][network])).stdout
                    expected = json.loads(alone)["models"]["student"]
                    self.assertEqual({**resolved[name], "weights": "", "frozen": False}, expected)
                for method in (min(column["variants"]), "fitnets"):
                    self.assertIn("no faults", self.flowrun("check", path.parent / column["variants"][method], *swept(column["set"])).stdout)

    def test_wide_networks_teach_and_resume(self):
        networks, column = (json.loads((BENCHMARK / f"{name}.sweep.json").read_text()) for name in ("networks", "wrn_40_2_to_wrn_16_2"))
        sets = swept(networks["variants"]["wrn_40_2"])
        tiny = settings(cifar(json.loads(self.flowrun("expand", DISTILL / "teacher_cifar.json", *sets).stdout)))
        self.flowrun(DISTILL / "teacher_cifar.json", *sets, *tiny, "--out", "teacher", "--quiet")
        path, sets = BENCHMARK / column["variants"]["vid"], swept(column["set"])
        tiny = settings(cifar(json.loads(self.flowrun("expand", path, *sets).stdout), self.folder / "teacher"))
        self.flowrun(path, *sets, *tiny, "--out", "whole", "--quiet")
        self.flowrun(path, *sets, *tiny, "--set", "run.steps=1", "--out", "parts", "--quiet")
        self.flowrun(path, *sets, *tiny, "--out", "parts", "--quiet", "--resume")
        self.assertEqual(len(self.losses("whole")), 2)
        self.assertEqual(self.losses("parts"), self.losses("whole"))
        self.assertEqual(self.last_checkpoint("parts"), self.last_checkpoint("whole"))
        said = self.flowrun("check", path, *sets, "--set", "student.arch=18", status=2).stderr
        self.assertIn("arch must be 6n + 4, as 10, 16, 28 and 40, not 18", said)

    def test_the_teacher_stays_and_the_student_follows(self):
        self.flowrun(SHAPES / "fitnets.json", *self.shapes("fitnets", "run.steps=2"), "--out", "out", "--quiet")
        last = self.folder / "out/checkpoints/step-2"
        teacher = safetensors.numpy.load_file(last / "teacher.safetensors")
        for name, value in safetensors.numpy.load_file(self.teacher("shapes") / TAUGHT.format("")).items():
            np.testing.assert_array_equal(teacher[name], value, name)
        regressor = safetensors.numpy.load_file(last / "regressor.safetensors")
        self.assertEqual(int(regressor["bn1.num_batches_tracked"]), 4)  # two steps of two groups
        self.assertGreater(np.abs(regressor["bn1.bias"]).max(), 0)

    def run_tiny(self, name, out, *more, ranks=0):
        """A file of distill/features, whose second runs find the first ones."""
        path = DISTILL / f"features/{name}.json"
        args = (path, *self.tiny(path), *settings(more), "--out", out, "--quiet")
        if ranks:
            self.ended(self.ranks(ranks, *args))
        else:
            self.flowrun(*args)

    def test_second_runs_go_on_from_the_first(self):
        self.run_tiny("ab_1", "features-ab_1")
        self.run_tiny("ab_2", "ab_2", "update.lr.max=0", "update.weight_decay=0")
        first, second = self.table("features-ab_1", 2, "student"), self.table("ab_2", 2, "student")
        for name, value in first.items():
            if "running" not in name and "num_batches" not in name:
                np.testing.assert_array_equal(second[name], value, name)
        self.run_tiny("ft_1", "features-ft_1", "save.every=1 step", "save.keep=2")
        begun, learned = self.table("features-ft_1", 1, "paraphraser"), self.table("features-ft_1", 2, "paraphraser")
        for name in ("encoder.conv1.weight", "decoder.conv3.bias"):
            self.assertGreater(np.abs(learned[name] - begun[name]).max(), 0, name)
        self.run_tiny("ft_2", "ft_2")
        for name, value in learned.items():
            np.testing.assert_array_equal(self.table("ft_2", 2, "paraphraser")[name], value, name)
        self.assertEqual(int(self.table("ft_2", 2, "translator")["encoder.bn3.num_batches_tracked"]), 2)

    def test_two_runs_resume_and_are_the_same_on_two_ranks(self):
        self.run_tiny("ft_1", "features-ft_1")
        for name in ("ab_1_other_widths", "ft_2"):
            with self.subTest(name):
                sets = ["let.group=4", "run.steps=4", "run.epochs=2"]
                self.run_tiny(name, f"{name}-whole", *sets)
                self.run_tiny(name, f"{name}-parts", *sets, "run.steps=2")
                path = DISTILL / f"features/{name}.json"
                self.flowrun(path, *self.tiny(path), *settings(sets), "--out", f"{name}-parts", "--quiet", "--resume")
                self.assertEqual(len(self.losses(f"{name}-whole")), 4)
                self.assertEqual(self.losses(f"{name}-parts"), self.losses(f"{name}-whole"))
                self.assertEqual(self.last_checkpoint(f"{name}-parts"), self.last_checkpoint(f"{name}-whole"))
                self.run_tiny(name, f"{name}-two", *sets, ranks=2)
                one, two = self.losses(f"{name}-whole"), self.losses(f"{name}-two")
                self.assertEqual([line[::2] for line in one], [line[::2] for line in two])
                np.testing.assert_allclose([line[1] for line in one], [line[1] for line in two], rtol=1e-5)

    def test_two_runs_name_what_does_not_fit(self):
        for name, sets, *texts in (
                ("ab_1", ["seen.stages=[1, 2, 3]"], "seen: before_relu needs stages other than 1: the stem's map is always taken after its ReLU"),
                ("ab_1", ["student.width=8"], "loss: the student's map of stage 2 has 8 channels, the teacher's of stage 2 4"),
                ("ab_1_other_widths", ["seen.stages=[3, 4]"], "regress: regressor_2 takes the map of stage 2, which does not come in"),
                ("ft_2", ["translator.stage=3"], "translated: translator takes the map of stage 3, which does not come in", "name it in stages"),
                ("ft_2", ["translator.of=teacher", "teacher.width=8"], "translated: the map of stage 4 has 16 channels, but translator takes 32"),
                ("ft_2", ["translated.rebuild=true"], "translated: translator has no way back from factors to maps", "give this node a model.paraphraser"),
                ("ft_2", ["paraphraser.stage=7"], "teacher has no stage 7"),
                ("ft_2", ["own_loss.distance=far"], 'distance can\'t be "far"')):
            with self.subTest(f"{name} {sets}"):
                path = DISTILL / f"features/{name}.json"
                weights = [f'{model}.weights=""' for model, of in self.resolved(path)["models"].items() if of.get("weights")]
                said = self.flowrun("check", path, *self.tiny(path), *settings([*weights, *sets]), status=2).stderr
                for text in texts:
                    self.assertIn(text, said)

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

    def tables(self, name):
        """Settings of a file with a row for each of 20 pictures: two epochs of two steps of 8, in two groups."""
        path = DISTILL / f"{name}.json"
        more = ["let.group=4", "run.epochs=2", "run.steps=0"] + (["past.alpha=1"] if name.endswith("ps_kd") else [])
        return path, settings([*cifar(self.resolved(path), self.teacher("cifar")), *more])

    def table(self, out, step, model):
        return safetensors.numpy.load_file(self.folder / f"{out}/checkpoints/step-{step}/{model}.safetensors")

    def test_tables_of_samples_resume_as_if_never_stopped(self):
        for name in ("self/ps_kd", "relations/crd"):
            with self.subTest(name):
                path, sets = self.tables(name)
                out = path.stem
                self.flowrun(path, *sets, "--out", f"{out}-whole", "--quiet")
                self.flowrun(path, *sets, "--set", "run.steps=2", "--out", f"{out}-parts", "--quiet")
                self.flowrun(path, *sets, "--out", f"{out}-parts", "--quiet", "--resume")
                self.assertEqual(len(self.losses(f"{out}-whole")), 4)
                self.assertEqual(self.losses(f"{out}-parts"), self.losses(f"{out}-whole"))
                self.assertEqual(self.last_checkpoint(f"{out}-parts"), self.last_checkpoint(f"{out}-whole"))

    def test_tables_of_samples_are_the_same_on_two_ranks(self):
        for name, model in (("self/ps_kd", "memory"), ("relations/crd", "bank")):
            with self.subTest(name):
                path, sets = self.tables(name)
                for world in (1, 2):
                    self.ended(self.ranks(world, path, *sets, "--out", f"{path.stem}-{world}", "--quiet"))
                one, two = self.losses(f"{path.stem}-1"), self.losses(f"{path.stem}-2")
                self.assertEqual([line[::2] for line in one], [line[::2] for line in two])
                np.testing.assert_allclose([line[1] for line in one], [line[1] for line in two], rtol=1e-5)
                theirs = self.table(f"{path.stem}-2", 4, model)
                for array, value in self.table(f"{path.stem}-1", 4, model).items():
                    np.testing.assert_allclose(value, theirs[array], rtol=1e-3, atol=1e-5, err_msg=array)

    def test_relations_of_the_batch_are_those_of_one_group_that_holds_it(self):
        for name in ("rkd", "rkd_batch"):
            path = DISTILL / f"relations/{name}.json"
            self.flowrun(path, *self.tiny(path), "--out", name, "--quiet")
        for one, whole in zip(self.losses("rkd"), self.losses("rkd_batch")):
            self.assertAlmostEqual(one[1] / whole[1], 1, delta=1e-5)
        path = DISTILL / "relations/rkd_batch.json"
        for world in (1, 2):
            self.ended(self.ranks(world, path, *self.tiny(path), "--set", "let.group=4", "--out", f"world-{world}", "--quiet"))
        one, two = self.losses("world-1"), self.losses("world-2")
        self.assertEqual(one[0][2], two[0][2])
        np.testing.assert_allclose([line[1] for line in one], [line[1] for line in two], rtol=1e-5)

    def test_a_memory_has_what_was_said_of_each_sample_that_was_seen(self):
        path, sets = self.tables("self/ps_kd")
        self.flowrun(path, *sets, "--set", "past.alpha=0", "--out", "alone", "--quiet")
        self.flowrun(path, *sets, "--out", "past", "--quiet")
        seen = self.table("past", 2, "memory")["probabilities"].sum(1)
        self.assertEqual(sorted(np.round(seen, 5)), [0] * 4 + [1] * 16)
        alone, past = self.losses("alone"), self.losses("past")
        self.assertEqual(alone[:2], past[:2], "in the first epoch nothing was said before")
        self.assertNotEqual(alone[2][1], past[2][1])

    def test_a_bank_moves_the_rows_of_its_samples(self):
        path, sets = self.tables("relations/crd")
        self.flowrun(path, *sets, "--set", "run.steps=1", "--set", "save.every=1 step", "--out", "out", "--quiet")
        bank = self.table("out", 1, "bank")
        for rows in (bank["student"], bank["teacher"]):
            self.assertEqual(np.isclose((rows ** 2).sum(1), 1, atol=1e-5).sum(), 8)
        self.assertTrue((bank["normaliser"] > 0).all())

    def test_tables_must_fit_the_samples_and_the_memory(self):
        path = DISTILL / "self/ps_kd.json"
        said = self.flowrun("check", path, "--set", "run.memory_mib=16", status=2).stderr
        self.assertIn("memory: rows of 50000 samples take 20 MiB, but run.memory_mib is 16", said)
        said = self.flowrun(path, *self.tables("self/ps_kd")[1], "--set", "memory.samples=30", "--out", "out", "--quiet", status=1).stderr
        self.assertIn("memory has a row for each of 30 samples, but the source of ids has 20: set samples of memory to 20", said)
        self.write({"about": "Nothing drawn", "extends": str(DISTILL / "relations/crd.json"), "drop": ["contrast", "contrast_ids"], "set": {"own_loss.in.ids": "ids"}}, "crd.json")
        said = self.flowrun("check", "crd.json", status=2).stderr
        self.assertIn("own_loss: ids are those of the samples alone, without any that were drawn for them", said)

    def test_a_student_starts_as_blocks_of_its_teacher(self):
        path = DISTILL / "vit/distilbert_type.json"
        self.flowrun(path, *self.tiny(path), "--set", "update.lr={\"start\": 0, \"max\": 0, \"final\": 0}", "--set", "update.weight_decay=0", "--out", "out", "--quiet")
        student, teacher = (safetensors.numpy.load_file(self.folder / f"out/checkpoints/step-2/{name}.safetensors") for name in ("student", "teacher"))
        for name, value in student.items():
            of = name
            if name.startswith("blocks."):
                block, rest = name.removeprefix("blocks.").split(".", 1)
                of = f"blocks.{2 * int(block)}.{rest}"
            np.testing.assert_array_equal(value, teacher[of], name)
        self.assertEqual(len({name.split(".")[1] for name in student if name.startswith("blocks.")}), 6)

    def test_taps_name_what_does_not_fit(self):
        for path, sets, *texts in (
                ("minilm_type", ["seen.attention=[13]"], "seen: block 13 is asked for, but student has 12"),
                ("minilm_type", ["seen.attention=[]"], "the student hands out no attention", "set attention of the node that makes it"),
                ("minilm_type", ["student.heads=6"], "the student has 6 heads, the teacher 12"),
                ("minilm_type", ["seen.attention=[11, 12]"], "the student has attention of 2 blocks, the teacher of 1"),
                ("minilm_type", ["student.registers=1"], "number of tokens of student is 198, that of teacher 197"),
                ("minilm_type", ['relation_loss.of=["values"]'], "of can't be \"values\": query, key or value"),
                ("tinybert_type", ["fit.layers=[700]"], "hidden_loss_1: the width of student is 700, that of teacher 768"),
                ("tinybert_type", ["hidden_2.block=7"], "hidden_2: block 7 does not come in"),
                ("dmae", ["taught.last=17"], "the pass ends before a block that is asked for"),
                ("distilbert_type", ["student.blocks=[1, 13]"], "student: block 13 is asked for, but teacher has 12")):
            with self.subTest(f"{path} {sets}"):
                weights = [f'{name}.weights=""' for name, model in self.resolved(DISTILL / f"vit/{path}.json")["models"].items() if model.get("weights")]
                said = self.flowrun("check", DISTILL / f"vit/{path}.json", *settings([*weights, *sets]), status=2).stderr
                for text in texts:
                    self.assertIn(text, said)

    def test_branches_name_what_does_not_fit(self):
        path = DISTILL / "online/one.json"
        for sets, *texts in (
                (["branch_1.stages=[3, 4]"], "branch_1 takes the map of stage 2, which does not come in"),
                (["branch_1.width=8"], "seen_1: the map of stage 3 has 32 channels, but branch_1 takes 16", "trunk and branch need the same arch and width"),
                (["branch_1.stages=[1, 4]"], "branch_1 takes pictures, not maps"),
                (["student.stages=[2, 3]"], "student has no stem, so it takes maps, not pictures"),
                (["student.stages=[1, 9]"], "stages must be the first and the last one, of 4, with blocks among them")):
            with self.subTest(sets):
                said = self.flowrun("check", path, *settings(sets), status=2).stderr
                for text in texts:
                    self.assertIn(text, said)

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
