"""Imports DINOv2 (facebookresearch/dinov2): dinov2/configs/train/*.yaml, with the defaults of its ssl_default_config.yaml."""
import re

from config import Config, ConfigError
from options import IMAGENET, Options, batch_of
from recipe import Recipe

NAME = "DINOv2"
DEFAULTS = {
    "dino.loss_weight": 1.0, "dino.head_n_prototypes": 65536, "dino.head_bottleneck_dim": 256, "dino.head_nlayers": 3, "dino.head_hidden_dim": 2048,
    "dino.koleo_loss_weight": 0.1,
    "ibot.loss_weight": 1.0, "ibot.mask_sample_probability": 0.5, "ibot.mask_ratio_min_max": [0.1, 0.5], "ibot.separate_head": False,
    "ibot.head_n_prototypes": 65536, "ibot.head_bottleneck_dim": 256, "ibot.head_nlayers": 3, "ibot.head_hidden_dim": 2048,
    "train.batch_size_per_gpu": 64, "train.dataset_path": "ImageNet:split=TRAIN", "train.seed": 0, "train.OFFICIAL_EPOCH_LENGTH": 1250,
    "train.centering": "centering",
    "student.arch": "vit_large", "student.patch_size": 16, "student.drop_path_rate": 0.3, "student.layerscale": 1e-5, "student.drop_path_uniform": True,
    "student.ffn_layer": "mlp", "student.num_register_tokens": 0, "student.interpolate_offset": 0.1,
    "teacher.momentum_teacher": 0.992, "teacher.final_momentum_teacher": 1, "teacher.warmup_teacher_temp": 0.04, "teacher.teacher_temp": 0.07,
    "teacher.warmup_teacher_temp_epochs": 30,
    "optim.epochs": 100, "optim.weight_decay": 0.04, "optim.weight_decay_end": 0.4, "optim.base_lr": 0.004, "optim.warmup_epochs": 10, "optim.min_lr": 1e-6,
    "optim.clip_grad": 3.0, "optim.freeze_last_layer_epochs": 1, "optim.scaling_rule": "sqrt_wrt_1024", "optim.patch_embed_lr_mult": 0.2,
    "optim.layerwise_decay": 0.9, "optim.adamw_beta1": 0.9, "optim.adamw_beta2": 0.999,
    "crops.global_crops_scale": [0.32, 1.0], "crops.local_crops_number": 8, "crops.local_crops_scale": [0.05, 0.32], "crops.global_crops_size": 224,
    "crops.local_crops_size": 96,
}
ENCODERS = {
    "vit_small": {"arch": "s"}, "vit_base": {"arch": "b"}, "vit_large": {"arch": "l"},
    "vit_giant2": {"arch": "h", "width": 1536, "depth": 40, "heads": 24},
}


def belongs(values: dict[str, object]) -> bool:
    sections = {key.split(".")[0] for key in values}
    return bool({"dino", "ibot", "crops", "student", "teacher"} & sections) and sections <= {
        "MODEL", "compute_precision", "dino", "ibot", "train", "student", "teacher", "optim", "crops", "evaluation"}


def convert(c: Config, options: Options) -> Recipe:
    arch = c.choose("student.arch", ENCODERS, "encoder")
    name = c.values.get("student.arch") or DEFAULTS["student.arch"]
    r = Recipe(c, "methods/multi_crop/dinov2_l_short.json", f"DINOv2 with {name}, imported from {options.name}")
    r.set("seed", c.get("train.seed", "integer"), "train.seed", because="other numbers than theirs")
    passes = lengths(c, r, options)
    encoder(c, r, arch)
    crops(c, r)
    heads(c, r, passes)
    optimizer(c, r, passes)
    data(c, r, options)
    c.same("MODEL.WEIGHTS", "", "checkpoints of that code are not continued; flowrun RUN --resume continues ours")
    c.no_meaning("compute_precision", why="run.precision says it, and update.shard shards the optimizer's state; there is no float16")
    c.no_meaning("train.num_workers", "train.cache_dataset", why="data threads and copies are the engine's: run.threads, run.read_ahead")
    c.no_meaning("train.output_dir", why="a run's folder is named by --out")
    c.no_meaning("train.saveckp_freq", why="that code does not read it; save.every says how often")
    c.no_meaning("evaluation.eval_period_iterations", why="it writes the teacher's weights there; here each checkpoint has them: save.every, knn.at")
    return r


