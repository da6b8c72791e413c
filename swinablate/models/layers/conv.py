"""Convolutions and their norms, channels second.

Shapes: b batch, c channels, h w pixels.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.layers.window import Pair

ConvNorm = Literal["batch", "layer", "none"]


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel. Source: ConvNeXt sec. 2.6."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalise each pixel."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


_NORMS: Mapping[ConvNorm, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "layer": ChannelNorm,
    "none": nn.Identity,
}


def make_conv_norm(norm: ConvNorm, width: int) -> nn.Module:
    """Build the norm called `norm` for `width` channels."""
    return _NORMS[norm](width)


def convolve(
    c_in: int, c_out: int, kernel: int, stride: int = 1, *, norm: ConvNorm
) -> nn.Sequential:
    """Convolution that keeps the grid (of stride 1), and its norm; a bias where that has none.

    Args:
        c_in: channels before.
        c_out: channels after.
        kernel: its side, odd.
        stride: steps between its places.
        norm: what follows.
    """
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=norm == "none")
    return nn.Sequential(conv, _NORMS[norm](c_out))


def strided(grid: Pair, stride: int = 2) -> Pair:
    """The grid after steps of `stride`; sides that it does not divide are rounded upwards."""
    return -(-grid[0] // stride), -(-grid[1] // stride)
