"""Evaluations of frozen encoders: the images they choose on, their files, and that they don't affect training."""
import json
import unittest

import numpy as np
import safetensors.numpy

import support


def training(**run):
    pipeline = support.training_pipeline(**run)
    pipeline["models"]["student"]["init"] = "mae"  # random, but it tells drawn textures apart
    return pipeline


def with_evaluations(**run):
    pipeline = training(**run)
    pipeline["nodes"].update(support.frozen_streams(train=300))
    feeds = {"train": "known_features", "test": "unseen_features"}
    at = ["start", "2 epochs", "end"]
    pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": feeds, "k": [20, 1, 5], "at": at}
    pipeline["nodes"]["logistic"] = {"type": "eval.logistic", "in": feeds, "c": [1e-6, 1e-2, 1], "at": at}
    pipeline["nodes"]["probe"] = {"type": "eval.probe", "in": feeds, "batch": 20, "epochs": 10, "select_on": "test", "at": at}
    return pipeline


class Evaluation(support.Folder):
    def test_all_types_declare_what_they_report(self):
        """That they report nothing else is checked wherever tests read result.json."""
        types = json.loads(self.flowrun("help", "--json").stdout)
        evaluations = [entry for entry in types if entry["runs"].startswith("per evaluation")]
        self.assertGreater(len(evaluations), 10)
        self.assertEqual([entry["type"] for entry in evaluations if "reports" not in entry], [])

    def test_online_while_a_model_trains(self):
        self.write(training(epochs=4), "plain.json")
        self.flowrun("plain.json", "--out", "plain")
        self.write(with_evaluations(epochs=4), "watched.json")
        self.flowrun("watched.json", "--out", "watched")
        self.assertEqual(self.history("watched"), self.history("plain"), "evaluations change nothing")

        result = self.result("watched")
        for node in ("knn", "logistic", "probe"):
            self.assertEqual([entry["step"] for entry in result[node]["history"]], [0, 8, 16], node)
        knn, logistic, probe = result["knn"], result["logistic"], result["probe"]
        self.assertEqual(knn["accuracy"], knn["accuracy_k20"])
        self.assertTrue({"accuracy_k1", "accuracy_k5"} <= set(knn))
        self.assertNotIn("selected_on", knn)
        self.assertEqual((logistic["selected_on"], probe["selected_on"]), ("holdout", "test"))
        self.assertEqual(probe["accuracy"], probe["selection_accuracy"], "chosen on the images that are reported")
        self.assertIn(logistic["c"], [1e-6, 1e-2, 1])
        # Of ten classes.
        for found in (knn, logistic, probe):
            self.assertGreater(found["accuracy"], 0.3)

        table = (self.folder / "watched/result.md").read_text().splitlines()
        self.assertEqual(table[0], "| node | metric | value | selected on |")
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
        self.assertIn(["knn", "accuracy_k5", f"{knn['accuracy_k5']:.6g}", ""], rows)
        self.assertIn(["logistic", "accuracy", f"{logistic['accuracy']:.6g}", "holdout"], rows)
        self.assertFalse((self.folder / "plain/result.md").exists(), "nothing was evaluated")

    def test_pools_are_what_they_say(self):
        """Nearest neighbours by class token, by mean and by both differ, and require the right encoders."""
        pipeline = with_evaluations(epochs=1)
        for name in ("logistic", "probe"):
            del pipeline["nodes"][name]
        pipeline["nodes"]["knn"]["at"] = "start"
        self.write(pipeline)
        found = {}
        for pool in ("mean", "cls", "cls_mean"):
            pools = [part for name in ("known", "unseen") for part in ("--set", f"{name}_features.pool={pool}")]
            self.flowrun("pipeline.json", *pools, "--set", "run.steps=1", "--out", pool)
            found[pool] = self.result(pool)["knn"]
        self.assertEqual(len({json.dumps(entry, sort_keys=True) for entry in found.values()}), 3, "all pools give the same")
        failed = self.flowrun("pipeline.json", "--set", "known_features.pool=cls_mean", "--set", "student.class_token=false", "--out", "none", status=2)
        self.assertIn("pool is cls_mean, but teacher has no class token", failed.stderr)

    def test_probes_train_and_resume(self):
        for kind in ("linear", "attentive"):
            with self.subTest(kind):
                whole, short = f"{kind}-whole", f"{kind}-short"
                self.write(support.probe_pipeline(kind, epochs=6))
                self.flowrun("pipeline.json", "--out", whole)
                found = self.result(whole)["heads"]
                before = found["history"][0]
                self.assertEqual(len(set(before[f"head_{h:02}"] for h in range(4))), 1, "all heads begin equal")
                head = int(found["head"])
                self.assertIn(head, (0, 1))
                self.assertEqual((found["lr"], found["weight_decay"]), (1e-2, (0, 0.01)[head]))
                self.assertEqual(found["accuracy"], found[f"head_{head:02}"])
                self.assertEqual(found["selected_on"], "holdout")
                self.assertGreater(found["accuracy"], before["accuracy"] + 0.2)
                losses = [line["loss"] for line in self.metrics(whole)]
                self.assertLess(losses[-1], 0.8 * losses[0])

                self.flowrun("pipeline.json", "--set", "run.steps=25", "--out", short)
                self.flowrun("pipeline.json", "--resume", "--out", short)
                self.assertEqual(self.history(short), self.history(whole))
                self.assertEqual(self.last_checkpoint(short), self.last_checkpoint(whole))
                self.assertEqual(self.result(short)["heads"]["accuracy"], found["accuracy"])

    def test_a_head_that_is_lost_is_saved_with_the_others(self):
        pipeline = support.probe_pipeline("linear")
        pipeline["models"]["probe"].update(lrs=[1e-2, 1000], decays=[0, 10])
        self.write(pipeline)
        self.flowrun("pipeline.json", "--set", "run.steps=12", "--out", "run")
        self.flowrun("pipeline.json", "--out", "run", "--resume")
        self.assertIn(self.result("run")["heads"]["head"], (0, 1, 2))
        _, files = self.last_checkpoint("run")
        weights = safetensors.numpy.load(files["probe.safetensors"])
        self.assertTrue(np.isfinite(weights["heads.0.linear.weight"]).all())
        self.assertFalse(np.isfinite(weights["heads.3.linear.weight"]).any())

    def test_a_probe_says_what_it_lacks(self):
        self.write(support.probe_pipeline("linear"))
        for change, words in {
            "probe.classes=7": "probe: classes is 7, but the training data have 10, from fine stripes to blocks; set classes",
            "probe.width=48": "what comes in is 24 wide, but the probe was made for 48: set the probe's width",
            "probe.kind=attentive": "update: this kind of probe needs tokens: connect an eval.tokens",
        }.items():
            failed = self.flowrun("pipeline.json", "--set", change, "--set", "heads.at=end", "--out", change, status=1)
            self.assertIn(words, failed.stderr)

    @support.needs_cifar10
    def test_low_shot_lists_and_parts(self):
        root = support.unpack_cifar10(self.folder, count=12, classes=3)
        classes = sorted(path.name for path in root.iterdir())
        listed = [f"{name}/{sorted(p.name for p in (root / name).iterdir())[i]}" for name in classes for i in (0, 5)]
        (self.folder / "list.txt").write_text("\n".join(listed) + "\n")
        nodes = {}
        for name, choice in {"all": {}, "list": {"list": "list.txt"}, "few": {"per_class": 4}, "kept": {"part": "kept", "holdout": 0.25},
                             "held": {"part": "held_out", "holdout": 0.25}}.items():
            nodes[name] = {"type": "source.folder", "path": str(root), **choice}
            nodes[f"{name}_decode"] = {"type": "image.jpeg_decode", "in": name}
            nodes[f"{name}_batch"] = {"type": "batch.stack", "in": {"image": f"{name}_decode", "label": name}, "size": 8}
            nodes[f"{name}_upload"] = {"type": "device.upload", "in": f"{name}_batch.*"}
            nodes[f"{name}_pixels"] = {"type": "eval.pixels", "in": f"{name}_upload.*"}
            if name != "all":
                nodes[f"{name}_knn"] = {"type": "eval.knn", "in": {"train": f"{name}_pixels", "test": "all_pixels"}, "k": [1], "at": "start"}
        # An image is its own neighbour: nearly all votes of images for themselves are right.
        nodes["disjoint"] = {"type": "eval.knn", "in": {"train": "kept_pixels", "test": "held_pixels"}, "k": [1], "at": "start"}
        self.write({"nodes": nodes})
        self.flowrun("pipeline.json", "--out", "out")
        result = self.result("out")
        self.assertGreaterEqual(result["list_knn"]["accuracy"], 6 / 36)
        self.assertGreaterEqual(result["few_knn"]["accuracy"], 12 / 36)
        self.assertGreaterEqual(result["kept_knn"]["accuracy"], 27 / 36)
        self.assertGreaterEqual(result["held_knn"]["accuracy"], 9 / 36)
        self.assertLess(result["disjoint"]["accuracy"], 1, "the parts share images")
        failed = self.flowrun("pipeline.json", "--set", "few.per_class=13", "--out", "none", status=1)
        self.assertIn(f"few: class {classes[0]} has 12 images, fewer than per_class = 13", failed.stderr)
        (self.folder / "list.txt").write_text("\n".join(listed) + "\nnone/1.jpg\n")
        failed = self.flowrun("pipeline.json", "--out", "none", status=1)
        self.assertIn('list.txt:7: the folder has no file "none/1.jpg"', failed.stderr)


if __name__ == "__main__":
    support.main()
