"""The positive control: balanced, drawn as described, and impossible without what it tests."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from swinablate.config.recipe import Recipe
from swinablate.config.schema import evolve
from swinablate.data import image_spec
from swinablate.data.datasets import shapes
from swinablate.study.arms.recipes import load_recipe
from swinablate.training.fit import build

RECIPE = load_recipe(Path(__file__).parents[2] / "experiments" / "swin_shapes.toml")
ARRAYS = shapes.read(Path(), shapes.DATASET.image)
PIXELS, LABELS = ARRAYS.train_pixels[:, 0], ARRAYS.train_labels
FLOOR = 255 - shapes.NOISE  # no background is as bright


def places(mark: int) -> np.ndarray:
    """Row and column of the only place where each image shows a mark; -1 where it does not."""
    bright = PIXELS >= FLOOR
    views = np.lib.stride_tricks.sliding_window_view(bright, (3, 3), axis=(1, 2))
    framed = np.pad(bright, ((0, 0), (1, 1), (1, 1)))
    whole = np.lib.stride_tricks.sliding_window_view(framed, (5, 5), axis=(1, 2))
    here = (views == shapes.MARKS[mark]).all((3, 4))
    here &= whole.sum((3, 4)) <= shapes.MARKS[mark].sum() + 5  # not a part of neighbours
    found = np.full((len(PIXELS), 2), -1)
    image, row, column = np.nonzero(here)
    found[image] = np.stack([row, column], 1)
    return found


def test_the_classes_are_balanced():
    assert np.bincount(LABELS).tolist() == [750] * 4
    assert np.bincount(ARRAYS.test_labels).tolist() == [250] * 4


def test_no_test_image_is_a_training_image():
    assert not {bytes(x) for x in ARRAYS.train_pixels} & {bytes(x) for x in ARRAYS.test_pixels}


def test_the_class_is_the_direction_from_cross_to_plus():
    cross, plus = places(shapes.CROSS), places(shapes.PLUS)
    seen = (cross[:, 0] >= 0) & (plus[:, 0] >= 0)
    assert seen.mean() > 0.95
    cell = (plus // 4 - cross // 4)[seen]
    direction = np.array([[0, 2], [0, -2], [2, 0], [-2, 0]])  # cells of 4 pixels
    assert np.array_equal(cell, direction[LABELS[seen]])


def test_where_a_mark_stands_in_its_block_says_nothing_about_the_class():
    for mark in (shapes.CROSS, shapes.PLUS):
        place = places(mark)
        seen = place[:, 0] >= 0
        inside = place % 8
        table = np.zeros((4, 64))
        np.add.at(table, (LABELS[seen], inside[seen, 0] * 8 + inside[seen, 1]), 1)
        table = table[:, table.sum(0) > 0]
        assert table.shape == (4, 4)  # a mark stands in the corner of one of four cells
        expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
        assert ((table - expected) ** 2 / expected).sum() < 27.9  # 9 df, p = 0.001


def test_every_image_has_the_same_amount_of_background():
    bright = (PIXELS >= FLOOR).sum((1, 2))
    assert set(bright.tolist()) <= {5 + 5 + a + b for a in (8, 3) for b in (8, 3)}
    assert PIXELS[PIXELS < FLOOR].max() == shapes.NOISE


# ---- what cannot be known without the mechanism, whatever the weights


def answers(recipe: Recipe, images: Tensor) -> Tensor:
    torch.manual_seed(0)
    model = build(recipe, image_spec(recipe.data), seed=0).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # arbitrary weights, tables and biases too
            parameter.add_(0.3 * torch.randn_like(parameter))
        return model(images)


def swapped(images: Tensor) -> Tensor:
    """The left blocks and the right blocks change places."""
    return images.roll(8, dims=3)


def mirrored(images: Tensor) -> Tensor:
    """Cells change places left to right; their contents stay as they are."""
    return images.unflatten(3, (4, 4)).flip(3).flatten(3)


@pytest.mark.parametrize(
    ("switch", "level", "change"),
    [("model.shift", False, swapped), ("model.position_bias", "none", mirrored)],
)
def test_the_ablated_network_cannot_see_what_makes_the_class(switch, level, change):
    images = torch.from_numpy(ARRAYS.test_pixels[:32]).double() / 64 - 1
    changed = change(images)
    assert not torch.equal(images, changed)
    blind = evolve(RECIPE, {switch: level}, at="")
    torch.testing.assert_close(answers(blind, images), answers(blind, changed))
    moved = (answers(RECIPE, images) - answers(RECIPE, changed)).abs().max()
    assert moved > 1e-3
