"""Swin and SwinV2 against torchvision and timm, with weights copied."""

import pytest
import timm.models.swin_transformer as timm_v1
import torch
from torch import nn
from torchvision.models import swin_transformer as vision

from swinablate.config.family import ImageSpec
from swinablate.models.cost import size
from swinablate.models.families.swin import FAMILY, SwinConfig, WindowAttention, stages
from tests.models.parity import V2


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
    assert size(FAMILY, SwinConfig(patch=4, window=7, **fields), image, "params") == params


def test_published_size_of_swin_v2():
    """torchvision's swin_v2_t counts 28,351,570 with the keys' biases it sets to 0."""
    image = ImageSpec(height=256, width=256, channels=3, classes=1000)
    fields = {"patch": 4, "window": 8, "width": 96, "heads": (3, 6, 12, 24)}
    config = SwinConfig(depths=(2, 2, 6, 2), **fields, **V2)
    keys = 2 * 96 + 2 * 192 + 6 * 384 + 2 * 768
    assert size(FAMILY, config, image, "params") + keys == 28_351_570
