"""STL-10, 96x96 colour photographs of ten kinds of things (Coates et al., 2011)."""

from swinablate.config.family import ImageSpec
from swinablate.data.torchvision_sets import BY_SPLIT, stl_by_hand, torchvision_set

DATASET = torchvision_set(
    "STL10",
    image=ImageSpec(height=96, width=96, channels=3, classes=10),
    counts=(5_000, 8_000),
    by_hand=stl_by_hand,
    options=BY_SPLIT,
)
