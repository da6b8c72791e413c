"""VGG (Simonyan and Zisserman, 2014, arXiv:1409.1556), with or without batch norm.

Blocks of 3x3 convolutions, each ended by max-pooling; then the mean over pixels, or the three
linear maps of the original, which hold most of its parameters.

Shapes: b batch, ch image channels, h w pixels.
"""

from typing import Annotated, Any, Literal

from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models.layers import switches
from swinablate.models.layers.conv import ConvNorm, convolve
from swinablate.models.layers.fields import Count, Counts, Rate, check_lengths
from swinablate.models.layers.init import draw


class VGGConfig(ModelConfig):
    """VGG's shape and switches."""

    # By default half the channels of the original's first three blocks, for images of 32 pixels.
    family: Literal["vgg"] = "vgg"
    widths: Annotated[
        Counts,
        Switch(
            "channels of each block", "VGG tab. 1", ((32, 64, 128), (16, 32, 64)), acts_on=("*",)
        ),
    ] = (32, 64, 128)
    convs: Annotated[
        Counts,
        Switch(
            "convolutions of each block",
            "VGG tab. 1",
            ((2, 2, 2), (1, 1, 2)),
            acts_on=("blocks.*",),
        ),
    ] = (2, 2, 2)
    norm: Annotated[ConvNorm, switches.norm_after_convolutions("blocks.*")] = "batch"
    head: Annotated[
        Literal["gap", "fc"],
        Switch(
            "mean and one linear map, or three linear maps",
            "NiN sec. 3.2",
            ("gap", "fc"),
            acts_on=("head*",),
        ),
    ] = "gap"
    hidden: Annotated[
        Count,
        Switch(
            "channels between the maps of head fc", "VGG tab. 1", (256, 64), acts_on=("head*",)
        ),
    ] = 256
    dropout: Annotated[
        Rate,
        Switch(
            "rate before the last two maps of head fc",
            "VGG sec. 3.1",
            (0.0, 0.5),
            acts_on=("head*",),
        ),
    ] = 0.0
    init: switches.ConvInit = "he"

    @model_validator(mode="after")
    def _consistent(self) -> "VGGConfig":
        check_lengths("block", {"convs": self.convs, "widths": self.widths})
        return self


def geometry(config: VGGConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The effective numbers of each block; odd sides are halved downwards.

    Raises:
        ValueError: nothing is left to pool.
    """
    high, wide = image.height, image.width
    found = []
    for i, (width, convs) in enumerate(zip(config.widths, config.convs, strict=True)):
        found.append({"grid": (high, wide), "width": width, "convs": convs})
        high, wide = high // 2, wide // 2
        if not high or not wide:
            raise ValueError(f"block {i}: nothing is left to pool; use fewer blocks")
    return tuple(found)


class VGG(nn.Module):
    """Blocks, head."""

    def __init__(self, config: VGGConfig, image: ImageSpec) -> None:
        super().__init__()
        width, blocks = image.channels, []
        for stage in geometry(config, image):
            steps: list[nn.Module] = []
            for _ in range(stage["convs"]):
                steps += [convolve(width, stage["width"], 3, norm=config.norm), nn.ReLU()]
                width = stage["width"]
            blocks.append(nn.Sequential(*steps, nn.MaxPool2d(2)))
        self.blocks = nn.Sequential(*blocks)
        high, wide = (side // 2 ** len(blocks) for side in (image.height, image.width))
        self.head = (
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, image.classes))
            if config.head == "gap"
            else three_maps(width * high * wide, config, image.classes)
        )

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        return self.head(self.blocks(x))


def three_maps(inputs: int, config: VGGConfig, classes: int) -> nn.Sequential:
    """The head of the original."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, config.hidden),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, config.hidden),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.hidden, classes),
    )


FAMILY = Family(VGGConfig, VGG, draw, geometry)
