"""Imports solo-learn (vturrisi/solo-learn): scripts/pretrain/**/*.yaml, with the files that their lists of defaults name."""
import dataclasses
from collections.abc import Callable

from config import Config, ConfigError
from options import Options
from recipe import Node, Recipe

NAME = "solo-learn"
DEFAULTS = {
    "seed": 5, "optimizer.weight_decay": 0.0, "scheduler.min_lr": 0.0, "scheduler.warmup_start_lr": 3e-5, "scheduler.warmup_epochs": 10,
    "scheduler.interval": "step", "momentum.base_tau": 0.99, "momentum.final_tau": 1.0, "accumulate_grad_batches": 1, "num_nodes": 1,
    "method_kwargs.lamb": 0.0051, "method_kwargs.scale_loss": 0.024, "method_kwargs.sim_loss_weight": 25.0, "method_kwargs.var_loss_weight": 25.0,
    "method_kwargs.cov_loss_weight": 1.0, "method_kwargs.queue_size": 65536, "method_kwargs.sk_epsilon": 0.05, "method_kwargs.sk_iters": 3,
    "method_kwargs.freeze_prototypes_epochs": 1, "method_kwargs.epoch_queue_starts": 15, "method_kwargs.clip_grad": 0, "method_kwargs.freeze_last_layer": 1,
    "method_kwargs.norm_last_layer": True, "method_kwargs.use_bn_in_head": False, "method_kwargs.student_temperature": 0.1,
    "method_kwargs.teacher_temperature": 0.07, "method_kwargs.warmup_teacher_temperature": 0.04, "method_kwargs.warmup_teacher_temperature_epochs": 0,
    "method_kwargs.mask_ratio": 0.75, "method_kwargs.norm_pix_loss": False, "optimizer.kwargs.momentum": 0.9, "optimizer.kwargs.eta": 1e-3,
    "optimizer.kwargs.betas": [0.9, 0.999], "knn_eval.k": 20,
}
RESNETS = {"resnet18": 18, "resnet50": 50}
# Heads as timm has them, and as the code of MoCo v3 and MAE has them.
VITS = {"vit_tiny": ("ti", 3, 12), "vit_small": ("s", 6, 12), "vit_base": ("b", 12, 12), "vit_large": ("l", 16, 16)}
# Mean and deviation of the channels; others have ImageNet's.
CHANNELS = {
    "cifar10": ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]), "cifar100": ([0.5071, 0.4865, 0.4409], [0.2673, 0.2564, 0.2762]),
    "stl10": ([0.4914, 0.4823, 0.4466], [0.247, 0.243, 0.261]),
}
JUDGES = ["knn", "linear", "known", "known_images", "known_features", "unseen", "unseen_images", "unseen_features"]


def belongs(values: dict[str, object]) -> bool:
    return "method" in values and "backbone.name" in values


@dataclasses.dataclass
class Method:
    base: str  # a shipped file
    models: list[str]  # that update trains
    heads: Callable[[Config, Recipe, bool], None]  # True: the encoder is a vision transformer
    views: list[str]  # nodes that use two_view
    encoders: list[str]  # nodes that pool its output
    uploads: list[str]
    teacher: bool = False


def kwarg(c: Config, r: Recipe, path: str, name: str, kind: str = "number") -> None:
    r.set(path, c.get(f"method_kwargs.{name}", kind), f"method_kwargs.{name}")


def layers(c: Config, r: Recipe, model: str, *names: str) -> None:
    keys = [f"method_kwargs.{name}" for name in names]
    r.set(f"{model}.layers", [c.get(key, "integer") for key in keys], *dict.fromkeys(keys))


HIDDEN, OUT, PREDICTED = "proj_hidden_dim", "proj_output_dim", "pred_hidden_dim"


def simclr(c: Config, r: Recipe, vit: bool) -> None:
    layers(c, r, "projector", HIDDEN, OUT)
    r.set("projector.norm", "none", because="their projector has no batch norm")
    kwarg(c, r, "pull.temperature", "temperature")


