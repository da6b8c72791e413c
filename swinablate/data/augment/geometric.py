"""Images mirrored, shifted, and parts of them enlarged: bytes in, bytes out.

Shapes: b images, c channels, h w pixels.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from swinablate.data.augment.colour import bytes_of
from swinablate.data.augment.rectangle import Rectangles
from swinablate.data.rng import Chance, Source, uniform, whole

ASPECT = (3 / 4, 4 / 3)  # Szegedy 2015, sec. 6
NUDGE = 0.005
"""Rounds what lies between two bytes up on every device: in small images many values are in
the middle, give or take an error of float32 that depends on the device."""


@dataclass(frozen=True)
class Shift:
    """Mirror images and shift them, each by its own draws, in one gather.

    What a shift moves in from outside is black (raw value 0), not the mean: torchvision's
    recipes pad before normalising as well, and in digits and clothes 0 is the background.

    Attributes:
        flip: mirror half of the images, left to right; the same half with and without shifts.
        margin: largest shift, pixels, in both directions.
    """

    flip: bool
    margin: int

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], chance: Chance
    ) -> UInt8[Tensor, "b c h w"]:
        """Draw and move."""
        (b, c, h, w), margin, at = pixels.shape, self.margin, pixels.device
        generator = chance("augment")
        mirrored = half(b, generator, flip=self.flip).to(at, non_blocking=True)
        offset = whole(generator, 2 * margin + 1, (2, b, 1), images=1)
        offset = offset.to(at, non_blocking=True)
        column = torch.arange(w, device=at)
        columns = offset[1] + torch.where(mirrored, w - 1 - column, column)  # b w
        rows = offset[0] + torch.arange(h, device=at)  # b h
        place = (rows[:, :, None] * (w + 2 * margin) + columns[:, None, :]).flatten(1)
        padded = F.pad(pixels, (margin, margin, margin, margin)).flatten(2)
        return padded.gather(2, place[:, None].expand(-1, c, -1)).reshape(pixels.shape)


@dataclass(frozen=True)
class ResizedCrop:
    """Enlarge a random rectangle of each image to the whole, and mirror it.

    Rectangles as torchvision's `RandomResizedCrop` draws them: where none of ten fits, the
    largest in the middle whose aspect is allowed.

    Attributes:
        least: smallest share of an image's area; the largest is 1.
        flip: mirror half of the images, left to right; the same half as without crops.
    """

    least: float
    flip: bool

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], chance: Chance
    ) -> UInt8[Tensor, "b c h w"]:
        """Draw and enlarge."""
        b, _, h, w = pixels.shape
        edges = self.draw(b, h, w, chance("resized_crop"))
        return enlarged(pixels, edges, half(b, chance("augment"), flip=self.flip))

    def draw(self, b: int, h: int, w: int, generator: Source) -> Int[Tensor, "4 {b}"]:
        """Edges of each image's rectangle: top, bottom, left, right, ends out."""
        rectangles = Rectangles((self.least, 1.0), ASPECT, least=1, spare=0)
        edges, fits = rectangles.draw(b, h, w, generator)
        tall, wide = min(h, round(w * ASPECT[1])), min(w, round(h * ASPECT[1]))
        top, left = (h - tall) // 2, (w - wide) // 2
        middle = torch.tensor([[top], [top + tall], [left], [left + wide]])
        return torch.where(fits, edges.long(), middle)


def half(b: int, generator: Source, *, flip: bool) -> Bool[Tensor, "{b} 1"]:
    """Which images are mirrored: each with probability 1/2, or none; drawn in both cases."""
    # Drawn even where nothing is flipped: what is drawn next stays what it was.
    return uniform(generator, (b, 1)) < (0.5 if flip else 0.0)


def enlarged(
    pixels: UInt8[Tensor, "b c h w"], edges: Int[Tensor, "4 b"], mirrored: Bool[Tensor, "b 1"]
) -> UInt8[Tensor, "b c h w"]:
    """Scale a rectangle of each image to the whole image, bilinearly.

    As torchvision's `resized_crop` does: pixels outside the rectangle have no part in it, and
    antialiasing would change nothing where all is enlarged.

    Args:
        pixels: on any device; not changed.
        edges: top, bottom, left, right, ends out; on the CPU, so that nothing waits.
        mirrored: images to mirror afterwards; on the CPU.
    """
    b, _, h, w = pixels.shape
    rows, columns = _places(edges[0], edges[1], h), _places(edges[2], edges[3], w)
    columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = (x.to(pixels.device, non_blocking=True) for x in (rows, columns))
    grid = torch.stack(
        (columns[:, None, :].expand(b, h, w), rows[:, :, None].expand(b, h, w)), dim=3
    )
    found = F.grid_sample(pixels.float(), grid, padding_mode="border", align_corners=False)
    return bytes_of(found.add_(0.5 + NUDGE))


def _places(
    start: Int[Tensor, " b"], stop: Int[Tensor, " b"], size: int
) -> Float[Tensor, "b {size}"]:
    """Where along one side each pixel comes from, as `grid_sample` counts: the side is -1 to 1."""
    first, last = start[:, None].double(), stop[:, None] - 1.0  # centres of pixels
    at = first + (torch.arange(size) + 0.5) * ((last - first + 1) / size) - 0.5
    return ((2 * at.clamp(first, last) + 1) / size - 1).float()
