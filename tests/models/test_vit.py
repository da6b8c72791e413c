"""What the ViT's switches mean."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from swinablate.layers.norm import TokenBatchNorm
from swinablate.models.vit import ViT, ViTConfig, geometry
from swinablate.recipe import ImageSpec

DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10)
CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)
SMALL = {"patch": 2, "width": 32, "depth": 3, "heads": 4}


@pytest.mark.parametrize(
    ("fields", "image", "params"),
    [
        (SMALL, DIGITS, 39_178),
        (SMALL | {"position": "none"}, DIGITS, 38_666),
        ({"width": 128, "depth": 6, "heads": 4}, CIFAR, 1_205_642),
        ({"patch": 2, "width": 128, "depth": 6, "heads": 4}, CIFAR, 1_225_610),
    ],
)
def test_parameter_counts(fields, image, params):
    assert sum(p.numel() for p in ViT(ViTConfig(**fields), image).parameters()) == params


@pytest.mark.parametrize(("position", "blind"), [("none", True), ("learned", False)])
def test_only_the_position_tells_the_order_of_patches(position, blind, excite, pixels):
    """Post 001: without position, attention cannot see order."""
    model = excite(ViT(ViTConfig(**SMALL, position=position), DIGITS)).eval()
    x = pixels(DIGITS)
    patches = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).transpose(3, 4).flatten(2, 3)
    shuffled = patches[:, :, torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    y = shuffled.unflatten(2, (4, 4)).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    assert y.shape == x.shape
    assert torch.allclose(model(x), model(y), atol=1e-4, rtol=1e-4) is blind


def test_attention_equals_torch(excite):
    """Against nn.MultiheadAttention under the same weights."""
    ours = excite(ViT(ViTConfig(**SMALL), DIGITS)).blocks[0].attention
    theirs = nn.MultiheadAttention(32, 4, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    x = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("norm", "kinds"),
    [("layer", {nn.LayerNorm}), ("batch", {TokenBatchNorm}), ("rms", {nn.RMSNorm})],
)
def test_norm_replaces_every_norm(norm, kinds):
    model = ViT(ViTConfig(norm=norm), CIFAR)
    every = (nn.LayerNorm, nn.BatchNorm1d, nn.RMSNorm)
    found = [type(m) for m in model.modules() if isinstance(m, every)]
    assert set(found) == kinds
    assert len(found) == 2 * 4 + 1


def test_images_need_not_be_square(pixels):
    image = ImageSpec(height=8, width=20, channels=2, classes=4)
    assert ViT(ViTConfig(patch=4, depth=1), image)(pixels(image)).shape == (2, 4)
    assert geometry(ViTConfig(patch=4, depth=1), image) == (
        {"grid": (2, 5), "tokens": 10, "width": 96, "heads": 3, "depth": 1},
    )


def test_heads_must_divide_the_width():
    with pytest.raises(ValidationError) as error:
        ViTConfig(width=32, heads=3)
    message = "3 heads do not divide 32 channels; choose heads that divide width"
    assert error.value.errors()[0]["msg"] == f"Value error, {message}"
