"""Logistic regression by scikit-learn, and a linear probe as a plain PyTorch loop: frozen_check.py FILE.safetensors

FILE holds train [n, D], train_labels [n], test [m, D], test_labels [m], start [classes, D] and order [epochs, n] (all as
floats); metadata c, lr, decay, batch, warmup (in steps). Writes FILE.out with the logistic weights, bias and the probe's
weights, bias, running mean and variance; prints the objective and the accuracy of the logistic regression, then the
accuracy of the probe.
"""

import math
import sys

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import save_file


def logistic(x, y, options):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=options["c"], tol=1e-12, max_iter=20000)
    model.fit(x.numpy(), y.numpy())
    probability = model.predict_proba(x.numpy())
    loss = -numpy.log(probability[numpy.arange(len(y)), y.numpy()]).mean()
    return model, loss + (model.coef_**2).sum() / (2 * options["c"] * len(x))


def probe(x, y, start, order, options):
    """One head, written in the obvious way."""
    total, batch, warmup = len(order) * (len(x) // int(options["batch"])), int(options["batch"]), int(options["warmup"])
    norm = torch.nn.BatchNorm1d(x.shape[1], eps=1e-6, momentum=0.1, affine=False, dtype=torch.float64)
    head = torch.nn.Linear(x.shape[1], len(start), dtype=torch.float64)
    head.weight.data.copy_(start)
    head.bias.data.zero_()
    groups = [{"params": [head.weight], "weight_decay": options["decay"]}, {"params": [head.bias], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0, betas=(0.9, 0.999), eps=1e-8)
    step = 0
    for rows in order:
        for i in range(len(x) // batch):
            step += 1
            rate = step / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
            for group in optimizer.param_groups:
                group["lr"] = options["lr"] * rate
            part = rows[i * batch : (i + 1) * batch].long()
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(head(norm(x[part])), y[part]).backward()
            optimizer.step()
    norm.eval()
    return norm, head


def main(path):
    with safe_open(path, framework="pt") as file:
        options = {key: float(value) for key, value in file.metadata().items()}
        t = {key: file.get_tensor(key).double() for key in file.keys()}
    y, truth = t["train_labels"].long(), t["test_labels"].long()

    model, objective = logistic(t["train"], y, options)
    print(objective, model.score(t["test"].numpy(), truth.numpy()))
    norm, head = probe(t["train"], y, t["start"], t["order"], options)
    print((head(norm(t["test"])).argmax(1) == truth).double().mean().item())
    out = {
        "coef": torch.tensor(model.coef_),
        "intercept": torch.tensor(model.intercept_),
        "weight": head.weight.data,
        "bias": head.bias.data,
        "mean": norm.running_mean,
        "variance": norm.running_var,
    }
    save_file({key: value.contiguous() for key, value in out.items()}, path + ".out")


if __name__ == "__main__":
    main(sys.argv[1])
