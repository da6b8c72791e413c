"""LeNet-5 (LeCun et al. 1998, Proc. IEEE 86(11), sec. II-B), as it is taught today.

Two convolutions, each pooled, and three linear maps. As in "Dive into Deep Learning" sec. 7.6,
and unlike the paper: every map of the second convolution reads all maps of the first, poolings
have no numbers of their own, and the answer is linear. On 28x28 images of one channel and 10
classes it has 61,706 parameters.

Shapes: b batch, ch image channels, h w pixels.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models.layers.fields import Count
from swinablate.models.layers.init import draw
from swinablate.models.layers.window import Pair

KERNEL = 5
"""The side of both kernels, as in the paper: fig. 2."""
_ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}


class LeNetConfig(ModelConfig):
    """LeNet's sizes, and what came after it."""

    family: Literal["lenet"] = "lenet"
    widths: Annotated[
        tuple[Count, Count],
        Switch(
            "channels of both convolutions",
            "LeCun 1998, fig. 2",
            ((6, 16), (12, 32)),
            acts_on=("conv*", "norm*", "fc1*"),
        ),
    ] = (6, 16)
    hidden: Annotated[
        tuple[Count, Count],
        Switch(
            "channels of both hidden linear maps",
            "LeCun 1998, fig. 2",
            ((120, 84), (60, 42)),
            acts_on=("fc*", "norm*", "head*"),
        ),
    ] = (120, 84)
    activation: Annotated[
        Literal["sigmoid", "tanh", "relu"],
        Switch(
            "nonlinearity behind every layer but the last",
            "LeCun 1998, eq. 6; Nair 2010",
            ("sigmoid", "tanh", "relu"),
            acts_on=("act",),
        ),
    ] = "sigmoid"
    pool: Annotated[
        Literal["mean", "max"],
        Switch(
            "what 2x2 pixels become",
            "LeCun 1998, sec. II-B; Scherer 2010",
            ("mean", "max"),
            acts_on=("pool",),
        ),
    ] = "mean"
    norm: Annotated[
        Literal["none", "batch"],
        Switch(
            "normalisation before every activation",
            "Ioffe 2015; d2l sec. 8.5",
            ("none", "batch"),
            acts_on=("norm*",),
        ),
    ] = "none"
    dropout: Annotated[
        float,
        Field(ge=0, lt=1),
        Switch(
            "rate behind both hidden linear maps",
            "Srivastava 2014",
            (0.0, 0.5),
            acts_on=("dropout",),
        ),
    ] = 0.0
    init: Annotated[
        Literal["xavier", "he", "fan_in", "torch"],
        Switch(
            "initial weights: Glorot's, variance 2 or 1 / fan-in, PyTorch's",
            "Glorot 2010; He 2015; LeCun 1998",
            ("xavier", "he", "fan_in", "torch"),
            acts_on=("*",),
        ),
    ] = "xavier"


def geometry(config: LeNetConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The grid behind each convolution, and one place for each hidden linear map.

    Raises:
        ValueError: the image is too small for both.
    """
    first = (image.height, image.width)
    second = _inner(_halved(first))
    if min(_halved(second)) < 1:
        raise ValueError(
            f"a {image.height}x{image.width} image is too small for two {KERNEL}x{KERNEL} "
            "convolutions and poolings; use images of at least 12x12"
        )
    convs = zip((first, second), config.widths, strict=True)
    return (
        *({"grid": grid, "width": width, "kernel": KERNEL} for grid, width in convs),
        *({"grid": (1, 1), "width": width} for width in config.hidden),
    )


def _halved(grid: Pair) -> Pair:
    return grid[0] // 2, grid[1] // 2


def _inner(grid: Pair) -> Pair:
    """Where a kernel fits without a margin; the first convolution has one (d2l sec. 7.6)."""
    return grid[0] - KERNEL + 1, grid[1] - KERNEL + 1


class LeNet(nn.Module):
    """Convolution, pooling, twice; three linear maps."""

    def __init__(self, config: LeNetConfig, image: ImageSpec) -> None:
        super().__init__()
        last = geometry(config, image)[1]
        (one, two), (three, four) = config.widths, config.hidden
        high, wide = _halved(last["grid"])
        norm2, norm1 = (
            (nn.BatchNorm2d, nn.BatchNorm1d)
            if config.norm == "batch"
            else (nn.Identity, nn.Identity)
        )
        self.conv1 = nn.Conv2d(image.channels, one, KERNEL, padding=KERNEL // 2)
        self.norm1 = norm2(one)
        self.conv2 = nn.Conv2d(one, two, KERNEL)
        self.norm2 = norm2(two)
        self.fc1 = nn.Linear(two * high * wide, three)
        self.norm3 = norm1(three)
        self.fc2 = nn.Linear(three, four)
        self.norm4 = norm1(four)
        self.head = nn.Linear(four, image.classes)
        self.act = _ACTIVATIONS[config.activation]()
        self.pool = nn.AvgPool2d(2) if config.pool == "mean" else nn.MaxPool2d(2)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        x = self.pool(self.act(self.norm1(self.conv1(x))))
        x = self.pool(self.act(self.norm2(self.conv2(x)))).flatten(1)
        x = self.dropout(self.act(self.norm3(self.fc1(x))))
        return self.head(self.dropout(self.act(self.norm4(self.fc2(x)))))


FAMILY = Family(LeNetConfig, LeNet, draw, geometry)
