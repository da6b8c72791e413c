"""MNIST, 28x28 grey, handwritten digits (LeCun et al., 1998)."""

from swinablate.config.family import ImageSpec
from swinablate.data.torchvision_sets import mnist_by_hand, torchvision_set

DATASET = torchvision_set(
    "MNIST",
    image=ImageSpec(height=28, width=28, channels=1, classes=10),
    counts=(60_000, 10_000),
    by_hand=mnist_by_hand,
)
