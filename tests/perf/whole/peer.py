"""Runs the public training code of I-JEPA or MAE on the CPU for some steps, and writes one line of JSON: what they cost.

    peer.py METHOD FOLDER SETTINGS      SETTINGS is JSON: data, scratch, shape, batch, workers, threads, warm_up, steps

The code in FOLDER is used as it is: its entry point is called (src/train.py's or main_pretrain.py's main), which makes the
transforms, the DataLoader, the masks, the models, the loss, the optimizer and the log. Nothing of it is copied here. A hook of
PyTorch's, which is called behind every step of any optimizer, counts the steps, reads the clocks and ends the run.

Replacements, made before the entry point is called, because the code is older than PyTorch 2.11 or expects a GPU:

I-JEPA  src.train.DistributedDataParallel returns the model itself: with one process there is nothing to exchange.
        A model of the wanted size is added to src.models.vision_transformer, from its own class.
MAE     torch._six, which PyTorch no longer has, is a module with inf.
        timm: the version that main_pretrain.py asks for is claimed; Block drops qk_scale, which is None; add_weight_decay
        is the function that replaced it. Attention is thus that of the installed timm.
        numpy.float is float. torch.cuda.synchronize does nothing.
        A model of the wanted size is added to models_mae, from its own class.
All of these save time or cost none.
"""

import functools
import json
import multiprocessing
import os
import sys
import time
import types
from pathlib import Path


class Done(BaseException):
    """Ends the peer's training loop. Not an Exception, which the peer's code might catch."""


def value_of(path, *names):
    """The sum of named lines of a file of /proc in MiB."""
    lines = dict(line.split(":", 1) for line in Path(path).read_text().splitlines() if ":" in line)
    return sum(int(lines[name].split()[0]) for name in names) / 1024


class Steps:
    """Called behind each step of the optimizer."""

    def __init__(self, settings, out):
        self.warm_up, self.steps, self.batch, self.out = settings["warm_up"], settings["steps"], settings["batch"], out
        self.done, self.began = 0, None

    def __call__(self, optimizer, *_):
        self.done += 1
        if self.done == self.warm_up:
            self.began = time.perf_counter(), self.processor_seconds()
        if self.done < self.warm_up + self.steps:
            return
        seconds, busy = time.perf_counter() - self.began[0], self.processor_seconds() - self.began[1]
        images = self.steps * self.batch
        trained = sum(p.numel() for group in optimizer.param_groups for p in group["params"] if p.requires_grad)
        self.out.write(json.dumps({"images": images, "seconds": seconds, "cpu_seconds": busy, "peak_mib": self.peak_mib(), "parameters": trained}) + "\n")
        self.out.flush()
        raise Done

    @staticmethod
    def processor_seconds():
        """Of this process and of the DataLoader's workers, which live as long as the pass over the data."""
        total = time.process_time()
        for worker in multiprocessing.active_children():
            fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total

    @staticmethod
    def peak_mib():
        """This process at its largest, and what the workers hold alone: what they share with it isn't counted twice."""
        alone = (value_of(f"/proc/{worker.pid}/smaps_rollup", "Private_Clean", "Private_Dirty") for worker in multiprocessing.active_children())
        return value_of("/proc/self/status", "VmHWM") + sum(alone)


def ijepa(settings):
    import torch.nn
    from src import train
    from src.models import vision_transformer

    shape = settings["shape"]
    train.DistributedDataParallel = lambda model, **_: model
    vision_transformer.sized = functools.partial(
        vision_transformer.VisionTransformer, embed_dim=shape["width"], depth=shape["depth"], num_heads=shape["heads"], mlp_ratio=4, qkv_bias=True,
        norm_layer=functools.partial(torch.nn.LayerNorm, eps=1e-6))
    # As configs/in1k_vith14_ep300.yaml, with another model, other batches and float32.
    train.main({
        "data": {"batch_size": settings["batch"], "color_jitter_strength": 0.0, "crop_scale": [0.3, 1.0], "crop_size": shape["image"],
                 "image_folder": "", "num_workers": settings["workers"], "pin_mem": False, "root_path": settings["data"],
                 "use_color_distortion": False, "use_gaussian_blur": False, "use_horizontal_flip": False},
        "logging": {"folder": settings["scratch"], "write_tag": "jepa"},
        "mask": {"allow_overlap": False, "aspect_ratio": [0.75, 1.5], "enc_mask_scale": [0.85, 1.0], "min_keep": 10, "num_enc_masks": 1,
                 "num_pred_masks": 4, "patch_size": shape["patch"], "pred_mask_scale": [0.15, 0.2]},
        "meta": {"copy_data": False, "load_checkpoint": False, "model_name": "sized", "pred_depth": shape["narrow_depth"],
                 "pred_emb_dim": shape["narrow"], "read_checkpoint": None, "use_bfloat16": False},
        "optimization": {"ema": [0.996, 1.0], "epochs": 300, "final_lr": 1e-6, "final_weight_decay": 0.4, "ipe_scale": 1.0, "lr": 0.001,
                         "start_lr": 0.0002, "warmup": 40, "weight_decay": 0.04},
    })


def mae(settings):
    import numpy
    import timm.models.vision_transformer
    import timm.optim.optim_factory
    import torch

    six = types.ModuleType("torch._six")
    six.inf = float("inf")
    sys.modules["torch._six"] = six
    timm.__version__ = "0.3.2"
    block = timm.models.vision_transformer.Block
    timm.models.vision_transformer.Block = lambda *words, qk_scale=None, **named: block(*words, **named)
    timm.optim.optim_factory.add_weight_decay = timm.optim.param_groups_weight_decay
    numpy.float = float
    torch.cuda.synchronize = lambda *_: None

    import main_pretrain
    import models_mae

    shape = settings["shape"]
    models_mae.sized = functools.partial(
        models_mae.MaskedAutoencoderViT, img_size=shape["image"], patch_size=shape["patch"], embed_dim=shape["width"], depth=shape["depth"],
        num_heads=shape["heads"], decoder_embed_dim=shape["narrow"], decoder_depth=shape["narrow_depth"], decoder_num_heads=shape["narrow_heads"],
        mlp_ratio=4, norm_layer=functools.partial(torch.nn.LayerNorm, eps=1e-6))
    # As PRETRAIN.md, with another model and other batches.
    words = {"model": "sized", "input_size": shape["image"], "batch_size": settings["batch"], "mask_ratio": 0.75, "epochs": 800, "warmup_epochs": 40,
             "blr": 1.5e-4, "weight_decay": 0.05, "data_path": settings["data"], "device": "cpu", "num_workers": settings["workers"],
             "output_dir": settings["scratch"], "log_dir": settings["scratch"]}
    line = ["--norm_pix_loss", "--no_pin_mem", *(word for name, value in words.items() for word in (f"--{name}", str(value)))]
    main_pretrain.main(main_pretrain.get_args_parser().parse_args(line))


def main():
    method, folder, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the peer prints what it likes
    sys.path.insert(0, folder)

    import torch
    from torch.optim.optimizer import register_optimizer_step_post_hook

    torch.set_num_threads(settings["threads"])
    register_optimizer_step_post_hook(Steps(settings, out))
    try:
        {"ijepa": ijepa, "mae": mae}[method](settings)
    except Done:
        return
    sys.exit(f"the code in {folder} ended after fewer than {settings['warm_up'] + settings['steps']} steps")


if __name__ == "__main__":
    main()
