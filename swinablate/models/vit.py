"""Vision Transformer (Dosovitskiy et al., 2020, arXiv:2010.11929), mean pooled.

Shapes: b batch, ch image channels, n tokens, c channels.
"""

from typing import Annotated, Any, Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from swinablate.layers.attention import DotProduct, Scaled
from swinablate.layers.block import Block, branch_end
from swinablate.layers.init import GeneratorFor, initialise
from swinablate.layers.mlp import Mlp, hidden_width
from swinablate.layers.norm import Norm, make_norm
from swinablate.layers.patch import PatchEmbed, patch_grid
from swinablate.layers.position import LearnedPosition
from swinablate.recipe import Family, ImageSpec, ModelConfig, Switch

Count = Annotated[int, Field(ge=1)]


class ViTConfig(ModelConfig):
    """ViT's shape and switches."""

    family: Literal["vit"] = "vit"
    patch: Annotated[Count, Switch("patch side, pixels", "ViT sec. 3.1", (4, 8))] = 4
    width: Annotated[Count, Switch("channels", "ViT tab. 1", (96, 48))] = 96
    depth: Annotated[Count, Switch("encoder blocks", "ViT tab. 1", (4, 2))] = 4
    heads: Annotated[Count, Switch("attention heads", "ViT tab. 1", (3, 6))] = 3
    position: Annotated[
        Literal["learned", "none"],
        Switch(
            "what is added to each patch to say where it was", "ViT tab. 8", ("learned", "none")
        ),
    ] = "learned"
    norm: Annotated[
        Norm,
        Switch(
            "normalisation; batch_ffn adds one inside the MLP",
            "Ba 2016; Ioffe 2015; Yao 2021; Zhang 2019",
            ("layer", "batch", "batch_ffn", "rms"),
        ),
    ] = "layer"
    mlp_ratio: Annotated[
        float, Field(gt=0), Switch("hidden channels of the MLP per channel", "", (4.0, 2.0))
    ] = 4.0
    init: Annotated[
        Literal["fan_in", "trunc02", "xavier"],
        Switch(
            "initial weights: by fan-in, truncated 0.02, or Glorot's",
            "LeCun 1998; Touvron 2021; Glorot 2010",
            ("fan_in", "trunc02", "xavier"),
        ),
    ] = "fan_in"

    @model_validator(mode="after")
    def _consistent(self) -> "ViTConfig":
        if self.width % self.heads:
            raise ValueError(
                f"{self.heads} heads do not divide {self.width} channels; "
                "choose heads that divide width"
            )
        hidden_width(self.width, self.mlp_ratio)
        return self


def geometry(config: ViTConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The effective numbers of the encoder.

    Raises:
        ValueError: the patch does not tile the image.
    """
    grid = patch_grid(config.patch, image)
    return (
        {
            "grid": grid,
            "tokens": grid[0] * grid[1],
            "width": config.width,
            "heads": config.heads,
            "depth": config.depth,
        },
    )


class SelfAttention(nn.Module):
    """Multi-head self-attention over all tokens."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        depth = config.width // config.heads
        self.split = (3, config.heads, depth)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.mix = DotProduct(Scaled(depth**-0.5), nn.Identity())
        self.out = nn.Linear(config.width, config.width)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Mix all tokens."""
        q, k, v = self.qkv(x).unflatten(-1, self.split).permute(2, 0, 3, 1, 4).unbind(0)
        return self.out(self.mix(q, k, v).transpose(1, 2).flatten(2))


def make_block(config: ViTConfig) -> nn.Module:
    """Build an encoder block. Source: ViT eq. 2, 3."""
    return Block(
        config.width,
        SelfAttention(config),
        Mlp(config.width, config.mlp_ratio, config.norm),
        config.norm,
        (branch_end(config.width, 0.0, 0.0), branch_end(config.width, 0.0, 0.0)),
    )


class ViT(nn.Module):
    """Patches, blocks, mean over tokens, linear head."""

    def __init__(self, config: ViTConfig, image: ImageSpec) -> None:
        super().__init__()
        rows, columns = patch_grid(config.patch, image)
        self.embed = PatchEmbed(config.patch, image.channels, config.width)
        learned = config.position == "learned"
        self.position = LearnedPosition(rows * columns, config.width) if learned else nn.Identity()
        self.blocks = nn.Sequential(*(make_block(config) for _ in range(config.depth)))
        self.norm = make_norm(config.norm, config.width)
        self.head = nn.Linear(config.width, image.classes)

    def forward(self, x: Float[Tensor, "b ch height width"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        x = self.blocks(self.position(self.embed(x).flatten(1, 2)))
        return self.head(self.norm(x).mean(1))


def init(model: nn.Module, config: ViTConfig, generator_for: GeneratorFor) -> None:
    """Draw every parameter from the generator of its name."""
    initialise(model, config.init, generator_for)


FAMILY = Family(ViTConfig, ViT, init, geometry)
