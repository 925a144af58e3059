"""Imports MAE (facebookresearch/mae): the options of main_pretrain.py or submitit_pretrain.py, as a command line or as a dump of its arguments."""
from config import Config
from options import Options, folder_of
from recipe import Recipe

NAME = "MAE"
MODELS = {}
for _name, _arch, _patch in (("base", "b", 16), ("large", "l", 16), ("huge", "h", 14)):
    MODELS[f"mae_vit_{_name}_patch{_patch}"] = MODELS[f"mae_vit_{_name}_patch{_patch}_dec512d8b"] = (_arch, _patch)
DEFAULTS = {
    "batch_size": 64, "epochs": 400, "accum_iter": 1, "model": "mae_vit_large_patch16", "input_size": 224, "mask_ratio": 0.75, "norm_pix_loss": False,
    "weight_decay": 0.05, "blr": 1e-3, "min_lr": 0.0, "warmup_epochs": 40, "seed": 0, "device": "cuda",
}


def belongs(values: dict[str, object]) -> bool:
    return bool({"norm_pix_loss", "mask_ratio", "blr", "accum_iter"} & values.keys()) or str(values.get("model", "")).startswith("mae_vit")


def gpus_of(c: Config, r: Recipe, options: Options) -> tuple[int, list[str]]:
    """The number of GPUs, and the keys that give it."""
    for keys in (["launcher.nproc_per_node", "launcher.nnodes"], ["ngpus", "nodes"], ["world_size"]):
        if any(key in c for key in keys):
            count = 1
            for key in keys:
                count *= c.get(key, "integer", 1)
            return options.gpus or count, keys
    if options.gpus == 0:
        r.note("batch_size is for one GPU, and the file does not say on how many it ran: written for 1 (published: 64); --gpus N")
    return options.gpus or 1, []


def convert(c: Config, options: Options) -> Recipe:
    arch, patch = c.choose("model", MODELS, "model")
    r = Recipe(c, "paper/baselines/mae_b.json", f"MAE with {c.values.get('model') or DEFAULTS['model']}, imported from {options.name}")
    r.set("seed", c.get("seed", "integer"), "seed", because="other numbers than theirs")
    r.set("let.size", c.get("input_size", "integer"), "input_size")
    r.set("let.patch", patch, "model")
    r.set("student.arch", arch, "model")
    r.set("predictor.out", 3 * patch * patch, "model", because="pixels of a patch")
    r.set("mask.ratio", c.get("mask_ratio", "number"), "mask_ratio")
    r.set("targets.normalise", c.get("norm_pix_loss", "truth"), "norm_pix_loss")
    if c.get("device", "text").startswith("cpu"):
        r.set("run.device", "cpu", "device")
    folder_of(c, r, options, ["data_path"], "files.path")
    training(c, r, options)
    for key in ("resume", "start_epoch"):
        c.same(key, "" if key == "resume" else 0, "checkpoints of that code are not continued; flowrun RUN --resume continues ours")
    c.no_meaning("num_workers", "pin_mem", "no_pin_mem", why="data threads and copies are the engine's: run.threads, run.read_ahead")
    c.no_meaning("output_dir", "log_dir", "job_dir", why="a run's folder is named by --out")
    c.no_meaning("world_size", "local_rank", "rank", "gpu", "distributed", "dist_on_itp", "dist_url", "dist_backend", "timeout", "partition", "use_volta32",
                 "comment", why="how processes are started is the launcher's: torchrun, Slurm or MPI")
    return r


def training(c: Config, r: Recipe, options: Options) -> None:
    per_gpu, steps = c.get("batch_size", "integer"), c.get("accum_iter", "integer")
    gpus, keys = gpus_of(c, r, options)
    batch = per_gpu * steps * gpus
    r.set("batch.size", batch, "batch_size", "accum_iter", *keys, because=f"{per_gpu} x {steps} x {gpus} GPUs")
    r.set("batch.group", per_gpu, "batch_size")
    r.set("run.epochs", c.get("epochs", "integer"), "epochs")
    final = c.get("min_lr", "number")
    if "lr" in c:
        r.set("update.lr", {"start": 0, "max": c.get("lr", "number"), "final": final}, "lr", "min_lr")
        r.set("update.lr_scaling", "none", "lr", because="it is not scaled by the batch")
        c.no_meaning("blr", why="lr is given")
    else:
        r.set("update.lr", {"start": 0, "max": c.get("blr", "number"), "final": final * 256 / batch}, "blr", "min_lr", because="for 256 pictures")
        r.set("update.lr_scaling", "linear", "blr", because=f"x {batch} / 256")
        c.no_meaning("lr", why="blr is given")
    r.set("update.warmup_epochs", c.get("warmup_epochs", "number"), "warmup_epochs")
    r.set("update.weight_decay", c.get("weight_decay", "number"), "weight_decay")
