"""Work that is recorded once and played gives the same bits as submitted work. A plug-in replaces
the GPU: it logs each operation with its memory, and repeats it when it is played."""
import json
import os
import shutil
import unittest

import support

PLUGIN = os.environ.get("FLOWRUN_TAPE_PLUGIN")


def pipeline(**run):
    """Sixteen images a step in two groups; masks of changing sizes."""
    out = support.training_pipeline(epochs=8, **run)
    out["plugins"] = [PLUGIN]
    out["nodes"]["files"]["images"] = 96
    out["nodes"]["save"]["every"] = "16 steps"
    return out


@unittest.skipUnless(PLUGIN, "FLOWRUN_TAPE_PLUGIN names no plug-in")
class Recording(support.Folder):
    def both(self, pipeline, **environment):
        """Runs with and without recordings are equal; returns the first one's statistics of them."""
        said = {}
        for name in ("off", "on"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for name, value in (("off", "off"), ("on", "auto")):
            pipeline["run"]["cuda_graphs"] = value
            done = self.flowrun("run", self.write(pipeline), "--out", name, env={**os.environ, **environment})
            said[name] = done.stderr + done.stdout
        self.assertEqual(self.history("on"), self.history("off"))
        newest = lambda out: sorted((self.folder / out / "checkpoints").iterdir())[-1]
        for file in sorted(newest("off").glob("*.safetensors")):
            self.assertEqual((newest("on") / file.name).read_bytes(), file.read_bytes(), file.name)
        return json.loads((self.folder / "on" / "stats.json").read_text())["recordings"], said["on"]

    def test_same_bits(self):
        counts, _ = self.both(pipeline())
        self.assertGreater(counts["played"], counts["submitted"])
        self.assertGreater(counts["recorded"], 2)  # shapes, each as the first group of a step and as another
        self.assertNotIn("why_not", counts)
        self.flowrun("run", "pipeline.json", "--out", "serial", "--serial", "--set", "run.cuda_graphs=auto")
        self.assertEqual(self.history("serial"), self.history("on"))

    def test_few_are_kept(self):
        """With room for two shapes, the frequent ones are played."""
        all_kept, _ = self.both(pipeline())
        counts, _ = self.both(pipeline(), FLOWRUN_TAPES="2")
        self.assertLess(counts["played"], all_kept["played"])
        self.assertGreater(counts["played"], 0)

    def test_the_first_group_of_a_step_is_like_the_others(self):
        """A shape is recorded once, whether it comes first in a step, when there are no gradients yet, or later."""
        counts, _ = self.both(pipeline())
        shapes = counts["recorded"]
        self.assertLessEqual(counts["submitted"], shapes + 12, "each shape is submitted at its first sight, rare ones are never recorded")
        one = pipeline()
        one["nodes"]["batch"].update(size=8, group=8)
        counts, _ = self.both(one)
        self.assertGreater(counts["played"], counts["submitted"])

    def test_what_is_read_now_and_then_is_submitted(self):
        """report.health reads only at its steps: their groups are submitted, others are played and keep no memory for it."""
        whole = pipeline()
        whole["nodes"]["health"] = {"type": "report.health", "every": "4 steps",
                                    "in": {"tokens": "encode", "prediction": "predict", "target": "targets"}}
        counts, _ = self.both(whole)
        steps = len(self.history("on"))
        self.assertGreaterEqual(counts["submitted"], 2 * (steps // 4))
        self.assertGreater(counts["played"], 0)

    def test_bf16(self):
        """Weights are cast once a step; played work reads the new casts."""
        counts, _ = self.both(pipeline(precision="bf16", steps=24))
        self.assertGreater(counts["played"], 0)

    def test_methods(self):
        """Other targets and losses, a loss without value, masks of one size, clipping, evaluations."""
        changes = {
            "values": lambda p: (p["nodes"]["loss"].update(value_every="4 steps"), p["nodes"]["metrics"].update(every="4 steps")),
            "pixels": lambda p: (p["nodes"].update(targets={"type": "mim.pixel_targets", "in": "upload.*", "patch": 4}),
                                 p["models"]["predictor"].update(blocks=[], out=48)),
            "smooth_l1": lambda p: p["nodes"]["loss"].update(type="loss.smooth_l1"),
            "clip": lambda p: p["nodes"]["update"].update(clip=0.1, norm_every="2 steps"),
            "mae": lambda p: p["nodes"].update(mask={"type": "mask.random", "in": "batch", "patch": 4}),
            "health": lambda p: p["nodes"].update(health={"type": "report.health", "every": "4 steps",
                                                          "in": {"tokens": "encode", "prediction": "predict", "target": "targets"}}),
            "evaluation": lambda p: p["nodes"].update(
                support.frozen_streams(train=60, test=40),
                knn={"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "at": ["10 steps", "end"]}),
        }
        for name, change in changes.items():
            with self.subTest(name):
                whole = pipeline()
                change(whole)
                counts, _ = self.both(whole)
                self.assertGreater(counts["played"], 0)
                self.assertNotIn("why_not", counts)

    def test_what_is_drawn_is_never_played(self):
        whole = pipeline(steps=12)
        whole["models"]["student"]["drop_path"] = 0.1
        counts, _ = self.both(whole)
        self.assertEqual((counts["played"], counts["recorded"]), (0, 0))

    def test_a_failed_capture_costs_one_shape(self):
        """The host reads a value while work is recorded: that shape is submitted, the others are still recorded."""
        counts, said = self.both(pipeline(), FLOWRUN_TEST_FAIL_CAPTURE="1")
        self.assertGreater(counts["played"], 0)
        self.assertNotIn("why_not", counts)
        self.assertRegex(said, "warning: groups of one shape are submitted kernel by kernel: recording failed: the host looks at a value")

    def test_three_failed_captures_end_recording(self):
        counts, said = self.both(pipeline(), FLOWRUN_TEST_FAIL_CAPTURE="1000")
        self.assertEqual((counts["played"], counts["recorded"]), (0, 0))
        self.assertIn("the host looks at a value", counts["why_not"])
        self.assertEqual(said.count("groups of one shape are submitted"), 2)
        self.assertEqual(said.count("kernel by kernel from here on"), 1)

    def test_wrong_recordings_are_refused(self):
        """Recordings that omit part of the work, or can't be played at all; after three of them nothing is recorded."""
        for kind, reason in (("forgets", "differ"), ("fails", "this tape can't be played")):
            with self.subTest(kind):
                counts, said = self.both(pipeline(steps=24), FLOWRUN_TAPE=kind)
                self.assertEqual(counts["played"], 0)
                self.assertIn(reason, counts["why_not"])
                self.assertRegex(said, f"warning: work on groups is submitted kernel by kernel.*{reason}")

    def test_resumed(self):
        """Shapes are recorded again; the run continues as one without recordings."""
        whole = pipeline()
        self.flowrun("run", self.write(whole), "--out", "whole", "--set", "run.cuda_graphs=off")
        self.flowrun("run", self.write(whole), "--out", "parts", "--set", "run.steps=32")
        self.flowrun("run", self.write(whole), "--out", "parts", "--resume")
        self.assertEqual(self.history("parts"), self.history("whole"))

    def test_profile_says_how_many(self):
        whole = pipeline()
        result = json.loads(self.flowrun("profile", self.write(whole), "--steps", "30", "--json").stdout)
        self.assertGreater(result["groups"]["played"], 0)
        self.assertRegex(self.flowrun("profile", "pipeline.json", "--steps", "30").stdout, r"\d+ were played as recordings of others and \d+ submitted")

    def test_node_that_does_not_repeat(self):
        """A node between the models can't be recorded: everything is submitted, and the run's statistics give the reason."""
        probe = support.probe_pipeline("linear", steps=4)
        probe["plugins"] = [PLUGIN]
        self.flowrun("run", self.write(probe), "--out", "probe")
        self.assertIn("nothing is trained in a way that can be recorded", (self.folder / "probe/stats.json").read_text())


if __name__ == "__main__":
    unittest.main()
