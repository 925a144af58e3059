"""Classification with frozen features in plain PyTorch: classify_check.py FILE.safetensors

FILE holds train [n, D], train_labels [n], test [m, D], test_labels [m] (as floats); metadata k, temperature, lambda.
Prints the accuracy of the weighted kNN vote, of the ridge regression, and of the nearest class mean of the rows chosen [k].
"""

import sys

import torch
from safetensors import safe_open


def main(path):
    with safe_open(path, framework="pt") as file:
        options = {key: float(value) for key, value in file.metadata().items()}
        t = {key: file.get_tensor(key) for key in file.keys()}
    labels, truth = t["train_labels"].long(), t["test_labels"].long()
    classes = int(torch.cat([labels, truth]).max()) + 1

    right = 0
    for row, label in zip(torch.nn.functional.normalize(t["test"].double()), truth):
        similarity = torch.nn.functional.normalize(t["train"].double()) @ row
        near = similarity.argsort(descending=True)[: int(options["k"])]
        votes = torch.zeros(classes, dtype=torch.float64)
        for i in near:
            votes[labels[i]] += torch.exp(similarity[i] / options["temperature"])
        right += int(votes.argmax() == label)
    print(right / len(truth))

    x, y = t["train"].double(), torch.nn.functional.one_hot(labels, classes).double()
    mean, deviation = x.mean(0), x.std(0, unbiased=False)
    # The bias as a column whose weight is not penalised, solved as one least-squares problem.
    a = torch.cat([(x - mean) / deviation, torch.ones(len(x), 1, dtype=torch.float64)], 1)
    penalty = torch.eye(a.shape[1], dtype=torch.float64) * (options["lambda"] * len(x)) ** 0.5
    penalty[-1, -1] = 0
    weights = torch.linalg.lstsq(torch.cat([a, penalty]), torch.cat([y, torch.zeros(len(penalty), classes, dtype=torch.float64)])).solution
    b = torch.cat([(t["test"].double() - mean) / deviation, torch.ones(len(truth), 1, dtype=torch.float64)], 1)
    print(float(((b @ weights).argmax(1) == truth).double().mean()))

    middle, chosen = t["train"].double().mean(0), t["chosen"].long()
    unit = {name: torch.nn.functional.normalize(t[name].double() - middle) for name in ("train", "test")}
    means = torch.stack([unit["train"][chosen][labels[chosen] == c].mean(0) for c in range(classes)])
    print(float((torch.cdist(unit["test"], means).argmin(1) == truth).double().mean()))


if __name__ == "__main__":
    main(sys.argv[1])
