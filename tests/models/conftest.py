"""Weights large enough for masks and biases to show, and images to look at."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig
from swinablate.config.recipe import derive
from swinablate.models.layers.norm import Fading


@pytest.fixture
def excite() -> Callable[[nn.Module], nn.Module]:
    """Draw every parameter from N(0, 0.5), seeded by its name; returns the model."""

    def draw(model: nn.Module) -> nn.Module:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                chance = torch.Generator().manual_seed(derive(0, "test", name))
                parameter.normal_(std=0.5, generator=chance)
        return model

    return draw


@pytest.fixture
def pixels() -> Callable[..., Tensor]:
    """Draw images of a format."""

    def draw(image: ImageSpec, count: int = 2, seed: int = 0) -> Tensor:
        chance = torch.Generator().manual_seed(seed)
        size = (count, image.channels, image.height, image.width)
        return torch.empty(size).normal_(generator=chance)

    return draw


@pytest.fixture
def assert_learns(
    pixels: Callable[..., Tensor],
) -> Callable[[Family[Any], ModelConfig, ImageSpec], None]:
    """After two steps every parameter gets a gradient; saved state is complete."""

    def check(family: Family[Any], config: ModelConfig, image: ImageSpec) -> None:
        model = family.build(config, image)
        family.init(model, config, lambda name: torch.Generator().manual_seed(len(name)))
        Fading(model, 1.0).at(0.5)  # what fades in has no part in the first step
        x, y = pixels(image, 16), torch.arange(16) % image.classes
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert still == []
        again = family.build(config, image)
        again.load_state_dict(model.state_dict())
        assert torch.equal(again.eval()(x), model.eval()(x))

    return check
