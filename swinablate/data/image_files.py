"""From an image file to the pixels of a format, and from one size to another.

`fitted` is for processes that may import PIL, `scaled` for those that may import torch.

Shapes: n images, c channels, h w pixels.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from swinablate.config.family import BYTE, ImageSpec
from swinablate.data.dataset import Bytes, Picture, Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {1: "L", 3: "RGB"}
"""Channels -> PIL's mode with bytes of so many."""
WORDS = {"I;16", "I;16B", "I;16L", "I;16N"}
"""Grey of 16 bits; PIL's own conversion would cut it off at 255."""
WORD = 2**16 - 1
"""Largest value of one."""
RANGELESS = {"I", "F"}
"""Whole numbers of 32 bits, and floats: nothing says which of them is white."""
GREY = WORDS | RANGELESS | {"1", "L", "LA", "La"}
"""PIL's modes without colour."""
ORIENTATION = 0x0112
"""EXIF's number of the note of how a camera was held; 1 is upright."""
LYING = {5, 6, 7, 8}
"""Its values that exchange height and width."""
PAPER = (255, 255, 255)
"""What transparent pictures lie on: white, as on a page."""


def fitted(picture: "Image", image: ImageSpec) -> Picture:
    """Turn it upright, cut the middle in the format's proportions, scale it, grey or colour it.

    A camera's note of how it was held (EXIF) is obeyed; what is transparent becomes white; grey
    of 16 bits is scaled by its range, 0 to 65535, not by its brightest pixel. Scaling averages
    over what a pixel covers (PIL's bilinear filter, as in torchvision's `Resize`). A picture
    that has the format already keeps its bytes.
    """
    from PIL import Image, ImageOps

    mode = MODES[image.channels]
    picture = _opaque(ImageOps.exif_transpose(picture))
    if picture.mode in WORDS:
        grey = np.asarray(picture).astype(np.int64)
        picture = Image.fromarray(((grey * BYTE + WORD // 2) // WORD).astype(np.uint8))
    if picture.mode in RANGELESS:
        raise ValueError(f"its numbers have no range (PIL's mode {picture.mode})")
    if picture.mode != mode:
        picture = picture.convert(mode)
    size = (image.width, image.height)
    if picture.size != size:
        picture = ImageOps.fit(picture, size, method=Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(image.height, image.width, -1).transpose(2, 0, 1)


def changes(picture: "Image", image: ImageSpec) -> list[str]:
    """What `fitted` makes other of a picture, in words; nothing of one that has the format."""
    grey = picture.mode in GREY
    told = {
        "turned upright": picture.getexif().get(ORIENTATION, 1) != 1,
        "transparent parts made white": picture.has_transparency_data,
        "grey made colour": grey and image.channels == 3,
        "colour made grey": not grey and image.channels == 1,
        "16 bits made 8": picture.mode in WORDS,
        "scaled or cut": upright(picture) != (image.height, image.width),
    }
    return [what for what, made in told.items() if made]


def coloured(picture: "Image") -> bool:
    """Whether a picture may hold colour, by its header: nothing is decoded."""
    if picture.mode == "P":
        palette = picture.getpalette("RGB") or []
        return not palette[::3] == palette[1::3] == palette[2::3]
    return picture.mode not in GREY


def upright(picture: "Image") -> tuple[int, int]:
    """Height and width of a picture once it stands as the camera was held."""
    lies = picture.getexif().get(ORIENTATION, 1) in LYING
    return picture.size if lies else (picture.height, picture.width)


def _opaque(picture: "Image") -> "Image":
    """The picture on paper, if any of it may be transparent."""
    from PIL import Image

    if not picture.has_transparency_data or picture.mode in WORDS | RANGELESS:
        return picture
    picture = picture.convert("RGBA")
    paper = Image.new("RGBA", picture.size, (*PAPER, BYTE))
    return Image.alpha_composite(paper, picture).convert("RGB")


REC_601 = (19595, 38470, 7471)
"""Shares of red, green and blue in grey, of 2**16, as PIL rounds those of ITU-R BT.601."""


def channelled(pixels: Pixels) -> UInt8[Bytes, "n _ h w"]:
    """Grey images as three equal channels, coloured ones as one, as PIL converts them."""
    if pixels.shape[1] == 1:
        return np.repeat(pixels, 3, axis=1)
    red, green, blue = (pixels[:, i : i + 1].astype(np.int64) * x for i, x in enumerate(REC_601))
    return ((red + green + blue + (1 << 15)) >> 16).astype(np.uint8)


AT_ONCE = 1024
"""Images scaled at a time: of ImageNet's size they take 600 MB as floats."""


def scaled(pixels: Pixels, image: ImageSpec, target: ImageSpec) -> UInt8[Bytes, "n c _ _"]:
    """Scale images to the height and width of another format, as bytes of 0 to 255.

    Bilinear, and averaging over what a pixel covers where images shrink, as torchvision's
    `resize(..., antialias=True)` does with tensors. Proportions are not kept.
    """
    import torch
    import torch.nn.functional as F

    def one(some: Pixels) -> UInt8[Bytes, "n c _ _"]:
        floats = torch.from_numpy(np.ascontiguousarray(some)).float() * (BYTE / image.top)
        found = F.interpolate(
            floats, (target.height, target.width), mode="bilinear", antialias=True
        )
        return found.round_().clamp_(0, BYTE).to(torch.uint8).numpy()

    starts = range(0, len(pixels), AT_ONCE)
    return np.concatenate([one(pixels[start : start + AT_ONCE]) for start in starts])
