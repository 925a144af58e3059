"""The commands that run nothing: their output agrees with the declarations."""
import json
import os
import re
import shutil
import subprocess
import unittest
import xml.etree.ElementTree

import jsonschema
from PIL import Image

import support


class Commands(support.Folder):
    def test_help_lists_every_type_that_the_schema_knows(self):
        listed = {entry["type"] for entry in json.loads(self.flowrun("help", "--json").stdout)} - {"run"}
        schema = json.loads(self.flowrun("schema").stdout)
        kinds = (schema["$defs"]["node"]["else"], schema["$defs"]["model"])  # a node with "type", or else one with "use"
        known = {name for kind in kinds for name in kind["properties"]["type"]["anyOf"][0]["enum"]}
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

    def test_pages_of_commands_are_up_to_date(self):
        self.flowrun("doc", "--commands", "pages")
        made = {path.name: path.read_text() for path in (self.folder / "pages").iterdir()}
        folder = support.ROOT / "docs/commands"
        kept = {path.name: path.read_text() for path in folder.iterdir()}
        self.assertEqual(made, kept, "docs/commands is stale: run flowrun doc --commands docs/commands")
        readme = (support.ROOT / "README.md").read_text()
        for name, text in made.items():
            for link, anchor in re.findall(r"\]\(([^)#]+)#?([^)]*)\)", text):
                target = (folder / link).read_text()
                headings = {re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-") for line in target.splitlines() if line.startswith("#")}
                self.assertTrue(not anchor or anchor in headings, f"{name}: {link} has no heading {anchor}")
            command = name[:-3]
            if name == "README.md":
                continue
            self.assertIn(f"](docs/commands/{name})", readme)
            shown = set(re.findall(r"(?m)^  (?:-\w,)?(--[a-z0-9-]+)", self.flowrun(command, "--help").stdout)) - {"--help"}
            self.assertEqual(set(re.findall(r"`(--[a-z0-9-]+)`", text.split("Example:")[0])), shown, name)

    def test_schema_is_up_to_date(self):
        kept = (support.ROOT / "docs/pipeline.schema.json").read_text()
        self.assertEqual(self.flowrun("schema").stdout, kept, "docs/pipeline.schema.json is stale: run flowrun schema > docs/pipeline.schema.json")
        kept = (support.ROOT / "docs/sweep.schema.json").read_text()
        self.assertEqual(self.flowrun("schema", "--sweep").stdout, kept, "docs/sweep.schema.json is stale: run flowrun schema --sweep > docs/sweep.schema.json")

    def test_sweep_files_fit_their_schema(self):
        schema = jsonschema.Draft202012Validator(json.loads(self.flowrun("schema", "--sweep").stdout))
        shipped = [json.loads(path.read_text()) for path in (support.ROOT / "pipelines").rglob("*.sweep.json")]
        self.assertGreater(len(shipped), 10)
        everything = {"$schema": "sweep.schema.json", "about": "all keys", "base": "base.json", "set": {"run.steps": 1}, "variants": {"one": {"mask.regions": 1}, "other": "base.json"},
                      "grid": {"update.lr.max": {"from": 1e-4, "to": 1e-2, "count": 3, "scale": "log"}, "update.weight_decay": {"none": 0, "some": 0.1}},
                      "zip": {"crop.area": [[0.2, 1], [0.5, 1]], "mask.min_keep": {"from": 2, "to": 3, "step": 1}},
                      "seeds": [0, 1], "baseline": "one_max-0.0001_none_area-0.2-1_min_keep-2", "decide": "loss", "goal": "min", "difference": 0.01}
        for sweep in (*shipped, everything):
            schema.validate(sweep)
        self.assertEqual(set(everything), set(schema.schema["properties"]))
        for wrong in ({"grids": {}}, {"seeds": 0}, {"goal": "more"}, {"variants": {"../a": {}}}, {"grid": {"a.b": {"from": 1, "to": 2}}}, {"grid": {"a.b": []}}, {"difference": 0}):
            with self.assertRaises(jsonschema.ValidationError):
                schema.validate(everything | wrong)
        # The program knows the same keys.
        self.write(support.training_pipeline(), "base.json")
        said = self.flowrun("sweep", self.write(everything | {"unknown": 1}, "sweep.json"), status=2).stderr
        self.assertIn(f"a sweep has {', '.join(everything)}", said)
        written = self.flowrun("sweep", self.write(everything, "sweep.json"), "--slurm", "job.sh").stderr
        self.assertIn("job.sh: 48 tasks", written)

    def test_a_shipped_pipeline_is_named_by_its_path(self):
        self.assertRegex(self.flowrun("check", "shipped:quickstart.json").stdout, r"pipelines/quickstart\.json: \d+ nodes, \d+ models, no faults\n$")
        self.flowrun("draw", "shipped:methods/cifar/simclr.json", "-o", "simclr.svg")
        self.assertIn("<svg", (self.folder / "simclr.svg").read_text())
        self.assertIn("the same", self.flowrun("diff", "shipped:quickstart.json", "shipped:quickstart.json").stdout)
        for command in ("check", "run"):
            done = self.flowrun(command, "shipped:quickstrat.json", status=2)
            self.assertEqual(done.stderr, "error: shipped:quickstrat.json: no such pipeline is shipped; flowrun pipelines lists them\n")

    def test_shipped_pipelines_fit_the_schema(self):
        # validate() would check the schema itself again for each of a hundred files.
        schema = jsonschema.Draft202012Validator(json.loads(self.flowrun("schema").stdout))
        paths = sorted([*(support.ROOT / "pipelines").rglob("*.json"), *(support.ROOT / "examples").glob("*.json")])
        paths = [path for path in paths if not path.name.endswith(".sweep.json")]
        self.assertGreaterEqual(len(paths), 3)
        for path in paths:
            schema.validate(json.loads(path.read_text()))
        # It also rejects wrong files.
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
            subprocess.run(["dot", "-Tsvg"], input=dot, text=True, check=True, capture_output=True)

    def boxes_and_edges(self, path):
        """{node: rectangle} and the edges' curves, as points, of a drawing."""
        root = xml.etree.ElementTree.parse(path).getroot()
        svg = "{http://www.w3.org/2000/svg}"
        boxes, edges = {}, []
        for group in root.iter(f"{svg}g"):
            for rect in group.findall(f"{svg}rect[@class='box']"):
                x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
                boxes[group.find(f"{svg}text[@class='name']").text] = (x, y, x + width, y + height)
            for line in group.findall(f"{svg}path[@class]"):
                if line.get("class").startswith("edge"):
                    edges.append((group.find(f"{svg}title").text, self.along(line.get("d"))))
        return boxes, edges, root

    @staticmethod
    def along(path):
        points, at = [], None
        for command, numbers in re.findall(r"([MLC])([^MLC]*)", path):
            values = list(map(float, re.findall(r"-?[\d.]+", numbers)))
            steps = [(values[i], values[i + 1]) for i in range(0, len(values), 2)]
            if command == "C":
                for i in range(1, 21):
                    t, u = i / 20, 1 - i / 20
                    points.append(tuple(u**3 * a + 3 * u * u * t * b + 3 * u * t * t * c + t**3 * d for a, b, c, d in zip(at, *steps)))
            else:
                points += steps
            at = steps[-1]
        return points

    def test_a_drawing_without_other_programs(self):
        for path in ("pretrain.json", "quickstart.json", "views.json", "paper/baselines/ijepa_b.json"):
            path = support.ROOT / "pipelines" / path
            self.flowrun("draw", path, "-o", "graph.svg", env={**os.environ, "PATH": ""})
            boxes, edges, _ = self.boxes_and_edges(self.folder / "graph.svg")
            nodes = json.loads(self.flowrun("expand", path).stdout)["nodes"]
            self.assertEqual(set(boxes), set(nodes))
            for name, (left, top, right, bottom) in boxes.items():
                for other, (x0, y0, x1, y1) in boxes.items():
                    self.assertFalse(name < other and left < x1 and x0 < right and top < y1 and y0 < bottom, f"{name} lies on {other} in {path}")
                for title, points in edges:
                    for x, y in points:
                        self.assertFalse(left < x < right and top + 0.2 < y < bottom - 0.2, f"{path}: {title} passes through {name}")
            ways = {(source.split(".")[0], name) for name, node in nodes.items() for source in node.get("in", {}).values()}
            drawn = {tuple(part.split(".")[0] for part in line.split(":")[0].split(" to ")) for title, _ in edges for line in title.splitlines() if " to " in line}
            self.assertEqual(drawn, ways)

    @unittest.skipUnless(shutil.which("rsvg-convert"), "needs rsvg-convert (librsvg2-bin)")
    def test_a_drawing_is_the_same_in_programs_that_are_no_browsers(self):
        """Boxes, lines and arrows must be in librsvg's rendering: if only style sheets set colours, all is black."""
        self.flowrun("draw", support.ROOT / "pipelines/pretrain.json", "-o", "graph.svg")
        for path in (self.folder / "graph.svg", support.ROOT / "docs/pretrain.svg"):
            subprocess.run(["rsvg-convert", "-o", self.folder / "graph.png", path], check=True)
            picture = Image.open(self.folder / "graph.png").convert("RGB")
            self.assertEqual(picture.getpixel((2, 2)), (255, 255, 255), path)
            heads = 0
            for element in xml.etree.ElementTree.parse(path).getroot().iter("{http://www.w3.org/2000/svg}path"):
                if element.get("class") != "head":
                    continue
                x, y = map(float, re.match(r"M([\d.]+),([\d.]+)", element.get("d")).groups())
                heads += 1
                self.assertEqual(picture.getpixel((round(x), round(y - 4))), (0x77, 0x77, 0x7F), f"{path}: an arrow ends at {x}, {y}")
            self.assertGreater(heads, 10)
            black = sum(1 for colour in picture.getdata() if max(colour) < 20)
            self.assertLess(black, 0.02 * picture.width * picture.height, path)

    def test_a_run_is_drawn_with_its_time(self):
        self.write(support.training_pipeline())
        self.flowrun("pipeline.json", "--out", "run", "--quiet")
        self.flowrun("draw", "run", "-o", "run.svg")
        boxes, _, root = self.boxes_and_edges(self.folder / "run.svg")
        shares = [float(element.text[:-2]) for element in root.iter("{http://www.w3.org/2000/svg}text") if element.get("class") == "type" and element.text.endswith(" %")]
        self.assertEqual(len(shares), len(boxes))
        self.assertAlmostEqual(sum(shares), 100, delta=0.06 * len(shares))
        fills = {element.get("fill") for element in root.iter("{http://www.w3.org/2000/svg}rect") if element.get("class") == "box"}
        self.assertGreater(len(fills), 3)
        self.assertIn('"encode" -> "predict"', self.flowrun("draw", "run").stdout)

    def test_every_command_has_help_with_an_example(self):
        names = [line.split()[0] for line in self.flowrun("--help").stdout.split("Subcommands:")[1].splitlines() if line.strip()]
        self.assertGreater(len(names), 15)
        readme = (support.ROOT / "README.md").read_text()
        for name in names:
            out = self.flowrun(name, "--help").stdout
            self.assertRegex(out, rf"Example:\n  flowrun ({name} |[a-z]+\.json)")
            self.assertRegex(readme, rf"`flowrun {name}\b")

    def test_what_prints_facts_prints_them_as_json(self):
        self.write(support.training_pipeline())
        self.write({"base": "pipeline.json", "variants": {"one": {"run.steps": 2}}}, "sweep.json")
        self.flowrun("pipeline.json", "--out", "run", "--quiet")
        printed = {}
        for words in (["draw", "pipeline.json", "--json"], ["draw", "run", "--json"], ["diff", "pipeline.json", "run/pipeline.resolved.json", "--json"],
                      ["mask-report", "pipeline.json", "--json"], ["replay", "run", "--sample", 1, "--epoch", 0, "--json"], ["verify", "run", "--json"],
                      ["report", "run", "--json"], ["export", "run", "weights.safetensors", "--json"], ["help", "--json"], ["expand", "pipeline.json"],
                      ["schema"], ["profile", "pipeline.json", "--steps", 5, "--json"], ["advise", "run", "--json"],
                      ["sweep", "sweep.json", "--quiet", "--json"]):
            printed[" ".join(map(str, words[:2]))] = json.loads(self.flowrun(*words).stdout)
        graph = printed["draw run"]
        self.assertIn({"from": "encode", "output": "tokens", "to": "predict", "input": "tokens"}, graph["edges"])
        self.assertIn({"first": "update", "then": "ema"}, graph["orders"])
        node = {node["name"]: node for node in graph["nodes"]}["ema"]
        self.assertEqual((node["type"], node["scope"], node["reads"], node["writes"]), ("train.ema", "step", ["student"], ["teacher"]))
        self.assertAlmostEqual(sum(node["share"] for node in graph["nodes"]), 1, places=6)
        self.assertNotIn("share", printed["draw pipeline.json"]["nodes"][0])
        self.assertEqual(printed["report run"], {"report": "run/report.html"})
        self.assertEqual((printed["export run"]["timm"]["embed_dim"], printed["export run"]["timm"]["depth"]), (24, 2))
        # Other commands are in the tests of shards and of live runs.
        names = [line.split()[0] for line in self.flowrun("--help").stdout.split("Subcommands:")[1].splitlines() if line.strip()]
        without = [name for name in names if "--json" not in self.flowrun(name, "--help").stdout]
        self.assertEqual(without, ["run", "quickstart", "expand", "web", "schema", "doc", "new", "completion"])

    def test_faults_as_json(self):
        (self.folder / "typo.json").write_text(json.dumps({"extends": "base.json", "set": {"mask.regionz": 2, "crop.in": "filse"}}))
        self.write(support.training_pipeline(), "base.json")
        found = json.loads(self.flowrun("check", "typo.json", "--set", "run.epochs=0", "--json", status=2).stdout)
        plain = self.flowrun("check", "typo.json", "--set", "run.epochs=0", status=2).stderr
        self.assertEqual(found["file"], "typo.json")
        self.assertEqual(len(found["faults"]), 3)
        for fault in found["faults"]:
            self.assertIn(f"{fault['file']}:{fault['line']}:{fault['column']}: error: {fault['message']}\n", plain)
            self.assertTrue(fault["hint"] is None or fault["hint"].split("\n")[0] in plain)
        self.assertEqual({fault["node"] for fault in found["faults"]}, {"mask", "crop", None})
        self.assertEqual({fault["file"] for fault in found["faults"]}, {"typo.json", "--set"})
        (self.folder / "torn.json").write_text('{ "nodes": { "a": ')
        torn = json.loads(self.flowrun("check", "torn.json", "--json", status=2).stdout)["faults"]
        self.assertEqual([(fault["file"], fault["line"], fault["node"]) for fault in torn], [("torn.json", 1, None)])
        missing = json.loads(self.flowrun("check", "missing.json", "--json", status=2).stdout)["faults"]
        self.assertEqual([(fault["file"], fault["line"]) for fault in missing], [(None, None)])
        good = json.loads(self.flowrun("check", "base.json", "--json").stdout)
        self.assertEqual((good["faults"], good["models"]), ([], 3))

    def test_manual_pages(self):
        self.flowrun("doc", "--man", "man")
        names = {line.split()[0] for line in self.flowrun("--help").stdout.split("Subcommands:")[1].splitlines() if line.strip()}
        self.assertEqual({path.name for path in (self.folder / "man").iterdir()}, {"flowrun.1", *(f"flowrun-{name}.1" for name in names)})
        whole = (self.folder / "man/flowrun.1").read_text()
        for name in names:
            self.assertIn(f".BR flowrun-{name} (1)".replace("-", "\\-"), whole)
        page = (self.folder / "man/flowrun-run.1").read_text()
        for words in (".TH FLOWRUN\\-RUN 1", "\\-\\-resume", ".SH EXIT STATUS", "stopped on request"):
            self.assertIn(words, page)
        if shutil.which("groff"):
            for path in (self.folder / "man").iterdir():
                done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", path], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), path.name)

    def test_completion(self):
        (self.folder / "words.bash").write_text(self.flowrun("completion", "bash").stdout)
        (self.folder / "one.json").write_text("{}")

        def complete(*words):
            quoted = " ".join(f"'{word}'" for word in words)
            script = f"source words.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _flowrun; printf '%s\\n' \"${{COMPREPLY[@]}}\""
            return subprocess.run(["bash", "-c", script], cwd=self.folder, capture_output=True, text=True, check=True).stdout.split()

        self.assertEqual(complete("flowrun", "pro"), ["profile"])
        self.assertIn("one.json", complete("flowrun", "o"))
        self.assertEqual(complete("flowrun", "profile", "one.json", "--st"), ["--steps", "--stub"])
        self.assertEqual(complete("flowrun", "one.json", "--res"), ["--resume"])
        self.assertEqual(complete("flowrun", "run", "one.json", "--jit"), [], "options of tests stay hidden")
        # Paths and values of --set; bash cuts words at "=".
        self.write(support.training_pipeline() | {"let": {"width": 24}}, "two.json")
        path = {"PATH": f"{support.FLOWRUN.parent}:/usr/bin:/bin"}
        script = "source words.bash; COMP_WORDS=({}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _flowrun; printf '%s\\n' \"${{COMPREPLY[@]}}\""

        def of_set(*typed):
            words = " ".join(f"'{word}'" for word in ("flowrun", "run", "two.json", "--set", *typed))
            return subprocess.run(["bash", "-c", script.format(words)], cwd=self.folder, capture_output=True, text=True, check=True, env=path).stdout.split()

        self.assertEqual(of_set("update.lr."), ["update.lr.final=", "update.lr.max=", "update.lr.start="])
        self.assertEqual(of_set("let"), ["let.width="])
        self.assertEqual(of_set("view.filter", "="), ["bicubic", "bilinear"])
        self.assertEqual(of_set("view.filter", "=", "bil"), ["bilinear"])
        self.assertEqual(of_set("run.epochs", "="), ["3"])
        self.assertEqual(of_set("=", "let"), ["let.width="], "--set=PATH")
        self.assertEqual(of_set("=", "view.filter", "=", "bil"), ["bilinear"])
        self.assertEqual(self.flowrun("completion", "bash", "--file", "missing.json", "--word", "a").stdout, "")
        fish = self.flowrun("completion", "fish").stdout
        self.assertIn("complete -c flowrun -n '__fish_seen_subcommand_from profile' -l steps", fish)
        self.assertIn("-l set -xa '(__flowrun_set)'", fish)
        if shutil.which("fish"):
            (self.folder / "words.fish").write_text(fish)
            script = "source words.fish; complete -C 'flowrun run two.json --set view.filter='; complete -C 'flowrun run two.json --set let'"
            done = subprocess.run(["fish", "-c", script], cwd=self.folder, capture_output=True, text=True, check=True, env={**path, "HOME": str(self.folder)})
            self.assertEqual(done.stdout.splitlines(), ["view.filter=bicubic\tvalue", "view.filter=bilinear\tvalue", "let.width=\tpath"])
        self.assertEqual(self.flowrun("completion", "fish", "--file", "two.json", "--word", "let").stdout, "let.width=\tpath\n")
        zsh = self.flowrun("completion", "zsh").stdout
        self.assertIn("'*--set=[", zsh)
        self.assertTrue(zsh.startswith("#compdef flowrun"))
        if shutil.which("zsh"):
            subprocess.run(["zsh", "-n", "-c", zsh], check=True)
        self.assertIn("tcsh", self.flowrun("completion", "tcsh", status=2).stderr)

    def test_no_gpu(self):
        if shutil.which("nvidia-smi"):
            self.skipTest("there is a GPU")
        self.write(support.training_pipeline(device="cuda"))
        err = self.flowrun("pipeline.json", status=2).stderr
        self.assertIn("error: run.device is cuda, but", err)
        err = self.flowrun("pipeline.json", "--set", "run.device=cpu", "--set", "run.precision=tf32", status=2).stderr
        self.assertIn("error: run.precision is tf32, which run.device cpu does not have; it has fp32, bf16", err)

    def test_wrong_words(self):
        self.write(support.data_pipeline())
        self.assertIn("--threds", self.flowrun("pipeline.json", "--threds", 2, status=2).stderr)
        self.assertIn("required", self.flowrun("check", status=2).stderr)


if __name__ == "__main__":
    support.main()
