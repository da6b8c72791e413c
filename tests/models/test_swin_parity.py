"""Swin and SwinV2 against torchvision and timm, with weights copied."""

import pytest
import timm.models.swin_transformer as timm_v1
import timm.models.swin_transformer_v2 as timm_v2
import torch
from torch import Tensor, nn
from torchvision.models import swin_transformer as vision

from swinablate.models.swin import FAMILY, Swin, SwinConfig, WindowAttention, stages
from swinablate.recipe import ImageSpec
from swinablate.response import cost

V2 = {
    "attention": "cosine",
    "position_bias": "log_cpb",
    "norm_place": "res_post",
    "qkv_bias": "query_value",
}
SMALL = {"patch": 2, "width": 24, "heads": (2, 4), "depths": (2, 3), "window": 4}
IMAGE = ImageSpec(height=32, width=32, channels=3, classes=10)


def x_of(image: ImageSpec) -> Tensor:
    size = (2, image.channels, image.height, image.width)
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


def rename(name: str, names: dict[str, str]) -> str:
    for old, new in names.items():
        name = name.replace(old, new)
    return name


def from_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's weights, version 1 or 2, under our names; it merges before a stage, we after."""
    names = {
        "patch_embed.proj": "embed.project",
        "patch_embed.norm": "embed_norm",
        "attn.qkv": "attention.qkv",
        "attn.proj": "attention.out",
        "attn.relative_position_bias_table": "attention.mix.bias.position.table",
        "attn.logit_scale": "attention.mix.similarity.log_scale",
        "attn.cpb_mlp.0": "attention.mix.bias.position.fc1",
        "attn.cpb_mlp.2": "attention.mix.bias.position.fc2",
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
    found = {k: v.flatten() if k.endswith("log_scale") else v for k, v in found.items()}
    return {k: v for k, v in found.items() if not k.endswith(("index", "k_bias", "coords_table"))}


def from_torchvision(state: dict[str, Tensor], depths: tuple[int, ...]) -> dict[str, Tensor]:
    """torchvision's SwinV2 weights under our names, without the biases of keys."""
    names = {
        "attn.qkv": "attention.qkv",
        "attn.proj": "attention.out",
        "attn.logit_scale": "attention.mix.similarity.log_scale",
        "attn.cpb_mlp.0": "attention.mix.bias.position.fc1",
        "attn.cpb_mlp.2": "attention.mix.bias.position.fc2",
        "mlp.0": "mlp.fc1",
        "mlp.3": "mlp.fc2",
        "reduction": "reduce",
        "features.0.0": "embed.project",
        "features.0.2": "embed_norm",
    }
    for i in range(len(depths)):
        names[f"features.{2 * i + 1}."] = f"stages.{i}.blocks."
        names[f"features.{2 * i + 2}."] = f"stages.{i}.merge."
    found = {}
    for theirs, value in state.items():
        name = rename(theirs, names)
        if name.endswith("qkv.bias"):
            query, _, values = value.chunk(3)
            found[name] = torch.cat((query, values))
        else:
            found[name] = value.flatten() if name.endswith("log_scale") else value
    return {k: v for k, v in found.items() if not k.endswith(("index", "coords_table"))}


def compare(ours: nn.Module, theirs: nn.Module, copy, image: ImageSpec = IMAGE) -> None:
    """Logits, and the gradient of every weight, under the same weights."""
    ours.load_state_dict(copy(theirs.state_dict()), strict=True)
    x = x_of(image)
    answers = ours.eval()(x), theirs.eval()(x)
    torch.testing.assert_close(*answers, atol=1e-5, rtol=1e-4)
    for answer in answers:
        (answer**2).mean().backward()
    zeros = {name: torch.zeros_like(value) for name, value in theirs.state_dict().items()}
    gradients = copy(
        zeros | {n: p.grad for n, p in theirs.named_parameters() if p.grad is not None}
    )
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], atol=3e-4, rtol=3e-3)


def sizes(config: SwinConfig) -> dict[str, object]:
    return {
        "img_size": 32,
        "patch_size": config.patch,
        "num_classes": 10,
        "embed_dim": config.width,
        "depths": config.depths,
        "num_heads": config.heads,
        "window_size": config.window,
        "drop_path_rate": 0.0,
    }


def test_swin_equals_timm(excite):
    config = SwinConfig(**SMALL)
    compare(Swin(config, IMAGE), excite(timm_v1.SwinTransformer(**sizes(config))), from_timm)


def test_swin_v2_equals_timm(excite):
    config = SwinConfig(**SMALL, **V2)
    compare(Swin(config, IMAGE), excite(timm_v2.SwinTransformerV2(**sizes(config))), from_timm)


