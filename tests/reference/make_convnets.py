"""Plain convolutional networks as tensors: make_convnets.py FOLDER

KIND.safetensors (float64) for maps (no linear layer) and linear: p/NAME parameters and buffers at first, x pictures; eval, features of x in
evaluation mode, train in training mode, g/NAME gradients of sum(train * w), and b/NAME buffers after it.
"""

import pathlib
import sys

import torch
from networks import trained, unsettle
from safetensors.torch import save_file


class Layer(torch.nn.Module):
    def __init__(self, weighted, channels):
        super().__init__()
        self.inner = [weighted]  # not a submodule: its weight is registered here, as layers.N.weight
        self.weight = weighted.weight
        self.norm = torch.nn.BatchNorm2d(channels) if isinstance(weighted, torch.nn.Conv2d) else torch.nn.BatchNorm1d(channels)

    def forward(self, x):
        self.inner[0].weight = self.weight
        return torch.relu(self.norm(self.inner[0](x.flatten(1) if isinstance(self.inner[0], torch.nn.Linear) else x)))


def conv(inputs, channels, kernel, stride=1, padding=None):
    return Layer(torch.nn.Conv2d(inputs, channels, kernel, stride, kernel // 2 if padding is None else padding, bias=False), channels)


KINDS = {
    "maps": lambda: [conv(3, 8, 5), torch.nn.MaxPool2d(3, 2, 1), conv(8, 12, 1), torch.nn.AvgPool2d(3, 2, 1), conv(12, 6, 3, 2, 0)],
    "linear": lambda: [conv(3, 8, 3, 2), torch.nn.MaxPool2d(3, 2), Layer(torch.nn.Linear(8 * 9, 10, bias=False), 10), Layer(torch.nn.Linear(10, 5, bias=False), 5)],
}


class Net(torch.nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x.mean((2, 3)) if x.dim() == 4 else x


def main(folder):
    torch.manual_seed(5)
    for kind, layers in KINDS.items():
        net = Net(layers()).double()
        out = unsettle(net)
        out["x"] = torch.randn(4, 3, 16 if kind == "maps" else 14, 16 if kind == "maps" else 14, dtype=torch.float64)
        net.eval()
        out["eval"] = net(out["x"]).detach()
        out |= trained(net, lambda: net(out["x"]))
        out.update({f"b/{name}": value for name, value in net.named_buffers()})
        save_file({name: value.detach().contiguous() for name, value in out.items()}, folder / f"{kind}.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
