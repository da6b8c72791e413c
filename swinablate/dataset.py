"""What a data set is: one file in `datasets/`, ending in `DATASET`."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from swinablate.recipe import ImageSpec

Pixels = NDArray[np.uint8]
"""Images, raw: n c h w."""
Labels = NDArray[np.int64]
Draws = NDArray[np.uint64]


@dataclass(frozen=True)
class Arrays:
    """A data set in memory; the test images are the same for ever."""

    train_pixels: Pixels
    train_labels: Labels
    test_pixels: Pixels
    test_labels: Labels


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set: what is known of it without having it, and how to get it.

    Attributes:
        image: its format; None where the recipe gives it.
        train: images from which training and validation images are cut.
        test: test images.
        version: raised when the same name would mean other images.
        read: (folder of raw files, format) -> the images. Downloads what is missing and
            imports what it needs; runs in the coordinator only. Raises OSError,
            RuntimeError, TypeError, ValueError or AssertionError where it cannot.
        by_hand: folder of raw files -> how to place them without a network.
    """

    image: ImageSpec | None
    train: int
    test: int
    version: int
    read: Callable[[Path, ImageSpec], Arrays]
    by_hand: Callable[[Path], str]


def draws(n: int, *names: object) -> Draws:
    """Uniform 64-bit numbers that depend on `names` alone, not on any library's version."""
    text = "\x1f".join(map(str, names)).encode()
    return np.frombuffer(hashlib.shake_256(text).digest(8 * n), dtype="<u8").astype(np.uint64)


def stratified_order(labels: Labels, chance: Draws) -> NDArray[np.int64]:
    """A random order in which every stretch holds the classes in proportion.

    In any stretch the count of a class is within one of its share, so prefixes are
    stratified subsets of exactly the size asked for, and the smaller is in the larger.

    Args:
        labels: class of each image.
        chance: one draw an image.

    Returns:
        Indices of the images.
    """
    grouped = np.lexsort((chance, labels))  # class after class, shuffled inside
    counts = np.bincount(labels)
    rank = np.arange(len(labels)) - (np.cumsum(counts) - counts)[labels[grouped]]
    quantile = (rank + 0.5) / counts[labels[grouped]]
    order: NDArray[np.int64] = grouped[np.lexsort((chance[grouped], quantile))]
    return order