def byol(c: Config, r: Recipe, vit: bool) -> None:
    layers(c, r, "projector", HIDDEN, OUT)
    layers(c, r, "predictor", PREDICTED, OUT)


def simsiam(c: Config, r: Recipe, vit: bool) -> None:
    layers(c, r, "projector", HIDDEN, HIDDEN, OUT)
    layers(c, r, "predictor", PREDICTED, OUT)
    c.no_meaning("method_kwargs.temperature", why="SimSiam's loss has none")


def barlow_twins(c: Config, r: Recipe, vit: bool) -> None:
    layers(c, r, "projector", HIDDEN, HIDDEN, OUT)
    r.set("projector.bias", True, because="their projector's layers have biases")
    kwarg(c, r, "pull.lambda", "lamb")
    kwarg(c, r, "pull.scale", "scale_loss")


def vicreg(c: Config, r: Recipe, vit: bool) -> None:
    layers(c, r, "projector", HIDDEN, HIDDEN, OUT)
    r.set("projector.last_bias", True, because="their projector's layers have biases")
    for path, name in (("invariance", "sim"), ("variance", "var"), ("covariance", "cov")):
        kwarg(c, r, f"pull.{path}", f"{name}_loss_weight")


def mocov2plus(c: Config, r: Recipe, vit: bool) -> None:
    layers(c, r, "head", HIDDEN, OUT)
    kwarg(c, r, "queue.rows", "queue_size", "integer")
    kwarg(c, r, "loss.temperature", "temperature")
    r.note("their loss asks both views, each with a queue of its own, and takes the mean; loss.info_nce asks the first view for the second")


def mocov3(c: Config, r: Recipe, vit: bool) -> None:
    layers(c, r, "projector", *([HIDDEN, HIDDEN] if vit else [HIDDEN]), OUT)
    layers(c, r, "predictor", PREDICTED, OUT)
    if vit:
        r.set("predictor.last_norm", "batch_plain", "backbone.name")
    kwarg(c, r, "pull.temperature", "temperature")


def swav(c: Config, r: Recipe, vit: bool) -> None:
    layers(c, r, "head", HIDDEN, OUT)
    r.set("names.prototypes", c.get("method_kwargs.num_prototypes", "integer", 3000), "method_kwargs.num_prototypes")
    kwarg(c, r, "loss.temperature", "temperature")
    rows = c.get("method_kwargs.queue_size", "integer")
    epsilon, steps = "method_kwargs.sk_epsilon", "method_kwargs.sk_iters"
    if rows > 0:
        r.set("queue.rows", 2 * rows, "method_kwargs.queue_size", because="x 2 views")
        kwarg(c, r, "earlier.from", "epoch_queue_starts", "integer")
        r.set("pull.temperature", c.get(epsilon, "number"), epsilon)
        r.set("pull.iterations", c.get(steps, "integer"), steps)
    else:
        r.drop("queue", "earlier", "earlier_scores", "enqueue")
        c.no_meaning("method_kwargs.epoch_queue_starts", why="queue_size is 0: there is no queue")
        r.swap("pull", "targets.sinkhorn").set("in", {"vectors": "scores"}, "method_kwargs.queue_size").set("scope", "view").set(
            "temperature", c.get(epsilon, "number"), epsilon).set("iterations", c.get(steps, "integer"), steps)


def dino(c: Config, r: Recipe, vit: bool) -> None:
    layers(c, r, "head", HIDDEN, HIDDEN, OUT)
    if c.get("method_kwargs.use_bn_in_head", "truth"):
        r.set("head.norm", "batch", "method_kwargs.use_bn_in_head")
    kwarg(c, r, "head.prototypes", "num_prototypes", "integer")
    r.set("head.gain_trained", not c.get("method_kwargs.norm_last_layer", "truth"), "method_kwargs.norm_last_layer", because="the other way round")
    kwarg(c, r, "loss.temperature", "student_temperature")
    names = ["warmup_teacher_temperature", "teacher_temperature", "warmup_teacher_temperature_epochs"]
    start, final, epochs = (c.get(f"method_kwargs.{name}", "number") for name in names)
    value = {"start": start, "final": final, "epochs": epochs, "per": "epoch"} if epochs else final
    r.set("soft.temperature", value, *(f"method_kwargs.{name}" for name in names))


