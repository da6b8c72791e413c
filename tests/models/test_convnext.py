"""ConvNeXt against torchvision's, and what its switches mean."""

import pytest
import torch
from pydantic import ValidationError

from swinablate.config.family import ImageSpec
from swinablate.models.cost import size
from swinablate.models.families.convnext import FAMILY, ConvNeXt, ConvNeXtConfig, geometry

CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)
SMALL = {"patch": 4, "widths": (8, 12), "depths": (2, 1)}


@pytest.mark.parametrize(
    ("depths", "params"), [((3, 3, 9, 3), 28_589_128), ((3, 3, 27, 3), 50_223_688)]
)
def test_published_sizes(depths, params):
    """ConvNeXt-T and -S, tab. 1: 29M, 50M."""
    image = ImageSpec(height=224, width=224, channels=3, classes=1000)
    config = ConvNeXtConfig(patch=4, widths=(96, 192, 384, 768), depths=depths)
    assert size(FAMILY, config, image, "params") == params


def test_a_full_kernel_mixes_channels():
    for depthwise, mixes in ((True, False), (False, True)):
        config = ConvNeXtConfig(**SMALL, depthwise=depthwise)
        conv = ConvNeXt(config, CIFAR).stages[1][0].conv
        x = torch.randn(1, 8, 5, 5, requires_grad=True)
        conv(x)[0, 0].sum().backward()
        assert bool(x.grad[0, 1:].any()) is mixes


def test_geometry_and_what_does_not_tile():
    assert geometry(ConvNeXtConfig(), CIFAR) == (
        {"grid": (16, 16), "width": 32, "depth": 2},
        {"grid": (8, 8), "width": 64, "depth": 2},
    )
    message = "^stage 1: the 1x1 grid cannot be halved; choose a patch or a number of stages that"
    with pytest.raises(ValueError, match=message):
        ConvNeXt(ConvNeXtConfig(patch=32), CIFAR)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel": 4}, "kernel 4 has no middle; choose an odd side"),
        ({"depths": (1,)}, "depths has 1 entries, widths has 2; give both one entry per stage"),
    ],
)
def test_what_contradicts_itself_is_refused(fields, message):
    with pytest.raises(ValidationError) as error:
        ConvNeXtConfig(**fields)
    assert error.value.errors()[0]["msg"] == f"Value error, {message}"
