"""Where a token was, added to what it is, or as a turn of its query and key.

Shapes: b batch, n tokens, c channels, d channels of a head, `*tokens` n or rows and columns.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from swinablate.models.layers.attention import Axes
from swinablate.models.layers.window import Pair

Absolute = Literal["none", "learned", "sincos1d", "sincos2d"]
Sequence = Literal["none", "learned", "sincos1d", "sincos2d", "post002", "rope2d"]
"""Of the last nothing is added: attention turns queries and keys (`Rotary`)."""
BASE = 100.0
"""Ratio of the fastest turn to the slowest, nearly. For text it is 10,000; a row or a column of a
grid has as many places as the root of all of them, and so has the base (Heo 2024, sec. 3.2)."""


class LearnedPosition(nn.Module):
    """One learned vector per place. Source: ViT sec. 3.1."""

    def __init__(self, grid: tuple[int, int], width: int) -> None:
        super().__init__()
        self.grid = grid
        self.table = nn.Parameter(torch.zeros(grid[0] * grid[1], width))

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
        return LearnedPosition(grid, width)
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


class Rotary(nn.Module):
    """Queries and keys turned by row and by column, then a similarity.

    Channels half a head apart are a pair; half of the pairs turn with the row, the others with
    the column, each pair by its own angle a place. A prefix is not turned.

    Source: Su et al. 2021, arXiv:2104.09864, sec. 3.2; for two axes Heo et al. 2024,
    arXiv:2403.13298, sec. 3.2, "RoPE-Axial".

    Args:
        grid: rows and columns of tokens, or of a window's.
        depth: channels of a head, in multiples of 4.
        similarity: what follows.
        axes: of queries and keys; tokens come before or after the channels.
        prefix: tokens before those of the grid.
    """

    cos: Tensor
    sin: Tensor

    def __init__(
        self, grid: Pair, depth: int, similarity: nn.Module, axes: Axes, *, prefix: int = 0
    ) -> None:
        super().__init__()
        self.axis, self.similarity = axes.channels, similarity
        angle = torch.cat((torch.zeros(prefix, depth // 2), angles(grid, depth)))
        angle = torch.cat((angle, angle), -1)  # n d: one for both channels of a pair
        # Tokens and channels where queries have them: n d, or d n and what comes after.
        shape = angle if axes.channels == -1 else angle.T[..., None, None]
        self.register_buffer("cos", shape.cos(), persistent=False)
        self.register_buffer("sin", shape.sin(), persistent=False)

    def forward(
        self, q: Float[Tensor, "*axes"], k: Float[Tensor, "*axes"]
    ) -> tuple[Float[Tensor, "*axes"], Float[Tensor, "*axes"]]:
        """Prepare queries and keys for their products."""
        return self.similarity(self._turned(q), self._turned(k))

    def _turned(self, x: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        first, second = x.chunk(2, self.axis)
        return x * self.cos + torch.cat((-second, first), self.axis) * self.sin


def angles(grid: Pair, depth: int) -> Float[Tensor, "n {depth}//2"]:
    """By how much every place turns every pair: by its row, then by its column."""
    frequency = BASE ** -(torch.arange(depth // 4) / (depth // 4))
    rows, columns = (torch.arange(side)[:, None] * frequency for side in grid)
    down = rows.repeat_interleave(grid[1], 0)
    return torch.cat((down, columns.repeat(grid[0], 1)), 1)


def check_rotary(attention: str, depth: int) -> None:
    """See that queries and keys can be turned.

    Raises:
        ValueError: there are no products that turning would change, or no four equal parts.
    """
    if attention not in ("dot", "cosine"):
        raise ValueError(
            f"{attention} attention has no products of queries and keys to turn; "
            "choose dot or cosine attention, or another position"
        )
    if depth % 4:
        raise ValueError(
            f"a head has {depth} channels, and turns by row and column need multiples of 4; "
            "choose other heads, another width, or another position"
        )
