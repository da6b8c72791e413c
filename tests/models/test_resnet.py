"""What the ResNet's switches mean."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from swinablate.config.family import ImageSpec
from swinablate.models.families.resnet import ResNet, ResNetConfig, Subsample, geometry
from swinablate.models.layers.conv import ChannelNorm

CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)


@pytest.mark.parametrize(
    ("fields", "params"),
    [
        ({"depth": 20}, 269_722),
        ({"depth": 56}, 853_018),
        ({"depth": 110}, 1_727_962),
        ({"depth": 20, "width": 34}, 1_212_076),
        ({"depth": 20, "residual": False}, 269_722),
    ],
)
def test_parameter_counts(fields, params):
    """ResNet tab. 6: 0.27M, 0.85M, 1.7M; the plain net has as many."""
    model = ResNet(ResNetConfig(**fields), CIFAR)
    assert sum(p.numel() for p in model.parameters()) == params


@pytest.mark.parametrize("residual", [True, False])
def test_only_shortcuts_carry_the_input_past_dead_branches(residual):
    """With every second convolution at 0, a residual net still sees its image."""
    model = ResNet(ResNetConfig(depth=8, residual=residual, norm="none"), CIFAR)
    for stage in model.stages:
        for block in stage:
            nn.init.zeros_(block.second[0].weight)
            nn.init.zeros_(block.second[0].bias)
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert bool(torch.allclose(*model(x))) is not residual


def test_a_shortcut_keeps_every_second_pixel_and_adds_zeros():
    x = torch.arange(2 * 9.0).view(1, 2, 3, 3)
    y = Subsample(2, 2)(x)
    assert y[0, :2].tolist() == [[[0, 2], [6, 8]], [[9, 11], [15, 17]]]
    assert y.shape == (1, 4, 2, 2)
    assert not y[0, 2:].any()


@pytest.mark.parametrize(
    ("norm", "kinds", "bias"),
    [("batch", {nn.BatchNorm2d}, False), ("layer", {ChannelNorm}, False), ("none", set(), True)],
)
def test_norm_replaces_every_norm(norm, kinds, bias):
    model = ResNet(ResNetConfig(norm=norm), CIFAR)
    found = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.LayerNorm)]
    assert {type(m) for m in found} == kinds
    assert len(found) == (19 if kinds else 0)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [conv.bias is not None for conv in convs] == [bias] * 19


def test_channel_norm_normalises_each_pixel():
    y = ChannelNorm(8)(torch.randn(2, 8, 3, 5))
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 3, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(1, correction=0), torch.ones(2, 3, 5), atol=1e-3, rtol=0)


def test_odd_sides_are_halved_upwards():
    image = ImageSpec(height=7, width=10, channels=1, classes=3)
    model = ResNet(ResNetConfig(depth=8), image)
    grids = []
    for stage in model.stages:
        stage.register_forward_hook(lambda *hooked: grids.append(tuple(hooked[2].shape[2:])))
    model(torch.randn(2, 1, 7, 10))
    shown = geometry(ResNetConfig(depth=8), image)
    assert grids == [stage["grid"] for stage in shown] == [(7, 10), (4, 5), (2, 3)]


def test_depth_is_6n_plus_2():
    with pytest.raises(ValidationError) as error:
        ResNetConfig(depth=18)
    message = "depth 18 is not 6n + 2; choose 14 or 20"
    assert error.value.errors()[0]["msg"] == f"Value error, {message}"
