"""Initial weights: every parameter drawn from the generator of its own name.

So two networks of one seed share the values of every tensor they share, whatever else differs.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

GeneratorFor = Callable[[str], torch.Generator]
"""Takes a parameter's name."""
Scheme = Literal["fan_in", "trunc02", "xavier", "he", "torch"]
Draw = Callable[[Tensor, torch.Generator], object]

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d)


@runtime_checkable
class Initialised(Protocol):
    """A config that says how weights start."""

    @property
    def init(self) -> Scheme:
        """The scheme."""


class Started(nn.Module):
    """A module whose parameters start at values of their own.

    Attributes:
        start: from a parameter's name in this module to its first value.
    """

    start: Mapping[str, float]


def draw(model: nn.Module, config: Initialised, generator_for: GeneratorFor) -> None:
    """Draw every parameter from the generator of its name, as `config.init` says."""
    initialise(model, config.init, generator_for)


def initialise(model: nn.Module, scheme: Scheme, generator_for: GeneratorFor) -> None:
    """Overwrite every parameter.

    Linear and convolution weights follow `scheme`, their biases are 0, but for convolutions
    under "fan_in" and "trunc02", which keep PyTorch's uniform +-fan-in^-1/2, as Swin's code
    does. It matters where a norm follows a patch embedding of few inputs: without a bias, a
    patch of one grey pixel is its sign times a constant, and the grey value is lost. Norms
    start as the identity; tables and tokens (parameters of any other module) are drawn from a
    normal distribution of standard deviation 0.02, cut at 2, as in Swin and ViT.

    Args:
        model: on a CPU.
        scheme: "fan_in", normal of variance 1 / fan-in (LeCun 1998); "trunc02", Swin's
            truncated normal of standard deviation 0.02 for linears, while convolutions keep
            the uniform +-fan-in^-1/2 of the original code; "xavier", uniform (Glorot 2010),
            kernels taken as matrices; "he", normal of variance 2 / fan-in (He 2015);
            "torch", uniform +-fan-in^-1/2 for weights and biases, what PyTorch does if
            nobody asks.
        generator_for: from a parameter's name to its generator.
    """
    with torch.no_grad():
        for prefix, module in model.named_modules():
            for name, parameter in module.named_parameters(prefix, recurse=False):
                _start(module, name, scheme)(parameter, generator_for(name))


def _start(module: nn.Module, name: str, scheme: Scheme) -> Draw:
    last = name.rpartition(".")[2]
    if isinstance(module, Started):
        return _constant(module.start[last])
    if isinstance(module, _NORMS):
        return _constant(1.0 if last == "weight" else 0.0)
    if not isinstance(module, nn.Linear | nn.Conv2d):
        return _trunc02
    if last == "weight":
        return (_LINEAR if isinstance(module, nn.Linear) else _CONV)[scheme]
    kept = scheme == "torch" or (isinstance(module, nn.Conv2d) and scheme in _CONV_BIAS)
    return _like(module.weight) if kept else _constant(0.0)


def _constant(value: float) -> Draw:
    return lambda x, _: x.fill_(value)


def _like(weight: Tensor) -> Draw:
    edge = weight[0].numel() ** -0.5
    return lambda x, generator: x.uniform_(-edge, edge, generator=generator)


def _trunc02(x: Tensor, generator: torch.Generator) -> None:
    # Cut at 2, a hundred standard deviations: nothing is, in Swin's code as here.
    nn.init.trunc_normal_(x, std=0.02, generator=generator)


def _fan_in(x: Tensor, generator: torch.Generator) -> None:
    x.normal_(std=x[0].numel() ** -0.5, generator=generator)


def _he(x: Tensor, generator: torch.Generator) -> None:
    x.normal_(std=math.sqrt(2 / x[0].numel()), generator=generator)


def _uniform(x: Tensor, generator: torch.Generator) -> None:
    _like(x)(x, generator)


def _xavier(x: Tensor, generator: torch.Generator) -> None:
    nn.init.xavier_uniform_(x.flatten(1), generator=generator)


_LINEAR: Mapping[Scheme, Draw] = {
    "fan_in": _fan_in,
    "trunc02": _trunc02,
    "xavier": _xavier,
    "he": _he,
    "torch": _uniform,
}
_CONV: Mapping[Scheme, Draw] = {**_LINEAR, "trunc02": _uniform}
_CONV_BIAS = frozenset({"fan_in", "trunc02"})
"""Schemes under which convolutions have a bias other than 0 at first; see `initialise`."""
