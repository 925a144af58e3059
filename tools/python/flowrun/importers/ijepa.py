"""Imports I-JEPA (facebookresearch/ijepa): configs/*.yaml."""
from config import Config
from options import Options, batch_of, folder_of
from recipe import Recipe

NAME = "I-JEPA"
# Depth, heads, and how model.vit is told.
ENCODERS = {
    "vit_tiny": (12, 3, {"arch": "ti"}), "vit_small": (12, 6, {"arch": "s"}), "vit_base": (12, 12, {"arch": "b"}),
    "vit_large": (24, 16, {"arch": "l"}), "vit_huge": (32, 16, {"arch": "h"}),
    "vit_giant": (40, 16, {"arch": "h", "width": 1408, "depth": 40, "heads": 16, "mlp_ratio": 48 / 11}),
}


def belongs(values: dict[str, object]) -> bool:
    sections = {key.split(".")[0] for key in values}
    return {"mask", "meta", "optimization"} <= sections


def convert(c: Config, options: Options) -> Recipe:
    depth, heads, arch = c.choose("meta.model_name", ENCODERS, "encoder")
    r = Recipe(c, "paper/baselines/ijepa_b.json", f"I-JEPA with {c.values['meta.model_name']}, imported from {options.name}")
    r.set("let.size", c.get("data.crop_size", "integer"), "data.crop_size")
    r.set("let.patch", c.get("mask.patch_size", "integer"), "mask.patch_size")
    r.set("let.blocks", [depth], "meta.model_name", because="its last block")
    for param, value in arch.items():
        r.set(f"student.{param}", value, "meta.model_name")
    r.set("predictor.depth", c.get("meta.pred_depth", "integer"), "meta.pred_depth")
    r.set("predictor.width", c.get("meta.pred_emb_dim", "integer"), "meta.pred_emb_dim")
    r.set("predictor.heads", heads, "meta.model_name", because="as many as the encoder has")
    if not c.get("meta.use_bfloat16", "truth", True):
        r.set("run.precision", "fp32", "meta.use_bfloat16")
    pictures(c, r, options)
    masks(c, r)
    schedules(c, r)
    for key in ("meta.load_checkpoint", "meta.read_checkpoint"):
        c.same(key, False if key.endswith("load_checkpoint") else None, "checkpoints of that code are not continued; flowrun RUN --resume continues ours")
    c.no_meaning("meta.copy_data", "data.pin_mem", "data.num_workers", why="data threads and copies are the engine's: run.threads, run.read_ahead")
    c.no_meaning("logging.folder", "logging.write_tag", why="a run's folder is named by --out")
    return r


def pictures(c: Config, r: Recipe, options: Options) -> None:
    per_gpu, gpus = c.get("data.batch_size", "integer"), batch_of(r, options, "data.batch_size", 16)
    r.set("batch.size", per_gpu * gpus, "data.batch_size", because=f"x {gpus} GPUs")
    r.set("batch.group", per_gpu, "data.batch_size", because="masks are cut to one length in each of these")
    r.set("crop.area", c.get("data.crop_scale", "pair"), "data.crop_scale")
    r.set("flip.p", 0.5 if c.get("data.use_horizontal_flip", "truth", False) else 0, "data.use_horizontal_flip")
    last = "flip"
    if c.get("data.use_color_distortion", "truth", False):
        strength = c.get("data.color_jitter_strength", "number", 1.0)
        jitter = r.add("jitter", "image.color_jitter").set("in", last)
        for param, most in (("brightness", 0.8), ("contrast", 0.8), ("saturation", 0.8), ("hue", 0.2)):
            jitter.set(param, most * strength, "data.color_jitter_strength", because=f"x {most}")
        jitter.set("p", 0.8, "data.use_color_distortion")
        r.add("gray", "image.grayscale").set("in", "jitter").set("p", 0.2, "data.use_color_distortion")
        last = "gray"
    else:
        c.no_meaning("data.color_jitter_strength", why="use_color_distortion is false")
    if c.get("data.use_gaussian_blur", "truth", False):
        r.add("blur", "image.blur").set("in", last).set("p", 0.5, "data.use_gaussian_blur")
        last = "blur"
    if last != "flip":
        r.set("batch.in", last, because="behind the last of the nodes that were added")
    folder_of(c, r, options, ["data.root_path", "data.image_folder"], "files.path")


def masks(c: Config, r: Recipe) -> None:
    r.set("mask.regions", c.get("mask.num_pred_masks", "integer"), "mask.num_pred_masks")
    r.set("mask.size", c.get("mask.pred_mask_scale", "pair"), "mask.pred_mask_scale")
    r.set("mask.aspect", c.get("mask.aspect_ratio", "pair"), "mask.aspect_ratio")
    r.set("mask.context", c.get("mask.enc_mask_scale", "pair"), "mask.enc_mask_scale")
    r.set("mask.min_keep", c.get("mask.min_keep", "integer"), "mask.min_keep")
    c.same("mask.num_enc_masks", 1, "mask.ijepa_compat has one context")
    c.same("mask.allow_overlap", False, "mask.ijepa_compat keeps the context apart from the targets")


def schedules(c: Config, r: Recipe) -> None:
    epochs, stretch = c.get("optimization.epochs", "integer"), c.get("optimization.ipe_scale", "number", 1.0)
    r.set("run.epochs", epochs, "optimization.epochs")
    lr = {name: c.get(f"optimization.{key}", "number") for name, key in (("start", "start_lr"), ("max", "lr"), ("final", "final_lr"))}
    r.set("update.lr", lr, "optimization.start_lr", "optimization.lr", "optimization.final_lr", because="not scaled by the batch")
    r.set("update.warmup_epochs", c.get("optimization.warmup", "number"), "optimization.warmup")
    r.set("update.weight_decay", c.get("optimization.weight_decay", "number"), "optimization.weight_decay")
    r.set("update.weight_decay_final", c.get("optimization.final_weight_decay", "number"), "optimization.final_weight_decay")
    decay = c.get("optimization.ema", "pair")
    r.set("ema.decay", decay[0], "optimization.ema")
    r.set("ema.decay_final", decay[1], "optimization.ema")
    if stretch != 1:
        r.set("update.stretch", stretch, "optimization.ipe_scale")
        r.set("ema.ramp_epochs", epochs * stretch, "optimization.ipe_scale", because="x epochs")
