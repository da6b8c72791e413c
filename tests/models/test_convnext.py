"""ConvNeXt against torchvision's, and what its switches mean."""

from functools import partial

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torchvision.models import convnext as vision

from swinablate.models.convnext import FAMILY, ConvNeXt, ConvNeXtConfig, geometry
from swinablate.recipe import ImageSpec
from swinablate.response import cost

CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)
SMALL = {"patch": 4, "widths": (8, 12), "depths": (2, 1)}


def from_torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
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


def test_equals_torchvision_under_its_weights(excite):
    setting = [vision.CNBlockConfig(8, 12, 2), vision.CNBlockConfig(12, None, 1)]
    norm = partial(vision.LayerNorm2d, eps=1e-5)
    theirs = excite(vision.ConvNeXt(setting, num_classes=10, norm_layer=norm))
    for module in theirs.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5
    ours = ConvNeXt(ConvNeXtConfig(**SMALL), CIFAR)
    ours.load_state_dict(from_torchvision(theirs.state_dict()))
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    answers = ours.eval()(x), theirs.eval()(x)
    torch.testing.assert_close(*answers, atol=1e-5, rtol=1e-4)
    for answer in answers:
        answer.square().mean().backward()
    expected = from_torchvision({name: p.grad for name, p in theirs.named_parameters()})
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], atol=3e-4, rtol=3e-3)


@pytest.mark.parametrize(
    ("depths", "params"), [((3, 3, 9, 3), 28_589_128), ((3, 3, 27, 3), 50_223_688)]
)
def test_published_sizes(depths, params):
    """ConvNeXt-T and -S, tab. 1: 29M, 50M."""
    image = ImageSpec(height=224, width=224, channels=3, classes=1000)
    config = ConvNeXtConfig(patch=4, widths=(96, 192, 384, 768), depths=depths)
    assert cost(FAMILY, config, image).params == params


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
