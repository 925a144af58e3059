"""Training steps of two-view methods in PyTorch, for methods.py: the models, losses and optimizers of the shipped pipelines.

    eager_methods.py dino|simsiam|simclr|barlow SHAPE BATCH THREADS

SHAPE is JSON. For a line N on its standard input it runs N steps and answers with milliseconds a step, of the clock and of the processor; for `parameters` with how many
are trained. Each side gets what a careful user would give it: fused AdamW, one foreach call for the moving average and for the clipping
of each gradient, one pass through the head for the crops of all sizes.
"""

import copy
import json
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        images, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(images, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(images, tokens, width))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    """The class token of a ViT, whose patches have learned positions; they are resampled for other sizes as in DINO's code."""

    def __init__(self, image, patch, width, depth, heads):
        super().__init__()
        self.grid = image // patch
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.token, self.positions = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(0.02 * torch.randn(1, self.grid ** 2, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def positions_at(self, grid):
        if grid == self.grid:
            return self.positions
        table = self.positions.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        scale = (grid + 0.1) / self.grid
        table = F.interpolate(table, scale_factor=(scale, scale), mode="bicubic")
        return table.flatten(2).transpose(1, 2)

    def forward(self, images):
        patches = self.embed(images)
        patches = patches.flatten(2).transpose(1, 2) + self.positions_at(patches.shape[-1])
        x = torch.cat([self.token.expand(len(images), -1, -1), patches], 1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]


class DinoHead(nn.Module):
    def __init__(self, width, hidden, prototypes):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, 256))
        self.direction, self.gain = nn.Parameter(0.02 * torch.randn(prototypes, 256)), nn.Parameter(torch.ones(prototypes, 1))

    def forward(self, x):
        x = F.normalize(self.mlp(x), dim=-1)
        return F.linear(x, torch._weight_norm(self.direction, self.gain, 0))


class Dino:
    def __init__(self, n, batch):
        self.student = nn.ModuleList([Vit(n["image"], n["patch"], n["width"], n["depth"], n["heads"]), DinoHead(n["width"], n["hidden"], n["prototypes"])])
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.center = torch.zeros(n["prototypes"])
        self.large = torch.randn(2, batch, 3, n["image"], n["image"])
        self.small = torch.randn(n["crops"], batch, 3, n["small"], n["small"])
        self.parameters, self.averages = list(self.student.parameters()), list(self.teacher.parameters())
        groups = [dict(params=[p for p in self.parameters if p.ndim > 1], weight_decay=0.04), dict(params=[p for p in self.parameters if p.ndim <= 1], weight_decay=0.0)]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-5, betas=(0.9, 0.999), fused=True)

    def loss(self):
        with torch.no_grad():
            scores = self.teacher[1](self.teacher[0](self.large.flatten(0, 1)))
            target = F.softmax((scores - self.center) / 0.04, -1).unflatten(0, self.large.shape[:2])
        encoder, head = self.student
        seen = head(torch.cat([encoder(self.large.flatten(0, 1)), encoder(self.small.flatten(0, 1))]))
        logs = F.log_softmax(seen / 0.1, -1).unflatten(0, (-1, self.large.shape[1]))
        pairs = [(t, s) for t in range(2) for s in range(len(logs)) if s != t]
        return sum(-(target[t] * logs[s]).sum(-1).mean() for t, s in pairs) / len(pairs), scores

    def step(self):
        loss, scores = self.loss()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        gradients = [p.grad for p in self.parameters]
        torch._foreach_mul_(gradients, [(3 / (norm + 1e-6)).clamp(max=1) for norm in torch._foreach_norm(gradients)])
        self.optimizer.step()
        with torch.no_grad():
            self.center.lerp_(scores.mean(0), 0.1)
            torch._foreach_lerp_(self.averages, [p.detach() for p in self.parameters], 1 - 0.996)


