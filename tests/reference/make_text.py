"""CLIP's two ends as tensors: make_text.py FOLDER

KIND.safetensors (float64) for causal, mutual and quick (causal, with x sigmoid(1.702 x) in place of GELU): p/NAME parameters of a text tower that PyTorch's own TransformerEncoder computes, under
Flowrun's names, ids and end (the place of each text's end), end_vectors, start and mean, w, and g/NAME gradients of sum(MEAN * w) (mutual) or
sum(END * w) (the others).
loss.safetensors: picture, text, log (the logarithm of the scale), value and smooth (0.1) of the symmetric loss, and their gradients g/… and s/….
"""

import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

NAMES = {"self_attn.in_proj_weight": "attn.qkv.weight", "self_attn.in_proj_bias": "attn.qkv.bias", "self_attn.out_proj": "attn.proj",
         "linear1": "mlp.fc1", "linear2": "mlp.fc2"}


class Tower(torch.nn.Module):
    def __init__(self, causal, activation="gelu", vocabulary=20, context=9, width=12, depth=2, heads=3):
        super().__init__()
        self.causal = causal
        self.token_embedding = torch.nn.Embedding(vocabulary, width)
        self.positional_embedding = torch.nn.Parameter(torch.zeros(context, width))
        layer = torch.nn.TransformerEncoderLayer(width, heads, 4 * width, 0, activation, norm_first=True, batch_first=True)
        self.blocks = torch.nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = torch.nn.LayerNorm(width)

    def forward(self, ids, end):
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        place = torch.arange(ids.shape[1])
        behind = place > end[:, None]
        if self.causal:
            x = self.blocks(x, mask=place[None, :] > place[:, None])
        else:
            x = self.blocks(x, src_key_padding_mask=behind)
        x = self.norm(x)
        mean = torch.stack([row[: stop + 1].mean(0) for row, stop in zip(x, end)])
        return {"end": x[torch.arange(len(x)), end], "start": x[:, 0], "mean": mean}


def name(theirs):
    theirs = theirs.replace("blocks.layers.", "blocks.")
    for a, b in NAMES.items():
        theirs = theirs.replace(a, b)
    return theirs


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def tower(folder, kind, causal, activation="gelu"):
    net = Tower(causal, activation).double()
    ids = torch.randint(0, 20, (4, 7))
    end = torch.tensor([6, 2, 4, 1])
    with torch.no_grad():
        for value in net.parameters():  # layers begin alike
            value.add_(torch.randn_like(value) * 0.2)
    out = {"p/" + name(key): value for key, value in net.state_dict().items()} | {"ids": ids, "end": end}
    pooled = net(ids, end)
    out |= {"end_vectors": pooled["end"], "start": pooled["start"], "mean": pooled["mean"]}
    w = torch.randn(4, 12, dtype=torch.float64)
    (pooled["end" if causal else "mean"] * w).sum().backward()
    out["w"] = w
    out |= {"g/" + name(key): value.grad for key, value in net.named_parameters()}
    save_file({key: value.detach().clone().contiguous() for key, value in out.items()}, folder / f"{kind}.safetensors")


def losses(folder):
    picture, text = (torch.randn(6, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    log = torch.tensor([1.3], dtype=torch.float64, requires_grad=True)
    out = {"picture": picture, "text": text, "log": log}
    for value, prefix, smoothing in (("value", "g", 0), ("smooth", "s", 0.1)):
        logits = log.exp() * F.normalize(picture) @ F.normalize(text).T
        own = torch.arange(6)
        loss = (F.cross_entropy(logits, own, label_smoothing=smoothing) + F.cross_entropy(logits.T, own, label_smoothing=smoothing)) / 2
        out[value] = loss
        out |= {f"{prefix}/{key}": grad for key, grad in zip(("picture", "text", "log"), torch.autograd.grad(loss, (picture, text, log)))}
    save_file({key: value.detach().clone().contiguous() for key, value in out.items()}, folder / "loss.safetensors")


torch.manual_seed(5)
place = pathlib.Path(sys.argv[1])
tower(place, "causal", True)
tower(place, "mutual", False)
losses(place)
tower(place, "quick", True, quick_gelu)
