"""flowrun import: configurations with the keys of I-JEPA, MAE, DINOv2 and solo-learn become pipelines that are checked and train."""
import json
import re
import shutil
import subprocess
import sys
import textwrap

import support

IJEPA = """
data: { batch_size: 8, color_jitter_strength: 0.5, crop_scale: [0.4, 1.0], crop_size: 48, image_folder: pictures, num_workers: 3, pin_mem: true,
        root_path: "${paths.all}/own", use_color_distortion: true, use_gaussian_blur: true, use_horizontal_flip: true }
logging: { folder: logs, write_tag: tag }
mask: { allow_overlap: true, aspect_ratio: [0.75, 1.5], enc_mask_scale: [0.85, 1.0], min_keep: 2, num_enc_masks: 1, num_pred_masks: 3, patch_size: 8,
        pred_mask_scale: [0.15, 0.25] }
meta: { copy_data: false, load_checkpoint: false, model_name: vit_tiny, pred_depth: 1, pred_emb_dim: 24, read_checkpoint: null, use_bfloat16: false }
optimization: { ema: [0.99, 1.0], epochs: 12, final_lr: 1e-6, final_weight_decay: 0.4, ipe_scale: 1.25, lr: 1e-3, start_lr: 0.0002, warmup: 2, weight_decay: 0.04,
                colour: red }
paths: { all: data }
"""
MAE = """
# Pretraining
OMP_NUM_THREADS=1 torchrun --nproc_per_node=2 --nnodes 2 main_pretrain.py \\
    --batch_size 4 --accum_iter 2 --model mae_vit_base_patch16 --input_size 64 \\
    --mask_ratio 0.6 --norm_pix_loss --epochs 30 --warmup_epochs 3 --blr 1.5e-4 --min_lr 1e-5 \\
    --weight_decay=0.03 --data_path "data/own" --output_dir out --num_workers 4 --seed 7 --wonder 3
"""
NAMESPACE = """job dir: /somewhere
Namespace(accum_iter=1,
batch_size=4,
lr=0.002,
blr=0.001,
model='mae_vit_huge_patch14',
norm_pix_loss=False,
input_size=56,
resume='',
start_epoch=3,
world_size=2)
Start
"""
DINOV2 = """
dino: { head_n_prototypes: 64, head_bottleneck_dim: 16, head_hidden_dim: 32, koleo_loss_weight: 0.05 }
ibot: { separate_head: true, head_n_prototypes: 48, head_bottleneck_dim: 12, head_hidden_dim: 32, mask_ratio_min_max: [0.2, 0.5] }
train: { batch_size_per_gpu: 4, dataset_path: "ImageNet:split=TRAIN:root=data/own:extra=data/extra", OFFICIAL_EPOCH_LENGTH: 10, centering: sinkhorn_knopp, num_workers: 2,
         saveckp_freq: 5 }
student: { arch: vit_small, patch_size: 8, ffn_layer: swiglufused, block_chunks: 4, num_register_tokens: 2, qkv_bias: false }
teacher: { momentum_teacher: 0.9, warmup_teacher_temp_epochs: 4 }
optim: { epochs: 8, base_lr: 1e-3, warmup_epochs: 2, min_lr: 1e-6, lr: 0.0, freeze_last_layer_epochs: 1, layerwise_decay: 1.0 }
crops: { global_crops_size: 32, local_crops_size: 16, local_crops_number: 2 }
compute_precision: { grad_scaler: true, student: { backbone: { sharding_strategy: NO_SHARD } } }
evaluation: { eval_period_iterations: 100 }
MODEL: { WEIGHTS: "" }
"""
SOLO = """
defaults: [_self_, augmentations: two.yaml, wandb: mine.yaml, override hydra/job_logging: disabled]
name: a-name
method: {method}
backbone: {{ name: resnet18, kwargs: {{ zero_init_residual: true }} }}
method_kwargs: {{ {kwargs} }}
momentum: {{ base_tau: 0.98, final_tau: 1.0 }}
data: {{ dataset: custom, train_path: "${{base}}/train", val_path: own/val, format: image_folder, num_workers: 4 }}
base: own
optimizer: {{ name: {optimizer}, batch_size: 4, lr: 0.3, classifier_lr: 0.1, weight_decay: 1e-5, kwargs: {{ {rule} }} }}
scheduler: {{ name: warmup_cosine, warmup_epochs: 2, warmup_start_lr: 0.01 }}
checkpoint: {{ enabled: true, dir: there, frequency: 5 }}
auto_resume: {{ enabled: true }}
max_epochs: 20
devices: [0, 1]
num_nodes: 1
sync_batchnorm: true
accelerator: gpu
strategy: ddp
precision: 16-mixed
wonder: 3
"""
TWO = """
- { rrc: { enabled: true, crop_min_scale: 0.3, crop_max_scale: 1.0 }, color_jitter: { prob: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1 },
    grayscale: { prob: 0.2 }, gaussian_blur: { prob: 1.0 }, solarization: { prob: 0.0 }, equalization: { prob: 0.0 }, horizontal_flip: { prob: 0.5 },
    crop_size: 32, num_crops: 1 }
- { rrc: { enabled: true, crop_min_scale: 0.2, crop_max_scale: 1.0 }, color_jitter: { prob: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1 },
    grayscale: { prob: 0.2 }, gaussian_blur: { prob: 0.1 }, solarization: { prob: 0.2 }, equalization: { prob: 0.1 }, horizontal_flip: { prob: 0.5 },
    crop_size: 32, num_crops: 1 }
"""
LARS = "clip_lr: true, eta: 0.02, exclude_bias_n_norm: true"
METHODS = {  # solo-learn's: kwargs, optimizer
    "simclr": ("proj_hidden_dim: 32, proj_output_dim: 16, temperature: 0.2", "lars"),
    "byol": ("proj_hidden_dim: 32, proj_output_dim: 16, pred_hidden_dim: 24", "lars"),
    "simsiam": ("proj_hidden_dim: 32, proj_output_dim: 16, pred_hidden_dim: 24, temperature: 0.2", "sgd"),
    "barlow_twins": ("proj_hidden_dim: 32, proj_output_dim: 16, scale_loss: 0.1", "lars"),
    "vicreg": ("proj_hidden_dim: 32, proj_output_dim: 16, sim_loss_weight: 20.0", "adamw"),
    "mocov2plus": ("proj_hidden_dim: 32, proj_output_dim: 16, temperature: 0.2, queue_size: 64", "sgd"),
    "mocov3": ("proj_hidden_dim: 32, proj_output_dim: 16, pred_hidden_dim: 24, temperature: 0.2", "lars"),
    "swav": ("proj_hidden_dim: 32, proj_output_dim: 16, num_prototypes: 24, temperature: 0.1, queue_size: 32, epoch_queue_starts: 1", "lars"),
    "dino": ("proj_hidden_dim: 32, proj_output_dim: 16, num_prototypes: 24, clip_grad: 3", "lars"),
}
TABLES = set(re.findall(r"\w+", (support.ROOT / "docs/migrate.md").read_text()))
DRAWN = {"type": "source.synthetic", "images": 32, "size": 48}
JUDGES = ["known", "known_images", "known_features", "unseen", "unseen_images", "unseen_features", "knn", "linear"]
SHORT = {"metrics.every": "1 step", "metrics.tensorboard": False, "run.steps": 2, "run.device": "cpu", "run.precision": "fp32", "run.intra_op": 1}


