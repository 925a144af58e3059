"""Losses over the whole batch: groups, ranks, memory, the order of passes, and what is refused."""
import json

import numpy as np
import safetensors.numpy

import support

SHAPES = support.ROOT / "pipelines/compare/shapes"
SMALL = ["let.images=256", "let.batch=32", "let.group=8", "known.images=60", "unseen.images=60", "known_features.batch=30", "unseen_features.batch=30",
         "run.epochs=1", "run.steps=4", "run.intra_op=1", "metrics.every=1 step", "save.every=1 step", "save.keep=4", "knn.at=[]", "linear.at=[]"]
NAMES = ("simclr", "moco_v3", "barlow", "vicreg", "lejepa", "swav", "swav_queue") if support.EVERYTHING else ("simclr", "swav_queue")


def settings(*more):
    return [part for text in [*SMALL, *more] for part in ("--set", text)]


class Whole(support.Folder):
    def lines(self, out):
        return self.metrics(out)

    def pipeline(self, name, vit=False):
        """The shapes' file with SGD: Adam would make a step of a gradient that is nothing but rounding. `vit`: nothing in it depends on groups."""
        resolved = json.loads(self.flowrun("expand", SHAPES / f"{name}.json").stdout)
        swap = {"update": {"type": "train.sgd", "in": "loss", "models": resolved["nodes"]["update"]["models"], "lr": {"max": 0.02, "final": 0.02}}}
        sets = {"earlier.from": 0, "queue.rows": 128} if "queue" in name else {}
        if vit:
            swap["student"] = {"type": "model.vit", "image": 32, "patch": 8, "width": 32, "depth": 1, "heads": 2, "registers": 0, "sizes": [16]}
            for model, entry in resolved["models"].items():
                if entry["type"] == "model.head":
                    sets |= {f"{model}.norm": "none", f"{model}.last_norm": "none"}
        out = f"{name}{'-vit' if vit else ''}.json"
        self.write({"about": "With SGD", "extends": str(SHAPES / f"{name}.json"), "swap": swap, "set": sets}, out)
        return out

    def same(self, one, two, within, steps=4):
        mine, theirs = self.lines(one), self.lines(two)
        self.assertEqual([line["step"] for line in mine], list(range(1, steps + 1)))
        self.assertEqual([line["ledger"] for line in mine], [line["ledger"] for line in theirs])
        for a, b in zip(mine, theirs):
            self.assertAlmostEqual(a["loss"], b["loss"], delta=within * max(1, abs(b["loss"])))
        for step, bound in ((1, 1e-5), (steps, 2e-5)):  # a gradient of the first step is equal but for the order of sums
            files = sorted((self.folder / one / f"checkpoints/step-{step}").glob("*.safetensors"))
            self.assertGreater(len(files), 1)
            for file in files:
                ours, others = (safetensors.numpy.load_file(self.folder / out / f"checkpoints/step-{step}" / file.name) for out in (one, two))
                for name, value in ours.items():
                    np.testing.assert_allclose(value, others[name], rtol=1e-4, atol=bound, err_msg=f"step {step}, {file.name}: {name}")

    def test_ranks_train_the_same(self):
        """With norms over groups, which are the same on any number of ranks; and with norms over the batch, which exchange."""
        for name in (*NAMES, "simclr_batch"):
            path = self.pipeline(name)
            with self.subTest(name):
                worlds = (2, 4) if support.EVERYTHING else (4,)
                # Where ReLUs flip by rounding, gradients differ by parts of a thousand after four. The second step reads the first one's queue.
                steps = {"simclr_batch": 1, "swav_queue": 2, "barlow": 2, "lejepa": 2}.get(name, 4)
                for world in (1, *worlds):
                    self.ended(self.ranks(world, path, *settings(f"run.steps={steps}"), "--out", f"{name}-{world}", "--quiet"))
                for world in worlds:
                    self.same(f"{name}-1", f"{name}-{world}", 1e-6, steps)

    def test_groups_of_any_size_train_the_same(self):
        for name in NAMES:
            path = self.pipeline(name, vit=True)
            with self.subTest(name):
                groups, steps = (8, 16) if support.EVERYTHING else (8,), 2 if name == "barlow" else 4
                for group in (*groups, 32):
                    self.flowrun(path, *settings(f"let.group={group}", f"run.steps={steps}"), "--out", f"{name}-of-{group}", "--quiet")
                for group in groups:
                    self.same(f"{name}-of-32", f"{name}-of-{group}", 2e-6, steps)

    def test_norms_over_groups_depend_on_them(self):
        losses = {}
        for name, sets in (("simclr-8", []), ("simclr-32", ["let.group=32"]), ("batch-8", ["run.pass=rank"]), ("batch-32", ["run.pass=rank", "let.group=32"])):
            self.flowrun(self.pipeline("simclr"), *settings(*sets), "--out", name, "--quiet")
            losses[name] = [line["loss"] for line in self.lines(name)]
        self.assertGreater(abs(losses["simclr-8"][0] - losses["simclr-32"][0]), 1e-3)
        self.assertEqual(losses["batch-8"], losses["batch-32"])
        self.assertAlmostEqual(losses["batch-8"][0], losses["simclr-32"][0], delta=1e-5)  # one group of the whole step

    def test_coupling_and_threads_change_no_bit(self):
        for name in ("moco_v3", "swav_queue"):
            path = self.pipeline(name)
            with self.subTest(name):
                runs = {"keep": (), "again": ("--set", "run.coupling=again"), "serial": ("--serial",), "jitter": ("--jitter", "3", "--set", "run.coupling=again")}
                for out, options in runs.items():
                    self.flowrun(path, *settings(), *options, "--out", f"{name}-{out}", "--quiet")
                for out in ("again", "serial", "jitter"):
                    for a, b in zip(self.lines(f"{name}-keep"), self.lines(f"{name}-{out}"), strict=True):
                        self.assertEqual([a[key] for key in ("step", "loss", "ledger")], [b[key] for key in ("step", "loss", "ledger")])
                    for file in sorted((self.folder / f"{name}-keep/checkpoints/step-4").glob("*.safetensors")):
                        self.assertEqual(file.read_bytes(), (self.folder / f"{name}-{out}/checkpoints/step-4" / file.name).read_bytes(), (out, file.name))

    def test_drop_path_is_drawn_for_each_group(self):
        """With run.pass rank as without: on ranks that hold one group, or all."""
        path = self.pipeline("simclr", vit=True)
        for world in (1, 2):
            self.ended(self.ranks(world, path, *settings("run.pass=rank", "student.drop_path=0.5"), "--out", f"drop-{world}", "--quiet"))
        self.same("drop-1", "drop-2", 1e-6)

    def check(self, path, *sets):
        return self.flowrun("check", path, *[part for text in sets for part in ("--set", text)], status=2).stderr

    def test_faults(self):
        for name, sets, *texts in (
                ("simclr", ["views.count=1"], "pull: the loss compares two views of a picture, and 1 comes in", "set count of image.random_crop to 2"),
                ("barlow", ["views.count=3"], "pull: the loss compares two views of a picture, and 3 come in"),
                ("lejepa", ["views.count=1"], "pull: one view of a picture comes in, so no views can agree"),
                ("moco_v3", ["predictor.layers=[64, 32]"], "pull: the width of query is 32, that of key 64"),
                ("moco_resnet", ["run.pass=rank"], 'query_seen: splits cuts groups, and with run.pass "rank" all groups of a rank are one'),
                ("ibot", ["run.pass=rank"], 'large_mask: with run.pass "rank" all groups of a rank are one, so what it draws for a group would depend on the number of ranks',
                 'set run.pass to "group"')):
            with self.subTest(f"{name} {sets}"):
                said = self.check(SHAPES / f"{name}.json", *sets)
                for text in texts:
                    self.assertIn(text, said)

    def test_other_rows_than_the_loss_took_are_refused(self):
        said = self.flowrun(SHAPES / "moco_v3.json", *settings('loss.in={"vectors": ["project"], "coupled": "pull"}'), "--out", "out", "--quiet", status=1).stderr
        self.assertIn("loss: vectors are not the rows that the whole node took: name the same node in both", said)

    def test_views_that_are_not_there_are_refused(self):
        said = self.flowrun(SHAPES / "swav.json", *settings("large_scores.count=5"), "--out", "out", "--quiet", status=1).stderr
        self.assertIn("large_scores: views 0 to 4 are taken, and pictures have 4: the views of several inputs of vectors.join come in the order of the inputs", said)

    def test_variants_that_share_their_input_are_those_that_run_alone(self):
        sets = {part.partition("=")[0]: part.partition("=")[2] for part in SMALL}
        sets = {key: json.loads(value) if value[0] in "[0123456789" and " " not in value else value for key, value in sets.items()}
        self.write({"base": str(SHAPES / "simclr.json"), "set": sets,
                    "variants": {"a": {"pull.temperature": 0.2}, "b": {"pull.temperature": 0.5}, "c": {"run.coupling": "again"}}}, "sweep.json")
        self.flowrun("sweep", "sweep.json", "--out", "alone", "--quiet")
        self.flowrun("sweep", "sweep.json", "--share", "--out", "shared", "--quiet")
        losses = {out: {name: [(line["loss"], line["ledger"]) for line in self.lines(f"{out}/{name}")] for name in "abc"} for out in ("alone", "shared")}
        self.assertEqual(losses["alone"], losses["shared"])
        self.assertNotEqual(losses["alone"]["a"], losses["alone"]["b"])
        self.assertEqual(losses["alone"]["a"], losses["alone"]["c"])

    def test_a_run_on_ranks_is_verified_in_one_process(self):
        """Also where all groups of a rank were one."""
        self.ended(self.ranks(2, SHAPES / "simclr_batch.json", *settings(), "--out", "out", "--quiet"))
        self.assertIn("4 ledgers", self.flowrun("verify", "out").stdout)

    def test_memory_must_hold_a_step(self):
        said = self.flowrun(SHAPES / "simclr.json", *settings("let.batch=256", "let.group=64", "run.memory_mib=1"), "--out", "out", "--quiet", status=2).stderr
        self.assertIn("run.memory_mib is 1, but pull needs all 4 groups of a step at once, which are 2 MiB: raise run.memory_mib, or make the batch smaller", said)
        self.assertFalse((self.folder / "out/metrics.jsonl").exists())


if __name__ == "__main__":
    support.main()
