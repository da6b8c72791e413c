"""Random images of any format, for smoke runs and benchmarks: there is nothing to learn."""

from pathlib import Path

import numpy as np

from swinablate.config.family import BYTE, ImageSpec
from swinablate.data.dataset import Arrays, Dataset, Labels, Pixels, draws, made_here

TRAIN, TEST = 1024, 256
"""Enough for some steps of any batch, and no more: every format is made and kept by itself."""


def read(_raw: Path, image: ImageSpec) -> Arrays:
    """Draw images; every class has the same number of them, give or take one."""
    return Arrays(*_part("train", TRAIN, image), *_part("test", TEST, image))


def _part(part: str, n: int, image: ImageSpec) -> tuple[Pixels, Labels]:
    shape = (n, image.channels, image.height, image.width)
    pixels = draws(-(-int(np.prod(shape)) // 8), "noise", part).astype("<u8").view(np.uint8)
    labels = np.argsort(draws(n, "noise", part, "labels")) % image.classes
    if image.top < BYTE:
        pixels = pixels % np.uint8(image.top + 1)
    return pixels[: int(np.prod(shape))].reshape(shape), labels


DATASET = Dataset(
    train=TRAIN,
    test=TEST,
    read=read,
    by_hand=made_here,
)
