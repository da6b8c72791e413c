"""Networks and images that nobody has the memory for: refused by their numbers, unbuilt."""

import time
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from swinablate.config.family import ImageSpec
from swinablate.models import bounds
from swinablate.models.bounds import (
    LARGEST,
    PER_PARAMETER,
    TooLarge,
    check_config,
    check_cost,
    check_geometry,
    counted,
    volume,
)
from swinablate.models.cost import cost
from swinablate.models.external.adapter import Origin, assemble
from swinablate.models.external.signature import arguments_of
from swinablate.models.registry import load_family
from swinablate.study.arms.recipes import load_recipe

RECIPES = sorted((Path(__file__).parents[2] / "experiments").glob("*.toml"))
IMAGE = ImageSpec(height=32, width=32, channels=3, classes=10)
HUGE = {
    "swin": [{"width": 3 * 10**7}, {"width": 3 * 10**12}, {"depths": (10**9, 1), "heads": (2, 2)}, {"mlp_ratio": 1e9}],
    "vit": [{"width": 2**40, "heads": 1}, {"depth": 10**9}, {"registers": 10**8}, {"mlp_ratio": 1e12}],
    "resnet": [{"width": 10**9}, {"depth": 6 * 10**9 + 2}],
    "vgg": [{"widths": (10**9,), "convs": (1,)}, {"widths": (8,), "convs": (10**12,)}, {"hidden": 10**9, "head": "fc"}],
    "nin": [{"widths": (10**9,), "kernels": (3,)}, {"kernels": (10**9 + 1,), "widths": (8,)}],
    "googlenet": [{"width": 10**9}],
    "convnext": [{"widths": (10**9,), "depths": (1,)}, {"kernel": 10**9 + 1}, {"depths": (10**9, 1)}],
    "densenet": [{"growth": 10**9}, {"depth": 3 * 10**9 + 4}],
    "lenet": [{"widths": (10**9, 8)}, {"widths": (8, 10**9)}, {"hidden": (10**9, 8)}, {"hidden": (8, 10**9)}],
    "rnn": [{"width": 10**9}, {"depth": 10**9}],
    "post001": [],
}  # fmt: skip
"""Of every family, numbers with some zeros too many."""


def config_of(family: str, changes=types.MappingProxyType({})):
    found = load_family(family, "")
    return found, found.config.model_validate(dict(changes))


def cases():
    return [(family, changes) for family, found in HUGE.items() for changes in found]


@pytest.mark.parametrize(("family", "changes"), cases())
@pytest.mark.timeout(20)
def test_zeros_too_many_are_refused_before_anything_is_built(family, changes, monkeypatch):
    made, config = config_of(family, changes)

    def never(*_):
        raise AssertionError("built")

    monkeypatch.setattr(nn.Module, "__init__", never)
    with pytest.raises(TooLarge, match=r"needs about [\d,.e+]+ [TG]iB"):
        check_config(made, config, IMAGE)


def test_every_family_of_ours_is_asked():
    from swinablate.config import plugins

    assert set(HUGE) == set(plugins.names("swinablate.models.families"))


@pytest.mark.parametrize("family", HUGE)
def test_images_of_a_million_pixels_a_side_are_refused(family):
    made, config = config_of(family)
    image = ImageSpec(height=10**6, width=10**6, channels=1, classes=10)
    with pytest.raises(TooLarge, match=r"4 images of 1x1000000x1000000 need about 14.6 TiB, and"):
        check_config(made, config, image)
    with pytest.raises(TooLarge, match="4 images of 1000000000000x8x8 need about"):
        check_config(made, config, ImageSpec(height=8, width=8, channels=10**12, classes=10))


@pytest.mark.parametrize("family", [name for name in HUGE if name != "googlenet"])
def test_classes_without_end_are_refused(family):
    made, config = config_of(family)
    classes = ImageSpec(height=32, width=32, channels=3, classes=10**12)
    with pytest.raises(TooLarge, match="needs about"):
        check_config(made, config, classes)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_closed_form_is_near_what_a_network_has(path):
    recipe = load_recipe(path)
    family = load_family(recipe.model.family, "")
    from swinablate.data import image_spec

    image = image_spec(recipe.data)
    rows = family.geometry(recipe.model, image)
    found = cost(family, recipe.model, image)
    check_config(family, recipe.model, image)
    check_cost(found.params, found.activation_bytes)
    assert 1 / 6 < bounds._weights(recipe.model, image, rows) / found.params < 6
    assert 1 / 6 < 4 * bounds._kept(rows) / found.activation_bytes < 4


