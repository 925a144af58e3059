"""Real photographs through the real pipeline: gray ones, odd sizes, every constant as in the paper but the batch."""
import json

import support

PRETRAIN = support.ROOT / "pipelines/pretrain.json"


@support.needs_photographs
class Photographs(support.Folder):
    data = ["--set", f"files.path={support.PHOTOGRAPHS}", "--set", "metrics.every=1 step", "--set", "run.device=cpu", "--set", "run.precision=fp32"]

    def loading(self):
        """The loading half of pretrain.json."""
        base = json.loads(PRETRAIN.read_text())
        keep = ["files", "crop", "decode", "view", "flip", "batch", "mask"]
        nodes = {name: base["nodes"][name] for name in keep}
        nodes["batch"].update(size=48, group=24)
        nodes["metrics"] = {"type": "report.metrics", "in": {"image": "batch"}}
        nodes["sheet"] = {"type": "report.contact_sheet", "in": {"image": "batch", "mask": "mask"}}
        return {"seed": 1, "run": {"epochs": 1}, "let": base["let"], "nodes": nodes}

    def test_loading_is_the_same_on_any_number_of_threads_and_by_region_or_whole(self):
        pipeline = self.loading()
        self.write(pipeline)
        self.flowrun("pipeline.json", *self.data, "--serial", "--out", "serial")
        self.assertEqual(len(self.history("serial")), 2)
        self.flowrun("pipeline.json", *self.data, "--threads", 4, "--jitter", 1, "--out", "four")
        self.assertEqual(self.history("four"), self.history("serial"))
        del pipeline["nodes"]["decode"]["in"]["region"]
        self.write(pipeline, "whole.json")
        self.flowrun("whole.json", *self.data, "--out", "whole")
        self.assertEqual(self.history("whole"), self.history("serial"))

    def test_pretraining_and_its_encoder_in_timm(self):
        self.flowrun(PRETRAIN, *self.data, "--set", "batch.size=8", "--set", "batch.group=4", "--set", "run.steps=2",
                     "--set", "run.epochs=6", "--out", "run")
        metrics = self.metrics("run")
        self.assertEqual([line["step"] for line in metrics], [1, 2])
        # Targets are standardised, so an untrained predictor has a loss of one.
        self.assertAlmostEqual(metrics[0]["loss"], 1, delta=0.25)
        self.assertLess(metrics[1]["loss"], metrics[0]["loss"])
        parts = [metrics[0][f"loss_block_{block}"] for block in (1, 4, 8, 12)]
        self.assertAlmostEqual(sum(parts) / 4, metrics[0]["loss"], places=5)

        import safetensors.torch
        from timm.models.vision_transformer import VisionTransformer
        checkpoint = self.folder / "run/checkpoints/step-2"
        for name in ("student", "teacher"):
            state = safetensors.torch.load_file(checkpoint / f"{name}.safetensors")
            model = VisionTransformer(img_size=224, patch_size=16, embed_dim=384, depth=12, num_heads=6, class_token=True, reg_tokens=4,
                                      no_embed_class=True, num_classes=0)
            model.load_state_dict(state, strict=True)
            trainable = sum(value.numel() for key, value in state.items() if key != "pos_embed")
            self.assertEqual(trainable, 21_591_552)
        predictor = safetensors.torch.load_file(checkpoint / "predictor.safetensors")
        self.assertEqual(sum(value.numel() for value in predictor.values()), 4_820_352)


if __name__ == "__main__":
    support.main()
