"""Weights out and in: export, model.pretrained, and their messages when something does not fit."""
import json
import os
import pathlib
import struct
import subprocess
import sys
import unittest

import safetensors
import safetensors.torch

import support

EXPORTERS = pathlib.Path(os.environ.get("FLOWRUN_VENV", sys.prefix)) / "exporters"
HUB = support.ROOT / "tools/python/flowrun/hub.py"

needs_exporters = unittest.skipUnless(EXPORTERS.is_dir(), f"no {EXPORTERS}: tools/setup --test")


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
                matched = count if "positions" in student else count - 1  # the fixed table is not a parameter
                self.assertIn(f"matched {matched} of {matched} parameters", printed)
                self.assertIn("timm VisionTransformer(img_size=24, patch_size=4, embed_dim=24, depth=2, num_heads=2", printed)
                self.evaluate({"file": f"{tag}.safetensors"}, f"{tag}-exported")
                checkpoint = sorted((run / "checkpoints").glob("step-*"), key=lambda p: int(p.name[5:]))[-1]
                self.evaluate({"file": str(checkpoint / "teacher.safetensors")}, f"{tag}-checkpoint")
                self.assertEqual(self.result(f"{tag}-exported")["knn"]["accuracy"], self.result(f"{tag}-checkpoint")["knn"]["accuracy"])
                self.assertIn(f"matched {matched} of {matched}", (self.folder / f"{tag}-exported/log.txt").read_text())

    def test_a_folder_for_hubs(self):
        import timm
        import torch

        self.train("run", layer_scale=0.2)
        said = self.flowrun("export", "run", "hub/", "--licence", "apache-2.0").stdout
        self.assertIn('timm.create_model("local-dir:hub/", pretrained=True)', said)
        self.assertEqual(sorted(path.name for path in (self.folder / "hub").iterdir()),
                         ["README.md", "config.json", "model.safetensors", "models", "pipeline.json", "report.html"])
        self.assertEqual(sorted(path.name for path in (self.folder / "hub/models").iterdir()), ["predictor.safetensors", "student.safetensors"])
        model = timm.create_model(f"local-dir:{self.folder}/hub", pretrained=True).eval()
        self.flowrun("export", "run", "file.safetensors")
        expected = safetensors.torch.load_file(self.folder / "file.safetensors")
        self.assertEqual(sorted(model.state_dict()), sorted(expected))
        self.assertTrue(all(torch.equal(value, expected[name]) for name, value in model.state_dict().items()))
        self.assertEqual(tuple(model(torch.zeros(2, 3, 24, 24)).shape), (2, 24))
        config = timm.data.resolve_model_data_config(model)
        self.assertEqual((config["input_size"], config["mean"]), ((3, 24, 24), [0.485, 0.456, 0.406]))
        card = (self.folder / "hub/README.md").read_text()
        self.assertIn("license: apache-2.0", card)
        self.assertIn(f"| ledger of step 4 | `{self.metrics('run')[-1]['ledger']}` |", card)
        # An older checkpoint is told of as it is.
        self.flowrun("export", "run/checkpoints/step-2", "older")
        older = (self.folder / "older/README.md").read_text()
        self.assertIn("| steps | 2 |", older)
        self.assertIn(f"| ledger of step 2 | `{self.metrics('run')[1]['ledger']}` |", older)
        self.assertIn("flowrun pipeline.json --set run.steps=2", older)
        # The card's command makes the model again.
        self.flowrun("hub/pipeline.json", "--out", "again")
        self.assertEqual(self.history("again"), self.history("run"))
        # Without a run there are weights and a configuration, and nothing is made up about their training.
        self.flowrun("export", "file.safetensors", "bare")
        self.assertEqual(sorted(path.name for path in (self.folder / "bare").iterdir()), ["README.md", "config.json", "model.safetensors"])
        self.assertNotIn("Training", (self.folder / "bare/README.md").read_text())

    def resnet_pipeline(self):
        return {"seed": 0, "run": {"epochs": 1, "device": "cpu", "precision": "fp32", "intra_op": 1, "steps": 1},
                "models": {"student": {"type": "model.resnet", "arch": 18},
                           "head": {"type": "model.head", "of": "student", "layers": [10]}},
                "nodes": {"files": {"type": "source.synthetic", "images": 16, "size": 32},
                          "decode": {"type": "image.decode", "in": "files"},
                          "batch": {"type": "batch.stack", "in": {"image": "decode", "label": "files"}, "size": 8},
                          "upload": {"type": "device.upload", "in": "batch.*"},
                          "encode": {"type": "encode.images", "in": "upload.image", "model": "student", "pool": "mean"},
                          "scores": {"type": "head.apply", "in": "encode", "model": "head"},
                          "loss": {"type": "loss.cross_entropy", "in": {"logits": "scores", "label": "upload"}},
                          "update": {"type": "train.sgd", "in": "loss", "models": ["student", "head"], "lr": {"start": 0.01, "max": 0.01, "final": 0.01}},
                          "save": {"type": "report.checkpoint", "after": "update"}}}

    def test_resnets_for_hubs(self):
        import timm
        import torch

        pipeline = self.resnet_pipeline()
        self.flowrun(self.write(pipeline), "--out", "run")
        self.flowrun("export", "run", "hub")
        model = timm.create_model(f"local-dir:{self.folder}/hub", pretrained=True).eval()
        self.assertEqual(tuple(model(torch.zeros(1, 3, 64, 64)).shape), (1, 512))
        expected = safetensors.torch.load_file(self.folder / "run/checkpoints/step-1/student.safetensors")
        self.assertTrue(torch.equal(model.layer1[0].conv1.weight, expected["layer1.0.conv1.weight"]))
        self.assertTrue(torch.equal(model.bn1.running_var, expected["bn1.running_var"]))
        pipeline["models"]["student"] = {"type": "model.resnet", "arch": 8}
        self.flowrun(self.write(pipeline), "--out", "small")
        self.assertIn("is a ResNet that timm does not have", self.flowrun("export", "small", "x", status=1).stderr)
        self.assertFalse((self.folder / "x").exists())

    def features_of(self, folder, images):
        """By kind of graph."""
        import torch

        script = ("import onnxruntime, safetensors.numpy, sys\n"
                  "session = onnxruntime.InferenceSession(sys.argv[1] + '/model.onnx')\n"
                  "images = safetensors.numpy.load_file('images.safetensors')['images']\n"
                  "[input], [output] = session.get_inputs(), session.get_outputs()\n"
                  "assert (input.shape[1:], output.shape[1:]) == ([*images.shape[1:]], [int(sys.argv[2])]), (input.shape, output.shape)\n"
                  "safetensors.numpy.save_file({'features': session.run(None, {'images': images})[0]}, 'features.safetensors')\n")
        safetensors.torch.save_file({"images": images}, self.folder / "images.safetensors")
        program = torch.export.load(self.folder / folder / "model.pt2").module()(images).detach()
        done = subprocess.run([sys.executable, "-c", script, folder, str(program.shape[1])], cwd=self.folder, env=self.with_exporters(), text=True, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {"onnx": safetensors.torch.load_file(self.folder / "features.safetensors")["features"], "pt2": program}

    def with_exporters(self):
        return {**os.environ, "PYTHONPATH": str(EXPORTERS)}

    def check_graphs(self, folder, side):
        """Against timm, and the features that were written, for other images and another number of them."""
        import timm
        import torch

        model = timm.create_model(f"local-dir:{self.folder / folder}", pretrained=True).eval()
        check = safetensors.torch.load_file(self.folder / folder / "check.safetensors")
        self.assertEqual(check["images"].shape, (3, 3, side, side))
        self.assertGreater(check["features"].std(0).mean(), 1e-3, "the images are told apart")
        for images, expected in ((check["images"], check["features"]), (torch.randn(5, 3, side, side, generator=torch.Generator().manual_seed(1)), None)):
            with torch.no_grad():
                expected = model(images) if expected is None else expected
            for kind, features in self.features_of(folder, images).items():
                torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4, msg=kind)

    @needs_exporters
    def test_model_graphs(self):
        import torch

        self.train("run", layer_scale=0.2, positions="learned")
        said = self.flowrun("export", "run", "hub/", "--onnx", "--pt2", env=self.with_exporters()).stdout
        self.assertRegex(said, r"\nhub/model.onnx: ONNX, opset 20; its features differ from Flowrun's by \S+ of the largest\n")
        self.assertIn("\nhub/model.pt2: its features differ from Flowrun's by ", said)
        files = ["README.md", "check.safetensors", "config.json", "model.onnx", "model.pt2", "model.safetensors", "models", "pipeline.json", "report.html"]
        self.assertEqual(sorted(path.name for path in (self.folder / "hub").iterdir()), files)
        self.check_graphs("hub", 24)
        card = (self.folder / "hub/README.md").read_text()
        self.assertEqual(card.count("## Model graphs"), 1)
        self.assertIn("`model.onnx` is ONNX, opset 20", card)
        # They can be checked again, and other features are found.
        again = lambda: subprocess.run([sys.executable, HUB, "hub", "--json"], cwd=self.folder, env=self.with_exporters(), text=True, capture_output=True)  # noqa: E731
        done = again()
        self.assertLess(max(entry["difference"] for entry in json.loads(done.stdout).values()), 1e-4)
        self.assertEqual((self.folder / "hub/README.md").read_text().count("## Model graphs"), 1)
        check = safetensors.torch.load_file(self.folder / "hub/check.safetensors")
        check["features"][2, 5] += 3e-4 * check["features"].abs().max()
        safetensors.torch.save_file(check, self.folder / "hub/check.safetensors")
        done = again()
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"error: model.onnx gives other features than Flowrun: they differ by 0.000[23]\d* of the largest, more than 1e-04\n$")
        # Those of other weights don't stay.
        self.flowrun("export", "run", "hub", "--model", "student")
        self.assertEqual(sorted(path.name for path in (self.folder / "hub").iterdir()), [name for name in files if not name.startswith(("check", "model.onnx", "model.pt2"))])
        self.assertNotIn("Model graphs", (self.folder / "hub/README.md").read_text())
        # The epsilon of norms, which config.json can't hold, and without a class token.
        self.train("clip", mlp="quick_gelu", pre_norm=True, norm_eps=1e-2, class_token=False)
        found = json.loads(self.flowrun("export", "clip", "clip-hub", "--pt2", "--json").stdout)
        self.assertLess(found["pt2"]["difference"], 1e-4)
        self.assertGreater(torch.export.load(self.folder / "clip-hub/model.pt2").module()(torch.zeros(1, 3, 24, 24)).abs().max(), 0)

    @needs_exporters
    def test_model_graphs_of_resnets(self):
        self.flowrun(self.write(self.resnet_pipeline()), "--out", "run")
        found = json.loads(self.flowrun("export", "run", "hub", "--onnx", "--pt2", "--json", env=self.with_exporters()).stdout)
        self.assertEqual((found["onnx"]["file"], found["pt2"]["file"]), ("model.onnx", "model.pt2"))
        self.check_graphs("hub", 224)

    def test_what_model_graphs_need_is_said(self):
        self.train("run")
        err = self.flowrun("export", "run", "x.safetensors", "--onnx", status=2).stderr
        self.assertEqual(err, "error: --onnx and --pt2 write into a folder: name one in place of x.safetensors\n")
        bare = self.folder / "bare"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
        err = self.flowrun("export", "run", "hub", "--onnx", env={**os.environ, "FLOWRUN_PYTHON": str(bare / "bin/python")}, status=1).stderr
        python, names = bare.resolve() / "bin/python", "torch, timm, safetensors, onnx, onnxscript, onnxruntime"
        self.assertEqual(err, f"error: {python} has no {names}: {python} -m pip install {names.replace(',', '')}\n")
        self.assertTrue((self.folder / "hub/model.safetensors").exists(), "what was written stays")
        self.assertNotIn("Model graphs", (self.folder / "hub/README.md").read_text())
        err = self.flowrun("export", "run", "hub", "--pt2", env={**os.environ, "FLOWRUN_PYTHON": "/nowhere/python"}, status=1).stderr
        self.assertEqual(err, "error: /nowhere/python could not be started: set FLOWRUN_PYTHON to a Python that has torch and timm\n")

    def test_rotary_positions_stay_in_the_file(self):
        for positions, more in (("rotary", {}), ("rotary_capi", {"class_token": False, "registers": 4})):
            with self.subTest(positions):
                self.train(positions, positions=positions, **more)
                teacher = str(max((self.folder / positions / "checkpoints").glob("step-*"), key=lambda p: int(p.name[5:])) / "teacher.safetensors")
                self.evaluate({"file": teacher}, f"{positions}-read")
                self.assertIn("matched ", (self.folder / f"{positions}-read/log.txt").read_text())
                said = self.flowrun("export", positions, "x.safetensors", status=1).stderr
                self.assertIn("has rotary positions, which timm's VisionTransformer does not have; model.pretrained reads the file as it is", said)
                self.flowrun("export", positions, "folder", status=1)
                self.assertFalse((self.folder / "folder").exists())

    def test_clips_blocks_stay_in_the_file(self):
        """The quick GELU and the epsilon of norms are notes in files; timm is told of them."""
        self.train("clip", mlp="quick_gelu", pre_norm=True, norm_eps=1e-5, positions="learned")
        said = self.flowrun("export", "clip", "clip.safetensors").stdout
        self.assertIn(", pre_norm=True, act_layer='quick_gelu', norm_layer=partial(LayerNorm, eps=1e-05))", said)
        self.assertIn("norm_pre.weight", self.names("clip.safetensors"))
        self.assertNotIn("patch_embed.proj.bias", self.names("clip.safetensors"))
        teacher = str(max((self.folder / "clip/checkpoints").glob("step-*"), key=lambda p: int(p.name[5:])) / "teacher.safetensors")
        found = {}
        for out, file in (("checkpoint", teacher), ("exported", "clip.safetensors")):
            self.evaluate({"file": file}, out)
            with safetensors.safe_open(self.folder / file, "np") as opened:
                notes = opened.metadata()
            found[out] = (self.result(out)["knn"]["accuracy"], float(notes["quick_gelu"]), float(notes["norm_eps"]))
        self.assertEqual(found["exported"], found["checkpoint"])
        self.assertEqual(found["exported"][1:], (1, 1e-5))

    def test_norms_that_adapt_to_a_time_stay_in_the_file(self):
        self.train("timed", time=True)
        teacher = str(max((self.folder / "timed/checkpoints").glob("step-*"), key=lambda p: int(p.name[5:])) / "teacher.safetensors")
        self.assertEqual(self.names(teacher)["blocks.0.ada.weight"], [6 * 24, 24])
        self.evaluate({"file": teacher}, "timed-read")
        self.assertIn("matched ", (self.folder / "timed-read/log.txt").read_text())
        said = self.flowrun("export", "timed", "x.safetensors", status=1).stderr
        self.assertIn("has norms that adapt to a time, which timm's VisionTransformer does not have; model.pretrained reads the file as it is", said)

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
        said = self.evaluate({"file": str(predictor)}, "b", status=2).stderr
        self.assertIn('the file has no "patch_embed.proj.weight"', said)
        said = self.evaluate({"file": "encoder.safetensors", "heads": 5}, "c", status=2).stderr
        self.assertIn("5 heads do not divide the width 24", said)

    def test_every_model_takes_given_weights(self):
        """What a run has made of each model is what another begins with; names and shapes are those of the model."""
        self.train()
        last = sorted((self.folder / "run/checkpoints").glob("step-*"), key=lambda p: int(p.name[5:]))[-1]
        pipeline = support.training_pipeline(epochs=1, steps=1)
        pipeline["nodes"]["update"]["lr"] = {"start": 0, "max": 0, "final": 0}
        pipeline["nodes"]["save"]["every"] = "1 step"
        for name in ("student", "predictor"):
            pipeline["models"][name]["weights"] = str(last / f"{name}.safetensors")
        self.flowrun(self.write(pipeline, "again.json"), "--out", "again")
        for name in ("student", "predictor"):
            self.assertEqual((self.folder / f"again/checkpoints/step-1/{name}.safetensors").read_bytes(), (last / f"{name}.safetensors").read_bytes())
        log = (self.folder / "again/log.txt").read_text()
        self.assertIn("student: ", log)
        self.assertIn("predictor.safetensors: all ", log)
        for name, file, said in (("predictor", last / "student.safetensors", "parameter \"reg_token\" is [1, 4, 16], not [1, 1, 24]"),
                                 ("student", last / "predictor.safetensors", "parameter \"reg_token\" is [1, 1, 24], not [1, 4, 16]"),
                                 ("predictor", "missing.safetensors", "cannot open missing.safetensors")):
            err = self.flowrun("again.json", "--set", f"models.{name}.weights={file}", "--out", "x", status=1 if file == "missing.safetensors" else 2).stderr
            self.assertIn(f"{name}: ", err)
            self.assertIn(said, err)
        err = self.flowrun("again.json", "--set", "models.predictor.width=32", "--out", "x", status=2).stderr
        self.assertIn("predictor.safetensors", err)

    def test_a_frozen_model_is_trained_by_nobody(self):
        pipeline = support.training_pipeline(epochs=1)
        pipeline["models"]["student"] |= {"frozen": True, "drop_path": 0.5}
        self.write(pipeline)
        err = self.flowrun("pipeline.json", "--out", "x", status=2).stderr
        self.assertIn("update: the model student is frozen", err)
        # Without it among the models of the update it runs, stays as it was, and drops nothing.
        pipeline["nodes"]["update"]["models"] = ["predictor"]
        pipeline["nodes"]["save"]["every"] = "1 step"
        self.flowrun(self.write(pipeline), "--out", "run")
        steps = sorted((self.folder / "run/checkpoints").glob("step-*"))
        self.assertEqual(len({(step / "student.safetensors").read_bytes() for step in steps}), 1)
        self.assertEqual(len({(step / "predictor.safetensors").read_bytes() for step in steps}), len(steps))
        pipeline["models"]["student"]["drop_path"] = 0
        self.flowrun(self.write(pipeline), "--out", "plain")
        self.assertEqual(self.history("plain"), self.history("run"))
        pipeline["models"]["teacher"]["of"] = "student"
        pipeline["nodes"]["ema"] |= {"from": "predictor", "to": "student"}
        err = self.flowrun(self.write(pipeline), "--out", "y", status=2).stderr
        self.assertIn("ema: the model student is frozen", err)

    def safetensors(self, path, tensors):
        header, data = {}, b""
        for name, (shape, values) in tensors.items():
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * len(values)]}
            data += struct.pack(f"<{len(values)}f", *values)
        text = json.dumps(header).encode()
        (self.folder / path).write_bytes(struct.pack("<Q", len(text)) + text + data)

    def tensors(self, path):
        raw = (self.folder / path).read_bytes()
        size = struct.unpack("<Q", raw[:8])[0]
        out = {}
        for name, entry in json.loads(raw[8 : 8 + size]).items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            out[name] = (entry["shape"], struct.unpack(f"<{(end - begin) // 4}f", raw[8 + size + begin : 8 + size + end]))
        return out

    def test_what_is_no_part_of_an_encoder_is_left_out_by_name(self):
        self.train(positions="learned")
        self.flowrun("export", "run", "encoder.safetensors")
        own = self.tensors("encoder.safetensors")
        zeros = ([2], [0, 0])
        mae = own | {name: zeros for name in ("decoder_embed.weight", "decoder.decoder_layers.0.layernorm.weight", "decoder.mask_token", "mask_token")}
        self.safetensors("mae.safetensors", mae)
        dino = {f"{side}.backbone.{name}": value for side in ("student", "teacher") for name, value in own.items()}
        dino |= {f"{side}.{head}.mlp.0.weight": zeros for side in ("student", "teacher") for head in ("dino_head", "ibot_head")}
        dino = {name: ([*value[0]], [v + 1 for v in value[1]]) if name.startswith("student") else value for name, value in dino.items()}
        self.safetensors("dinov2.safetensors", dino)
        self.safetensors("fsdp.safetensors", {f"_orig_mod.module._fsdp_wrapped_module.{name}": value for name, value in own.items()})
        for name in ("mae", "dinov2", "fsdp"):
            self.flowrun("export", f"{name}.safetensors", f"{name}-out.safetensors", "--heads", 2)
            self.assertEqual(self.tensors(f"{name}-out.safetensors"), own, name)

    def test_partial_and_broken_weights(self):
        self.train(positions="learned")
        self.flowrun("export", "run", "encoder.safetensors")
        own = self.tensors("encoder.safetensors")
        self.safetensors("extra.safetensors", own | {"adapter.weight": ([1], [1])})
        said = self.flowrun("export", "extra.safetensors", "x.safetensors", "--heads", 2, status=1).stderr
        self.assertIn("not in the model: adapter.weight", said)
        self.assertIn("--allow-partial", said)
        self.flowrun("export", "extra.safetensors", "x.safetensors", "--heads", 2, "--allow-partial")
        self.assertEqual(self.tensors("x.safetensors"), own)
        shape, values = own["norm.bias"]
        self.safetensors("nan.safetensors", own | {"norm.bias": (shape, [float("nan")] * len(values))})
        said = self.flowrun("export", "nan.safetensors", "y.safetensors", "--heads", 2, status=1).stderr
        self.assertIn("norm.bias is not finite", said)
        self.assertFalse((self.folder / "y.safetensors").exists())

    def test_files_of_other_formats_say_what_they_are(self):
        import torch
        torch.save({"model": {"x": torch.zeros(2), "y": torch.ones(3)}}, self.folder / "mae.pth")
        torch.save({"x": torch.zeros(2)}, self.folder / "old.pth", _use_new_zipfile_serialization=False)
        for name in ("mae.pth", "old.pth"):
            said = self.evaluate({"file": name}, f"out-{name}", status=2).stderr
            self.assertIn(f"{name} is a PyTorch file", said)
            command = said[said.index("python -c"):].splitlines()[0].replace("OUT.safetensors", "out.safetensors").replace("python ", sys.executable + " ")
            subprocess.run(command, shell=True, cwd=self.folder, check=True)
            self.assertEqual(self.names("out.safetensors")["x"], [2])
        (self.folder / "x.npy").write_bytes(b"\x93NUMPY\1\0" + bytes(100))
        self.assertIn("is a NumPy file", self.evaluate({"file": "x.npy"}, "npy", status=2).stderr)

    def test_torchvisions_files_go_both_ways(self):
        import torch
        import torchvision
        from safetensors.torch import load_file, save_file
        net = torchvision.models.resnet18(num_classes=5)
        save_file({name: value.clone() for name, value in net.state_dict().items()}, self.folder / "resnet18.safetensors")
        nodes = {name: node for name, node in support.training_pipeline()["nodes"].items() if name in ("files", "crop", "decode", "view", "flip", "batch", "metrics", "save")}
        nodes |= {
            "upload": {"type": "device.upload", "in": "batch"},
            "seen": {"type": "encode.images", "in": "upload.image", "model": "net", "pool": "mean", "statistics": "running"},
            "scores": {"type": "head.apply", "in": "seen", "model": "head"},
            "key": {"type": "head.apply", "in": "seen", "model": "head", "train": False},
            "loss": {"type": "loss.negative_cosine", "in": {"prediction": "scores", "target": "key"}, "pairs": "same"},
            "update": {"type": "train.sgd", "in": "loss", "models": ["net", "head"], "lr": {"max": 0}},
        }
        nodes["metrics"]["in"], nodes["save"]["after"], nodes["save"]["every"] = "loss", "update", "1 step"
        models = {"net": {"type": "model.resnet", "arch": 18, "weights": "resnet18.safetensors"}, "head": {"type": "model.head", "of": "net", "layers": [8]}}
        self.flowrun(self.write({"run": {"epochs": 1, "steps": 1, "device": "cpu", "precision": "fp32"}, "models": models, "nodes": nodes}), "--out", "run")
        self.assertIn("all 60 parameters; left out: fc.bias, fc.weight", (self.folder / "run/log.txt").read_text())
        saved = load_file(self.folder / "run/checkpoints/step-1/net.safetensors")
        missing, unexpected = net.load_state_dict(saved, strict=False)
        self.assertEqual((sorted(missing), unexpected), (["fc.bias", "fc.weight"], []))
        for name, value in load_file(self.folder / "resnet18.safetensors").items():
            if not name.startswith("fc."):
                self.assertTrue(torch.equal(saved[name], value), name)
        err = self.flowrun("check", "pipeline.json", "--set", "net.arch=34", status=2).stderr
        self.assertIn("net: resnet18.safetensors: has no ", err)

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
        said = self.flowrun(self.write(pipeline), "--out", "bad", status=2).stderr
        self.assertIn("targets: the masks are for a grid of 3x3 patches, but teacher has 6x6", said)


if __name__ == "__main__":
    support.main()
