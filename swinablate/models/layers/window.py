"""Cutting a token grid into windows, and who may look at whom in them.

Source: Swin sec. 3.2 (arXiv:2103.14030).

Shapes: b batch, h w token grid, c channels, k windows, m heads, n tokens of a window,
d channels of a head.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

Pair = tuple[int, int]
"""Rows, columns."""
ShiftMask = Literal["regions", "none", "post000"]


class Windows:
    """Between a grid of tokens and heads of windows; one copy of each tensor each way.

    Args:
        grid: tokens, with padding.
        window: its sides; they tile the grid.
        heads: attention heads.
        width: channels.
    """

    def __init__(self, grid: Pair, window: Pair, heads: int, width: int) -> None:
        self.window, self.counts = window, (grid[0] // window[0], grid[1] // window[1])
        self.heads = (heads, width // heads)

    def split(self, x: Float[Tensor, "b h w pc"]) -> tuple[Float[Tensor, "b k m n d"], ...]:
        """Cut p tensors that stand side by side (queries, keys, values)."""
        x = self._axes(x).permute(5, 0, 1, 3, 6, 2, 4, 7)  # p b rows columns m high wide d
        # Memory of its own for each: else scaled queries, too, would keep the plain ones' alive.
        return tuple(part.flatten(4, 5).flatten(1, 2) for part in x.unbind(0))  # b k m n d

    def join(self, y: Float[Tensor, "b k m n d"]) -> Float[Tensor, "b h w m*d"]:
        """Undo `split` for one tensor."""
        y = y.unflatten(3, self.window).unflatten(1, self.counts)  # b rows columns m high wide d
        return self._grid(y.permute(0, 1, 4, 2, 5, 3, 6))  # b rows high columns wide m d

    def _axes(
        self, x: Float[Tensor, "b h w pc"]
    ) -> Float[Tensor, "b rows high columns wide p m d"]:
        (rows, columns), (high, wide) = self.counts, self.window
        return x.reshape(x.shape[0], rows, high, columns, wide, -1, *self.heads)

    def _grid(
        self, y: Float[Tensor, "b rows high columns wide m d"]
    ) -> Float[Tensor, "b rows*high columns*wide m*d"]:
        return y.flatten(5, 6).flatten(3, 4).flatten(1, 2)


class ChannelFirstWindows(Windows):
    """The same for `SmallDotProduct`: rows of tokens, then a matrix of one row a channel.

    Rows are ordered by place in the window, window, image, so that the many images of a batch
    lie side by side in each row of the matrix.
    """

    def cut(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b*h*w c"]:
        """Order tokens as rows."""
        (rows, columns), (high, wide) = self.counts, self.window
        x = x.reshape(x.shape[0], rows, high, columns, wide, x.shape[-1])
        return x.permute(2, 4, 1, 3, 0, 5).flatten(0, 4)  # high wide rows columns b c

    def split(self, x: Float[Tensor, "pc t"]) -> tuple[Float[Tensor, "m d n k b"], ...]:
        """Cut p matrices that stand on each other."""
        tokens, windows = math.prod(self.window), math.prod(self.counts)
        return x.unflatten(1, (tokens, windows, -1)).unflatten(0, (-1, *self.heads)).unbind(0)

    def join(self, y: Float[Tensor, "t c"]) -> Float[Tensor, "b h w c"]:
        """Undo `cut`."""
        y = y.unflatten(0, (*self.window, *self.counts, -1))  # high wide rows columns b c
        return y.permute(4, 2, 0, 3, 1, 5).flatten(3, 4).flatten(1, 2)


class Roll(nn.Module):
    """Move the grid up and left by `shift`, edges around the corner."""

    def __init__(self, shift: Pair) -> None:
        super().__init__()
        self.by = (-shift[0], -shift[1])

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Roll."""
        return x.roll(self.by, (1, 2))


class Pad(nn.Module):
    """Add rows below and columns to the right, of zeros."""

    def __init__(self, pad: Pair) -> None:
        super().__init__()
        self.pad = (0, 0, 0, pad[1], 0, pad[0])

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b H W c"]:
        """Pad."""
        return F.pad(x, self.pad)


