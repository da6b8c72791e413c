"""Batches: the order of an epoch, augmentation, normalisation.

Everything is a pure function of its arguments, the generator's state included, so a resumed
run needs no state of the data's own.

Shapes: b images in a batch, c channels, h w pixels.
"""

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from swinablate.data.splits import Images
from swinablate.recipe import derive

Augment = Literal["none", "flip", "crop", "flip_crop"]
MARGIN = 4  # pixels, He 2016, sec. 4.2
EVAL_BATCH = 1000


def epoch_order(n: int, seed: int, stream: str, epoch: int) -> Int[Tensor, " n"]:
    """The order of `n` training images in one epoch; the same for all arms of a seed."""
    chance = torch.Generator().manual_seed(derive(seed, stream, "order", epoch))
    return torch.randperm(n, generator=chance)


def batch(
    images: Images, index: Int[Tensor, " b"], augment: Augment, generator: torch.Generator
) -> tuple[Float[Tensor, "b c h w"], Int[Tensor, " b"]]:
    """Some training images, changed and normalised, and their classes.

    Args:
        images: the training images.
        index: which of them, on their device.
        augment: `flip` mirrors half of the images, left to right; `crop` moves each by up to
            4 pixels in both directions. Every image has its own draws; flips are the same
            with and without `crop`.
        generator: of this step; on any device.
    """
    pixels = images.pixels[images.rows[index]]
    if augment != "none":
        flip, margin = "flip" in augment, MARGIN if "crop" in augment else 0
        pixels = augmented(pixels, flip=flip, margin=margin, generator=generator)
    return _normalised(pixels, images), images.labels[index]


def eval_batches(images: Images, size: int = EVAL_BATCH) -> Iterator[Float[Tensor, "b c h w"]]:
    """All images in their order, normalised, never changed."""
    for start in range(0, len(images), size):
        yield _normalised(images.pixels[images.rows[start : start + size]], images)


def augmented(
    pixels: UInt8[Tensor, "b c h w"], *, flip: bool, margin: int, generator: torch.Generator
) -> UInt8[Tensor, "b c h w"]:
    """Mirror and shift each image by its own draws, in one gather.

    What a shift moves in from outside is black (raw value 0), not the mean: torchvision's
    recipes pad before normalising as well, and in digits and clothes 0 is the background.
    """
    b, _, h, w = pixels.shape
    at = generator.device
    mirrored = torch.rand(b, 1, generator=generator, device=at) < (0.5 if flip else 0.0)
    offset = torch.randint(2 * margin + 1, (2, b, 1), generator=generator, device=at)
    mirrored, offset = mirrored.to(pixels.device), offset.to(pixels.device)
    column = torch.arange(w, device=pixels.device)
    columns = offset[1] + torch.where(mirrored, w - 1 - column, column)  # b w
    rows = offset[0] + torch.arange(h, device=pixels.device)  # b h
    place = (rows[:, :, None] * (w + 2 * margin) + columns[:, None, :]).flatten(1)
    padded = F.pad(pixels, (margin, margin, margin, margin)).flatten(2)
    chosen = padded.gather(2, place[:, None].expand(-1, pixels.shape[1], -1))
    return chosen.reshape(pixels.shape)


def _normalised(pixels: UInt8[Tensor, "b c h w"], images: Images) -> Float[Tensor, "b c h w"]:
    return pixels.float().mul_(images.scale).add_(images.shift)
