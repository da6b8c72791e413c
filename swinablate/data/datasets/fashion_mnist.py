"""Fashion-MNIST, 28x28 grey, ten kinds of clothes (Xiao et al., 2017, arXiv:1708.07747)."""

from pathlib import Path
from typing import Any

from swinablate.config.family import ImageSpec
from swinablate.data.torchvision_sets import mnist_by_hand, torchvision_set


def by_hand(cls: Any, raw: Path) -> str:
    """Name the files, where they come from, and where they go."""
    return (
        f"{mnist_by_hand(cls, raw)}; Debian has the same files in its package "
        "dataset-fashion-mnist (`dpkg -L dataset-fashion-mnist` lists them)"
    )


DATASET = torchvision_set(
    "FashionMNIST",
    image=ImageSpec(height=28, width=28, channels=1, classes=10),
    counts=(60_000, 10_000),
    by_hand=by_hand,
    names=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
)
