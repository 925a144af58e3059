"""Reading foreign files and folders: no code is run, no link followed out of the folder, no text taken for markup, and no read is endless."""
import json
import os
import pathlib
import resource
import subprocess
import tempfile

import support


class Looking(support.Folder):
    def run_folder(self, name="run", **files):
        """A folder that claims to be a run's."""
        folder = self.folder / name
        (folder / "checkpoints").mkdir(parents=True)
        pipeline = {**support.data_pipeline(), "resolved": {"version": "0.1.0", "hash": ""}}
        (folder / "pipeline.resolved.json").write_text(json.dumps(pipeline))
        for file, text in files.items():
            (folder / file.replace("__", ".")).write_text(text)
        return folder

    # ---- foreign code

    def test_plugins_of_a_run_folder_need_trust(self):
        folder = self.run_folder(metrics__jsonl='{"step":1,"loss":1,"ledger":"0000000000000001"}\n')
        (self.folder / "e.c").write_text(
            '#include <unistd.h>\n__attribute__((constructor)) static void go(void) { write(2, "code of the folder\\n", 19); }\n')
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "evil.so", self.folder / "e.c"], check=True)
        path = folder / "pipeline.resolved.json"
        pipeline = json.loads(path.read_text())
        pipeline["plugins"] = ["evil.so"]
        path.write_text(json.dumps(pipeline))
        (self.folder / "wraps.json").write_text(json.dumps({"extends": "run/pipeline.resolved.json"}))
        for command in (["check", path], ["expand", path], ["draw", folder], ["diff", path, path], ["mask-report", path], ["verify", folder],
                        ["replay", folder, "--sample", 0, "--epoch", 0], ["profile", path], ["advise", path], [path, "--out", "x"],
                        ["check", "wraps.json"]):
            with self.subTest(command):
                done = subprocess.run([support.FLOWRUN, *map(str, command)], cwd=self.folder, text=True, capture_output=True, timeout=60)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertNotIn("code of", done.stderr)
                self.assertIn("--trust", done.stderr)
        page = self.flowrun("report", folder)
        self.assertNotIn("code of", page.stderr)
        self.assertIn("--trust", (folder / "report.html").read_text())
        for command in (["check", path], ["report", folder], ["draw", folder]):
            self.assertIn("code of the folder", self.flowrun(*command, "--trust").stderr)

    def test_a_plugin_of_a_pipeline_file_is_loaded(self):
        pipeline = {**support.data_pipeline(), "plugins": [os.environ["FLOWRUN_FAULT_NODES"]]}
        self.write(pipeline)
        self.flowrun("check", "pipeline.json")

    # ---- things that are not regular files

    def test_pipeline_files_that_are_no_files(self):
        os.mkfifo(self.folder / "fifo")
        os.symlink("l2", self.folder / "l1")
        os.symlink("l1", self.folder / "l2")
        (self.folder / "folder").mkdir()
        for target, said in (("/dev/zero", "it is not a regular file"), ("fifo", "it is not a regular file"), ("l1", "symbolic links"),
                             ("folder", "Is a directory"), ("nowhere.json", "No such file")):
            self.write({"extends": target})
            err = self.flowrun("check", "pipeline.json", status=2).stderr
            self.assertIn(said, err)
            self.assertIn("pipeline.json:2:14: error: ", err)
            self.assertIn(said, self.flowrun("check", target, status=2).stderr)
        for index in range(70):
            self.write({"extends": f"{index + 1}.json"}, f"{index}.json")
        self.assertIn("more than 64 files extend one another", self.flowrun("check", "0.json", status=2).stderr)

    def test_records_that_nobody_wrote(self):
        deep = "[" * 200_000 + "]" * 200_000
        folder = self.run_folder(evaluations__jsonl='{"node":"knn","step":1,"accuracy":0.5}\n{"node":"x","deep":' + deep + '}\n{"step":3}\n7\n',
                                 metrics__jsonl='{"step":1,"loss":1.0}\n{"step":2,"loss":' + deep + '}\n{"step":"three","loss":1}\n',
                                 stats__json='{"nodes":{"files":{"busy":"long"},"crop":7}}', result__json='{"status":["done"],"seconds":"x"}')
        self.flowrun("report", folder)
        self.assertIn("knn", (folder / "report.html").read_text())
        self.flowrun("draw", folder, "-o", "x.svg")
        self.assertIn("has ended", self.flowrun("top", folder, "--once", status=1).stderr)

    def test_curves_that_differ_in_their_last_digit(self):
        for values in ("1.0 1.0000000000000002", "1e308 -1e308", "0 5e-324", "1e16 10000000000000002", "nan nan"):
            a, b = values.split()
            folder = self.run_folder(f"run{len(values)}{a}", metrics__jsonl=f'{{"step":1,"loss":{a}}}\n{{"step":2,"loss":{b}}}\n')
            limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
            done = subprocess.run([support.FLOWRUN, "report", folder], cwd=self.folder, capture_output=True, timeout=60, preexec_fn=limit)
            self.assertEqual(done.returncode, 0, done.stderr)

    # ---- markup

    def test_names_are_no_markup(self):
        name = 'r"><img src=x onerror=alert(1)>'
        folder = self.run_folder(name, failed_step__json="{}")
        (folder / "checkpoints/step-1").mkdir()
        (folder / "checkpoints/step-1/manifest.json").write_text("{}")
        (folder / "failed-step-1.json").write_text('{"step":1,"samples":[]}')
        self.flowrun("report", folder, "-o", "page.html")
        page = (self.folder / "page.html").read_text()
        self.assertNotIn("<img src=x", page)
        self.assertIn("%3Cimg", page)

    def test_pictures_outside_of_the_run_are_not_embedded(self):
        folder = self.run_folder()
        with tempfile.TemporaryDirectory() as other:
            secret = pathlib.Path(other) / "secret.png"
            secret.write_bytes(b"\x89PNG secret of another folder")
            os.symlink(secret, folder / "link.png")
            (folder / "own.png").write_bytes(b"\x89PNG own")
            self.flowrun("report", folder)
            page = (folder / "report.html").read_text()
        self.assertIn("own.png", page)
        self.assertNotIn("link.png", page)

    # ---- texts that are too large

    def test_many_faults_and_long_lines_are_cut(self):
        nodes = {f"n{index}": {"type": "image.random_flip", "in": "nowhere", f"unknown_{'x' * 60}": 1} for index in range(3000)}
        (self.folder / "wide.json").write_text(json.dumps({"nodes": nodes}))
        err = self.flowrun("check", "wide.json", status=2).stderr
        self.assertLess(len(err), 60_000)
        self.assertRegex(err, r"and \d+ more\n\d+ errors; nothing was run")
        self.assertTrue(all(len(line) < 1100 for line in err.splitlines()))
        self.assertIn("^^^^", err)

    def test_a_hundred_thousand_keys(self):
        many = {f"key{index}": index for index in range(100_000)}
        (self.folder / "many.json").write_text(json.dumps({**support.data_pipeline(), "let": many}))
        subprocess.run([support.FLOWRUN, "check", "many.json"], cwd=self.folder, check=True, timeout=20)
        (self.folder / "unknown.json").write_text(json.dumps({**support.data_pipeline(), **many}))
        done = subprocess.run([support.FLOWRUN, "check", "unknown.json"], cwd=self.folder, capture_output=True, text=True, timeout=20)
        self.assertIn("100000 errors", done.stderr)

    def test_paths_and_values_that_grow(self):
        self.write(support.data_pipeline())
        err = self.flowrun("check", "pipeline.json", "--set", ".".join(["files"] + ["a"] * 30_000) + "=1", status=2).stderr
        self.assertIn("a path of 30001 parts is too long", err)
        grows = {f"a{index}": [f"$a{index + 1}"] * 10 for index in range(12)} | {"a12": 1}
        self.write({**support.data_pipeline(), "let": {**grows, "size": "$a0"}, "about": "x"}, "grows.json")
        pipeline = json.loads((self.folder / "grows.json").read_text())
        pipeline["nodes"]["view"]["size"] = "$a0"
        self.write(pipeline, "grows.json")
        self.assertIn("a million values", self.flowrun("check", "grows.json", status=2).stderr)

    def test_names_of_nodes_and_models(self):
        for name in ("a/b", "../x", "a b", "é", "x" * 101, ""):
            pipeline = support.training_pipeline()
            pipeline["models"][name] = pipeline["models"].pop("teacher")
            pipeline["nodes"]["targets"]["model"] = pipeline["nodes"]["ema"]["to"] = name
            self.assertIn("a model's name is made of letters", self.flowrun("check", self.write(pipeline), status=2).stderr, name)
        for name in ("../x", "a//b", "/a", "a/", "a\x00b", "x" * 101):
            pipeline = support.training_pipeline()
            pipeline["nodes"][name] = pipeline["nodes"].pop("save")
            self.assertIn("a node's name is made of letters", self.flowrun("check", self.write(pipeline), status=2).stderr, name)
        # Nodes of parts have a slash, and are saved and found again.
        pipeline = support.training_pipeline(epochs=2)
        pipeline["nodes"]["part/update"] = pipeline["nodes"].pop("update")
        pipeline["nodes"]["ema"]["after"] = "part/update"
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "whole", "--quiet")
        self.flowrun("pipeline.json", "--out", "run", "--quiet", "--set", "run.steps=3")
        self.assertTrue(list((self.folder / "run/checkpoints").glob("step-*/part.update.safetensors")))
        self.flowrun("pipeline.json", "--out", "run", "--quiet", "--resume")
        self.assertEqual(self.history("run"), self.history("whole"))

    # ---- words of the command line

    def test_misspelt_words_are_suggested(self):
        self.write(support.training_pipeline())
        self.assertIn('did you mean "check"?', self.flowrun("chek", "pipeline.json", status=2).stderr)
        self.assertIn('did you mean "--steps"?', self.flowrun("profile", "pipeline.json", "--stepz", 3, status=2).stderr)
        err = self.flowrun("check", "pipeline.json", "--set", "lr=1e-3", status=2).stderr
        self.assertIn("did you mean update.lr.max or ", err)
        self.assertIn("did you mean files.images?", self.flowrun("check", "pipeline.json", "--set", "images=3", status=2).stderr)
        self.assertIn("flowrun check pretrain.json", self.flowrun().stdout)
        family = self.flowrun("help", "mask").stdout
        self.assertIn("mask.rectangles", family)
        self.assertNotIn("loss.mse", family)


if __name__ == "__main__":
    support.main()