def mlp(*widths, last_norm, last_bias=True):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        last = i == len(widths) - 2
        layers.append(nn.Linear(a, b, bias=last and last_bias and not last_norm))
        if not last:
            layers += [nn.BatchNorm1d(b), nn.ReLU(inplace=True)]
        elif last_norm:
            layers.append(nn.BatchNorm1d(b, affine=False))
    return nn.Sequential(*layers)


class SimSiam:
    def __init__(self, n, batch):
        import torchvision

        encoder = getattr(torchvision.models, f"resnet{n['depth']}")(zero_init_residual=True)
        width, encoder.fc = encoder.fc.in_features, nn.Identity()
        self.encoder = nn.Sequential(encoder, mlp(width, *[n["hidden"]] * 3, last_norm=True))
        self.predictor = mlp(n["hidden"], n["narrow"], n["hidden"], last_norm=False)
        self.views = torch.randn(2, batch, 3, n["image"], n["image"])
        self.parameters = [*self.encoder.parameters(), *self.predictor.parameters()]
        self.optimizer = torch.optim.SGD(self.parameters, lr=1e-3, momentum=0.9, weight_decay=1e-4, foreach=True)

    def step(self):
        z = [self.encoder(view) for view in self.views]
        p = [self.predictor(projected) for projected in z]
        loss = -(F.cosine_similarity(p[0], z[1].detach()).mean() + F.cosine_similarity(p[1], z[0].detach()).mean()) / 2
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


class OneNetwork:
    """Two views, one encoder with a projector, and a loss between the views' projections."""

    def __init__(self, n, batch, projector, zero_last):
        import torchvision

        encoder = getattr(torchvision.models, f"resnet{n['depth']}")(zero_init_residual=zero_last)
        width, encoder.fc = encoder.fc.in_features, nn.Identity()
        self.encoder = nn.Sequential(encoder, projector(width))
        self.views = torch.randn(2, batch, 3, n["image"], n["image"])
        self.parameters = list(self.encoder.parameters())
        self.optimizer = torch.optim.SGD(self.parameters, lr=1e-3, momentum=0.9, weight_decay=1e-4, foreach=True)

    def step(self):
        loss = self.loss()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


class SimClr(OneNetwork):
    def __init__(self, n, batch):
        super().__init__(n, batch, lambda width: mlp(width, n["hidden"], n["out"], last_norm=True), False)
        self.gain = nn.Parameter(torch.ones(n["out"]))  # of the last batch norm, which shifts nothing
        self.optimizer.add_param_group({"params": [self.gain]})
        self.parameters.append(self.gain)
        self.itself = torch.eye(2 * batch, dtype=torch.bool)
        self.answers = torch.arange(2 * batch).roll(batch)

    def loss(self):
        z = F.normalize(self.encoder(self.views.flatten(0, 1)) * self.gain, dim=-1)
        logits = (z @ z.T / 0.1).masked_fill(self.itself, -math.inf)
        return 2 * F.cross_entropy(logits, self.answers)


class Barlow(OneNetwork):
    def __init__(self, n, batch):
        super().__init__(n, batch, lambda width: mlp(width, *[n["hidden"]] * 3, last_norm=False, last_bias=False), True)
        self.standard = nn.BatchNorm1d(n["hidden"], affine=False)

    def loss(self):
        a, b = (self.standard(self.encoder(view)) for view in self.views)
        c = a.T @ b / len(a)
        on = torch.diagonal(c).sub(1).square().sum()
        return on + 0.0051 * (c.square().sum() - torch.diagonal(c).square().sum())


def main(method, shape, batch, threads):
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    trained = {"dino": Dino, "simsiam": SimSiam, "simclr": SimClr, "barlow": Barlow}[method](json.loads(shape), int(batch))
    for line in sys.stdin:
        if line == "parameters\n":
            print(sum(math.prod(p.shape) for p in trained.parameters), flush=True)
            continue
        start, busy = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            trained.step()
        print(*(1e3 * passed / int(line) for passed in (time.perf_counter() - start, time.process_time() - busy)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
