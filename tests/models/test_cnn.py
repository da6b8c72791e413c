"""The convolutional families: VGG, and the network of post 001."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from swinablate.config.family import ImageSpec
from swinablate.models.cost import cost, size
from swinablate.models.families import post001, vgg
from swinablate.models.layers.conv import ChannelNorm

CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)
IMAGENET = ImageSpec(height=224, width=224, channels=3, classes=1000)
VGG11 = {"widths": (64, 128, 256, 512, 512), "convs": (1, 1, 2, 2, 2)}
VGG16 = {"widths": (64, 128, 256, 512, 512), "convs": (2, 2, 3, 3, 3)}
ORIGINAL = {"head": "fc", "hidden": 4096}


@pytest.mark.parametrize(
    ("fields", "params"),
    [
        (VGG11 | ORIGINAL | {"norm": "none"}, 132_863_336),
        (VGG16 | ORIGINAL | {"norm": "none"}, 138_357_544),
        (VGG16 | ORIGINAL, 138_365_992 - 4_224),  # torchvision keeps biases that BN undoes
    ],
    ids=["VGG-11", "VGG-16", "VGG-16-BN"],
)
def test_published_sizes_of_vgg(fields, params):
    assert size(vgg.FAMILY, vgg.VGGConfig(**fields), IMAGENET, "params") == params


def test_size_of_the_matched_vgg():
    config = vgg.VGGConfig(widths=(64, 128, 256))
    found = cost(vgg.FAMILY, config, CIFAR)
    assert (found.params, found.macs) == (1_148_874, 152_766_976)


def test_most_of_a_vgg_is_its_head():
    """Post 003: FC layers hold the parameters; 89.4% of VGG-16's."""
    with torch.device("meta"):
        model = vgg.VGG(vgg.VGGConfig(**VGG16 | ORIGINAL, norm="none"), IMAGENET)
    head = sum(p.numel() for p in model.head.parameters())
    assert head / sum(p.numel() for p in model.parameters()) == pytest.approx(0.894, abs=5e-4)


def test_vgg_equals_torchvision_under_its_weights(excite):
    """The features of VGG-11, written as one sequence there."""
    from torchvision.models.vgg import cfgs, make_layers

    small = [n if n == "M" else n // 16 for n in cfgs["A"]]
    theirs = excite(make_layers(small))
    fields = VGG11 | {"widths": (4, 8, 16, 32, 32), "norm": "none"}
    ours = vgg.VGG(vgg.VGGConfig(**fields), CIFAR).blocks
    convs = [m for m in ours.modules() if isinstance(m, nn.Conv2d)]
    for conv, other in zip(convs, [m for m in theirs if isinstance(m, nn.Conv2d)], strict=True):
        conv.load_state_dict(other.state_dict())
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("norm", "kinds"), [("batch", {nn.BatchNorm2d}), ("layer", {ChannelNorm}), ("none", set())]
)
def test_norm_replaces_every_norm_of_vgg(norm, kinds):
    model = vgg.VGG(vgg.VGGConfig(norm=norm), CIFAR)
    found = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.LayerNorm)]
    assert {type(m) for m in found} == kinds
    assert len(found) == (6 if kinds else 0)


def test_vgg_refuses_images_that_are_pooled_away():
    image = ImageSpec(height=4, width=32, channels=1, classes=2)
    with pytest.raises(ValueError, match=r"^block 2: nothing is left to pool; use fewer blocks$"):
        vgg.geometry(vgg.VGGConfig(), image)
    with pytest.raises(ValidationError, match="convs has 2 entries, widths has 3; give both one"):
        vgg.VGGConfig(convs=(1, 1))


def test_post_001_as_written():
    """145,578 parameters, and nothing but max-pooling that is not linear."""
    config = post001.Post001Config()
    assert size(post001.FAMILY, config, CIFAR, "params") == 145_578
    model = post001.Post001(config, CIFAR)
    assert not [m for m in model.modules() if isinstance(m, nn.ReLU)]
    for step in model.steps:
        step[2] = nn.AvgPool2d(2)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(model(-2 * x), -2 * model(x))


def test_post_001_with_activations():
    model = post001.Post001(post001.Post001Config(activation="relu"), CIFAR)
    assert len([m for m in model.modules() if isinstance(m, nn.ReLU)]) == 4
    assert sum(p.numel() for p in model.parameters()) == 145_578


def test_post_001_refuses_small_images():
    image = ImageSpec(height=7, width=8, channels=1, classes=2)
    message = "^a 7x8 image cannot be halved three times; use images of at least 8x8$"
    with pytest.raises(ValueError, match=message):
        post001.Post001(post001.Post001Config(), image)
