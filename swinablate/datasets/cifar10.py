"""CIFAR-10, 32x32 colour photographs of ten kinds of things (Krizhevsky, 2009)."""

from pathlib import Path

import numpy as np

from swinablate.dataset import Arrays, Dataset, Labels, Pixels
from swinablate.recipe import ImageSpec


def read(raw: Path, _image: ImageSpec) -> Arrays:
    """Read torchvision's files; its MD5 sums guard each of them, old or new."""
    return Arrays(*_part(raw, train=True), *_part(raw, train=False))


def _part(raw: Path, *, train: bool) -> tuple[Pixels, Labels]:
    from torchvision.datasets import CIFAR10

    part = CIFAR10(raw, train=train, download=True)
    return part.data.transpose(0, 3, 1, 2), np.array(part.targets, dtype=np.int64)


def by_hand(raw: Path) -> str:
    """Name the archive, where it comes from, and where it goes."""
    from torchvision.datasets import CIFAR10

    files = [name for name, _ in CIFAR10.train_list + CIFAR10.test_list]
    files.append(CIFAR10.meta["filename"])
    return (
        f"get {CIFAR10.url}; unpack it (tar -xzf) in {raw}, which must then hold the folder "
        f"{CIFAR10.base_folder} with {', '.join(files)}"
    )


DATASET = Dataset(
    image=ImageSpec(height=32, width=32, channels=3, classes=10),
    train=50_000,
    test=10_000,
    version=1,
    read=read,
    by_hand=by_hand,
)
