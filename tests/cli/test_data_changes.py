"""Data that changed between a run and its resume: refused with both numbers, or accepted explicitly."""
import json
import shutil

from PIL import Image

import support


class Changes(support.Folder):
    def pictures(self, folder, numbers):
        (self.folder / folder).mkdir(exist_ok=True)
        for number in numbers:
            Image.effect_noise((30 + number, 30), 60).convert("RGB").save(self.folder / folder / f"{number:02}.jpg", quality=90)

    def pipeline(self, **run):
        pipeline = support.training_pipeline(**{"epochs": 4, **run})
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "data"}
        pipeline["nodes"]["batch"].update(size=6, group=3)
        return pipeline

    def begin(self, steps):
        self.pictures("data", range(18))
        self.write(self.pipeline())
        self.flowrun("pipeline.json", "--out", "run", "--quiet", "--set", f"run.steps={steps}")

    def resume(self, *args, status=0):
        return self.flowrun("pipeline.json", "--out", "run", "--quiet", "--resume", *args, status=status)

    def data(self):
        return json.loads((self.folder / "run/data.json").read_text())

    def test_more_pictures(self):
        self.begin(5)  # of 3 an epoch: one epoch and two thirds
        self.pictures("data", range(18, 24))
        said = self.resume(status=2).stderr
        self.assertRegex(said, r"files: 18 samples, \d+ bytes then; 24 samples, \d+ bytes now\n")
        self.assertIn("--accept-changed-data", said)
        said = self.resume("--accept-changed-data").stderr
        self.assertRegex(said, r"warning: going on with other data:\n  files: 18 samples, \d+ bytes then; 24 samples, \d+ bytes now")
        lines = self.metrics("run")
        # The second epoch begins again: 4 steps each for the epochs 1, 2 and 3 follow.
        self.assertEqual([line["step"] for line in lines], list(range(1, 18)))
        self.assertEqual(self.result("run")["status"], "done")
        self.assertAlmostEqual(lines[5]["epoch"], 1.25)
        self.assertAlmostEqual(lines[-1]["epoch"], 4)
        rates = [line["lr"] for line in lines]
        self.assertLess(abs(rates[-1] - 1e-4), 1e-9, "the schedule ends where it should")
        peak = rates.index(max(rates))
        self.assertEqual(rates[peak:], sorted(rates[peak:], reverse=True), f"a schedule never goes back: {rates}")
        change = self.data()["changes"][0]
        self.assertEqual((change["after_step"], change["epochs_done"]), (5, 1))
        self.assertAlmostEqual(change["progress"], 5 / 12)
        # Steps after the change can be repeated, steps before it can't.
        self.assertIn("ledgers are those of the run", self.flowrun("verify", "run", "--steps", "6:17").stdout)
        self.assertIn("step 3 was made with other data", self.flowrun("verify", "run", "--step", 3, status=2).stderr)
        replayed = json.loads(self.flowrun("replay", "run", "--sample", 20, "--epoch", 2, "--json").stdout)
        self.assertTrue(replayed["ledger"]["equal"])

    def test_a_change_is_kept_over_further_stops(self):
        self.begin(5)
        self.pictures("data", range(18, 24))
        shutil.copytree(self.folder / "run", self.folder / "whole")
        self.flowrun("pipeline.json", "--out", "whole", "--quiet", "--resume", "--accept-changed-data")
        self.resume("--accept-changed-data", "--set", "run.steps=8")
        self.resume("--set", "run.steps=11")
        self.resume()
        self.assertEqual(self.history("run"), self.history("whole"))
        self.assertEqual(self.metrics("run")[-1]["step"], 17)

    def test_fewer_pictures_are_no_shorter_run(self):
        self.begin(5)
        for number in range(12, 18):
            (self.folder / f"data/{number:02}.jpg").unlink()
        self.assertIn("12 samples", self.resume(status=2).stderr)
        self.resume("--accept-changed-data")
        lines = self.metrics("run")
        self.assertEqual(lines[-1]["step"], 5 + 3 * 2)  # three epochs of two steps
        self.assertAlmostEqual(lines[-1]["epoch"], 4)

    def test_other_contents_of_another_size(self):
        self.begin(4)
        Image.effect_noise((90, 90), 60).convert("RGB").save(self.folder / "data/03.jpg")
        self.assertRegex(self.resume(status=2).stderr, r"files: 18 samples, \d+ bytes then; 18 samples, \d+ bytes now")

    def test_data_may_be_moved(self):
        self.begin(4)
        (self.folder / "data").rename(self.folder / "elsewhere")
        self.assertIn("there is no folder data", self.resume(status=1).stderr)
        self.resume("--set", "files.path=elsewhere")
        self.assertEqual(self.metrics("run")[-1]["step"], 12)
        self.assertIn("ledgers are those of the run", self.flowrun("verify", "run").stdout)

    def test_what_changes_no_number_may_change(self):
        self.begin(4)
        self.resume("--set", "metrics.every=2 steps", "--set", "save.every=1 epoch", "--set", "save.keep=5", "--set", "run.max_bad=3")
        self.assertEqual(self.metrics("run")[-1]["step"], 12)
        self.assertIn("update.lr.max", self.flowrun("pipeline.json", "--out", "run", "--resume", "--set", "update.lr.max=1", status=2).stderr)

    def test_a_bad_file_counts_once_and_the_budget_may_be_raised(self):
        self.pictures("data", range(18))
        (self.folder / "data/02.jpg").write_bytes(b"<html>404 not found</html>")
        self.write(self.pipeline(max_bad=1))
        self.flowrun("pipeline.json", "--out", "once", "--quiet")
        self.assertEqual(len((self.folder / "once/quarantine.jsonl").read_text().splitlines()), 4)
        (self.folder / "data/07.jpg").write_bytes(b"")
        said = self.flowrun("pipeline.json", "--out", "run", "--quiet", status=1).stderr
        self.assertIn("more than run.max_bad = 1 samples failed", said)
        self.assertIn("raise run.max_bad", said)
        self.resume("--set", "run.max_bad=2")
        self.assertEqual(self.result("run")["status"], "done")
        # The count survives a resume.
        (self.folder / "data/08.jpg").write_bytes(b"")
        self.flowrun("pipeline.json", "--out", "stopped", "--quiet", "--set", "run.max_bad=3", "--set", "run.steps=6")
        self.flowrun("pipeline.json", "--out", "stopped", "--quiet", "--resume", "--set", "run.max_bad=2", status=1)

    def test_an_evaluation_says_that_it_has_no_budget(self):
        self.pictures("data", range(18))
        (self.folder / "val/a").mkdir(parents=True)
        (self.folder / "val/a/x.jpg").write_bytes(b"<html>404 not found</html>")
        pipeline = self.pipeline(max_bad=3, epochs=2)
        nodes = pipeline["nodes"]
        for name, path in (("known", "data"), ("unseen", "val")):
            nodes[name] = {"type": "source.folder", "path": path}
            nodes[f"{name}_decode"] = {"type": "image.decode", "in": name}
            nodes[f"{name}_view"] = {"type": "image.resize", "in": f"{name}_decode", "size": 24}
            nodes[f"{name}_batch"] = {"type": "batch.stack", "in": {"image": f"{name}_view"}, "size": 4}
            nodes[f"{name}_upload"] = {"type": "device.upload", "in": f"{name}_batch.*"}
            nodes[f"{name}_features"] = {"type": "eval.features", "in": f"{name}_upload.*", "model": "teacher"}
        plain = json.loads(json.dumps(pipeline))
        self.write(pipeline | {"nodes": {**nodes, "sink": {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}}}})
        self.assertIn("label", self.flowrun("pipeline.json", "--out", "no", "--quiet", status=1).stderr)
        # With classes: training continues, and the failure is reported at the end.
        for part in ("a", "b"):
            self.pictures(f"val/{part}", range(2, 6)) if (self.folder / "val").exists() else None
        for name in ("known", "unseen"):
            plain["nodes"][name]["path"] = "val"
            plain["nodes"][f"{name}_batch"]["in"]["label"] = name
        plain["nodes"]["known"]["list"] = "good.txt"
        (self.folder / "good.txt").write_text("".join(f"{p}/{n:02}.jpg\n" for p in "ab" for n in range(2, 6)))
        bad = self.folder / "val/a/x.jpg"
        # An error of the header is found before anything is trained.
        plain["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [3]}
        self.write(plain)
        said = self.flowrun("pipeline.json", "--out", "early", "--quiet", status=2).stderr
        self.assertIn("error: unseen: evaluations will fail on 1 file of 9 looked at, the first val/a/x.jpg", said)
        self.assertFalse((self.folder / "early").exists())
        bad.write_bytes((self.folder / "val/a/02.jpg").read_bytes()[:900])  # broken further on
        plain["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [3], "at": ["1 epochs", "end"]}
        self.write(plain)
        said = self.flowrun("pipeline.json", "--out", "run", "--quiet", status=1).stderr
        self.assertIn("the evaluation knn failed after step 3", said)
        self.assertIn("x.jpg", said)
        self.assertIn("run.max_bad is for training alone", said)
        result = self.result("run")
        self.assertEqual((result["status"], result["steps"]), ("done", 6))
        self.assertIn("x.jpg", result["evaluations_failed"]["knn"])


if __name__ == "__main__":
    support.main()
