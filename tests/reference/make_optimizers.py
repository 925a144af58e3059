"""Writes what optimizers make of fixed gradients: make_optimizers.py FOLDER

FOLDER/optimizers_<dtype>.safetensors holds, for parameters of several shapes and STEPS steps from 1:
    first/<parameter>, gradient<step>/<parameter>, lr
    after<step>/<case>/<parameter>, state/<case>/<parameter>     after each step, and the momentum after the last
SGD is PyTorch's.
"""

import sys

import torch
from safetensors.torch import save_file

STEPS, DECAY = 5, 0.02
LRS = [0.0, 0.01, 0.3, 0.2, 0.05]
SHAPES = {"matrix": (5, 7), "kernel": (4, 3, 2, 2), "gain": (7,), "bias": (5,), "empty": (3, 3), "still": (2, 6)}
SGD = {
    "sgd": dict(),
    "sgd_decay": dict(weight_decay=DECAY),
    "sgd_momentum": dict(momentum=0.9),
    "sgd_momentum_decay": dict(momentum=0.9, weight_decay=DECAY),
    "sgd_nesterov": dict(momentum=0.8, weight_decay=DECAY, nesterov=True),
}


def inputs():
    """First values and gradients. "empty" begins with zeros, and "still" has no slope at first."""
    generator = torch.Generator().manual_seed(11)
    draw = lambda shape: torch.randn(*shape, generator=generator, dtype=torch.float64).to(torch.get_default_dtype())
    first = {name: draw(shape) for name, shape in SHAPES.items()}
    gradients = [{name: draw(shape) for name, shape in SHAPES.items()} for _ in range(STEPS)]
    first["empty"].zero_()
    for step in range(2):
        gradients[step]["still"].zero_()
    return first, gradients


def run_sgd(first, gradients, **options):
    values = {name: value.clone().requires_grad_() for name, value in first.items()}
    optimizer = torch.optim.SGD(values.values(), lr=0.1, foreach=False, fused=False, **options)
    history = []
    for lr, gradient in zip(LRS, gradients):
        optimizer.param_groups[0]["lr"] = lr
        for name, value in values.items():
            value.grad = gradient[name].clone()
        optimizer.step()
        history.append({name: value.detach().clone() for name, value in values.items()})
    buffers = {name: optimizer.state[value].get("momentum_buffer") for name, value in values.items()}
    return history, {name: buffer for name, buffer in buffers.items() if buffer is not None}


def main():
    folder = sys.argv[1]
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        first, gradients = inputs()
        out = {f"first/{name}": value for name, value in first.items()}
        out["lr"] = torch.tensor(LRS, dtype=torch.float64)
        for step, gradient in enumerate(gradients, 1):
            out |= {f"gradient{step}/{name}": value for name, value in gradient.items()}
        runs = {case: run_sgd(first, gradients, **options) for case, options in SGD.items()}
        for case, (history, state) in runs.items():
            for step, values in enumerate(history, 1):
                out |= {f"after{step}/{case}/{name}": value for name, value in values.items()}
            out |= {f"state/{case}/{name}": value for name, value in state.items()}
        save_file({name: value.contiguous() for name, value in out.items()}, f"{folder}/optimizers_{str(dtype).removeprefix('torch.')}.safetensors")


if __name__ == "__main__":
    main()