def lengths(c: Config, r: Recipe, options: Options) -> float:
    """Sets the lengths, and returns how many passes over the pictures one epoch of theirs is: theirs are OFFICIAL_EPOCH_LENGTH steps."""
    per_gpu, gpus = c.get("train.batch_size_per_gpu", "integer"), batch_of(r, options, "train.batch_size_per_gpu", 32)
    batch, steps = per_gpu * gpus, c.get("train.OFFICIAL_EPOCH_LENGTH", "integer")
    pictures = options.pictures or IMAGENET
    if not options.pictures and not str(c.values.get("train.dataset_path") or DEFAULTS["train.dataset_path"]).startswith("ImageNet:"):
        r.note(f"their epochs are OFFICIAL_EPOCH_LENGTH steps, ours passes over the pictures: written for the {IMAGENET:,} of ImageNet; --pictures N")
    passes = steps * batch / pictures
    theirs = c.get("optim.epochs", "number")
    r.set("let.batch", batch, "train.batch_size_per_gpu", because=f"x {gpus} GPUs")
    r.set("let.group", per_gpu, "train.batch_size_per_gpu", because="KoLeo is computed over each of these separately")
    epochs = max(1, round(theirs * passes))
    r.set("run.epochs", epochs, "optim.epochs", "train.OFFICIAL_EPOCH_LENGTH", because=f"{theirs * steps:g} steps of {batch} of {pictures} pictures")
    return passes


def encoder(c: Config, r: Recipe, arch: dict[str, object]) -> None:
    for param, value in arch.items():
        r.set(f"student.{param}", value, "student.arch")
    r.set("let.patch", c.get("student.patch_size", "integer"), "student.patch_size")
    r.set("student.registers", c.get("student.num_register_tokens", "integer"), "student.num_register_tokens")
    r.set("student.mlp", c.choose("student.ffn_layer", {"mlp": "gelu", "swiglu": "swiglu", "swiglufused": "swiglu"}, "MLP"), "student.ffn_layer")
    r.set("student.drop_path", c.get("student.drop_path_rate", "number"), "student.drop_path_rate")
    r.set("student.drop_path_uniform", c.get("student.drop_path_uniform", "truth"), "student.drop_path_uniform")
    r.set("student.layer_scale", c.get("student.layerscale", "number"), "student.layerscale")
    r.set("student.position_offset", c.get("student.interpolate_offset", "number"), "student.interpolate_offset")
    c.same("student.interpolate_antialias", False, "positions are resampled without")
    for key in ("qkv_bias", "proj_bias", "ffn_bias"):
        c.same(f"student.{key}", True, "model.vit's layers have biases")
    c.same("student.pretrained_weights", "", "student.weights reads a safetensors file of timm's names: convert it first (flowrun export)")
    c.no_meaning("student.block_chunks", why="it groups blocks for FSDP")


