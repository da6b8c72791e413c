"""Weights of other implementations under our names."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

State = Mapping[str, Tensor]
SWIN = {
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.out",
    "attn.relative_position_bias_table": "attention.mix.bias.position.table",
    "attn.logit_scale": "attention.mix.similarity.log_scale",
    "attn.cpb_mlp.0": "attention.mix.bias.position.fc1",
    "attn.cpb_mlp.2": "attention.mix.bias.position.fc2",
}
"""What torchvision and timm call by the same names."""


def rename(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        name = name.replace(old, new)
    return name


def swin_of_torchvision(state: State) -> dict[str, Tensor]:
    """torchvision's weights, version 1 or 2, under our names."""
    names = SWIN | {
        "mlp.0": "mlp.fc1",
        "mlp.3": "mlp.fc2",
        "reduction": "reduce",
        "features.0.0": "embed.project",
        "features.0.2": "embed_norm",
    }
    for i in range(4):
        names[f"features.{2 * i + 1}."] = f"stages.{i}.blocks."
        names[f"features.{2 * i + 2}."] = f"stages.{i}.merge."
    found = {rename(theirs, names): value for theirs, value in state.items()}
    if any(name.endswith("log_scale") for name in found):  # version 2: its keys have no bias
        for name in [name for name in found if name.endswith("qkv.bias")]:
            query, _, values = found[name].chunk(3)
            found[name] = torch.cat((query, values))
    return _without_tables(found)


def _without_tables(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our scales have one axis, and what can be computed is not saved."""
    return {
        name: value.flatten() if name.endswith("log_scale") else value
        for name, value in found.items()
        if not name.endswith(("index", "k_bias", "coords_table"))
    }


def swin_of_timm(state: State) -> dict[str, Tensor]:
    """timm's weights, version 1 or 2, under our names; it merges before a stage, we after."""
    names = SWIN | {
        "patch_embed.proj": "embed.project",
        "patch_embed.norm": "embed_norm",
        "downsample.reduction": "merge.reduce",
        "downsample.norm": "merge.norm",
        "head.fc": "head",
    }
    found = {}
    for theirs, value in state.items():
        name = rename(theirs, names)
        if name.startswith("layers."):
            _, stage, rest = name.split(".", 2)
            name = f"stages.{int(stage) - rest.startswith('merge')}.{rest}"
        found[name] = value
    for name in [n for n in found if n.endswith("q_bias")]:
        stem = name.removesuffix("q_bias")
        found[f"{stem.replace('.attn', '.attention')}qkv.bias"] = torch.cat(
            (found.pop(name), found.pop(f"{stem}v_bias"))
        )
    return _without_tables(found)


def vit_of_timm(state: State) -> dict[str, Tensor]:
    """timm's weights under our names; its position of the class token is part of ours."""
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
    return _placed({rename(theirs, names): value for theirs, value in state.items()})


def vit_of_torchvision(state: State) -> dict[str, Tensor]:
    """torchvision's weights under our names."""
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
        "class_token": "cls.table",
        "encoder.pos_embedding": "position.table",
    }
    return _placed({rename(theirs, names): value for theirs, value in state.items()})


def _placed(found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tables without the axis of images; the position of the class token goes into the token."""
    tables = {name: value[0] for name, value in found.items() if name.endswith(".table")}
    if "cls.table" in tables:
        place = tables["position.table"]
        tables |= {"cls.table": tables["cls.table"] + place[:1], "position.table": place[1:]}
    return {**found, **tables}


def convnext_of_torchvision(state: State) -> dict[str, Tensor]:
    """torchvision's weights under our names."""
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
    """timm's weights under our names."""
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


def in_order(ours: list[str], drop: str = "") -> Callable[[State], dict[str, Tensor]]:
    """Copy by order, for networks that hold the same tensors in the same order.

    Args:
        ours: our names.
        drop: end of their names that have no part in ours.
    """

    def copy(state: State) -> dict[str, Tensor]:
        values = [v for name, v in state.items() if not drop or not name.endswith(drop)]
        return dict(zip(ours, values, strict=True))

    return copy


def encoder_of_torch(state: State) -> dict[str, Tensor]:
    """The weights of `references.Encoder` under our names."""
    names = {
        "embed.": "embed.project.",
        "encoder.layers.": "blocks.",
        "self_attn.in_proj_": "attention.qkv.",
        "self_attn.out_proj": "attention.out",
        "linear1": "mlp.fc1",
        "linear2": "mlp.fc2",
    }
    return {rename(name, names): value for name, value in state.items()}
