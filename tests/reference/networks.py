"""Convolutional networks of PyTorch as tensors: shared by make_resnets.py and make_convnets.py."""

import torch


def unsettle(net):
    """Gives batch norms values that a network at its start does not have."""
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith("running_mean"):
                value.normal_(0, 0.2)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif value.dim() == 1 and value.is_floating_point():
                value.add_(torch.randn_like(value) * 0.2)
    return {f"p/{name}": value.clone() for name, value in net.state_dict().items()}


def trained(net, features):
    """In training mode: train, the features; w; g/NAME, the gradients of sum(train * w)."""
    net.train()
    out = {"train": features()}
    out["w"] = torch.randn_like(out["train"])
    (out["train"] * out["w"]).sum().backward()
    return out | {f"g/{name}": value.grad for name, value in net.named_parameters()}
