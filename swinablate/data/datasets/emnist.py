"""EMNIST, 28x28 grey, 47 handwritten digits and letters (Cohen et al., 2017, arXiv:1702.05373).

The balanced split. As in its files, the images are mirrored along the diagonal.
"""

from pathlib import Path
from typing import Any

from swinablate.config.family import ImageSpec
from swinablate.data.torchvision_sets import torchvision_set

SPLIT = "balanced"
"""Digits and letters, all equally often; in `byclass` and `bymerge` they are not."""


def by_hand(cls: Any, raw: Path) -> str:
    """Name the archive and the four files in it that are needed."""
    names = [
        f"emnist-{SPLIT}-{part}-{what}-ubyte"
        for part in ("train", "test")
        for what in ("images-idx3", "labels-idx1")
    ]
    return (
        f"get {cls.url}; unpack it (unzip), then from its folder gzip ({', '.join(names)})"
        f".gz (gunzip) into {raw / 'EMNIST' / 'raw'}"
    )


DATASET = torchvision_set(
    "EMNIST",
    image=ImageSpec(height=28, width=28, channels=1, classes=47),
    counts=(112_800, 18_800),
    by_hand=by_hand,
    options=({"split": SPLIT, "train": True}, {"split": SPLIT, "train": False}),
)
