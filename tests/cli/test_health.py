"""report.health on the quickstart: a run that learns is called healthy, one that collapses is caught and kept."""
import json

import support

EVERY = 20


class Health(support.Folder):
    def pipeline(self, **changes):
        pipeline = json.loads((support.ROOT / "pipelines/quickstart.json").read_text())
        nodes = pipeline["nodes"]
        evaluation = ("known", "unseen", "knn", "linear", "pixels")
        pipeline["nodes"] = {name: node for name, node in nodes.items() if not name.startswith(evaluation)}
        pipeline["run"] = {"epochs": 1, "device": "cpu", "precision": "fp32"}
        pipeline["nodes"]["files"]["images"] = 3200
        pipeline["nodes"]["metrics"]["every"] = f"{EVERY} steps"
        pipeline["nodes"]["health"] = {
            "type": "report.health", "every": f"{EVERY} steps",
            "in": {"loss": "loss", "tokens": "encode", "prediction": "predict", "target": "targets"},
        }
        return pipeline

    def collapsing(self):
        """The teacher is the student, only its last block is the target, and steps are far too long."""
        pipeline = self.pipeline()
        pipeline["let"]["blocks"] = [3]
        pipeline["nodes"]["ema"]["decay"] = 0
        pipeline["nodes"]["update"]["lr"] = {"start": 1e-2, "max": 2e-2, "final": 1e-2}
        return pipeline

    def log(self, out):
        return (self.folder / out / "log.txt").read_text()

    def test_a_run_that_learns_is_healthy(self):
        self.flowrun(self.write(self.pipeline()), "--out", "run", "--quiet")
        log = self.log("run")
        self.assertRegex(log, rf"health: healthy \(std 0\.\d+, rank [\d.]+ of 32, cosine 0\.\d+, agreement 0\.\d+, target std 0\.\d+\), step {EVERY}\n")
        self.assertEqual(log.count("health:"), 1, "it speaks when the verdict changes")
        lines = [line for line in self.metrics("run") if line["step"] % EVERY == 0]
        self.assertEqual(len(lines), 5)
        for line in lines:
            self.assertEqual(line["health_ok"], 1, line)
            self.assertGreater(line["health_rank"], 2)
            self.assertLess(line["health_cosine"], 0.99)
            for name in ("health_std", "health_target_std", "health_agreement"):
                self.assertTrue(0 < line[name] < 1, (name, line))
        self.assertGreater(lines[-1]["health_agreement"], lines[0]["health_agreement"], "the student learns to predict")
        self.assertFalse(list((self.folder / "run").glob("collapse*")))

    def test_a_collapse_is_caught_and_kept(self):
        self.flowrun(self.write(self.collapsing()), "--out", "run", "--quiet")
        log = self.log("run")
        self.assertRegex(log, r"health: collapsing: features of different images are nearly equal \(cosine 0\.99\d, rank [\d.]+ of 32\)")
        self.assertIn("the usual cures: a teacher that moves more slowly", log)
        self.assertIn(0, [line.get("health_ok") for line in self.metrics("run")])
        kept = list((self.folder / "run").glob("collapse-step-*.json"))
        self.assertEqual(len(kept), 1, "the first collapse only")
        values = json.loads(kept[0].read_text())
        step = values["step"]
        self.assertEqual(kept[0].name, f"collapse-step-{step}.json")
        line = next(line for line in self.metrics("run") if line["step"] == step)
        for name in ("std", "rank", "cosine", "agreement", "target_std"):
            self.assertEqual(values[name], line[f"health_{name}"])
        self.assertAlmostEqual(values["loss_block_3"], line["loss_block_3"], places=6)
        self.assertEqual(len(values["samples"]), 32)
        self.assertEqual(len(set(values["samples"])), 32)
        self.assertRegex(values["samples"][0], r"^picture \d+ of train")
        files = {path.name for path in (self.folder / "run" / values["checkpoint"]).iterdir()}
        self.assertLessEqual({"manifest.json", "student.safetensors", "teacher.safetensors", "predictor.safetensors"}, files)

    def test_a_resumed_run_does_not_repeat_itself(self):
        pipeline = self.collapsing()
        pipeline["nodes"]["save"]["every"] = "20 steps"
        name = self.write(pipeline)
        self.flowrun(name, "--out", "whole", "--quiet")
        self.flowrun(name, "--out", "run", "--quiet", "--set", "run.steps=40")
        self.flowrun(name, "--out", "run", "--quiet", "--resume")
        self.assertEqual([line for line in self.metrics("run") if line["step"] > 40][0]["health_ok"],
                         [line for line in self.metrics("whole") if line["step"] > 40][0]["health_ok"])
        self.assertEqual(self.log("run").count("health:"), self.log("whole").count("health:"))
        self.assertEqual(*[sorted(path.name for path in (self.folder / out).glob("collapse-step-*")) for out in ("run", "whole")])

    def test_thresholds_and_the_first_step_to_judge(self):
        pipeline = self.pipeline()
        pipeline["nodes"]["health"].update({"min_std": 100, "from": 60})
        del pipeline["nodes"]["health"]["in"]["loss"]
        # Names decide the order of otherwise unordered nodes, but metrics write the results of the same step's reports.
        pipeline["nodes"]["a_first"] = pipeline["nodes"].pop("metrics")
        self.flowrun(self.write(pipeline), "--out", "run", "--quiet")
        self.assertIn("health: collapsing: features hardly vary over the images (std 0.", self.log("run"))
        lines = self.metrics("run")
        self.assertEqual([line.get("health_ok") for line in lines], [None, None, 0, 0, 0])
        self.assertTrue(all("health_std" in line for line in lines))

    def test_errors(self):
        pipeline = self.pipeline()
        del pipeline["nodes"]["health"]["in"]
        failed = self.flowrun(self.write(pipeline), "--quiet", status=2)
        self.assertIn("health: there is nothing to watch\n", failed.stderr)
        self.assertIn("\n  connect tokens, vectors, soft_label, prediction and target, or loss\n", failed.stderr)
        pipeline["nodes"]["health"]["in"] = {"prediction": "predict"}
        failed = self.flowrun(self.write(pipeline), "--quiet", status=2)
        self.assertIn("health: a prediction is compared with its target\n", failed.stderr)
        self.assertIn("\n  connect target too\n", failed.stderr)

    def test_a_loss_that_is_not_finite_lists_the_samples_of_its_step(self):
        pipeline = self.pipeline()
        pipeline["nodes"]["update"]["lr"] = {"start": 1e20, "max": 1e30, "final": 1e20}
        failed = self.flowrun(self.write(pipeline), "--out", "run", "--quiet", status=1)
        self.assertRegex(failed.stderr, "update: the loss is -?(nan|inf)")
        [path] = (self.folder / "run").glob("failed-step-*.json")
        listed = json.loads(path.read_text())
        self.assertIn(f"step {listed['step']}", failed.stderr)
        self.assertEqual(path.name, f"failed-step-{listed['step']}.json")
        self.assertEqual([sample["position"] for sample in listed["samples"]], list(range(32 * (listed["step"] - 1), 32 * listed["step"])))
        for sample in listed["samples"]:
            self.assertTrue(sample["key"].startswith(f"picture {sample['sample']} of train"), sample)


if __name__ == "__main__":
    support.main()
