"""Fashion-MNIST, 28x28 grey, ten kinds of clothes (Xiao et al., 2017, arXiv:1708.07747)."""

from pathlib import Path

import numpy as np

from swinablate.dataset import Arrays, Dataset, Labels, Pixels
from swinablate.recipe import ImageSpec


def read(raw: Path, _image: ImageSpec) -> Arrays:
    """Read torchvision's files; its MD5 sums guard what is downloaded."""
    return Arrays(*_part(raw, train=True), *_part(raw, train=False))


def _part(raw: Path, *, train: bool) -> tuple[Pixels, Labels]:
    from torchvision.datasets import FashionMNIST

    part = FashionMNIST(raw, train=train, download=True)
    return part.data.numpy()[:, None], part.targets.numpy().astype(np.int64)


def by_hand(raw: Path) -> str:
    """Name the files, where they come from, and where they go."""
    from torchvision.datasets import FashionMNIST

    urls = [FashionMNIST.mirrors[0] + name for name, _ in FashionMNIST.resources]
    names = [name.removesuffix(".gz") for name, _ in FashionMNIST.resources]
    return (
        f"get {', '.join(urls)}; unpack them (gunzip) into {raw / 'FashionMNIST' / 'raw'}, "
        f"which must then hold {', '.join(names)}; Debian has the same files in its package "
        "dataset-fashion-mnist (`dpkg -L dataset-fashion-mnist` lists them)"
    )


DATASET = Dataset(
    image=ImageSpec(height=28, width=28, channels=1, classes=10),
    train=60_000,
    test=10_000,
    version=1,
    read=read,
    by_hand=by_hand,
)
