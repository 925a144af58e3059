"""The measures of report.health in NumPy: health_check.py FILE.safetensors

FILE holds x [n, D], prediction and target [B, R, M, O]. Prints the mean standard deviation over rows, RankMe, the mean
cosine between different rows, and the mean cosine between rows of prediction and target.
"""

import sys

import numpy as np
from safetensors.numpy import load_file


def main(path):
    t = {key: value.astype(np.float64) for key, value in load_file(path).items()}
    x = t["x"]
    p = np.linalg.svd(x, compute_uv=False)
    p = p / p.sum() + 1e-7
    pairs = [(i, j) for i in range(len(x)) for j in range(len(x)) if i != j]
    cosine = lambda a, b: (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    print(x.std(0, ddof=1).mean())
    print(np.exp(-(p * np.log(p)).sum()))
    print(np.mean([cosine(x[i], x[j]) for i, j in pairs]))
    print(cosine(t["prediction"], t["target"]).mean())


if __name__ == "__main__":
    main(sys.argv[1])
