"""From image files to the pixels of a format, many at a time, and from one size to another.

`scaled` is for processes that may import torch, the rest for those that may import PIL.

Shapes: n images, c channels, h w pixels.
"""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from swinablate.config.family import BYTE, ImageSpec
from swinablate.data.dataset import Bytes, Labels, Picture, Pixels
from swinablate.errors import InputError

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
TURNED = range(2, 9)
"""Its values that mean something else."""
LYING = {5, 6, 7, 8}
"""Those that exchange height and width."""
WIDTH, HEIGHT = 256, 257
"""TIFF's numbers of the notes of both, as they are stored."""
INK = 262
"""TIFF's number of the note of which end of its range is white."""
NEGATIVE = 0
"""Its value where that is zero. PIL obeys it in pictures of 8 bits and fewer alone."""
PAPER = (255, 255, 255)
"""What transparent pictures lie on: white, as on a page."""


def fitted(picture: "Image", image: ImageSpec) -> Picture:
    """Turn it upright, cut the middle in the format's proportions, scale it, grey or colour it.

    A camera's note of how it was held (EXIF) is obeyed; what is transparent becomes white; grey
    of 16 bits is scaled by its range, 0 to 65535, not by its brightest pixel, and turned over
    where 0 is white. Scaling averages over what a pixel covers (PIL's bilinear filter, as in
    torchvision's `Resize`). A picture that has the format already keeps its bytes.
    """
    from PIL import Image, ImageOps

    mode, negative = MODES[image.channels], getattr(picture, "tag_v2", {}).get(INK) == NEGATIVE
    picture = _opaque(ImageOps.exif_transpose(picture))
    if picture.mode in WORDS:
        grey = np.asarray(picture).astype(np.int64)
        grey = WORD - grey if negative else grey
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
    """What `fitted` makes other of a picture, in words; nothing of one that has the format.

    To be asked before it is decoded: PIL forgets how it turned a TIFF file.
    """
    grey = picture.mode in GREY
    told = {
        "turned upright": picture.getexif().get(ORIENTATION, 1) in TURNED,
        "transparent parts made white": _transparent(picture),
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
    """Height and width of a picture once it stands as the camera was held.

    PIL turns TIFF files itself, and tells their size as it will be then.
    """
    stored = getattr(picture, "tag_v2", {})
    told = picture.size if stored.get(HEIGHT) is None else (stored[WIDTH], stored[HEIGHT])
    lies = picture.getexif().get(ORIENTATION, 1) in LYING and told == picture.size
    return picture.size if lies else (picture.height, picture.width)


def _transparent(picture: "Image") -> bool:
    """Whether any of it is transparent; many screenshots have an alpha channel and are not."""
    if not picture.has_transparency_data or picture.mode in WORDS | RANGELESS:
        return False
    return bool(np.asarray(picture.convert("RGBA"))[..., -1].min() < BYTE)


def _opaque(picture: "Image") -> "Image":
    """The picture on paper, if any of it may be transparent."""
    from PIL import Image

    if not picture.has_transparency_data or picture.mode in WORDS | RANGELESS:
        return picture
    picture = picture.convert("RGBA")
    paper = Image.new("RGBA", picture.size, (*PAPER, BYTE))
    return Image.alpha_composite(paper, picture).convert("RGB")


CHUNK = 512
"""Pictures decoded before they are written: work for every core, and all that memory holds."""
NAMED = 20
"""Unusable files that a message names: a screen of them; of more, the number says enough."""
SMALLEST = ImageSpec(height=1, width=1, channels=3, classes=2)
"""A format that takes no memory, to see whether a picture can be decoded at all."""
Files = list[tuple[Path, int]]
"""Pictures, and the numbers of their classes."""


def headers(files: Files) -> Iterator[tuple[Path, tuple[tuple[int, int], bool] | str]]:
    """Of each picture height and width, and whether it has colour; or why it cannot be read."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), CHUNK):
            some = [path for path, _ in files[start : start + CHUNK]]
            yield from zip(some, pool.map(_header, some), strict=True)


def _header(path: Path) -> tuple[tuple[int, int], bool] | str:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return upright(picture), coloured(picture)
    except _faults() as error:
        return _reason(error)


def decoded(
    files: Files, image: ImageSpec, every: Files, converted: Counter[str]
) -> Iterator[tuple[Pixels, Labels]]:
    """Decode in threads: PIL lets go of Python while it decodes and scales.

    Args:
        files: those to decode.
        image: the format.
        every: of all parts; where one is unusable, all that are unusable are named at once.
        converted: what was made other of them -> of how many.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), CHUNK):
            some = files[start : start + CHUNK]
            found = list(pool.map(lambda path: _one(path, image), [path for path, _ in some]))
            whole = [one for one in found if not isinstance(one, str)]
            if len(whole) < len(found):
                raise unusable(every)
            converted.update(chain.from_iterable(changed for _, changed in whole))
            yield (
                np.stack([picture for picture, _ in whole]),
                np.array([label for _, label in some], dtype=np.int64),
            )


def _one(path: Path, image: ImageSpec) -> tuple[Picture, list[str]] | str:
    """A picture and what was made other of it; or why it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            told, made = changes(picture, image), fitted(picture, image)
            # Asked last: PIL may have to look at the second one.
            several = getattr(picture, "is_animated", False)
            return made, [*told, *(["first of several pictures taken"] if several else [])]
    except _faults() as error:
        return _reason(error)


def _faults() -> tuple[type[Exception], ...]:
    """What PIL raises of files that it cannot read."""
    from PIL import Image

    return (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def unusable(files: Files) -> InputError:
    """All files that cannot be read, each with the reason; all of them are decoded to see it."""
    paths = [path for path, _ in files]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read = zip(paths, pool.map(lambda path: _one(path, SMALLEST), paths), strict=True)
        (path, reason), *others = [(path, why) for path, why in read if isinstance(why, str)]
    if not others:
        return InputError(
            f"a picture cannot be read: {reason}", at=str(path), hint="mend it, or remove it"
        )
    named = [f"{one} ({why})" for one, why in others[: NAMED - 1]]
    more = f" and {len(others) - len(named)} more" if len(others) > len(named) else ""
    return InputError(
        f"{len(others) + 1} pictures cannot be read: {path} ({reason}), {', '.join(named)}{more}",
        at="data.root",
        hint="mend them, or remove them",
    )


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
