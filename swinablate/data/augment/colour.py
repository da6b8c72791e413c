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


def sharpness(pixels: Bytes, factor: Factors) -> Bytes:
    """Move away from the blurred image, or towards it; the frame stays as it is."""
    if min(pixels.shape[2:]) <= 2:
        return pixels
    wide = pixels.short()
    rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    # PIL's kernel: 5 in the middle and 1 around it, of 13 in all.
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * wide[:, :, 1:-1, 1:-1]
    blurred = pixels.clone()
    blurred[:, :, 1:-1, 1:-1] = bytes_of((total.float() / 13).round())
    return blend(pixels, blurred, factor)


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


def posterize(pixels: Bytes, bits: Factors) -> Bytes:
    """Keep the highest bits of each byte."""
    mask = 256 - torch.pow(2, 8 - bits.long())
    return pixels & mask.to(torch.uint8)[:, None, None, None]


def solarize(pixels: Bytes, threshold: Factors) -> Bytes:
    """Invert what is not darker than the threshold."""
    return torch.where(pixels >= threshold[:, None, None, None], 255 - pixels, pixels)


def autocontrast(pixels: Bytes, _factor: Factors) -> Bytes:
    """Stretch each channel so that its darkest value is 0 and its brightest 255."""
    low, high = pixels.amin((2, 3), keepdim=True).float(), pixels.amax((2, 3), keepdim=True)
    scale = 255 / (high.float() - low)
    flat = ~scale.isfinite()
    low, scale = low.masked_fill(flat, 0.0), scale.masked_fill(flat, 1.0)
    return bytes_of((pixels.float() - low).mul_(scale).clamp_(0, 255))


def equalize(pixels: Bytes, _factor: Factors) -> Bytes:
    """Map each channel's values so that all are about equally frequent."""
    b, c, h, w = pixels.shape
    flat = pixels.reshape(b * c, h * w).long()
    first = 256 * torch.arange(b * c, device=pixels.device)[:, None]
    counts = (flat + first).flatten().bincount(minlength=256 * b * c).reshape(b * c, 256)
    # Pixels a grey value should have, if those of the brightest are left out. 0: nothing to do.
    step = (h * w - counts.gather(1, flat.amax(1, keepdim=True))) // 255
    whole = step.clamp(min=1)
    table = ((counts.cumsum(1) + whole // 2) // whole).roll(1, 1).clamp(0, 255)
    table[:, 0] = 0
    same = torch.arange(256, device=pixels.device).expand_as(table)
    table = torch.where(step == 0, same, table)
    return table.gather(1, flat).to(torch.uint8).reshape(pixels.shape)


def grey(pixels: Bytes) -> UInt8[Tensor, "b 1 h w"]:
    """Brightness as the eye sees it."""
    if pixels.shape[1] == 1:
        return pixels
    red, green, blue = pixels.unbind(1)
    # Weights of luma in television (ITU-R BT.601), with torchvision's digits.
    light = red.float() * 0.2989 + green.float() * 0.587 + blue.float() * 0.114
    return bytes_of(light)[:, None]


def blend(pixels: Bytes, other: Tensor, factor: Factors) -> Bytes:
    """`factor` of the image and 1 - `factor` of the other one, cut to what a byte holds."""
    one, rest = factor.float()[:, None, None, None], (1.0 - factor).float()[:, None, None, None]
    return bytes_of(pixels.float().mul_(one).add_(other.float().mul_(rest)).clamp_(0, 255))


def bytes_of(values: Float[Tensor, "*axes"]) -> UInt8[Tensor, "*axes"]:
    """Cut numbers from 0 to 255 to bytes; on a CPU three times as fast as at one go."""
    return values.int().to(torch.uint8)
