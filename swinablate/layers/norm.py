"""Normalisation over channels-last tokens.

Layer: Ba et al. 2016, arXiv:1607.06450. Batch: Ioffe and Szegedy 2015, arXiv:1502.03167.
Root mean square: Zhang and Sennrich 2019, arXiv:1910.07467. Batch norm inside the FFN: Yao et
al. 2021, "Leveraging Batch Normalization for Vision Transformers", ICCV workshops.

Shapes: c channels, `*tokens` any batch and token layout.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

Norm = Literal["layer", "batch", "batch_ffn", "rms"]
EPS = 1e-5


class TokenBatchNorm(nn.BatchNorm1d):
    """BatchNorm over every token of every image: statistics per channel."""

    def forward(self, x: Float[Tensor, "*tokens c"]) -> Float[Tensor, "*tokens c"]:
        """Normalise the last dimension."""
        return super().forward(x.flatten(0, -2)).view(x.shape)


def _layer(width: int) -> nn.Module:
    return nn.LayerNorm(width, eps=EPS)


def _batch(width: int) -> nn.Module:
    return TokenBatchNorm(width, eps=EPS)


def _rms(width: int) -> nn.Module:
    return nn.RMSNorm(width, eps=EPS)


def _nothing(_: int) -> nn.Module:
    return nn.Identity()


_NORMS: Mapping[Norm, Callable[[int], nn.Module]] = {
    "layer": _layer,
    "batch": _batch,
    "batch_ffn": _batch,
    "rms": _rms,
}
_FFN_NORMS: Mapping[Norm, Callable[[int], nn.Module]] = {
    "layer": _nothing,
    "batch": _nothing,
    "batch_ffn": _batch,
    "rms": _nothing,
}


def make_norm(norm: Norm, width: int) -> nn.Module:
    """Build the norm called `norm` for `width` channels."""
    return _NORMS[norm](width)


def make_ffn_norm(norm: Norm, width: int) -> nn.Module:
    """Build what stands between the two linears of an MLP with `width` hidden channels."""
    return _FFN_NORMS[norm](width)
