"""DenseNet: what the paper counts, who sees whom, and where it drops."""

import pytest
import torch
from torch import Tensor, nn

from swinablate.config.family import ImageSpec
from swinablate.models.families.densenet import DenseNet, DenseNetConfig, geometry
from swinablate.models.layers.conv import ChannelNorm

CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)
SMALL = {"depth": 22, "growth": 4}


def noise(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("fields", "params", "printed"),
    [
        ({"depth": 40, "bottleneck": False, "compression": 1.0}, 1_019_722, "1.0M"),
        ({"depth": 100, "bottleneck": False, "compression": 1.0}, 6_979_642, "7.0M"),
        ({"depth": 100}, 769_162, "0.8M"),
        ({"depth": 250, "growth": 24}, 15_324_406, "15.3M"),
    ],
)
def test_parameter_counts(fields, params, printed):
    """DenseNet tab. 2, to the digit that it prints."""
    with torch.device("meta"):
        model = DenseNet(DenseNetConfig(**fields), CIFAR)
    assert sum(p.numel() for p in model.parameters()) == params
    assert f"{params / 1e6:.1f}M" == printed


@pytest.mark.parametrize("dense", [True, False])
def test_a_layer_sees_all_before_it_or_the_last_only(dense):
    """With the last layer but one at 0, only dense blocks show the last one their image."""
    model = DenseNet(DenseNetConfig(**SMALL, dense=dense, norm="none"), CIFAR)
    *_, before, _ = model.stages[2].block
    for p in before.parameters():
        nn.init.zeros_(p)
    assert bool(torch.allclose(*model(noise(2, 3, 32, 32)), atol=1e-7)) is not dense


@pytest.mark.parametrize(
    "fields", [{}, {"dense": False}, {"bottleneck": False}, {"compression": 1.0}]
)
def test_geometry_is_what_runs(fields):
    config = DenseNetConfig(**SMALL | fields)
    model, seen = DenseNet(config, CIFAR), []
    for stage in model.stages:
        stage.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    model(noise(2, 3, 32, 32))
    shown = geometry(config, CIFAR)
    assert seen == [(2, stage["width"], *stage["grid"]) for stage in shown]
    assert [len(stage.block) for stage in model.stages] == [stage["layers"] for stage in shown]


@pytest.mark.parametrize(
    ("norm", "kinds"), [("batch", {nn.BatchNorm2d}), ("layer", {ChannelNorm}), ("none", set())]
)
def test_norm_replaces_every_norm(norm, kinds):
    model = DenseNet(DenseNetConfig(**SMALL, norm=norm), CIFAR)
    found = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.LayerNorm)]
    assert {type(m) for m in found} == kinds
    assert len(found) == (21 if kinds else 0)  # one for every layer but the first
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 21
    assert {conv.bias is not None for conv in convs} == {norm == "none"}


def test_dropout_stands_behind_every_convolution_but_the_first():
    model = DenseNet(DenseNetConfig(**SMALL, dropout=0.3), CIFAR)
    found = [m for m in model.modules() if isinstance(m, nn.Dropout | nn.Conv2d)]
    assert [type(m) for m in found] == [nn.Conv2d, *[nn.Conv2d, nn.Dropout] * 20]
    assert {m.p for m in found if isinstance(m, nn.Dropout)} == {0.3}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depth": 41}, "depth 41 is not 6n + 4; choose 40 or 46"),
        ({"depth": 9}, "depth 9 is not 6n + 4; choose 10"),
        ({"depth": 41, "bottleneck": False}, r"depth 41 is not 3n \+ 4; choose 40 or 43"),
    ],
)
def test_impossible_depths(fields, message):
    with pytest.raises(ValueError, match=message.replace("n + 4", r"n \+ 4")):
        DenseNetConfig(**fields)


def test_an_image_too_small_to_halve_twice():
    tiny = ImageSpec(height=3, width=8, channels=1, classes=2)
    with pytest.raises(ValueError, match="3x8 pixels cannot be halved twice; take larger images"):
        geometry(DenseNetConfig(), tiny)
