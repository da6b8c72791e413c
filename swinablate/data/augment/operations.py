"""The operations of RandAugment and TrivialAugment, each image by its own: bytes in, bytes out.

Every one equals torchvision's (`transforms/autoaugment.py` and `_functional_tensor.py`, 0.29),
bit for bit; those loop over images. Here a batch is sorted by operation, and each stretch of it
changed at once in one of three ways: pixels moved by one gather; bytes looked up in a table of
256; images blended with others. What depends on draws alone is computed on the CPU, outside of
torch, so that a batch takes a sixth of the operators that it takes operation by operation, and
none waits for the device.

Shapes: b images, c channels (1 or 3), h w pixels, n images of one stretch.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from swinablate.data.augment.colour import LUMA

Bytes = UInt8[Tensor, "n c h w"]
MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
TABLES = ("brightness", "posterize", "solarize", "autocontrast", "equalize")
"""The tables of the last two depend on the image."""
BLENDS = ("contrast", "color", "sharpness")
OPERATIONS = (
    "identity", *MOVES, "brightness", "color", "contrast", "sharpness", "posterize", "solarize",
    "autocontrast", "equalize",
)  # fmt: skip
"""The 14 of torchvision; their places are what is drawn, so the order is part of a trial."""
SORTED = ("identity", *MOVES, *TABLES, *BLENDS)
"""The order of stretches."""
MAPS = 320
"""Maps of pixels that are kept, more than the 310 of TrivialAugment: 5 moves, 31 bins, 2 signs."""


def apply(
    pixels: UInt8[Tensor, "b c h w"], kind: Int[Tensor, " b"], magnitude: Float[Tensor, " b"]
) -> UInt8[Tensor, "b c h w"]:
    """Change each image by its own operation.

    Args:
        pixels: on any device; not changed.
        kind: index into `OPERATIONS`; on the CPU, so that nothing waits for the device.
        magnitude: signed, in the operation's unit; on the CPU.
    """
    place = np.array([SORTED.index(name) for name in OPERATIONS])
    if pixels.shape[1] == 1:
        place[OPERATIONS.index("color")] = 0  # grey stays grey
    if min(pixels.shape[2:]) <= 2:
        place[OPERATIONS.index("sharpness")] = 0  # all is frame
    rank = place[kind.numpy()]
    order = np.argsort(rank, kind="stable")
    both = torch.from_numpy(np.stack((order, np.argsort(order))))
    there, back = both.to(pixels.device, non_blocking=True)
    work, amount = pixels.index_select(0, there), magnitude.numpy()[order]
    ends = np.searchsorted(rank[order], np.arange(len(SORTED) + 1)).tolist()
    for names, change in ((MOVES, _move), (TABLES, _look_up), (BLENDS, _blend)):
        first = SORTED.index(names[0])
        marks = ends[first : first + len(names) + 1]
        if marks[0] < marks[-1]:
            bounds = [mark - marks[0] for mark in marks]
            change(work[marks[0] : marks[-1]], amount[marks[0] : marks[-1]], bounds)
    return work.index_select(0, back)


def _move(part: Bytes, amount: np.ndarray, bounds: Sequence[int]) -> None:
    """Shear, shift and turn, in place."""
    h, w = part.shape[2:]
    names = np.repeat(MOVES, np.diff(bounds)).tolist()
    maps = [
        pixel_map(name, value, h, w, part.device)
        for name, value in zip(names, amount.tolist(), strict=True)
    ]
    index = torch.stack(maps)[:, None].expand(-1, part.shape[1], -1)
    black = F.pad(part.flatten(2), (0, 1))  # one pixel behind the last
    torch.gather(black, 2, index, out=part.flatten(2))


@lru_cache(MAPS)
def pixel_map(
    name: str, magnitude: float, h: int, w: int, device: torch.device
) -> Int[Tensor, " {h}*{w}"]:
    """Which pixel each one is taken from, or `h * w` where that lies outside.

    The nearest neighbour at the other end of an affine map; the roundings are those of
    torchvision's grid and torch's `grid_sample`.
    """
    angle = np.deg2rad(magnitude if name == "rotate" else 0.0)
    shear_x, shear_y, right, down = (magnitude if name == move else 0.0 for move in MOVES[:4])
    rows = np.array([
        [np.cos(angle), shear_x - np.sin(angle), shear_x * (0.5 * h) - right],
        [shear_y + np.sin(angle), np.cos(angle), shear_y * (0.5 * w) - down],
    ]).astype(np.float32)  # fmt: skip
    x = (np.arange(w) + (0.5 - 0.5 * w)).astype(np.float32)
    y = (np.arange(h) + (0.5 - 0.5 * h)).astype(np.float32)
    source = []
    for row, size in zip(rows, (w, h), strict=True):
        scaled = row / np.float32(0.5 * size)
        at = (x * scaled[0])[None, :] + (y * scaled[1])[:, None] + scaled[2]
        source.append(np.rint(((at + 1) * np.float32(size) - 1) / 2).astype(np.int64))
    column, line = source
    inside = (column >= 0) & (column < w) & (line >= 0) & (line < h)
    return torch.from_numpy(np.where(inside, line * w + column, h * w).ravel()).to(device)


def _look_up(part: Bytes, amount: np.ndarray, bounds: Sequence[int]) -> None:
    """Exchange every byte by what its channel's table says, in place."""
    n, c = part.shape[:2]
    bright, poster, solar, stretched, equal = (
        slice(first, last) for first, last in pairwise(bounds)
    )
    rows = np.tile(np.arange(256, dtype=np.uint8), (n, 1))
    factor = (1.0 + amount[bright]).astype(np.float32)[:, None]
    rows[bright] = np.clip(rows[bright] * factor, 0, 255).astype(np.uint8)
    rows[poster] &= (256 - 2 ** (8 - amount[poster].astype(np.int64)))[:, None].astype(np.uint8)
    rows[solar] = np.where(rows[solar] >= amount[solar, None], 255 - rows[solar], rows[solar])
    device = part.device
    table = torch.from_numpy(rows.repeat(c, 0).reshape(n, c, 256)).to(device, non_blocking=True)
    flat = part.flatten(2).long()
    if stretched.start < equal.stop:
        low, high = torch.aminmax(flat[stretched.start :], dim=2)
        count = stretched.stop - stretched.start
        if count:
            table[stretched] = stretches(device)[low[:count], high[:count]]
        if count < len(low):
            table[equal] = _equal(flat[equal].flatten(0, 1), high[count:].reshape(-1, 1)).view(
                -1, c, 256
            )
    torch.gather(table, 2, flat, out=part.flatten(2))