TWO = {"views": ["views"], "encoders": ["encode"], "uploads": ["upload"]}
METHODS = {
    "simclr": Method("methods/cifar/simclr.json", ["student", "projector"], simclr, **TWO),
    "byol": Method("methods/cifar/byol.json", ["student", "projector", "predictor"], byol, ["views"], ["encode", "seen"], ["upload"], True),
    "simsiam": Method("methods/cifar/simsiam.json", ["student", "projector", "predictor"], simsiam, **TWO),
    "barlow_twins": Method("methods/cifar/barlow_twins.json", ["student", "projector"], barlow_twins, **TWO),
    "vicreg": Method("methods/cifar/vicreg.json", ["student", "projector"], vicreg, **TWO),
    "mocov2plus": Method("methods/cifar/moco_v2.json", ["student", "head"], mocov2plus, ["query_view", "key_view"], ["query_seen", "key_seen"],
                         ["query_upload", "key_upload"], True),
    "mocov3": Method("methods/cifar/moco_v3.json", ["student", "projector", "predictor"], mocov3, ["views"], ["encode", "seen"], ["upload"], True),
    "swav": Method("methods/cifar/swav.json", ["student", "head", "names"], swav, **TWO),
    "dino": Method("methods/cifar/dino.json", ["student", "head"], dino, ["views"], ["encode", "seen"], ["upload"], True),
    "mae": Method("paper/baselines/mae_b.json", ["student", "predictor"], lambda c, r, vit: None, [], [], ["upload"]),
}


def convert(c: Config, options: Options) -> Recipe:
    method = c.choose("method", {name: one for name, one in METHODS.items()}, "method")
    name = c.values["method"]
    r = Recipe(c, method.base, f"{c.get('name', 'text', name)}: solo-learn's {name}, imported from {options.name}")
    r.set("seed", c.get("seed", "integer"), "seed", because="other numbers than theirs")
    batch = sizes(c, r, options, name == "mae")
    (mae if name == "mae" else views_of)(c, r, method)
    vit = encoder(c, r, method)
    method.heads(c, r, vit)
    if method.teacher:
        r.set("ema.decay", c.get("momentum.base_tau", "number"), "momentum.base_tau")
        r.set("ema.decay_final", c.get("momentum.final_tau", "number"), "momentum.final_tau")
        c.same("momentum.classifier", False, "no classifier is trained beside the teacher")
    else:
        c.no_meaning("momentum", why=f"{name} has no teacher")
    optimizer(c, r, method, batch)
    data(c, r, method, options)
    evaluation(c, r, name == "mae")
    machinery(c, r)
    return r


def gpus_of(c: Config, options: Options) -> int:
    """The number of GPUs. Their `devices` is a list of numbers, a count, or -1 or auto, which both mean all of the machine's."""
    nodes, devices = c.get("num_nodes", "integer"), c.values.get("devices", 1)
    if "devices" in c.values:
        c.used["devices"] = []
    count = len(devices) if isinstance(devices, list) else devices if isinstance(devices, int) else 0
    if count < 1 and not options.gpus:
        raise ConfigError(f"devices {devices} does not say how many", "--gpus N")
    return options.gpus or count * nodes


