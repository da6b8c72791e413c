"""Normalisation over channels-last tokens.

layer: Ba et al. 2016, arXiv:1607.06450. batch: Ioffe and Szegedy 2015, arXiv:1502.03167.
batch_ffn: Yao et al. 2021, "Leveraging Batch Normalization for Vision Transformers", ICCVW.
rms: Zhang and Sennrich 2019, arXiv:1910.07467. prepbn: SLAB, Guo et al. 2024,
arXiv:2405.11582, sec. 3.2. dyt: Zhu et al. 2025, arXiv:2503.10622, sec. 4. group: Wu and He
2018, arXiv:1803.08494, sec. 3.

Shapes: c channels, `*tokens` any batch and token layout.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.layers.init import Started

Norm = Literal["layer", "batch", "batch_ffn", "rms", "group", "prepbn", "dyt", "none"]
BlockNorm = Literal[
    "layer", "batch", "batch_ffn", "hybrid", "rms", "group", "prepbn", "dyt", "none"
]
"""The same, and one that differs between the two halves of a block."""
EPS = 1e-5
"""PyTorch's, and torchvision's in its Swin; one for all norms, so that no arm differs in it."""
FADE = 300
"""Training steps over which prepbn replaces the layer norm.

The examples on digits take 255 and keep a share of 0.15 of it; longer trainings leave it behind.
"""
GROUP = 16
"""Channels of a group: the best of Wu and He, tab. 3."""


class TokenBatchNorm(nn.BatchNorm1d):
    """BatchNorm over every token of every image: statistics per channel."""

    def forward(self, x: Float[Tensor, "*tokens c"]) -> Float[Tensor, "*tokens c"]:
        """Normalise the last dimension."""
        return super().forward(x.flatten(0, -2)).view(x.shape)


class TokenRMSNorm(nn.RMSNorm):
    """Root mean square norm in the weight's precision, as autocast runs the other norms."""

    def forward(self, x: Float[Tensor, "*tokens c"]) -> Float[Tensor, "*tokens c"]:
        """Normalise the last dimension."""
        return super().forward(x.to(self.weight.dtype))


class TokenGroupNorm(nn.GroupNorm):
    """Statistics of each image over all its tokens and a group of its channels.

    One group where `GROUP` does not divide the channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width // GROUP if width % GROUP == 0 else 1, width, eps=EPS)

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b *tokens c"]:
        """Normalise each image."""
        return super().forward(x.movedim(-1, 1)).movedim(1, -1)


class DynamicTanh(Started):
    """weight * tanh(alpha x) + bias: squashes outliers, needs no statistics."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.start = {"alpha": 0.5, "weight": 1.0, "bias": 0.0}  # the authors' default
        self.alpha = nn.Parameter(torch.full((1,), 0.5))
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "*tokens c"]) -> Float[Tensor, "*tokens c"]:
        """Squash."""
        return torch.tanh(self.alpha * x) * self.weight + self.bias


class Progressive(Started):
    """Fade from a layer norm to a batch norm with a shortcut, BN(x) + eta x, while training.

    The share of the layer norm falls linearly from 1 to 0 over `FADE` training steps, counted
    here and saved with the weights; evaluation uses what training has reached.
    """

    steps: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.LayerNorm(width, eps=EPS)
        self.batch = TokenBatchNorm(width, eps=EPS)
        self.start = {"eta": 0.0}
        self.eta = nn.Parameter(torch.zeros(1))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x: Float[Tensor, "*tokens c"]) -> Float[Tensor, "*tokens c"]:
        """Mix both norms."""
        share = (1 - self.steps / FADE).clamp(min=0)
        if self.training:
            self.steps += 1
        return share * self.layer(x) + (1 - share) * (self.batch(x) + self.eta * x)


def _layer(width: int) -> nn.Module:
    return nn.LayerNorm(width, eps=EPS)


def _batch(width: int) -> nn.Module:
    return TokenBatchNorm(width, eps=EPS)


def _rms(width: int) -> nn.Module:
    return TokenRMSNorm(width, eps=EPS)


_NORMS: Mapping[Norm, Callable[[int], nn.Module]] = {
    "layer": _layer,
    "batch": _batch,
    "batch_ffn": _batch,
    "rms": _rms,
    "group": TokenGroupNorm,
    "prepbn": Progressive,
    "dyt": DynamicTanh,
    "none": nn.Identity,
}


def make_norm(norm: Norm, width: int) -> nn.Module:
    """Build the norm called `norm` for `width` channels."""
    return _NORMS[norm](width)


def of_tokens(norm: BlockNorm) -> Norm:
    """The norm of what mixes tokens, and of all that is in no block."""
    return "layer" if norm == "hybrid" else norm


def of_channels(norm: BlockNorm) -> Norm:
    """The norm of what mixes channels: the MLP, and merging."""
    return "batch" if norm == "hybrid" else norm


def make_ffn_norm(norm: BlockNorm, width: int) -> nn.Module:
    """Build what stands between the two linears of an MLP with `width` hidden channels."""
    return _batch(width) if norm == "batch_ffn" else nn.Identity()
