"""flowrun sweep: variants equal separate runs, and continue where they were stopped."""
import json
import signal

import support
from PIL import Image
from support import training_pipeline



class Sweep(support.Folder):
    def sweep(self, variants, **more):
        self.write(training_pipeline(steps=4), "base.json")
        return self.write({"base": "base.json", "variants": variants, **more}, "masks.json")

    def test_variants_equal_their_runs(self):
        name = self.sweep({"four": {}, "one": {"mask.regions": 1}, "other": "other.json"}, set={"seed": 5})
        self.write({**training_pipeline(steps=2), "about": "of its own"}, "other.json")
        done = self.flowrun("sweep", name, "--quiet")
        self.flowrun("base.json", "--set", "seed=5", "--set", "mask.regions=1", "--out", "alone")
        self.assertEqual(self.history("runs/masks/one"), self.history("alone"))
        self.assertNotEqual(self.history("runs/masks/four"), self.history("alone"))
        rows = json.loads((self.folder / "runs/masks/sweep.json").read_text())
        self.assertEqual([(row["variant"], row["status"], row["steps"]) for row in rows], [("four", "done", 4), ("one", "done", 4), ("other", "done", 2)])
        self.assertEqual(rows[1]["loss"], self.metrics("alone")[-1]["loss"])
        self.assertEqual((self.folder / "runs/masks/sweep.md").read_text(), done.stdout)
        self.assertRegex(done.stdout, r"\| one \| done \| 4 \| [\d.]+ \| 0\.\d+ \|")
        again = self.flowrun("sweep", name, "--json")
        self.assertEqual(again.stderr.count("is done already"), 3)
        self.assertEqual(json.loads(again.stdout), rows)

    def test_a_stopped_sweep_goes_on(self):
        self.write(training_pipeline(), "base.json")
        name = self.write({"base": "base.json", "variants": {"a": {"run.epochs": 60}, "b": {}}}, "masks.json")
        process = self.start("sweep", name, "--out", "out")
        self.wait_for_steps("out/a", 5)
        children = support.subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        support.os.kill(int(children[0]), signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75)
        self.assertRegex(out, r"\| a \| stopped \|")
        self.assertRegex(out, r"\| b \| not run \|")
        self.flowrun("sweep", name, "--out", "out")
        self.flowrun("base.json", "--set", "run.epochs=60", "--out", "alone")
        self.assertEqual(self.history("out/a"), self.history("alone"))

    def test_a_variant_that_fails_does_not_stop_the_others(self):
        (self.folder / "empty").mkdir()
        name = self.sweep({"broken": {"update.lr.max": 1e30, "update.lr.start": 1e30, "update.lr.final": 1e30}, "whole": {}})
        done = self.flowrun("sweep", name, status=1)
        self.assertRegex(done.stdout, r"\| broken \| failed \|")
        self.assertRegex(done.stdout, r"\| whole \| done \| 4 \|")

    def test_checkpoints_of_all_variants_must_fit(self):
        name = self.sweep({"a": {}, "b": {"mask.regions": 1}})
        self.flowrun("base.json", "--out", "alone")
        one = sum(path.stat().st_size for path in next((self.folder / "alone/checkpoints").iterdir()).iterdir())
        # One variant has room, two haven't.
        space = support.os.statvfs(self.folder)
        many = {"save.every": "1 steps", "save.keep": int(0.7 * space.f_bavail * space.f_frsize / one), "run.epochs": 2_000_000_000, "run.steps": 0}
        name = self.sweep({"a": {}, "b": {"mask.regions": 1}}, set=many)
        for more in ([], ["--share"]):
            done = self.flowrun("sweep", name, "--out", "parent/out", *more, status=1)
            self.assertRegex(done.stderr, r"the checkpoints of the 2 variants that are to run need [\d.]+ GiB, but the disk of parent/out has only "
                                          r"[\d.]+ GiB left: free some space")
            self.assertNotIn("variant 1 of 2", done.stderr)
            self.assertFalse((self.folder / "parent").exists())
        # Finished variants need no more room, and short runs write few checkpoints, even if many may be kept.
        name = self.sweep({"a": {}, "b": {"mask.regions": 1}}, set={"save.keep": many["save.keep"]})
        self.flowrun("sweep", name, "--out", "out")

    def wait_for_steps(self, run, count):
        metrics = self.folder / run / "metrics.jsonl"
        self.wait_until(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > count)

    def assert_alone(self, run, pipeline, *sets):
        """A variant under --share equals the separate run: ledgers, losses, checkpoints, evaluations, quarantine."""
        alone = run.replace("/", "-") + "-alone"
        self.flowrun(pipeline, *(word for each in sets for word in ("--set", each)), "--quiet", "--out", alone)
        self.assertEqual(self.history(run), self.history(alone))
        self.assertEqual(self.last_checkpoint(run), self.last_checkpoint(alone))
        for name in ("evaluations.jsonl", "quarantine.jsonl"):
            texts = [(self.folder / out / name).read_text() if (self.folder / out / name).exists() else None for out in (run, alone)]
            self.assertEqual(*texts)

    def shared_sweep(self, variants, pipeline=None, **more):
        self.write(pipeline or training_pipeline(), "base.json")
        return self.write({"base": "base.json", "variants": variants, **more}, "masks.json")

    def test_shared_input_gives_what_runs_alone_give(self):
        pipeline = training_pipeline()
        streams = support.frozen_streams()
        pipeline["nodes"].update(streams)
        pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "at": ["start", "5 steps", "end"]}
        variants = {
            "four": {},
            "one": {"mask.regions": 1},
            "short": {"run.steps": 5, "mask.regions": 2},
            "slow": {"update.lr.max": 1e-3, "run.memory_mib": 1},
            "seed": {"seed": 8},
            "crop": {"crop.area": [0.5, 1]},
        }
        done = self.flowrun("sweep", self.shared_sweep(variants, pipeline), "--share", "--quiet", "--threads", 2)
        self.assertIn("sharing files, crop, decode, view, flip, batch among 4 variants; mask is each one's own", done.stderr)
        self.assertIn("variant 2 to 5 of 6: four, one, short, slow\n", done.stderr)
        self.assertIn("variant 1 of 6: crop\n", done.stderr)
        for name in ("four", "one", "short", "slow"):
            self.assert_alone(f"runs/masks/{name}", "base.json", *(f"{path}={json.dumps(value)}" for path, value in variants[name].items()))
            log = (self.folder / f"runs/masks/{name}/log.txt").read_text()
            self.assertRegex(log, rf"^\S+ \S+ run runs/masks/{name}: ")
            self.assertEqual(log.count("done: "), 1)
            nodes = json.loads((self.folder / f"runs/masks/{name}/stats.json").read_text())["nodes"]
            self.assertEqual((nodes["decode"]["count"], nodes["batch"]["count"]), (0, 0))
            self.assertGreater(nodes["mask"]["count"], 0)
        self.assertIn("one: done: runs/masks/one", done.stderr)

    def test_masks_are_shared_where_they_are_equal(self):
        done = self.flowrun("sweep", self.shared_sweep({"a": {}, "b": {"update.lr.max": 1e-3}}), "--share", "--quiet")
        self.assertIn("sharing files, crop, decode, view, flip, batch, mask among 2 variants\n", done.stderr)
        self.assert_alone("runs/masks/b", "base.json", "update.lr.max=1e-3")

    def test_shared_input_outlives_a_variant_that_fails(self):
        huge = {"update.lr.max": 1e30, "update.lr.start": 1e30, "update.lr.final": 1e30}
        variants = {"broken": huge, "deeper": {"student.depth": 3}, "whole": {}}
        done = self.flowrun("sweep", self.shared_sweep(variants), "--share", "--quiet", status=1)
        self.assertRegex(done.stdout, r"\| broken \| failed \|")
        self.assertRegex(done.stdout, r"\| deeper \| done \|")
        self.assert_alone("runs/masks/whole", "base.json")
        self.flowrun("base.json", *(word for path, value in huge.items() for word in ("--set", f"{path}={value}")), "--out", "alone", status=1)
        self.assertEqual(self.result("runs/masks/broken")["error"], self.result("alone")["error"])

    def test_a_stopped_shared_sweep_goes_on(self):
        name = self.shared_sweep({"a": {"run.epochs": 100}, "b": {"run.epochs": 90, "mask.regions": 1}, "c": {"seed": 5}}, set={"save.every": "20 steps"})
        for signal_sent in (signal.SIGTERM, signal.SIGINT):
            process = self.start("sweep", name, "--share", "--quiet", "--out", "out")
            self.wait_for_steps("out/b", 5)
            self.wait_until(lambda: all((self.folder / "out" / run / "process.json").exists() for run in "ab"))
            if signal_sent == signal.SIGTERM:
                for run in ("out/a", "out/b"):  # one process answers for both
                    self.assertEqual(json.loads(self.flowrun("top", run, "--once", "--json").stdout)["run"], run)
                process.send_signal(signal_sent)
            else:  # from a terminal it comes to all
                child = support.subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()[0]
                support.os.kill(int(child), signal_sent)
            out, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 75, err)
            self.assertRegex(out, r"\| a \| stopped \|")
            self.assertRegex(out, r"\| c \| not run \|")
        self.flowrun("sweep", name, "--share", "--quiet", "--out", "out")
        self.assert_alone("out/a", "base.json", "save.every=20 steps", "run.epochs=100")
        self.assert_alone("out/b", "base.json", "save.every=20 steps", "run.epochs=90", "mask.regions=1")

    def test_bad_files_are_listed_in_every_shared_run(self):
        images = self.folder / "images"
        images.mkdir()
        for number in range(48):
            Image.effect_noise((48, 40), 60 + number).convert("RGB").save(images / f"{number:04}.jpg")
        for name in ("0007.jpg", "0030.jpg"):
            (images / name).write_bytes(b"no picture")
        pipeline = training_pipeline(max_bad=9)
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "images"}
        done = self.flowrun("sweep", self.shared_sweep({"a": {}, "b": {"mask.regions": 1, "run.max_bad": 8}, "few": {"run.max_bad": 1}}, pipeline), "--share", "--quiet", status=1)
        self.assertIn("among 3 variants", done.stderr)
        self.assert_alone("runs/masks/a", "base.json")
        self.assert_alone("runs/masks/b", "base.json", "mask.regions=1", "run.max_bad=8")
        self.assertEqual(len((self.folder / "runs/masks/a/quarantine.jsonl").read_text().splitlines()), 6)  # two files, three epochs
        self.assertIn("more than run.max_bad = 1", self.result("runs/masks/few")["error"])
        name = self.shared_sweep({"a": {"run.max_bad": 0}, "b": {"run.max_bad": 0, "mask.regions": 1}}, pipeline)
        self.flowrun("sweep", name, "--share", "--quiet", "--out", "strict", status=1)
        self.flowrun("base.json", "--set", "run.max_bad=0", "--out", "alone", status=1)
        error = self.result("alone")["error"]
        self.assertIn("replay: flowrun replay alone", error)
        self.assertEqual(self.result("strict/a")["error"], error.replace("replay alone", "replay strict/a"))

    def test_memory_says_how_many_run_side_by_side(self):
        pipeline = training_pipeline(steps=2)
        pipeline["models"]["student"].update(width=96)  # 0.23 million weights: 0.9 MiB, five times with the teacher
        name = self.shared_sweep({"a": {}, "b": {"mask.regions": 1}, "c": {"mask.regions": 2}}, pipeline)
        done = self.flowrun("sweep", name, "--share", "--quiet", "--memory", 12)
        self.assertRegex(done.stderr, r"^side by side the 3 variants with the same input need 1[4-9] MiB, and 12 MiB are free: they run in 2 rounds\n")
        self.assertIn("variant 1 to 2 of 3: a, b\nsharing ", done.stderr)
        self.assertIn("variant 3 of 3: c\n", done.stderr)
        self.assertEqual(done.stdout.count("| done |"), 3)
        self.assertIn("--memory requires --share", self.flowrun("sweep", name, "--memory", 1, status=2).stderr)

    def test_faults(self):
        for sweep, message in (
            ({"base": "base.json", "variants": {"a": {"mask.regionz": 1}}}, "variant a of masks.json:"),
            ({"base": "base.json", "variants": {"a": 3}}, "variants.a must be an object from path to value"),
            ({"base": "base.json", "variants": {"../a": {}}}, 'the name "../a" of a variant is to be a folder'),
            ({"base": "base.json", "variant": {}}, 'unknown key "variant"; did you mean "variants"'),
            ({"variants": {"a": {}}}, "base must name the pipeline"),
            ({"base": "base.json"}, "variants must be an object"),
        ):
            self.write(training_pipeline(), "base.json")
            err = self.flowrun("sweep", self.write(sweep, "masks.json"), status=2).stderr
            self.assertIn(message, err)
            self.assertFalse((self.folder / "runs").exists())


if __name__ == "__main__":
    support.main()
