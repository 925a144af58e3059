"""report.checkpoint keeps the state that an evaluation found best; export and embed take it."""
import json
import shutil
import subprocess
import sys
import unittest

import numpy as np

import support


def pipeline(best="knn.accuracy", **more):
    """Twelve steps, an evaluation and a checkpoint after every second."""
    out = support.training_pipeline(epochs=3)
    out["nodes"].update(support.frozen_streams(train=100, test=100))
    out["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [3, 1], "at": ["start", "2 steps", "end"]}
    out["nodes"]["save"] |= {"keep": 9, "best": best, **more}
    out["nodes"]["update"]["lr"]["max"] = 0.05  # accuracies move
    return out


class Best(support.Folder):
    def best_of(self, history, name="accuracy", better=max):
        trained = [entry for entry in history if entry["step"] > 0]
        value = better(entry[name] for entry in trained)
        return next(entry["step"] for entry in trained if entry[name] == value), value

    def check(self, out, name="accuracy", better=max):
        result = self.result(out)
        step, value = self.best_of(result["knn"]["history"], name, better)
        self.assertEqual(result["best"], {"metric": f"knn.{name}", "value": value, "step": step, "checkpoint": f"best/step-{step}"})
        best = self.folder / out / f"best/step-{step}"
        self.assertEqual([path.name for path in best.parent.iterdir()], [best.name])
        for file in best.glob("*.safetensors"):
            self.assertEqual(file.read_bytes(), (self.folder / out / f"checkpoints/step-{step}" / file.name).read_bytes(), file.name)
        return step

    def test_the_largest_and_the_smallest(self):
        self.flowrun(self.write(pipeline()), "--out", "run")
        self.check("run")
        self.assertIn("best so far: knn.accuracy after step", (self.folder / "run/log.txt").read_text())
        self.assertIn(self.result("run")["best"]["checkpoint"], (self.folder / "run/report.html").read_text())
        self.flowrun(self.write(pipeline("knn.accuracy_k1", best_is="smallest")), "--out", "least")
        self.check("least", "accuracy_k1", min)

    def test_resumed_and_undone(self):
        file = self.write(pipeline())
        self.flowrun(file, "--out", "whole")
        self.flowrun(file, "--out", "run", "--set", "run.steps=6")
        self.flowrun(file, "--out", "run", "--resume")
        self.assertEqual(self.check("run"), self.check("whole"))
        # A best step that a resume undoes is the best no longer.
        for step in (4, 6, 8, 10, 12):
            shutil.rmtree(self.folder / f"run/checkpoints/step-{step}")
        self.flowrun(file, "--out", "run", "--resume", "--set", "run.steps=4")
        history = self.result("run")["knn"]["history"]
        self.assertEqual([entry["step"] for entry in history], [0, 2, 4])
        self.check("run")

    def test_ranks(self):
        file = self.write(pipeline())
        self.flowrun(file, "--out", "one")
        self.ended(self.ranks(2, file, "--out", "two"))
        self.assertEqual(self.check("one"), self.check("two"))

    def test_export_and_embed_take_it(self):
        self.flowrun(self.write(pipeline("knn.accuracy", best_is="smallest")), "--out", "run")
        step = self.check("run", better=min)
        done = self.flowrun("export", "run", "best.safetensors", "--best")
        self.assertIn(f"run/best/step-{step}/teacher.safetensors", done.stdout)
        for name, words in (("best", ["--best"]), ("same", ["--step", str(step)])):
            self.draw()
            self.flowrun("embed", "run", "pictures", f"{name}.npy", *words)
        self.assertEqual((self.folder / "best.npy").read_bytes(), (self.folder / "same.npy").read_bytes())

    def draw(self):
        from PIL import Image

        (self.folder / "pictures").mkdir(exist_ok=True)
        for i in range(4):
            Image.fromarray(np.random.default_rng(i).integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(self.folder / f"pictures/{i}.png")

    def test_refusals(self):
        done = self.flowrun("check", self.write(pipeline("kn.accuracy")), status=2)
        self.assertIn('save: best: there is no evaluation "kn"', done.stderr)
        self.assertIn('did you mean "knn"', done.stderr)
        done = self.flowrun("check", self.write(pipeline("knn")), status=2)
        self.assertIn('best must be NODE.VALUE, such as "knn.accuracy"', done.stderr)
        done = self.flowrun("check", self.write(pipeline("knn.acuracy")), status=2)
        self.assertIn('save: best: knn reports no "acuracy"', done.stderr)
        self.assertIn('did you mean "accuracy"? it reports accuracy, accuracy_k*', done.stderr)
        done = self.flowrun(self.write(pipeline("knn.accuracy_k9")), "--out", "run", status=1)
        self.assertIn('best: knn reports no "accuracy_k9"; did you mean "accuracy_k1"? it reports accuracy, accuracy_k1', done.stderr)
        without = pipeline("")
        self.flowrun(self.write(without), "--out", "none", "--set", "run.steps=2")
        self.assertFalse((self.folder / "none/best").exists())
        self.assertNotIn("best", self.result("none"))
        self.assertIn("none keeps no best checkpoint", self.flowrun("export", "none", "x.safetensors", "--best", status=2).stderr)


if __name__ == "__main__":
    support.main()