@lru_cache(8)
def stretches(device: torch.device) -> UInt8[Tensor, "256 256 256"]:
    """By darkest and brightest value: what each becomes where these become 0 and 255."""
    found = np.empty((256, 256, 256), np.uint8)
    value = np.arange(256, dtype=np.float32)
    for low in range(256):
        found[low] = np.arange(256, dtype=np.uint8)
        span = value[low + 1 :, None] - np.float32(low)
        scale = np.float32(1) / span * np.float32(255)
        found[low, low + 1 :] = np.clip((value - np.float32(low)) * scale, 0, 255)
    return torch.from_numpy(found).to(device)


@lru_cache(8)
def steps(area: int, device: torch.device) -> Int[Tensor, "{area}+1 3"]:
    """By the pixels of the brightest value: half a step, a step, and whether there is none.

    A step is how many pixels each value should have, if those of the brightest are left out;
    where there is none it is longer than any row of pixels.
    """
    step = (area - np.arange(area + 1)) // 255
    none = step == 0
    found = np.stack((np.where(none, 0, step // 2), np.where(none, 2**40, step), none), 1)
    return torch.from_numpy(found.astype(np.int64)).to(device)


@lru_cache(8)
def levels(device: torch.device) -> Int[Tensor, " 256"]:
    """0 to 255."""
    return torch.from_numpy(np.arange(256)).to(device)


def _equal(flat: Int[Tensor, "r p"], high: Int[Tensor, "r 1"]) -> Int[Tensor, "r 256"]:
    """Tables by which all values of a row become about equally frequent."""
    value = levels(flat.device)
    counts = flat.new_zeros(len(flat), 257)
    counts[:, 1:].scatter_add_(1, flat, value[1:2].expand(flat.shape))
    half, step, none = steps(flat.shape[1], flat.device)[
        counts[:, 1:].gather(1, high)[:, 0]
    ].unbind(1)
    counts[:, 0] = half
    share = counts[:, :256].cumsum(1).floor_divide_(step[:, None]).clamp_(max=255)
    return share.addcmul_(none[:, None], value)


def _blend(part: Bytes, amount: np.ndarray, bounds: Sequence[int]) -> None:
    """So much of the image and the rest of another one, in place: mean grey, grey, or blurred."""
    n, c, h, w = part.shape
    contrast, coloured, sharp = bounds[1], bounds[2], slice(bounds[2], n)
    factor = 1.0 + amount  # float64, so that 1 - factor is rounded once
    shares = torch.from_numpy(np.stack((factor, 1.0 - factor)).astype(np.float32))
    one, rest = shares.to(part.device, non_blocking=True)[..., None, None, None]
    light = part.float()
    other = light.clone()
    if coloured:
        red = light[:coloured]
        if c == 3:
            red, green, blue = (red * luma(part.device)).unbind(1)
            grey = (red + green).add_(blue).trunc_()[:, None]
        else:
            grey = red
        if contrast:
            mean = grey[:contrast].sum((1, 2, 3), dtype=torch.float64).float() / (h * w)
            other[:contrast] = mean[:, None, None, None]
        if contrast < coloured:
            other[contrast:coloured] = grey[contrast:]
    if coloured < n:
        # PIL's kernel: 5 in the middle and 1 around it, of 13 in all. Sums of bytes are exact.
        total = F.avg_pool2d(light[sharp], 3, 1, divisor_override=1)
        total = total.add_(light[sharp, :, 1:-1, 1:-1], alpha=4).div_(13)
        torch.round(total, out=other[sharp, :, 1:-1, 1:-1])
    light.mul_(one).add_(other.mul_(rest)).clamp_(0, 255)
    part.copy_(light.int())  # at one go it takes three times as long on a CPU


@lru_cache(8)
def luma(device: torch.device) -> Float[Tensor, "3 1 1"]:
    """Weights of red, green and blue in grey."""
    return torch.from_numpy(np.array(LUMA, np.float32)[:, None, None]).to(device)
