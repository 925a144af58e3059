"""A run beside other programs that want the cores."""
import os
import signal
import subprocess
import sys
import unittest

import support

QUICKSTART = support.ROOT / "pipelines/quickstart.json"


class Busy(support.Folder):
    def test_threads_sleep_at_their_barriers_and_results_stay(self):
        environment = {key: value for key, value in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
        for _ in os.sched_getaffinity(0):
            loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            self.addCleanup(loop.wait)
            self.addCleanup(loop.kill)
        sets = ("--set", "knn.at=[]", "--set", "linear.at=[]", "--set", "metrics.every=1 step")
        log = self.folder / "busy/log.txt"
        process = self.start(QUICKSTART, *sets, "--out", "busy", "--quiet", env=environment)
        self.addCleanup(process.kill)
        self.wait_until(lambda: log.exists() and "threads sleep at their barriers" in log.read_text(), process, "a line in the log")
        busy = self.folder / "busy/metrics.jsonl"
        lines = busy.read_text().count("\n")
        self.wait_until(lambda: busy.read_text().count("\n") >= lines + 20, process, "further steps")
        process.send_signal(signal.SIGTERM)
        process.communicate()
        steps = len(self.metrics("busy"))
        self.flowrun(QUICKSTART, *sets, "--set", f"run.steps={steps}", "--out", "asleep", "--quiet", env={**environment, "OMP_WAIT_POLICY": "passive"})
        self.assertNotIn("barriers", (self.folder / "asleep/log.txt").read_text())
        ledgers = [[(line["step"], line["loss"], line["ledger"]) for line in self.metrics(out)] for out in ("busy", "asleep")]
        self.assertEqual(*ledgers)


if __name__ == "__main__":
    unittest.main()
