"""Writes reference tensors of the compared methods: make_methods.py FOLDER

FOLDER/methods_<dtype>.safetensors holds, each written the obvious way from the papers' definitions:
    image, visible, targets, repeated      inputs; repeated: two masks per image
    tap/1, tap/2, target/<case>            hidden blocks, and what is made of them
    pixels/plain, pixels/normalised
    prediction, goal, loss/<kind>, loss_grad/<kind>
    cross/…, conv/…, joint/…               predictors: weights, inputs, output, gradients
    vit/…                                  an encoder with layer scale and learned positions: weights, taps, features
    timed/…, timed_predictor/…             an encoder and a predictor whose norms adapt to times: weights, outputs, gradients
FOLDER/hog.safetensors holds images, scikit-image's histograms of them, and those of MaskFeat's operator in float64 and float32.
"""

import math
import sys

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from skimage.feature import hog
from torch import nn

from make_reference import randomise
from twin import Attention, Block, Encoder, Mlp, Predictor, rows, sincos

B, N, GRID, D, PATCH = 3, 16, 4, 24, 4


def noise(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(torch.get_default_dtype())


def choose(count, length, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(N, generator=generator)[:length].sort().values for _ in range(count)])


def gather(x, index):
    """x [B, N, D], index [B r, R, M]: r masks per image."""
    repeats = len(index) // len(x)
    return rows(x.repeat_interleave(repeats, 0), index.flatten(1)).unflatten(1, index.shape[1:])


def features(x, eps=1e-5, unbiased=False):
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, unbiased=unbiased) + eps)


def tokens(x, eps=1e-5):
    return (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, keepdim=True, unbiased=False) + eps)


