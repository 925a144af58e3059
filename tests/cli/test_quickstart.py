"""The main job: features learned without labels help to tell the classes apart. A smaller run of quickstart.json."""
import json

import support


class Quickstart(support.Folder):
    def test_accuracy_rises_above_random_weights_and_pixels(self):
        out = self.flowrun(support.ROOT / "pipelines/quickstart.json", "--set", "run.epochs=4", "--out", "run")
        self.assertIn("step 1248/1248", out.stderr)
        result = self.result("run")
        knn, linear = ([entry["accuracy"] for entry in result[name]["history"]] for name in ("knn", "linear"))
        pixels_knn, pixels_linear = result["pixels_knn"]["accuracy"], result["pixels_linear"]["accuracy"]
        # Observed with seeds 0 to 3: kNN rises by 0.2 to 0.28, 0.06 to 0.1 above pixels; the margins leave room for other
        # sums.
        self.assertGreater(knn[-1], knn[0] + 0.10)
        self.assertGreater(linear[-1], linear[0] + 0.03)
        self.assertGreater(knn[-1], pixels_knn + 0.03)
        self.assertGreater(linear[-1], pixels_linear + 0.03)
        # Chance is 0.1; all evaluations are above it, so labels and features belong together.
        self.assertGreater(min(knn + linear + [pixels_knn]), 0.3)

        losses = [line["loss"] for line in self.metrics("run")]
        self.assertLess(losses[-1], 0.7 * losses[0])
        for name in ("contact_sheet.png", "stats.json", "pipeline.resolved.json", "log.txt"):
            self.assertTrue((self.folder / "run" / name).stat().st_size > 0)
        stats = json.loads((self.folder / "run/stats.json").read_text())["nodes"]
        self.assertEqual(stats["update"]["count"], 1248)
        self.assertEqual(stats["crop"]["count"], 1248 * 32)


if __name__ == "__main__":
    support.main()
