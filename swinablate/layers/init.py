"""Initial weights: every parameter drawn from the generator of its own name.

So two networks of one seed share the values of every tensor they share, whatever else differs.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from swinablate.layers.norm import TokenBatchNorm

GeneratorFor = Callable[[str], torch.Generator]
"""Takes a parameter's name."""
Scheme = Literal["fan_in", "trunc02", "xavier", "he"]
Draw = Callable[[Tensor, torch.Generator], object]

_ONES = (nn.LayerNorm, nn.RMSNorm, nn.BatchNorm2d, TokenBatchNorm)


def initialise(model: nn.Module, scheme: Scheme, generator_for: GeneratorFor) -> None:
    """Overwrite every parameter.

    Linear and convolution weights follow `scheme`, their biases are 0; norms start as the
    identity; tables and tokens (parameters of any other module) are drawn from a normal
    distribution of standard deviation 0.02, cut at 2, as in Swin and ViT.

    Args:
        model: on a CPU.
        scheme: "fan_in", normal of variance 1 / fan-in (LeCun 1998); "trunc02", Swin's
            truncated normal of standard deviation 0.02 for linears, while convolutions keep
            the uniform +-fan-in^-1/2 of the original code; "xavier", uniform (Glorot 2010),
            kernels taken as matrices; "he", normal of variance 2 / fan-in (He 2015).
        generator_for: from a parameter's name to its generator.
    """
    with torch.no_grad():
        for prefix, module in model.named_modules():
            for name, parameter in module.named_parameters(prefix, recurse=False):
                _rule(module, name, scheme)(parameter, generator_for(name))


def _rule(module: nn.Module, name: str, scheme: Scheme) -> Draw:
    if isinstance(module, _ONES):
        return _one if name.endswith("weight") else _zero
    if isinstance(module, nn.Linear | nn.Conv2d):
        if name.endswith("bias"):
            return _zero
        return (_LINEAR if isinstance(module, nn.Linear) else _CONV)[scheme]
    return _trunc02


def _zero(x: Tensor, _: torch.Generator) -> None:
    x.zero_()


def _one(x: Tensor, _: torch.Generator) -> None:
    x.fill_(1.0)


def _trunc02(x: Tensor, generator: torch.Generator) -> None:
    nn.init.trunc_normal_(x, std=0.02, generator=generator)


def _fan_in(x: Tensor, generator: torch.Generator) -> None:
    x.normal_(std=x[0].numel() ** -0.5, generator=generator)


def _he(x: Tensor, generator: torch.Generator) -> None:
    x.normal_(std=math.sqrt(2 / x[0].numel()), generator=generator)


def _uniform(x: Tensor, generator: torch.Generator) -> None:
    edge = x[0].numel() ** -0.5
    x.uniform_(-edge, edge, generator=generator)


def _xavier(x: Tensor, generator: torch.Generator) -> None:
    nn.init.xavier_uniform_(x.flatten(1), generator=generator)


_LINEAR: Mapping[Scheme, Draw] = {
    "fan_in": _fan_in,
    "trunc02": _trunc02,
    "xavier": _xavier,
    "he": _he,
}
_CONV: Mapping[Scheme, Draw] = {**_LINEAR, "trunc02": _uniform}