def sizes(c: Config, r: Recipe, options: Options, masked: bool) -> int:
    """Sets the batch and the length of the run."""
    gpus = gpus_of(c, options)
    per_gpu, steps = c.get("optimizer.batch_size", "integer"), c.get("accumulate_grad_batches", "integer")
    batch = per_gpu * gpus * steps
    size, group = ("batch.size", "batch.group") if masked else ("let.batch", "let.group")
    keys = [key for key in ("devices", "num_nodes", "accumulate_grad_batches") if key in c.values]
    r.set(size, batch, "optimizer.batch_size", *keys, because=f"{per_gpu} x {gpus} GPUs x {steps}")
    r.set(group, per_gpu, "optimizer.batch_size", because="of one GPU")
    r.set("run.epochs", c.get("max_epochs", "integer"), "max_epochs")
    together = c.get("sync_batchnorm", "truth", False) and gpus > 1
    if not masked:
        r.set("run.pass", "rank" if together else "group", "sync_batchnorm",
              because="batch norms take the whole step" if together else "batch norms take what one GPU has")
    if steps > 1 and not masked:
        r.note(f"they add up the gradients of {steps} batches, whose losses and batch norms know nothing of one another; here a step is one batch")
    return batch


def encoder(c: Config, r: Recipe, method: Method) -> bool:
    """Sets the encoder, and returns whether it is a vision transformer."""
    name = c.get("backbone.name", "text")
    vit = name in VITS
    if name not in RESNETS and not vit:
        raise ConfigError(f"backbone.name: there is no encoder \"{name}\" here", f"it may be: {', '.join([*RESNETS, *VITS])}")
    masked, moco = method.base.endswith("mae_b.json"), method.base.endswith("moco_v3.json")
    taken = {"backbone.kwargs"}
    if vit:
        arch, heads, wide = VITS[name]
        if masked:
            r.set("student.arch", arch, "backbone.name")
            r.set("student.heads", wide, "backbone.name")
        else:
            student = r.swap("student", "model.vit").set("arch", arch, "backbone.name").set("heads", wide if moco else heads, "backbone.name")
            student.set("image", "$size").set("patch", "$patch").set("registers", 0)
            student.set(*(("init", "moco_v3") if moco else ("positions", "learned")))
            if "backbone.kwargs.drop_path_rate" in c:
                student.set("drop_path", c.get("backbone.kwargs.drop_path_rate", "number"), "backbone.kwargs.drop_path_rate")
                taken.add("backbone.kwargs.drop_path_rate")
            for node in method.encoders:
                r.set(f"{node}.pool", "cls", "backbone.name")
            r.set("let.pool", "cls", "backbone.name")
        r.set("let.patch", c.get("backbone.kwargs.patch_size", "integer", 16), "backbone.kwargs.patch_size")
        c.same("backbone.kwargs.img_size", r.sets["let.size"][0], "the encoder's side is that of the crops, let.size")
        taken |= {"backbone.kwargs.patch_size", "backbone.kwargs.img_size"}
        if masked:
            r.set("predictor.out", 3 * r.sets["let.patch"][0] ** 2, "backbone.kwargs.patch_size", because="pixels of a patch")
    else:
        r.set("student.arch", RESNETS[name], "backbone.name")
        small = c.values.get("data.dataset") in ("cifar10", "cifar100")
        r.set("student.stem", "small" if small else "imagenet", "data.dataset")
        r.set("student.zero_last", c.get("backbone.kwargs.zero_init_residual", "truth", False), "backbone.kwargs.zero_init_residual")
        taken.add("backbone.kwargs.zero_init_residual")
    for key in c.under("backbone.kwargs"):
        if key not in taken:
            c.no_counterpart(key, why="of that encoder's code")
    return vit


def mae(c: Config, r: Recipe, method: Method) -> None:
    name = c.get("backbone.name", "text")
    if name not in VITS:
        raise ConfigError(f"backbone.name {name} can't be masked", f"MAE needs one of {', '.join(VITS)}")
    crop = views(c) or without_views(c, r)
    if not crop:
        return decoder(c, r)
    if len(crop) != 1 or c.get(f"{crop[0]}.num_crops", "integer") != 1:
        raise ConfigError("augmentations: MAE's masks are of one crop", "leave one, with num_crops: 1")
    at = crop[0]
    r.set("let.size", c.get(f"{at}.crop_size", "integer"), f"{at}.crop_size")
    c.get(f"{at}.rrc.enabled", "truth", True)
    r.set("crop.area", area(c, at), *area_keys(at))
    r.set("flip.p", c.get(f"{at}.horizontal_flip.prob", "number", 0.0), f"{at}.horizontal_flip.prob")
    for part in ("color_jitter", "grayscale", "gaussian_blur", "solarization", "equalization"):
        if c.get(f"{at}.{part}.prob", "number", 0.0) == 0:
            c.no_meaning(f"{at}.{part}", why="its prob is 0")
        c.no_counterpart(f"{at}.{part}", why="MAE's pipeline has crop and flip: add the node by hand")
    decoder(c, r)


