"""The fifth promise: a stop, a kill or a full disk costs at most the steps since the last checkpoint, and a resumed run
is the uninterrupted one, bit for bit."""
import os
import random
import resource
import signal

import support


class Resume(support.Folder):
    def uninterrupted(self, pipeline):
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "whole")

    def assert_equal_runs(self, out):
        self.assertEqual(self.history(out), self.history("whole"))
        self.assertEqual(self.last_checkpoint(out), self.last_checkpoint("whole"))
        self.assertEqual(self.result(out)["status"], "done")

    def wait_for_step(self, process, out, step):
        def reached():
            try:
                return any(line["step"] >= step for line in self.metrics(out))
            except (FileNotFoundError, ValueError):
                return False

        support.wait_until(lambda: process.poll() is not None or reached(), 600)

    def test_signals_stop_after_the_step(self):
        self.uninterrupted(support.training_pipeline(epochs=8))
        for name in ("SIGTERM", "SIGINT", "SIGUSR2"):
            process = self.start("pipeline.json", "--out", name)
            self.wait_for_step(process, name, 5)
            process.send_signal(getattr(signal, name))
            out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 75, err)
            result = self.result(name)
            self.assertEqual(result["status"], "stopped")
            self.assertTrue((self.folder / name / f"checkpoints/step-{result['steps']}/manifest.json").exists())
            self.assertIn("--resume", err)
            self.flowrun("pipeline.json", "--resume", "--out", name, "--threads", 3)
            self.assert_equal_runs(name)

    def test_a_signal_during_an_evaluation_stops_it(self):
        pipeline = support.training_pipeline(epochs=1)
        pipeline["nodes"].update({
            "known": {"type": "source.synthetic", "images": 4000, "size": 64},
            "known_decode": {"type": "image.jpeg_decode", "in": "known"},
            "known_batch": {"type": "batch.stack", "in": {"image": "known_decode", "label": "known"}, "size": 10},
            "known_upload": {"type": "device.upload", "in": "known_batch.*"},
            "known_pixels": {"type": "eval.pixels", "in": "known_upload.*"},
            "knn": {"type": "eval.knn", "in": {"train": "known_pixels", "test": "known_pixels"}, "at": ["start", "end"]},
        })
        self.write(pipeline)
        process = self.start("pipeline.json", "--out", "run")
        log = self.folder / "run/log.txt"
        self.wait_until(lambda: log.exists() and "steps of" in log.read_text(), process)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75, err)
        self.assertNotIn("evaluation knn", err)
        self.flowrun("pipeline.json", "--resume", "--out", "run")
        result = self.result("run")
        self.assertEqual(result["status"], "done")
        self.assertEqual([entry["step"] for entry in result["knn"]["history"]], [0, 4])

    def test_run_steps_stops_earlier_without_changing_schedules(self):
        self.uninterrupted(support.training_pipeline())
        self.flowrun("pipeline.json", "--set", "run.steps=5", "--out", "short")
        self.assertEqual(self.history("short"), self.history("whole")[:5])
        self.flowrun("pipeline.json", "--resume", "--out", "short")
        self.assert_equal_runs("short")

    def kill_ten_times(self, pipeline):
        self.uninterrupted(pipeline)
        chance, steps = random.Random(0), len(self.history("whole"))
        for kill in range(1, 11):
            resume = ["--resume"] if (self.folder / "killed/pipeline.resolved.json").exists() else []
            process = self.start("pipeline.json", "--out", "killed", *resume)
            self.kill_behind(process, "killed", int(steps * (kill - chance.random()) / 12), chance.uniform(0, 0.02))
        self.flowrun("pipeline.json", "--out", "killed", "--resume")
        self.assert_equal_runs("killed")

    def test_killed_ten_times(self):
        self.kill_ten_times(support.training_pipeline(epochs=200))

    @support.needs_cifar10
    def test_cifar10_killed_ten_times(self):
        support.unpack_cifar10(self.folder, 400, classes=2)
        pipeline = support.training_pipeline(epochs=25)
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "train"}
        pipeline["nodes"]["batch"].update(size=32, group=16)
        pipeline["nodes"]["save"]["every"] = "10 steps"
        self.kill_ten_times(pipeline)

    def test_killed_while_it_opens(self):
        """Before the first checkpoint, the run can be started again unchanged."""
        self.write(support.data_pipeline())
        for files in range(8):
            out = self.folder / f"run-{files}"
            process = self.start("pipeline.json", "--out", out)
            while process.poll() is None and not (out.exists() and len(os.listdir(out)) >= files):
                pass  # no pause: the next file may come at once
            process.kill()
            process.communicate()
            resume = ["--resume"] if (out / "pipeline.resolved.json").exists() else []
            self.flowrun("pipeline.json", "--out", out, *resume)
            self.assertEqual(self.result(out)["status"], "done")

    def test_another_pipeline_is_refused(self):
        self.write(support.training_pipeline())
        self.flowrun("pipeline.json", "--set", "run.steps=2", "--out", "run")
        err = self.flowrun("pipeline.json", "--set", "update.lr.max=0.1", "--resume", "--out", "run", status=2).stderr
        self.assertIn("nodes.update.lr.max is now 0.1", err)
        self.assertEqual(len(self.history("run")), 2)

    def test_a_run_is_not_overwritten(self):
        self.write(support.data_pipeline())
        self.flowrun("pipeline.json", "--out", "run")
        before = (self.folder / "run/metrics.jsonl").read_text()
        err = self.flowrun("pipeline.json", "--out", "run", status=1).stderr
        self.assertIn("--resume", err)
        self.assertEqual((self.folder / "run/metrics.jsonl").read_text(), before)
        self.flowrun("pipeline.json")
        self.flowrun("pipeline.json")
        self.assertTrue((self.folder / "runs/pipeline-2/result.json").exists())

    def test_a_run_that_still_opens_keeps_its_name(self):
        self.write(support.data_pipeline())
        first = self.start("pipeline.json")
        support.wait_until(lambda: first.poll() is not None or (self.folder / "runs/pipeline/log.txt").exists())
        self.flowrun("pipeline.json")
        _, err = first.communicate()
        self.assertEqual(first.returncode, 0, err)
        for name in ("pipeline", "pipeline-2"):
            self.assertEqual(self.result(f"runs/{name}")["status"], "done")

    def test_nobody_reads_what_it_says(self):
        self.write(support.training_pipeline())
        process = self.start("pipeline.json", "--out", "run")
        process.stdout.close(), process.stderr.close()
        self.assertEqual(process.wait(timeout=120), 0)
        self.assertEqual(self.result("run")["status"], "done")

    def test_nothing_to_resume(self):
        self.write(support.data_pipeline())
        err = self.flowrun("pipeline.json", "--resume", "--out", "nowhere", status=1).stderr
        self.assertIn("nowhere", err)

    def test_a_torn_checkpoint_is_passed_over(self):
        self.uninterrupted(support.training_pipeline())
        self.flowrun("pipeline.json", "--set", "run.steps=6", "--out", "torn")
        newest = self.folder / "torn/checkpoints/step-6/student.safetensors"
        newest.write_bytes(newest.read_bytes()[:-7])
        err = self.flowrun("pipeline.json", "--resume", "--out", "torn").stderr
        self.assertIn("step-6", err)
        self.assertIn("resumed after step 4", err)
        self.assert_equal_runs("torn")

    def test_disk_full_at_the_checkpoint(self):
        pipeline = support.training_pipeline()
        self.uninterrupted(pipeline)
        size = max(path.stat().st_size for path in self.folder.glob("whole/checkpoints/*/*"))

        def limit():
            # Every file of the run is smaller than the optimizer's state: writing that one fails as on a full disk. The
            # signal that comes with it ends nothing.
            resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1000, size - 1000))

        done = self.flowrun("pipeline.json", "--out", "full", status=1, preexec_fn=limit)
        self.assertIn("cannot write", done.stderr)
        self.assertEqual(done.stderr.count("error"), 1, done.stderr)
        self.assertEqual(list((self.folder / "full/checkpoints").glob("*")), [])
        self.flowrun("pipeline.json", "--resume", "--out", "full")
        self.assert_equal_runs("full")

    def test_weights_that_are_not_finite_become_no_checkpoint(self):
        # The rate of the last update is beyond float32, and no later loss would show it.
        pipeline = support.training_pipeline()
        pipeline["nodes"]["update"].update(schedule="linear", warmup_epochs=2.75, lr={"start": 1e-4, "max": 2e-3, "final": 1e39})
        pipeline["nodes"]["metrics"]["every"] = "1000 steps"
        self.write(pipeline)
        for resume in ([], ["--resume"]):
            done = self.flowrun("pipeline.json", "--out", "run", *resume, status=1)
            self.assertEqual(done.stderr.count("error"), 1, done.stderr)
            self.assertRegex(done.stderr, r"save: predictor is not finite after step 12: [\w.]+; no checkpoint of it is written")
            self.assertIn("step-10 is whole, and --resume goes on from there", done.stderr)
            self.assertIn("lower lr.max", done.stderr)
            self.assertEqual(sorted(path.name for path in (self.folder / "run/checkpoints").iterdir()), ["step-10", "step-8"])
            self.assertEqual(self.result("run")["status"], "failed")
        self.assertIn("resumed after step 10", (self.folder / "run/log.txt").read_text())
        self.flowrun("pipeline.json", "--out", "run", "--resume", "--set", "run.steps=11")
        self.assertTrue((self.folder / "run/checkpoints/step-11").is_dir())
        # The same if only the end of the run writes a checkpoint.
        done = self.flowrun("pipeline.json", "--out", "end", "--set", "save.every=1000 steps", status=1)
        self.assertIn("there is none before it", done.stderr)
        self.assertFalse(list((self.folder / "end").glob("checkpoints/*")))


if __name__ == "__main__":
    support.main()
