"""Images turned upside down, rotated and blurred: bytes in, bytes out.

Shapes: b images, c channels, h w pixels.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from swinablate.data.augment.colour import bytes_of
from swinablate.data.augment.geometric import NUDGE
from swinablate.data.rng import Chance, uniform

SHARPEST = 0.1
"""Smallest deviation of a blur, pixels, torchvision's: the neighbours' weight is e^-50."""
REACH = 3.0
"""Deviations that a kernel covers: 99.7 % of a Gaussian."""


@dataclass(frozen=True)
class FlipVertical:
    """Turn some images upside down.

    Attributes:
        share: of the images, on average.
    """

    share: float

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], chance: Chance
    ) -> UInt8[Tensor, "b c h w"]:
        """Draw and turn."""
        hit = uniform(chance("flip_vertical"), (len(pixels), 1, 1, 1)) < self.share
        return torch.where(hit.to(pixels.device, non_blocking=True), pixels.flip(2), pixels)


@dataclass(frozen=True)
class Rotate:
    """Rotate some images about their middle, each by an angle of its own.

    Attributes:
        most: largest angle, degrees, in both directions; all are equally likely.
        share: of the images, on average.
    """

    most: float
    share: float

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], chance: Chance
    ) -> UInt8[Tensor, "b c h w"]:
        """Draw and rotate."""
        draws = uniform(chance("rotate"), (2, len(pixels)), images=1, dtype=torch.float64)
        angle = torch.where(draws[1] < self.share, (2 * draws[0] - 1) * self.most, 0.0)
        return rotated(pixels, angle)


@dataclass(frozen=True)
class Blur:
    """Blur some images, each by a Gaussian of its own.

    Attributes:
        most: largest deviation, pixels; all from `SHARPEST` on are equally likely.
        share: of the images, on average.
    """

    most: float
    share: float

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], chance: Chance
    ) -> UInt8[Tensor, "b c h w"]:
        """Draw and blur."""
        draws = uniform(chance("blur"), (2, len(pixels)), images=1, dtype=torch.float64)
        sigma = SHARPEST + (self.most - SHARPEST) * draws[0]
        hit = (draws[1] < self.share).to(pixels.device, non_blocking=True)
        radius = math.ceil(REACH * self.most)
        return torch.where(hit[:, None, None, None], blurred(pixels, sigma, radius), pixels)


def rotated(
    pixels: UInt8[Tensor, "b c h w"], angle: Float[Tensor, " b"]
) -> UInt8[Tensor, "b c h w"]:
    """Rotate each image by its own angle, bilinearly; what comes in from outside is black.

    As torchvision's `rotate` with its bilinear filter does, but for rounding what lies between
    two bytes.

    Args:
        pixels: on any device; not changed.
        angle: degrees, counter-clockwise; on the CPU.
    """
    h, w = pixels.shape[2:]
    x, y = torch.arange(w) + (0.5 - 0.5 * w), (torch.arange(h) + (0.5 - 0.5 * h))[:, None]
    turn = torch.deg2rad(angle.double())[:, None, None]
    across = (turn.cos() * x - turn.sin() * y) / (0.5 * w)
    down = (turn.sin() * x + turn.cos() * y) / (0.5 * h)
    grid = torch.stack((across, down), dim=3).float().to(pixels.device, non_blocking=True)
    found = F.grid_sample(pixels.float(), grid, padding_mode="zeros", align_corners=False)
    return bytes_of(found.add_(0.5 + NUDGE))


def blurred(
    pixels: UInt8[Tensor, "b c h w"], sigma: Float[Tensor, " b"], radius: int
) -> UInt8[Tensor, "b c h w"]:
    """Blur each image by its own Gaussian; beyond its edges an image is mirrored.

    As torchvision's `gaussian_blur` does, but for rounding what lies between two bytes.

    Args:
        pixels: on any device; not changed.
        sigma: deviations, pixels; on the CPU.
        radius: of all kernels, pixels; less where the image has fewer to mirror.
    """
    x = pixels.float()
    for axis in (2, 3):
        size = pixels.shape[axis]
        reach = min(radius, size - 1)
        place = torch.arange(-reach, reach + 1)
        kernel = torch.exp(-0.5 * (place / sigma[:, None]) ** 2)
        kernel = (kernel / kernel.sum(1, keepdim=True)).float()
        kernel = kernel.to(pixels.device, non_blocking=True)[:, :, None, None, None]
        edges = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
        padded = F.pad(x, edges, mode="reflect")
        # Sums, tap by tap: a CPU and a GPU add up in the same order.
        x = padded.narrow(axis, 0, size) * kernel[:, 0]
        for i in range(1, 2 * reach + 1):
            x = x + padded.narrow(axis, i, size) * kernel[:, i]
    return bytes_of(x.add_(0.5 + NUDGE))
