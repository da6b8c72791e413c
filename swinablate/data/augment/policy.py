"""RandAugment and TrivialAugment, with draws of its own for every image.

Cubuk 2020, arXiv:1909.13719, alg. 1; Mueller 2021, arXiv:2103.10158, alg. 1. Operations and
magnitudes are those of torchvision 0.29, `transforms/autoaugment.py` (`RandAugment` with 31
bins, `TrivialAugmentWide`), nearest neighbour, black outside. torchvision works on one image
at a time, or draws once for a whole batch.

Shapes: b images, c channels (1 or 3), h w pixels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from swinablate.data.augment import colour
from swinablate.data.rng import Chance, whole

BINS = 31
"""Magnitudes 0 to 30, torchvision's `num_magnitude_bins`."""
MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
COLOURS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": colour.brightness,
    "color": colour.saturation,
    "contrast": colour.contrast,
    "sharpness": colour.sharpness,
    "posterize": colour.posterize,
    "solarize": colour.solarize,
    "autocontrast": colour.autocontrast,
    "equalize": colour.equalize,
}
OPERATIONS = ("identity", *MOVES, *COLOURS)
"""The 14 of torchvision; their places are what is drawn, so the order is part of a trial."""
SIGNED = {*MOVES, "brightness", "color", "contrast", "sharpness"}
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
            bins = whole(generator, BINS, (b,))
            sign = 1.0 - 2.0 * whole(generator, 2, (b,)).double()
            if self.bin is not None:
                bins = torch.full_like(bins, self.bin)
            signed = torch.tensor([name in SIGNED for name in OPERATIONS])[kind]
            magnitude = self.table[kind, bins] * torch.where(signed, sign, 1.0)
            pixels = apply(pixels, kind, magnitude)
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


def apply(
    pixels: UInt8[Tensor, "b c h w"], kind: Int[Tensor, " b"], magnitude: Float[Tensor, " b"]
) -> UInt8[Tensor, "b c h w"]:
    """Change each image by its own operation; images of one operation go together.

    Args:
        pixels: on any device; not changed.
        kind: index into `OPERATIONS`; on the CPU, so that nothing waits for the device.
        magnitude: signed, in the operation's unit; on the CPU.
    """
    result = pixels.clone()
    moving = kind.new_tensor([OPERATIONS.index(name) for name in MOVES])
    jobs = [(torch.isin(kind, moving), None), *((kind == OPERATIONS.index(n), n) for n in COLOURS)]
    for chosen, name in jobs:
        rows = chosen.nonzero()[:, 0]
        if not len(rows):
            continue
        amount, place = magnitude[rows], rows.to(pixels.device, non_blocking=True)
        if name is None:
            matrix = _matrices(kind[rows], amount, pixels.shape[2], pixels.shape[3])
            changed = moved(pixels[place], matrix.to(pixels.device, non_blocking=True))
        else:
            amount = 1.0 + amount if name in FACTORS else amount
            changed = COLOURS[name](pixels[place], amount.to(pixels.device, non_blocking=True))
        result.index_copy_(0, place, changed)
    return result


def _matrices(
    kind: Int[Tensor, " b"], magnitude: Float[Tensor, " b"], height: int, width: int
) -> Float[Tensor, "b 2 3"]:
    """Where each pixel comes from, in pixels from the middle: out -> in."""
    matrix = torch.eye(2, 3, dtype=torch.float64).repeat(len(kind), 1, 1)

    def of(name: str) -> Tensor:
        return torch.where(kind == OPERATIONS.index(name), magnitude, 0.0)

    angle = torch.deg2rad(of("rotate"))
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    matrix[:, 0, 1] = of("shear_x") - angle.sin()
    matrix[:, 1, 0] = of("shear_y") + angle.sin()
    matrix[:, 0, 2] = of("shear_x") * (0.5 * height) - of("translate_x")
    matrix[:, 1, 2] = of("shear_y") * (0.5 * width) - of("translate_y")
    return matrix.float()


def moved(
    pixels: UInt8[Tensor, "b c h w"], matrix: Float[Tensor, "b 2 3"]
) -> UInt8[Tensor, "b c h w"]:
    """Take each pixel from its nearest neighbour at the other end of an affine map.

    The roundings are those of torchvision's grid and torch's `grid_sample`; only elementwise
    arithmetic, so that a CPU and a GPU take the same pixels.
    """
    b, c, h, w = pixels.shape
    x = torch.arange(w, device=pixels.device) + (0.5 - 0.5 * w)
    y = torch.arange(h, device=pixels.device) + (0.5 - 0.5 * h)
    source = []
    for row, size in ((0, w), (1, h)):
        scaled = (matrix[:, row] / (0.5 * size))[:, :, None, None]
        at = x * scaled[:, 0] + y[:, None] * scaled[:, 1] + scaled[:, 2]
        source.append((((at + 1) * size - 1) / 2).round().long())
    column, line = source
    inside = (column >= 0) & (column < w) & (line >= 0) & (line < h)
    place = (line * w + column).where(inside, 0).reshape(b, 1, h * w)
    taken = pixels.reshape(b, c, h * w).gather(2, place.expand(-1, c, -1)).reshape(pixels.shape)
    return taken.masked_fill_(~inside[:, None], 0)
