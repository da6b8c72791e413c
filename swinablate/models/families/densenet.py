"""DenseNet for small images (Huang et al., 2017, arXiv:1608.06993, sec. 3 and 4.1).

One convolution, three blocks of layers that see the maps of all layers before them, a halving
between blocks, one linear map. With bottlenecks and compression (the defaults), DenseNet-BC.

Shapes: b batch, c channels, h w pixels.
"""

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models.layers import switches
from swinablate.models.layers.block import make_drop
from swinablate.models.layers.conv import ConvNorm, make_conv_norm
from swinablate.models.layers.fields import Count, Rate
from swinablate.models.layers.init import draw

BLOCKS = 3
"""As the paper has for images of 32 pixels, sec. 3. A depth is 4 more than a multiple of them: the
first convolution, the two halvings, the head."""
FIRST = 16  # channels of the first convolution without bottlenecks; with them, twice the growth
NARROW = 4  # channels of a bottleneck per channel that a layer adds, sec. 3


class DenseNetConfig(ModelConfig):
    """DenseNet's shape and switches."""

    # By default the paper's smallest depth and growth, as DenseNet-BC.
    family: Literal["densenet"] = "densenet"
    depth: Annotated[
        int,
        Field(ge=7),
        Switch(
            "layers with weights: 6n + 4, without bottlenecks 3n + 4",
            "DenseNet tab. 2",
            (40, 22),
            acts_on=("stages.*", "norm*", "head*"),
        ),
    ] = 40
    growth: Annotated[
        Count,
        Switch("channels that a layer adds", "DenseNet tab. 2", (12, 24), acts_on=("*",)),
    ] = 12
    dense: Annotated[
        bool,
        Switch(
            "a layer sees all layers of its block before it; without, only the last",
            "DenseNet eq. 1, 2",
            (True, False),
            acts_on=("stages.*", "norm*", "head*"),
        ),
    ] = True
    bottleneck: Annotated[
        bool,
        Switch(
            "1x1 convolutions before the 3x3, and half as many layers",
            "DenseNet sec. 3, tab. 2",
            (True, False),
            acts_on=("stem*", "stages.*", "norm*", "head*"),
        ),
    ] = True
    compression: Annotated[
        float,
        Field(gt=0, le=1),
        Switch(
            "share of the channels that is kept between blocks",
            "DenseNet sec. 3, tab. 2",
            (0.5, 1.0),
            acts_on=("stages.*", "norm*", "head*"),
        ),
    ] = 0.5
    norm: Annotated[
        ConvNorm,
        Switch(
            "normalisation before each convolution but the first",
            "Ioffe 2015; ConvNeXt sec. 2.6",
            ("batch", "layer", "none"),
            acts_on=("stem.bias", "stages.*", "norm*"),
        ),
    ] = "batch"
    dropout: Annotated[
        Rate,
        Switch(
            "share dropped behind each convolution but the first",
            "DenseNet sec. 4.2",
            (0.0, 0.2),
            acts_on=("stages.*.drop*",),
        ),
    ] = 0.0
    init: switches.ConvInit = "he"

    @model_validator(mode="after")
    def _consistent(self) -> "DenseNetConfig":
        step = BLOCKS * (1 + self.bottleneck)
        if rest := (self.depth - 4) % step:
            low = self.depth - rest
            choice = f"choose {low} or {low + step}" if low > 4 else f"choose {low + step}"
            raise ValueError(f"depth {self.depth} is not {step}n + 4; {choice}")
        return self


def geometry(config: DenseNetConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The effective numbers of each block; `width` is what enters it.

    Raises:
        ValueError: the image is too small to be halved twice.
    """
    high, wide = image.height, image.width
    if min(high, wide) < 2 ** (BLOCKS - 1):
        raise ValueError(f"{high}x{wide} pixels cannot be halved twice; take larger images")
    layers = (config.depth - 4) // (BLOCKS * (1 + config.bottleneck))
    width = 2 * config.growth if config.bottleneck else FIRST
    found = []
    for _ in range(BLOCKS):
        found.append({"grid": (high, wide), "width": width, "layers": layers})
        after = width + layers * config.growth if config.dense else config.growth
        width = max(1, int(after * config.compression))  # rounded down, as in sec. 3
        high, wide = high // 2, wide // 2
    return tuple(found)


def convolution(c_in: int, c_out: int, kernel: int, config: DenseNetConfig) -> nn.Sequential:
    """Norm, ReLU, convolution, dropout; a bias where there are no norms."""
    conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=config.norm == "none")
    parts = {
        "norm": make_conv_norm(config.norm, c_in),
        "act": nn.ReLU(),
        "conv": conv,
        "drop": make_drop(config.dropout),
    }
    made = nn.Sequential()
    for name, part in parts.items():
        made.add_module(name, part)
    return made


def make_layer(c_in: int, config: DenseNetConfig) -> nn.Sequential:
    """Build what makes a layer's new maps."""
    narrow = NARROW * config.growth
    if not config.bottleneck:
        return nn.Sequential(convolution(c_in, config.growth, 3, config))
    return nn.Sequential(
        convolution(c_in, narrow, 1, config), convolution(narrow, config.growth, 3, config)
    )


class Chain(nn.Sequential):
    """Layers one after the other, each of which sees the last only."""


class Dense(Chain):
    """Layers that see all before them. Source: DenseNet eq. 2."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        """Add each layer's maps to those before."""
        for layer in self:
            x = torch.cat((x, layer(x)), 1)
        return x


class Halving(nn.Sequential):
    """A 1x1 convolution and the mean of each 2x2 pixels. Source: DenseNet sec. 3."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h//2 w//2"]:
        """Mix and halve."""
        return F.avg_pool2d(super().forward(x), 2)


class Stage(nn.Module):
    """A block, then a halving unless it is the last.

    Args:
        numbers: its geometry.
        after: the channels of the next block; None if none follows.
        config: its switches.
    """

    def __init__(self, numbers: dict[str, Any], after: int | None, config: DenseNetConfig) -> None:
        super().__init__()
        width, layers = numbers["width"], []
        for _ in range(numbers["layers"]):
            layers.append(make_layer(width, config))
            width = width + config.growth if config.dense else config.growth
        self.width = width if after is None else after
        self.block = (Dense if config.dense else Chain)(*layers)
        self.halve = (
            nn.Identity() if after is None else Halving(convolution(width, after, 1, config))
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Run the block."""
        return self.halve(self.block(x))


class DenseNet(nn.Module):
    """Convolution, three blocks, mean over pixels, linear head."""

    def __init__(self, config: DenseNetConfig, image: ImageSpec) -> None:
        super().__init__()
        found = geometry(config, image)
        widths = [stage["width"] for stage in found]
        bias = config.norm == "none"
        self.stem = nn.Conv2d(image.channels, widths[0], 3, padding=1, bias=bias)
        stages = [
            Stage(stage, after, config)
            for stage, after in zip(found, [*widths[1:], None], strict=True)
        ]
        self.stages = nn.Sequential(*stages)
        self.norm = make_conv_norm(config.norm, stages[-1].width)
        self.head = nn.Linear(stages[-1].width, image.classes)

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        return self.head(F.relu(self.norm(self.stages(self.stem(x)))).mean((2, 3)))


FAMILY = Family(DenseNetConfig, DenseNet, draw, geometry)
