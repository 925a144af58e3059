"""Promises of every node type and of every shipped pipeline."""
import json
import re

import support

# Values that depend on the time or place of a run.
NOT_THE_SAME = {"log.txt", "stats.json", "report.html", "result.json", "metrics.jsonl", "pipeline.resolved.json"}

# Settings with which a shipped pipeline runs for seconds; None: we can't ship its data, so it is only checked.
SMALL = {
    "pipelines/quickstart.json": ["files.images=320", "run.epochs=1", "known.images=250", "unseen.images=250", "metrics.every=1 step", "save.every=1 epoch"],
    **{f"pipelines/optimizers/{name}.json": ["files.images=320", "run.epochs=1", "known.images=250", "unseen.images=250", "metrics.every=1 step", "save.every=1 epoch"]
       for name in ("lars", "sgd")},
    "pipelines/masks.json": ["files.images=64", "files.size=32", "batch.size=16"],
    "pipelines/views.json": ["files.images=16", "files.size=48", "let.batch=8"],
    "pipelines/cifar10.json": None,
    "pipelines/pretrain.json": None,
    "pipelines/pretrain_nvjpeg.json": None,
    "pipelines/pretrain_shards.json": None,
    "pipelines/pretrain_parquet.json": None,
    **{f"pipelines/eval/{name}.json": None for name in (
        "attentive", "block_segmentation", "cityscapes", "features", "inat21", "knn", "knn_segmentation", "linear_cls", "linear_patch", "linear_segmentation", "logistic", "low_shot")},
    **{f"pipelines/eval/{name}.json": None for name in ("finetune", "finetune_b", "finetune_l", "lora", "low_shot_finetune")},
    "examples/t01_hello.json": [],
    "examples/t02_crops_and_masks.json": [],
    "examples/t03_train.json": ["files.images=320", "metrics.every=1 step"],
    "examples/t04_ablation.json": ["files.images=320", "metrics.every=1 step"],
    "examples/t05_groups.json": ["files.images=320", "metrics.every=1 step"],
    "examples/t06_full.json": ["files.images=320", "run.epochs=1", "known.images=250", "unseen.images=250", "metrics.every=1 step"],
}


def shipped():
    """Without what test_paper.py, test_methods.py and test_distill.py run, and without what the others are made of."""
    found = sorted([*(support.ROOT / "pipelines").rglob("*.json"), *(support.ROOT / "examples").glob("*.json")])
    return [path for path in found if not {"paper", "compare", "methods", "distill", "parts"} & set(path.relative_to(support.ROOT).parts) and not path.name.endswith(".sweep.json")]


def squares():
    """Images for an evaluation: the shortest side resized, a square from the middle."""
    return {
        "run": {"epochs": 2, "device": "cpu"},
        "nodes": {
            "files": {"type": "source.synthetic", "images": 64, "size": 48},
            "decode": {"type": "image.jpeg_decode", "in": "files"},
            "smaller": {"type": "image.resize", "in": "decode", "size": 32, "fit": "shortest"},
            "square": {"type": "image.center_crop", "in": "smaller", "size": 24},
            "turn": {"type": "image.random_vertical_flip", "in": "square"},
            "jitter": {"type": "image.color_jitter", "in": "turn", "p": 0.8},
            "cut": {"type": "image.cut_out", "in": "jitter", "p": 0.5},
            "batch": {"type": "batch.stack", "in": "cut", "size": 16},
            "sheet": {"type": "report.contact_sheet", "in": {"image": "batch"}},
            "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 step"},
        },
    }


def watched():
    """A training run that is watched for collapse."""
    pipeline = support.training_pipeline()
    pipeline["nodes"]["health"] = {"type": "report.health", "in": {"tokens": "encode", "target": "targets", "prediction": "predict"}, "every": "2 steps"}
    return pipeline


