"""Masks whose ratio moves over a run, and several of an image: on any threads, in a resumed run, and in what is computed beforehand."""
import json

import support


def pipeline(**mask):
    """A training on the visible patches of random masks."""
    trained = support.training_pipeline()
    trained["nodes"]["mask"] = {"type": "mask.random", "in": "batch", "patch": 4, **mask}
    return trained


class Masks(support.Folder):
    def lines(self, out):
        return [(line["step"], line["loss"], line["ledger"]) for line in self.metrics(out)]

    def test_a_moving_ratio_is_a_function_of_the_step(self):
        path = self.write(pipeline(ratio=0.25, ratio_final=0.75, disjoint=2))
        self.flowrun(path, "--serial", "--out", "serial")
        whole = self.lines("serial")
        self.assertEqual(len(whole), 12)
        self.flowrun(path, "--threads", 3, "--jitter", 1, "--out", "threads")
        self.assertEqual(self.lines("threads"), whole)
        self.flowrun(path, "--set", "run.steps=6", "--out", "parts")
        self.flowrun(path, "--out", "parts", "--resume")
        self.assertEqual(self.lines("parts"), whole)
        self.flowrun(self.write(pipeline(ratio=0.25, disjoint=2)), "--out", "steady")
        steady = self.lines("steady")
        self.assertEqual(steady[0], whole[0], "the first step has the first ratio")
        self.assertNotEqual([line[2] for line in steady[6:]], [line[2] for line in whole[6:]])

    def test_groups_that_are_drawn_beforehand_stand_for_the_run(self):
        path = self.write(pipeline(ratio=0.25, ratio_final=0.75))
        seen = json.loads(self.flowrun("mask-report", path, "--groups", 100, "--json").stdout)["seen"]
        self.assertAlmostEqual(seen["max"], 27 / 36)
        self.assertAlmostEqual(seen["mean"], 0.5, delta=0.02)
        self.assertLess(seen["min"], 0.3)
        planned = json.loads(self.flowrun("plan", path, "--json").stdout)["masks"]
        self.assertAlmostEqual(planned["visible"], 18, delta=1.5)
        several = json.loads(self.flowrun("plan", self.write(pipeline(disjoint=3)), "--json").stdout)
        self.assertEqual(several["masks"]["per_image"], 3)

    def test_masks_of_an_image_hide_all_of_it_together(self):
        self.flowrun(self.write(pipeline(ratio=0.5, disjoint=2)), "--out", "out")
        shown = json.loads(self.flowrun("replay", "out", "--epoch", 0, "--sample", 3, "--json").stdout)
        masks = next(output for node in shown["nodes"] if node["node"] == "mask" for output in node["outputs"])["masks"]
        self.assertEqual(masks, [{"visible": 18, "targets": 18}] * 2)


if __name__ == "__main__":
    support.main()
