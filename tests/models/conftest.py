"""Weights large enough for masks and biases to show, and images to look at."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from swinablate.recipe import ImageSpec, derive


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
