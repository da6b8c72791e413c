"""Vision Transformer (Dosovitskiy et al., 2020, arXiv:2010.11929).

With `norm_place = "post"` the encoder of Vaswani et al. 2017; the defects of the encoder in
post 002 are levels: `position = "none"` or "post002", `softmax_over = "queries"`,
`attention_scale = "fourth_root"`, `share_layers`, `mlp_ratio = 2.0`.

Shapes: b batch, ch image channels, n tokens, c channels.
"""

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.config.schema import Absent
from swinablate.models.layers import switches
from swinablate.models.layers.attention import (
    LAST,
    Additive,
    Cosine,
    Fixed,
    Linear,
    NormedHeads,
    OverQueries,
    Unscaled,
    make_qkv,
    make_scale,
)
from swinablate.models.layers.banded import make_product
from swinablate.models.layers.bias import PrefixedTable, make_bias
from swinablate.models.layers.block import (
    BLOCKS,
    Place,
    Repeated,
    branch_ends,
    draw_blocks,
    drop_rates,
    last_norm,
    make_drop,
    mended_place,
)
from swinablate.models.layers.fields import Count, Rate, check_attn_drop
from swinablate.models.layers.mlp import Hidden, Mlp, hidden_width
from swinablate.models.layers.norm import mended, of_tokens
from swinablate.models.layers.patch import make_embed, patch_grid
from swinablate.models.layers.pool import EveryLayer, LayerSum, Max, MeanMax, SequencePool, Skip
from swinablate.models.layers.position import (
    Prefix,
    Rotary,
    Sequence,
    absolute_position,
    check_rotary,
)
from swinablate.models.layers.window import Pair, additive, near, without_self

Attention = Literal["dot", "cosine", "uniform", "linear", "additive"]
Pool = Literal["mean", "cls", "max", "meanmax", "sequence", "layers"]