def frozen():
    """Every evaluation of frozen features and tokens, of an encoder that trains meanwhile."""
    pipeline = support.training_pipeline(epochs=1)
    pipeline["nodes"].update(support.frozen_streams(train=60, test=40))
    feeds = {"train": "known_features", "test": "unseen_features"}
    pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": feeds, "k": [20, 5], "at": ["start", "1 epoch"]}
    pipeline["nodes"]["few"] = {"type": "eval.few_labels", "in": feeds, "labels": [1, 2], "draws": 3, "at": ["start", "1 epoch"]}
    pipeline["nodes"]["logistic"] = {"type": "eval.logistic", "in": feeds, "c": [1e-3, 1], "max_iterations": 50, "at": ["start", "1 epoch"]}
    pipeline["nodes"]["probe"] = {"type": "eval.probe", "in": feeds, "epochs": 3, "batch": 16, "at": ["start", "1 epoch"]}
    pipeline["nodes"]["unseen_tokens"] = {"type": "eval.tokens", "in": {"image": "unseen_upload"}, "model": "teacher"}
    pipeline["nodes"]["features"] = {"type": "report.features", "in": {"tokens": "unseen_tokens", "image": "unseen_batch"}, "at": ["start", "1 epoch"]}
    return pipeline


def linear_probe():
    return support.probe_pipeline("linear", epochs=1)


def attentive_probe():
    return support.probe_pipeline("attentive", epochs=1)


def many_masks():
    """A small data2vec 2.0: several masks per image, convolutions over noise, two losses."""
    pipeline = support.training_pipeline(epochs=1)
    target = {"type": "mim.hidden_targets", "in": "upload.*", "model": "teacher", "blocks": [1, 2], "tap": "mlp", "zscore": {"over": "tokens"},
              "merge": "mean", "zscore_merged": True}
    pipeline["models"]["predictor"] = {"type": "model.conv_predictor", "encoder": "student", "out": 24, "depth": 2, "groups": 4}
    pipeline["nodes"] |= {
        "mask": {"type": "mask.inverse_block", "in": "batch", "patch": 4, "repeats": 3},
        "targets": target,
        "loss": {"type": "loss.mse", "in": {"prediction": "predict", "target": "targets"}, "scale": "sqrt_width"},
        "class_target": {**target, "pooled": True},
        "class_token": {"type": "mim.class_prediction", "in": "encode"},
        "class_loss": {"type": "loss.l1", "in": {"prediction": "class_token", "target": "class_target"}, "weight": 0.1},
        "total": {"type": "loss.sum", "in": {"losses": ["loss", "class_loss"]}},
    }
    pipeline["nodes"]["update"] |= {"in": "total", "norm_every": "1 step", "clip": 1, "schedule": "linear"}
    pipeline["nodes"]["metrics"]["in"] = "total"
    return pipeline


def cross_attention():
    """A small CrossMAE with stochastic depth."""
    pipeline = support.training_pipeline(epochs=1)
    pipeline["models"]["student"] |= {"drop_path": 0.3, "layer_scale": 0.1, "positions": "learned"}
    pipeline["models"]["predictor"] = {"type": "model.cross_predictor", "encoder": "student", "out": 48, "depth": 2, "width": 16, "heads": 2}
    pipeline["nodes"] |= {
        "mask": {"type": "mask.random", "in": "batch", "patch": 4, "kept": 0.3},
        "targets": {"type": "mim.pixel_targets", "in": "upload.*", "patch": 4},
    }
    pipeline["nodes"]["encode"]["maps"] = True
    pipeline["nodes"]["loss"]["value_every"] = "2 steps"
    pipeline["nodes"]["metrics"]["every"] = "2 steps"
    return pipeline


