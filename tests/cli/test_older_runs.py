"""Runs of older versions, kept in tests/runs: they are resumed, looked at, and their weights are read.

A failure here is a change that users with runs would meet. The kept files stay as they are (tests/runs/make_run.py)."""
import json
import pathlib
import shutil
import sys
import unittest

import support

sys.path.insert(0, str(support.ROOT / "tests/support"))
import compare_runs  # noqa: E402

KEPT = support.ROOT / "tests/runs"
# Another processor adds up floats in another order.
LOSSES, TWO_IMAGES = 1e-6, 2 / 50


class OlderRun:
    """What holds for a run of any version; `version` names its folder."""

    def setUp(self):
        super().setUp()
        shutil.copytree(KEPT / self.version, self.folder, dirs_exist_ok=True)

    def read(self, path):
        return json.loads((self.folder / path).read_text())

    def stopped_after(self):
        """The step of the kept checkpoint, before a later one is there."""
        return compare_runs.read_json(compare_runs.last_checkpoint(self.folder / "run") / "manifest.json")["step"]

    def assert_holds(self, kept, found):
        """All that was kept is found again; newer versions may say more."""
        self.assertEqual([text for text in compare_runs.json_differences(kept, found) if "only AFTER has it" not in text], [])

    def assert_is_the_whole_run(self):
        whole = self.read("whole.json")
        found = self.metrics("run")
        self.assertEqual([line["step"] for line in found], [line["step"] for line in whole["metrics"]])
        for kept, line in zip(whole["metrics"], found):
            self.assertEqual(line["ledger"], kept["ledger"], f"step {kept['step']}")
            for name in kept.keys() - {"step", "ledger"}:
                self.assertAlmostEqual(line[name], kept[name], delta=LOSSES * abs(kept[name]), msg=f"{name} of step {kept['step']}")
        evaluations = compare_runs.read_lines(self.folder / "run/evaluations.jsonl")
        self.assertEqual([(line["node"], line["step"]) for line in evaluations], [(line["node"], line["step"]) for line in whole["evaluations"]])
        for kept, line in zip(whole["evaluations"], evaluations):
            self.assertAlmostEqual(line["accuracy"], kept["accuracy"], delta=TWO_IMAGES, msg=f"step {kept['step']}")
        self.assertEqual((self.result("run")["status"], self.result("run")["steps"]), ("done", whole["metrics"][-1]["step"]))
        self.assertEqual(self.last_checkpoint("run")[0], f"step-{whole['metrics'][-1]['step']}")

    def test_is_resumed_to_its_end(self):
        step = self.stopped_after()
        self.assertLess(step, self.read("whole.json")["metrics"][-1]["step"], "nothing is left to resume")
        self.flowrun("pipeline.json", "--out", "run", "--resume")
        self.assertIn(f"resumed after step {step}", (self.folder / "run/log.txt").read_text())
        self.assert_is_the_whole_run()

    def test_is_resumed_with_its_resolved_pipeline(self):
        shutil.copy(self.folder / "run/pipeline.resolved.json", self.folder / "resolved.json")
        self.flowrun("resolved.json", "--set", "run.steps=0", "--out", "run", "--resume")
        self.assert_is_the_whole_run()

    def test_is_found_again(self):
        metrics, step = self.metrics("run"), self.stopped_after()
        self.assertEqual(len(metrics), step)
        found = json.loads(self.flowrun("verify", "run", "--steps", f"1:{step}", "--json").stdout)
        self.assertEqual((found["equal"], found["same_data"]), (True, True))
        self.assertEqual([(line["step"], line["found"]) for line in found["steps"]], [(line["step"], line["ledger"]) for line in metrics])
        kept = self.read("replay.json")
        found = json.loads(self.flowrun("replay", "run", "--sample", kept["sample"], "--epoch", kept["epoch"], "--json").stdout)
        self.assertGreater(len(kept["nodes"]), 5)
        for node in kept["nodes"] + found["nodes"]:  # a type may have more outputs now
            node["outputs"] = {output["port"]: output for output in node["outputs"]}
        self.assert_holds(kept, found)

    def test_is_reported_and_drawn(self):
        step, loss = self.stopped_after(), self.metrics("run")[-1]["loss"]
        self.flowrun("report", "run")
        page = (self.folder / "run/report.html").read_text()
        for words in (f"{loss:.4}", "train.adamw", f"checkpoints/step-{step}", "knn"):
            self.assertIn(words, page)
        self.flowrun("draw", "run", "-o", "run.svg")
        self.assertIn("update", (self.folder / "run.svg").read_text())

    def test_weights_are_read(self):
        accuracies = self.read("accuracies.json")
        self.assertEqual({pathlib.PurePath(file).name for file in accuracies}, {"encoder.safetensors", "student.safetensors"})
        for file, accuracy in accuracies.items():
            out = pathlib.PurePath(file).stem
            self.flowrun("knn.json", "--set", f"let.weights={file}", "--out", out)
            # The fixed table of positions is no parameter, all else is.
            count = len(compare_runs.tensors((self.folder / file).read_bytes())[0]) - 1
            self.assertIn(f"matched {count} of {count} parameters", (self.folder / out / "log.txt").read_text())
            self.assertAlmostEqual(self.result(out)["knn"]["accuracy"], accuracy, delta=TWO_IMAGES)

    def test_is_exported_as_it_was(self):
        self.flowrun("export", "run", "again.safetensors")
        kept, again = (compare_runs.tensors((self.folder / name).read_bytes()) for name in ("encoder.safetensors", "again.safetensors"))
        self.assertEqual(again[1], kept[1])
        self.assertEqual(sorted(again[0]), sorted(kept[0]))
        for name, (dtype, shape, data) in kept[0].items():
            self.assertEqual(again[0][name][:2], (dtype, shape), name)
            if name == "pos_embed":  # sines and cosines, made anew
                apart = abs(compare_runs.values(dtype, again[0][name][2]) - compare_runs.values(dtype, data)).max()
                self.assertLess(apart, 1e-6)
            else:
                self.assertEqual(again[0][name][2], data, name)


class Version010(OlderRun, support.Folder):
    version = "0.1.0"


class AllOfThem(unittest.TestCase):
    def test_each_kept_run_is_tested(self):
        self.assertEqual([path.name for path in sorted(KEPT.iterdir()) if (path / "run").is_dir()], [case.version for case in OlderRun.__subclasses__()])


if __name__ == "__main__":
    support.main()
