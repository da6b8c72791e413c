"""What a data set is: one file in `datasets/`, ending in `DATASET`."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8, UInt64

from swinablate.config.family import ImageSpec

# Written out: from numpy 2.5 on `NDArray` is no class at run time, where shapes are checked.
Bytes = np.ndarray[tuple[Any, ...], np.dtype[np.uint8]]
Wholes = np.ndarray[tuple[Any, ...], np.dtype[np.int64]]
Positives = np.ndarray[tuple[Any, ...], np.dtype[np.uint64]]

Pixels = UInt8[Bytes, "n c h w"]
"""Images, raw."""
Picture = UInt8[Bytes, "c h w"]
"""One of them."""
Labels = Int64[Wholes, " n"]
Moments = Int64[Wholes, "n c 2"]
"""Sum and sum of squares of each image's channels."""
Rows = Int64[Wholes, " n"]
"""Positions of images."""
Side = int | tuple[int, int]
"""Pixels a side, or height and width."""
Draws = UInt64[Positives, " n"]


@dataclass(frozen=True)
class Arrays:
    """A data set in memory; the test images are the same for ever.

    Its numbers of images, classes and pixels are compared with what was promised afterwards.
    """

    train_pixels: UInt8[Bytes, "_ _ _ _"]
    train_labels: Int64[Wholes, " _"]
    test_pixels: UInt8[Bytes, "_ _ _ _"]
    test_labels: Int64[Wholes, " _"]


@dataclass(frozen=True)
class Part:
    """Training or test images that are made while they are written, a few at a time.

    Attributes:
        n: how many there will be.
        chunks: starts making them; images and their classes.
        names: of the images, where they have some.
        converted: what was made other of them -> of how many; filled as they are made.
        passed: ending of files that hold pictures, and are not read -> how many are there.
    """

    n: int
    chunks: Callable[[], Iterator[tuple[Pixels, Labels]]]
    names: Sequence[str] = ()
    converted: Counter[str] = field(default_factory=Counter)
    passed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """A data set that need not fit in memory.

    Attributes:
        train: images to train on; validation images are cut from them if there is no `val`.
        test: test images.
        val: validation images of the data set's own.
    """

    train: Part
    test: Part
    val: Part | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set: what is known of it without having it, and how to get it.

    Attributes:
        read: (folder of raw files, format) -> the images. Downloads what is missing and
            imports what it needs; runs in the coordinator only. Raises OSError,
            RuntimeError, TypeError, ValueError or AssertionError where it cannot, InputError
            where the recipe or its files are wrong.
        by_hand: folder of raw files -> how to place them without a network.
        image: its format; None where the recipe gives it.
        train: images from which training and validation images are cut; None where that is
            known only when it is read.
        test: test images; likewise.
        version: raised whenever the same name is to mean other images.
        rooted: the raw files are in `data.root`.
        names: of the classes, where they are more than numbers.
        listed: folder of raw files -> the same, where the files say it.
        state: folder of raw files -> digest of what the images are made of, where that can
            change under the same name; they are read again when it has.
        look: (folder of raw files, pixels a side that are asked for, the share of `cut`) -> the
            format, where the files say it. Raises InputError where they do not.
        cut: as `read`, where the files are not parted: the last is the share that tests, which
            must be the same images whatever the seeds.
    """

    read: Callable[[Path, ImageSpec], Arrays | Parts]
    by_hand: Callable[[Path], str]
    image: ImageSpec | None = None
    train: int | None = None
    test: int | None = None
    version: int = 1
    rooted: bool = False
    state: Callable[[Path], str] | None = None
    names: tuple[str, ...] = ()
    listed: Callable[[Path], tuple[str, ...]] | None = None
    look: Callable[[Path, Side | None, float | None], ImageSpec] | None = None
    cut: Callable[[Path, ImageSpec, float], Parts] | None = None


def made_here(_raw: Path) -> str:
    """What is to be done by hand for images that no file holds: nothing."""
    return "the images are made by swinablate itself"


def draws(n: int, *names: object) -> UInt64[Positives, " {n}"]:
    """Uniform 64-bit numbers that depend on `names` alone, not on any library's version."""
    text = "\x1f".join(map(str, names)).encode()
    return np.frombuffer(hashlib.shake_256(text).digest(8 * n), dtype="<u8").astype(np.uint64)


def stratified_order(labels: Labels, chance: Draws) -> Rows:
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
    # Each class's images spread evenly over 0 to 1; equal places are in random order.
    quantile = (rank + 0.5) / counts[labels[grouped]]
    order: Wholes = grouped[np.lexsort((chance[grouped], quantile))]
    return order
