"""GoogLeNet (Szegedy et al., 2014, arXiv:1409.4842, table 1) for small images, with batch norm.

The nine inception blocks of the paper, every width scaled by `width` / 64; the stem keeps the
grid, as usual for images of 32 pixels. Four paths, whose channels are concatenated; adding them,
as post 003 writes it, is a level.

Shapes: b batch, ch image channels, h w pixels.
"""

from typing import Annotated, Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models.layers import switches
from swinablate.models.layers.conv import ConvNorm, convolve, strided
from swinablate.models.layers.fields import Count, Rate
from swinablate.models.layers.init import draw


class Widths(NamedTuple):
    """Channels inside an inception block: a row of the paper's table 1."""

    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pooled: int

    @property
    def total(self) -> int:
        """Channels of the concatenation."""
        return self.one + self.three + self.five + self.pooled


STEM = 192
"""Channels that enter the first inception block in table 1."""
STAGES = (
    (Widths(64, 96, 128, 16, 32, 32), Widths(128, 128, 192, 32, 96, 64)),
    (
        Widths(192, 96, 208, 16, 48, 64),
        Widths(160, 112, 224, 24, 64, 64),
        Widths(128, 128, 256, 24, 64, 64),
        Widths(112, 144, 288, 32, 64, 64),
        Widths(256, 160, 320, 32, 128, 128),
    ),
    (Widths(256, 160, 320, 32, 128, 128), Widths(384, 192, 384, 48, 128, 128)),
)
"""Table 1, inception 3a to 5b, at the paper's width of 64."""


class GoogLeNetConfig(ModelConfig):
    """GoogLeNet's shape and switches."""

    # By default a quarter of the paper's channels, and all of its blocks.
    family: Literal["googlenet"] = "googlenet"
    width: Annotated[
        int,
        Field(ge=8),
        Switch(
            "channels of the first block's 1x1 path; 64 in the paper",
            "tab. 1",
            (16, 8),
            acts_on=("*",),
        ),
    ] = 16
    blocks: Annotated[
        tuple[Count, ...],
        Field(min_length=3, max_length=3),
        Switch(
            "inception blocks of each stage, at most 2, 5, 2",
            "tab. 1",
            ((2, 5, 2), (2, 2, 2)),
            acts_on=("stages.*",),
        ),
    ] = (2, 5, 2)
    join: Annotated[
        Literal["concat", "sum"],
        Switch(
            "how the paths of a block meet",
            "GoogLeNet fig. 2; post 003",
            ("concat", "sum"),
            acts_on=("stages.*",),
        ),
    ] = "concat"
    norm: Annotated[ConvNorm, switches.norm_after_convolutions("stem.*", "stages.*")] = "batch"
    dropout: Annotated[
        Rate,
        Switch("rate before the head", "GoogLeNet sec. 5", (0.0, 0.4), acts_on=("dropout",)),
    ] = 0.0
    init: switches.ConvInit = "he"

    @model_validator(mode="after")
    def _consistent(self) -> "GoogLeNetConfig":
        if self.width % 8:
            raise ValueError(
                f"width {self.width} leaves fractions of channels; choose a multiple of 8"
            )
        for i, (blocks, rows) in enumerate(zip(self.blocks, STAGES, strict=True)):
            if blocks > len(rows):
                raise ValueError(
                    f"stage {i} has {len(rows)} blocks in the paper, not {blocks}; use fewer"
                )
        return self


def geometry(config: GoogLeNetConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The grid of each stage and the channels that leave it; odd sides are halved upwards."""
    grid = image.height, image.width
    found = []
    for i, (blocks, rows) in enumerate(zip(config.blocks, STAGES, strict=True)):
        if i:
            grid = strided(grid)
        width = _scaled(rows[blocks - 1], config).total
        found.append({"grid": grid, "width": width, "blocks": blocks})
    return tuple(found)


def _scaled(row: Widths, config: GoogLeNetConfig) -> Widths:
    # Whole numbers: all of table 1, and `width`, are multiples of 8.
    return Widths(*(n * config.width // 64 for n in row))


class Inception(nn.Module):
    """Four paths side by side. Source: GoogLeNet fig. 2b."""

    def __init__(self, c_in: int, row: Widths, norm: ConvNorm) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            (
                path(norm, (c_in, row.one, 1)),
                path(norm, (c_in, row.three_reduce, 1), (row.three_reduce, row.three, 3)),
                path(norm, (c_in, row.five_reduce, 1), (row.five_reduce, row.five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), *path(norm, (c_in, row.pooled, 1))),
            )
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        """Concatenate the paths."""
        return torch.cat([path(x) for path in self.paths], 1)


class Summed(Inception):
    """The paths added, each as wide as the concatenation would be."""

    def __init__(self, c_in: int, row: Widths, norm: ConvNorm) -> None:
        total = row.total
        super().__init__(
            c_in, row._replace(one=total, three=total, five=total, pooled=total), norm
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
        """Add the paths."""
        return torch.stack([path(x) for path in self.paths]).sum(0)


def path(norm: ConvNorm, *steps: tuple[int, int, int]) -> nn.Sequential:
    """Convolutions of (channels before, after, kernel), each with norm and ReLU."""
    found: list[nn.Module] = []
    for c_in, c_out, kernel in steps:
        found += [convolve(c_in, c_out, kernel, norm=norm), nn.ReLU()]
    return nn.Sequential(*found)


class GoogLeNet(nn.Module):
    """Stem, three stages, mean over pixels, linear head."""

    def __init__(self, config: GoogLeNetConfig, image: ImageSpec) -> None:
        super().__init__()
        inception = Inception if config.join == "concat" else Summed
        before = STEM * config.width // 64
        self.stem = path(config.norm, (image.channels, before, 3))
        stages: list[nn.Module] = []
        for i, (blocks, rows) in enumerate(zip(config.blocks, STAGES, strict=True)):
            steps: list[nn.Module] = [nn.MaxPool2d(3, 2, 1)] if i else []
            for row in rows[:blocks]:
                scaled = _scaled(row, config)
                steps.append(inception(before, scaled, config.norm))
                before = scaled.total
            stages.append(nn.Sequential(*steps))
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(before, image.classes)

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        return self.head(self.dropout(self.stages(self.stem(x)).mean((2, 3))))


FAMILY = Family(GoogLeNetConfig, GoogLeNet, draw, geometry)
