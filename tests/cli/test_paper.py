"""pipelines/paper and pipelines/compare: every file says what it asks, and one of each kind runs two steps at tiny size."""
import json
import random
import re

from PIL import Image

import support

PAPER = support.ROOT / "pipelines/paper"
COMPARE = support.ROOT / "pipelines/compare"
PATCH, GRID, WIDTH = 4, 14, 16


def files(folder):
    """Without bases, whose names begin with _, and sweeps."""
    return sorted(path for path in folder.rglob("*.json") if not path.name.startswith("_") and not path.name.endswith(".sweep.json"))


def tiny(resolved, images):
    """Settings that make a pipeline for ImageNet a matter of a second: small images on the same grid of patches."""
    sets = {"let.size": GRID * PATCH, "let.patch": PATCH, "files.path": images, "run.steps": 2, "run.device": "cpu", "run.precision": "fp32",
            "run.memory_mib": 64, "run.intra_op": 1, "metrics.every": "1 step", "health.every": "2 steps", "batch.size": 8, "batch.group": 4}
    nodes, models = resolved["nodes"], resolved["models"]
    predictor = models["predictor"]
    sets |= {"student.width": WIDTH, "student.heads": 2}
    sets |= {f"predictor.{key}": value for key, value in (("width", WIDTH), ("heads", 2)) if key in predictor}
    if predictor["out"]:
        target = nodes["targets"]["type"]
        sets["predictor.out"] = {"mim.pixel_targets": 3 * PATCH**2, "mim.hog_targets": 3 * 9 * 4, "mim.hidden_targets": WIDTH}[target]
    if "pixel_predictor" in models:
        sets |= {"pixel_predictor.width": WIDTH, "pixel_predictor.heads": 2, "pixel_predictor.out": 3 * PATCH**2}
    if nodes["targets"]["type"] == "mim.hog_targets":
        sets["targets.cell"] = PATCH // 2
    if nodes["mask"]["type"] == "mask.units":
        sets["mask.unit"] = 2 * PATCH
    return sets