def targets(taps, index):
    average = sum(tokens(t) for t in taps) / len(taps)
    return {
        "concat": torch.cat([features(gather(t, index)) for t in taps], -1),
        "mean": sum(features(gather(t, index)) for t in taps) / len(taps),
        "sum": sum(features(gather(t, index)) for t in taps),
        "mean_standardised": features(sum(features(gather(t, index)) for t in taps) / len(taps)),
        "tokens": torch.cat([gather(tokens(t), index) for t in taps], -1),
        "none": torch.cat([gather(t, index) for t in taps], -1),
        "data2vec": gather(features(average), index),
        "data2vec_pooled": features(average).mean(1)[:, None, None].repeat_interleave(len(index) // len(taps[0]), 0),
    }


def losses(prediction, goal):
    parts = [(p, g) for p, g in zip(prediction.chunk(2, -1), goal.chunk(2, -1))]
    return {
        "mse": F.mse_loss(prediction, goal),
        "l1": F.l1_loss(prediction, goal),
        "smooth_l1": F.smooth_l1_loss(prediction, goal, beta=0.5),
        "cosine": sum((1 - F.cosine_similarity(p, g, dim=-1)).mean() for p, g in parts) / 2,
    }


class CrossPredictor(nn.Module):
    """CrossMAE's decoder as in its paper."""

    def __init__(self, maps, width, depth, heads, out):
        super().__init__()
        self.heads = heads
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.wfm = nn.ModuleDict({"linear": nn.Linear(maps, depth, bias=False)})
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            cross = nn.ModuleDict({"q": nn.Linear(width, width), "kv": nn.Linear(D, 2 * width), "proj": nn.Linear(width, width)})
            self.blocks.append(nn.ModuleDict({"norm1": nn.LayerNorm(width, eps=1e-6), "cross_attn": cross, "norm2": nn.LayerNorm(width, eps=1e-6),
                                              "mlp": Mlp(width, 4 * width)}))
        self.dec_norms = nn.ModuleList(nn.LayerNorm(D, eps=1e-6) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pred = nn.Linear(width, out)
        self.pos = sincos(GRID, width, torch.get_default_dtype())

    def attend(self, block, x, memory):
        split = lambda t: t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q = split(block["cross_attn"]["q"](block["norm1"](x)))
        k, v = (split(t) for t in block["cross_attn"]["kv"](memory).chunk(2, -1))
        weights = torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1)
        return block["cross_attn"]["proj"]((weights @ v).transpose(1, 2).flatten(2))

    def forward(self, maps, index):
        memories = self.wfm["linear"](torch.stack(maps, -1)).unbind(-1)
        out = []
        for region in index.unbind(1):  # region by region: mask tokens don't see each other
            x = self.mask_token + self.pos[region]
            for block, memory, norm in zip(self.blocks, memories, self.dec_norms):
                x = x + self.attend(block, x, norm(memory))
                x = x + block["mlp"](block["norm2"](x))
            out.append(self.pred(self.norm(x)))
        return torch.stack(out, 1)


class ConvPredictor(nn.Module):
    """data2vec 2.0's decoder over a filled grid."""

    def __init__(self, width, depth, groups, out):
        super().__init__()
        sizes = [D] + [width] * depth
        self.blocks = nn.ModuleList(nn.ModuleDict({"conv": nn.Conv2d(a, b, 3, padding=1, groups=groups)}) for a, b in zip(sizes, sizes[1:]))
        self.proj = nn.Linear(width, out)

    def forward(self, x):
        x = x.transpose(1, 2).unflatten(-1, (GRID, GRID))
        for block in self.blocks:
            y = block["conv"](x)
            y = F.gelu(F.layer_norm(y.permute(0, 2, 3, 1), y.shape[1:2]).permute(0, 3, 1, 2))
            x = x + y if x.shape == y.shape else y
        return self.proj(x.flatten(2).transpose(1, 2))


class ScaledBlock(nn.Module):
    def __init__(self, heads):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(D, eps=1e-6), Attention(D, heads)
        self.ls1 = nn.ParameterDict({"gamma": nn.Parameter(torch.ones(D))})
        self.norm2, self.mlp = nn.LayerNorm(D, eps=1e-6), Mlp(D, 4 * D)
        self.ls2 = nn.ParameterDict({"gamma": nn.Parameter(torch.ones(D))})

    def forward(self, x):
        attention = self.ls1["gamma"] * self.attn(self.norm1(x))
        middle = x + attention
        mlp = self.ls2["gamma"] * self.mlp(self.norm2(middle))
        return {"attention": attention, "middle": middle, "mlp": mlp, "output": middle + mlp}


class ScaledVit(Encoder):
    """With layer scale and learned positions; with all taps of a block."""

    def __init__(self):
        super().__init__(image=GRID * PATCH, patch=PATCH, width=D, depth=2, heads=3, registers=2)
        self.blocks = nn.ModuleList(ScaledBlock(3) for _ in range(2))
        self.pos_embed = nn.Parameter(torch.zeros(1, N, D))

    def run(self, images, visible=None):
        self.pos = self.pos_embed
        x = self.patch_embed(images) + self.pos_embed
        if visible is not None:
            x = rows(x, visible)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), self.reg_token.expand(len(x), -1, -1), x], 1)
        taps = []
        for block in self.blocks:
            taps.append(block(x))
            x = taps[-1]["output"]
        return taps, self.norm(x)


class Time(nn.Module):
    """Sinusoids of a time through two layers, as UMD's code has them; the SiLU behind is that of adaLN."""

    def __init__(self, width):
        super().__init__()
        self.width = width
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, time):
        half = self.width // 2
        angles = time.to(torch.get_default_dtype())[:, None] * torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
        return F.silu(self.fc2(F.silu(self.fc1(torch.cat([angles.sin(), angles.cos()], -1)))))


