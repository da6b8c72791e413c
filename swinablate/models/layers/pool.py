"""From many tokens to one vector.

Shapes: b batch, c channels, `*tokens` any token layout.
"""

from jaxtyping import Float
from torch import Tensor, nn


class Max(nn.Module):
    """The largest value of each channel."""

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b c"]:
        """Choose."""
        return x.flatten(1, -2).amax(1)


class MeanMax(nn.Module):
    """Half the mean and half the largest value, timm's "avgmax"."""

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b c"]:
        """Average both."""
        x = x.flatten(1, -2)
        return (x.mean(1) + x.amax(1)) / 2


class SequencePool(nn.Module):
    """A mean whose weights are a softmax of learned scores.

    Source: CCT, Hassani et al. 2021, arXiv:2104.05704, sec. 3.2.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1)

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b c"]:
        """Weigh and add."""
        x = x.flatten(1, -2)
        return (self.score(x).softmax(1) * x).sum(1)


class Skip(nn.Module):
    """All tokens but the first `count`."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n-{self.count} c"]:
        """Cut."""
        return x[:, self.count :]