def noised():
    """A small UMD, with blocks that run again."""
    pipeline = support.training_pipeline(epochs=1)
    pipeline["models"]["student"] |= {"time": True, "recompute": True}
    pipeline["models"]["predictor"] |= {"blocks": [], "out": 48, "visible_out": 48, "regions": "joint", "time": True}
    noised = {"image": "diffuse.image", "mask": "upload", "time": "diffuse"}
    pipeline["nodes"] |= {
        "diffuse": {"type": "mim.diffuse", "in": "upload.image", "steps": 50},
        "encode": {"type": "mim.encode_visible", "in": noised, "model": "student"},
        "predict": {"type": "mim.predict", "in": {"tokens": "encode", "mask": "upload", "time": "diffuse"}, "model": "predictor", "visible": True},
        "targets": {"type": "mim.pixel_targets", "in": "upload.*", "patch": 4, "normalise": False},
        "noise_targets": {"type": "mim.pixel_targets", "in": {"image": "diffuse.noise", "mask": "upload"}, "patch": 4, "normalise": False, "rows": "context"},
        "pixels": {"type": "loss.mse", "in": {"prediction": "predict.prediction", "target": "targets"}, "weight": 0.5},
        "noise": {"type": "loss.mse", "in": {"prediction": "predict.visible", "target": "noise_targets"}, "weight": 0.5},
        "loss": {"type": "loss.sum", "in": {"losses": ["pixels", "noise"]}},
    }
    return pipeline


def gradients():
    """MaskFeat's target."""
    pipeline = support.training_pipeline(epochs=1)
    pipeline["models"]["predictor"] |= {"blocks": [], "out": 108, "regions": "joint"}
    pipeline["nodes"]["targets"] = {"type": "mim.hog_targets", "in": "upload.*", "patch": 4, "cell": 2}
    pipeline["nodes"]["loss"] = {"type": "loss.smooth_l1", "in": {"prediction": "predict", "target": "targets"}, "beta": 0.5}
    return pipeline


def supervised():
    """An encoder and a classifier that train on mixed images, with stochastic depth."""
    pipeline = support.probe_pipeline("linear", epochs=1)
    nodes = {name: node for name, node in pipeline["nodes"].items() if not name.endswith(("features", "named", "heads")) and "known" not in name}
    pipeline["models"]["encoder"]["drop_path"] = 0.2
    del pipeline["models"]["probe"]
    pipeline["models"]["classifier"] = {"type": "model.classifier", "encoder": "encoder", "classes": 10}
    both = {"encoder": "encoder", "classifier": "classifier"}
    nodes |= {
        "augment": {"type": "image.rand_augment", "in": "flip"},
        "mix": {"type": "supervised.mix", "in": "upload.*", "classes": 10},
        "scores": {"type": "supervised.classify", "in": "mix", **both},
        "loss": {"type": "loss.cross_entropy", "in": {"logits": "scores", "soft_label": "mix"}},
        "update": {"type": "train.adamw", "in": "loss", "models": ["encoder", "classifier"], "layer_decay": 0.75},
        "unseen_scores": {"type": "supervised.classify", "in": "unseen_upload", **both, "train": False},
        "result": {"type": "eval.accuracy", "in": {"logits": "unseen_scores", "label": "unseen_upload"}, "at": ["start", "end"]},
    }
    nodes["batch"]["in"]["image"] = "augment"
    nodes["metrics"]["in"] = "loss"
    pipeline["nodes"] = nodes
    return pipeline


