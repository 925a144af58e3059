"""The commands that run nothing: what they print is what the declarations say."""
import json
import shutil

import jsonschema

import support


class Commands(support.Folder):
    def test_help_lists_every_type_that_the_schema_knows(self):
        listed = {entry["type"] for entry in json.loads(self.flowrun("help", "--json").stdout)} - {"run"}
        schema = json.loads(self.flowrun("schema").stdout)
        known = {name for kind in ("node", "model") for name in schema["$defs"][kind]["properties"]["type"]["enum"]}
        self.assertEqual(listed, known)
        declared = set()
        for path in (support.ROOT / "nodes").rglob("*.cpp"):
            for line in path.read_text().splitlines():
                if ".type = \"" in line:
                    declared.add(line.split(".type = \"")[1].split("\"")[0])
        self.assertEqual(listed, declared)
        for name in sorted(listed):
            self.assertIn(name, self.flowrun("help", name).stdout.splitlines()[0])

    def test_an_unknown_type_is_suggested(self):
        err = self.flowrun("help", "mask.rectangels", status=2).stderr
        self.assertIn('did you mean "mask.rectangles"', err)

    def test_pages_are_up_to_date(self):
        self.flowrun("doc", "pages")
        made = {path.name: path.read_text() for path in (self.folder / "pages").iterdir()}
        kept = {path.name: path.read_text() for path in (support.ROOT / "docs/nodes").iterdir()}
        self.assertEqual(made, kept, "docs/nodes is stale: run flowrun doc docs/nodes")

    def test_schema_is_up_to_date(self):
        kept = (support.ROOT / "docs/pipeline.schema.json").read_text()
        self.assertEqual(self.flowrun("schema").stdout, kept, "docs/pipeline.schema.json is stale: run flowrun schema > docs/pipeline.schema.json")

    def test_shipped_pipelines_are_without_faults_and_fit_the_schema(self):
        # validate() would check the schema itself again for each of a hundred files.
        schema = jsonschema.Draft202012Validator(json.loads(self.flowrun("schema").stdout))
        paths = sorted([*(support.ROOT / "pipelines").rglob("*.json"), *(support.ROOT / "examples").glob("*.json")])
        self.assertGreaterEqual(len(paths), 3)
        for path in paths:
            self.assertIn("no faults", self.flowrun("check", path).stdout)
            schema.validate(json.loads(path.read_text()))
        # It also says no.
        wrong = json.loads((support.ROOT / "pipelines/pretrain.json").read_text())
        wrong["nodes"]["mask"]["regionz"] = 4
        with self.assertRaises(jsonschema.ValidationError):
            schema.validate(wrong)

    def test_expand_is_complete_and_stable(self):
        self.write(support.training_pipeline())
        first = self.flowrun("expand", "pipeline.json").stdout
        (self.folder / "again.json").write_text(first)
        self.assertEqual(self.flowrun("expand", "again.json").stdout, first)
        node = json.loads(first)["nodes"]["crop"]
        self.assertEqual(node["aspect"], [0.75, 4 / 3])
        self.assertEqual(node["in"], {"bytes": "files.bytes"})

    def test_draw(self):
        self.write(support.training_pipeline())
        dot = self.flowrun("draw", "pipeline.json").stdout
        for text in ('"encode" -> "predict" [label="tokens"]', '"update" -> "ema" [style=dotted', '"model teacher" -> "targets"', '"ema" -> "model teacher"'):
            self.assertIn(text, dot)
        plan = self.flowrun("draw", "pipeline.json", "--plan").stdout
        self.assertIn("targets", plan)
        if shutil.which("dot"):
            self.flowrun("draw", "pipeline.json", "-o", "graph.svg")
            self.assertIn("<svg", (self.folder / "graph.svg").read_text())
        else:
            err = self.flowrun("draw", "pipeline.json", "-o", "graph.svg", status=1).stderr
            self.assertIn("graphviz", err)

    def test_no_gpu(self):
        if shutil.which("nvidia-smi"):
            self.skipTest("there is a GPU")
        self.write(support.training_pipeline(device="cuda"))
        err = self.flowrun("pipeline.json", status=2).stderr
        self.assertIn("error: run.device is cuda, but", err)

    def test_wrong_words(self):
        self.write(support.data_pipeline())
        self.assertIn("--threds", self.flowrun("pipeline.json", "--threds", 2, status=2).stderr)
        self.assertIn("required", self.flowrun("check", status=2).stderr)


if __name__ == "__main__":
    support.main()
