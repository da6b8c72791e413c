"""SVHN, 32x32 colour house numbers, the digit in the middle (Netzer et al., 2011)."""

from swinablate.config.family import ImageSpec
from swinablate.data.torchvision_sets import BY_SPLIT, files_by_hand, torchvision_set

DATASET = torchvision_set(
    "SVHN",
    image=ImageSpec(height=32, width=32, channels=3, classes=10),
    counts=(73_257, 26_032),
    by_hand=files_by_hand,
    options=BY_SPLIT,
)
