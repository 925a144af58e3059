"""Residual networks of torchvision as tensors: make_resnets.py FOLDER

KIND.safetensors (float64) for basic, bottleneck and small: p/NAME parameters and buffers at first, x0 to x2 pictures, eval pooled features
of x0 in evaluation mode, stage1 to stage4 the maps behind it; train, pooled features of x0 in training mode, g/NAME gradients of
sum(train * w), and b/NAME buffers after x0, x1 and x2 in training mode. names_DEPTH.txt: names and shapes of the published networks, without fc.
"""

import pathlib
import sys

import torch
import torchvision
from networks import trained, unsettle
from safetensors.torch import save_file
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet


def small_stem(net):
    net.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    net.maxpool = torch.nn.Identity()
    return net


def pooled(net, x, maps=None):
    x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    for number, stage in enumerate((net.layer1, net.layer2, net.layer3, net.layer4)):
        x = stage(x)
        if maps is not None:
            maps[f"stage{number + 1}"] = x
    return x.mean((2, 3))


def write(folder, kind, net):
    net = net.double()
    net.fc = torch.nn.Identity()
    out = unsettle(net)
    pictures = [torch.randn(3, 3, 40, 48, dtype=torch.float64) for _ in range(3)]
    out.update({f"x{i}": picture for i, picture in enumerate(pictures)})
    net.eval()
    out["eval"] = pooled(net, pictures[0], out).detach()
    out |= trained(net, lambda: pooled(net, pictures[0]))
    with torch.no_grad():
        for picture in pictures[1:]:
            pooled(net, picture)
    out.update({f"b/{name}": value for name, value in net.named_buffers()})
    save_file({name: value.detach().contiguous() for name, value in out.items()}, folder / f"{kind}.safetensors")


def main(folder):
    torch.manual_seed(3)
    write(folder, "basic", ResNet(BasicBlock, [1, 2, 1, 1]))
    write(folder, "bottleneck", ResNet(Bottleneck, [2, 1, 1, 1]))
    write(folder, "small", small_stem(ResNet(BasicBlock, [1, 1, 1, 1])))
    for depth in (18, 34, 50):
        with torch.device("meta"):
            net = getattr(torchvision.models, f"resnet{depth}")()
        lines = [f"{name} {list(value.shape)}" for name, value in net.state_dict().items() if not name.startswith("fc.")]
        (folder / f"names_{depth}.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
