"""Writes reference tensors of tiny Bootleg models: make_reference.py FOLDER

For every case and for float64 and float32, FOLDER/<case>_<dtype>.safetensors holds, three optimiser steps long:
    weight/<model>/<name>               values to start with (student, teacher, predictor)
    step<i>/images, visible, targets    inputs, i = 1..3
    tap/<block>, target, prediction, loss, loss_per_tap, grad/<model>/<name>          of step 1
    cls, patch, features/cls, features/patch                                          student's outputs, step 1
    loss<i>, after/<model>/<name>, exp_avg/…, exp_avg_sq/…                            after the three steps
"""

import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from twin import Encoder, Predictor, decay_groups, make_targets, warmup_cosine

CASES = {
    "full": dict(image=32, patch=8, width=32, depth=4, heads=2, class_token=True, registers=4, taps=[1, 2, 4],
                 predictor=dict(width=16, depth=3, heads=4, registers=4), batch=3, visible=5, regions=4, length=3),
    "bare": dict(image=24, patch=4, width=24, depth=3, heads=3, class_token=False, registers=0, taps=[2],
                 predictor=dict(width=12, depth=1, heads=2, registers=0), batch=2, visible=9, regions=2, length=6),
}
STEPS, WARMUP, TOTAL, MAX_LR, MOMENTUM, DECAY = 3, 2, 10, 1e-3, 0.9, 0.05


def randomise(module, generator):
    """Weights that make every gradient matter: nothing is zero, gains are near one."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            scale = p.shape[1] ** -0.5 if p.dim() == 2 else 0.2
            p.copy_(noise * scale + (1 if "norm" in name and name.endswith("weight") else 0))


def build(case, dtype):
    torch.set_default_dtype(dtype)
    grid = case["image"] // case["patch"]
    arch = {k: case[k] for k in ("image", "patch", "width", "depth", "heads", "class_token", "registers")}
    models = dict(student=Encoder(**arch), teacher=Encoder(**arch),
                  predictor=Predictor(grid, case["width"], out_width=len(case["taps"]) * case["width"], **case["predictor"]))
    generator = torch.Generator().manual_seed(7)
    for module in models.values():
        randomise(module, generator)
    models["teacher"].requires_grad_(False)
    return models


def draw_inputs(case, dtype):
    generator = torch.Generator().manual_seed(11)
    patches = (case["image"] // case["patch"]) ** 2
    for _ in range(STEPS):
        images = torch.randn(case["batch"], 3, case["image"], case["image"], generator=generator, dtype=torch.float64)
        order = torch.stack([torch.randperm(patches, generator=generator) for _ in range(case["batch"])])
        visible = order[:, : case["visible"]].sort().values
        hidden = order[:, case["visible"] :]
        targets = torch.stack([
            torch.stack([h[torch.randperm(len(h), generator=generator)[: case["length"]]].sort().values
                         for _ in range(case["regions"])]) for h in hidden])
        yield images.to(dtype), visible, targets


def run(case, dtype):
    models, out = build(case, dtype), {}
    student, teacher, predictor = models["student"], models["teacher"], models["predictor"]
    for model, module in models.items():
        out |= {f"weight/{model}/{n}": p.detach().clone() for n, p in module.named_parameters()}
    decayed, plain = decay_groups(student, predictor)
    optimizer = torch.optim.AdamW([dict(params=decayed, weight_decay=DECAY), dict(params=plain, weight_decay=0.0)],
                                  lr=0.0, betas=(0.9, 0.95), eps=1e-8, foreach=False)
    for step, (images, visible, targets) in enumerate(draw_inputs(case, dtype), start=1):
        out |= {f"step{step}/images": images, f"step{step}/visible": visible, f"step{step}/targets": targets}
        with torch.no_grad():
            taps = teacher.hidden(images, case["taps"])
            target = make_targets(taps, targets)
        cls, patch = student(images, visible)
        prediction = predictor(cls, patch, visible, targets)
        loss = F.mse_loss(prediction, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        out[f"loss{step}"] = loss.detach()
        if step == 1:
            out |= {f"tap/{b}": t.contiguous() for b, t in zip(case["taps"], taps)}
            out |= dict(target=target, prediction=prediction.detach(), patch=patch.detach().contiguous())
            width = case["width"]
            out["loss_per_tap"] = torch.stack([
                F.mse_loss(prediction[..., i * width : (i + 1) * width], target[..., i * width : (i + 1) * width])
                for i in range(len(taps))]).detach()
            with torch.no_grad():
                full_cls, full_patch = student(images)
            out["features/patch"] = full_patch.contiguous()
            if cls is not None:
                out |= {"cls": cls.detach().contiguous(), "features/cls": full_cls.contiguous()}
            for model in ("student", "predictor"):
                out |= {f"grad/{model}/{n}": p.grad.clone() for n, p in models[model].named_parameters()}
        for group in optimizer.param_groups:
            group["lr"] = warmup_cosine(step, WARMUP, TOTAL, 1e-4, MAX_LR, 1e-4)
        optimizer.step()
        with torch.no_grad():
            for t, s in zip(teacher.parameters(), student.parameters()):
                t.mul_(MOMENTUM).add_(s, alpha=1 - MOMENTUM)
    for model, module in models.items():
        for n, p in module.named_parameters():
            out[f"after/{model}/{n}"] = p.detach().clone()
            if p in optimizer.state:
                out[f"exp_avg/{model}/{n}"] = optimizer.state[p]["exp_avg"]
                out[f"exp_avg_sq/{model}/{n}"] = optimizer.state[p]["exp_avg_sq"]
    return out


def main(folder):
    torch.set_num_threads(1)
    for name, case in CASES.items():
        for dtype, label in ((torch.float64, "float64"), (torch.float32, "float32")):
            tensors = {key: value.contiguous() for key, value in run(case, dtype).items()}
            save_file(tensors, f"{folder}/{name}_{label}.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