class Crop(nn.Module):
    """Undo `Pad`."""

    def __init__(self, grid: Pair) -> None:
        super().__init__()
        self.grid = grid

    def forward(
        self, x: Float[Tensor, "b H W c"]
    ) -> Float[Tensor, "b {self.grid[0]} {self.grid[1]} c"]:
        """Crop."""
        return x[:, : self.grid[0], : self.grid[1]]


def entering(pad: Pair, shift: Pair) -> nn.Module:
    """What a grid goes through before it is cut."""
    steps = [Pad(pad)] * any(pad) + [Roll(shift)] * any(shift)
    return nn.Sequential(*steps)


def leaving(grid: Pair, pad: Pair, shift: Pair) -> nn.Module:
    """Undo `entering`."""
    steps = [Roll((-shift[0], -shift[1]))] * any(shift) + [Crop(grid)] * any(pad)
    return nn.Sequential(*steps)


def relative_index(window: Pair) -> Int[Tensor, " pairs"]:
    """Row of the bias table for each pair (query, key) of a window, as in the Swin code."""
    high, wide = window
    # Axes: row and column of the query, row and column of the key.
    row, column = torch.arange(high), torch.arange(wide)
    down = (row[:, None] - row[None, :] + high - 1)[:, None, :, None]
    right = (column[:, None] - column[None, :] + wide - 1)[None, :, None, :]
    return (down * (2 * wide - 1) + right).flatten()


def allowed(
    grid: Pair, pad: Pair, window: Pair, shift: Pair, kind: ShiftMask, *, band: int | None = None
) -> Bool[Tensor, "k n n"]:
    """Which key each query may see; a token always sees itself.

    Args:
        grid: tokens without padding.
        pad: rows and columns of padding, which nobody but padding sees.
        window: its sides.
        shift: how far the padded grid was rolled.
        kind: "regions" separates what was not adjacent before the roll (Swin fig. 4);
            "none" lets tokens of opposite edges see each other, as on a torus; "post000"
            is the defect of a published re-implementation: four quarters in *every* window.
        band: how many rows and columns away a token sees inside its window; None for all.
    """
    real = torch.ones(grid, dtype=torch.bool)
    real = F.pad(real, (0, pad[1], 0, pad[0])).roll((-shift[0], -shift[1]), (0, 1))
    full = (grid[0] + pad[0], grid[1] + pad[1])
    rows, columns = (
        _bands(size, side, by, kind) for size, side, by in zip(full, window, shift, strict=True)
    )
    # One number for row band, column band and padding: equal numbers may see each other.
    label = 2 * (3 * rows[:, None] + columns[None, :]) + real
    label = label.view(full[0] // window[0], window[0], full[1] // window[1], window[1])
    label = label.transpose(1, 2).flatten(2).flatten(0, 1)  # k n
    same = label[:, :, None] == label[:, None, :]
    return same if band is None else same & near(window, band)


def near(grid: Pair, band: int) -> Bool[Tensor, "n n"]:
    """Pairs of tokens at most `band` rows and `band` columns apart."""
    rows, columns = (torch.arange(side) for side in grid)
    down = (rows[:, None] - rows[None, :]).abs() <= band
    right = (columns[:, None] - columns[None, :]).abs() <= band
    return (down[:, None, :, None] & right[None, :, None, :]).flatten(2).flatten(0, 1)


def without_self(seen: Bool[Tensor, "k n n"]) -> Bool[Tensor, "k n n"]:
    """Take from each token itself, unless it sees nothing else.

    Source: Lee et al. 2021, arXiv:2112.13492, sec. 3.2, "diagonal masking".
    """
    itself = torch.eye(seen.shape[-1], dtype=torch.bool)
    others = seen & ~itself
    return others | (itself & ~others.any(-1, keepdim=True))


def _bands(size: int, window: int, shift: int, kind: ShiftMask) -> Int[Tensor, " {size}"]:
    """Label the rolled positions along one axis; equal labels may see each other."""
    at = torch.arange(size)
    if kind == "post000":  # before the middle of an odd window, as the post's loops do
        return (at % window >= window // 2).long() if shift else at * 0
    if kind == "regions":
        return (at >= size - shift).long()  # the rest of the last window is its neighbour's
    return at * 0


def additive(allowed: Bool[Tensor, "k n n"]) -> Float[Tensor, "k 1 n n"]:
    """0 where allowed, else minus infinity, for every head."""
    return torch.zeros(allowed.shape).masked_fill(~allowed, float("-inf"))[:, None]