class ViTConfig(ModelConfig):
    """ViT's shape and switches."""

    # By default a third of ViT-B's depth and an eighth of its width, for images of some 32 pixels.
    family: Literal["vit"] = "vit"
    patch: Annotated[
        Count,
        Switch(
            "patch side, pixels",
            "ViT sec. 3.1",
            (4, 8),
            acts_on=("embed*", "position*", "*.attention*"),
        ),
    ] = 4
    stem: switches.Stem = "patchify"
    width: Annotated[Count, Switch("channels", "ViT tab. 1", (96, 48), acts_on=("*",))] = 96
    depth: Annotated[
        Count, Switch("encoder blocks", "ViT tab. 1", (4, 2), acts_on=("blocks.*",))
    ] = 4
    share_layers: Annotated[
        bool,
        Switch(
            "all blocks have the same weights",
            "ALBERT; post 002",
            (False, True),
            acts_on=("blocks*",),
        ),
    ] = False
    heads: Annotated[
        Count, Switch("attention heads", "ViT tab. 1", (3, 6), acts_on=("*.attention*",))
    ] = 3
    attention: Annotated[
        Attention,
        Switch(
            "what weighs tokens: dot products, cosines, nothing, a linear kernel, a layer of tanh",
            "SwinV2 tab. 6; Katharopoulos 2020; Bahdanau 2015, app. A.1.2",
            ("dot", "cosine", "uniform", "linear", "additive"),
            acts_on=("*.attention*",),
        ),
    ] = "dot"
    attention_scale: switches.AttentionScale = "root"
    qk_norm: switches.QkNorm = False
    softmax_over: Annotated[
        Literal["keys", "queries"],
        Switch(
            "what the weights sum to 1 over",
            "post 002",
            ("keys", "queries"),
            acts_on=("*.attention.mix",),
        ),
    ] = "keys"
    qkv_bias: switches.QkvBias = "all"
    band: Annotated[
        Count | None,
        Absent,
        Switch(
            "rows and columns of patches a token sees to each side; products of others are not "
            "computed where that pays, on grids of some 12x12",
            "post 001",
            (None, 1),
            acts_on=(
                "*.attention.mix",
                "*.mix.bias",
                "*.mix.bias.mask",
                "*.mix.zeros",
                "*.mix.index",
            ),
        ),
    ] = None
    diagonal: switches.Diagonal = True
    causal: Annotated[
        bool,
        Switch(
            "a patch sees itself, those before it in reading order and registers; the class token "
            "sees all and nobody sees it: it stands last",
            "Vaswani 2017, sec. 3.2.3; post 002",
            (False, True),
            acts_on=("*.mix.bias", "*.mix.bias.mask"),
        ),
    ] = False
    position: Annotated[
        Sequence,
        Switch(
            "what is added to each patch to say where it was; with rope2d queries and keys are "
            "turned by row and column",
            "ViT tab. 8; post 002; Heo 2024, sec. 3.2",
            ("learned", "none", "sincos1d", "sincos2d", "post002", "rope2d"),
            acts_on=("position*", "*.mix.similarity*"),
        ),
    ] = "learned"
    position_bias: Annotated[
        Literal["none", "table"],
        Switch(
            "relative position bias of the scores",
            "ViT tab. 8",
            ("none", "table"),
            acts_on=("*.mix.bias*",),
        ),
    ] = "none"
    pool: Annotated[
        Pool,
        Switch(
            "what the classifier sees: the mean, a class token, the largest, mean and largest, "
            "a mean with learned weights, or the mean of all blocks' outputs, these with learned "
            "weights",
            "ViT D.3; timm; CCT sec. 3.2; Peters 2018, eq. 1; post 000",
            ("mean", "cls", "max", "meanmax", "sequence", "layers"),
            acts_on=("cls*", "pool*", "blocks"),
        ),
    ] = "mean"
    registers: Annotated[
        int,
        Field(ge=0),
        Switch(
            "learned tokens that nothing reads",
            "Darcet 2023",
            (0, 4),
            acts_on=("registers*", "pool*"),
        ),
    ] = 0
    norm: switches.BlockNorm = "layer"
    norm_place: Annotated[
        Place,
        Switch(
            "normalise before a branch, after the sum (not again after the last block), at the "
            "branch's end, or at both ends",
            "Vaswani 2017, sec. 3.1; SwinV2 tab. 6",
            ("pre", "post", "res_post", "sandwich"),
            acts_on=("blocks.*", "norm*"),
        ),
    ] = "pre"
    mlp_ratio: switches.MlpRatio = 4.0
    activation: switches.Activation = "gelu"
    drop: switches.Drop = 0.0
    attn_drop: Annotated[
        Rate,
        Switch(
            "share of attention weights dropped",
            "ViT code",
            (0.0, 0.1),
            acts_on=("*.mix.drop",),
        ),
    ] = 0.0
    drop_path: switches.DropPath = 0.0
    layer_scale: switches.LayerScale = 0.0
    init: Annotated[
        Literal["fan_in", "trunc02", "xavier", "torch"],
        Switch(
            "initial weights: by fan-in, truncated 0.02, Glorot's, PyTorch's",
            "LeCun 1998; Touvron 2021; Glorot 2010",
            ("fan_in", "trunc02", "xavier", "torch"),
            acts_on=("*",),
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
        check_attn_drop(self.attention, self.attn_drop)
        if self.position == "rope2d":
            check_rotary(self.attention, self.width // self.heads)
        weighs = self.attention in ("dot", "cosine", "additive")
        if weighs and self.softmax_over == "queries" and self.causal and not self.diagonal:
            raise ValueError(
                "nobody but itself sees the patch that is read last, so without itself it has no "
                'queries for weights to sum to 1 over; choose softmax_over = "keys", '
                "causal = false or diagonal = true"
            )
        if self.share_layers and self.drop_path:
            raise ValueError(
                "shared layers have one drop rate, drop_path gives each its own; "
                "choose share_layers = false or drop_path = 0.0"
            )
        return self

    def mended(self, *, decays: bool) -> dict[str, int]:
        """As `ModelConfig` says."""
        del decays
        return mended(self.norm) | mended_place(self.norm_place)


def geometry(config: ViTConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The effective numbers of the encoder; `tokens` counts class token and registers.

    Raises:
        ValueError: the patch does not tile the image.
    """
    grid = patch_grid(config.patch, image)
    return (
        {
            "grid": grid,
            "tokens": grid[0] * grid[1] + prefix(config),
            "width": config.width,
            "heads": config.heads,
            "depth": config.depth,
        },
    )


def prefix(config: ViTConfig) -> int:
    """Tokens that are no patches."""
    return config.registers + (config.pool == "cls")


class SelfAttention(nn.Module):
    """Multi-head self-attention over all tokens."""

    def __init__(self, grid: Pair, config: ViTConfig) -> None:
        super().__init__()
        self.split = (3, config.heads, config.width // config.heads)
        self.qkv = make_qkv(config.width, config.qkv_bias)
        self.mix = Linear() if config.attention == "linear" else _softmax(grid, config)
        self.out = nn.Linear(config.width, config.width)
        self.drop = make_drop(config.drop)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Mix all tokens."""
        # b n (3 m d) to 3 of b m n d
        q, k, v = self.qkv(x).unflatten(-1, self.split).permute(2, 0, 3, 1, 4).unbind(0)
        return self.drop(self.out(self.mix(q, k, v).transpose(1, 2).flatten(2)))


class UniformAttention(nn.Module):
    """The same without queries and keys: each token takes the mean of those it may see."""

    def __init__(self, grid: Pair, config: ViTConfig) -> None:
        super().__init__()
        tokens = grid[0] * grid[1] + prefix(config)
        self.split = (config.heads, config.width // config.heads)
        self.value = nn.Linear(config.width, config.width, bias=config.qkv_bias != "none")
        self.mix = Fixed(tokens, _bias(grid, config), axes=2)
        self.out = nn.Linear(config.width, config.width)
        self.drop = make_drop(config.drop)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Mix all tokens."""
        v = self.value(x).unflatten(-1, self.split).transpose(1, 2)  # b m n d
        return self.drop(self.out(self.mix(v).transpose(1, 2).flatten(2)))


def _softmax(grid: Pair, config: ViTConfig) -> nn.Module:
    depth = config.width // config.heads
    kind: nn.Module
    if config.attention == "cosine":
        kind = Cosine(config.heads, LAST)
    elif config.attention == "additive":
        kind = Unscaled()
    else:
        kind = make_scale(config.attention_scale, config.heads, depth, LAST)
    if config.position == "rope2d":
        kind = Rotary(grid, depth, kind, LAST, prefix=prefix(config))
    similarity = NormedHeads(depth, kind, LAST) if config.qk_norm else kind
    bias, drop = _bias(grid, config), config.attn_drop
    if config.attention == "additive":
        over = -2 if config.softmax_over == "queries" else -1
        return Additive(similarity, bias, drop, heads=config.heads, depth=depth, over=over)
    if config.softmax_over == "queries":
        return OverQueries(similarity, bias, drop)
    return make_product(similarity, bias, drop, grid, config.band, prefix=prefix(config))


def _bias(grid: Pair, config: ViTConfig) -> nn.Module:
    """What acts on the scores; a prefix sees all and is seen by all, but where it is causal."""
    extra = prefix(config)
    table = config.position_bias == "table" and config.attention != "uniform"
    position = PrefixedTable(grid, config.heads, extra) if table else None
    if config.band is None and config.diagonal and not config.causal:
        return make_bias(position, None)
    band = max(grid) if config.band is None else config.band  # as wide as the grid is no band
    seen = F.pad(near(grid, band), (extra, 0, extra, 0), value=True)[None]
    if config.causal:
        seen = seen & _read_before(grid, config)
    return make_bias(position, additive(seen if config.diagonal else without_self(seen)))


def _read_before(grid: Pair, config: ViTConfig) -> Bool[Tensor, "n n"]:
    """Which tokens a token may see where they are read in order: registers, patches, class token.

    A class token that stood first could not see the image, and if patches saw it, they would see
    through it what comes after them.
    """
    patches = grid[0] * grid[1]
    last = torch.full((prefix(config) - config.registers,), patches + 1)
    order = torch.cat((last, torch.zeros(config.registers), torch.arange(1, patches + 1)))
    return order[None, :] <= order[:, None]


def make_block(grid: Pair, config: ViTConfig, drop: float) -> nn.Module:
    """Build an encoder block. Source: ViT eq. 2, 3."""
    attention = UniformAttention if config.attention == "uniform" else SelfAttention
    hidden = Hidden(
        config.mlp_ratio, config.norm, config.activation, config.drop, config.share_layers
    )
    return BLOCKS[config.norm_place](
        config.width,
        attention(grid, config),
        Mlp(config.width, hidden),
        config.norm,
        branch_ends(config.width, config.layer_scale, drop),
    )


def make_blocks(grid: Pair, config: ViTConfig) -> nn.Sequential:
    """Build all encoder blocks."""
    if config.share_layers:
        shared = make_block(grid, config, 0.0)
        repeated = EveryLayer if config.pool == "layers" else Repeated
        return repeated(shared, times=config.depth)
    drops = drop_rates(config.drop_path, config.depth)
    blocks = [make_block(grid, config, drop) for drop in drops]
    return EveryLayer(*blocks) if config.pool == "layers" else nn.Sequential(*blocks)


class MeanOfPatches(nn.Module):
    """The mean over all tokens but the registers."""

    def __init__(self, registers: int) -> None:
        super().__init__()
        self.registers = registers

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
        """Average."""
        return x[:, self.registers :].mean(1)


class ClassToken(nn.Module):
    """The first token."""

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
        """Choose."""
        return x[:, 0]


def make_pool(config: ViTConfig) -> nn.Module:
    """Build what makes one vector of all tokens; registers do not count."""
    if config.pool == "cls":
        return ClassToken()
    if config.pool == "mean":
        return MeanOfPatches(config.registers)
    if config.pool == "layers":
        return nn.Sequential(LayerSum(config.depth), MeanOfPatches(config.registers))
    if config.pool == "sequence":
        return nn.Sequential(Skip(config.registers), SequencePool(config.width))
    kind = Max if config.pool == "max" else MeanMax
    return nn.Sequential(Skip(config.registers), kind())


class ViT(nn.Module):
    """Patches, blocks, one vector for the image, linear head."""

    def __init__(self, config: ViTConfig, image: ImageSpec) -> None:
        super().__init__()
        grid, width, reads_class = (
            patch_grid(config.patch, image),
            config.width,
            config.pool == "cls",
        )
        self.embed = make_embed(config.stem, config.patch, image.channels, width)
        self.position = absolute_position(config.position, grid, width)
        registers = config.registers
        self.registers = Prefix(registers, width) if registers else nn.Identity()
        self.cls = Prefix(1, width) if reads_class else nn.Identity()
        self.drop = make_drop(config.drop)
        self.blocks = make_blocks(grid, config)
        self.norm = last_norm(config.norm_place, of_tokens(config.norm), width)
        self.pool = make_pool(config)
        self.head = nn.Linear(width, image.classes)

    def forward(self, x: Float[Tensor, "b ch height width"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        x = self.position(self.embed(x).flatten(1, 2))
        x = self.drop(self.cls(self.registers(x)))
        return self.head(self.pool(self.norm(self.blocks(x))))


FAMILY = Family(ViTConfig, ViT, draw_blocks, geometry)
