"""RandAugment and TrivialAugment, with draws of its own for every image.

Cubuk 2020, arXiv:1909.13719, alg. 1; Mueller 2021, arXiv:2103.10158, alg. 1. Operations and
magnitudes are those of torchvision 0.29, `transforms/autoaugment.py` (`RandAugment` with 31
bins, `TrivialAugmentWide`), nearest neighbour, black outside. torchvision works on one image
at a time, or draws once for a whole batch.

Shapes: b images, c channels (1 or 3), h w pixels, o operations, k bins.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from swinablate.data.augment.operations import MOVES, OPERATIONS, apply
from swinablate.data.rng import Chance, whole

BINS = 31
"""Magnitudes 0 to 30, torchvision's `num_magnitude_bins`."""
SIGNED = {*MOVES, "brightness", "color", "contrast", "sharpness"}
CAN_TURN = np.array([name in SIGNED for name in OPERATIONS])
FACTORS = {"brightness", "color", "contrast", "sharpness"}
"""Their magnitude is what is added to 1."""


@dataclass(frozen=True)
class Policy:
    """Operations drawn for every image, one after the other.

    Attributes:
        table: magnitude of each operation in each bin; float64, as torchvision's are once
            they are Python's numbers (operation bin).
        count: operations an image.
        bin: the same for all; None draws one of 31 for each image.
    """

    table: Float[Tensor, "o k"]
    count: int
    bin: int | None

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], chance: Chance
    ) -> UInt8[Tensor, "b c h w"]:
        """Draw and apply."""
        generator, b = chance("policy"), len(pixels)
        for _ in range(self.count):
            kind = whole(generator, len(OPERATIONS), (b,))
            # All three are drawn whether or not they count, so that no draw depends on another.
            bins = whole(generator, BINS, (b,)).numpy()
            sign = 1.0 - 2.0 * whole(generator, 2, (b,)).numpy()
            magnitude = self.table.numpy()[kind.numpy(), bins if self.bin is None else self.bin]
            magnitude = magnitude * np.where(CAN_TURN[kind.numpy()], sign, 1.0)
            pixels = apply(pixels, kind, torch.from_numpy(magnitude))
        return pixels


def randaugment(count: int, magnitude: int, height: int, width: int) -> Policy:
    """`count` operations at one magnitude of 0 to 30."""
    reach = 150.0 / 331.0  # torchvision's: 150 pixels of 331, as a share of any image
    return Policy(_table(0.3, (reach * width, reach * height), 30.0, 0.9, 4), count, magnitude)


def trivialaugment() -> Policy:
    """One operation, at any magnitude of a wide range."""
    return Policy(_table(0.99, (32.0, 32.0), 135.0, 0.99, 6), 1, None)


def _table(
    shear: float, reach: tuple[float, float], angle: float, factor: float, bits: int
) -> Float[Tensor, "o k"]:
    def upto(largest: float) -> Tensor:
        return torch.linspace(0.0, largest, BINS)

    rows = dict.fromkeys(OPERATIONS, torch.zeros(BINS)) | {
        "shear_x": upto(shear),
        "shear_y": upto(shear),
        "translate_x": upto(reach[0]).trunc(),
        "translate_y": upto(reach[1]).trunc(),
        "rotate": upto(angle),
        **dict.fromkeys(FACTORS, upto(factor)),
        "posterize": 8 - (torch.arange(BINS) / ((BINS - 1) / bits)).round(),
        "solarize": torch.linspace(255.0, 0.0, BINS),
    }
    return torch.stack([rows[name] for name in OPERATIONS]).double()
