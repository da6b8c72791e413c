"""Swin Transformer (Liu et al., 2021, arXiv:2103.14030), for images of any size.

Every `Switch` is decided in a constructor; no `forward` tests a config. Equal to the original
(and torchvision's) network under copied weights, but for padding, which here nobody sees.

Shapes: b batch, ch image channels, h w token grid, c channels.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from swinablate.layers.attention import DotProduct, RelativeTable, SmallDotProduct, make_bias
from swinablate.layers.init import GeneratorFor, initialise
from swinablate.layers.mlp import Mlp, hidden_width
from swinablate.layers.norm import Norm, make_norm
from swinablate.layers.patch import PatchEmbed, patch_grid
from swinablate.layers.window import (
    Pair,
    ShiftMask,
    TokenFirstWindows,
    Windows,
    additive,
    allowed,
    entering,
    leaving,
)
from swinablate.recipe import Family, ImageSpec, ModelConfig, Switch

Count = Annotated[int, Field(ge=1)]
SMALL = 4
"""Tokens of a window up to which sums of products beat matrix products."""


class SwinConfig(ModelConfig):
    """Swin's shape and switches."""

    family: Literal["swin"] = "swin"
    patch: Annotated[Count, Switch("patch side, pixels", "Swin sec. 3.1", (2, 4))] = 2
    width: Annotated[Count, Switch("channels of the first stage", "Swin sec. 3.3", (48, 96))] = 48
    depths: Annotated[
        tuple[Count, ...],
        Field(min_length=1),
        Switch("blocks of each stage", "Swin sec. 3.3", ((2, 2), (2, 4))),
    ] = (2, 2)
    heads: Annotated[
        tuple[Count, ...],
        Field(min_length=1),
        Switch("attention heads of each stage", "Swin app. A2.1, tab. 10", ((3, 6), (2, 4))),
    ] = (3, 6)
    window: Annotated[
        Count, Switch("window side, tokens", "Swin sec. 3.2; SwinV2 tab. 1", (4, 2, 8))
    ] = 4
    shift: Annotated[
        bool, Switch("shift the windows of every second block", "Swin tab. 4", (True, False))
    ] = True
    shift_mask: Annotated[
        ShiftMask,
        Switch(
            "what separates wrapped tokens: regions, nothing, or post 000's quarters",
            "Swin fig. 4; post 000",
            ("regions", "none", "post000"),
        ),
    ] = "regions"
    position_bias: Annotated[
        Literal["table", "none"],
        Switch("relative position bias of the scores", "Swin eq. 4, tab. 4", ("table", "none")),
    ] = "table"
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
    pad: Annotated[
        Literal["refuse", "masked"],
        Switch(
            "a window that does not tile: refuse, or pad and mask the padding",
            "Swin code pads unmasked",
            ("refuse", "masked"),
        ),
    ] = "refuse"
    init: Annotated[
        Literal["fan_in", "trunc02", "xavier"],
        Switch(
            "initial weights: by fan-in, Swin's truncated 0.02, or Glorot's",
            "LeCun 1998; Swin code; Glorot 2010",
            ("fan_in", "trunc02", "xavier"),
        ),
    ] = "fan_in"

    @model_validator(mode="after")
    def _consistent(self) -> "SwinConfig":
        if len(self.heads) != len(self.depths):
            raise ValueError(
                f"heads has {len(self.heads)} entries, depths has {len(self.depths)}; "
                "give both one entry per stage"
            )
        for i, heads in enumerate(self.heads):
            width = self.width * 2**i
            if width % heads:
                raise ValueError(
                    f"stage {i}: {heads} heads do not divide {width} channels; "
                    "choose heads that divide width * 2**stage"
                )
        hidden_width(self.width, self.mlp_ratio)
        return self


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage as built, which may differ from what was asked.

    Attributes:
        grid: tokens, without padding.
        window: at most the grid, so that one window may cover it.
        shift: of every second block; 0 along an axis that one window covers.
        pad: rows and columns added below and to the right, masked.
    """

    grid: Pair
    window: Pair
    shift: Pair
    pad: Pair
    width: int
    heads: int
    depth: int


def stages(config: SwinConfig, image: ImageSpec) -> tuple[Stage, ...]:
    """Resolve a config to the stages it means.

    A window is clamped to the grid, axis by axis; where it covers an axis nothing shifts
    along it (Swin code: `if min(resolution) <= window_size: shift_size = 0`).

    Raises:
        ValueError: patches, windows or mergings do not tile.
    """
    high, wide = patch_grid(config.patch, image)
    found = []
    for i, (depth, heads) in enumerate(zip(config.depths, config.heads, strict=True)):
        if i:
            if high % 2 or wide % 2:
                raise ValueError(
                    f"stage {i}: the {high}x{wide} grid cannot be halved; "
                    "choose a patch or a number of stages that leaves even grids"
                )
            high, wide = high // 2, wide // 2
        window = (min(config.window, high), min(config.window, wide))
        pad = (-high % window[0], -wide % window[1])
        if any(pad) and config.pad == "refuse":
            raise ValueError(
                f"stage {i}: window {config.window} does not tile the {high}x{wide} grid; "
                'choose a divisor, or model.pad = "masked"'
            )
        moves = config.shift and depth > 1
        found.append(
            Stage(
                grid=(high, wide),
                window=window,
                shift=(
                    window[0] // 2 if moves and high > window[0] else 0,
                    window[1] // 2 if moves and wide > window[1] else 0,
                ),
                pad=pad,
                width=config.width * 2**i,
                heads=heads,
                depth=depth,
            )
        )
    return tuple(found)


def geometry(config: SwinConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The effective numbers of each stage. Raises ValueError as `stages` does."""
    return tuple(asdict(stage) for stage in stages(config, image))