def two_views():
    """Crops of two sizes, an EMA teacher of encoder and heads: DINO's loss, a cosine and MoCo's queue together."""
    pipeline = support.training_pipeline(epochs=1)
    nodes = {name: pipeline["nodes"][name] for name in ("files", "metrics", "save")}
    nodes["decode"] = {"type": "image.decode", "in": "files"}
    for size, name in ((24, "large"), (12, "small")):
        nodes |= {
            f"{name}_crop": {"type": "image.random_crop", "in": "files", "count": 2},
            f"{name}_view": {"type": "image.resize", "in": {"image": "decode", "region": f"{name}_crop"}, "size": size},
            f"{name}_batch": {"type": "batch.stack", "in": f"{name}_view", "size": 16, "group": 8},
            f"{name}_upload": {"type": "device.upload", "in": f"{name}_batch"},
            f"{name}_seen": {"type": "encode.images", "in": f"{name}_upload.image", "model": "student"},
            f"{name}_scores": {"type": "head.apply", "in": f"{name}_seen", "model": "head"},
        }
    nodes |= {
        "seen": {"type": "encode.images", "in": "large_upload.image", "model": "teacher", "train": False},
        "named": {"type": "head.apply", "in": "seen", "model": "teacher_head", "train": False},
        "target": {"type": "targets.sharpen", "in": "named", "center": "center", "temperature": {"start": 0.04, "final": 0.07, "epochs": 1}},
        "projected": {"type": "head.apply", "in": "large_seen", "model": "projector"},
        "key": {"type": "head.apply", "in": "seen", "model": "teacher_projector", "train": False},
        "both": {"type": "vectors.join", "in": {"vectors": ["projected", "key"]}},
        "look": {"type": "report.health", "in": {"vectors": "both"}, "every": "1 step"},
        "dino": {"type": "loss.soft_cross_entropy", "in": {"large": "large_scores", "small": "small_scores", "target": "target"}},
        "cosine": {"type": "loss.negative_cosine", "in": {"prediction": "projected", "target": "key"}, "weight": {"start": 0, "final": 1}},
        "moco": {"type": "loss.info_nce", "in": {"query": "projected", "key": "key"}, "queue": "queue"},
        "total": {"type": "loss.sum", "in": {"losses": ["dino", "cosine", "moco"]}},
        "move": {"type": "train.center", "in": "named", "center": "center"},
        "enqueue": {"type": "train.enqueue", "in": "key", "queue": "queue"},
        "update": {"type": "train.adamw", "in": "total", "models": ["student", "head", "projector"], "clip": 3, "clip_over": "parameter",
                   "freeze": {"match": ["head.last_layer"], "epochs": 0.5}, "lr": {"start": 1e-4, "max": 2e-3, "final": 1e-4}},
        "ema": {"type": "train.ema", "after": "update", "from": ["student", "head", "projector"],
                "to": ["teacher", "teacher_head", "teacher_projector"], "decay": 0.9, "buffers": "average"},
    }
    nodes["metrics"]["in"] = "total"
    student = {**pipeline["models"]["student"], "positions": "learned", "sizes": [12], "drop_path": 0.1}
    pipeline["models"] = {
        "student": student,
        "head": {"type": "model.head", "of": "student", "layers": [32, 16], "activation": "gelu", "prototypes": 24, "init": "dino"},
        "projector": {"type": "model.head", "of": "student", "layers": [32, 8], "norm": "layer"},
        **{f"teacher{suffix}": {"type": "model.ema_copy", "of": of} for suffix, of in (("", "student"), ("_head", "head"), ("_projector", "projector"))},
        "center": {"type": "model.center", "of": "head"},
        "queue": {"type": "model.queue", "of": "projector", "rows": 40},
    }
    pipeline["nodes"] = nodes
    return pipeline


def residual():
    """Two views through a ResNet and a teacher, whose batch norms measure."""
    return {"about": "BYOL with few pictures", "extends": str(support.ROOT / "pipelines/compare/shapes/byol.json"),
            "set": {"let.images": 64, "let.batch": 16, "let.group": 8, "known.images": 40, "unseen.images": 40, "known_features.batch": 20,
                    "unseen_features.batch": 20, "run.epochs": 1, "metrics.every": "1 step", "save.every": "2 steps"}}


def pretext(name):
    """A pretext task with few pictures."""
    return {"about": f"{name} with few pictures", "extends": str(support.ROOT / f"pipelines/compare/shapes/{name}.json"),
            "set": {"let.images": 64, "let.batch": 16, "let.group": 8, "known.images": 40, "unseen.images": 40, "known_features.batch": 20,
                    "unseen_features.batch": 20, "asked.images": 40, "asked_batch.size": 20, "run.epochs": 1, "metrics.every": "1 step", "save.every": "2 steps"}}


def rotnet():
    return pretext("rotnet")


def jigsaw():
    return pretext("jigsaw")


def colorization():
    return pretext("colorization")


