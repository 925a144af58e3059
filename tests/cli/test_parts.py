"""Parts of pipelines: what they stand for runs as if it had been written out."""
import json
import re
import xml.etree.ElementTree

import jsonschema

import support

VIEWS = support.ROOT / "pipelines/views.json"
SMALL = [word for text in ("files.images=24", "files.size=48", "let.batch=8", "run.device=cpu", "run.intra_op=1") for word in ("--set", text)]


def written_out():
    """pipelines/views.json without parts, under the names that its streams are pinned to."""
    nodes = {"files": {"type": "source.synthetic", "images": 24, "size": 48}, "decode": {"type": "image.decode", "in": "files"}}
    for name, crop, size, blur in (("large", {"area": [0.4, 1], "count": 2}, 224, {}), ("small", {"area": [0.05, 0.4], "count": 8}, 96, {"kernel_size": 9})):
        nodes |= {
            f"{name}_crop": {"type": "image.random_crop", "in": "files", **crop},
            name: {"type": "image.resize", "in": {"image": "decode", "region": f"{name}_crop"}, "size": size},
            f"{name}_flip": {"type": "image.random_flip", "in": name},
            f"{name}_jitter": {"type": "image.color_jitter", "in": f"{name}_flip", "brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "p": 0.8},
            f"{name}_gray": {"type": "image.grayscale", "in": f"{name}_jitter", "p": 0.2},
            f"{name}_blur": {"type": "image.blur", "in": f"{name}_gray", "p": 0.5, **blur},
        }
    nodes["large_solarize"] = {"type": "image.solarize", "in": "large_blur", "p": 0.1}
    for name, last in (("large", "large_solarize"), ("small", "small_blur")):
        nodes[f"{name}_batch"] = {"type": "batch.stack", "in": {"image": last, "label": "files"}, "size": 8}
    nodes["large_sheet"] = {"type": "report.contact_sheet", "in": {"image": "large_batch"}, "count": 8, "file": "large.png"}
    nodes["small_sheet"] = {"type": "report.contact_sheet", "in": {"image": "small_batch"}, "count": 32, "file": "small.png"}
    nodes["metrics"] = {"type": "report.metrics", "in": {"image": "large_batch"}, "every": "1 step"}
    return {"seed": 0, "run": {"device": "cpu", "intra_op": 1}, "nodes": nodes}


class Parts(support.Folder):
    def test_views_run_as_if_written_out_and_so_does_their_resolved_form(self):
        self.flowrun(VIEWS, *SMALL, "--out", "parts")
        self.flowrun("parts/pipeline.resolved.json", "--out", "again")
        self.flowrun(self.write(written_out()), "--out", "flat")
        self.assertEqual(len(self.history("parts")), 3)
        for other in ("again", "flat"):
            self.assertEqual(self.history(other), self.history("parts"), other)
            for sheet in ("large.png", "small.png"):
                self.assertEqual((self.folder / other / sheet).read_bytes(), (self.folder / "parts" / sheet).read_bytes(), other)
        resolved = json.loads((self.folder / "parts/pipeline.resolved.json").read_text())
        self.assertFalse({"parts", "ports"} & set(resolved))
        self.assertEqual(resolved["nodes"]["large/resize"]["size"], 224)
        self.assertIn("all 3 ledgers are those of the run", self.flowrun("verify", "parts").stdout)

    def test_a_change_in_a_part_changes_that_use_alone(self):
        self.flowrun(VIEWS, *SMALL, "--out", "as_it_is")
        self.flowrun(VIEWS, *SMALL, "--set", "large/crop.area=[0.9, 1]", "--out", "inside")
        self.flowrun(VIEWS, *SMALL, "--set", "large.area=[0.9, 1]", "--out", "let")
        self.assertEqual(self.history("inside"), self.history("let"))
        self.assertNotEqual(self.history("inside"), self.history("as_it_is"))
        large, small = ((self.folder / "inside" / name).read_bytes() == (self.folder / "as_it_is" / name).read_bytes() for name in ("large.png", "small.png"))
        self.assertEqual((large, small), (False, True))

    def test_files_that_extend_one_with_parts(self):
        self.write({
            "extends": str(VIEWS),
            "parts": {"plain": {"in": ["bytes", "image"], "out": "view", "let": {"size": 32, "area": None}, "nodes": {
                "crop": {"type": "image.random_crop", "in": "in.bytes", "area": "$area"},
                "view": {"type": "image.resize", "in": {"image": "in.image", "region": "crop"}, "size": "$size"}}}},
            "swap": {"small": {"use": "plain", "area": [0.5, 1], "streams": {}}, "large/blur": {"type": "image.blur", "p": 0}},
            "set": {"large.size": 64, "large/gray.p": 0, "files.images": 24, "files.size": 48, "let.batch": 8},
        }, "child.json")
        nodes = json.loads(self.flowrun("expand", "child.json").stdout)["nodes"]
        self.assertEqual((nodes["large/resize"]["size"], nodes["large/gray"]["p"], nodes["large/blur"]["p"]), (64, 0, 0))
        self.assertEqual([name for name in nodes if name.startswith("small/")], ["small/crop", "small/view"])
        self.flowrun("child.json", "--out", "child")
        self.assertEqual(len(self.history("child")), 3)

    def test_a_part_is_given_a_model_by_name(self):
        pipeline = support.training_pipeline(epochs=1)
        plain = self.write(pipeline, "plain.json")
        part = {"in": ["image", "mask"], "out": "targets", "let": {"model": None, "blocks": [1, 2]}, "nodes": {
            "upload": {"type": "device.upload", "in": "in.*"},
            "targets": {"type": "mim.hidden_targets", "in": "upload.*", "model": "$model", "blocks": "$blocks"}}}
        pipeline["parts"] = {"seen": part}
        pipeline["nodes"]["targets"] = {"use": "seen", "in": {"image": "batch", "mask": "mask"}, "model": "teacher"}
        self.flowrun(plain, "--out", "plain")
        self.flowrun(self.write(pipeline), "--out", "parts")
        self.assertEqual(self.history("parts"), self.history("plain"))
        self.assertEqual(self.last_checkpoint("parts"), self.last_checkpoint("plain"))

    def test_the_example_of_the_documentation_runs(self):
        section = (support.ROOT / "docs/pipeline-file.md").read_text().split("\n## parts\n")[1].split("\n## ")[0]
        part, pipeline = re.findall(r"```json\n(.*?)```", section, re.S)
        (self.folder / "view.json").write_text(part)
        (self.folder / "views.json").write_text(pipeline)
        self.flowrun("views.json", "--set", "large/crop.area=[0.2,1]", "--out", "out")
        self.assertEqual(len(self.history("out")), 4)
        nodes = json.loads(self.flowrun("expand", "views.json").stdout)["nodes"]
        for text in re.findall(r"`((?:large|small)/\w{2,})`", section):
            self.assertIn(text, nodes)
        self.assertEqual(nodes["small/resize"]["size"], 24)

    def test_what_reads_pipelines_reads_parts(self):
        self.assertIn("20 nodes", self.flowrun("check", VIEWS).stdout)
        self.flowrun("draw", VIEWS, "-o", "graph.svg")
        names = {element.text for element in xml.etree.ElementTree.parse(self.folder / "graph.svg").getroot().iter("{http://www.w3.org/2000/svg}text")}
        self.assertIn("large/jitter", names)
        self.assertIn('"large/crop" -> "large/resize" [label="region"]', self.flowrun("draw", VIEWS).stdout)
        same = self.flowrun("diff", VIEWS, VIEWS, "--set", "small/flip.p=0").stdout
        self.assertIn("small/flip", same)
        self.assertNotIn("large/flip.p", same)

    def test_parts_fit_the_schema(self):
        schema = jsonschema.Draft202012Validator(json.loads(self.flowrun("schema").stdout))
        paths = sorted((support.ROOT / "pipelines/parts").glob("*.json"))
        self.assertTrue(paths)
        for path in paths:
            schema.validate(json.loads(path.read_text()))
        whole = json.loads(VIEWS.read_text())
        for wrong in ({"use": "view", "type": "image.resize"}, {"use": 3}, {"use": "view", "streams": ["crop"]}):
            with self.assertRaises(jsonschema.ValidationError):
                schema.validate(whole | {"nodes": {"large": wrong}})
        part = json.loads(paths[0].read_text())
        for key, value in (("in", {}), ("models", {}), ("out", 3)):
            with self.assertRaises(jsonschema.ValidationError):
                schema.validate(part | {key: value})

    def test_faults_name_both_places_for_programs_too(self):
        (self.folder / "view.json").write_text('{\n  "in": ["image"], "out": "flip",\n  "nodes": { "flip": { "type": "image.random_flip", "in": "in", "q": 1 } }\n}\n')
        self.write({"parts": {"view": "view.json"}, "nodes": {
            "files": {"type": "source.synthetic"}, "decode": {"type": "image.decode", "in": "files"},
            "turned": {"use": "view", "in": "decode"}, "batch": {"type": "batch.stack", "in": "turned", "size": 8},
            "metrics": {"type": "report.metrics", "in": {"image": "batch"}}}})
        [fault] = json.loads(self.flowrun("check", "pipeline.json", "--json", status=2).stdout)["faults"]
        self.assertEqual((fault["file"], fault["line"], fault["node"]), ("view.json", 3, "turned/flip"))
        self.assertEqual([(use["file"], use["line"]) for use in fault["used_at"]], [("pipeline.json", 13)])


if __name__ == "__main__":
    support.main()
