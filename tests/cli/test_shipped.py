"""The shipped pipelines: listed, copied, and the first run that needs no file at all."""
import json
import shutil
import subprocess

import support

PIPELINES = support.ROOT / "pipelines"


class Shipped(support.Folder):
    def test_the_list_has_every_file_that_can_be_used(self):
        listed = json.loads(self.flowrun("pipelines", "--json").stdout)
        files = {str(path.relative_to(PIPELINES)): json.loads(path.read_text()).get("about", "") for path in PIPELINES.rglob("[!_]*.json")}
        self.assertEqual({entry["file"]: entry["about"] for entry in listed["files"]}, files)
        lines = self.flowrun("pipelines").stdout.splitlines()
        self.assertEqual(lines[0], listed["folder"])
        self.assertEqual([line.split()[0] for line in lines[1:]], [entry["file"] for entry in listed["files"]])
        self.assertRegex(lines[1], r"^  cifar10.json +Bootleg on CIFAR-10")

    def test_copies_are_complete_and_replace_nothing(self):
        count = len(list(PIPELINES.rglob("*.json")))
        self.assertEqual(self.flowrun("pipelines", "mine/all").stdout, f"mine/all: {count} files\n")
        mine = self.folder / "mine/all"
        self.assertEqual({path.relative_to(mine) for path in mine.rglob("*.json")}, {path.relative_to(PIPELINES) for path in PIPELINES.rglob("*.json")})
        self.assertIn("no faults", self.flowrun("check", "mine/all/paper/baselines/ijepa_b.json").stdout)  # with its bases
        (mine / "quickstart.json").write_text("{}")
        (mine / "pretrain.json").unlink()
        err = self.flowrun("pipelines", "mine/all", status=2).stderr
        self.assertEqual(err, "error: mine/all/quickstart.json is there already, and differs: name another folder; nothing was copied\n")
        self.assertFalse((mine / "pretrain.json").exists())
        (mine / "quickstart.json").unlink()
        self.assertEqual(json.loads(self.flowrun("pipelines", "mine/all", "--json").stdout), {"folder": "mine/all", "copied": count})
        self.assertTrue((mine / "pretrain.json").exists())

    def test_the_quickstart_is_that_file(self):
        short = ("--set", "run.steps=6", "--set", "metrics.every=1 step", "--quiet")
        self.flowrun("quickstart", *short)
        self.flowrun("quickstart", *short)
        self.flowrun(PIPELINES / "quickstart.json", *short, "--out", "file")
        self.assertEqual(len(self.history("file")), 6)
        self.assertEqual(self.history("runs/quickstart"), self.history("file"))
        self.assertEqual(self.history("runs/quickstart-2"), self.history("file"))
        self.assertIn("metrics: unknown parameter", self.flowrun("quickstart", "--set", "metrics.evry=1 step", status=2).stderr)

    def test_a_file_anywhere_extends_a_shipped_one(self):
        self.write({"extends": "shipped:methods/cifar/simclr.json", "set": {"let.batch": 64, "let.group": 64}}, "mine.json")
        self.assertEqual(json.loads(self.flowrun("expand", "mine.json").stdout)["nodes"]["batch"]["size"], 64)
        self.write({"extends": "shipped:gone.json"}, "mine.json")
        err = self.flowrun("check", "mine.json", status=2).stderr
        self.assertRegex(err, r"^mine.json:2:14: error: .*/pipelines/gone.json: ")

    def test_a_program_without_its_pipelines_says_so(self):
        (self.folder / "bin").mkdir()
        for name in ("flowrun", "libflowrun.so"):
            shutil.copy(support.FLOWRUN.with_name(name), self.folder / "bin")
        for words in (["quickstart"], ["pipelines"]):
            done = subprocess.run([self.folder / "bin/flowrun", *words], text=True, capture_output=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"error: the shipped pipelines are missing: looked for ../pipelines and ../share/flowrun/pipelines from {self.folder.resolve()}/bin", done.stderr)


if __name__ == "__main__":
    support.main()
