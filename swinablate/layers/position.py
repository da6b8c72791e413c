"""Where a token was, added to what it is.

Shapes: b batch, n tokens, c channels, `*tokens` n or rows and columns.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

Absolute = Literal["none", "learned", "sincos1d", "sincos2d"]


class LearnedPosition(nn.Module):
    """One learned vector per place. Source: ViT sec. 3.1."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b *tokens c"]:
        """Add the place to the content."""
        return x + self.table.view(x.shape[1:])


class FixedPosition(nn.Module):
    """The same with vectors that are computed, not learned."""

    places: Tensor

    def __init__(self, places: Float[Tensor, "n c"]) -> None:
        super().__init__()
        self.register_buffer("places", places, persistent=False)

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b *tokens c"]:
        """Add the place to the content."""
        return x + self.places.view(x.shape[1:])


def sincos(at: Float[Tensor, " n"], width: int) -> Float[Tensor, "n c"]:
    """Sines and cosines of falling frequency, in pairs.

    Args:
        at: positions.
        width: even.

    Source: Vaswani et al. 2017, arXiv:1706.03762, sec. 3.5.
    """
    frequency = 10_000.0 ** (-torch.arange(0, width, 2) / width)
    angle = at[:, None] * frequency
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1)


def absolute_position(kind: Absolute, grid: tuple[int, int], width: int) -> nn.Module:
    """Build what tells the tokens of a grid apart, for tokens in reading order.

    Raises:
        ValueError: sines and cosines need an even width, in two dimensions twice even.
    """
    rows, columns = grid
    if kind == "none":
        return nn.Identity()
    if kind == "learned":
        return LearnedPosition(rows * columns, width)
    parts = 2 if kind == "sincos1d" else 4
    if width % parts:
        raise ValueError(
            f"{kind} needs channels in multiples of {parts}, got {width}; "
            "choose another width or a learned position"
        )
    if kind == "sincos1d":
        return FixedPosition(sincos(torch.arange(rows * columns), width))
    down = sincos(torch.arange(rows), width // 2).repeat_interleave(columns, 0)
    right = sincos(torch.arange(columns), width // 2).repeat(rows, 1)
    return FixedPosition(torch.cat((down, right), 1))
