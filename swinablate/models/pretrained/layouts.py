"""Weights of other implementations under our names.

Our order of a merging's 4C inputs is that of Swin's code and of its copies in torchvision and
timm (columns outermost), so that a merging is renamed and never reordered.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

State = Mapping[str, Tensor]
Pair = tuple[int, int]
BIAS, INDEX = "relative_position_bias_table", "relative_position_index"
"""Of a window: its table, and the rows of it that pairs of tokens look up."""
SWIN = {
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.out",
    f"attn.{BIAS}": "attention.mix.bias.position.table",
    "attn.logit_scale": "attention.mix.similarity.log_scale",
    "attn.cpb_mlp.0": "attention.mix.bias.position.fc1",
    "attn.cpb_mlp.2": "attention.mix.bias.position.fc2",
}
"""What the Swins of Microsoft, torchvision and timm call by the same names."""
COMPUTED = (INDEX, "attn_mask", "k_bias", "coords_table")
"""Ends of names of what can be computed, and is not saved here."""
TABLES = ("cls.table", "registers.table", "position.table")
"""Of tokens: theirs, before the patches in this order, and the positions of all that have one."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How another implementation names a network's weights.

    Attributes:
        of: whose, of which network.
        marks: names that its weights have and no others'.
        convert: from its names to ours.
    """

    of: str
    marks: tuple[str, ...]
    convert: Callable[[State], dict[str, Tensor]]


def rename(name: str, names: Mapping[str, str]) -> str:
    """A name, parts of it replaced in order."""
    for old, new in names.items():
        name = name.replace(old, new)
    return name


def swin_of_torchvision(state: State) -> dict[str, Tensor]:
    """Weights of torchvision, version 1 or 2, under our names."""
    names = SWIN | {
        "mlp.0": "mlp.fc1",
        "mlp.3": "mlp.fc2",
        "reduction": "reduce",
        "features.0.0": "embed.project",
        "features.0.2": "embed_norm",
    }
    found = {}
    for theirs, value in state.items():
        name = rename(theirs, names)
        if name.startswith("features."):  # stages stand at odd places, mergings between them
            _, place, rest = name.split(".", 2)
            stage, merges = divmod(int(place) - 1, 2)
            name = f"stages.{stage}.{'merge' if merges else 'blocks'}.{rest}"
        found[name] = value
    if any(name.endswith("log_scale") for name in found):  # version 2: its keys have no bias
        for name in [name for name in found if name.endswith("qkv.bias")]:
            query, _, values = found[name].chunk(3)
            found[name] = torch.cat((query, values))
    return _without_tables(found)


def _without_tables(found: State) -> dict[str, Tensor]:
    """Our scales have one axis, and what can be computed is not saved."""
    return {
        name: value.flatten() if name.endswith("log_scale") else value
        for name, value in found.items()
        if not name.endswith(COMPUTED)
    }


def swin_of_microsoft(state: State) -> dict[str, Tensor]:
    """Weights of Swin's authors and of timm, version 1 or 2, under our names.

    The authors merge after a stage, as we do; timm before the next one.
    """
    names = SWIN | {
        "patch_embed.proj": "embed.project",
        "patch_embed.norm": "embed_norm",
        "absolute_pos_embed": "position.table",
        "downsample.reduction": "merge.reduce",
        "downsample.norm": "merge.norm",
        "head.fc": "head",
    }
    before = not any(name.startswith("layers.0.downsample.") for name in state)
    found = {}
    for theirs, value in state.items():
        name = rename(theirs, names)
        if name.startswith("layers."):
            _, stage, rest = name.split(".", 2)
            name = f"stages.{int(stage) - (before and rest.startswith('merge'))}.{rest}"
        found[name] = value
    for name in [n for n in found if n.endswith("q_bias")]:
        stem = name.removesuffix("q_bias")
        found[f"{stem.replace('.attn', '.attention')}qkv.bias"] = torch.cat(
            (found.pop(name), found.pop(f"{stem}v_bias"))
        )
    return _without_tables(found)


def vit_of_timm(state: State) -> dict[str, Tensor]:
    """Weights of timm under our names; the class token has its position after `placed`."""
    names = {
        "patch_embed.proj": "embed.project",
        "attn.qkv": "attention.qkv",
        "attn.proj": "attention.out",
        "attn.q_norm": "attention.mix.similarity.norm_q",
        "attn.k_norm": "attention.mix.similarity.norm_k",
        "ls1.gamma": "end1.0.scale",
        "ls2.gamma": "end2.0.scale",
        "cls_token": "cls.table",
        "reg_token": "registers.table",
        "pos_embed": "position.table",
    }
    if "fc_norm.weight" in state:
        raise ValueError(
            "timm's `fc_norm` normalises the mean of the tokens, and this network its tokens; "
            "take weights of a network with a class token, or with `fc_norm=False`"
        )
    return {rename(theirs, names): value for theirs, value in state.items()}


def vit_of_torchvision(state: State) -> dict[str, Tensor]:
    """Weights of torchvision under our names."""
    names = {
        "conv_proj": "embed.project",
        "encoder.layers.encoder_layer_": "blocks.",
        "encoder.ln": "norm",
        "heads.head": "head",
        "ln_1": "norm1",
        "ln_2": "norm2",
        "self_attention.in_proj_": "attention.qkv.",
        "self_attention.out_proj": "attention.out",
        "mlp.0": "mlp.fc1",
        "mlp.3": "mlp.fc2",
        "mlp.linear_1": "mlp.fc1",  # as files of version 1 have them
        "mlp.linear_2": "mlp.fc2",
        "class_token": "cls.table",
        "encoder.pos_embedding": "position.table",
    }
    return {rename(theirs, names): value for theirs, value in state.items()}


def placed(found: State, patches: int = 0) -> dict[str, Tensor]:
    """Tables without the axis of images; positions of tokens before the patches go into those.

    Args:
        found: weights under our names.
        patches: whose positions the network has.

    Returns:
        The weights. What of the positions is over where they are of so many patches, or of a
        square of them, was the class token's, or its and the registers'.
    """
    tables = {name: found[name].flatten(0, -2) for name in TABLES if name in found}
    place = tables.get("position.table")
    first = [name for name in TABLES[:2] if name in tables]
    if place is None or not first:
        return {**found, **tables}
    over = [sum(len(tables[name]) for name in first[:count]) for count in range(len(first) + 1)]
    left = [len(place) - one for one in over]
    # The class token alone is what has a place in most files.
    count = next((k for k, n in enumerate(left) if n == patches), None)
    count = next((k for k, n in enumerate(left) if square(n)), 1) if count is None else count
    for name in first[:count]:
        at, place = place.tensor_split([len(tables[name])])
        tables[name] = tables[name] + at
    return {**found, **tables, "position.table": place}


def square(count: int) -> int:
    """The side of a square grid of so many places; 0 where there is none."""
    side = round(max(0, count) ** 0.5)
    return side if side * side == count else 0


def windows(state: State, layout: "Layout") -> dict[str, Pair | None]:
    """Rows and columns of the windows of tables, by our names of the tables.

    Of the files that save what pairs of tokens look up, as Microsoft's and torchvision's do. None
    where that does not tell, as of windows of one row or one column, which look up the same.
    """
    theirs = [name for name in state if name.endswith(BIAS)]
    ours = layout.convert({name: state[name] for name in theirs})
    index = {name: state.get(name.removesuffix(BIAS) + INDEX) for name in theirs}
    return {
        mine: _window(found)
        for mine, name in zip(ours, theirs, strict=True)
        if (found := index[name]) is not None
    }


def _window(index: Tensor) -> Pair | None:
    """The window whose tokens look up these rows; a token below is 2 * columns - 1 of them on."""
    tokens = square(index.numel())
    if tokens < 2:
        return (1, 1) if tokens else None
    steps = (index.view(tokens, tokens)[:, 0] - index.flatten()[0]).tolist()
    columns = next((k for k, step in enumerate(steps) if step != k), 0)
    if not columns or tokens % columns or steps[columns] != 2 * columns - 1:
        return None
    return tokens // columns, columns


def convnext_of_meta(state: State) -> dict[str, Tensor]:
    """Weights of ConvNeXt's authors under our names."""
    names = {
        "downsample_layers.0.0.": "embed.project.",
        "downsample_layers.0.1.": "embed_norm.",
        "dwconv": "conv",
        "pwconv": "mlp.fc",
        "gamma": "end.0.scale",
    }
    found = {}
    for theirs, value in state.items():
        name = rename(theirs, names)
        group, _, rest = name.partition(".")
        if group in {"downsample_layers", "stages"}:
            stage, part, rest = rest.split(".", 2)
            if group == "stages":
                name = f"stages.{2 * int(stage) + 1}.{part}.{rest}"
            else:
                name = (
                    f"stages.{2 * int(stage)}.{'reduce.project' if int(part) else 'norm'}.{rest}"
                )
        found[name] = value
    return found


