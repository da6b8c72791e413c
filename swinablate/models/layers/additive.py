"""Scores of a small network in place of products.

Shapes: m heads, n tokens, d channels of a head; `*b` any leading axes.
"""

from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.layers.attention import DotProduct


class Unscaled(nn.Module):
    """Queries and keys as they are."""

    def forward(
        self, q: Float[Tensor, "*axes"], k: Float[Tensor, "*axes"]
    ) -> tuple[Float[Tensor, "*axes"], Float[Tensor, "*axes"]]:
        """Prepare queries and keys for their sums."""
        return q, k


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
