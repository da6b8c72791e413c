"""Ways of mixing tokens.

Shapes: b batch, k windows, m heads, n tokens, d channels of a head, c channels; `*b` any
leading axes.
"""

import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.layers.block import make_drop
from swinablate.models.layers.init import Started
from swinablate.models.layers.norm import EPS

QkvBias = Literal["all", "query_value", "none"]
Scale = Literal["root", "full", "fourth_root", "learned"]


class Axes(NamedTuple):
    """Where queries and keys have their axes.

    Attributes:
        after: axes that follow the heads'.
        channels: the axis of a head's channels.
    """

    after: int
    channels: int


LAST, FIRST = Axes(2, -1), Axes(4, -4)
"""Channels after tokens (m n d), or before tokens, windows and images (m d n k b)."""


class Qkv(nn.Linear):
    """Queries, keys and values, side by side."""

    def __init__(self, width: int, *, bias: bool = True) -> None:
        super().__init__(width, 3 * width, bias)

    def biases(self) -> Float[Tensor, " outputs"] | None:
        """One for each output, or none."""
        return self.bias

    def transposed(self, rows: Float[Tensor, "t c"]) -> Float[Tensor, "3*c t"]:
        """Project; the transpose of what `forward` gives, made without a copy of it."""
        biases = self.biases()
        if biases is None:
            return self.weight @ rows.T
        return torch.addmm(biases[:, None], self.weight, rows.T)


class NoKeyBias(Qkv):
    """Queries, keys and values of which keys have no bias. Source: SwinV2's code.

    Between dot products a key's bias changes nothing; between cosines it would.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, bias=False)
        self.bias = nn.Parameter(torch.zeros(2 * width))

    def biases(self) -> Float[Tensor, " outputs"]:
        """Zeros for keys."""
        query, value = self.bias.chunk(2)
        return torch.cat((query, torch.zeros_like(query), value))

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b 3*c"]:
        """Project."""
        return F.linear(x, self.weight, self.biases())


def make_qkv(width: int, bias: QkvBias) -> Qkv:
    """Build the projection to queries, keys and values."""
    return NoKeyBias(width) if bias == "query_value" else Qkv(width, bias=bias == "all")


class Scaled(nn.Module):
    """Queries divided by the root of their length. Source: Vaswani et al. 2017, eq. 1."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(
        self, q: Float[Tensor, "*axes"], k: Float[Tensor, "*axes"]
    ) -> tuple[Float[Tensor, "*axes"], Float[Tensor, "*axes"]]:
        """Prepare queries and keys for their products."""
        return q * self.scale, k


class Unscaled(nn.Module):
    """Queries and keys as they are."""

    def forward(
        self, q: Float[Tensor, "*axes"], k: Float[Tensor, "*axes"]
    ) -> tuple[Float[Tensor, "*axes"], Float[Tensor, "*axes"]]:
        """Prepare queries and keys for their sums."""
        return q, k


class LearnedScale(Started):
    """Queries times a learned scale per head, which starts at the usual one.

    Source: Lee et al. 2021, arXiv:2112.13492, sec. 3.2, as the inverse of a temperature.

    Args:
        heads: heads.
        depth: channels of a head.
        axes: of the queries.
    """

    def __init__(self, heads: int, depth: int, axes: Axes) -> None:
        super().__init__()
        self.start = {"log_scale": -0.5 * math.log(depth)}
        self.shape = (heads, *[1] * axes.after)
        self.log_scale = nn.Parameter(torch.zeros(heads))

    def forward(
        self, q: Float[Tensor, "*axes"], k: Float[Tensor, "*axes"]
    ) -> tuple[Float[Tensor, "*axes"], Float[Tensor, "*axes"]]:
        """Prepare queries and keys for their products."""
        return q * self.log_scale.exp().view(self.shape), k


def make_scale(kind: Scale, heads: int, depth: int, axes: Axes) -> nn.Module:
    """Build what scales the products of queries and keys of `depth` channels."""
    if kind == "learned":
        return LearnedScale(heads, depth, axes)
    powers = {"root": -0.5, "full": -1.0, "fourth_root": -0.25}
    return Scaled(depth ** powers[kind])


