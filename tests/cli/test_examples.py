"""Every example runs as its page says."""
import json
import os
import re
import sys
import shutil
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
        # An ablation that changes only masks keeps every crop; here flips and resizes change, too.
        self.assertNotEqual([ledger for _, ledger, _ in self.history("t03_train")], [ledger for _, ledger, _ in self.history("t04_ablation")])

    def test_custom_node_out_of_tree(self):
        self.build_example(self.folder / "plugin")
        # The plug-in's path is relative to the file that names it, not to the working folder.
        self.flowrun("plugin/pipeline.json", "--out", "run")
        self.assertEqual(len(self.history("run")), 10)
        resolved = json.loads((self.folder / "run/pipeline.resolved.json").read_text())
        self.assertEqual(resolved["nodes"]["invert"]["p"], 0.3)
        self.assertIn("--trust", self.flowrun("run/pipeline.resolved.json", "--out", "again", status=2).stderr)
        self.flowrun("run/pipeline.resolved.json", "--out", "again", "--threads", 4, "--trust")
        self.assertEqual(self.history("again"), self.history("run"))
        self.flowrun("plugin/pipeline.json", "--set", "invert.p=0", "--out", "plain")
        self.assertNotEqual(self.history("plain"), self.history("run"))
        self.assertIn("Chance of a negative", self.flowrun("help", "example.invert", "--plugin", "plugin/libexample_nodes.so").stdout)
        err = self.flowrun("check", "plugin/pipeline.json", "--set", "invert.p=2", status=2).stderr
        self.assertIn("invert: p must be between 0 and 1, not 2", err)

    def build_example(self, build, *definitions, source=EXAMPLES / "custom_node"):
        for command in (["cmake", "-S", source, "-B", build, "-G", "Ninja", *definitions], ["cmake", "--build", build]):
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_installed_headers_are_all_that_plugins_need(self):
        installed, moved = self.folder / "installed", self.folder / "moved"
        done = subprocess.run(["cmake", "--install", support.FLOWRUN.parents[1], "--prefix", installed], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        installed.rename(moved)
        shipped = subprocess.run([moved / "bin/flowrun", "pipelines"], capture_output=True, text=True)
        self.assertEqual(shipped.stdout.splitlines()[:1], [str(moved / "share/flowrun/pipelines")], shipped.stderr)
        # Outside of the tree: no header can come from there.
        outside = self.folder / "outside"
        shutil.copytree(EXAMPLES / "custom_node", outside)
        self.build_example(self.folder / "plugin", f"-DCMAKE_PREFIX_PATH={moved}", "-DCMAKE_REQUIRE_FIND_PACKAGE_flowrun=ON", source=outside)
        done = subprocess.run([moved / "bin/flowrun", "plugin/pipeline.json", "--out", "run"], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(len(self.history("run")), 10)
        # A model of a new kind, and a node that takes any model with its face: two files, and none of Flowrun's.
        self.build_example(self.folder / "models", f"-DCMAKE_PREFIX_PATH={moved}", source=EXAMPLES / "custom_model")
        self.flowrun("models/pipeline.json", "--out", "models/run")
        self.assertGreater(self.result("models/run")["knn"]["accuracy"], 0.1)
        # The engine and the file of checkpoints know it as any other: a wrong face is named, weights come in.
        err = self.flowrun("check", "models/pipeline.json", "--set", "known_projected.model=encoder", status=2).stderr
        self.assertIn('known_projected: model must be a head, but "encoder" is a vit', err)
        err = self.flowrun("models/pipeline.json", "--set", "projector.weights=models/pipeline.json", "--out", "x", status=2).stderr
        self.assertIn("projector: models/pipeline.json: ", err)

    def test_a_new_node_is_whole(self):
        installed = self.folder / "installed"
        subprocess.run(["cmake", "--install", support.FLOWRUN.parents[1], "--prefix", installed], check=True, capture_output=True)
        for scope in ("sample", "step"):
            with self.subTest(scope):
                said = self.flowrun("new", "node", f"mine.{scope}_thing", scope, "--scope", scope).stdout
                self.assertIn(f"run:    flowrun {scope}/pipeline.json", said)
                self.build_example(self.folder / scope / "build", f"-DCMAKE_PREFIX_PATH={installed}", source=self.folder / scope)
                done = subprocess.run(["ctest", "--test-dir", self.folder / scope / "build", "--output-on-failure"], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout)
                self.flowrun(f"{scope}/pipeline.json", "--out", f"run-{scope}")
        self.assertIn("step_thing", self.metrics("run-step")[0])
        for scope in ("sample", "mask"):
            with self.subTest(python=scope):
                folder, environment = f"python-{scope}", {**os.environ, "FLOWRUN_PYTHON": sys.executable}
                said = self.flowrun("new", "node", f"mine.{scope}_thing", folder, "--python", "--scope", scope).stdout
                self.assertIn(f"test:   python {folder}/test_{scope}_thing.py flowrun {folder}/{scope}_thing.py\n", said)
                done = subprocess.run([sys.executable, f"{folder}/test_{scope}_thing.py", support.FLOWRUN, f"{folder}/{scope}_thing.py"], cwd=self.folder,
                                      env=environment, capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stdout), (0, f"mine.{scope}_thing: equal in all three\n"), done.stderr)
                self.flowrun(f"{folder}/pipeline.json", "--out", f"run-{folder}", env=environment)
        self.assertIn("add --python", self.flowrun("new", "node", "mine.masks", "--scope", "mask", status=2).stderr)
        self.assertIn("leave out --python", self.flowrun("new", "node", "mine.thing", "--scope", "step", "--python", status=2).stderr)
        self.assertIn("sample/sample_thing.cpp is there already", self.flowrun("new", "node", "mine.sample_thing", "sample", status=2).stderr)
        self.assertIn("the type image.resize exists already", self.flowrun("new", "node", "image.resize", status=2).stderr)
        self.assertIn("Foo is no name for a type", self.flowrun("new", "node", "Foo", status=2).stderr)

    def build(self, name, text, *flags):
        (self.folder / f"{name}.cpp").write_text(text)
        library = self.folder / f"{name}.so"
        done = subprocess.run(["g++", "-std=c++20", "-O1", "-shared", "-fPIC", *flags, "-I", support.ROOT, self.folder / f"{name}.cpp", "-o", library],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return f"./{name}.so"

    def page_blocks(self):
        """The code of the page: that which quotes files of the tree, with their paths, and the rest."""
        page = (support.ROOT / "docs/writing-a-node.md").read_text()
        blocks = [(support.ROOT / path if path else None, text)
                  for path, text in re.findall(r"(?:`(nodes/\S+\.cpp)`:\n\n)?```cpp\n(.*?)```", page, re.S)]
        quotes = [(path, text) for path, text in blocks if path and path.exists()]
        return quotes, [text for path, text in blocks if (path, text) not in quotes]

    def test_the_page_quotes_nodes_as_they_are(self):
        quotes, _ = self.page_blocks()
        self.assertEqual([path.name for path, _ in quotes], ["l1.cpp", "random.cpp", "linear.cpp"])
        for path, text in quotes:
            self.assertIn(text, path.read_text(), path)

    def test_the_nodes_of_the_page_work(self):
        nodes = [text for text in self.page_blocks()[1] if "FLOWRUN_NODE" in text]
        self.assertEqual(len(nodes), 2)
        pipeline = support.data_pipeline(epochs=1)
        pipeline["plugins"] = [self.build(f"node{index}", text) for index, text in enumerate(nodes)]
        pipeline["nodes"]["bright"] = {"type": "image.random_brightness", "in": "view", "strength": 0.2}
        pipeline["nodes"]["flip"]["in"] = "bright"
        pipeline["nodes"]["level"] = {"type": "report.mean_level", "in": {"image": "batch"}}
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "run")
        levels = [line["mean_level"] for line in self.metrics("run")]
        self.assertTrue(all(20 < level < 235 for level in levels), levels)

    def test_plugins_that_do_not_fit_are_refused_with_a_sentence(self):
        node = """
            #include "graph/node.h"
            namespace flowrun { namespace {
            struct Odd {
              static constexpr NodeInfo info{.type = "%s", .brief = "Is odd.", .scope = Scope::step};
              struct Ports { void describe(auto&) {} };
              struct Params { void describe(auto&) {} };
              Params params;
            };
            static const bool made = (register_node(detail::node_type<Odd>(), %s), true);
            } }"""
        for name, text, said in (("old", node % ("report.odd", "{contract.number - 1, contract.layout}"), "it was built against other headers (contract "),
                                 ("layout", node % ("report.odd", "{contract.number, 7}"), "but other layouts"),
                                 ("twice", node % ("report.metrics", "contract"), "it defines the type report.metrics, which exists already")):
            pipeline = support.data_pipeline()
            pipeline["plugins"] = [self.build(name, text)]
            err = self.flowrun("check", self.write(pipeline), status=2).stderr
            self.assertIn("the plug-in can't be loaded", err)
            self.assertIn(said, err)


if __name__ == "__main__":
    support.main()
