"""Ways of mixing tokens.

Shapes: b batch, k windows, m heads, n tokens, d channels of a head, c channels; `*b` any
leading axes.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.layers.init import Started

QkvBias = Literal["all", "query_value", "none"]


class NoKeyBias(nn.Linear):
    """Queries, keys and values of which keys have no bias. Source: SwinV2's code.

    Between dot products a key's bias changes nothing; between cosines it would.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, 3 * width, bias=False)
        self.bias = nn.Parameter(torch.zeros(2 * width))

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b 3c"]:
        """Project."""
        query, value = self.bias.chunk(2)
        return F.linear(x, self.weight, torch.cat((query, torch.zeros_like(query), value)))


def make_qkv(width: int, bias: QkvBias) -> nn.Linear:
    """Build the projection to queries, keys and values."""
    return (
        NoKeyBias(width) if bias == "query_value" else nn.Linear(width, 3 * width, bias == "all")
    )


class Scaled(nn.Module):
    """Queries divided by the root of their length. Source: Vaswani et al. 2017, eq. 1."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Prepare queries and keys for their products."""
        return q * self.scale, k


class LearnedScale(Started):
    """Queries times a learned scale per head, which starts at the usual one."""

    def __init__(self, heads: int, depth: int) -> None:
        super().__init__()
        self.start = {"log_scale": -0.5 * math.log(depth)}
        self.log_scale = nn.Parameter(torch.zeros(heads))

    def forward(
        self, q: Float[Tensor, "*b m n d"], k: Float[Tensor, "*b m n d"]
    ) -> tuple[Tensor, Tensor]:
        """Prepare queries and keys for their products."""
        return q * self.log_scale.exp()[:, None, None], k


class Cosine(Started):
    """Queries and keys of length 1, and a learned scale per head. Source: SwinV2 eq. 2.

    Args:
        heads: heads.
        after: axes of the queries that follow the heads'.
    """

    def __init__(self, heads: int, after: int) -> None:
        super().__init__()
        self.start = {"log_scale": math.log(10)}
        self.shape = (heads, *[1] * after)
        self.log_scale = nn.Parameter(torch.full((heads,), math.log(10)))

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Prepare queries and keys for their products."""
        scale = self.log_scale.clamp(max=math.log(100)).exp().view(self.shape)
        return F.normalize(q, dim=-1) * scale, F.normalize(k, dim=-1)


class DotProduct(nn.Module):
    """Softmax attention. Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1.

    Args:
        similarity: prepares queries and keys; their products are the scores.
        bias: acts on the scores.
    """

    def __init__(self, similarity: nn.Module, bias: nn.Module) -> None:
        super().__init__()
        self.similarity, self.bias = similarity, bias

    def forward(
        self,
        q: Float[Tensor, "*b m n d"],
        k: Float[Tensor, "*b m n d"],
        v: Float[Tensor, "*b m n d"],
    ) -> Float[Tensor, "*b m n d"]:
        """Mix values by the similarity of queries and keys."""
        q, k = self.similarity(q, k)
        return self.bias(q @ k.mT).softmax(-1) @ v


class OverQueries(DotProduct):
    """The softmax of post 002: each key's weights over all queries sum to 1, not each query's."""

    def forward(
        self,
        q: Float[Tensor, "*b m n d"],
        k: Float[Tensor, "*b m n d"],
        v: Float[Tensor, "*b m n d"],
    ) -> Float[Tensor, "*b m n d"]:
        """Mix values by the similarity of queries and keys."""
        q, k = self.similarity(q, k)
        return self.bias(q @ k.mT).softmax(-2) @ v


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
        q, k = self.similarity(q, k)
        scores = (q.unsqueeze(1) * k.unsqueeze(0)).sum(-1)  # n n *b m
        scores = self.bias(scores.movedim((0, 1), (-2, -1))).movedim((-2, -1), (0, 1))
        return (scores.softmax(1).unsqueeze(-1) * v.unsqueeze(0)).sum(1)

    def macs(self, q: Tensor) -> int:
        """Multiply-accumulates for queries of this shape, which no counter of products sees."""
        return 2 * q.shape[0] * q.numel()


class Fixed(nn.Module):
    """Weights that do not depend on content: the softmax of bias and mask alone.

    Without a bias each token takes the mean of those it may see. Source: "rel. pos. w/o app."
    of Swin tab. 4.
    """

    zeros: Tensor

    def __init__(self, tokens: int, bias: nn.Module) -> None:
        super().__init__()
        self.bias = bias
        self.register_buffer("zeros", torch.zeros(1, 1, 1, tokens, tokens), persistent=False)

    def forward(self, v: Float[Tensor, "b k m n d"]) -> Float[Tensor, "b k m n d"]:
        """Mix values."""
        return self.bias(self.zeros).softmax(-1) @ v


class Linear(nn.Module):
    """Attention in time linear in the tokens, with elu(x) + 1 in place of the softmax.

    Source: Katharopoulos et al. 2020, arXiv:2006.16236, eq. 5 to 7.
    """

    def forward(
        self,
        q: Float[Tensor, "*b m n d"],
        k: Float[Tensor, "*b m n d"],
        v: Float[Tensor, "*b m n d"],
    ) -> Float[Tensor, "*b m n d"]:
        """Mix values by the kernel of queries and keys."""
        q, k = F.elu(q) + 1, F.elu(k) + 1
        total = (q * k.sum(-2, keepdim=True)).sum(-1, keepdim=True)
        return q @ (k.mT @ v) / total