def leaves(value, prefix=""):
    """Dotted keys of a configuration, as the importers name them."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) and any(isinstance(item, dict) for item in value) else None
    return {prefix} if items is None or not value else {leaf for key, item in items for leaf in leaves(item, f"{prefix}.{key}" if prefix else str(key))}


class Import(support.Folder):
    def put(self, name, text):
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(textwrap.dedent(text))
        return name

    def read(self, file, *words):
        """Imports the file as mine.json; what --json says of it, and the pipeline's set."""
        (self.folder / "mine.json").unlink(missing_ok=True)
        said = json.loads(self.flowrun("import", file, "-o", "mine.json", "--json", *words).stdout)
        lists = said["keys"]
        for key in lists["used"]:
            self.assertTrue(all(key not in lists[other] for other in ("no_counterpart", "no_meaning", "unknown")), key)
        self.assertFalse(set(lists["no_counterpart"]) & set(lists["no_meaning"]))
        said["all"] = {*lists["used"], *lists["no_counterpart"], *lists["no_meaning"], *lists["unknown"]}
        for key in {**lists["used"], **lists["no_counterpart"]}:
            self.assertTrue(any(part in TABLES for part in key.split(".")[-2:]), f"docs/migrate.md has no row for {key}")
        said["resolved"] = json.loads(self.flowrun("expand", "mine.json").stdout)
        return said

    def train(self, drop=(), **sets):
        """Two steps of mine.json on drawn pictures."""
        self.write({"extends": "mine.json", "drop": list(drop), "swap": {"files": DRAWN}, "set": {**SHORT, **{key.replace("__", "."): value for key, value in sets.items()}}},
                   "tiny.json")
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        self.flowrun("tiny.json", "--out", "run", "--quiet")
        self.assertEqual([step for step, _, _ in self.history("run")], [1, 2])

    def test_ijepa(self):
        said = self.read(self.put("ijepa.yaml", IJEPA), "--gpus", "2", "--set", "save.keep=1")
        import yaml
        self.assertEqual(said["all"], leaves(yaml.safe_load(IJEPA)))
        self.assertEqual((said["project"], said["keys"]["unknown"]), ("ijepa", ["optimization.colour", "paths.all"]))
        self.assertEqual(list(said["keys"]["no_counterpart"]), ["mask.allow_overlap"])
        nodes, models = said["resolved"]["nodes"], said["resolved"]["models"]
        self.assertEqual((nodes["files"]["path"], nodes["batch"]["size"], nodes["batch"]["group"], nodes["save"]["keep"]), ("data/own/pictures/train", 16, 8, 1))
        self.assertEqual(nodes["update"]["lr"], {"start": 0.0002, "max": 0.001, "final": 1e-6})
        self.assertEqual((nodes["update"]["stretch"], nodes["ema"]["ramp_epochs"], nodes["update"]["lr_scaling"]), (1.25, 15, "none"))
        self.assertEqual((nodes["jitter"]["brightness"], nodes["jitter"]["hue"], nodes["batch"]["in"]["image"]), (0.4, 0.1, "blur.image"))
        self.assertEqual((models["student"]["arch"], models["predictor"]["heads"], nodes["targets"]["blocks"]), ("ti", 3, [12]))
        self.assertEqual((nodes["mask"]["regions"], nodes["mask"]["size"], said["resolved"]["run"]["precision"]), (3, [0.15, 0.25], "fp32"))
        text = (self.folder / "mine.json").read_text()
        self.assertRegex(text, r'"update.stretch": 1.25, +// optimization.ipe_scale 1.25\n')
        self.assertIn("//   mask.allow_overlap true: ", text)
        self.assertIn("no faults", self.flowrun("check", "mine.json").stdout)
        self.train()

    def test_mae(self):
        said = self.read(self.put("pretrain.sh", MAE))
        self.assertEqual(said["all"], {"launcher.nproc_per_node", "launcher.nnodes", "batch_size", "accum_iter", "model", "input_size", "mask_ratio", "norm_pix_loss", "epochs",
                                       "warmup_epochs", "blr", "min_lr", "weight_decay", "data_path", "output_dir", "num_workers", "seed", "wonder"})
        self.assertEqual((said["project"], said["keys"]["unknown"], said["notes"]), ("mae", ["wonder"], []))
        nodes = said["resolved"]["nodes"]
        self.assertEqual((nodes["batch"]["size"], nodes["batch"]["group"], said["resolved"]["seed"]), (4 * 2 * 4, 4, 7))
        self.assertEqual((nodes["update"]["lr_scaling"], nodes["update"]["reference_batch"], nodes["update"]["weight_decay"]), ("linear", 256, 0.03))
        lr, scale = nodes["update"]["lr"], 32 / 256  # what our nodes multiply with, too
        self.assertEqual((lr["max"], round(lr["final"] * scale, 12)), (1.5e-4, 1e-5))
        self.assertEqual((nodes["mask"]["ratio"], nodes["targets"]["normalise"], nodes["files"]["path"]), (0.6, True, "data/own/train"))
        self.train(batch__size=8, student__width=24, student__depth=1, student__heads=2, predictor__width=16, predictor__depth=1, predictor__heads=2)

        said = self.read(self.put("log.txt", NAMESPACE), "--data", "elsewhere")
        nodes, models = said["resolved"]["nodes"], said["resolved"]["models"]
        self.assertEqual(list(said["keys"]["no_counterpart"]), ["start_epoch"])
        self.assertEqual((nodes["update"]["lr"]["max"], nodes["update"]["lr_scaling"], nodes["batch"]["size"]), (0.002, "none", 8))
        self.assertEqual((models["student"]["arch"], models["student"]["patch"], models["predictor"]["out"], nodes["files"]["path"]), ("h", 14, 588, "elsewhere/train"))
        self.assertFalse(nodes["targets"]["normalise"])
        dump = self.put("args.json", json.dumps({"model": "mae_vit_large_patch16", "mask_ratio": 0.75, "batch_size": 64}))
        self.assertIn("--gpus N", self.read(dump)["notes"][-1])
        done = subprocess.run([support.FLOWRUN, "import", "-"], input="--model mae_vit_base_patch16 --epochs 5\n", text=True, capture_output=True)
        self.assertIn('"run.epochs": 5', done.stdout, done.stderr)

    def test_dinov2(self):
        import yaml
        said = self.read(self.put("dinov2.yaml", DINOV2), "--gpus", "4", "--pictures", "80")
        self.assertEqual(said["all"], leaves(yaml.safe_load(DINOV2)))
        self.assertEqual((said["project"], said["keys"]["unknown"], list(said["keys"]["no_counterpart"])), ("dinov2", [], ["student.qkv_bias"]))
        nodes, models, run = said["resolved"]["nodes"], said["resolved"]["models"], said["resolved"]["run"]
        # 8 of their epochs are 80 steps of 16 of 80 pictures.
        self.assertEqual((run["epochs"], nodes["update"]["warmup_epochs"], nodes["update"]["freeze"]["epochs"], nodes["target"]["temperature"]["epochs"]), (16, 4, 2, 8))
        self.assertEqual((nodes["large_batch"]["size"], nodes["large_batch"]["group"], nodes["files"]["path"]), (16, 4, "data/own/train"))
        lr, scale = nodes["update"]["lr"], (16 / 1024) ** 0.5
        self.assertEqual((nodes["update"]["lr_scaling"], lr["max"], round(lr["final"] * scale, 12)), ("sqrt", 1e-3, 1e-6))
        self.assertEqual((models["patch_head"]["prototypes"], models["patch_head"]["layers"], models["head"]["layers"]), (48, [32, 32, 12], [32, 32, 16]))
        self.assertEqual((nodes["target"]["type"], nodes["koleo"]["weight"], nodes["large_mask"]["max_block"], models["student"]["registers"]), ("targets.sinkhorn", 0.1, 8, 2))
        self.assertEqual(nodes["update"]["weight_decay_final"], 0.4, "an absent key has the project's default")
        small = {"student__width": 24, "student__depth": 2, "student__heads": 2, "let__batch": 4}
        self.train(JUDGES, **small)

        other = DINOV2.replace("centering: sinkhorn_knopp", "centering: centering")
        self.read(self.put("centering.yaml", other))
        off = self.read(self.put("off.yaml", DINOV2.replace("lr: 0.0,", "lr: 0.0, clip_grad: null,").replace("dino: {", "dino: { loss_weight: 0,")))
        self.assertEqual((off["resolved"]["nodes"]["update"]["clip"], off["resolved"]["nodes"]["koleo"]["weight"], off["keys"]["unknown"]), (0, 0, []))
        shared = self.read(self.put("shared.yaml", DINOV2.replace("separate_head: true", "separate_head: false")))
        self.assertIn("ibot.head_n_prototypes", shared["keys"]["no_meaning"])
        self.assertNotIn("patch_head", shared["resolved"]["models"])

    def solo(self, method, text=SOLO, **changes):
        kwargs, optimizer = METHODS[method]
        words = {"method": method, "kwargs": kwargs, "optimizer": optimizer, "rule": {"lars": LARS}.get(optimizer, ""), **changes}
        return self.put(f"{method}.yaml", text.format(**words))

    def test_solo_learn(self):
        import yaml
        self.put("augmentations/two.yaml", TWO)
        for method in METHODS:
            with self.subTest(method):
                file = self.solo(method)
                said = self.read(file)
                expected = leaves({**yaml.safe_load((self.folder / file).read_text()), "augmentations": yaml.safe_load(TWO)})
                expected = {key for key in expected if not key.startswith("defaults.")} | {"defaults"}
                self.assertEqual(said["all"], expected)
                self.assertEqual((said["project"], said["keys"]["unknown"]), ("solo-learn", ["base", "wonder"]))
                nodes = said["resolved"]["nodes"]
                batch = nodes.get("batch") or nodes["query_batch"]
                update = nodes["update"]
                self.assertEqual((batch["size"], batch["group"], said["resolved"]["run"]["pass"], said["resolved"]["run"]["epochs"]), (8, 4, "rank", 20))
                self.assertEqual((update["lr"]["max"], update["lr_scaling"], update["reference_batch"]), (0.3, "linear", 256))
                self.assertAlmostEqual(update["lr"]["start"] * 8 / 256, 0.01)
                self.assertEqual((nodes["files"]["path"], nodes["unseen"]["path"], nodes["save"]["every"]), ("own/train", "own/val", "5 epochs"))
                if method != "mocov2plus":  # its views have chains of their own
                    self.assertEqual((nodes["views/blur"]["p"], nodes["views/crop"]["area"]), ([1, 0.1], [0.3, 1]))
                    self.assertIn("augmentations.1.rrc.crop_min_scale", said["keys"]["no_counterpart"])
                else:
                    self.assertEqual((nodes["key_view/blur"]["p"], nodes["key_view/crop"]["area"]), (0.1, [0.2, 1]))
                self.assertIn("augmentations.1.equalization.prob", said["keys"]["no_counterpart"])
                self.train(JUDGES, student__width=8, let__batch=4)

    def test_solo_learns_transformers_and_mae(self):
        self.put("augmentations/two.yaml", TWO)
        vit = SOLO.replace("name: resnet18, kwargs: {{ zero_init_residual: true }}", "name: vit_small, kwargs: {{ patch_size: 8, global_pool: avg }}")
        for method in ("simclr", "mocov3", "dino"):
            said = self.read(self.solo(method, vit, optimizer="adamw", rule="betas: [0.9, 0.95]"))
            models, nodes = said["resolved"]["models"], said["resolved"]["nodes"]
            self.assertEqual((models["student"]["type"], nodes["encode"]["pool"], nodes["update"]["betas"]), ("model.vit", "cls", [0.9, 0.95]))
            self.assertIn("backbone.kwargs.global_pool", said["keys"]["no_counterpart"])
        self.assertEqual(models["student"]["heads"], 6)
        self.train(JUDGES, student__width=24, student__depth=1, student__heads=2, let__batch=4)
        self.put("augmentations/two.yaml", "\n- ".join(TWO.split("\n- ")[:2]) + "\n")
        mae = vit.replace("method: {method}", "method: mae")
        said = self.read(self.solo("simclr", mae, kwargs="decoder_embed_dim: 16, decoder_depth: 1, decoder_num_heads: 2, norm_pix_loss: true", optimizer="adamw", rule=""))
        nodes = said["resolved"]["nodes"]
        self.assertEqual((nodes["targets"]["normalise"], nodes["mask"]["ratio"], nodes["batch"]["size"]), (True, 0.75, 8))
        self.assertIn("augmentations.0.color_jitter.prob", said["keys"]["no_counterpart"])
        self.train((), student__width=24, student__depth=1, student__heads=2, batch__size=4)

    def test_what_can_not_be_read_is_said(self):
        said = self.read(self.solo("simclr"))  # without the file of augmentations
        self.assertIn("defaults: augmentations/two.yaml was not found beside the file", said["notes"][-1])
        cases = [
            (self.put("a.yaml", IJEPA.replace("crop_size: 48", "crop_size: wide")), 'error: a.yaml: data.crop_size must be a whole number, not "wide"\n'),
            (self.put("b.yaml", IJEPA.replace("vit_tiny", "vit_wide")), 'error: b.yaml: meta.model_name: there is no encoder "vit_wide" here\n  meta.model_name may be: vit_tiny,'),
            (self.put("c.yaml", IJEPA.replace("lr: 1e-3, ", "")), "error: c.yaml: optimization.lr is missing\n  add optimization.lr: a number\n"),
            (self.put("d.yaml", IJEPA.replace("epochs: 12", 'epochs: "${oc.env:EPOCHS}"')),
             'error: d.yaml: optimization.epochs must be a whole number, not "${oc.env:EPOCHS}"\n  write its value in its place: '),
            (self.put("e.yaml", "data: 1\ndata: 2\n"), "error: e.yaml: e.yaml:2: the key data comes twice\n"),
            (self.put("f.yaml", "a: [1\n"), "error: f.yaml: f.yaml:2: can't be read: "),
            (self.put("g.yaml", "one: 1\n"), "error: g.yaml: the keys are not those of I-JEPA, MAE, DINOv2 or solo-learn\n  name the project: --from "),
            (self.put("h.sh", "python main_pretrain.py --model a\npython main_pretrain.py --model b\n"), "error: h.sh: 2 command lines are in the file\n"),
            (self.put("i.yaml", DINOV2.replace("sinkhorn_knopp", "sinkhorn")), 'error: i.yaml: train.centering: there is no centering "sinkhorn" here\n'),
            (self.solo("simclr", SOLO.replace("method: {method}", "method: nnclr")), 'error: simclr.yaml: method: there is no method "nnclr" here\n  method may be: simclr, byol,'),
            (self.solo("simsiam", SOLO.replace("[0, 1]", "auto")), "error: simsiam.yaml: devices auto does not say how many\n  --gpus N\n"),
            (self.solo("byol", SOLO.replace("method: {method}", "method: mae")), "error: byol.yaml: backbone.name resnet18 can't be masked\n  MAE needs one of vit_tiny, "),
            (self.put("j.yaml", "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))), "error: j.yaml: it has 10000 values or more, aliases counted each time\n"),
            (self.put("k.yaml", "a: &a [1, *a]\n"), "error: k.yaml: k.yaml:1: can't be read: found unconstructable recursive node\n"),
            (self.put("l.yaml", "a: " + "[" * 5000), "error: l.yaml: its lists and objects are nested too deep\n"),
            (self.put("m.yaml", IJEPA.replace("lr: 1e-3, ", "lr: .nan, ")), "error: m.yaml: optimization.lr must be a number, not NaN\n"),
            (self.put("n.yaml", IJEPA.replace("epochs: 12", "epochs: .inf")), "error: n.yaml: optimization.epochs must be a whole number, not Infinity\n"),
            (self.put("o.yaml", IJEPA.replace("crop_size: 48", f"crop_size: 1{'0' * 400}")), "error: o.yaml: data.crop_size must be a whole number, not 1000"),
            (self.put("p.yaml", "? [a]\n: 1\n"), "error: p.yaml: p.yaml:1: can't be read: found unhashable key\n"),
            ("gone.yaml", "error: gone.yaml: can't be read: No such file or directory\n"),
        ]
        for file, expected in cases:
            err = self.flowrun("import", file, "-o", "none.json", status=2).stderr
            self.assertIn(expected, err)
            self.assertFalse((self.folder / "none.json").exists())
        for overwrite in ([], ["--overwrite"]):
            err = self.flowrun("import", "a.yaml", "-o", "a.yaml", *overwrite, status=2).stderr
            self.assertEqual(err, "error: a.yaml is the configuration itself: give another -o; nothing was written\n")
        good = self.put("good.yaml", IJEPA + "odd: .nan\n")
        self.assertIn("odd NaN", self.flowrun("import", good, "-o", "there.json").stderr)
        (self.folder / "there.json").write_text("mine")
        err = self.flowrun("import", good, "-o", "there.json", status=2).stderr
        self.assertEqual(err, "error: there.json exists already: give another -o, or --overwrite; nothing was written\n")
        self.assertEqual((self.folder / "there.json").read_text(), "mine")
        self.flowrun("import", good, "-o", "there.json", "--overwrite")
        self.assertIn("shipped:paper/baselines/ijepa_b.json", (self.folder / "there.json").read_text())
        err = self.flowrun("import", good, "--gpus", 0, status=2).stderr
        self.assertEqual(err, "--gpus: 0 must be a number above 0\nRun with --help for more information.\n")
        bare = self.put("bare.sh", f"#!/bin/sh\nexec {sys.executable} -I -S \"$@\"\n")  # without packages
        (self.folder / bare).chmod(0o755)
        err = self.flowrun("import", "e.yaml", env={"FLOWRUN_PYTHON": str(self.folder / bare), "PATH": "/usr/bin:/bin"}, status=2).stderr
        self.assertIn(" has no PyYAML\n  ", err)


if __name__ == "__main__":
    support.main()
