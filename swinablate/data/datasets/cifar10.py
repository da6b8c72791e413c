"""CIFAR-10, 32x32 colour photographs of ten kinds of things (Krizhevsky, 2009)."""

from swinablate.config.family import ImageSpec
from swinablate.data.torchvision_sets import cifar_by_hand, torchvision_set

DATASET = torchvision_set(
    "CIFAR10",
    image=ImageSpec(height=32, width=32, channels=3, classes=10),
    counts=(50_000, 10_000),
    by_hand=cifar_by_hand,
    names=(
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
)