@pytest.mark.parametrize("window", [2, 4])
def test_swin_v2_equals_torchvision(excite, window):
    config = SwinConfig(**SMALL | {"window": window}, **V2)
    theirs = excite(
        vision.SwinTransformer(
            patch_size=[2, 2],
            embed_dim=24,
            depths=[2, 3],
            num_heads=[2, 4],
            window_size=[window] * 2,
            stochastic_depth_prob=0.0,
            num_classes=10,
            block=vision.SwinTransformerBlockV2,
            downsample_layer=vision.PatchMergingV2,
        )
    )
    compare(Swin(config, IMAGE), theirs, lambda state: from_torchvision(state, config.depths))


def attention_weights(module: WindowAttention, theirs: nn.Module) -> None:
    module.load_state_dict(
        {
            "qkv.weight": theirs.qkv.weight,
            "qkv.bias": theirs.qkv.bias,
            "out.weight": theirs.proj.weight,
            "out.bias": theirs.proj.bias,
            "mix.bias.position.table": theirs.relative_position_bias_table,
        }
    )


def uniform(module: nn.Module) -> None:
    """Every score 0, values passed through: the output is the mean of what is seen."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    module.qkv.weight.data[8:] = torch.eye(4)
    nn.init.eye_(module.proj.weight)


def test_torchvision_attends_to_padding_and_we_do_not():
    """8x8, window 7: the corner has 1 real and 48 padded keys there (1/49)."""
    theirs = vision.ShiftedWindowAttention(4, [7, 7], [0, 0], 1)
    uniform(theirs)
    config = SwinConfig(patch=1, width=4, depths=(1,), heads=(1,), window=7, pad="masked")
    (stage,) = stages(config, ImageSpec(height=8, width=8, channels=1, classes=2))
    ours = WindowAttention(stage, (0, 0), config)
    attention_weights(ours, theirs)
    x = torch.ones(1, 8, 8, 4)
    assert theirs(x)[0, 7, 7, 0].item() == pytest.approx(1 / 49, abs=1e-6)
    torch.testing.assert_close(ours(x), x)


def reach(module: nn.Module, row: int, column: int) -> set[int]:
    """Rows that the output at (row, column) of an 8x8 grid depends on."""
    x = torch.randn(1, 8, 8, 4, requires_grad=True)
    module(x)[0, row, column].sum().backward()
    return set((x.grad[0].abs().sum((1, 2)) > 0).nonzero().flatten().tolist())


def test_timm_masks_the_wrong_rows_of_a_padded_grid_and_we_do_not():
    """8x8, window 7, shift 3: it pads after the roll, so wrapped rows look like neighbours."""
    block = timm_v1.SwinTransformerBlock(
        4, (8, 8), 1, window_size=7, shift_size=3, always_partition=True
    )
    config = SwinConfig(patch=1, width=4, depths=(2,), heads=(1,), window=7, pad="masked")
    (stage,) = stages(config, ImageSpec(height=8, width=8, channels=1, classes=2))
    ours = WindowAttention(stage, stage.shift, config)
    attention_weights(ours, block.attn)
    assert reach(block._attn, 0, 0) == {0, 1, 3, 4, 5, 6, 7}
    assert reach(ours, 0, 0) == {0, 1, 2}


@pytest.mark.parametrize(
    ("fields", "params"),
    [
        ({"width": 96, "heads": (3, 6, 12, 24), "depths": (2, 2, 6, 2)}, 28_288_354),
        ({"width": 96, "heads": (3, 6, 12, 24), "depths": (2, 2, 18, 2)}, 49_606_258),
        ({"width": 128, "heads": (4, 8, 16, 32), "depths": (2, 2, 18, 2)}, 87_768_224),
        ({"width": 192, "heads": (6, 12, 24, 48), "depths": (2, 2, 18, 2)}, 196_532_476),
    ],
    ids=["T", "S", "B", "L"],
)
def test_published_sizes_of_swin(fields, params):
    image = ImageSpec(height=224, width=224, channels=3, classes=1000)
    assert cost(FAMILY, SwinConfig(patch=4, window=7, **fields), image).params == params


def test_published_size_of_swin_v2():
    """torchvision's swin_v2_t counts 28,351,570 with the keys' biases it sets to 0."""
    image = ImageSpec(height=256, width=256, channels=3, classes=1000)
    fields = {"patch": 4, "window": 8, "width": 96, "heads": (3, 6, 12, 24)}
    config = SwinConfig(depths=(2, 2, 6, 2), **fields, **V2)
    keys = 2 * 96 + 2 * 192 + 6 * 384 + 2 * 768
    assert cost(FAMILY, config, image).params + keys == 28_351_570