class AdaptiveBlock(Block):
    def __init__(self, width, heads):
        super().__init__(width, heads)
        self.ada = nn.Linear(width, 6 * width)

    def forward(self, x, condition):
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = (t.unsqueeze(1) for t in self.ada(condition).split(x.shape[-1], -1))
        x = x + gate_1 * self.attn(self.norm1(x) * (1 + scale_1) + shift_1)
        return x + gate_2 * self.mlp(self.norm2(x) * (1 + scale_2) + shift_2)


class TimedEncoder(Encoder):
    def __init__(self):
        super().__init__(image=GRID * PATCH, patch=PATCH, width=D, depth=2, heads=3, registers=1)
        self.blocks = nn.ModuleList(AdaptiveBlock(D, 3) for _ in range(2))
        self.time = Time(D)

    def forward(self, images, time, visible=None):
        x, condition = self.tokens(images, visible), self.time(time)
        for block in self.blocks:
            x = block(x, condition)
        return self.norm(x)


class TimedPredictor(Predictor):
    """Predicts visible patches, too, by a layer of their own; one sequence with all regions."""

    def __init__(self, width, visible_out):
        super().__init__(GRID, D, width, 2, 4, 10, registers=1)
        self.blocks = nn.ModuleList(AdaptiveBlock(width, 4) for _ in range(2))
        self.visible_proj, self.time, self.final = nn.Linear(width, visible_out), Time(width), nn.Linear(width, 2 * width)

    def forward(self, cls, patch, visible, targets, time):
        seen = self.embed(patch) + self.pos[visible]
        x = torch.cat([self.reg_token.expand(len(patch), -1, -1), self.embed(cls), seen, self.mask_token + self.pos[targets.flatten(1)]], 1)
        condition = self.time(time)
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.final(condition).unsqueeze(1).chunk(2, -1)
        x = self.norm(x) * (1 + scale) + shift
        return self.proj(x[:, 2 + visible.shape[1] :]).unflatten(1, targets.shape[1:]), self.visible_proj(x[:, 2 : 2 + visible.shape[1]]).unsqueeze(1)


