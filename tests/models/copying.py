"""Weights of other implementations under our names."""

from collections.abc import Callable, Mapping

from torch import Tensor

from swinablate.models.pretrained import layouts
from swinablate.models.pretrained.layouts import rename

State = Mapping[str, Tensor]
swin_of_torchvision = layouts.swin_of_torchvision
swin_of_timm = layouts.swin_of_microsoft
convnext_of_torchvision = layouts.convnext_of_torchvision
convnext_of_timm = layouts.convnext_of_timm


def vit_of_timm(state: State) -> dict[str, Tensor]:
    """timm's weights under our names; its position of the class token is part of ours."""
    return layouts.placed(layouts.vit_of_timm(state))


def vit_of_torchvision(state: State) -> dict[str, Tensor]:
    """torchvision's weights under our names."""
    return layouts.placed(layouts.vit_of_torchvision(state))


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