def convnext_of_torchvision(state: State) -> dict[str, Tensor]:
    """Weights of torchvision under our names."""
    parts = {"block.0": "conv", "block.2": "norm", "block.3": "mlp.fc1", "block.5": "mlp.fc2"}
    found = {}
    for name, value in state.items():
        group, *rest = name.split(".")
        tail = ".".join(rest)
        if group == "classifier":
            found[tail.replace("0.", "norm.", 1) if rest[0] == "0" else f"head.{rest[1]}"] = value
        elif rest[0] == "0":
            found[f"embed.project.{rest[2]}" if rest[1] == "0" else f"embed_norm.{rest[2]}"] = (
                value
            )
        elif int(rest[0]) % 2 == 0:
            part = "norm" if rest[1] == "0" else "reduce.project"
            found[f"stages.{rest[0]}.{part}.{rest[2]}"] = value
        elif name.endswith("layer_scale"):
            found[f"stages.{rest[0]}.{rest[1]}.end.0.scale"] = value.flatten()
        else:
            part = parts[".".join(rest[2:4])]
            found[f"stages.{rest[0]}.{rest[1]}.{part}.{rest[4]}"] = value
    return found


def convnext_of_timm(state: State) -> dict[str, Tensor]:
    """Weights of timm under our names."""
    names = {
        "stem.0": "embed.project",
        "stem.1": "embed_norm",
        "conv_dw": "conv",
        "head.norm": "norm",
        "head.fc": "head",
        "gamma": "end.0.scale",
    }
    found = {}
    for theirs, value in state.items():
        name = rename(theirs, names)
        if name.startswith("stages."):
            _, stage, part, rest = name.split(".", 3)
            if part == "downsample":
                rest = rest.replace("0.", "norm.").replace("1.", "reduce.project.")
                name = f"stages.{2 * int(stage)}.{rest}"
            else:
                name = f"stages.{2 * int(stage) + 1}.{rest}"
        found[name] = value
    return found