def crops(c: Config, r: Recipe) -> None:
    size = c.get("crops.global_crops_size", "integer")
    r.set("let.size", size, "crops.global_crops_size")
    r.set("let.small", c.get("crops.local_crops_size", "integer"), "crops.local_crops_size")
    r.set("large.area", c.get("crops.global_crops_scale", "pair"), "crops.global_crops_scale")
    r.set("small.area", c.get("crops.local_crops_scale", "pair"), "crops.local_crops_scale")
    r.set("small.count", c.get("crops.local_crops_number", "integer"), "crops.local_crops_number")
    patch = c.get("student.patch_size", "integer")
    r.set("large_mask.spread", c.get("ibot.mask_ratio_min_max", "pair"), "ibot.mask_ratio_min_max")
    r.set("large_mask.masked_share", c.get("ibot.mask_sample_probability", "number"), "ibot.mask_sample_probability")
    # As their code rounds it: 0.5 * size // patch * size // patch.
    r.set("large_mask.max_block", int(0.5 * size // patch * size // patch), "crops.global_crops_size", "student.patch_size", because="half of the patches")


def head(c: Config, section: str) -> tuple[list[int], list[str]]:
    keys = [f"{section}.head_nlayers", f"{section}.head_hidden_dim", f"{section}.head_bottleneck_dim"]
    layers, hidden, bottleneck = (c.get(key, "integer") for key in keys)
    return [hidden] * (layers - 1) + [bottleneck], keys


def heads(c: Config, r: Recipe, passes: float) -> None:
    """Sets heads, targets and losses."""
    layers, keys = head(c, "dino")
    r.set("head.layers", layers, *keys)
    r.set("head.prototypes", c.get("dino.head_n_prototypes", "integer"), "dino.head_n_prototypes")
    separate = c.get("ibot.separate_head", "truth")
    if separate:
        layers, keys = head(c, "ibot")
        r.add("models.patch_head", "model.head").set("of", "student").set("layers", layers, *keys).set("activation", "gelu").set(
            "prototypes", c.get("ibot.head_n_prototypes", "integer"), "ibot.head_n_prototypes").set("init", "dino")
        r.add("models.teacher_patch_head", "model.ema_copy").set("of", "patch_head", "ibot.separate_head")
        r.set("patch_names.model", "teacher_patch_head", "ibot.separate_head")
        r.set("patch_scores.model", "patch_head", "ibot.separate_head")
        r.set("ema.from", ["student", "head", "patch_head"], "ibot.separate_head")
        r.set("ema.to", ["teacher", "teacher_head", "teacher_patch_head"], "ibot.separate_head")
        r.set("update.models", ["student", "head", "patch_head"], "ibot.separate_head")
    else:
        c.no_meaning("ibot.head_n_prototypes", "ibot.head_bottleneck_dim", "ibot.head_nlayers", "ibot.head_hidden_dim", why="separate_head is false: one head for both")
    temperature = {"start": c.get("teacher.warmup_teacher_temp", "number"), "final": c.get("teacher.teacher_temp", "number"),
                   "epochs": c.get("teacher.warmup_teacher_temp_epochs", "number") * passes}
    if temperature["epochs"] == 0:
        temperature = {"start": temperature["final"], "final": temperature["final"]}
    keys = ["teacher.warmup_teacher_temp", "teacher.teacher_temp", "teacher.warmup_teacher_temp_epochs"]
    centered = c.choose("train.centering", {"centering": True, "sinkhorn_knopp": False}, "centering")
    if centered:
        r.set("target.temperature", temperature, *keys)
        r.set("patch_target.temperature", temperature, *keys)
        if separate:
            r.swap("patch_center", "model.center").set("of", "patch_head", "ibot.separate_head")
    else:
        r.drop("center", "patch_center", "move", "patch_move")
        for target in ("target", "patch_target"):
            r.swap(target, "targets.sinkhorn").set("temperature", temperature, "train.centering", *keys)
    r.set("class_loss.weight", c.get("dino.loss_weight", "number"), "dino.loss_weight")
    r.set("patch_loss.weight", c.get("ibot.loss_weight", "number"), "ibot.loss_weight")
    koleo = c.get("dino.koleo_loss_weight", "number")
    r.set("koleo.weight", 2 * koleo if c.get("dino.loss_weight", "number") > 0 else 0, "dino.koleo_loss_weight", because="x 2: theirs is the sum of two views, ours their mean")
    r.set("ema.decay", c.get("teacher.momentum_teacher", "number"), "teacher.momentum_teacher")
    r.set("ema.decay_final", c.get("teacher.final_momentum_teacher", "number"), "teacher.final_momentum_teacher")


def optimizer(c: Config, r: Recipe, passes: float) -> None:
    c.choose("optim.scaling_rule", {"sqrt_wrt_1024": "sqrt"}, "rule")
    batch = r.sets["let.batch"][0]
    scale = (batch / 1024) ** 0.5
    r.set("update.lr", {"start": 0, "max": c.get("optim.base_lr", "number"), "final": c.get("optim.min_lr", "number") / scale}, "optim.base_lr", "optim.min_lr",
          because="for 1024 pictures")
    r.set("update.lr_scaling", "sqrt", "optim.scaling_rule")
    r.set("update.reference_batch", 1024, "optim.scaling_rule")
    c.no_meaning("optim.lr", why="the rule makes it from base_lr")
    r.set("update.warmup_epochs", c.get("optim.warmup_epochs", "number") * passes, "optim.warmup_epochs", because="in passes over the pictures")
    r.set("update.weight_decay", c.get("optim.weight_decay", "number"), "optim.weight_decay")
    r.set("update.weight_decay_final", c.get("optim.weight_decay_end", "number"), "optim.weight_decay_end")
    r.set("update.betas", [c.get("optim.adamw_beta1", "number"), c.get("optim.adamw_beta2", "number")], "optim.adamw_beta1", "optim.adamw_beta2")
    clip = c.get("optim.clip_grad", "number")
    r.set("update.clip", 0 if c.values.get("optim.clip_grad", clip) is None else clip, "optim.clip_grad")
    r.set("update.layer_decay", c.get("optim.layerwise_decay", "number"), "optim.layerwise_decay")
    r.set("update.rates.times", [c.get("optim.patch_embed_lr_mult", "number")], "optim.patch_embed_lr_mult")
    r.set("update.freeze.epochs", c.get("optim.freeze_last_layer_epochs", "number") * passes, "optim.freeze_last_layer_epochs", because="in passes over the pictures")


def data(c: Config, r: Recipe, options: Options) -> None:
    path = c.get("train.dataset_path", "text")
    root = re.search(r"root=([^:]+)", path)
    if options.data:
        r.set("let.path", options.data, because="--data")
    elif root and "$" not in root[1] and "<" not in root[1]:
        r.set("let.path", root[1], "train.dataset_path")
    else:
        r.note("the file names no folder of pictures: --data FOLDER, one with train and val")
    if not path:
        raise ConfigError("train.dataset_path is empty")
