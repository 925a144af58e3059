"""Never allowed: removing foreign files, signalling foreign processes, calling a run done whose results are lost."""
import fcntl
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import unittest

import support
from support import data_pipeline, training_pipeline


def removed(folder):
    """Removes a folder in which a run may be making a file: then its removal fails, and is tried again."""
    for _ in range(100):
        if subprocess.run(["rm", "-rf", folder], stderr=subprocess.DEVNULL).returncode == 0:
            return
    raise AssertionError(f"{folder} can't be removed")


class Safety(support.Folder):
    def tree(self):
        """Everything in the test's folder except the pipelines, with the contents of files."""
        return {str(path.relative_to(self.folder)): path.read_bytes() if path.is_file() else None
                for path in sorted(self.folder.rglob("*")) if path.suffix != ".json" or path.parent != self.folder}

    def lines(self, out):
        path = self.folder / out / "metrics.jsonl"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def test_a_failed_open_leaves_everything_as_it_was(self):
        pipeline = data_pipeline()
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "/nowhere"}
        self.write(pipeline)
        (self.folder / "results").mkdir()
        (self.folder / "results/weights.txt").write_text("precious")
        (self.folder / "results/log.txt").write_text("of something else\n")
        (self.folder / "results/checkpoints").mkdir()
        before = self.tree()
        for out in ("runs/../results", "new/..", "new/../results", "results", "a/b/c", "a/../a/./b", "results/inner/run", "./x/", "x//y"):
            with self.subTest(out):
                done = self.flowrun("pipeline.json", "--out", out, status=1)
                self.assertIn("/nowhere", done.stderr)
                after = self.tree()
                self.assertTrue(after.pop("results/log.txt").startswith(b"of something else\n"))
                self.assertEqual(after, {name: text for name, text in before.items() if name != "results/log.txt"})

    def test_what_others_put_there_meanwhile_stays(self):
        pipeline = data_pipeline()
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "fifo"}
        os.mkdir(self.folder / "fifo")
        for number in range(3000):
            (self.folder / "fifo" / f"{number}.txt").write_text("")
        self.write(pipeline)
        process = self.start("pipeline.json", "--out", "run")
        self.wait_until(lambda: process.poll() is not None or (self.folder / "run").exists())
        try:
            (self.folder / "run/notes.md").write_text("mine")
        except FileNotFoundError:
            self.skipTest("the run was over before")
        process.communicate(timeout=60)
        self.assertEqual((self.folder / "run/notes.md").read_text(), "mine")

    def test_stop_signals_while_a_run_opens(self):
        pipeline = training_pipeline(epochs=500)
        pipeline["models"]["student"].update(width=384, depth=24, heads=6)  # opens for a while
        pipeline["nodes"]["batch"].update(size=64, group=64)
        self.write(pipeline)
        before = self.tree()
        for name in ("SIGINT", "SIGTERM", "SIGUSR2", "SIGHUP", "SIGUSR1"):
            with self.subTest(name):
                process = self.start("pipeline.json", "--out", f"a/{name}", "--threads", 1)
                self.wait_until(lambda: (self.folder / f"a/{name}").exists(), process)
                process.send_signal(getattr(signal, name))
                if name == "SIGUSR1":
                    self.wait_until(lambda: self.lines(f"a/{name}") >= 1, process)
                    process.send_signal(signal.SIGTERM)
                _, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 75, err)
                if "stopped while it opened" in err:
                    self.assertEqual(self.tree(), before, err)
                else:  # it was open by then, and has a checkpoint
                    self.assertEqual(self.result(f"a/{name}")["status"], "stopped")
                    subprocess.run(["rm", "-r", self.folder / "a"], check=True)

    def test_the_end_of_a_terminal_stops_a_run(self):
        self.write(training_pipeline(epochs=500))
        for ignored in (False, True):
            out = f"ignored-{ignored}"
            process = self.start("pipeline.json", "--out", out, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL))
            self.wait_until(lambda: self.lines(out) >= 2, process)
            process.send_signal(signal.SIGHUP)
            if ignored:  # as nohup has it
                seen = self.lines(out)
                self.wait_until(lambda: self.lines(out) >= seen + 5, process)
                process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 75, err)
            self.assertEqual(self.result(out)["status"], "stopped")

    def test_a_folder_removed_under_a_run_is_an_error(self):
        self.write(training_pipeline(epochs=3000))
        nothing = data_pipeline(epochs=20000)
        nothing["nodes"]["metrics"]["every"] = "100 epochs"
        self.write(nothing, "data.json")
        actions = {"removed": removed, "emptied": lambda run: subprocess.run(f"rm -r {run}/*", shell=True),
                   "moved": lambda run: run.rename(run.with_name("elsewhere")),
                   "replaced": lambda run: (run.rename(run.with_name("away")), run.mkdir())}
        for name, act in actions.items():
            for pipeline in ("pipeline.json", "data.json"):
                with self.subTest(name, pipeline=pipeline):
                    run = self.folder / f"{name}-{pipeline}" / "run"
                    process = self.start(pipeline, "--out", run, "--threads", 1)
                    self.wait_until(lambda: (run / "process.json").exists(), process)
                    act(run)
                    _, err = process.communicate(timeout=60)
                    self.assertEqual(process.returncode, 1, err)
                    self.assertRegex(err, "was removed")
                    self.assertNotIn("done:", err)
                    if name == "removed":
                        self.assertFalse(run.exists(), "it is not made again")

    def test_results_removed_behind_the_last_step(self):
        pipeline = data_pipeline(epochs=1)
        self.write(pipeline)
        process = self.start("pipeline.json", "--out", "run")
        self.wait_until(lambda: (self.folder / "run/process.json").exists() or process.poll() is not None)
        removed(self.folder / "run")
        _, err = process.communicate(timeout=60)
        self.assertIn(process.returncode, (0, 1))
        if process.returncode == 0:  # it had ended by then
            self.assertIn("done: run", err)

    # sweep

    def sweep(self, **more):
        self.write(training_pipeline(steps=4), "base.json")
        return self.write({"base": "base.json", "variants": {"student": {}}, **more}, "sweep.json")

    def test_a_sweep_removes_only_its_own_runs(self):
        name = self.sweep()
        precious = {"checkpoints/model.pth": "weeks of work", "thesis.tex": "x", "checkpoints/step-3/notes.txt": "y", "metrics.jsonl": "{}"}
        for file, text in precious.items():
            with self.subTest(file):
                path = self.folder / "out/student" / file
                path.parent.mkdir(parents=True)
                path.write_text(text)
                (self.folder / "out/student/stats.json").write_text("{}")
                if file != "metrics.jsonl":  # as if a run had been begun there
                    (self.folder / "out/student/pipeline.resolved.json").write_text("{}")
                before = self.tree()
                done = self.flowrun("sweep", name, "--out", "out", status=1)
                self.assertIn("out/student", done.stderr)
                self.assertIn("--out", done.stderr)
                self.assertEqual(self.tree(), before)
                subprocess.run(["rm", "-r", self.folder / "out"], check=True)

    def test_a_sweep_begins_its_own_broken_runs_again(self):
        name = self.sweep()
        self.flowrun("base.json", "--out", "whole")
        # Interrupted before its first checkpoint, with another pipeline at that time.
        self.flowrun("base.json", "--out", "out/student", "--set", "update.lr.max=1e30", "--set", "update.lr.start=1e30", status=1)
        (self.folder / "out/student/.status.json.tmp-1-7").write_text("torn")
        self.assertEqual(list((self.folder / "out/student/checkpoints").iterdir()), [])
        self.flowrun("sweep", name, "--out", "out")
        self.assertEqual(self.history("out/student"), self.history("whole"))
        self.assertFalse(list((self.folder / "out/student").glob("failed-step*")))

    def test_of_two_sweeps_one_is_refused(self):
        name = self.sweep(set={"run.steps": 4000, "run.epochs": 1000, "save.every": "900 epochs"})
        first = self.start("sweep", name, "--out", "live", "--quiet")
        self.wait_until(lambda: self.lines("live/student") >= 2, first)
        try:
            before = (self.folder / "live/student/metrics.jsonl").stat().st_ino
            for args in (["sweep", name, "--out", "live"], ["sweep", name, "--out", "live", "--share"]):
                self.assertIn("another process is writing", self.flowrun(*args, status=1).stderr)
            # A sweep beside a run that no sweep started.
            (self.folder / "other").mkdir()
            (self.folder / "other/student").symlink_to(self.folder / "live/student")
            self.assertIn("another process is writing", self.flowrun("sweep", name, "--out", "other", status=1).stderr)
            self.assertEqual((self.folder / "live/student/metrics.jsonl").stat().st_ino, before)
            seen = self.lines("live/student")
            self.wait_until(lambda: self.lines("live/student") > seen, first)
        finally:
            first.send_signal(signal.SIGTERM)
            self.assertEqual(first.wait(60), 75, first.communicate())

    # top

    def test_top_asks_the_holder_alone(self):
        self.write(training_pipeline(epochs=3000))
        process = self.start("pipeline.json", "--out", "run", "--threads", 1)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        self.wait_until(lambda: self.lines("run") >= 2, process)
        self.assertIn("threads_now", json.loads(self.flowrun("top", "run", "--json").stdout))
        named = json.loads((self.folder / "run/process.json").read_text())
        self.assertEqual(named["pid"], process.pid)
        stranger = subprocess.Popen(["sleep", "600"])
        self.addCleanup(lambda: (stranger.kill(), stranger.wait()))
        start = int(pathlib.Path(f"/proc/{stranger.pid}/stat").read_text().rsplit(")", 1)[1].split()[19])

        def planted(folder, content, locked=None):
            """A foreign folder, locked like a live run's."""
            run = self.folder / folder
            (run / "checkpoints").mkdir(parents=True)
            (run / "pipeline.resolved.json").write_text("{}")
            (run / "process.json").write_text(json.dumps(content))
            descriptor = os.open(run, os.O_RDONLY)
            self.addCleanup(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if locked:
                file = open(run / "process.json", "r+")
                self.addCleanup(file.close)
                locked(file)
            return self.flowrun("top", folder, status=1).stderr

        host = socket.gethostname()
        cases = [{"pid": stranger.pid, "host": host}, {"pid": stranger.pid, "host": host, "start": start}, {"pid": 0, "host": host, "start": 5},
                 {"pid": -1, "host": host, "start": 5}, {"pid": 1, "host": host, "start": 5}, {"pid": 1 << 40, "host": host, "start": 5},
                 {"pid": "1", "host": host, "start": 5}, {"pid": process.pid, "host": "elsewhere", "start": named["start"]}, [], {}]
        for number, content in enumerate(cases):
            locks = (lambda file: fcntl.lockf(file, fcntl.LOCK_EX), lambda file: fcntl.flock(file, fcntl.LOCK_EX))
            for locked in locks if number == 1 else (None,):
                with self.subTest(content, locked=locked):
                    said = planted(f"planted-{number}-{time.monotonic_ns()}", content, locked)
                    self.assertRegex(said, "can't be asked")
                    self.assertNotIn("json.exception", said)
        self.assertIsNone(stranger.poll())
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertIn("is not running", self.flowrun("top", "run", status=1).stderr)
        self.assertIsNone(stranger.poll())

    # Leftovers of killed processes

    def test_leftovers_of_dead_processes_go_at_a_resume(self):
        self.write(training_pipeline())
        self.flowrun("pipeline.json", "--set", "run.steps=4", "--out", "run")
        dead = subprocess.Popen(["true"])
        dead.wait()
        gone, stay = [f".status.json.tmp-{dead.pid}-0"], [f".report.html.tmp-{os.getpid()}-3", ".hidden", f".stats.json.tmp-{dead.pid}-0-00000000"]
        for name in gone + stay:
            (self.folder / "run" / name).write_text("torn")
        self.flowrun("pipeline.json", "--resume", "--out", "run")
        left = {path.name for path in (self.folder / "run").iterdir() if path.name.startswith(".")}
        self.assertEqual(left, set(stay))

    def test_resume_is_promised_only_where_it_works(self):
        pipeline = training_pipeline(epochs=500)
        del pipeline["nodes"]["save"]
        self.write(pipeline)
        process = self.start("pipeline.json", "--out", "run")
        self.wait_until(lambda: self.lines("run") >= 2, process)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75, err)
        self.assertNotIn("--resume", err)
        self.assertIn("there is no checkpoint to go on from", err)
        self.assertIn("no complete checkpoint", self.flowrun("pipeline.json", "--out", "run", status=1).stderr)

    # Limits

    def test_periods_beyond_all_steps(self):
        pipeline = training_pipeline(steps=2)
        pipeline["nodes"].update(support.frozen_streams())
        pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}}
        self.write(pipeline)
        for value in ("save.every=4611686018427387904 epochs", "metrics.every=9223372036854775807 epochs", "save.every=99999999999999999999 steps",
                      "knn.at=4611686018427387904 epochs", "loss.value_every=1000000000001 steps", "update.norm_every=4611686018427387904 epochs",
                      "run.epochs=4611686018427387904", "run.steps=4611686018427387904", "batch.size=4611686018427387904", "save.keep=4611686018427387904",
                      "files.images=4611686018427387904", "run.memory_mib=4611686018427387904"):
            with self.subTest(value):
                for command in ("check", "run"):
                    said = self.flowrun(command, "pipeline.json", "--set", value, status=2).stderr
                    self.assertRegex(said, "at most|between 1 and")
        # The largest that are allowed never come.
        self.flowrun("pipeline.json", "--out", "run", "--set", "save.every=1000000000000 epochs", "--set", "metrics.every=1000000000000 epochs",
                     "--set", "knn.at=1000000000000 epochs", "--set", "run.epochs=2147483647")
        self.assertEqual([line["step"] for line in self.metrics("run")], [2])

    def test_checkpoints_that_will_not_fit(self):
        self.write(training_pipeline())
        many = ["--set", "run.epochs=2000000000", "--set", "save.every=1 steps", "--set", "save.keep=2000000000"]
        done = self.flowrun("pipeline.json", *many, "--out", "a/run", status=1)
        self.assertRegex(done.stderr, r"the checkpoints of this run need [\d.]+ GiB \(2000000001 at once, [\d.]+ MiB each\), but the disk of a/run has only")
        self.assertFalse((self.folder / "a").exists())
        # The number given for one checkpoint is its true size.
        self.flowrun("pipeline.json", "--out", "run")
        one = max((self.folder / "run/checkpoints").iterdir(), key=lambda path: int(path.name[5:]))
        size = sum(path.stat().st_size for path in one.iterdir()) / 2**20
        said = float(done.stderr.split(" at once, ")[1].split(" MiB")[0])
        self.assertAlmostEqual(said, size, delta=0.1 + 0.1 * size)
        # Few steps write few checkpoints, even if many may be kept.
        self.flowrun("pipeline.json", "--set", "save.keep=2000000000", "--out", "few")

    def test_the_last_step_is_reported(self):
        self.write(training_pipeline(epochs=1))
        self.flowrun("pipeline.json", "--out", "each")
        for name, sets in {"seldom": ["metrics.every=20 steps"], "value": ["metrics.every=3 steps", "loss.value_every=3 steps"]}.items():
            self.flowrun("pipeline.json", "--out", name, *(word for one in sets for word in ("--set", one)))
            self.assertEqual(self.history(name)[-1], self.history("each")[-1])
            self.assertEqual(self.last_checkpoint(name), self.last_checkpoint("each"))
            self.flowrun("verify", name)


if __name__ == "__main__":
    support.main()
