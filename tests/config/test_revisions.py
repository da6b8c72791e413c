"""A mended meaning has a revision, in the ids of the recipes that use it and of no others."""

import json
from pathlib import Path

import pytest

from swinablate.config.data import DataConfig
from swinablate.config.recipe import Recipe, identity, revisions, trial_id
from swinablate.config.train import TrainConfig
from swinablate.models.families.convnext import ConvNeXtConfig
from swinablate.models.families.rnn import RNNConfig
from swinablate.models.families.swin import SwinConfig
from swinablate.models.families.vit import ViTConfig
from swinablate.study.files import load_recipe

TESTS = Path(__file__).parent.parent
IDS = json.loads((TESTS / "golden" / "ids.json").read_text())
MENDED = {
    "post002_cifar10": {"model.norm_place": 2},
    "post002_digits": {"model.norm_place": 2},
    "swinv2_t_256": {"model.position_bias": 2},
}


def recipe(model=None, **train):
    model = model or SwinConfig()
    return Recipe(model=model, data=DataConfig(name="digits"), train=TrainConfig(**train))


@pytest.mark.parametrize("name", IDS)
def test_the_ids_of_the_recipes_that_ship_do_not_move(name):
    made = load_recipe(TESTS.parent / "experiments" / f"{name}.toml")
    assert trial_id(made, 0) == IDS[name]
    assert revisions(made) == MENDED.get(name, {})


def test_every_recipe_that_ships_is_pinned():
    assert sorted(IDS) == sorted(p.stem for p in (TESTS.parent / "experiments").glob("*.toml"))


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (recipe(optimizer="adam"), {"train.weight_decay": 2}),
        (recipe(optimizer="sgd", weight_decay=1e-4), {"train.weight_decay": 2}),
        (recipe(optimizer="sgd", weight_decay=0.0, l2=1e-4), {}),
        (recipe(optimizer="adam", weight_decay=0.0), {}),
        (recipe(), {}),
        (recipe(SwinConfig(norm="prepbn")), {"model.norm": 2}),
        (recipe(ViTConfig(norm="prepbn", norm_place="post")), {"model.norm": 2, "model.norm_place": 2}),
        (recipe(ConvNeXtConfig(norm="prepbn")), {"model.norm": 2}),
        (recipe(RNNConfig(norm="prepbn")), {"model.norm": 2}),
        (recipe(RNNConfig()), {}),
        (recipe(SwinConfig(norm_place="post")), {"model.norm_place": 2}),
        (recipe(SwinConfig(norm_place="sandwich")), {}),
        (recipe(SwinConfig(position_bias="log_cpb")), {"model.position_bias": 2}),
        (recipe(SwinConfig(position_bias="linear_cpb")), {"model.position_bias": 2}),
        (recipe(SwinConfig(position_bias="log_cpb"), weight_decay=0.0), {}),
        (recipe(SwinConfig(position_bias="log_cpb", attention="uniform")), {}),
        (recipe(SwinConfig(shift_mask="post000", window=3)), {"model.shift_mask": 2}),
        (recipe(SwinConfig(shift_mask="post000", window=(4, 5))), {"model.shift_mask": 2}),
        (recipe(SwinConfig(shift_mask="post000", window=3, shift=False)), {}),
        (recipe(SwinConfig(shift_mask="post000", window=3, depths=(1, 1))), {}),
        (recipe(SwinConfig(shift_mask="regions", window=3)), {}),
        (recipe(SwinConfig(shift_mask="post000", window=4)), {}),
        (recipe(SwinConfig(shift_mask="post000", window=4, shift_by=1)), {"model.shift_mask": 2}),
        (recipe(SwinConfig(shift_mask="post000", window=3, shift_by=2)), {}),
        (recipe(SwinConfig(shift_mask="post000", window=2, shift_covered=True)), {}),
        (recipe(SwinConfig(shift_mask="post000", window=4, shift_covered=True)), {"model.shift_mask": 2}),
    ],
)  # fmt: skip
def test_only_what_is_used_and_was_mended_has_a_revision(made, wanted):
    assert revisions(made) == wanted
    assert identity(made).get("revisions", {}) == wanted
