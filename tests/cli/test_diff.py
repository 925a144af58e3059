"""flowrun diff: nodes that it calls the same have equal ledgers in runs, others have not."""
import copy
import json

import support
from support import training_pipeline


class Diff(support.Folder):
    def diff(self, a, b, *args):
        self.write(a, "a.json")
        self.write(b, "b.json")
        return json.loads(self.flowrun("diff", "a.json", "b.json", "--json", *args).stdout)

    def changed(self, change):
        pipeline = copy.deepcopy(training_pipeline())
        change(pipeline)
        return self.diff(training_pipeline(), pipeline)

    def test_the_same(self):
        result = self.diff(training_pipeline(), training_pipeline())
        self.assertEqual(result["changes"], [])
        self.assertEqual(result["other_values"], {})
        self.assertTrue(result["checkpoints"]["resume"])
        self.assertIn("the pipelines are the same", self.flowrun("diff", "a.json", "b.json").stdout)

    def test_a_mask(self):
        result = self.changed(lambda p: p["nodes"]["mask"].update(regions=2))
        self.assertEqual([(c["path"], c["from"], c["to"]) for c in result["changes"]], [("nodes.mask.regions", 4, 2)])
        self.assertEqual(result["same_values"], ["files", "crop", "decode", "view", "flip", "batch"])
        self.assertEqual(result["other_values"], {"mask": "its parameters"})
        self.assertEqual(result["checkpoints"], {"fit": ["student", "teacher", "predictor"], "differ": [], "resume": False})
        text = self.flowrun("diff", "a.json", "a.json", "--set", "mask.regions=2").stdout
        self.assertIn("nodes.mask.regions: 4 -> 2", text)
        self.assertIn("other values: mask, because of its parameters", text)

    def test_a_crop_changes_what_follows(self):
        result = self.changed(lambda p: p["nodes"]["crop"].update(area=[0.5, 1]))
        self.assertEqual(result["same_values"], ["files"])
        self.assertEqual(result["other_values"]["crop"], "its parameters")
        self.assertEqual(result["other_values"]["flip"], "view")

    def test_seed_name_and_model(self):
        self.assertEqual(self.changed(lambda p: p.update(seed=4))["same_values"], [])

        def rename(p):
            p["nodes"]["mirror"] = p["nodes"].pop("flip")
            p["nodes"]["batch"]["in"] = "mirror"

        renamed = self.changed(rename)
        paths = {c["path"]: (c["from"], c["to"]) for c in renamed["changes"]}
        self.assertEqual(paths["nodes.flip"], ("image.random_flip", None))
        self.assertEqual(paths["nodes.mirror"], (None, "image.random_flip"))
        self.assertEqual(renamed["other_values"]["batch"], "flip, which is gone")
        deeper = self.changed(lambda p: p["models"]["student"].update(depth=3))
        self.assertEqual(deeper["checkpoints"]["fit"], [])
        self.assertEqual(deeper["checkpoints"]["differ"], ["student", "teacher", "predictor"])
        self.assertIn("mask", deeper["same_values"])

    def test_runs_agree(self):
        """A run's ledger has crops, pixels and masks: it is equal exactly if diff says that all host nodes are."""
        for change, same in (({"ema": {"decay": 0.5}}, True), ({"mask": {"regions": 2}}, False), ({"flip": {"p": 0.25}}, False)):
            pipeline = training_pipeline(steps=3)
            self.flowrun(self.write(pipeline), "--out", "one")
            for node, params in change.items():
                pipeline["nodes"][node].update(params)
            self.flowrun(self.write(pipeline), "--out", "two")
            result = self.diff(training_pipeline(steps=3), pipeline)
            ledgers = [[line["ledger"] for line in self.metrics(out)] for out in ("one", "two")]
            self.assertEqual(ledgers[0] == ledgers[1], same)
            self.assertEqual(not result["other_values"], same)
            for out in ("one", "two"):
                support.shutil.rmtree(self.folder / out)

    def test_speed(self):
        slow = copy.deepcopy(training_pipeline())
        for model in ("student", "predictor"):
            slow["models"][model]["width"] = 192
        speed = self.diff(training_pipeline(), slow, "--speed", 4)["images_per_second"]
        self.assertLessEqual(speed["change_low"], speed["change"])
        self.assertLessEqual(speed["change"], speed["change_high"])
        self.assertIn("noisy", speed)
        if support.MEASURES:
            self.assertLess(speed["change"], -0.2)
        self.assertIn("in three turns)", self.flowrun("diff", "a.json", "b.json", "--speed", 2).stdout)

    def test_faults(self):
        self.write(training_pipeline(), "a.json")
        self.assertIn("nowhere.json", self.flowrun("diff", "a.json", "nowhere.json", status=2).stderr)


if __name__ == "__main__":
    support.main()