def distilled():
    """A student between two frozen teachers, with all losses of distillation at once."""
    net, vit = {"type": "model.resnet", "arch": 8, "width": 8}, {"type": "model.vit", "image": 24, "patch": 8, "width": 24, "depth": 1, "heads": 2}
    head = {"type": "model.head", "layers": [10]}
    students, teachers = {"student": "seen", "teacher": "taught"}, {"student": "scores", "teacher": "ensemble"}
    losses = {
        "kl": {"type": "loss.kl", "in": {"student": "scores", "soft_label": "ensemble"}, "js": True},
        "by_hand": {"type": "loss.kl", "in": {"student": "scores", "soft_label": "virtual"}, "temperature": 1, "mean_over": "elements"},
        "dkd": {"type": "loss.dkd", "in": {**teachers, "label": "upload"}, "weight": {"start": 0.5, "final": 1}},
        "logits": {"type": "loss.logits", "in": teachers},
        "attention": {"type": "loss.attention_map", "in": students},
        "nst": {"type": "loss.nst", "in": students},
        "fsp": {"type": "loss.fsp", "in": students},
        "hint": {"type": "loss.hint", "in": {"student": "regress", "teacher": "third"}},
        "vid": {"type": "loss.vid", "in": {"student": "regress", "teacher": "taught"}, "model": "regressor"},
        "similarity": {"type": "loss.similarity", "in": {"student_maps": "seen", "teacher_maps": "taught"}},
        "pkt": {"type": "loss.pkt", "in": students},
        "rkd": {"type": "loss.rkd", "in": students},
        "gram": {"type": "loss.gram", "in": {"student": "tokens", "teacher": "taught_tokens"}},
    }
    encode = {"type": "encode.images", "in": "upload.image", "pool": "mean"}
    return {
        "run": {"epochs": 2, "device": "cpu"},
        "models": {
            "student": net, "teacher": {**net, "frozen": True}, "vit": vit, "vit_teacher": {**vit, "frozen": True},
            "head": {**head, "of": "student", "layers": [6, 10], "activation": "none"}, "teacher_head": {**head, "of": "teacher", "frozen": True},
            "second_head": {**head, "of": "teacher", "frozen": True},
            "regressor": {"type": "model.regressor", "of": "student", "to": "teacher", "stage": 3, "layers": 2, "variance": True},
        },
        "nodes": {
            "files": {"type": "source.synthetic", "images": 48, "size": 24},
            "decode": {"type": "image.decode", "in": "files"},
            "view": {"type": "image.padded_crop", "in": "decode", "size": 24, "pad": 3},
            "batch": {"type": "batch.stack", "in": {"image": "view", "label": "files"}, "size": 16, "group": 8},
            "upload": {"type": "device.upload", "in": "batch.*"},
            "seen": {**encode, "model": "student", "stages": [1, 2, 3, 4]},
            "taught": {**encode, "model": "teacher", "stages": [1, 2, 3, 4], "train": False},
            "third": {**encode, "model": "teacher", "stages": [3], "train": False},
            "tokens": {**encode, "model": "vit"},
            "taught_tokens": {**encode, "model": "vit_teacher", "train": False},
            "scores": {"type": "head.apply", "in": "seen", "model": "head"},
            "first_scores": {"type": "head.apply", "in": "taught", "model": "teacher_head", "train": False},
            "second_scores": {"type": "head.apply", "in": "taught", "model": "second_head", "train": False},
            "ensemble": {"type": "targets.ensemble", "in": {"scores": ["first_scores", "second_scores"]}, "weights": [0.7, 0.3]},
            "virtual": {"type": "targets.virtual", "in": "upload", "classes": 10},
            "regress": {"type": "maps.regress", "in": "seen", "model": "regressor"},
            "labels": {"type": "loss.cross_entropy", "in": {"logits": "scores", "label": "upload"}, "smoothing": 0.1, "smooth_over": "others"},
            **losses,
            "loss": {"type": "loss.sum", "in": {"losses": ["labels", *losses]}},
            "update": {"type": "train.sgd", "in": "loss", "models": ["student", "head", "regressor", "vit"], "lr": {"max": 0.01}},
            "metrics": {"type": "report.metrics", "in": "loss", "every": "1 step"},
            "save": {"type": "report.checkpoint", "after": "update", "every": "3 steps"},
        },
    }


