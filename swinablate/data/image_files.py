"""From an image file to the pixels of a format; for processes that may import PIL."""

from typing import TYPE_CHECKING

import numpy as np

from swinablate.config.family import ImageSpec
from swinablate.data.dataset import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {1: "L", 3: "RGB"}
"""Channels -> PIL's mode with bytes of so many."""
DEEP = {"I", "F", "I;16", "I;16B", "I;16L", "I;16N"}  # PIL would cut these off at 255


def fitted(picture: "Image", image: ImageSpec) -> Picture:
    """Cut the middle in the format's proportions, scale it, and grey or colour it.

    Scaling averages over what a pixel covers (PIL's bilinear filter, as in torchvision's
    `Resize`). A picture that has the format already keeps its bytes.
    """
    from PIL import Image, ImageOps

    mode = MODES[image.channels]
    if picture.mode in DEEP:
        raise ValueError(f"more than 8 bits a channel (PIL's mode {picture.mode})")
    if picture.mode != mode:
        picture = picture.convert(mode)
    size = (image.width, image.height)
    if picture.size != size:
        picture = ImageOps.fit(picture, size, method=Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(image.height, image.width, -1).transpose(2, 0, 1)
