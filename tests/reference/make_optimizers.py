"""Writes what optimizers make of fixed gradients: make_optimizers.py FOLDER

FOLDER/optimizers_<dtype>.safetensors holds, for parameters of several shapes and STEPS steps from 1:
    first/<parameter>, gradient<step>/<parameter>, lr
    after<step>/<case>/<parameter>, state/<case>/<parameter>     after each step, and the momentum after the last
SGD is PyTorch's; LARS is written from its formulas, tensor by tensor.
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
LARS = {
    "lars": dict(form="decoupled", eta=0.001, decay=DECAY),
    "lars_plain": dict(form="decoupled", eta=0.05, decay=0.0),
    "lars_classic": dict(form="classic", eta=0.01, decay=DECAY),
    "lars_clip": dict(form="clip", eta=0.02, decay=DECAY),
    "lars_clipped": dict(form="clip", eta=2.0, decay=DECAY),
    "lars_all": dict(form="decoupled", eta=0.001, decay=DECAY, one_axis=True),
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


def lars_direction(w, g, lr, form, eta, decay, one_axis):
    if w.ndim == 1 and not one_axis:
        return g
    decay = decay if w.ndim > 1 else 0
    w_norm, g_norm = w.norm(), g.norm()
    if form == "clip":
        if w_norm == 0 or g_norm == 0:
            return g
        ratio = eta * w_norm / (g_norm + decay * w_norm + 1e-8)
        return (g + decay * w) * (torch.ones(()) if lr == 0 else torch.clamp(ratio / lr, max=1))
    direction = g + decay * w
    norm = direction.norm()
    return direction if w_norm == 0 or norm == 0 else direction * (eta * w_norm / norm)


def run_lars(first, gradients, form, eta, decay, one_axis=False, momentum=0.9):
    values = {name: value.clone() for name, value in first.items()}
    momenta, history = {}, []
    for lr, gradient in zip(LRS, gradients):
        for name, w in values.items():
            step = lars_direction(w, gradient[name], lr, form, eta, decay, one_axis)
            step = lr * step if form == "classic" else step
            momenta[name] = step if name not in momenta else momentum * momenta[name] + step
            values[name] = w - (1 if form == "classic" else lr) * momenta[name]
        history.append(dict(values))
    return history, momenta


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
        runs |= {case: run_lars(first, gradients, **options) for case, options in LARS.items()}
        for case, (history, state) in runs.items():
            for step, values in enumerate(history, 1):
                out |= {f"after{step}/{case}/{name}": value for name, value in values.items()}
            out |= {f"state/{case}/{name}": value for name, value in state.items()}
        save_file({name: value.contiguous() for name, value in out.items()}, f"{folder}/optimizers_{str(dtype).removeprefix('torch.')}.safetensors")


if __name__ == "__main__":
    main()