def wide():
    """A wide residual network learns from a frozen one with another stem."""
    head, encode = {"type": "model.head", "layers": [8]}, {"type": "encode.images", "in": "upload.image", "pool": "mean", "stages": [2, 4]}
    return {
        "run": {"epochs": 2, "device": "cpu"},
        "models": {
            "student": {"type": "model.wide_resnet", "arch": 10, "width": 8, "stem_width": 4},
            "teacher": {"type": "model.resnet", "arch": 8, "width": 16, "stem_width": 8, "frozen": True},
            "head": {**head, "of": "student"}, "teacher_head": {**head, "of": "teacher"},
        },
        "nodes": {
            "files": {"type": "source.synthetic", "images": 48, "size": 24},
            "decode": {"type": "image.decode", "in": "files"},
            "batch": {"type": "batch.stack", "in": "decode", "size": 16, "group": 8},
            "upload": {"type": "device.upload", "in": "batch"},
            "seen": {**encode, "model": "student"},
            "taught": {**encode, "model": "teacher", "train": False},
            "rows": {"type": "head.apply", "in": "seen", "model": "head"},
            "taught_rows": {"type": "head.apply", "in": "taught", "model": "teacher_head"},
            "maps": {"type": "loss.attention_map", "in": {"student": "seen", "teacher": "taught"}},
            "apart": {"type": "loss.correlation", "in": {"student": "rows", "teacher": "taught_rows"}},
            "loss": {"type": "loss.sum", "in": {"losses": ["maps", "apart"]}},
            "update": {"type": "train.sgd", "in": "loss", "models": ["student", "head", "teacher_head"], "lr": {"max": 0.01}},
            "metrics": {"type": "report.metrics", "in": "loss", "every": "1 step"},
            "save": {"type": "report.checkpoint", "after": "update", "every": "3 steps"},
        },
    }


def factors():
    """The wide network, from what is before its ReLUs and from factors of maps: AB, and both runs of FT at once."""
    pipeline = wide()
    models, nodes = pipeline["models"], pipeline["nodes"]
    regressor, taught = {"type": "model.regressor", "of": "student", "to": "teacher", "relu": False}, {"type": "maps.factors", "in": "last", "model": "paraphraser"}
    del models["head"], models["teacher_head"], nodes["rows"], nodes["taught_rows"], nodes["apart"]
    models |= {
        "second": {**regressor, "stage": 2}, "fourth": {**regressor, "stage": 4},
        "paraphraser": {"type": "model.paraphraser", "of": "teacher", "stage": 4},
        "translator": {"type": "model.translator", "of": "student", "to": "paraphraser", "stage": 4},
    }
    nodes |= {
        "before": {**nodes["seen"], "before_relu": True},
        "taught_before": {**nodes["taught"], "before_relu": True},
        "last": {**nodes["taught"], "stages": [4]},
        "regress": {"type": "maps.regress", "in": "before", "model": ["second", "fourth"]},
        "rebuilt": {**taught, "rebuild": True},
        "paraphrased": {**taught, "train": False},
        "translated": {"type": "maps.factors", "in": "seen", "model": "translator"},
        "boundaries": {"type": "loss.activation_boundaries", "in": {"student": "regress", "teacher": "taught_before"}, "weight": 0.003},
        "rebuilding": {"type": "loss.hint", "in": {"student": "rebuilt", "teacher": "last"}},
        "follow": {"type": "loss.attention_map", "in": {"student": "translated", "teacher": "paraphrased"}, "distance": "absolute"},
    }
    nodes["loss"]["in"] = {"losses": ["maps", "boundaries", "rebuilding", "follow"]}
    nodes["update"]["models"] = ["student", "second", "fourth", "paraphraser", "translator"]
    return pipeline


