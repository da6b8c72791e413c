"""From many tokens to one vector.

Shapes: b batch, lb layers and in each a batch, n tokens, c channels, `*tokens` any token layout.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.layers.init import Started


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


class EveryLayer(nn.Sequential):
    """The outputs of all blocks, layer by layer in the place of a batch.

    So what follows, a norm, takes every layer's output of every image by itself, as ELMo's
    authors do where they normalise; a batch norm has one set of statistics for all.

    Args:
        blocks: the blocks.
        times: how often they are gone through.
    """

    def __init__(self, *blocks: nn.Module, times: int = 1) -> None:
        super().__init__(*blocks)
        self.times = times

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "lb n c"]:
        """Run, and keep all."""
        found = []
        for _ in range(self.times):
            for block in self:
                x = block(x)
                found.append(x)
        return torch.cat(found)


class LayerSum(Started):
    """The sum of all layers by a softmax of learned weights, times a learned factor.

    It starts at equal shares and a factor of 1. Source: Peters et al. 2018 ("ELMo"),
    arXiv:1802.05365, eq. 1; here of the blocks, and without what goes into the first.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.start = {"weights": 0.0, "gamma": 1.0}
        self.layers = layers
        self.weights = nn.Parameter(torch.zeros(layers))
        self.gamma = nn.Parameter(torch.ones(1))

    def forward(self, x: Float[Tensor, "lb n c"]) -> Float[Tensor, "b n c"]:
        """Weigh and add."""
        shares = self.gamma * self.weights.softmax(0)
        return (shares[:, None, None, None] * x.unflatten(0, (self.layers, -1))).sum(0)


class Skip(nn.Module):
    """All tokens but the first `count`."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n-{self.count} c"]:
        """Cut."""
        return x[:, self.count :]