def decoder(c: Config, r: Recipe) -> None:
    for path, name in (("predictor.width", "decoder_embed_dim"), ("predictor.depth", "decoder_depth"), ("predictor.heads", "decoder_num_heads")):
        kwarg(c, r, path, name, "integer")
    kwarg(c, r, "mask.ratio", "mask_ratio")
    kwarg(c, r, "targets.normalise", "norm_pix_loss", "truth")


def views(c: Config) -> list[str]:
    """Prefixes of the entries of augmentations."""
    return sorted({".".join(key.split(".")[:2]) for key in c.values if key.startswith("augmentations.")})


def without_views(c: Config, r: Recipe) -> list[str]:
    r.note("the file has no augmentations: the views are those of the shipped file")
    r.set("let.size", 32 if str(c.values.get("data.dataset")).startswith("cifar") else 224, because="of the data set")
    return []


def area_keys(at: str) -> tuple[str, str]:
    return f"{at}.rrc.crop_min_scale", f"{at}.rrc.crop_max_scale"


def area(c: Config, at: str) -> list[float]:
    low, high = area_keys(at)
    if not c.get(f"{at}.rrc.enabled", "truth", True):
        c.no_counterpart(f"{at}.rrc.enabled", why="without it that code squashes the whole picture: here crops of the whole area")
        return [1, 1]
    return [c.get(low, "number", 0.08), c.get(high, "number", 1.0)]


# Of two_view: a parameter, its key, and whether views of one chain may differ in it.
LOOKS = [
    ("brightness", "color_jitter.brightness", False), ("contrast", "color_jitter.contrast", False), ("saturation", "color_jitter.saturation", False),
    ("hue", "color_jitter.hue", False), ("jitter", "color_jitter.prob", True), ("gray", "grayscale.prob", True), ("blur", "gaussian_blur.prob", True),
    ("solarize", "solarization.prob", True), ("flip", "horizontal_flip.prob", True),
]


def views_of(c: Config, r: Recipe, method: Method) -> None:
    """Sets the two views of each picture: theirs are two entries with one crop each, or one entry with two."""
    entries = views(c) or without_views(c, r)
    if not entries:
        return
    ats: list[str] = []
    for at in entries:
        ats += [at] * c.get(f"{at}.num_crops", "integer")
    sides = [c.get(f"{at}.crop_size", "integer") for at in entries]
    if len(set(sides)) > 1 or len(ats) != 2:
        raise ConfigError(f"augmentations make {len(ats)} crops of {len(set(sides))} sizes: two crops of one size are imported",
                          "small crops: begin with shipped:methods/multi_crop/swav.json or dino_vit_s.json, and set what differs")
    r.set("let.size", sides[0], f"{entries[0]}.crop_size")
    chains = [(method.views[0], ats)] if len(method.views) == 1 else [(view, [at]) for view, at in zip(method.views, ats)]
    for node, chain in chains:
        look(c, r, node, chain)
    for at in entries:
        if c.get(f"{at}.equalization.prob", "number", 0.0) == 0:
            c.no_meaning(f"{at}.equalization", why="its prob is 0")
        c.no_counterpart(f"{at}.equalization", why="there is no node that equalizes histograms")
        for key in c.under(at):
            if key.endswith(".enabled") and not key.endswith("rrc.enabled"):
                c.no_meaning(key, why="that code looks at prob alone")