def record(out, name, module, result):
    """Weights, output, and the gradients of the sum of squares."""
    out |= {f"{name}/weight/{n}": p.detach().clone() for n, p in module.named_parameters()}
    module.zero_grad()
    result.square().sum().backward()
    out[f"{name}/output"] = result.detach()
    out |= {f"{name}/grad/{n}": p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


def run():
    out = {"image": noise(B, 3, GRID * PATCH, GRID * PATCH, seed=1), "visible": choose(B, 5, 2),
           "targets": torch.stack([choose(B, 4, 3), choose(B, 4, 4)], 1), "repeated": torch.stack([choose(2 * B, 3, 5)], 1)}
    taps = [noise(B, N, D, seed=6), 3 * noise(B, N, D, seed=7) + 1]
    out |= {"tap/1": taps[0], "tap/2": taps[1]}
    for prefix, index in (("target/", out["targets"]), ("target_repeated/", out["repeated"])):
        out |= {prefix + name: value for name, value in targets(taps, index).items()}
    patches = F.unfold(out["image"], PATCH, stride=PATCH).transpose(1, 2).unflatten(-1, (3, PATCH * PATCH)).transpose(-1, -2).flatten(-2)
    out["pixels/plain"] = gather(patches, out["targets"])
    out["pixels/normalised"] = features(out["pixels/plain"], 1e-6, True)
    prediction, goal = noise(B, 2, 4, 2 * D, seed=8).requires_grad_(), noise(B, 2, 4, 2 * D, seed=9)
    out |= {"prediction": prediction.detach(), "goal": goal}
    for name, value in losses(prediction, goal).items():
        out[f"loss/{name}"] = value.detach()
        out[f"loss_grad/{name}"] = torch.autograd.grad(value, prediction)[0]
    generator = torch.Generator().manual_seed(10)
    maps = [noise(B, 6, D, seed=11), noise(B, 6, D, seed=12)]
    out |= {"map/1": maps[0], "map/2": maps[1]}
    cross = CrossPredictor(2, 16, 2, 4, 10)
    randomise(cross, generator)
    record(out, "cross", cross, cross(maps, out["targets"]))
    conv = ConvPredictor(16, 3, 4, 10)
    randomise(conv, generator)
    record(out, "conv", conv, conv(taps[0]))
    joint = Predictor(GRID, D, 16, 2, 4, 10, registers=1)
    randomise(joint, generator)
    out |= {"joint/cls": noise(B, 1, D, seed=13), "joint/patch": noise(B, 5, D, seed=14)}
    everything = joint(out["joint/cls"], out["joint/patch"], out["visible"], out["targets"].flatten(1).unsqueeze(1))
    record(out, "joint", joint, everything.view(B, 2, 4, 10))
    vit = ScaledVit()
    randomise(vit, generator)
    with torch.no_grad():
        for name, p in vit.named_parameters():
            p.add_(0.5 if name.endswith("gamma") else 0)
    found, last = vit.run(out["image"])
    for block, tap in enumerate(found, 1):
        out |= {f"vit/tap/{name}/{block}": value[:, 3:].detach() for name, value in tap.items()}
    out["vit/tap/last"] = last[:, 3:].detach()
    record(out, "vit", vit, vit.run(out["image"], out["visible"])[1])
    timed, out["times"] = TimedEncoder(), torch.tensor([0, 1, 1000])
    randomise(timed, generator)
    out |= {"timed/whole": timed(out["image"], out["times"]).detach(), "timed/clean": timed(out["image"], torch.zeros(B)).detach()}
    record(out, "timed", timed, timed(out["image"], out["times"], out["visible"]))
    timed = TimedPredictor(16, 7)
    randomise(timed, generator)
    hidden, visible = timed(out["joint/cls"], out["joint/patch"], out["visible"], out["targets"], out["times"])
    out |= {"timed_predictor/hidden": hidden.detach(), "timed_predictor/visible": visible.detach()}
    record(out, "timed_predictor", timed, torch.cat([hidden.flatten(), visible.flatten()]))
    return out


def histograms():
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(15), dtype=torch.float64)
    cells = [[hog(channel.numpy(), orientations=9, pixels_per_cell=(8, 8), cells_per_block=(1, 1), block_norm="L2", feature_vector=False)
              for channel in image] for image in images]  # [B][C] of [rows, columns, 1, 1, bins]
    return {"images": images, "cells": torch.from_numpy(numpy.array(cells)[:, :, :, :, 0, 0]).permute(0, 1, 4, 2, 3),
            **{f"maskfeat_{label}": maskfeat_cells(images.to(dtype)) for dtype, label in ((torch.float64, "float64"), (torch.float32, "float32"))}}


def maskfeat_cells(images, bins=9, cell=8):
    """By convolutions, as the method defines it: Sobel's kernels of each channel on reflected borders, hard bins of the whole turn folded
    to half of it, sums over cells, unit length."""
    sobel = torch.tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]], dtype=images.dtype).expand(3, 1, 3, 3)
    padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
    gx, gy = F.conv2d(padded, sobel, groups=3), F.conv2d(padded, sobel.transpose(2, 3), groups=3)
    named = torch.floor(torch.atan2(gx, gy) / torch.pi * bins).long() % bins
    split = F.one_hot(named, bins).movedim(-1, 2) * torch.hypot(gx, gy).unsqueeze(2)
    return F.normalize(F.avg_pool2d(split.flatten(0, 1), cell).unflatten(0, (len(images), 3)) * cell ** 2, dim=2)


def main(folder):
    torch.set_num_threads(1)
    for dtype, label in ((torch.float64, "float64"), (torch.float32, "float32")):
        torch.set_default_dtype(dtype)
        save_file({name: value.contiguous() for name, value in run().items()}, f"{folder}/methods_{label}.safetensors")
    save_file({name: value.contiguous() for name, value in histograms().items()}, f"{folder}/hog.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