class WindowAttention(nn.Module):
    """Multi-head self-attention inside each window. Source: Swin sec. 3.2."""

    def __init__(self, stage: Stage, shift: Pair, config: SwinConfig) -> None:
        super().__init__()
        full = (stage.grid[0] + stage.pad[0], stage.grid[1] + stage.pad[1])
        self.enter = entering(stage.pad, shift)
        self.qkv = nn.Linear(stage.width, 3 * stage.width)
        small = stage.window[0] * stage.window[1] <= SMALL
        cut, mix = (TokenFirstWindows, SmallDotProduct) if small else (Windows, DotProduct)
        self.windows = cut(full, stage.window, stage.heads, stage.width)
        self.mix = mix(stage.width // stage.heads, _bias(stage, shift, config))
        self.out = nn.Linear(stage.width, stage.width)
        self.leave = leaving(stage.grid, stage.pad, shift)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Mix the tokens of each window."""
        q, k, v = self.windows.split(self.qkv(self.enter(x)))
        return self.leave(self.out(self.windows.join(self.mix(q, k, v))))


def _bias(stage: Stage, shift: Pair, config: SwinConfig) -> nn.Module:
    table = config.position_bias == "table"
    position = RelativeTable(stage.window, stage.heads) if table else None
    if not any(shift) and not any(stage.pad):
        return make_bias(position, None)
    seen = allowed(stage.grid, stage.pad, stage.window, shift, config.shift_mask)
    return make_bias(position, additive(seen))


class Block(nn.Module):
    """Windowed attention and an MLP, both pre-norm and residual. Source: Swin eq. 3."""

    def __init__(self, stage: Stage, shift: Pair, config: SwinConfig) -> None:
        super().__init__()
        self.norm1 = make_norm(config.norm, stage.width)
        self.attention = WindowAttention(stage, shift, config)
        self.norm2 = make_norm(config.norm, stage.width)
        self.mlp = Mlp(stage.width, config.mlp_ratio, config.norm)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Mix tokens, then channels."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Merge(nn.Module):
    """Halve the grid, double the channels. Source: Swin sec. 3.1."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.norm = make_norm(norm, 4 * width)
        self.reduce = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Float[Tensor, "b 2h 2w c"]) -> Float[Tensor, "b h w 2c"]:
        """Concatenate each 2x2 neighbourhood, columns outermost as in the Swin code."""
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # b h 2 w 2 c
        return self.reduce(self.norm(x.permute(0, 1, 3, 4, 2, 5).flatten(3)))


class StageBlocks(nn.Module):
    """The blocks of one stage, then a merging unless it is the last."""

    def __init__(self, stage: Stage, config: SwinConfig, *, last: bool) -> None:
        super().__init__()
        shifts = ((0, 0), stage.shift)
        self.blocks = nn.Sequential(
            *(Block(stage, shifts[i % 2], config) for i in range(stage.depth))
        )
        self.merge = nn.Identity() if last else Merge(stage.width, config.norm)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c2"]:
        """Run the stage."""
        return self.merge(self.blocks(x))


class Swin(nn.Module):
    """Patches, stages, mean over tokens, linear head."""

    def __init__(self, config: SwinConfig, image: ImageSpec) -> None:
        super().__init__()
        found = stages(config, image)
        width = found[-1].width
        self.embed = PatchEmbed(config.patch, image.channels, config.width)
        self.embed_norm = make_norm(config.norm, config.width)
        self.stages = nn.Sequential(
            *(StageBlocks(stage, config, last=stage is found[-1]) for stage in found)
        )
        self.norm = make_norm(config.norm, width)
        self.head = nn.Linear(width, image.classes)

    def forward(self, x: Float[Tensor, "b ch height width"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        x = self.stages(self.embed_norm(self.embed(x)))
        return self.head(self.norm(x).mean((1, 2)))


def init(model: nn.Module, config: SwinConfig, generator_for: GeneratorFor) -> None:
    """Draw every parameter from the generator of its name."""
    initialise(model, config.init, generator_for)


FAMILY = Family(SwinConfig, Swin, init, geometry)
