"""Changes of colour, each image by its own amount: bytes in, bytes out.

Every function equals torchvision's of the same name (`transforms/_functional_tensor.py`,
0.29) on every image of the batch, bit for bit; those loop over images, these do not.

Shapes: b images, c channels (1 or 3), h w pixels; one factor an image.
"""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

Bytes = UInt8[Tensor, "b c h w"]
Factors = Float[Tensor, " b"]
"""Float64, so that 1 - factor is rounded once."""
LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in television (ITU-R BT.601), with torchvision's digits."""


def brightness(pixels: Bytes, factor: Factors) -> Bytes:
    """Multiply; 0 is black, 1 changes nothing."""
    return blend(pixels, torch.zeros_like(pixels), factor)


def contrast(pixels: Bytes, factor: Factors) -> Bytes:
    """Move away from the image's mean grey, or towards it; 1 changes nothing."""
    count = pixels.shape[2] * pixels.shape[3]
    mean = grey(pixels).sum((1, 2, 3), dtype=torch.int64).float() / count
    return blend(pixels, mean[:, None, None, None], factor)


def saturation(pixels: Bytes, factor: Factors) -> Bytes:
    """Move away from the grey image, or towards it; 1 changes nothing, nor does grey."""
    return pixels if pixels.shape[1] == 1 else blend(pixels, grey(pixels), factor)


def hue(pixels: Bytes, turn: Factors) -> Bytes:
    """Turn the colour circle by a share of it, -0.5 to 0.5."""
    red, green, blue = (pixels.float() / 255).unbind(1)
    top, bottom = torch.stack((red, green, blue)).aminmax(dim=0)[::-1]
    # The circle has six sectors: red at 0, green at 2, blue at 4; the colour lies between two.
    span, is_grey = top - bottom, top == bottom
    rest = torch.where(is_grey, 1.0, span)
    r, g, b = (top - red) / rest, (top - green) / rest, (top - blue) / rest
    is_red = top == red
    is_green = (top == green) & ~is_red
    angle = is_red.float() * (b - g)
    angle = angle + is_green.float() * (2.0 + r - b)
    angle = angle + (~is_red & ~is_green).float() * (4.0 + g - r)
    angle = torch.fmod(angle / 6.0 + 1.0, 1.0)
    angle = (angle + turn.float()[:, None, None]) % 1.0
    vivid = span / torch.where(is_grey, 1.0, top)
    sector = torch.floor(angle * 6.0)
    f = angle * 6.0 - sector
    p = (top * (1.0 - vivid)).clamp(0.0, 1.0)
    q = (top * (1.0 - vivid * f)).clamp(0.0, 1.0)
    t = (top * (1.0 - vivid * (1.0 - f))).clamp(0.0, 1.0)
    choices = torch.stack((top, q, p, p, t, top))  # red; green and blue lag by 2 and 4 sectors
    place = sector.long() % 6
    mixed = [choices.gather(0, ((place + lag) % 6)[None])[0] for lag in (0, 4, 2)]
    # torchvision's way from numbers to bytes: 256 equal bins, and 1.0 in the last of them.
    return bytes_of(torch.stack(mixed, 1) * (255 + 1.0 - 1e-3))


def grey(pixels: Bytes) -> UInt8[Tensor, "b 1 h w"]:
    """Brightness as the eye sees it."""
    if pixels.shape[1] == 1:
        return pixels
    red, green, blue = pixels.unbind(1)
    light = red.float() * LUMA[0] + green.float() * LUMA[1] + blue.float() * LUMA[2]
    return bytes_of(light)[:, None]


def blend(pixels: Bytes, other: Tensor, factor: Factors) -> Bytes:
    """`factor` of the image and 1 - `factor` of the other one, cut to what a byte holds."""
    one, rest = factor.float()[:, None, None, None], (1.0 - factor).float()[:, None, None, None]
    return bytes_of(pixels.float().mul_(one).add_(other.float().mul_(rest)).clamp_(0, 255))


def bytes_of(values: Float[Tensor, "*axes"]) -> UInt8[Tensor, "*axes"]:
    """Cut numbers from 0 to 255 to bytes; on a CPU three times as fast as at one go."""
    return values.int().to(torch.uint8)
