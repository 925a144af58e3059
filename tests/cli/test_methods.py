"""Methods of two and more views: the files of pipelines/compare/shapes, their resume, several ranks, and their faults."""
import json
import shutil

import support

SHAPES = support.ROOT / "pipelines/compare/shapes"
SMALL = ["let.images=256", "let.batch=32", "let.group=16", "known.images=60", "unseen.images=60", "known_features.batch=30", "unseen_features.batch=30",
         "run.epochs=1", "run.intra_op=1", "metrics.every=1 step", "save.every=2 steps", "knn.at=end", "linear.at=end"]


def settings(*more):
    return [part for text in [*SMALL, *more] for part in ("--set", text)]


def shapes():
    return sorted(path for path in SHAPES.glob("*.json") if not path.name.startswith("_"))


class Methods(support.Folder):
    def losses(self, out):
        return [(line["step"], line["loss"], line["ledger"]) for line in self.metrics(out)]

    def test_shapes_resume_as_if_never_stopped(self):
        self.assertGreater(len(shapes()), 1)
        for path in shapes():
            with self.subTest(path.stem):
                whole, parts = f"{path.stem}-whole", f"{path.stem}-parts"
                queue = ["queue.rows=48"] if path.stem == "moco" else []  # it wraps within a step
                self.flowrun(path, *settings(*queue), "--out", whole)
                self.assertEqual(len(self.losses(whole)), 8)
                self.flowrun(path, *settings("run.steps=4", *queue), "--out", parts)
                self.flowrun(path, *settings(*queue), "--out", parts, "--resume")
                self.assertEqual(self.losses(parts), self.losses(whole))
                files = sorted(file.relative_to(self.folder / whole) for file in (self.folder / whole / "checkpoints/step-8").glob("*.safetensors"))
                self.assertGreater(len(files), 3)
                for file in files:
                    self.assertEqual((self.folder / parts / file).read_bytes(), (self.folder / whole / file).read_bytes(), file)

    def fault(self, path, *sets, status=1):
        """The standard error of a run that fails."""
        shutil.rmtree(self.folder / "fault", ignore_errors=True)
        return self.flowrun(path, *settings(*sets), "--out", "fault", "--quiet", status=status).stderr

    def test_faults_name_what_does_not_fit(self):
        self.assertIn('a step has 32 keys, and the queue queue only 16 rows: set rows to a multiple of the batch',
                      self.fault(SHAPES / "moco.json", "queue.rows=16"))
        self.assertIn('pairs "cross" needs two views of a picture, and 1 comes in: set count of image.random_crop to 2',
                      self.fault(SHAPES / "dino.json", "loss.pairs=cross", "large.count=1"))
        self.assertIn("the encoder takes images [B, 3, side, side] with a side of 32 or 16", self.fault(SHAPES / "dino.json", "small.size=20"))
        self.assertIn('the vectors have width 64, but behind takes 32: "of" of that head must name the model that makes them',
                      self.other_head())
        self.assertIn('freeze.match "no_layer" is in the name of no parameter of student, head',
                      self.fault(SHAPES / "dino.json", 'update.freeze.match=["no_layer"]'))

    def other_head(self):
        """The standard error of a run whose teacher's scores come from a head that stands behind another head."""
        heads = {"models.projector": {"type": "model.head", "of": "student", "layers": [32]},
                 "models.behind": {"type": "model.head", "of": "projector", "layers": [32], "prototypes": 256}}
        self.write({"about": "A head behind another head", "extends": str(SHAPES / "dino.json"), "add": heads, "set": {"named.model": "behind"}}, "other.json")
        return self.fault("other.json")

    def test_a_schedule_object_is_checked(self):
        err = self.flowrun("check", SHAPES / "dino.json", "--set", 'target.temperature={"start": 0.04, "shape": "wavy"}', status=2).stderr
        self.assertIn('temperature.shape can\'t be "wavy"', err)
        self.assertIn("one of: linear, cosine, step", err)
        resolved = json.loads(self.flowrun("expand", SHAPES / "dino.json", "--set", 'target.temperature={"start": 0.04, "final": 0.07}').stdout)
        self.assertEqual(resolved["nodes"]["target"]["temperature"], {"start": 0.04, "final": 0.07, "epochs": 0.0, "shape": "linear", "per": "step"})


if __name__ == "__main__":
    support.main()