def test_depth_is_bounded_and_resnet_1202_is_not_too_deep():
    made, config = config_of("resnet", {"depth": 1202})
    check_config(made, config, IMAGE)
    made, config = config_of("vit", {"depth": 801, "width": 8, "heads": 1})
    with pytest.raises(
        TooLarge, match=r"801 blocks .*, and 800 blocks can be planned; make it less deep"
    ):
        check_config(made, config, IMAGE)
    made, config = config_of("rnn", {"patch": 1})
    wide = ImageSpec(height=200, width=200, channels=1, classes=10)
    with pytest.raises(TooLarge, match=r"takes 80,000 steps .* take larger patches"):
        check_geometry(config, wide, made.geometry(config, wide))


class Wide(nn.Module):
    """Somebody's network: nothing is known of its arguments."""

    def __init__(self, width: int = 4, depth: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.more = nn.ModuleList([])
        for _ in range(depth):
            self.more.append(nn.Linear(width, width))
        self.last = nn.Linear(width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x.flatten(1))
        for layer in self.more:
            x = layer(x)
        return self.last(x)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"width": 200_000}, "needs more than [0-9.]+ GiB"),
        ({"width": 10**12}, "overflow|needs more than"),
        # Until they are too many, they are built: half a minute.
        pytest.param(
            {"depth": 10**9}, "has more than 20,000 modules", marks=pytest.mark.integration
        ),
        pytest.param(
            {"depth": 4000, "width": 2000}, "needs more than", marks=pytest.mark.integration
        ),
    ],
)
@pytest.mark.timeout(60)
def test_a_network_of_somebody_elses_is_stopped_while_it_is_built(given, says):
    family = assemble(Origin("mine:Wide", "1", Wide), arguments_of(Wide, "mine:Wide"), {})
    config = family.config.model_validate({"family": "mine:Wide", **given})
    image = ImageSpec(height=8, width=8, channels=1, classes=10)
    began = time.process_time()
    with pytest.raises(ValueError, match=says):
        family.geometry(config, image)
    with pytest.raises(ValueError, match=says):
        cost(family, config, image)
    assert time.process_time() - began < 30
    nn.Linear(2, 2)  # nothing is counted any more


def test_counting_ends_with_what_is_counted_and_shared_weights_count_once(monkeypatch):
    monkeypatch.setattr(bounds, "memory", lambda: 100 * PER_PARAMETER)
    with counted():
        one = nn.Linear(9, 9)
        for _ in range(5):
            other = nn.Linear(1, 1, bias=False)
            other.weight = one.weight
    with pytest.raises(TooLarge), counted():
        nn.Sequential(nn.Linear(9, 9), nn.Linear(9, 9))
    nn.Linear(100, 100)


def test_the_bound_is_this_machines_where_that_is_less(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(bounds, "MEMORY_LIMIT", limit)
    limit.write_text("max\n")
    assert 0 < bounds.memory() <= LARGEST
    limit.write_text(f"{1 << 30}\n")
    assert bounds.memory() == 1 << 30
    check_cost((1 << 30) // PER_PARAMETER, 0)
    with pytest.raises(TooLarge, match=r"the network needs about 1 GiB, and 1 GiB is the most"):
        check_cost((1 << 30) // PER_PARAMETER + 1, 0)
    with pytest.raises(TooLarge, match="needs about 4 GiB"):
        check_cost(0, 1 << 30)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "1 B"), (1023, "1,023 B"), (2048, "2 KiB"), (1.5 * 2**30, "1.5 GiB"), (2**40, "1 TiB"),
     (3410 * 2**40, "3,410 TiB"), (1e300, "9e+287 TiB"), (float("inf"), "9e+287 TiB")],
)  # fmt: skip
def test_bytes_are_shown_for_people(size, text):
    assert volume(size) == text