def tables():
    """Branches and transformers that learn by tables with a row for each sample: PS-KD, CRD, ONE and MiniLM together."""
    net, vit = {"type": "model.resnet", "arch": 8, "width": 8}, {"type": "model.vit", "image": 24, "patch": 8, "width": 24, "depth": 2, "heads": 2}
    branch, rows = {**net, "stages": [4, 4]}, {"type": "model.head", "layers": [6]}
    encode, head = {"type": "encode.images", "in": "upload.image", "pool": "mean"}, {"type": "model.head", "layers": [10]}
    both = {"student": "rows", "teacher": "other_rows"}
    losses = {
        "labels": {"type": "loss.cross_entropy", "in": {"logits": "scores", "soft_label": "past"}},
        "crd": {"type": "loss.crd", "in": {**both, "ids": "drawn"}, "bank": "bank", "weight": {"start": 0, "final": 1, "shape": "ramp"}},
        "gated": {"type": "loss.cross_entropy", "in": {"logits": "ensemble", "label": "upload"}},
        "relation": {"type": "loss.value_relation", "in": {"student": "tokens", "teacher": "taught"}, "of": ["query", "value"], "heads": 4},
        "attention": {"type": "loss.attention_scores", "in": {"student": "tokens", "teacher": "taught"}},
        "hidden": {"type": "loss.vectors", "in": {"student": "behind", "teacher": "taught_behind"}, "rows": "unit"},
    }
    return {
        "run": {"epochs": 2, "device": "cpu"},
        "models": {
            "student": {**net, "stages": [1, 3]}, "branch": branch, "other_branch": branch, "head": {**head, "of": "branch"}, "other_head": {**head, "of": "branch"},
            "gate": {**head, "of": "student", "layers": [2], "last_norm": "batch"}, "embed": {**rows, "of": "branch"}, "other_embed": {**rows, "of": "branch"},
            "vit_teacher": {**vit, "frozen": True}, "vit": {"type": "model.block_copy", "of": "vit_teacher", "blocks": [2]},
            "memory": {"type": "model.memory", "of": "head", "samples": 48}, "bank": {"type": "model.bank", "of": "embed", "samples": 48},
        },
        "nodes": {
            "files": {"type": "source.synthetic", "images": 48, "size": 24},
            "decode": {"type": "image.decode", "in": "files"},
            "batch": {"type": "batch.stack", "in": {"image": "decode", "label": "files"}, "size": 16, "group": 8},
            "upload": {"type": "device.upload", "in": "batch.*"},
            "ids": {"type": "device.ids", "in": "batch.ids"},
            "contrast": {"type": "batch.contrast", "in": "batch.ids", "negatives": 20, "positive": "relax"},
            "drawn": {"type": "device.ids", "in": "contrast"},
            "seen": {**encode, "model": "student", "stages": [3]},
            "branched": {"type": "encode.maps", "in": "seen", "model": "branch"},
            "other_branched": {"type": "encode.maps", "in": "seen", "model": "other_branch"},
            "scores": {"type": "head.apply", "in": "branched", "model": "head"},
            "other_scores": {"type": "head.apply", "in": "other_branched", "model": "other_head"},
            "gates": {"type": "head.apply", "in": "seen", "model": "gate"},
            "ensemble": {"type": "vectors.gate", "in": {"vectors": ["scores", "other_scores"], "gate": "gates"}},
            "rows": {"type": "head.apply", "in": "branched", "model": "embed"},
            "other_rows": {"type": "head.apply", "in": "other_branched", "model": "other_embed"},
            "past": {"type": "targets.past", "in": {"ids": "ids", "label": "upload"}, "memory": "memory"},
            "tokens": {**encode, "model": "vit", "blocks": [1], "attention": [1]},
            "taught": {**encode, "model": "vit_teacher", "blocks": [2], "attention": [2], "train": False},
            "behind": {"type": "tokens.block", "in": "tokens"},
            "taught_behind": {"type": "tokens.block", "in": "taught"},
            **losses,
            "loss": {"type": "loss.sum", "in": {"losses": [*losses]}},
            "update": {"type": "train.sgd", "in": "loss", "models": ["student", "branch", "other_branch", "head", "other_head", "gate", "embed", "other_embed", "vit"], "lr": {"max": 0.01}},
            "remember": {"type": "train.remember", "in": {"scores": "scores", "ids": "ids"}, "memory": "memory"},
            "move": {"type": "train.bank", "in": {**both, "ids": "ids", "normaliser": "crd"}, "bank": "bank"},
            "metrics": {"type": "report.metrics", "in": "loss", "every": "1 step"},
            "save": {"type": "report.checkpoint", "after": "update", "every": "3 steps"},
        },
    }


