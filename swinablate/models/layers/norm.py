"""Normalisation over channels-last tokens.

layer: Ba et al. 2016, arXiv:1607.06450. batch: Ioffe and Szegedy 2015, arXiv:1502.03167.
batch_ffn: Yao et al. 2021, "Leveraging Batch Normalization for Vision Transformers", ICCVW.
rms: Zhang and Sennrich 2019, arXiv:1910.07467. prepbn: SLAB, Guo et al. 2024,
arXiv:2405.11582, sec. 3.2. dyt: Zhu et al. 2025, arXiv:2503.10622, sec. 4. group: Wu and He
2018, arXiv:1803.08494, sec. 3.

Shapes: c channels, `*tokens` any batch and token layout.
"""

from collections.abc import Callable, Iterable, Mapping
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

    `fade` sets the share of the layer norm between steps; it is saved with the weights, and
    evaluation uses what training has reached. The authors evaluate with the batch norm alone;
    at the end, where it has taken over, both are one. Their code starts eta, which it calls
    alpha, at 1.
    """

    share: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.LayerNorm(width, eps=EPS)
        self.batch = TokenBatchNorm(width, eps=EPS)
        self.start = {"eta": 1.0}
        self.eta = nn.Parameter(torch.ones(1))
        self.register_buffer("share", torch.ones(()))

    def forward(self, x: Float[Tensor, "*tokens c"]) -> Float[Tensor, "*tokens c"]:
        """Mix both norms."""
        return self.share * self.layer(x) + (1 - self.share) * (self.batch(x) + self.eta * x)


class Fading:
    """The norms of a network that fade while it trains.

    Args:
        model: the network.
        over: share of the training over which they do.
        frozen: parts that do not train, and keep what they came with.
    """

    def __init__(self, model: nn.Module, over: float, frozen: Iterable[nn.Module] = ()) -> None:
        still = {id(module) for part in frozen for module in part.modules()}
        self.over = over
        self.norms = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, Progressive) and id(module) not in still
        }

    def share(self, done: float) -> float:
        """The layer norm's share after a share of the training: from 1 down to 0."""
        return max(0.0, 1 - done / self.over)

    def at(self, done: float) -> None:
        """Bring the norms to where they are after a share of the training."""
        for norm in self.norms.values():
            norm.share.fill_(self.share(done))


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


def mended(norm: BlockNorm) -> dict[str, int]:
    """Which meaning of `norm` a config uses, where it was mended."""
    return {"norm": 2} if norm == "prepbn" else {}  # 1 faded over 300 steps, eta from 0


def make_ffn_norm(norm: BlockNorm, width: int) -> nn.Module:
    """Build what stands between the two linears of an MLP with `width` hidden channels."""
    return _batch(width) if norm == "batch_ffn" else nn.Identity()
