"""Attention within a band that computes no products that the band would hide.

The grid is cut into tiles. The queries of a tile meet the keys of the tile and of a margin as wide
as the band: HaloNet's blocked local attention (Vaswani et al. 2021, arXiv:2103.12731, sec. 3.1),
with the mask of the band on what is left. Equal to the masked products of all tokens but for
rounding.

Shapes: b batch, k windows, m heads, n tokens, s of them in the grid, d channels of a head, t
tiles, i queries of a tile, j keys of a tile and its margin; `*b` any leading axes.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from swinablate.models.layers.attention import DotProduct
from swinablate.models.layers.window import Pair

LEAST = 4
"""Sides of a tile are no shorter where the grid is not: products of smaller matrices cost more in
calls than the shorter margin saves."""
SAVES = 0.4
"""Share of all pairs from which cutting and joining costs a processor what the products save: a
grid of 8x8 and a band of 1 have 0.56 and take a third longer, 16x16 and 2 have 0.25 and take 0.57
of the time (benchmarks/results/switches.md)."""


def tile_of(grid: Pair, band: int) -> Pair | None:
    """The sides of the tiles that meet the fewest keys; None where all keys are hardly more.

    Args:
        grid: rows and columns of tokens.
        band: rows and columns that a token sees to each side.
    """
    tile = tuple(min(_sides(side), key=lambda one: (_met(side, one, band), -one)) for side in grid)
    met = math.prod(_met(side, one, band) for side, one in zip(grid, tile, strict=True))
    return (tile[0], tile[1]) if met <= SAVES * math.prod(grid) ** 2 else None


def _sides(side: int) -> Iterator[int]:
    yield from range(min(LEAST, side), side + 1)


def _met(side: int, tile: int, band: int) -> int:
    """Pairs of a query and a key along one axis, padding included."""
    return -(-side // tile) * tile * (tile + 2 * _margin(side, band))


def _margin(side: int, band: int) -> int:
    """How far a tile reaches out: no farther than the grid does."""
    return min(band, side - 1)


class Banded(DotProduct):
    """Softmax attention within a band, tile by tile.

    Args:
        similarity: prepares queries and keys; their products are the scores.
        bias: acts on the scores of all tokens, and hides those outside the band.
        grid: rows and columns of tokens.
        band: rows and columns that a token sees to each side.
        tile: the sides of a tile.
        prefix: tokens before those of the grid, which see all and are seen by all.
    """

    zeros: Tensor
    index: Tensor

    def __init__(
        self,
        similarity: nn.Module,
        bias: nn.Module,
        grid: Pair,
        band: int,
        *,
        tile: Pair,
        prefix: int = 0,
    ) -> None:
        super().__init__(similarity, bias)
        self.grid, self.tile, self.prefix = grid, tile, prefix
        self.margins = (_margin(grid[0], band), _margin(grid[1], band))
        self.tiles = (-(-grid[0] // tile[0]), -(-grid[1] // tile[1]))
        tokens = prefix + math.prod(grid)
        self.register_buffer("zeros", torch.zeros(1, 1, tokens, tokens), persistent=False)
        self.register_buffer("index", self._pairs(tokens), persistent=False)

    def forward(
        self,
        q: Float[Tensor, "*b m n d"],
        k: Float[Tensor, "*b m n d"],
        v: Float[Tensor, "*b m n d"],
    ) -> Float[Tensor, "*b m n d"]:
        """Mix values by the similarity of queries and keys."""
        q, k = self.similarity(q, k)
        bias = self.bias(self.zeros)  # k m n n: of all pairs, but once for all images
        first, rest = self.prefix, slice(self.prefix, None)
        keys, values = self._around(k), self._around(v)
        scores = self._cut(q[..., rest, :]) @ keys.mT + self._of_tiles(bias)
        mixed = self._join(scores.softmax(-1) @ values)
        if not first:
            return mixed
        whole = (q[..., :first, :] @ k.mT + bias[..., :first, :]).softmax(-1) @ v
        return torch.cat((whole, mixed), -2)

    def _cut(self, x: Float[Tensor, "*b s d"]) -> Float[Tensor, "*b t i d"]:
        """Tiles of the grid, padded to whole ones."""
        x = F.pad(x.unflatten(-2, self.grid), (0, 0, 0, self._over(1), 0, self._over(0)))
        (rows, columns), (high, wide) = self.tiles, self.tile
        x = x.unflatten(-2, (columns, wide)).unflatten(-4, (rows, high))
        return x.transpose(-4, -3).flatten(-3, -2).flatten(-4, -3)

    def _join(self, y: Float[Tensor, "*b t i d"]) -> Float[Tensor, "*b s d"]:
        """Undo `_cut`."""
        y = y.unflatten(-2, self.tile).unflatten(-4, self.tiles).transpose(-4, -3)
        y = y.flatten(-3, -2).flatten(-4, -3)  # r c d, padded
        return y[..., : self.grid[0], : self.grid[1], :].flatten(-3, -2)

    def _around(self, x: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b t j d"]:
        """Of every tile the tokens of its margin and its own, after those of the prefix."""
        (up, left), (high, wide) = self.margins, self.tile
        pad = (0, 0, left, left + self._over(1), up, up + self._over(0))
        grid = F.pad(x[..., self.prefix :, :].unflatten(-2, self.grid), pad)
        found = grid.unfold(-3, high + 2 * up, high).unfold(-3, wide + 2 * left, wide)
        found = found.flatten(-2).mT.flatten(-4, -3)  # rows columns d high wide to t j d
        if not self.prefix:
            return found
        first = x[..., None, : self.prefix, :].expand(*found.shape[:-2], -1, -1)
        return torch.cat((first, found), -2)

    def _over(self, axis: int) -> int:
        """Rows or columns that the last tile has and the grid has not."""
        return self.tiles[axis] * self.tile[axis] - self.grid[axis]

    def _of_tiles(self, bias: Float[Tensor, "k m n n"]) -> Float[Tensor, "k m t i j"]:
        """What is added to the scores of every tile."""
        # Made on the device: a number of Python's would be copied there, and waited for.
        hidden = bias.new_full((*bias.shape[:2], 1), float("-inf"))
        table = torch.cat((bias.flatten(-2), hidden, torch.zeros_like(hidden)), -1).flatten(0, 1).T
        # An embedding: the gradient of indexing adds up in no fixed order on a GPU.
        found = F.embedding(self.index, table)
        return found.permute(3, 0, 1, 2).unflatten(0, bias.shape[:2]).contiguous()

    def _pairs(self, tokens: int) -> Int[Tensor, "t i j"]:
        """Where each tile finds its pairs among all; two places more for those with no token.

        A key outside the grid is hidden. A query outside sees everything, for a softmax over
        nothing would have no value; it is cut off.
        """
        number = torch.arange(tokens).double()[:, None]
        # Tokens are counted from 1 here: 0 is what padding leaves.
        keys = self._around(number + 1).squeeze(-1).long() - 1
        queries = self._cut(number[self.prefix :] + 1).squeeze(-1).long() - 1
        found = queries[:, :, None] * tokens + keys[:, None, :]
        hidden, seen = tokens * tokens, tokens * tokens + 1
        found = torch.where(keys[:, None, :] < 0, hidden, found)
        return torch.where(queries[:, :, None] < 0, seen, found)


def make_product(
    similarity: nn.Module,
    bias: nn.Module,
    drop: float,
    grid: Pair,
    band: int | None,
    *,
    prefix: int = 0,
) -> DotProduct:
    """Build softmax attention; tile by tile where that is cheaper than products of all tokens.

    Not where weights are dropped: whoever has trained so has drawn masks of all pairs.
    """
    tile = None if band is None or drop else tile_of(grid, band)
    if band is None or tile is None:
        return DotProduct(similarity, bias, drop)
    return Banded(similarity, bias, grid, band, tile=tile, prefix=prefix)
