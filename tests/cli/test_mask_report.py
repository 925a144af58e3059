"""flowrun mask-report: the figures of shipped masks, the format of its output, its picture and its errors."""
import json
import statistics
import xml.etree.ElementTree as xml

import support

PRETRAIN = support.ROOT / "pipelines/pretrain.json"
MASKS = support.ROOT / "pipelines/masks.json"


class MaskReport(support.Folder):
    def report(self, *args):
        return json.loads(self.flowrun("mask-report", *args, "--json").stdout)

    def test_figures_of_the_shipped_pipeline(self):
        report = self.report(PRETRAIN, "--groups", 1500)
        self.assertEqual(list(report), ["sizes", "seen", "target", "adjacency", "distance", "row_visibility", "column_visibility"])
        self.assertEqual(list(report["seen"]), ["mean", "sd", "min", "max"])
        # The values of the paper's table for 256 images; the shares of 1,500 size draws scatter by a point.
        self.assertEqual(set(report["sizes"]), {"5x6", "6x5", "5x7", "7x5", "6x6"})
        for size, share in {"5x6": 0.188, "6x5": 0.187, "5x7": 0.200, "7x5": 0.201, "6x6": 0.224}.items():
            self.assertAlmostEqual(report["sizes"][size], share, delta=0.035, msg=size)
        self.assertAlmostEqual(sum(report["sizes"].values()), 1)
        self.assertTrue(0.468 <= report["target"]["mean"] <= 0.480, report["target"])
        self.assertTrue(0.070 <= report["target"]["sd"] <= 0.079, report["target"])
        self.assertTrue(0.285 <= report["seen"]["mean"] <= 0.300, report["seen"])
        self.assertTrue(0.062 <= report["seen"]["sd"] <= 0.075, report["seen"])
        self.assertAlmostEqual(report["adjacency"], 0.23, delta=0.01)
        self.assertAlmostEqual(report["distance"], 3.25, delta=0.1)
        for values in (report["row_visibility"], report["column_visibility"]):
            self.assertEqual(len(values), 14)
            for r in range(7):
                self.assertAlmostEqual(values[r], values[13 - r], delta=0.01, msg=f"row or column {r}")
            self.assertAlmostEqual(statistics.mean(values), report["seen"]["mean"], delta=1e-6)

    def test_one_of_several_masks(self):
        capi = self.report(MASKS, "--node", "capi_no_roll", "--groups", 8)
        self.assertEqual(capi["sizes"], {})
        self.assertAlmostEqual(capi["seen"]["mean"], 69 / 196)
        self.assertEqual(capi["seen"]["sd"], 0)
        other = self.flowrun("mask-report", MASKS, "--node", "beit", "--groups", 4).stdout
        self.assertIn("beit (mask.blockwise): 4 groups of 256 images, 14 x 14 patches", other)
        self.assertNotIn("height x width", other, "a hidden area that is a rectangle by chance is no size")

    def test_same_masks_for_a_seed_and_more_seen_in_small_groups(self):
        first = self.report(PRETRAIN, "--groups", 4)
        self.assertEqual(first, self.report(PRETRAIN, "--groups", 4))
        self.assertNotEqual(first, self.report(PRETRAIN, "--groups", 4, "--set", "seed=1"))
        fewer = self.report(PRETRAIN, "--groups", 50, "--set", "batch.group=32", "--set", "batch.size=32")
        self.assertGreater(fewer["seen"]["mean"], 0.32, "smaller groups see more")

    def test_picture(self):
        for node in ("bootleg", "mae", "dinov2"):
            with self.subTest(node):
                self.flowrun("mask-report", MASKS, "--node", node, "--groups", 8, "--out", f"{node}.svg")
                root = xml.parse(self.folder / f"{node}.svg").getroot()
                self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
                texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
                self.assertTrue(texts[0].startswith(f"{node} (mask."), texts[0])
                groups = list(root.iter("{http://www.w3.org/2000/svg}g"))
                self.assertEqual(len(groups), 2 + 8, "two maps and eight examples")
        self.assertIn("regions, height x width", (self.folder / "bootleg.svg").read_text())

    def test_size_of_the_images(self):
        pipeline = support.data_pipeline()
        self.assertEqual(len(self.report(self.write(pipeline))["row_visibility"]), 6, "from image.resize")
        # Without a resize the size is unknown, unless there is an encoder.
        del pipeline["nodes"]["view"]
        pipeline["nodes"]["flip"]["in"] = "decode"
        failed = self.flowrun("mask-report", self.write(pipeline), status=2)
        self.assertIn("error: mask: the pipeline doesn't say how large its images are: give --size PIXELS", failed.stderr)
        self.assertEqual(len(self.report(self.write(pipeline), "--size", 32)["row_visibility"]), 8)
        pipeline = support.training_pipeline()
        del pipeline["nodes"]["view"]
        pipeline["nodes"]["flip"]["in"] = "decode"
        self.assertEqual(len(self.report(self.write(pipeline))["row_visibility"]), 6, "from model.vit")

    def test_errors(self):
        several = self.flowrun("mask-report", MASKS, status=2)
        self.assertIn("error: several nodes draw masks: choose one of beit, blue, bootleg", several.stderr)
        unknown = self.flowrun("mask-report", PRETRAIN, "--node", "masks", status=2)
        self.assertIn('error: no mask node "masks"; there is mask', unknown.stderr)
        pipeline = support.data_pipeline()
        del pipeline["nodes"]["mask"]
        del pipeline["nodes"]["sheet"]
        none = self.flowrun("mask-report", self.write(pipeline), status=2)
        self.assertIn("has no mask node: add one, such as mask.rectangles", none.stderr)
        failed = self.flowrun("mask-report", PRETRAIN, "--set", "mask.size=[0.9, 1]", status=1)
        self.assertIn("error: mask: after 20 draws an image still has", failed.stderr)
        faulty = self.flowrun("mask-report", PRETRAIN, "--set", "mask.sizes=1", status=2)
        self.assertIn("sizes", faulty.stderr)
        self.flowrun("mask-report", PRETRAIN, "--groups", 0, status=2)


if __name__ == "__main__":
    support.main()
