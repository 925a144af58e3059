"""The heads of model.probe as plain PyTorch modules, float64: probe_check.py FILE.safetensors

FILE holds x, labels, and the parameters of head 1 under their names without "heads.1." or "blocks.1."; metadata kind and
heads. Writes FILE.out: loss, scores, and the gradient of each parameter; for linear also the normalised features and the
running statistics after one batch, and the features normalised with them.
"""

import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F


class CrossAttention(nn.Module):
    """V-JEPA's, of depth 1: no projection behind the attention."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)

    def forward(self, q, x):
        b, n, d = q.shape
        q = self.q(q).reshape(b, n, self.heads, d // self.heads).permute(0, 2, 1, 3)
        kv = self.kv(x).reshape(b, x.shape[1], 2, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        attention = ((q @ kv[0].transpose(-2, -1)) * (d // self.heads) ** -0.5).softmax(-1)
        return (attention @ kv[1]).transpose(1, 2).reshape(b, n, d)


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Attentive(nn.Module):
    def __init__(self, width, heads, classes):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(1, 1, width))
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.xattn = CrossAttention(width, heads)
        self.mlp = Mlp(width)
        self.linear = nn.Linear(width, classes)

    def forward(self, x):
        q = self.query.repeat(len(x), 1, 1)
        q = q + self.xattn(q, self.norm1(x))
        q = q + self.mlp(self.norm2(q))
        return self.linear(q.squeeze(1))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-2, -1) * (d // self.heads) ** -0.5).softmax(-1)
        return self.proj((attention @ v).transpose(1, 2).reshape(b, n, d))


class Segment(nn.Module):
    def __init__(self, width, heads, classes, block):
        super().__init__()
        if block:
            self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
            self.attn, self.mlp = Attention(width, heads), Mlp(width)
        self.block = block
        self.linear = nn.Linear(width, classes)

    def forward(self, x):
        if self.block:
            x = x + self.attn(self.norm1(x))
            x = x + self.mlp(self.norm2(x))
        side = int(x.shape[1] ** 0.5)
        return self.linear(x).transpose(1, 2).reshape(len(x), -1, side, side)


def main(path):
    with safe_open(path, framework="pt") as file:
        options = file.metadata()
        t = {key: file.get_tensor(key).double() for key in file.keys()}
    x, labels = t.pop("x"), t.pop("labels").long()
    width, classes, heads, kind = x.shape[-1], len(t["linear.bias"]), int(options["heads"]), options["kind"]
    out = {}
    if kind == "linear":
        model = nn.Sequential()
        model.add_module("norm", nn.BatchNorm1d(width, affine=False, eps=1e-6))
        model.add_module("linear", nn.Linear(width, classes))
    elif kind == "attentive":
        model = Attentive(width, heads, classes)
    else:
        model = Segment(width, heads, classes, kind == "segment_block")
    model.double()
    names = {("xattn." if kind == "attentive" and key[:2] in ("q.", "kv") else "") + key: key for key in t}
    model.load_state_dict({name: t[key] for name, key in names.items()}, strict=kind != "linear")

    scores = model(x)
    resized = scores
    if labels.dim() == 3:
        resized = F.interpolate(scores, labels.shape[1:], mode="bilinear", align_corners=False)
    loss = F.cross_entropy(resized, labels, ignore_index=255)
    loss.backward()
    out.update({"loss": loss.detach().reshape(1), "scores": scores.detach(), "named": resized.argmax(1).double()})
    out.update({f"gradient.{names[name]}": value.grad for name, value in model.named_parameters()})
    if kind == "linear":
        out["mean"], out["variance"] = model.norm.running_mean, model.norm.running_var
        model.eval()
        out["normalised"] = model.norm(x)
    save_file({key: value.contiguous() for key, value in out.items()}, path + ".out")


if __name__ == "__main__":
    main(sys.argv[1])
