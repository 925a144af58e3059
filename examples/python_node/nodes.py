"""Nodes in Python (docs/python.md): one that changes pictures, one that draws masks, and a source."""
from typing import Annotated

import numpy as np

import flowrun


@flowrun.node("example.noise")
def noise(image: Annotated[flowrun.Image, "H W 3 u8, or several views."], *,
          strength: Annotated[float, flowrun.Range(0, 1), "Standard deviation of the noise, of the range of values."] = 0.1,
          rng) -> Annotated[flowrun.Image, "The same size."]:
    """Adds normal noise to every value."""
    return np.clip(image + rng.normal(0, 255 * strength, image.shape), 0, 255).astype(np.uint8)


@flowrun.mask("example.checkers")
def checkers(images: int, grid: int, *, size: Annotated[int, flowrun.Range(1), "Side of a square, patches."] = 2, rng):
    """Hides every other square of a checkerboard that is shifted at random."""
    rows, columns = np.indices((grid, grid))
    shift = rng.integers(0, 2 * size, (images, 2, 1, 1))
    return (((rows + shift[:, 0]) // size + (columns + shift[:, 1]) // size) % 2).astype(bool)


@flowrun.source("example.gradients")
class Gradients:
    """Gray gradients of four directions; the direction is the label."""

    classes = ["right", "down", "left", "up"]

    def __init__(self, images: int = 200, size: Annotated[int, flowrun.Range(8), "Side, pixels."] = 24):
        self.size, self.labels = size, [i % 4 for i in range(images)]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index) -> Annotated[flowrun.Image, "H W 3 u8."]:
        values = np.linspace(0, 255, self.size) * (1 - index / len(self) / 2)
        picture = np.rot90(np.tile(values, (self.size, 1)), -self.labels[index])
        return np.repeat(picture[:, :, None], 3, axis=2).astype(np.uint8)

    def key(self, index):
        return f"gradient {index}"
