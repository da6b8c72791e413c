"""Where tokens were, as turns of queries and keys: their products know only how far apart.

Shapes: n tokens, p of them before those of a grid, d channels of a head.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.layers.attention import Axes
from swinablate.models.layers.window import Pair

BASE = 100.0
"""Ratio of the fastest turn to the slowest, nearly. For text it is 10,000; a row or a column of a
grid has as many places as the root of all of them, and so has the base (Heo 2024, sec. 3.2)."""


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
