"""What is added to attention scores, and attention itself.

Shapes: b batch, k windows, m heads, n tokens, d channels of a head; `*b` any leading axes.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.layers.window import Pair, relative_index


class RelativeTable(nn.Module):
    """Learned bias, one per head and relative offset. Source: Swin eq. 4."""

    index: Tensor

    def __init__(self, window: Pair, heads: int) -> None:
        super().__init__()
        self.size = window[0] * window[1]
        offsets = (2 * window[0] - 1) * (2 * window[1] - 1)
        self.table = nn.Parameter(torch.zeros(offsets, heads))
        self.register_buffer("index", relative_index(window), persistent=False)

    def forward(self) -> Float[Tensor, "m n n"]:
        """Gather the bias of every token pair."""
        return F.embedding(self.index, self.table).T.unflatten(1, (self.size, self.size))


class AddBias(nn.Module):
    """Add a position's bias to the scores."""

    def __init__(self, position: nn.Module) -> None:
        super().__init__()
        self.position = position

    def forward(self, scores: Float[Tensor, "*b m n n"]) -> Float[Tensor, "*b m n n"]:
        """Add."""
        return scores + self.position()


class AddMask(nn.Module):
    """Add 0 where a query may look, else minus infinity."""

    mask: Tensor

    def __init__(self, mask: Float[Tensor, "k 1 n n"]) -> None:
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, scores: Float[Tensor, "b k m n n"]) -> Float[Tensor, "b k m n n"]:
        """Add."""
        return scores + self.mask


class AddMaskedBias(nn.Module):
    """Add bias and mask in one step; their sum is small, the scores are not."""

    mask: Tensor

    def __init__(self, position: nn.Module, mask: Float[Tensor, "k 1 n n"]) -> None:
        super().__init__()
        self.position = position
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, scores: Float[Tensor, "b k m n n"]) -> Float[Tensor, "b k m n n"]:
        """Add."""
        return scores + (self.position() + self.mask)


def make_bias(position: nn.Module | None, mask: Tensor | None) -> nn.Module:
    """What acts on the scores before the softmax; nothing where both are None."""
    if mask is None:
        return nn.Identity() if position is None else AddBias(position)
    return AddMask(mask) if position is None else AddMaskedBias(position, mask)


class DotProduct(nn.Module):
    """Scaled dot-product attention. Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1."""

    def __init__(self, depth: int, bias: nn.Module) -> None:
        super().__init__()
        self.scale = depth**-0.5
        self.bias = bias

    def forward(
        self,
        q: Float[Tensor, "*b m n d"],
        k: Float[Tensor, "*b m n d"],
        v: Float[Tensor, "*b m n d"],
    ) -> Float[Tensor, "*b m n d"]:
        """Mix values by the similarity of queries and keys."""
        scores = self.bias((q * self.scale) @ k.mT)
        return scores.softmax(-1) @ v


class SmallDotProduct(DotProduct):
    """The same sums without matrix products, tokens outermost.

    A library's batched product of 4x8 matrices costs more in calls than in arithmetic.
    """

    def forward(
        self,
        q: Float[Tensor, "n *b m d"],
        k: Float[Tensor, "n *b m d"],
        v: Float[Tensor, "n *b m d"],
    ) -> Float[Tensor, "n *b m d"]:
        """Mix values by the similarity of queries and keys."""
        scores = ((q * self.scale).unsqueeze(1) * k.unsqueeze(0)).sum(-1)  # n n *b m
        scores = self.bias(scores.movedim((0, 1), (-2, -1))).movedim((-2, -1), (0, 1))
        return (scores.softmax(1).unsqueeze(-1) * v.unsqueeze(0)).sum(1)

    def macs(self, q: Tensor) -> int:
        """Multiply-accumulates for queries of this shape, which no counter of products sees."""
        return 2 * q.shape[0] * q.numel()
