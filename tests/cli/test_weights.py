"""Weights go out and come in: export, model.pretrained, and what they say when something does not fit."""
import json
import struct

import support


class Weights(support.Folder):
    def train(self, out="run", **student):
        pipeline = support.training_pipeline(epochs=1)
        pipeline["models"]["student"] |= student
        self.flowrun(self.write(pipeline, f"{out}.json"), "--out", out)
        return self.folder / out

    def names(self, path):
        """{tensor: shape} of a safetensors file."""
        raw = (self.folder / path).read_bytes()
        header = json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])
        header.pop("__metadata__", None)
        return {name: entry["shape"] for name, entry in header.items()}

    def evaluate(self, encoder, out, status=0):
        """kNN of an encoder from a file."""
        pipeline = {"run": {"device": "cpu", "precision": "fp32", "intra_op": 1},
                    "models": {"encoder": {"type": "model.pretrained", **encoder}}, "nodes": support.frozen_streams(60, 40, model="encoder")}
        pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [5]}
        return self.flowrun(self.write(pipeline, f"{out}.json"), "--out", out, status=status)

    def test_an_exported_encoder_is_the_one_that_was_trained(self):
        for student in ({}, {"positions": "learned", "layer_scale": 0.2, "class_token": False}):
            with self.subTest(student):
                tag = f"run{len(student)}"
                run = self.train(tag, **student)
                printed = self.flowrun("export", tag, f"{tag}.safetensors").stdout
                count = len(self.names(f"{tag}.safetensors"))
                matched = count if "positions" in student else count - 1  # the fixed table is no parameter
                self.assertIn(f"matched {matched} of {matched} parameters", printed)
                self.assertIn("timm VisionTransformer(img_size=24, patch_size=4, embed_dim=24, depth=2, num_heads=2", printed)
                self.evaluate({"file": f"{tag}.safetensors"}, f"{tag}-exported")
                checkpoint = sorted((run / "checkpoints").glob("step-*"), key=lambda p: int(p.name[5:]))[-1]
                self.evaluate({"file": str(checkpoint / "teacher.safetensors")}, f"{tag}-checkpoint")
                self.assertEqual(self.result(f"{tag}-exported")["knn"]["accuracy"], self.result(f"{tag}-checkpoint")["knn"]["accuracy"])
                self.assertIn(f"matched {matched} of {matched}", (self.folder / f"{tag}-exported/log.txt").read_text())

    def test_the_student_is_exported_when_asked_for(self):
        self.train()
        self.flowrun("export", "run", "teacher.safetensors")
        self.flowrun("export", "run", "student.safetensors", "--model", "student")
        self.assertNotEqual((self.folder / "teacher.safetensors").read_bytes(), (self.folder / "student.safetensors").read_bytes())
        said = self.flowrun("export", "run", "x.safetensors", "--model", "tacher", status=1).stderr
        self.assertIn('holds no model "tacher"; say which with --model: ', said)
        self.assertIn("predictor", said)

    def test_what_does_not_fit_is_named(self):
        self.train()
        self.flowrun("export", "run", "encoder.safetensors")
        said = self.evaluate({"file": "missing.safetensors"}, "a", status=1).stderr
        self.assertIn("encoder: cannot open missing.safetensors: No such file", said)
        predictor = next((self.folder / "run/checkpoints").glob("step-*")) / "predictor.safetensors"
        said = self.evaluate({"file": str(predictor)}, "b", status=1).stderr
        self.assertIn('the file has no "patch_embed.proj.weight"', said)
        said = self.evaluate({"file": "encoder.safetensors", "heads": 5}, "c", status=1).stderr
        self.assertIn("5 heads do not divide the width 24", said)

    def test_a_frozen_teacher_must_have_the_grid_of_the_masks(self):
        self.train()
        self.flowrun("export", "run", "encoder.safetensors")
        pipeline = support.training_pipeline(epochs=1)
        pipeline["models"]["teacher"] = {"type": "model.pretrained", "file": "encoder.safetensors"}
        del pipeline["nodes"]["ema"]
        pipeline["nodes"]["save"]["after"] = "update"
        self.flowrun(self.write(pipeline), "--out", "good")
        pipeline["models"]["student"]["patch"] = 8
        pipeline["nodes"]["mask"] |= {"patch": 8, "size": [0.1, 0.3], "aspect": [0.9, 1.1], "regions": 1, "min_keep": 1}
        said = self.flowrun(self.write(pipeline), "--out", "bad", status=1).stderr
        self.assertIn("the masks are for a grid of 3x3 patches, teacher has 6x6", said)


if __name__ == "__main__":
    support.main()
