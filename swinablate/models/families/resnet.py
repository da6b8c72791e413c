"""ResNet for small images (He et al., 2016, arXiv:1512.03385, sec. 4.2), and its plain twin.

6n + 2 layers: one convolution, three stages of n blocks, one linear map; shortcuts without
parameters (option A).

Shapes: b batch, c channels, h w pixels.
"""

from typing import Annotated, Any, Literal

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models.layers import switches
from swinablate.models.layers.conv import ConvNorm, convolve, strided
from swinablate.models.layers.fields import Count
from swinablate.models.layers.init import draw


class ResNetConfig(ModelConfig):
    """ResNet's shape and switches."""

    # By default the smallest network of the paper's table 6.
    family: Literal["resnet"] = "resnet"
    depth: Annotated[
        int,
        Field(ge=8),
        Switch("layers with weights, 6n + 2", "ResNet tab. 6", (20, 8), acts_on=("stages.*",)),
    ] = 20
    width: Annotated[
        Count,
        Switch("channels of the first stage", "ResNet sec. 4.2", (16, 32), acts_on=("*",)),
    ] = 16
    residual: Annotated[
        bool,
        Switch(
            "shortcuts; without them, the plain net",
            "ResNet fig. 6",
            (True, False),
            acts_on=("stages.*",),
        ),
    ] = True
    norm: Annotated[
        ConvNorm,
        switches.norm_after_convolutions(
            "stem.*", "stages.*", source="Ioffe 2015; ConvNeXt sec. 2.6"
        ),
    ] = "batch"
    init: switches.ConvInit = "he"

    @model_validator(mode="after")
    def _consistent(self) -> "ResNetConfig":
        if (self.depth - 2) % 6:
            low = self.depth - (self.depth - 2) % 6
            raise ValueError(f"depth {self.depth} is not 6n + 2; choose {low} or {low + 6}")
        return self


def geometry(config: ResNetConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The effective numbers of each stage; odd sides are halved upwards."""
    grid = image.height, image.width
    found = []
    for i in range(3):
        if i:
            grid = strided(grid)
        blocks = (config.depth - 2) // 6
        found.append({"grid": grid, "width": config.width * 2**i, "blocks": blocks})
    return tuple(found)


class Plain(nn.Module):
    """Two convolutions."""

    def __init__(self, c_in: int, c_out: int, stride: int, norm: ConvNorm) -> None:
        super().__init__()
        self.first = convolve(c_in, c_out, 3, stride, norm=norm)
        self.second = convolve(c_out, c_out, 3, norm=norm)

    def branch(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Both convolutions, up to the last activation."""
        return self.second(F.relu(self.first(x)))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Transform."""
        return F.relu(self.branch(x))


class Residual(Plain):
    """Two convolutions and a shortcut. Source: ResNet eq. 1."""

    def __init__(self, c_in: int, c_out: int, stride: int, norm: ConvNorm) -> None:
        super().__init__(c_in, c_out, stride, norm)
        same = stride == 1 and c_in == c_out
        self.shortcut = nn.Identity() if same else Subsample(stride, c_out - c_in)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Add the branch to the shortcut."""
        return F.relu(self.branch(x) + self.shortcut(x))


class Subsample(nn.Module):
    """Every `stride`-th pixel, and zeros for the new channels: option A of ResNet sec. 3.3."""

    def __init__(self, stride: int, new: int) -> None:
        super().__init__()
        self.stride, self.new = stride, new

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c+{self.new} h2 w2"]:
        """Subsample."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))


class ResNet(nn.Module):
    """Convolution, three stages, mean over pixels, linear head."""

    def __init__(self, config: ResNetConfig, image: ImageSpec) -> None:
        super().__init__()
        block = Residual if config.residual else Plain
        width = config.width
        self.stem = convolve(image.channels, width, 3, norm=config.norm)
        stages: list[nn.Module] = []
        before = width
        for stage in geometry(config, image):
            # The first block of each stage but the first halves the grid.
            strides = [1 if stage["width"] == width else 2] + [1] * (stage["blocks"] - 1)
            blocks = []
            for stride in strides:
                blocks.append(block(before, stage["width"], stride, config.norm))
                before = stage["width"]
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(before, image.classes)

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        return self.head(self.stages(F.relu(self.stem(x))).mean((2, 3)))


FAMILY = Family(ResNetConfig, ResNet, draw, geometry)