def look(c: Config, r: Recipe, node: str, chain: list[str]) -> None:
    """Sets how a chain of views is cropped and coloured. Only chances may differ between its views."""
    areas = [area(c, at) for at in chain]
    r.set(f"{node}.area", areas[0], *area_keys(chain[0]))
    differ(c, areas, [key for at in chain for key in area_keys(at)])
    for param, name, each in LOOKS:
        keys = [f"{at}.{name}" for at in chain]
        found = [c.get(key, "number", 0.0) for key in keys]
        one = len(set(found)) == 1
        path = f"{node}/flip.p" if param == "flip" else f"{node}.{param}"
        if one or not each:
            r.set(path, found[0], keys[0])
            if not one:
                differ(c, found, keys)
        else:
            r.set(path, found, *keys, because="of each view")


def differ(c: Config, found: list[object], keys: list[str]) -> None:
    """Marks keys of later views as without counterpart where views of one chain differ in a value that they share: the first view's is used."""
    if all(one == found[0] for one in found):
        return
    first = keys[0].split(".")[1]
    for key in keys:
        if key.split(".")[1] != first:
            c.no_counterpart(key, why="both views of a chain have this in common; the first view's is used")


def optimizer(c: Config, r: Recipe, method: Method, batch: int) -> None:
    kind = c.choose("optimizer.name", {"lars": "train.lars", "sgd": "train.sgd", "adamw": "train.adamw", "adam": "train.adamw"}, "optimizer")
    node = r.swap("update", kind).set("models", method.models)
    steps, scale = c.get("accumulate_grad_batches", "integer"), batch / 256
    # Theirs: lr x batch / 256; the two ends are not scaled, but for the batches whose gradients are added.
    ends = {"start": c.get("scheduler.warmup_start_lr", "number"), "final": c.get("scheduler.min_lr", "number")}
    lr = {"start": ends["start"] * steps / scale, "max": c.get("optimizer.lr", "number"), "final": ends["final"] * steps / scale}
    schedule(c, node, lr)
    node.set("lr_scaling", "linear", because=f"x {batch} / 256, as their code has it").set("reference_batch", 256)
    node.set("weight_decay", c.get("optimizer.weight_decay", "number"), "optimizer.weight_decay")
    rules(c, r, node, kind)
    parts(c, node, method)
    c.no_counterpart("optimizer.classifier_lr", why="no classifier is trained beside the encoder; linear trains one on its features at the end")


def schedule(c: Config, node: Node, lr: dict[str, float]) -> None:
    kind = c.choose("scheduler.name", {"warmup_cosine": "cosine", "step": "milestones", "none": "constant"}, "schedule")
    ends = ("scheduler.warmup_start_lr", "scheduler.min_lr")
    if kind == "cosine":
        node.set("lr", lr, "optimizer.lr", *ends, because="for 256 pictures")
        node.set("warmup_epochs", c.get("scheduler.warmup_epochs", "number"), "scheduler.warmup_epochs")
        if c.choose("scheduler.interval", {"step": "step", "epoch": "epoch"}, "interval") == "epoch":
            node.set("per", "epoch", "scheduler.interval")
        c.no_meaning("scheduler.lr_decay_steps", why="the schedule has no steps")
        return
    for key in (*ends, "scheduler.warmup_epochs", "scheduler.interval"):
        c.no_meaning(key, why="the schedule has no warm-up")
    node.set("lr", {"start": lr["max"], "max": lr["max"], "final": lr["max"]}, "optimizer.lr", because="for 256 pictures")
    node.set("schedule", kind, "scheduler.name").set("warmup_epochs", 0, "scheduler.name")
    if kind == "milestones":
        epochs = c.get("scheduler.lr_decay_steps", "numbers")
        node.set("milestones", epochs, "scheduler.lr_decay_steps").set("per", "epoch", "scheduler.name")
    else:
        c.no_meaning("scheduler.lr_decay_steps", why="the schedule has no steps")


