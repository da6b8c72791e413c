"""What is added to the scores of a window's token pairs: relative position, and the mask.

Shapes: b batch, k windows, m heads, n tokens, o offsets; `*b` any leading axes.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.layers.window import Pair, relative_index

PositionBias = Literal["table", "none", "log_cpb", "linear_cpb", "rope"]
"""Of the last nothing is added: queries and keys are turned (`position.Rotary`)."""


class RelativeTable(nn.Module):
    """Learned bias, one per head and relative offset. Source: Swin eq. 4."""

    index: Tensor

    def __init__(self, window: Pair, heads: int) -> None:
        super().__init__()
        self.window, self.size = window, window[0] * window[1]
        offsets = (2 * window[0] - 1) * (2 * window[1] - 1)
        self.table = nn.Parameter(torch.zeros(offsets, heads))
        self.register_buffer("index", relative_index(window), persistent=False)

    def forward(self) -> Float[Tensor, "m n n"]:
        """Gather the bias of every token pair."""
        return F.embedding(self.index, self.table).T.unflatten(1, (self.size, self.size))


class PrefixedTable(RelativeTable):
    """The same for tokens after a prefix, which has no place and no bias.

    Where only a class token is read, the last block's table acts on nothing.
    """

    def __init__(self, grid: Pair, heads: int, prefix: int) -> None:
        super().__init__(grid, heads)
        self.pad = (prefix, 0, prefix, 0)

    def forward(self) -> Float[Tensor, "m n n"]:
        """Gather the bias of every token pair."""
        return F.pad(super().forward(), self.pad)


class Continuous(nn.Module):
    """Bias computed from offsets by a small network, so that it carries over to other windows.

    Source: SwinV2 sec. 3.3, eq. 3, and the authors' code: hidden width 512, 16 * sigmoid.

    Args:
        window: its sides.
        heads: heads.
        offsets: rows and columns from key to query, as the network sees them.
    """

    index: Tensor
    offsets: Tensor

    def __init__(self, window: Pair, heads: int, offsets: Float[Tensor, "o 2"]) -> None:
        super().__init__()
        self.size = window[0] * window[1]
        self.fc1 = nn.Linear(2, 512)
        self.fc2 = nn.Linear(512, heads, bias=False)
        self.register_buffer("index", relative_index(window), persistent=False)
        self.register_buffer("offsets", offsets, persistent=False)

    def no_weight_decay(self) -> set[str]:
        """Its weights make a table, and the authors decay neither (SwinV2 code, `cpb_mlp`)."""
        return {"fc1.weight", "fc2.weight"}

    def forward(self) -> Float[Tensor, "m n n"]:
        """Compute the bias of every offset, then gather."""
        table = self.fc2(F.relu(self.fc1(self.offsets)))
        return 16 * F.embedding(self.index, table).T.unflatten(1, (self.size, self.size)).sigmoid()


class LogSpaced(Continuous):
    """From log-spaced offsets. Source: SwinV2 eq. 4."""

    def __init__(self, window: Pair, heads: int) -> None:
        super().__init__(window, heads, log_offsets(window))


class LinearSpaced(Continuous):
    """From the offsets themselves. Source: SwinV2 tab. 1."""

    def __init__(self, window: Pair, heads: int) -> None:
        super().__init__(window, heads, linear_offsets(window))


def linear_offsets(window: Pair) -> Float[Tensor, "o 2"]:
    """Offsets scaled to 1, near where `log_offsets` ends; 0 along an axis of one token."""
    return torch.cartesian_prod(
        *(torch.arange(1.0 - side, side) / max(1, side - 1) for side in window)
    )


def log_offsets(window: Pair) -> Float[Tensor, "o 2"]:
    """sign(x) log2(1 + |x|) / 3 of offsets scaled to 8; 0 along an axis of one token."""
    # 8 and 3 = log2(8) as in the authors' code: the farthest offsets come close to 1.
    sides = [torch.arange(1.0 - side, side) * (8 / max(1, side - 1)) for side in window]
    logs = [side.sign() * (1 + side.abs()).log2() / 3 for side in sides]
    return torch.cartesian_prod(*logs)


class AddBias(nn.Module):
    """Add a position's bias to the scores."""

    def __init__(self, position: nn.Module) -> None:
        super().__init__()
        self.position = position

    def forward(self, scores: Float[Tensor, "*#b #m n n"]) -> Float[Tensor, "*b m n n"]:
        """Add."""
        return scores + self.position()


class AddMask(nn.Module):
    """Add 0 where a query may look, else minus infinity."""

    mask: Tensor

    def __init__(self, mask: Float[Tensor, "k 1 n n"]) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, scores: Float[Tensor, "*#b #m n n"]) -> Float[Tensor, "*b m n n"]:
        """Add."""
        return scores + self.mask


class AddMaskedBias(nn.Module):
    """Add bias and mask in one step; their sum is small, the scores are not."""

    mask: Tensor

    def __init__(self, position: nn.Module, mask: Float[Tensor, "k 1 n n"]) -> None:
        super().__init__()
        self.position = position
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, scores: Float[Tensor, "*#b #m n n"]) -> Float[Tensor, "*b m n n"]:
        """Add."""
        return scores + (self.position() + self.mask)


_POSITIONS: Mapping[PositionBias, Callable[[Pair, int], nn.Module]] = {
    "table": RelativeTable,
    "log_cpb": LogSpaced,
    "linear_cpb": LinearSpaced,
}


def make_position(kind: PositionBias, window: Pair, heads: int) -> nn.Module | None:
    """Build a relative position bias, or none."""
    if kind in ("none", "rope"):
        return None
    return _POSITIONS[kind](window, heads)


def make_bias(position: nn.Module | None, mask: Float[Tensor, "k 1 n n"] | None) -> nn.Module:
    """What acts on the scores before the softmax; nothing where both are None."""
    if mask is None:
        return nn.Identity() if position is None else AddBias(position)
    return AddMask(mask) if position is None else AddMaskedBias(position, mask)
