"""Network in Network (Lin et al., 2013, arXiv:1312.4400) for small images.

Blocks of one convolution and two 1x1 convolutions, pooled in between; the last block has one
channel per class, and its mean over pixels is the answer.

Shapes: b batch, ch image channels, h w pixels.
"""

from typing import Annotated, Any, Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models.layers import switches
from swinablate.models.layers.conv import ConvNorm, convolve, strided
from swinablate.models.layers.fields import Count, Counts, Rate, check_lengths, check_middle
from swinablate.models.layers.init import draw


class NiNConfig(ModelConfig):
    """NiN's shape and switches."""

    family: Literal["nin"] = "nin"
    widths: Annotated[
        Counts,
        Switch(
            "channels of each block but the last",
            "NiN sec. 4.1",
            ((64, 128), (32, 64)),
            acts_on=("*",),
        ),
    ] = (64, 128)
    kernels: Annotated[
        Counts,
        Switch(
            "kernel sides of the same blocks, odd",
            "NiN sec. 4.1",
            ((5, 5), (3, 3)),
            acts_on=("blocks.*",),
        ),
    ] = (5, 5)
    stride: Annotated[
        Count,
        Switch("of the first convolution", "NiN sec. 4.1", (1, 2), acts_on=("blocks.0.*",)),
    ] = 1
    mixers: Annotated[
        int,
        Field(ge=0),
        Switch(
            "1x1 convolutions of each block",
            "NiN sec. 3.1",
            (2, 0),
            acts_on=("blocks.*", "head.*"),
        ),
    ] = 2
    head: Annotated[
        Literal["gap", "fc"],
        Switch(
            "a block and its mean, or one linear map of every pixel",
            "NiN sec. 3.2",
            ("gap", "fc"),
            acts_on=("head*",),
        ),
    ] = "gap"
    norm: Annotated[ConvNorm, switches.norm_after_convolutions("blocks.*", "head.*")] = "batch"
    dropout: Annotated[
        Rate,
        Switch("rate before the head", "NiN sec. 4.1", (0.0, 0.5), acts_on=("dropout",)),
    ] = 0.0
    init: switches.ConvInit = "he"

    @model_validator(mode="after")
    def _consistent(self) -> "NiNConfig":
        check_lengths("block", {"kernels": self.kernels, "widths": self.widths})
        for kernel in self.kernels:
            check_middle(kernel)
        return self


def geometry(config: NiNConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The grid of each block, and of the head; strides and poolings round upwards."""
    grid = strided((image.height, image.width), config.stride)
    found = []
    for width in config.widths:
        found.append({"grid": grid, "width": width})
        grid = strided(grid)
    return (*found, {"grid": grid, "width": image.classes})


def block(c_in: int, c_out: int, kernel: int, stride: int, config: NiNConfig) -> nn.Sequential:
    """One convolution and the 1x1 convolutions that make it a network. Source: NiN fig. 1."""
    steps = [convolve(c_in, c_out, kernel, stride, norm=config.norm), nn.ReLU()]
    for _ in range(config.mixers):
        steps += [convolve(c_out, c_out, 1, norm=config.norm), nn.ReLU()]
    return nn.Sequential(*steps)


class NiN(nn.Module):
    """Blocks, pooled in between; head."""

    def __init__(self, config: NiNConfig, image: ImageSpec) -> None:
        super().__init__()
        before, stride = image.channels, config.stride
        steps: list[nn.Module] = []
        for width, kernel in zip(config.widths, config.kernels, strict=True):
            steps += [block(before, width, kernel, stride, config), nn.MaxPool2d(3, 2, 1)]
            before, stride = width, 1
        self.blocks = nn.Sequential(*steps)
        self.dropout = nn.Dropout(config.dropout)
        high, wide = geometry(config, image)[-1]["grid"]
        self.head = (
            votes(before, image.classes, config)
            if config.head == "gap"
            else nn.Sequential(nn.Flatten(), nn.Linear(before * high * wide, image.classes))
        )

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        return self.head(self.dropout(self.blocks(x)))


def votes(c_in: int, classes: int, config: NiNConfig) -> nn.Sequential:
    """A block with one channel per class, averaged; its last map is linear, unlike the paper's.

    A ReLU there would leave no gradient to a class that no pixel votes for.
    """
    steps = list(block(c_in, classes, 3, 1, config))[:-2]  # without its last map and ReLU
    before, kernel = (classes, 1) if steps else (c_in, 3)
    last = nn.Conv2d(before, classes, kernel, padding=kernel // 2)
    return nn.Sequential(*steps, last, nn.AdaptiveAvgPool2d(1), nn.Flatten())


FAMILY = Family(NiNConfig, NiN, draw, geometry)