def rules(c: Config, r: Recipe, node: Node, kind: str) -> None:
    at = "optimizer.kwargs"
    if kind != "train.adamw":
        node.set("momentum", c.get(f"{at}.momentum", "number"), f"{at}.momentum")
        c.same(f"{at}.dampening", 0, "its momentum has no dampening")
    if kind == "train.lars":
        clip = c.get(f"{at}.clip_lr", "truth", False)
        node.set("form", "clip" if clip else "decoupled", f"{at}.clip_lr").set("eta", c.get(f"{at}.eta", "number"), f"{at}.eta")
        node.set("one_axis", not c.get(f"{at}.exclude_bias_n_norm", "truth", False), f"{at}.exclude_bias_n_norm", because="the other way round")
        c.same(f"{at}.nesterov", False, "train.lars has no Nesterov momentum")
        c.no_meaning(f"{at}.eps", why="1e-8 is fixed")
        c.no_meaning("optimizer.exclude_bias_n_norm_wd", why="train.lars does not decay them")
    elif kind == "train.sgd":
        node.set("nesterov", c.get(f"{at}.nesterov", "truth", False), f"{at}.nesterov")
        node.set("decay_all", not c.get("optimizer.exclude_bias_n_norm_wd", "truth", False), "optimizer.exclude_bias_n_norm_wd", because="the other way round")
    else:
        node.set("betas", c.get(f"{at}.betas", "pair"), f"{at}.betas").set("eps", c.get(f"{at}.eps", "number", 1e-8), f"{at}.eps")
        c.same("optimizer.exclude_bias_n_norm_wd", True, "train.adamw never decays biases and gains")
        if c.values["optimizer.name"] == "adam":
            r.note("optimizer.name adam: its decay is a part of the gradient, that of train.adamw is not; with weight_decay 0 they are the same")
    for key in c.under(at):
        if key not in c.used:
            c.no_counterpart(key, why=f"{kind} has nothing like it")


def parts(c: Config, node: Node, method: Method) -> None:
    """Sets what only some methods give their optimizer: frozen last layers, clipping, rates that stay."""
    if "names" in method.models:
        key = "method_kwargs.freeze_prototypes_epochs"
        node.set("freeze", {"match": ["names.last_layer"], "epochs": c.get(key, "number")}, key)
    elif method.heads is dino:
        key = "method_kwargs.freeze_last_layer"
        node.set("freeze", {"match": ["head.last_layer"], "epochs": c.get(key, "number")}, key)
        if c.get("method_kwargs.clip_grad", "number"):
            node.set("clip", c.get("method_kwargs.clip_grad", "number"), "method_kwargs.clip_grad").set("clip_over", "parameter")
    elif method.heads is simsiam:
        node.set("rates", {"steady": ["predictor."]}, because="their predictor's rate does not fall")


def data(c: Config, r: Recipe, method: Method, options: Options) -> None:
    dataset, masked = c.get("data.dataset", "text"), method.base.endswith("mae_b.json")
    paths = {name: c.values.get(f"data.{name}_path") for name in ("train", "val")}
    judged = not masked
    if options.data:
        r.set(*(("files.path", f"{options.data}/train") if masked else ("let.path", options.data)), because="--data")
        if judged:
            r.set("unseen.path", "${path}/val", because="--data")
        c.no_meaning("data.train_path", "data.val_path", why="--data is in their place")
    elif dataset in ("cifar10", "cifar100", "stl10"):
        folder = f"data/{dataset}"
        r.set(*(("files.path", f"{folder}/train") if masked else ("let.path", folder)), "data.dataset", because="class folders of pictures")
        c.no_meaning("data.train_path", "data.val_path", why=f"{dataset} is read from class folders of pictures: train and test in {folder}")
        r.note(f"{dataset} is read from class folders of pictures, train and test in {folder}; tools/unpack_cifar10 makes those of CIFAR-10")
    else:
        r.set("files.path", c.get("data.train_path", "text"), "data.train_path")
        judged = judged and paths["val"] is not None and not c.values.get("data.no_labels")
        if judged:
            r.set("known.path", paths["train"], "data.train_path")
            r.set("unseen.path", c.get("data.val_path", "text"), "data.val_path")
        else:
            c.no_meaning("data.val_path", why="nothing is evaluated")
    if not judged and not masked:
        r.drop(*JUDGES)
        r.note("there are no labels, or no data.val_path: the pipeline evaluates nothing")
    if c.get("data.no_labels", "truth", False):
        c.used["data.no_labels"] = ["drop"]
    if "data.format" in c:
        c.choose("data.format", {"image_folder": "", "dali": ""}, "format of data")
    c.same("data.fraction", -1, "sources take all pictures: a list of files names some (docs/data.md)")
    c.no_meaning("data.num_workers", why="data threads and copies are the engine's: run.threads, run.read_ahead")
    channels(c, r, method, dataset, judged)