class NormedHeads(nn.Module):
    """Layer norms of each head's queries and keys, then a similarity.

    Source: Dehghani et al. 2023, "Scaling ViT to 22 billion parameters", arXiv:2302.05442,
    sec. 2.

    Args:
        depth: channels of a head.
        similarity: what follows.
        axes: of queries and keys.
    """

    def __init__(self, depth: int, similarity: nn.Module, axes: Axes) -> None:
        super().__init__()
        self.axis = axes.channels
        self.norm_q = nn.LayerNorm(depth, eps=EPS)
        self.norm_k = nn.LayerNorm(depth, eps=EPS)
        self.similarity = similarity

    def forward(
        self, q: Float[Tensor, "*axes"], k: Float[Tensor, "*axes"]
    ) -> tuple[Float[Tensor, "*axes"], Float[Tensor, "*axes"]]:
        """Prepare queries and keys for their products."""
        q, k = self.norm_q(q.movedim(self.axis, -1)), self.norm_k(k.movedim(self.axis, -1))
        return self.similarity(q.movedim(-1, self.axis), k.movedim(-1, self.axis))


class Cosine(Started):
    """Queries and keys of length 1, and a learned scale per head. Source: SwinV2 eq. 2.

    Args:
        heads: heads.
        axes: of queries and keys.
    """

    def __init__(self, heads: int, axes: Axes) -> None:
        super().__init__()
        self.axis = axes.channels
        self.start = {"log_scale": math.log(10)}  # as in SwinV2's code, and so is 100, the most
        self.shape = (heads, *[1] * axes.after)
        self.log_scale = nn.Parameter(torch.full((heads,), math.log(10)))

    def forward(
        self, q: Float[Tensor, "*axes"], k: Float[Tensor, "*axes"]
    ) -> tuple[Float[Tensor, "*axes"], Float[Tensor, "*axes"]]:
        """Prepare queries and keys for their products."""
        scale = self.log_scale.clamp(max=math.log(100)).exp().view(self.shape)
        return F.normalize(q, dim=self.axis) * scale, F.normalize(k, dim=self.axis)


class DotProduct(nn.Module):
    """Softmax attention. Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1.

    Args:
        similarity: prepares queries and keys; their products are the scores.
        bias: acts on the scores.
        drop: share of the weights that are dropped.

    Attributes:
        over: the axis of the scores (queries, keys) along which the weights sum to 1.
        kernel: whether torch's own may do the work, where it is the faster one.
    """

    over = -1

    def __init__(self, similarity: nn.Module, bias: nn.Module, drop: float = 0.0) -> None:
        super().__init__()
        self.similarity, self.bias, self.drop = similarity, bias, make_drop(drop)
        self.kernel = type(self) is DotProduct

    def forward(
        self,
        q: Float[Tensor, "*b m n d"],
        k: Float[Tensor, "*b m n d"],
        v: Float[Tensor, "*b m n d"],
    ) -> Float[Tensor, "*b m n d"]:
        """Mix values by the similarity of queries and keys."""
        q, k = self.similarity(q, k)
        dropping = self.training and not isinstance(self.drop, nn.Identity)
        if self.kernel and not dropping and kernel_pays(v):
            added = None
            if not isinstance(self.bias, nn.Identity):
                # In the values' format: the kernel takes no other.
                zeros = v.new_zeros(*[1] * (v.ndim - 2), v.shape[-2], v.shape[-2])
                added = self.bias(zeros).to(v.dtype).expand(*v.shape[:-1], -1)
            return F.scaled_dot_product_attention(
                q.to(v.dtype), k.to(v.dtype), v, attn_mask=added, scale=1.0
            )
        return self.drop(self.bias(q @ k.mT).softmax(self.over)) @ v


LONG = 64
"""Tokens from which torch's kernel is taken on a GPU: forward and backward are 1.13 times as fast
for 64, 3.0 times for 197 (an H200, benchmarks/README.md); for 49, 1.04."""
SHORT = (torch.bfloat16, torch.float16)
"""Formats of flash attention (Dao 2023, arXiv:2307.08691); in fp32 torch has nothing as fast."""


