"""Halving the grid between stages.

An odd grid is halved upwards. What stands at its edge then is no padding but a token, made of
those that are there, so that later blocks mask nothing. "linear" fills the missing neighbours with
zeros before its norm, as the authors' detection code, torchvision and timm do; "avg" averages over
the neighbours that are there; "conv" pads itself.

Shapes: b batch, h w token grid before merging, c channels there.
"""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.layers.norm import BlockNorm, make_norm, of_channels
from swinablate.models.layers.window import Pair

Merge = Literal["linear", "conv", "avg", "none"]


def halved(grid: Pair, stage: int, more: str = "") -> Pair:
    """The grid after a merging.

    Args:
        grid: before it.
        stage: that begins after it.
        more: what else the family has for an odd grid, for the message.

    Raises:
        ValueError: a side is odd.
    """
    if grid[0] % 2 or grid[1] % 2:
        raise ValueError(
            f"stage {stage}: the {grid[0]}x{grid[1]} grid cannot be halved; "
            f"choose a patch or a number of stages that leaves even grids{more}"
        )
    return grid[0] // 2, grid[1] // 2


def halved_upwards(grid: Pair) -> Pair:
    """The grid after a merging that pads an odd side."""
    return -(-grid[0] // 2), -(-grid[1] // 2)


class MergeLinear(nn.Module):
    """Concatenate each 2x2 neighbourhood, normalise, project. Source: Swin sec. 3.1."""

    def __init__(self, width: int, norm: BlockNorm) -> None:
        super().__init__()
        self.norm = make_norm(of_channels(norm), 4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b (h+1)//2 (w+1)//2 2*c"]:
        """Merge."""
        return self.reduce(self.norm(neighbours(x)))


class MergeThenNorm(nn.Module):
    """The same, normalised after the projection. Source: SwinV2 sec. 3.2."""

    def __init__(self, width: int, norm: BlockNorm) -> None:
        super().__init__()
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = make_norm(of_channels(norm), 2 * width)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b (h+1)//2 (w+1)//2 2*c"]:
        """Merge."""
        return self.norm(self.reduce(neighbours(x)))


class MergeConv(nn.Module):
    """Normalise, 3x3 convolution with stride 2: neighbourhoods overlap."""

    def __init__(self, width: int, norm: BlockNorm) -> None:
        super().__init__()
        self.norm = make_norm(of_channels(norm), width)
        self.reduce = nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b (h+1)//2 (w+1)//2 2*c"]:
        """Merge."""
        return self.reduce(self.norm(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class MergeAverage(nn.Module):
    """Mean of each 2x2 neighbourhood, normalise, project."""

    def __init__(self, width: int, norm: BlockNorm) -> None:
        super().__init__()
        self.norm = make_norm(of_channels(norm), width)
        self.reduce = nn.Linear(width, 2 * width, bias=False)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b (h+1)//2 (w+1)//2 2*c"]:
        """Merge."""
        x = F.avg_pool2d(x.permute(0, 3, 1, 2), 2, ceil_mode=True).permute(0, 2, 3, 1)
        return self.reduce(self.norm(x))


def neighbours(x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b (h+1)//2 (w+1)//2 4*c"]:
    """Concatenate each 2x2 neighbourhood, columns outermost as in the Swin code.

    Below and right of an odd grid the neighbours are zeros.
    """
    rows, columns = x.shape[1] % 2, x.shape[2] % 2
    if rows or columns:
        x = F.pad(x, (0, 0, 0, columns, 0, rows))
    x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # b h/2 2 w/2 2 c
    return x.permute(0, 1, 3, 4, 2, 5).flatten(3)  # b h/2 w/2 (column row c)


def make_merge(kind: Merge, width: int, norm: BlockNorm, *, norm_last: bool) -> nn.Module:
    """Build a merging; "none" keeps grid and width."""
    if kind == "none":
        return nn.Identity()
    if kind == "conv":
        return MergeConv(width, norm)
    if kind == "avg":
        return MergeAverage(width, norm)
    return MergeThenNorm(width, norm) if norm_last else MergeLinear(width, norm)