def resnet_of_torchvision(state: State) -> dict[str, Tensor]:
    """Weights of torchvision's names, and timm's, for ResNets of 3x3 stems and plain shortcuts."""
    parts = {"conv1": "first.0", "bn1": "first.1", "conv2": "second.0", "bn2": "second.1"}
    stem = {"conv1": "stem.0", "bn1": "stem.1", "fc": "head"}
    found = {}
    for theirs, value in state.items():
        part, _, rest = theirs.rpartition(".")
        inside = re.fullmatch(r"layer(\d+)\.(\d+)\.(\w+)", part)
        if inside and inside[3] in parts:
            name = f"stages.{int(inside[1]) - 1}.{inside[2]}.{parts[inside[3]]}"
        else:
            name = stem.get(part, part)
        found[f"{name}.{rest}"] = value
    return found


LAYOUTS = (
    Layout(
        of="torchvision's Swin",
        marks=("features.0.0.weight", "features.1.0.attn.qkv.weight"),
        convert=swin_of_torchvision,
    ),
    Layout(
        of="Microsoft's Swin",
        marks=("layers.0.blocks.0.attn.qkv.weight", "layers.0.downsample.reduction.weight"),
        convert=swin_of_microsoft,
    ),
    Layout(
        of="timm's Swin",
        marks=("patch_embed.proj.weight", "layers.0.blocks.0.attn.qkv.weight"),
        convert=swin_of_microsoft,
    ),
    Layout(
        of="timm's ViT",
        marks=("patch_embed.proj.weight", "blocks.0.attn.qkv.weight"),
        convert=vit_of_timm,
    ),
    Layout(
        of="torchvision's ViT",
        marks=("conv_proj.weight", "encoder.pos_embedding"),
        convert=vit_of_torchvision,
    ),
    Layout(
        of="torchvision's ConvNeXt",
        marks=("features.0.0.weight", "features.1.0.block.0.weight"),
        convert=convnext_of_torchvision,
    ),
    Layout(
        of="timm's ConvNeXt",
        marks=("stem.0.weight", "stages.0.blocks.0.conv_dw.weight"),
        convert=convnext_of_timm,
    ),
    Layout(
        of="Meta's ConvNeXt",
        marks=("downsample_layers.0.0.weight", "stages.0.0.dwconv.weight"),
        convert=convnext_of_meta,
    ),
    Layout(
        of="torchvision's ResNet",
        marks=("conv1.weight", "layer1.0.conv1.weight"),
        convert=resnet_of_torchvision,
    ),
)
"""The first whose marks are all there counts."""
