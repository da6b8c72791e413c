"""ConvNeXt (Liu et al., 2022, arXiv:2201.03545) for images of any size.

The original, equal to torchvision's under copied weights, and switches back towards a ResNet:
depthwise or full kernels, their side, the norm, the activation.

Shapes: b batch, ch image channels, h w grid, c channels; channels last inside.
"""

from typing import Annotated, Any, Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models.layers.block import branch_end, drop_rates
from swinablate.models.layers.fields import Count, Counts, Rate, check_lengths, check_middle
from swinablate.models.layers.init import draw
from swinablate.models.layers.merge import halved
from swinablate.models.layers.mlp import Activation, Hidden, Mlp, hidden_width
from swinablate.models.layers.norm import Norm, make_norm, mended
from swinablate.models.layers.patch import PatchEmbed, patch_grid


class ConvNeXtConfig(ModelConfig):
    """ConvNeXt's shape and switches."""

    # By default two stages, of a third and two thirds of ConvNeXt-T's first width.
    family: Literal["convnext"] = "convnext"
    patch: Annotated[
        Count,
        Switch("patch side, pixels", "ConvNeXt sec. 2.2", (2, 4), acts_on=("embed*",)),
    ] = 2
    widths: Annotated[
        Counts,
        Switch("channels of each stage", "ConvNeXt sec. 3", ((32, 64), (48, 96)), acts_on=("*",)),
    ] = (32, 64)
    depths: Annotated[
        Counts,
        Switch(
            "blocks of each stage", "ConvNeXt sec. 2.2", ((2, 2), (1, 3)), acts_on=("stages.*",)
        ),
    ] = (2, 2)
    kernel: Annotated[
        Count,
        Switch("side of the kernels, odd", "ConvNeXt sec. 2.5", (7, 3), acts_on=("*.conv*",)),
    ] = 7
    depthwise: Annotated[
        bool,
        Switch(
            "each channel has its own kernel",
            "ConvNeXt sec. 2.3",
            (True, False),
            acts_on=("*.conv*",),
        ),
    ] = True
    norm: Annotated[
        Norm,
        Switch(
            "normalisation; batch_ffn adds one inside the MLP",
            "ConvNeXt sec. 2.6",
            ("layer", "batch", "batch_ffn", "rms", "group", "prepbn", "dyt", "none"),
            acts_on=("*norm*",),
        ),
    ] = "layer"
    mlp_ratio: Annotated[
        float,
        Field(gt=0),
        Switch(
            "hidden channels of the MLP per channel",
            "ConvNeXt sec. 2.4",
            (4.0, 2.0),
            acts_on=("*.mlp.*",),
        ),
    ] = 4.0
    activation: Annotated[
        Activation,
        Switch(
            "nonlinearity of the MLP; swiglu and geglu gate it, in two thirds of the channels",
            "ConvNeXt sec. 2.6; Shazeer 2020, sec. 2",
            ("gelu", "relu", "swiglu", "geglu"),
            acts_on=("*.mlp", "*.mlp.*"),
        ),
    ] = "gelu"
    drop_path: Annotated[
        Rate,
        Switch(
            "rate at which the last block skips its branch",
            "Huang 2016",
            (0.0, 0.2),
            acts_on=("*.end*",),
        ),
    ] = 0.0
    layer_scale: Annotated[
        float,
        Field(ge=0),
        Switch(
            "first value of learned scales; 0 is off",
            "CaiT; ConvNeXt A.1",
            (1e-6, 0.0),
            acts_on=("*.end*",),
        ),
    ] = 1e-6
    init: Annotated[
        Literal["fan_in", "trunc02", "he"],
        Switch(
            "initial weights: by fan-in, truncated 0.02, variance 2 / fan-in",
            "LeCun 1998; ConvNeXt A.1; He 2015",
            ("fan_in", "trunc02", "he"),
            acts_on=("*",),
        ),
    ] = "fan_in"

    @model_validator(mode="after")
    def _consistent(self) -> "ConvNeXtConfig":
        check_lengths("stage", {"depths": self.depths, "widths": self.widths})
        check_middle(self.kernel)
        for width in self.widths:
            hidden_width(width, self.mlp_ratio)
        return self

    def mended(self, *, decays: bool) -> dict[str, int]:
        """As `ModelConfig` says."""
        del decays
        return mended(self.norm)


def geometry(config: ConvNeXtConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The effective numbers of each stage.

    Raises:
        ValueError: patches or downsamplings do not tile.
    """
    grid = patch_grid(config.patch, image)
    found = []
    for i, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
        if i:
            grid = halved(grid, i)
        found.append({"grid": grid, "width": width, "depth": depth})
    return tuple(found)


class Block(nn.Module):
    """Convolution, norm, MLP, added. Source: ConvNeXt fig. 4."""

    def __init__(self, width: int, config: ConvNeXtConfig, drop: float) -> None:
        super().__init__()
        groups = width if config.depthwise else 1
        side = config.kernel
        self.conv = nn.Conv2d(width, width, side, padding=side // 2, groups=groups)
        self.norm = make_norm(config.norm, width)
        self.mlp = Mlp(width, Hidden(config.mlp_ratio, config.norm, config.activation))
        self.end = branch_end(width, config.layer_scale, drop)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Mix neighbours, then channels."""
        y = self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x + self.end(self.mlp(self.norm(y)))


class Downsample(nn.Module):
    """Norm, then a 2x2 convolution with stride 2. Source: ConvNeXt sec. 2.6."""

    def __init__(self, width: int, out: int, norm: Norm) -> None:
        super().__init__()
        self.norm = make_norm(norm, width)
        self.reduce = PatchEmbed(2, width, out)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h//2 w//2 c2"]:
        """Halve the grid."""
        return self.reduce(self.norm(x).permute(0, 3, 1, 2))


class ConvNeXt(nn.Module):
    """Patches, stages, mean over the grid, norm, linear head."""

    def __init__(self, config: ConvNeXtConfig, image: ImageSpec) -> None:
        super().__init__()
        geometry(config, image)
        drops = iter(drop_rates(config.drop_path, sum(config.depths)))
        before = config.widths[0]
        self.embed = PatchEmbed(config.patch, image.channels, before)
        self.embed_norm = make_norm(config.norm, before)
        parts: list[nn.Module] = []
        for i, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            parts.append(Downsample(before, width, config.norm) if i else nn.Identity())
            parts.append(nn.Sequential(*(Block(width, config, next(drops)) for _ in range(depth))))
            before = width
        self.stages = nn.Sequential(*parts)
        self.norm = make_norm(config.norm, before)
        self.head = nn.Linear(before, image.classes)

    def forward(self, x: Float[Tensor, "b ch height width"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        x = self.stages(self.embed_norm(self.embed(x)))
        return self.head(self.norm(x.mean((1, 2))))


FAMILY = Family(ConvNeXtConfig, ConvNeXt, draw, geometry)
