"""Rectangles of random area and shape, one an image.

Shapes: b images, h w pixels.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from swinablate.data.rng import Source, uniform

TRIES = 10
"""As in torchvision's two transforms; all are drawn at once, so that none waits for another."""


@dataclass(frozen=True)
class Rectangles:
    """The first of ten rectangles that fits, anywhere in the image.

    As torchvision draws them (`transforms.RandomErasing`, `transforms.RandomResizedCrop`).

    Attributes:
        area: share of the image, from and to; uniform.
        aspect: height to width, from and to; its logarithm is uniform.
        least: shortest side that fits, pixels.
        spare: pixels that it leaves free at least, in each direction.
    """

    area: tuple[float, float]
    aspect: tuple[float, float]
    least: int
    spare: int

    def draw(
        self, b: int, h: int, w: int, generator: Source
    ) -> tuple[Float[Tensor, "4 {b}"], Bool[Tensor, " {b}"]]:
        """Edges, whole pixels: top, bottom, left, right, ends out; and whether any of ten fits."""
        draws = uniform(generator, (4, TRIES, b), images=2, dtype=torch.float64)
        area = h * w * (self.area[0] + (self.area[1] - self.area[0]) * draws[0])
        low, high = map(math.log, self.aspect)
        aspect = torch.exp(low + (high - low) * draws[1])
        tall, wide = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
        fits = (tall <= h - self.spare) & (wide <= w - self.spare)
        fits &= (tall >= self.least) & (wide >= self.least)
        first = fits.int().argmax(0, keepdim=True)
        top, left = (draws[2] * (h - tall + 1)).floor(), (draws[3] * (w - wide + 1)).floor()
        edges = torch.stack((top, top + tall, left, left + wide))
        return edges.gather(1, first.expand(4, -1, -1))[:, 0], fits.any(0)
