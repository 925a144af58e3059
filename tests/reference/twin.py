"""A plain PyTorch twin of Flowrun's model layer: encoder, predictor, targets and loss of Bootleg.

Written from the paper's description and from the public I-JEPA code, not from the C++: the obvious way, module by
module, with a convolution, whole blocks and PyTorch's own optimizer. The reference tests compare every number with
it; tests/perf/step compares speed.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


def sincos(grid, width, dtype):
    quarter = width // 4
    omega = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    row, col = torch.meshgrid(torch.arange(grid, dtype=torch.float64), torch.arange(grid, dtype=torch.float64), indexing="ij")
    angle_col, angle_row = col.reshape(-1, 1) * omega, row.reshape(-1, 1) * omega
    return torch.cat([angle_col.sin(), angle_col.cos(), angle_row.sin(), angle_row.cos()], dim=1).to(dtype)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, 4 * width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def rows(x, index):
    """x [B, N, D], index [B, n] -> [B, n, D]."""
    return torch.gather(x, 1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class PatchEmbed(nn.Module):
    def __init__(self, patch, width):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, images):
        return self.proj(images).flatten(2).transpose(1, 2)


class Encoder(nn.Module):
    def __init__(self, image, patch, width, depth, heads, class_token=True, registers=4):
        super().__init__()
        self.prefix = int(class_token) + registers
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width)) if class_token else None
        self.reg_token = nn.Parameter(torch.zeros(1, registers, width)) if registers else None
        self.patch_embed = PatchEmbed(patch, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.register_buffer("pos", sincos(image // patch, width, torch.get_default_dtype()), persistent=False)

    def tokens(self, images, visible=None):
        x = self.patch_embed(images) + self.pos
        if visible is not None:
            x = rows(x, visible)
        learned = [t.expand(len(x), -1, -1) for t in (self.cls_token, self.reg_token) if t is not None]
        return torch.cat(learned + [x], dim=1)

    def forward(self, images, visible=None):
        """Class token (None without one) and patch tokens after the final norm."""
        x = self.tokens(images, visible)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return (x[:, :1] if self.cls_token is not None else None), x[:, self.prefix :]

    def hidden(self, images, taps):
        """Raw patch rows of the 1-based blocks `taps`."""
        x, out = self.tokens(images), []
        for number, block in enumerate(self.blocks[: max(taps)], start=1):
            x = block(x)
            if number in taps:
                out.append(x[:, self.prefix :])
        return out


class Predictor(nn.Module):
    def __init__(self, grid, encoder_width, width, depth, heads, out_width, registers=4):
        super().__init__()
        self.embed = nn.Linear(encoder_width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.reg_token = nn.Parameter(torch.zeros(1, registers, width)) if registers else None
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.proj = nn.Linear(width, out_width)
        self.register_buffer("pos", sincos(grid, width, torch.get_default_dtype()), persistent=False)

    def forward(self, cls, patch, visible, targets):
        """[B, R, M, out]"""
        batch, regions, length = targets.shape
        u = self.embed(patch if cls is None else torch.cat([cls, patch], dim=1))
        position = self.pos[visible]
        if cls is not None:
            position = F.pad(position, (0, 0, 1, 0))  # the class token has the zero vector
        u = (u + position).repeat_interleave(regions, dim=0)
        if self.reg_token is not None:
            u = torch.cat([self.reg_token.expand(batch * regions, -1, -1), u], dim=1)
        m = self.mask_token + self.pos[targets.reshape(batch * regions, length)]
        x = torch.cat([u, m], dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.proj(self.norm(x[:, -length:]))
        return x.reshape(batch, regions, length, -1)


def make_targets(taps, targets):
    """Per token and layer z-scored taps at the targets: [B, R, M, T * D]."""
    parts = []
    for tap in taps:
        t = rows(tap, targets.flatten(1))
        mean, var = t.mean(-1, keepdim=True), t.var(-1, keepdim=True, unbiased=False)
        parts.append((t - mean) / torch.sqrt(var + 1e-5))
    return torch.cat(parts, dim=-1).unflatten(1, targets.shape[1:])


def warmup_cosine(step, warmup, total, start, maximum, final):
    if step < warmup:
        return start + step / warmup * (maximum - start)
    return max(final, final + (maximum - final) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))))


def decay_groups(*modules):
    decayed = [p for m in modules for n, p in m.named_parameters() if p.dim() > 1 and "bias" not in n]
    plain = [p for m in modules for n, p in m.named_parameters() if not (p.dim() > 1 and "bias" not in n)]
    return decayed, plain