# Pipelines of this test, for types that no shipped pipeline uses, or only pipelines that can't run here.
OWN = [squares, watched, frozen, linear_probe, attentive_probe, many_masks, cross_attention, noised, gradients, supervised, two_views, residual, rotnet, jigsaw, colorization, distilled, wide, factors, tables]


class Conformance(support.Folder):
    def registered(self):
        """Names of all node and model types, from the page that `flowrun help` prints."""
        types = re.findall(r"^\s*([a-z]+\.[a-z0-9_]+)\s", self.flowrun("help").stdout, re.M)
        self.assertGreaterEqual(len(types), 22, "help lists fewer types than there are")
        self.assertIn("model.vit", types)
        return set(types)

    def test_every_type_is_used_by_a_pipeline_that_runs(self):
        used = set()
        whole = [path for path in (support.ROOT / "pipelines").rglob("*.json") if path.parent.name != "parts" and not path.name.startswith("_") and not path.name.endswith(".sweep.json")]
        for path in [*whole, *(self.folder / self.write(make(), f"{make.__name__}.json") for make in OWN)]:
            resolved = json.loads(self.flowrun("expand", path).stdout)
            used |= {part["type"] for table in ("models", "nodes") for part in resolved.get(table, {}).values()}
        self.assertEqual(self.registered() - used, set(), "no pipeline uses these")

    def outputs(self, out):
        """{file: bytes} of a run's files that must not depend on how it was run."""
        root = self.folder / out
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*")
                if path.is_file() and path.name not in NOT_THE_SAME and "tfevents" not in path.name}

    def accuracies(self, out):
        """Results of evaluations, without their durations."""
        return {name: [entry["accuracy"] for entry in found["history"]] for name, found in self.result(out).items()
                if isinstance(found, dict) and "accuracy" in found}

    def test_shipped_pipelines_give_the_same_bytes_serial_and_with_threads(self):
        paths = {str(path.relative_to(support.ROOT)): path for path in shipped()}
        self.assertEqual(set(paths), set(SMALL), "a shipped pipeline is not in the list of this test")
        runs = [(path, SMALL[name]) for name, path in paths.items() if SMALL[name] is not None]
        for path, small in [*runs, *((self.folder / self.write(make(), f"{make.__name__}.json"), []) for make in OWN)]:
            with self.subTest(path.name):
                # One thread inside operations: with more, the order of float sums may change.
                settings = [part for text in [*small, "run.device=cpu", "run.intra_op=1"] for part in ("--set", text)]
                serial, threads = f"{path.stem}-serial", f"{path.stem}-threads"
                self.flowrun(path, *settings, "--serial", "--out", serial)
                self.flowrun(path, *settings, "--threads", 4, "--jitter", 1, "--out", threads)
                self.assertGreater(len(self.history(serial)), 1)
                self.assertEqual(self.history(threads), self.history(serial))
                self.assertEqual(self.accuracies(threads), self.accuracies(serial))
                before, after = self.outputs(serial), self.outputs(threads)
                self.assertEqual(sorted(after), sorted(before))
                saves = "report.checkpoint" in (self.folder / serial / "pipeline.resolved.json").read_text()
                self.assertEqual(any(file.endswith(("student.safetensors", "probe.safetensors", "encoder.safetensors")) for file in before), saves, "weights are compared where they are saved")
                self.assertEqual([file for file in before if before[file] != after[file]], [])


if __name__ == "__main__":
    support.main()