def kernel_pays(v: Tensor) -> bool:
    """Whether torch's attention, which keeps no scores, is faster than products and a softmax.

    Where windows are an axis of their own it is not asked: their masks would be copied for every
    image, and the rest of a step hides what attention alone gains.
    """
    return v.is_cuda and v.ndim == 4 and v.shape[-2] >= LONG and v.dtype in SHORT


class OverQueries(DotProduct):
    """The softmax of post 002: each key's weights over all queries sum to 1, not each query's."""

    over = -2


class Additive(DotProduct):
    """Softmax attention whose scores are w^T tanh(q + k), with a w for each head.

    Queries and keys are the projections W_q x and W_k x; so a head's hidden layer has as many
    channels as the head. All pairs have one: it takes d times the memory of products.

    Source: Bahdanau et al. 2015, arXiv:1409.0473, app. A.1.2; Zhang et al., "Dive into Deep
    Learning", sec. 11.3.

    Args:
        similarity: prepares queries and keys; their sums are activated.
        bias: acts on the scores.
        drop: share of the weights that are dropped.
        heads: heads.
        depth: channels of a head.
        over: the axis of the scores (queries, keys) along which the weights sum to 1.
    """

    def __init__(
        self,
        similarity: nn.Module,
        bias: nn.Module,
        drop: float = 0.0,
        *,
        heads: int,
        depth: int,
        over: int = -1,
    ) -> None:
        super().__init__(similarity, bias, drop)
        self.score = nn.Linear(depth, heads, bias=False)  # a row for each head
        self.over = over

    def forward(
        self,
        q: Float[Tensor, "*b m n d"],
        k: Float[Tensor, "*b m n d"],
        v: Float[Tensor, "*b m n d"],
    ) -> Float[Tensor, "*b m n d"]:
        """Mix values by what the network says of queries and keys."""
        q, k = self.similarity(q, k)
        hidden = (q.unsqueeze(-2) + k.unsqueeze(-3)).tanh()  # *b m n n d
        scores = (hidden @ self.score.weight[:, None, :, None]).squeeze(-1)
        return self.drop(self.bias(scores).softmax(self.over)) @ v


class SmallDotProduct(DotProduct):
    """The same sums without matrix products, images innermost.

    A library's batched product of 4x12 matrices costs more in calls than in arithmetic, and
    sums along the innermost axis cost more than along any other: with images there, every
    product and sum runs over long contiguous rows.
    """

    def forward(
        self,
        q: Float[Tensor, "m d n k b"],
        k: Float[Tensor, "m d n k b"],
        v: Float[Tensor, "m d n k b"],
    ) -> Float[Tensor, "m d n k b"]:
        """Mix values by the similarity of queries and keys."""
        q, k = self.similarity(q, k)
        scores = (q.unsqueeze(3) * k.unsqueeze(2)).sum(1)  # m n n k b
        # The bias is of b k m n n, as everywhere else.
        scores = self.bias(scores.permute(4, 3, 0, 1, 2)).permute(2, 3, 4, 1, 0)
        return (self.drop(scores.softmax(2)).unsqueeze(1) * v.unsqueeze(2)).sum(3)

    def macs(self, q: Float[Tensor, "m d n k b"]) -> int:
        """Multiply-accumulates for queries of this shape, which no counter of products sees."""
        return 2 * q.shape[2] * q.numel()


class Fixed(nn.Module):
    """Weights that do not depend on content: the softmax of bias and mask alone.

    Without a bias each token takes the mean of those it may see. Source: "rel. pos. w/o app."
    of Swin tab. 4.

    Args:
        tokens: that see each other.
        bias: acts on the scores.
        axes: of the values before tokens and channels.
    """

    zeros: Tensor

    def __init__(self, tokens: int, bias: nn.Module, axes: int = 3) -> None:
        super().__init__()
        self.bias = bias
        self.register_buffer("zeros", torch.zeros(*[1] * axes, tokens, tokens), persistent=False)

    def forward(self, v: Float[Tensor, "*b m n d"]) -> Float[Tensor, "*b m n d"]:
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
        q, k = F.elu(q) + 1, F.elu(k) + 1  # positive, so that the sum below is no 0
        total = (q * k.sum(-2, keepdim=True)).sum(-1, keepdim=True)
        return q @ (k.mT @ v) / total  # keys with values first: no matrix of tokens by tokens
