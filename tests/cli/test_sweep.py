"""flowrun sweep: variants run as they would alone, and go on where they were stopped."""
import json
import signal
import time

import support
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
        metrics = self.folder / "out/a/metrics.jsonl"
        for _ in range(600):
            if metrics.exists() and len(metrics.read_text().splitlines()) > 5:
                break
            time.sleep(0.05)
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
