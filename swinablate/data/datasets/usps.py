"""USPS, 16x16 grey, handwritten digits of envelopes (Hull, 1994)."""

from swinablate.config.family import ImageSpec
from swinablate.data.torchvision_sets import files_by_hand, torchvision_set

DATASET = torchvision_set(
    "USPS",
    image=ImageSpec(height=16, width=16, channels=1, classes=10),
    counts=(7_291, 2_007),
    by_hand=files_by_hand,
)
