"""Where a token was, added to what it is.

Shapes: b batch, n tokens, c channels, `*tokens` n or rows and columns.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Absolute = Literal["none", "learned", "sincos1d", "sincos2d"]
Sequence = Literal["none", "learned", "sincos1d", "sincos2d", "post002", "rope2d"]
"""Of the last nothing is added: attention turns queries and keys (`rotary`)."""


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


class Prefix(nn.Module):
    """Learned tokens before all others: a class token (ViT eq. 1), or registers.

    Source of registers: Darcet et al. 2023, arXiv:2309.16588.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(count, width))

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b {len(self.table)}+n c"]:
        """Put them first."""
        return torch.cat((self.table.expand(x.shape[0], -1, -1), x), 1)


def sincos(at: Int[Tensor, " n"], width: int) -> Float[Tensor, "n {width}"]:
    """Sines and cosines of falling frequency, in pairs.

    Args:
        at: positions.
        width: even.

    Source: Vaswani et al. 2017, arXiv:1706.03762, sec. 3.5.
    """
    frequency = 10_000.0 ** (-torch.arange(0, width, 2) / width)
    angle = at[:, None] * frequency
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1)


def sincos_post002(at: Int[Tensor, " n"], width: int) -> Float[Tensor, "n {width}"]:
    """The code of post 002: each cosine has another frequency than its sine.

    So the length of a code depends on the place, and products of two on more than their
    distance. Kept as a level to be measured.
    """
    angle = at[:, None] * 10_000.0 ** (-torch.arange(width) / width)
    return torch.stack((angle[:, ::2].sin(), angle[:, 1::2].cos()), -1).flatten(1)


def absolute_position(kind: Sequence, grid: tuple[int, int], width: int) -> nn.Module:
    """Build what tells the tokens of a grid apart, for tokens in reading order.

    Raises:
        ValueError: sines and cosines need an even width, in two dimensions twice even.
    """
    rows, columns = grid
    if kind in ("none", "rope2d"):
        return nn.Identity()
    if kind == "learned":
        return LearnedPosition(rows * columns, width)
    parts = 4 if kind == "sincos2d" else 2
    if width % parts:
        raise ValueError(
            f"{kind} needs channels in multiples of {parts}, got {width}; "
            "choose another width or a learned position"
        )
    if kind != "sincos2d":
        code = sincos if kind == "sincos1d" else sincos_post002
        return FixedPosition(code(torch.arange(rows * columns), width))
    # Half of the channels say the row, the other half the column.
    down = sincos(torch.arange(rows), width // 2).repeat_interleave(columns, 0)
    right = sincos(torch.arange(columns), width // 2).repeat(rows, 1)
    return FixedPosition(torch.cat((down, right), 1))
