"""Swin Transformer (Liu et al., 2021, arXiv:2103.14030) and the parts of SwinV2
(arXiv:2111.09883), for images of any size.

Every `Switch` is decided in a constructor; no `forward` tests a config. Equal to the original
(and torchvision's) network under copied weights, but for padding of windows, which nobody sees.

Shapes: b batch, ch image channels, h w token grid, c channels.
"""  # noqa: D205  docs/switches.md quotes the whole sentence

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal

from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.config.schema import Absent
from swinablate.models.layers import switches
from swinablate.models.layers.attention import (
    FIRST,
    LAST,
    Additive,
    Axes,
    Cosine,
    DotProduct,
    Fixed,
    Linear,
    NormedHeads,
    SmallDotProduct,
    Unscaled,
    make_qkv,
    make_scale,
)
from swinablate.models.layers.banded import make_product
from swinablate.models.layers.bias import PositionBias, make_bias, make_position
from swinablate.models.layers.block import (
    BLOCKS,
    Place,
    branch_ends,
    draw_blocks,
    drop_rates,
    last_norm,
    make_drop,
    mended_place,
    share,
)
from swinablate.models.layers.fields import Count, Counts, Rate, check_attn_drop, check_lengths
from swinablate.models.layers.merge import Merge, halved, halved_upwards, make_merge
from swinablate.models.layers.mlp import DepthwiseMlp, Hidden, Mlp, hidden_width
from swinablate.models.layers.norm import make_norm, mended, of_tokens
from swinablate.models.layers.patch import make_embed, make_frame, padded_patch_grid, patch_grid
from swinablate.models.layers.pool import Max, MeanMax
from swinablate.models.layers.position import Absolute, Rotary, absolute_position, check_rotary
from swinablate.models.layers.window import (
    ChannelFirstWindows,
    Pair,
    ShiftMask,
    Windows,
    additive,
    allowed,
    entering,
    leaving,
    without_self,
)

Attention = Literal["dot", "cosine", "bias_only", "uniform", "linear", "additive"]
Head = Literal["gap", "fc", "max", "meanmax"]
SHIFTING = (
    "*.attention.enter*",
    "*.attention.leave*",
    "*.attention.mix.bias",
    "*.attention.mix.bias.mask",
)
"""What shifted windows change."""
SMALL = 4
"""Tokens of a window up to which sums of products beat matrix products: windows of 2x2."""
PADS = ', or model.pad = "masked"'
"""Another way out of what does not tile, for messages."""


