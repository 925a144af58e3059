"""The script that compares two builds (tests/support/same_numbers.py): a program equals itself, and what differs is found."""
import subprocess
import sys

import support

SCRIPT = support.ROOT / "tests/support/same_numbers.py"


class SameNumbers(support.Folder):
    def compare(self, after, *args, status=0):
        done = subprocess.run([sys.executable, SCRIPT, support.FLOWRUN, after, *args], capture_output=True, text=True, timeout=600)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def changed(self, setting):
        """flowrun with a setting that nobody asked for."""
        path = self.folder / "changed"
        path.write_text(f'#!/bin/sh\nif [ "$1" = export ]; then exec "{support.FLOWRUN}" "$@"; fi\nexec "{support.FLOWRUN}" "$@" --set {setting}\n')
        path.chmod(0o755)
        return path

    def test_a_program_equals_itself(self):
        self.assertRegex(self.compare(support.FLOWRUN, "--only", "watched", "--resolved"), r"^watched +same \(12 steps; data, metrics, checkpoint, result\)\n$")

    def test_another_seed_and_single_bits_are_found(self):
        found = self.compare(support.FLOWRUN, "--only", "views", "linear_probe", "--self-test")
        self.assertEqual(found.count("differs, as it must"), 2)
        self.assertNotIn("FAILED", found)

    def test_a_rate_that_is_a_little_higher_is_a_difference(self):
        found = self.compare(self.changed("update.lr.max=0.0020000001"), "--only", "watched", status=1)
        self.assertIn("watched          differs: metrics: step 1: lr: 0.00105 / 0.00105000005 (and ", found)
        self.assertIn("resolved pipeline: nodes.update.lr.max: 0.002 / 0.0020000001", found)

    def test_resolved_pipelines_count_when_asked(self):
        other = self.changed("metrics.tensorboard=true")
        self.assertIn("same (12 steps", self.compare(other, "--only", "watched"))
        self.assertIn("resolved pipeline: nodes.metrics.tensorboard: false / true", self.compare(other, "--only", "watched", "--resolved", status=1))

    def test_a_run_that_fails_is_no_equal_run(self):
        self.assertIn("failed: run: AFTER ended with status 2", self.compare(self.changed("none.size=1"), "--only", "views", status=1))


if __name__ == "__main__":
    support.main()