class Paper(support.Folder):
    def make_images(self):
        folder = self.folder / "images"
        folder.mkdir(exist_ok=True)
        draw = random.Random(1)
        for i in range(16):
            image = Image.new("RGB", (80, 72))
            image.putdata([(draw.randrange(256), x % 256, y * 3 % 256) for y in range(72) for x in range(80)])
            image.save(folder / f"{i:02}.jpg", quality=85)
        return folder

    def settings(self, sets):
        return [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]

    def resolved(self, path, *more):
        return json.loads(self.flowrun("expand", path, *more).stdout)

    def test_every_file_extends_another_and_asks_one_question(self):
        self.assertGreater(len(files(PAPER)), 60)
        for path in files(PAPER) + files(COMPARE):
            with self.subTest(str(path.relative_to(support.ROOT))):
                text = json.loads(path.read_text())
                self.assertIn("extends", text)
                self.assertTrue((path.parent / text["extends"]).is_file())
                self.assertRegex(text["about"], r"\?|base of the comparison")

    def test_files_run_two_steps(self):
        images = self.make_images()
        base = PAPER / "bootleg_s.json"
        sets = tiny(self.resolved(base), images)
        self.flowrun(base, *self.settings(sets), "--out", "base")
        self.flowrun("export", "base", "frozen.safetensors")
        resolved_files = {path: self.resolved(path) for path in files(PAPER)}
        taken = support.one_of_each(resolved_files)
        self.assertGreater(len(taken), 8)
        for path in taken:
            with self.subTest(str(path.relative_to(PAPER))):
                resolved = resolved_files[path]
                sets = tiny(resolved, images)
                if resolved["models"].get("teacher", {}).get("type") == "model.pretrained":
                    sets["teacher.file"] = self.folder / "frozen.safetensors"
                out = str(path.relative_to(PAPER)).replace("/", "-")
                self.flowrun(path, *self.settings(sets), "--out", out)
                self.assertEqual([line["step"] for line in self.metrics(out)], [1, 2])
                self.assertGreater(self.metrics(out)[1]["health_rank"], 1)

    def test_figures_are_sweeps_whose_variants_have_no_faults(self):
        variants = 0
        for path in sorted((PAPER / "figures").glob("*.sweep.json")):
            sweep = json.loads(path.read_text())
            variants += len(sweep["variants"])
            for name in (min(sweep["variants"]), max(sweep["variants"])):
                sets = {**sweep.get("set", {}), **sweep["variants"][name]}
                self.flowrun("check", path.parent / sweep["base"], *self.settings({key: json.dumps(value) for key, value in sets.items()}))
            self.assertRegex(sweep["about"], r"\?")
        self.assertEqual(variants, 94)

    def test_vtab_is_nineteen_probes(self):
        path = support.ROOT / "pipelines/eval/vtab.sweep.json"
        sweep = json.loads(path.read_text())
        self.assertEqual(len(sweep["variants"]), 19)
        for name in ("caltech101", "svhn"):
            resolved = self.resolved(path.parent / sweep["base"], *self.settings(sweep["variants"][name]))
            self.assertEqual(resolved["nodes"]["files"]["path"], f"data/vtab/{name}/train")
            self.assertEqual(resolved["models"]["probe"]["classes"], sweep["variants"][name]["let.classes"])

    def test_only_without_is_bootleg_and_only_with_is_ijepa(self):
        """What one has of an ingredient, the other takes away."""
        names = [path.name for path in files(PAPER / "only_with")]
        self.assertEqual(names, [path.name for path in files(PAPER / "only_without")])
        self.assertEqual(len(names), 8)
        bootleg, ijepa = self.resolved(PAPER / "bootleg_s_300.json"), self.resolved(PAPER / "interpolation/0_ijepa.json")
        for name in names:
            without, only = self.resolved(PAPER / "only_without" / name), self.resolved(PAPER / "only_with" / name)
            changed = self.differing(bootleg, without)
            self.assertTrue(changed)
            for place in changed & self.differing(ijepa, only):
                self.assertEqual(self.at(without, place), self.at(ijepa, place), f"{name}: {place}")
                self.assertEqual(self.at(only, place), self.at(bootleg, place), f"{name}: {place}")

    @staticmethod
    def at(resolved, place):
        table, entry, key = place
        return resolved[table].get(entry, {}).get(key)

    def differing(self, a, b):
        keys = {(table, entry, key) for table in ("models", "nodes") for side in (a, b) for entry, part in side[table].items() for key in part}
        return {place for place in keys if self.at(a, place) != self.at(b, place)}

    def test_the_interpolation_ends_at_bootleg(self):
        last, bootleg = self.resolved(PAPER / "interpolation/8_schedule.json"), self.resolved(PAPER / "bootleg_s_300.json")
        self.assertEqual(last["resolved"]["hash"], bootleg["resolved"]["hash"])
        first, ijepa = self.resolved(PAPER / "interpolation/0_ijepa.json"), self.resolved(PAPER / "baselines/ijepa_s_300.json")
        self.assertEqual(first["resolved"]["hash"], ijepa["resolved"]["hash"])

    def test_each_step_of_the_interpolation_changes_something(self):
        hashes = [self.resolved(path)["resolved"]["hash"] for path in files(PAPER / "interpolation")]
        self.assertEqual(len(set(hashes)), len(hashes))
        self.assertEqual(len(hashes), 9)

    def ledgers(self, nodes, out):
        """Ledgers of the steps of a pipeline that only loads data."""
        pipeline = support.data_pipeline(epochs=2)
        pipeline["nodes"] |= nodes
        pipeline["nodes"] = {name: node for name, node in pipeline["nodes"].items() if node}
        self.flowrun(self.write(pipeline, f"{out}.json"), "--out", out)
        return [int(line["ledger"], 16) for line in self.metrics(out)]

    def test_swapping_masks_leaves_the_ledger_of_the_crops(self):
        """A ledger is a sum. A mask's summand must be the same beside other crops: then the crops' summand is the same beside any mask."""
        none = {"mask": None, "sheet": None}
        other = {"crop": {"type": "image.random_crop", "in": "files", "area": [0.1, 0.3]}}
        here, there = self.ledgers(none, "none"), self.ledgers(none | other, "none-other")
        self.assertNotEqual(here, there)
        types = set(re.findall(r"^\s*(mask\.[a-z0-9_]+)\s", self.flowrun("help").stdout, re.M))
        self.assertGreaterEqual(len(types), 9)
        seen = set()
        for kind in sorted(types):
            with self.subTest(kind):
                small = {"mask.ijepa_compat": {"min_keep": 2}, "mask.ijepa_fixed": {"min_keep": 2}, "mask.rectangles": {"min_keep": 2},
                         "mask.units": {"unit": 8}, "mask.blockwise": {"min_block": 4}}.get(kind, {})
                mask = {"mask": {"type": kind, "in": "batch", "patch": 4, **small}}
                added = [(a - b) % 2**64 for a, b in zip(self.ledgers(mask, kind), here)]
                beside = [(a - b) % 2**64 for a, b in zip(self.ledgers(mask | other, kind + "-other"), there)]
                self.assertEqual(added, beside)
                self.assertTrue(all(added), "the mask is in the ledger")
                seen.add(tuple(added))
        self.assertEqual(len(seen), len(types), "two masks added the same")

    def test_swapping_targets_leaves_the_whole_ledger(self):
        pipeline = support.training_pipeline(epochs=1)
        self.flowrun(self.write(pipeline, "hidden.json"), "--out", "hidden")
        ledger = [line["ledger"] for line in self.metrics("hidden")]
        self.assertTrue(ledger)
        for kind, out in (("mim.pixel_targets", 48), ("mim.hog_targets", 108)):
            with self.subTest(kind):
                changed = support.training_pipeline(epochs=1)
                changed["nodes"]["targets"] = {"type": kind, "in": "upload.*", "patch": 4, **({"cell": 2} if "hog" in kind else {})}
                del changed["models"]["predictor"]["blocks"]
                changed["models"]["predictor"]["out"] = out
                self.flowrun(self.write(changed, f"{kind}.json"), "--out", kind)
                self.assertEqual([line["ledger"] for line in self.metrics(kind)], ledger)


if __name__ == "__main__":
    support.main()
