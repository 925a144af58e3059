"""Every example runs as its page says."""
import json
import subprocess

import support

EXAMPLES = support.ROOT / "examples"


class Examples(support.Folder):
    def test_numbered_examples(self):
        paths = sorted(EXAMPLES.glob("t*.json"))
        self.assertGreaterEqual(len(paths), 6)
        page = (EXAMPLES / "README.md").read_text()
        for path in paths:
            self.flowrun(path, "--out", path.stem)
            self.assertEqual(self.result(path.stem)["status"], "done", path)
            self.assertGreater(len(self.history(path.stem)), 2, path)
            self.assertIn(path.name, page)
        self.assertTrue((self.folder / "t02_crops_and_masks/contact_sheet.png").stat().st_size > 1000)
        losses = [line["loss"] for line in self.metrics("t03_train")]
        self.assertLess(losses[-1], losses[0])
        # The data of an ablation that changes masks alone is the same in every crop; here flips and resizes change too.
        self.assertNotEqual([ledger for _, ledger, _ in self.history("t03_train")], [ledger for _, ledger, _ in self.history("t04_ablation")])

    def test_custom_node_out_of_tree(self):
        build = self.folder / "plugin"
        for command in (["cmake", "-S", EXAMPLES / "custom_node", "-B", build, "-G", "Ninja", f"-DFLOWRUN_SOURCE={support.ROOT}"], ["cmake", "--build", build]):
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        # The plug-in's path is relative to the file that names it, not to the folder one stands in.
        self.flowrun("plugin/pipeline.json", "--out", "run")
        self.assertEqual(len(self.history("run")), 10)
        resolved = json.loads((self.folder / "run/pipeline.resolved.json").read_text())
        self.assertEqual(resolved["nodes"]["invert"]["p"], 0.3)
        self.flowrun("run/pipeline.resolved.json", "--out", "again", "--threads", 4)
        self.assertEqual(self.history("again"), self.history("run"))
        self.flowrun("plugin/pipeline.json", "--set", "invert.p=0", "--out", "plain")
        self.assertNotEqual(self.history("plain"), self.history("run"))
        self.assertIn("Chance of a negative", self.flowrun("help", "example.invert", "--plugin", "plugin/libexample_nodes.so").stdout)
        err = self.flowrun("check", "plugin/pipeline.json", "--set", "invert.p=2", status=2).stderr
        self.assertIn("invert: p must be between 0 and 1, not 2", err)


if __name__ == "__main__":
    support.main()
