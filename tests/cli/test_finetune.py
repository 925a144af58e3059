"""Fine-tuning by the shipped pipelines: all weights, few images, and LoRA, on folders of small JPEG files."""
import json
import random

import numpy
from PIL import Image

import support

EVAL = support.ROOT / "pipelines/eval"
SIZE, CLASSES = 24, ("across", "along", "checked")


def picture(kind, size, draw):
    """Stripes of two colours, in two directions: colours alone don't tell the classes apart."""
    colours = [tuple(draw.randrange(256) for _ in range(3)) for _ in range(2)]
    period, phase = draw.choice((4, 6)), draw.randrange(12)
    image = Image.new("RGB", (size, size))
    for y in range(size):
        for x in range(size):
            bands = {"across": y + phase, "along": x + phase}.get(kind)
            odd = bands // period % 2 if bands is not None else ((x + phase) // period + (y + phase) // period) % 2
            image.putpixel((x, y), colours[odd])
    return image


class FineTune(support.Folder):
    def setUp(self):
        super().setUp()
        draw = random.Random(5)
        for part, count, size in (("train", 32, 32), ("val", 20, SIZE)):
            for name in CLASSES:
                folder = self.folder / "data" / part / name
                folder.mkdir(parents=True)
                for i in range(count):
                    picture(name, size, draw).save(folder / f"{i:02}.jpg", quality=95)
        pipeline = support.training_pipeline(epochs=2)
        pipeline["models"]["student"]["init"] = "mae"  # the other one is too faint to go anywhere in seconds
        self.write(pipeline, "pretrain.json")
        self.flowrun("pretrain.json", "--out", "pretrained")
        self.weights = self.checkpoint("pretrained") / "teacher.safetensors"

    def checkpoint(self, out):
        return self.folder / out / "checkpoints" / self.last_checkpoint(out)[0]

    def tune(self, name, out, *more, **sets):
        """Runs a shipped pipeline at tiny size; dots in settings are written as two underlines."""
        settings = {
            "let.path": "data", "let.weights": self.weights, "let.classes": len(CLASSES), "let.size": SIZE, "let.resize": SIZE,
            "run.epochs": 40, "run.device": "cpu", "run.precision": "fp32", "run.intra_op": 1, "run.memory_mib": 64,
            "crop.area": "[0.5, 1]", "batch.size": 16, "batch.group": 8, "unseen_images.batch": 25, "result.at": '["start", "end"]',
            "update.lr.max": 4e-3, "update.lr_scaling": "none", "update.warmup_epochs": 1, "metrics.every": "1 step", "save.every": "5 epochs",
            **{key.replace("__", "."): value for key, value in sets.items()}}
        self.flowrun(EVAL / f"{name}.json", *(part for key, value in settings.items() for part in ("--set", f"{key}={value}")), "--out", out, *more)
        return self.result(out)["result"]

    def arrays(self, path):
        from safetensors.numpy import load_file
        return load_file(path)

    def timm_scores(self, encoder, classifier):
        """Scores, by timm, of the validation images; they need no resizing."""
        import torch
        from timm.models.vision_transformer import VisionTransformer

        state = {key: torch.from_numpy(value) for key, value in {**encoder, **classifier}.items() if not key.startswith("norm.")}
        model = VisionTransformer(img_size=SIZE, patch_size=4, embed_dim=24, depth=2, num_heads=2, class_token=True, reg_tokens=1,
                                  no_embed_class=True, num_classes=len(CLASSES), global_pool="avg", fc_norm=True)
        model.load_state_dict(state, strict=True)
        mean, std = numpy.array([0.485, 0.456, 0.406]), numpy.array([0.229, 0.224, 0.225])
        files = [(path, label) for label, name in enumerate(CLASSES) for path in sorted((self.folder / "data/val" / name).iterdir())]
        images = numpy.stack([((numpy.asarray(Image.open(path)) / 255 - mean) / std).transpose(2, 0, 1) for path, _ in files])
        with torch.no_grad():
            scores = model.eval()(torch.from_numpy(images).float())
        labels = torch.tensor([label for _, label in files])
        return float((scores.argmax(1) == labels).float().mean()), float(torch.nn.functional.cross_entropy(scores, labels))

    def export(self, out):
        self.flowrun("export", out, "exported.safetensors", "--model", "encoder")
        return self.arrays(self.folder / "exported.safetensors")

    def check_against_timm(self, out, result):
        accuracy, loss = self.timm_scores(self.export(out), self.arrays(self.checkpoint(out) / "classifier.safetensors"))
        self.assertAlmostEqual(accuracy, result["accuracy"], delta=0.02)
        self.assertAlmostEqual(loss, result["loss"], delta=0.01)

    def test_all_weights(self):
        result = self.tune("finetune", "whole")
        before = result["history"][0]
        self.assertAlmostEqual(before["loss"], numpy.log(3), delta=1e-3, msg="the classifier begins with nothing to say")
        self.assertGreater(result["accuracy"], 0.7)
        self.assertNotIn("accuracy_top5", result, "there are three classes")
        self.check_against_timm("whole", result)
        first, last = self.arrays(self.weights), self.arrays(self.checkpoint("whole") / "encoder.safetensors")
        fixed = {key for key in first if numpy.array_equal(first[key], last[key])}
        self.assertEqual({key for key in fixed if not key.startswith("@")}, {"pos_embed", "norm.weight", "norm.bias"},
                         "the table, and the norm that the mean of patches leaves out")
        self.tune("finetune", "halves", run__steps=101)
        self.tune("finetune", "halves", "--resume")
        self.assertEqual(self.history("halves"), self.history("whole"))
        self.assertEqual(self.last_checkpoint("halves"), self.last_checkpoint("whole"))
        self.assertEqual(self.result("halves")["result"]["accuracy"], result["accuracy"])

    def test_lora_trains_its_additions_alone(self):
        result = self.tune("lora", "lora", run__epochs=80, update__lr__max=1e-2)
        self.assertGreater(result["accuracy"], 0.55)
        first, last = self.arrays(self.weights), self.arrays(self.checkpoint("lora") / "encoder.safetensors")
        added = {key for key in last if ".lora_" in key}
        self.assertEqual(len(added), 2 * 2 * 2, "A and B of qkv and proj in two blocks")
        self.assertEqual({key for key in first if not numpy.array_equal(first[key], last[key])}, set())
        self.assertTrue(all(numpy.abs(last[key]).max() > 0 for key in added))

        exported = self.export("lora")
        self.assertFalse([key for key in exported if "lora" in key])
        for key in ("blocks.0.attn.qkv", "blocks.1.attn.proj"):
            merged = last[f"{key}.weight"] + 16 / 8 * last[f"{key}.lora_b"] @ last[f"{key}.lora_a"]
            numpy.testing.assert_allclose(exported[f"{key}.weight"], merged, atol=1e-6)
            self.assertGreater(numpy.abs(merged - first[f"{key}.weight"]).max(), 1e-4)
        self.check_against_timm("lora", result)

    def test_few_images(self):
        """Ten of each class, and a list of two."""
        result = self.tune("low_shot_finetune", "few", run__epochs=100, files__per_class=10, batch__size=10, batch__group=10, update__lr__max=1e-2)
        self.assertEqual(len(self.metrics("few")), 100 * 30 // 10)
        self.assertGreater(result["accuracy"], 0.5)
        (self.folder / "list.txt").write_text("".join(f"{name}/{i:02}.jpg\n" for name in CLASSES for i in (3, 9)))
        self.tune("low_shot_finetune", "listed", run__epochs=2, files__per_class=0, files__list="list.txt", batch__size=6, batch__group=6)
        self.assertEqual(len(self.metrics("listed")), 2)

    def test_the_recipes_differ_where_they_say(self):
        expanded = {name: json.loads(self.flowrun("expand", EVAL / f"{name}.json").stdout) for name in ("finetune", "finetune_b", "finetune_l")}
        found = {name: (p["nodes"]["update"]["layer_decay"], p["nodes"]["update"]["lr"]["max"], p["run"]["epochs"], p["models"]["encoder"]["drop_path"])
                 for name, p in expanded.items()}
        self.assertEqual(found, {"finetune": (0.75, 5e-4, 100, 0.1), "finetune_b": (0.65, 5e-4, 100, 0.1), "finetune_l": (0.75, 1e-3, 50, 0.2)})

    def test_says_what_is_wrong(self):
        for sets, words in (({"let__classes": 2}, "classifier: classes is 2, but the training data have 3, from"),
                            ({"let__weights": "none.safetensors"}, "none.safetensors")):
            with self.assertRaises(AssertionError) as caught:
                self.tune("finetune", f"fails-{len(words)}", **sets, result__at="end")
            self.assertIn(words, str(caught.exception))


if __name__ == "__main__":
    support.main()
