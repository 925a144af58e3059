"""Wide residual networks as tensors: make_wide_resnets.py FOLDER

wide.safetensors (float64): p/NAME parameters and buffers at first, x0 to x2 pictures, eval pooled features of x0 in evaluation mode, map0 the
stem's map, map1 to map3 those behind the groups and map4 that behind the last ReLU, normed2 the second group's behind the next norm; train, pooled features of x0 in training mode, g/NAME gradients
of sum(train * w) + sum(map3 * v), and b/NAME buffers after x0, x1 and x2 in training mode. narrow.safetensors: the same with equal widths of stem and
first group. From the definition of Zagoruyko and Komodakis (2016); names are those of RepDistiller's models/wrn.py.
"""

import pathlib
import sys

import torch
from networks import unsettle
from safetensors.torch import save_file


class Block(torch.nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = torch.nn.BatchNorm2d(inputs)
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(outputs)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        if inputs != outputs:
            self.convShortcut = torch.nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x):
        first = torch.relu(self.bn1(x))
        added = self.convShortcut(first) if hasattr(self, "convShortcut") else x
        return added + self.conv2(torch.relu(self.bn2(self.conv1(first))))


class Group(torch.nn.Module):
    def __init__(self, inputs, outputs, count, stride):
        super().__init__()
        self.layer = torch.nn.Sequential(*[Block(outputs if i else inputs, outputs, 1 if i else stride) for i in range(count)])

    def forward(self, x):
        return self.layer(x)


class Net(torch.nn.Module):
    def __init__(self, depth, width, stem):
        super().__init__()
        each = (depth - 4) // 6
        self.conv1 = torch.nn.Conv2d(3, stem, 3, 1, 1, bias=False)
        self.block1 = Group(stem, width, each, 1)
        self.block2 = Group(width, 2 * width, each, 2)
        self.block3 = Group(2 * width, 4 * width, each, 2)
        self.bn1 = torch.nn.BatchNorm2d(4 * width)

    def forward(self, x):
        maps = [self.conv1(x)]
        for group in (self.block1, self.block2, self.block3):
            maps.append(group(maps[-1]))
        maps.append(torch.relu(self.bn1(maps[-1])))
        return maps[-1].mean((2, 3)), maps


def write(folder, kind, net):
    net = net.double()
    out = unsettle(net)
    pictures = [torch.randn(3, 3, 24, 18, dtype=torch.float64) for _ in range(3)]
    out.update({f"x{i}": picture for i, picture in enumerate(pictures)})
    net.eval()
    out["eval"], maps = net(pictures[0])
    out.update({f"map{i}": value for i, value in enumerate(maps)})
    out["normed2"] = net.block3.layer[0].bn1(maps[2])
    net.train()
    out["train"], maps = net(pictures[0])
    out["w"], out["v"] = torch.randn_like(out["train"]), torch.randn_like(maps[3])
    ((out["train"] * out["w"]).sum() + (maps[3] * out["v"]).sum()).backward()
    out.update({f"g/{name}": value.grad for name, value in net.named_parameters()})
    with torch.no_grad():
        for picture in pictures[1:]:
            net(picture)
    out.update({f"b/{name}": value for name, value in net.named_buffers()})
    save_file({name: value.detach().contiguous() for name, value in out.items()}, folder / f"{kind}.safetensors")


def main(folder):
    torch.manual_seed(7)
    write(folder, "wide", Net(16, 12, 4))
    write(folder, "narrow", Net(10, 8, 8))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
