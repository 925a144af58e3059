"""A run that goes on, seen from outside: top, SIGUSR1, the stall report, Prometheus. Nodes of a plug-in misbehave on purpose."""
import json
import os
import signal
import socket
import time
import urllib.request

import support
from support import Folder, training_pipeline

FAULT_NODES = os.environ.get("FLOWRUN_FAULT_NODES", str(support.FLOWRUN.parents[1] / "tests/libfault_nodes.so"))


def with_fault(scope, **params):
    """The training pipeline with a node that misbehaves: one that samples pass, or one after each step."""
    pipeline = training_pipeline(stall_after=4)
    pipeline["plugins"] = [FAULT_NODES]
    nodes = pipeline["nodes"]
    if scope == "sample":
        nodes["fault"] = {"type": "fault.sample", "in": "flip", **params}
        nodes["batch"]["in"] = "fault"
    else:
        nodes["fault"] = {"type": "fault.step", "after": "ema", **params}
    return pipeline


class Live(Folder):
    def begin(self, pipeline, *args):
        process = self.start(self.write(pipeline), "--out", "run", *args)
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
        return process

    def wait_for(self, condition, what):
        for _ in range(1200):
            if condition():
                return
            time.sleep(0.05)
        self.fail(f"waited for {what} in vain")

    def log(self):
        path = self.folder / "run/log.txt"
        return path.read_text() if path.exists() else ""

    def steps(self):
        path = self.folder / "run/metrics.jsonl"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def test_a_sample_that_hangs(self):
        self.begin(with_fault("sample", kind="hang", at=20))
        self.wait_for(lambda: "batches on their way" in self.log(), "the stall report")
        time.sleep(0.5)  # the text comes in one piece, but not at once
        log = self.log()
        self.assertRegex(log, r"nothing has moved for \d+ s \(run.stall_after\)")
        self.assertRegex(log, r"fault on thread data \d has run longest, for \d+\.\d s; the device waits for it")
        self.assertRegex(log, r"replay: flowrun replay run --sample 20 --epoch 0 --node fault")
        self.assertRegex(log, r"data \d +fault +for .*, step \d, sample 20 in epoch 0: ")
        self.assertRegex(log, r"step \d, group \d: waits for images, \d of 8 are there")
        time.sleep(5)
        self.assertEqual(self.log().count("nothing has moved"), 1, "one report per stall")

    def test_a_step_that_hangs(self):
        self.begin(with_fault("step", kind="hang", at=3))
        self.wait_for(lambda: "batches on their way" in self.log(), "the stall report")
        time.sleep(0.5)
        log = self.log()
        self.assertRegex(log, r"step 2 of 12 done")
        self.assertRegex(log, r"fault on the device has run longest")
        self.assertRegex(log, r"step 4, group 0: complete, 8 images")
        self.assertNotIn("replay", log)

    def test_nothing_is_said_of_a_run_that_moves(self):
        pipeline = with_fault("step", kind="sleep", ms=300)
        pipeline["run"].update(steps=16, stall_after=4, epochs=4)
        self.flowrun(self.write(pipeline), "--out", "run")
        self.assertNotIn("nothing has moved", self.log())
        self.assertFalse((self.folder / "run/process.json").exists())

    def test_top(self):
        process = self.begin(with_fault("sample", kind="sleep", ms=30))
        self.wait_for(lambda: self.steps() >= 1, "a step")
        status = json.loads(self.flowrun("top", "run", "--json").stdout)
        self.assertEqual(status["last_step"], 12)
        self.assertEqual(status["stream"], "files")
        self.assertEqual(status["threads_now"][-1]["thread"], "device")
        self.assertEqual({"files", "fault", "update"} - set(status["nodes"]), set())
        text = self.flowrun("top", "run").stdout
        self.assertRegex(text, r"the device was idle \d+ % of the time so far; data threads spend most of theirs in fault")
        self.assertRegex(text, r"step \d+ of 12 done")
        self.assertEqual(process.wait(60), 0)
        self.assertIn("run has ended: done after step 12", self.flowrun("top", "run", status=1).stderr)
        self.assertIn("nowhere holds no run", self.flowrun("top", "nowhere", status=1).stderr)

    def test_the_signal_writes_the_same(self):
        process = self.begin(with_fault("sample", kind="sleep", ms=30))
        self.wait_for(lambda: self.steps() >= 1, "a step")
        process.send_signal(signal.SIGUSR1)
        self.wait_for(lambda: (self.folder / "run/status.json").exists(), "status.json")
        self.assertIn("threads_now", json.loads((self.folder / "run/status.json").read_text()))
        self.assertIn("data threads spend most of theirs in fault", (self.folder / "run/status.txt").read_text())
        self.assertEqual(process.wait(60), 0, "the signal ends nothing")

    def test_prometheus(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.begin(with_fault("sample", kind="sleep", ms=30), "--prometheus", port)
        self.wait_for(lambda: self.steps() >= 2, "steps")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
            lines = answer.read().decode().splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        self.assertGreaterEqual(float(values["flowrun_step"]), 1)
        self.assertGreater(float(values['flowrun_node_busy_seconds_total{node="fault",scope="sample"}']), 0.1)
        kinds = {line.split()[2] for line in lines if line.startswith("# TYPE")}
        self.assertEqual({name.split("{")[0] for name in values}, kinds)
        taken = self.flowrun("pipeline.json", "--out", "other", "--prometheus", port, status=1).stderr
        self.assertIn(f"port {port} of this machine is taken", taken)


if __name__ == "__main__":
    support.main()