def channels(c: Config, r: Recipe, method: Method, dataset: str, judged: bool) -> None:
    uploads = method.uploads + [f"{name}_images/upload" for name in ("known", "unseen")] * judged
    given = [at for at in views(c) if f"{at}.mean" in c and f"{at}.std" in c]
    if dataset in CHANNELS:
        for upload in uploads:
            r.set(f"{upload}.mean", CHANNELS[dataset][0], "data.dataset")
            r.set(f"{upload}.std", CHANNELS[dataset][1], "data.dataset")
        for at in given:
            c.no_meaning(f"{at}.mean", f"{at}.std", why=f"that code has numbers of its own for {dataset}")
    elif given and dataset == "custom":
        for param in ("mean", "std"):
            found = [c.get(f"{at}.{param}", "numbers") for at in given]
            for upload in uploads:
                r.set(f"{upload}.{param}", found[0], f"{given[0]}.{param}")
            differ(c, found, [f"{at}.{param}" for at in given])


def evaluation(c: Config, r: Recipe, masked: bool) -> None:
    if not masked:
        size = r.sets["let.size"][0]
        r.set("let.resize", size if size < 64 else round(size * 256 / 224), because="side of the pictures that are judged, before their middle is cut out")
    if not c.get("knn_eval.enabled", "truth", False) or masked or "knn" in r.drops:
        c.no_meaning("knn_eval", why="it is off there, or there is nothing to judge")
        return
    r.set("knn.k", [c.get("knn_eval.k", "integer")], "knn_eval.k")
    r.set("knn.at", ["1 epoch", "end"], "knn_eval.enabled")
    c.same("knn_eval.distance_func", "cosine", "eval.knn's distance is the cosine")


def machinery(c: Config, r: Recipe) -> None:
    """Settles the keys of machine and program: precision, device, workers, logs."""
    precision = str(c.values.get("precision", "16-mixed"))
    ours = {"32": "fp32", "32-true": "fp32", "bf16-mixed": "bf16"}.get(precision)
    if ours:
        c.used["precision"] = []
        r.set("run.precision", ours, "precision")
    c.no_meaning("precision", why="run.precision is auto: bf16 where the hardware has it; there is no float16")
    if c.values.get("accelerator") == "cpu":
        c.get("accelerator", "text")
        r.set("run.device", "cpu", "accelerator")
    else:
        c.no_meaning("accelerator", why="run.device is auto: a GPU where there is one")
    every = c.get("checkpoint.frequency", "integer", 1)
    r.set("save.every", f"{every} epoch{'s' * (every != 1)}", "checkpoint.frequency")
    c.no_meaning("checkpoint.enabled", "checkpoint.dir", "checkpoint.keep_prev", why="every run has checkpoints, in its folder; save.keep says how many")
    c.no_meaning("hydra", "wandb", "strategy", "auto_resume", "auto_umap", "debug_augmentations", "dali", "performance",
                 why="of that program: runs are named by --out, continued by --resume, and sent to trackers by flowrun.log")
    c.same("resume_from_checkpoint", None, "checkpoints of that code are not continued; flowrun RUN --resume continues ours")
