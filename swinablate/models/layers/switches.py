"""Switches that mean the same in several families, each declared once.

A family gives them a name and a default: `mlp_ratio: switches.MlpRatio = 4.0`. Where families
differ in source, levels or reach, they declare their own.
"""

from typing import Annotated, Literal

from pydantic import Field

from swinablate.config.family import Switch
from swinablate.models.layers import attention, conv, mlp, norm, patch
from swinablate.models.layers.fields import Rate

Stem = Annotated[
    patch.Stem,
    Switch(
        "from pixels to tokens: patches, convolutions of stride 2 or pooled, shifted patches",
        "Xiao 2021, sec. 4; CCT sec. 3.3; Lee 2021, sec. 3.1",
        ("patchify", "conv", "conv_pool", "spt"),
        acts_on=("embed", "embed.*"),
    ),
]
AttentionScale = Annotated[
    attention.Scale,
    Switch(
        "scores times depth^-1/2, depth^-1, depth^-1/4, or a learned scale",
        "Vaswani 2017, sec. 3.2.1; post 002; Lee 2021, sec. 3.2",
        ("root", "full", "fourth_root", "learned"),
        acts_on=("*.mix.similarity*",),
    ),
]
QkNorm = Annotated[
    bool,
    Switch(
        "layer norms of each head's queries and keys",
        "Dehghani 2023, sec. 2",
        (False, True),
        acts_on=("*.mix.similarity*",),
    ),
]
QkvBias = Annotated[
    attention.QkvBias,
    Switch(
        "biases of queries, keys and values",
        "SwinV2 code",
        ("all", "query_value", "none"),
        acts_on=("*.attention.qkv*", "*.attention.value*"),
    ),
]
Diagonal = Annotated[
    bool,
    Switch(
        "a token sees itself; without, only where it sees nothing else",
        "Lee 2021, sec. 3.2",
        (True, False),
        acts_on=("*.mix.bias", "*.mix.bias.mask"),
    ),
]
BlockNorm = Annotated[
    norm.BlockNorm,
    Switch(
        "normalisation; batch_ffn adds one inside the MLP, hybrid is layer for what mixes "
        "tokens and batch for what mixes channels",
        "Ba 2016; Ioffe 2015; Yao 2021; Zhang 2019; Wu 2018; Guo 2024; Zhu 2025",
        ("layer", "batch", "batch_ffn", "hybrid", "rms", "group", "prepbn", "dyt", "none"),
        acts_on=("*norm*",),
    ),
]
MlpRatio = Annotated[
    float,
    Field(gt=0),
    Switch("hidden channels of the MLP per channel", "", (4.0, 2.0), acts_on=("*.mlp.*",)),
]
Activation = Annotated[
    mlp.Activation,
    Switch(
        "nonlinearity of the MLP; swiglu and geglu gate it, in two thirds of the channels",
        "Hendrycks 2016; Shazeer 2020, sec. 2",
        ("gelu", "relu", "swiglu", "geglu"),
        acts_on=("*.mlp", "*.mlp.*"),
    ),
]
Drop = Annotated[
    Rate,
    Switch(
        "share of numbers dropped behind patches, attention, and both layers of the MLP",
        "Srivastava 2014, sec. 4; Vaswani 2017, sec. 5.4",
        (0.0, 0.1),
        acts_on=("drop", "*.attention.drop", "*.mlp.drop*"),
    ),
]
DropPath = Annotated[
    Rate,
    Switch(
        "rate at which the last block skips a branch",
        "Huang 2016",
        (0.0, 0.2),
        acts_on=("*.end1*", "*.end2*"),
    ),
]
LayerScale = Annotated[
    float,
    Field(ge=0),
    Switch(
        "first value of learned scales of the branches; 0 is off",
        "CaiT",
        (0.0, 0.1),
        acts_on=("*.end1*", "*.end2*"),
    ),
]
ConvInit = Annotated[
    Literal["he", "fan_in", "xavier"],
    Switch(
        "initial weights: variance 2 / fan-in, 1 / fan-in, or Glorot's",
        "He 2015; LeCun 1998; Glorot 2010",
        ("he", "fan_in", "xavier"),
        acts_on=("*",),
    ),
]
"""Of networks of convolutions with ReLU."""


def norm_after_convolutions(*acts_on: str, source: str = "Ioffe 2015") -> Switch:
    """The switch of a `ConvNorm` that follows convolutions.

    Args:
        acts_on: names of the parts that have convolutions.
        source: paper and section.
    """
    levels: tuple[conv.ConvNorm, ...] = ("batch", "layer", "none")
    return Switch("normalisation after each convolution", source, levels, acts_on=acts_on)