class SwinConfig(ModelConfig):
    """Swin's shape and switches."""

    # By default half of Swin-T's width and its first two stages, for images of some 32 pixels.
    family: Literal["swin"] = "swin"
    patch: Annotated[
        Count,
        Switch(
            "patch side, pixels",
            "Swin sec. 3.1",
            (2, 4),
            acts_on=("frame", "embed*", "position*", "*.attention*", "head*"),
        ),
    ] = 2
    width: Annotated[
        Count, Switch("channels of the first stage", "Swin sec. 3.3", (48, 96), acts_on=("*",))
    ] = 48
    depths: Annotated[
        Counts,
        Switch("blocks of each stage", "Swin sec. 3.3", ((2, 2), (2, 4)), acts_on=("stages.*",)),
    ] = (2, 2)
    heads: Annotated[
        Counts,
        Switch(
            "attention heads of each stage",
            "Swin app. A2.1, tab. 10",
            ((3, 6), (2, 4)),
            acts_on=("*.attention*",),
        ),
    ] = (3, 6)
    window: Annotated[
        Count | tuple[Count | tuple[Count, Count], ...],
        Switch(
            "window side, tokens; one, or one per stage, there also a pair of rows and columns",
            "Swin sec. 3.2; SwinV2 tab. 1",
            (4, 2, 8, (8, 4), ((8, 4), (4, 8))),
            acts_on=("*.attention*",),
        ),
    ] = 4
    shift: Annotated[
        bool,
        Switch(
            "shift the windows of every second block",
            "Swin tab. 4",
            (True, False),
            acts_on=SHIFTING,
        ),
    ] = True
    shift_by: Annotated[
        Literal["half"] | Count,
        Switch(
            "how far windows shift: half their side, or so many tokens",
            "Swin sec. 3.2",
            ("half", 1, 3),
            acts_on=SHIFTING,
        ),
    ] = "half"
    shift_covered: Annotated[
        bool,
        Switch(
            "shift even where one window covers the grid",
            "post 000",
            (False, True),
            acts_on=SHIFTING,
        ),
    ] = False
    shift_mask: Annotated[
        ShiftMask,
        Switch(
            "what separates wrapped tokens: regions, nothing, or post 000's quarters",
            "Swin fig. 4; post 000",
            ("regions", "none", "post000"),
            acts_on=("*.attention.mix.bias", "*.attention.mix.bias.mask"),
        ),
    ] = "regions"
    attention: Annotated[
        Attention,
        Switch(
            "what weighs tokens: dot products, cosines, position alone, nothing, a linear kernel, "
            "a layer of tanh",
            "Swin tab. 4, 6; SwinV2 eq. 2; Katharopoulos 2020; Bahdanau 2015, app. A.1.2",
            ("dot", "cosine", "bias_only", "uniform", "linear", "additive"),
            acts_on=("*.attention*",),
        ),
    ] = "dot"
    attention_scale: switches.AttentionScale = "root"
    qk_norm: switches.QkNorm = False
    qkv_bias: switches.QkvBias = "all"
    band: Annotated[
        Count | None,
        Absent,
        Switch(
            "rows and columns a token sees in its window to each side; products of others are not "
            "computed where that pays, in windows of some 12x12",
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
    position_bias: Annotated[
        PositionBias,
        Switch(
            "relative position bias of the scores; with rope, in its place, queries and keys are "
            "turned by row and column",
            "Swin eq. 4, tab. 4; SwinV2 sec. 3.3, tab. 1; Heo 2024, sec. 3.2",
            ("table", "none", "log_cpb", "linear_cpb", "rope"),
            acts_on=("*.attention.mix.bias*", "*.mix.similarity*"),
        ),
    ] = "table"
    absolute_position: Annotated[
        Absolute,
        Switch(
            "what is added to each patch to say where it was",
            "Swin tab. 4; ViT tab. 8",
            ("none", "learned", "sincos1d", "sincos2d"),
            acts_on=("position*",),
        ),
    ] = "none"
    stem: switches.Stem = "patchify"
    patch_norm: Annotated[
        bool, Switch("normalise the patches", "Swin code", (True, False), acts_on=("embed_norm*",))
    ] = True
    merge: Annotated[
        Merge,
        Switch(
            "halving of the grid between stages; none keeps grid and width",
            "Swin sec. 3.1; CvT (Wu 2021)",
            ("linear", "conv", "avg", "none"),
            acts_on=("stages.*", "norm*", "head*"),
        ),
    ] = "linear"
    norm: switches.BlockNorm = "layer"
    norm_place: Annotated[
        Place,
        Switch(
            "normalise before a branch, after the sum (not again after the last block), at the "
            "branch's end, or at both ends",
            "Vaswani 2017, sec. 3.1; SwinV2 sec. 3.2, tab. 7",
            ("pre", "post", "res_post", "sandwich"),
            acts_on=("stages.*.blocks.*", "stages.*.merge*", "norm*"),
        ),
    ] = "pre"
    mlp_ratio: switches.MlpRatio = 4.0
    mlp_conv: Annotated[
        bool,
        Switch(
            "a 3x3 convolution of each hidden channel inside the MLP",
            "PVTv2 sec. 3.3",
            (False, True),
            acts_on=("*.mlp", "*.mlp.*"),
        ),
    ] = False
    activation: switches.Activation = "gelu"
    share_layers: Annotated[
        bool,
        Switch(
            "the blocks of a stage have the same weights",
            "ALBERT; post 002",
            (False, True),
            acts_on=("stages.*.blocks.*",),
        ),
    ] = False
    drop: switches.Drop = 0.0
    attn_drop: Annotated[
        Rate,
        Switch(
            "share of attention weights dropped",
            "Swin code",
            (0.0, 0.1),
            acts_on=("*.mix.drop",),
        ),
    ] = 0.0
    drop_path: switches.DropPath = 0.0
    layer_scale: switches.LayerScale = 0.0
    head: Annotated[
        Head,
        Switch(
            "what the classifier sees: the mean, every token, the largest, or mean and largest",
            "NiN; timm",
            ("gap", "fc", "max", "meanmax"),
            acts_on=("pool*", "head*"),
        ),
    ] = "gap"
    pad: Annotated[
        Literal["refuse", "masked"],
        Switch(
            "windows, patches or mergings that do not tile: refuse, or pad; windows mask their "
            "padding",
            "Swin code pads windows unmasked",
            ("refuse", "masked"),
            acts_on=("frame", "*.attention.*", "stages.*.merge"),
        ),
    ] = "refuse"
    init: Annotated[
        Literal["fan_in", "trunc02", "xavier", "torch"],
        Switch(
            "initial weights: by fan-in, Swin's truncated 0.02, Glorot's, PyTorch's",
            "LeCun 1998; Swin code; Glorot 2010",
            ("fan_in", "trunc02", "xavier", "torch"),
            acts_on=("*",),
        ),
    ] = "fan_in"

    @model_validator(mode="after")
    def _consistent(self) -> "SwinConfig":
        check_lengths("stage", {"heads": self.heads, "depths": self.depths})
        if isinstance(self.window, tuple):
            check_lengths("stage", {"window": self.window, "depths": self.depths})
        for i, heads in enumerate(self.heads):
            width = stage_width(self, i)
            if width % heads:
                raise ValueError(
                    f"stage {i}: {heads} heads do not divide {width} channels; "
                    "choose heads that divide width * 2**stage"
                )
            if self.position_bias == "rope":
                check_rotary(self.attention, width // heads)
        hidden_width(self.width, self.mlp_ratio)
        check_attn_drop(self.attention, self.attn_drop)
        return self

    def mended(self, *, decays: bool) -> dict[str, int]:
        """As `ModelConfig` says."""
        found = mended(self.norm) | mended_place(self.norm_place)
        if self.shift_mask == "post000" and _cut_elsewhere(self):
            found["shift_mask"] = 2  # 1 cut at window - shift, the post at window // 2
        computed = self.position_bias in ("log_cpb", "linear_cpb")
        if decays and computed and self.attention not in ("uniform", "linear"):
            found["position_bias"] = 2  # 1 decayed the network that computes it
        return found


def _cut_elsewhere(config: SwinConfig) -> bool:
    """Whether some window shifts by other than half an even side.

    So may windows on a grid that they cover, for the grid may clamp them to an odd side; how large
    it is the data know.
    """
    if not config.shift or max(config.depths) < 2 or config.attention == "linear":
        return False
    window = config.window if isinstance(config.window, tuple) else (config.window,)
    sides = [side for one in window for side in _sides(one)]
    shifts = [side // 2 if config.shift_by == "half" else config.shift_by for side in sides]
    # Of a side of 2 clamping leaves 1, and that is not shifted.
    clamped = config.shift_covered and max(sides) > 2
    moved = [side - by != side // 2 for side, by in zip(sides, shifts, strict=True) if side > 1]
    return clamped or any(moved)


def _sides(window: int | Pair) -> Pair:
    return window if isinstance(window, tuple) else (window, window)


def stage_width(config: SwinConfig, stage: int) -> int:
    """Channels of a stage: doubled by every merging."""
    return config.width if config.merge == "none" else config.width * 2**stage


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage as built, which may differ from what was asked.

    Attributes:
        grid: tokens, without padding.
        window: at most the grid, so that one window may cover it; all of it where attention
            is linear, which needs no windows.
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

    Under `pad = "masked"` an image is padded to whole patches, and an odd grid before it is
    halved. Only tokens that hold an image's pixels come of either, so that no later block has
    anything to mask; a window's padding holds none, and is masked.

    Raises:
        ValueError: patches, windows or mergings do not tile.
    """
    padded = config.pad == "masked"
    grid = (
        padded_patch_grid(config.patch, image) if padded else patch_grid(config.patch, image, PADS)
    )
    found = []
    for i, (depth, heads) in enumerate(zip(config.depths, config.heads, strict=True)):
        if i and config.merge != "none":
            grid = halved_upwards(grid) if padded else halved(grid, i, PADS)
        window = _window(config, i, grid)
        pad = (-grid[0] % window[0], -grid[1] % window[1])  # to the next multiple of the window
        if any(pad) and config.pad == "refuse":
            raise ValueError(
                f"stage {i}: window {window[0] if pad[0] else window[1]} does not tile the "
                f"{grid[0]}x{grid[1]} grid; choose a divisor{PADS}"
            )
        found.append(
            Stage(
                grid=grid,
                window=window,
                shift=_shift(config, i, grid, window),
                pad=pad,
                width=stage_width(config, i),
                heads=heads,
                depth=depth,
            )
        )
    return tuple(found)


def _window(config: SwinConfig, stage: int, grid: Pair) -> Pair:
    if config.attention == "linear":
        return grid
    one = config.window[stage] if isinstance(config.window, tuple) else config.window
    rows, columns = _sides(one)
    return min(rows, grid[0]), min(columns, grid[1])


def _shift(config: SwinConfig, stage: int, grid: Pair, window: Pair) -> Pair:
    # It is every second block that shifts: a stage of one block has none.
    if not config.shift or config.depths[stage] < 2 or config.attention == "linear":
        return 0, 0
    rows, columns = (
        _shift_by(config, stage, side) if config.shift_covered or size > side else 0
        for size, side in zip(grid, window, strict=True)
    )
    return rows, columns


def _shift_by(config: SwinConfig, stage: int, side: int) -> int:
    if config.shift_by == "half":
        return side // 2
    if config.shift_by >= side:
        raise ValueError(
            f"stage {stage}: shift_by {config.shift_by} moves windows of {side} past themselves; "
            f'choose less, or model.shift_by = "half"'
        )
    return config.shift_by


def geometry(config: SwinConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The effective numbers of each stage. Raises ValueError as `stages` does."""
    return tuple(asdict(stage) for stage in stages(config, image))


class WindowAttention(nn.Module):
    """Multi-head self-attention inside each window. Source: Swin sec. 3.2.

    Attributes:
        cutting: between the grid and windows.
        axes: where queries and keys have theirs.
    """

    cutting: ClassVar[type[Windows]] = Windows
    axes: ClassVar[Axes] = LAST

    def __init__(self, stage: Stage, shift: Pair, config: SwinConfig) -> None:
        super().__init__()
        self.enter = entering(stage.pad, shift)
        self.qkv = make_qkv(stage.width, config.qkv_bias)
        self.windows = self.cutting(*_cut(stage))
        self.mix = self._product(
            _similarity(stage, config, self.axes), _bias(stage, shift, config), stage, config
        )
        self.out = nn.Linear(stage.width, stage.width)
        self.drop = make_drop(config.drop)
        self.leave = leaving(stage.grid, stage.pad, shift)

    def _product(
        self, similarity: nn.Module, bias: nn.Module, stage: Stage, config: SwinConfig
    ) -> DotProduct:
        """Build what mixes the tokens of a window."""
        return make_product(similarity, bias, config.attn_drop, stage.window, config.band)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Mix the tokens of each window."""
        q, k, v = self.windows.split(self.qkv(self.enter(x)))
        return self.leave(self.drop(self.out(self.windows.join(self.mix(q, k, v)))))


class SmallWindowAttention(WindowAttention):
    """The same for windows of few tokens, with one row a channel between the projections."""

    cutting, axes = ChannelFirstWindows, FIRST
    windows: ChannelFirstWindows

    def _product(
        self, similarity: nn.Module, bias: nn.Module, _: Stage, config: SwinConfig
    ) -> DotProduct:
        """Build what mixes the tokens of a window."""
        return SmallDotProduct(similarity, bias, config.attn_drop)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Mix the tokens of each window."""
        q, k, v = self.windows.split(self.qkv.transposed(self.windows.cut(self.enter(x))))
        rows = self.mix(q, k, v).flatten(2).flatten(0, 1).T  # m d n k b to (n k b) (m d)
        return self.leave(self.drop(self.windows.join(self.out(rows))))


class AdditiveAttention(WindowAttention):
    """The same with scores of a small network, in windows of any size."""

    def _product(
        self, similarity: nn.Module, bias: nn.Module, stage: Stage, config: SwinConfig
    ) -> DotProduct:
        """Build what mixes the tokens of a window."""
        heads, depth = stage.heads, stage.width // stage.heads
        return Additive(similarity, bias, config.attn_drop, heads=heads, depth=depth)


def window_attention(stage: Stage, shift: Pair, config: SwinConfig) -> nn.Module:
    """Build what attends inside windows, the faster way for their size."""
    small = stage.window[0] * stage.window[1] <= SMALL
    return (SmallWindowAttention if small else WindowAttention)(stage, shift, config)


def _cut(stage: Stage) -> tuple[Pair, Pair, int, int]:
    """What `Windows` takes: the padded grid, the window, heads, width."""
    full = (stage.grid[0] + stage.pad[0], stage.grid[1] + stage.pad[1])
    return full, stage.window, stage.heads, stage.width


class FixedAttention(nn.Module):
    """The same without queries and keys: position alone decides, or nothing."""

    def __init__(self, stage: Stage, shift: Pair, config: SwinConfig) -> None:
        super().__init__()
        self.enter = entering(stage.pad, shift)
        self.value = nn.Linear(stage.width, stage.width, bias=config.qkv_bias != "none")
        self.windows = Windows(*_cut(stage))
        self.mix = Fixed(stage.window[0] * stage.window[1], _bias(stage, shift, config))
        self.out = nn.Linear(stage.width, stage.width)
        self.drop = make_drop(config.drop)
        self.leave = leaving(stage.grid, stage.pad, shift)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Mix the tokens of each window."""
        (v,) = self.windows.split(self.value(self.enter(x)))
        return self.leave(self.drop(self.out(self.windows.join(self.mix(v)))))


class LinearAttention(nn.Module):
    """Attention over the whole grid without windows. Source: compare Performer, Swin tab. 6."""

    def __init__(self, stage: Stage, _: Pair, config: SwinConfig) -> None:
        super().__init__()
        self.qkv = make_qkv(stage.width, config.qkv_bias)
        self.windows = Windows(stage.grid, stage.grid, stage.heads, stage.width)
        self.mix = Linear()
        self.out = nn.Linear(stage.width, stage.width)
        self.drop = make_drop(config.drop)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Mix all tokens."""
        q, k, v = self.windows.split(self.qkv(x))
        return self.drop(self.out(self.windows.join(self.mix(q, k, v))))


_ATTENTION: dict[Attention, Callable[[Stage, Pair, SwinConfig], nn.Module]] = {
    "dot": window_attention,
    "cosine": window_attention,
    "bias_only": FixedAttention,
    "uniform": FixedAttention,
    "linear": LinearAttention,
    "additive": AdditiveAttention,
}


def _similarity(stage: Stage, config: SwinConfig, axes: Axes) -> nn.Module:
    """What prepares queries and keys."""
    depth = stage.width // stage.heads
    kind: nn.Module
    if config.attention == "cosine":
        kind = Cosine(stage.heads, axes)
    elif config.attention == "additive":
        kind = Unscaled()
    else:
        kind = make_scale(config.attention_scale, stage.heads, depth, axes)
    if config.position_bias == "rope":
        kind = Rotary(stage.window, depth, kind, axes)
    return NormedHeads(depth, kind, axes) if config.qk_norm else kind


def _bias(stage: Stage, shift: Pair, config: SwinConfig) -> nn.Module:
    """What acts on a block's scores; uniform attention has no position."""
    kind: PositionBias = "none" if config.attention == "uniform" else config.position_bias
    position = make_position(kind, stage.window, stage.heads)
    # Where every token of a window sees every other there is nothing to add.
    if not any(shift) and not any(stage.pad) and config.band is None and config.diagonal:
        return make_bias(position, None)
    seen = allowed(stage.grid, stage.pad, stage.window, shift, config.shift_mask, band=config.band)
    return make_bias(position, additive(seen if config.diagonal else without_self(seen)))


class StageBlocks(nn.Module):
    """The blocks of one stage, then a merging unless it is the last.

    Args:
        stage: its numbers.
        config: its switches.
        drops: rates at which the blocks skip a branch.
        last: whether no stage follows.
    """

    def __init__(
        self, stage: Stage, config: SwinConfig, drops: list[float], *, last: bool
    ) -> None:
        super().__init__()
        shifts = ((0, 0), stage.shift)
        blocks = [make_block(stage, shifts[i % 2], config, drop) for i, drop in enumerate(drops)]
        if config.share_layers:
            share(blocks[0], blocks[1:])
        self.blocks = nn.Sequential(*blocks)
        self.merge = make_merge(
            "none" if last else config.merge,
            stage.width,
            config.norm,
            norm_last=config.norm_place == "res_post",
        )

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h2 w2 c2"]:
        """Run the stage."""
        return self.merge(self.blocks(x))


def make_block(stage: Stage, shift: Pair, config: SwinConfig, drop: float) -> nn.Module:
    """Build a block that shifts its windows by `shift`."""
    mlp = DepthwiseMlp if config.mlp_conv else Mlp
    hidden = Hidden(
        config.mlp_ratio, config.norm, config.activation, config.drop, config.share_layers
    )
    return BLOCKS[config.norm_place](
        stage.width,
        _ATTENTION[config.attention](stage, shift, config),
        mlp(stage.width, hidden),
        config.norm,
        branch_ends(stage.width, config.layer_scale, drop),
    )


class Mean(nn.Module):
    """The mean over all tokens."""

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b c"]:
        """Average."""
        return x.mean((1, 2))


_POOLS: dict[Head, type[nn.Module]] = {
    "gap": Mean,
    "fc": nn.Flatten,
    "max": Max,
    "meanmax": MeanMax,
}


class Swin(nn.Module):
    """Patches, stages, linear head."""

    def __init__(self, config: SwinConfig, image: ImageSpec) -> None:
        super().__init__()
        found = stages(config, image)
        first, last = found[0], found[-1]
        self.frame = make_frame(config.patch, image)
        self.embed = make_embed(config.stem, config.patch, image.channels, config.width)
        self.embed_norm = (
            make_norm(of_tokens(config.norm), config.width) if config.patch_norm else nn.Identity()
        )
        self.position = absolute_position(config.absolute_position, first.grid, config.width)
        self.drop = make_drop(config.drop)
        drops = iter(drop_rates(config.drop_path, sum(config.depths)))
        self.stages = nn.Sequential(
            *(
                StageBlocks(
                    stage, config, [next(drops) for _ in range(stage.depth)], last=stage is last
                )
                for stage in found
            )
        )
        self.norm = last_norm(config.norm_place, of_tokens(config.norm), last.width)
        self.pool = _POOLS[config.head]()
        tokens = last.grid[0] * last.grid[1] if config.head == "fc" else 1
        self.head = nn.Linear(tokens * last.width, image.classes)

    def forward(self, x: Float[Tensor, "b ch height width"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        x = self.drop(self.position(self.embed_norm(self.embed(self.frame(x)))))
        return self.head(self.pool(self.norm(self.stages(x))))


FAMILY = Family(SwinConfig, Swin, draw_blocks, geometry)
