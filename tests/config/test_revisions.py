"""A mended meaning has a revision, in the ids of the recipes that use it and of no others."""

from pathlib import Path

import pytest

from swinablate.config.data import DataConfig
from swinablate.config.recipe import Recipe, mended, trial_id
from swinablate.config.train import TrainConfig
from swinablate.models.families.convnext import ConvNeXtConfig
from swinablate.models.families.rnn import RNNConfig
from swinablate.models.families.swin import SwinConfig
from swinablate.models.families.vit import ViTConfig
from swinablate.study.arms.recipes import load_recipe
from swinablate.study.plan import Trial

TESTS = Path(__file__).parent.parent
IDS = {
    "post000_digits": "627d6c2861e352286552e3ee2e89c818fae5d9be866225cdf1b13a1778780b77",
    "resnet_digits": "bedca31dd71e73c6f34057ceff54a9dab6dd0da63860d6a649a43c36b9bdf34a",
    "swin_digits": "cf452c73eee94cc451bc3c55a9915fc3645401da0949f7a8641492fd5c54d943",
    "swin_shapes": "7cae5e6689e18d2530ce851f44473d4f87556736531586ef6f0fa26252fb0289",
    "vit_digits": "f13f7a3910ed70088ea165ff083a039e2e89ae3f8468d3a440547fdbebb66b52",
}
"""Of seed 0, before any meaning was mended."""
MENDED = {
    "post002_cifar10": {"model.norm_place": 2},
    "post002_digits": {"model.norm_place": 2},
    "swinv2_t_256": {"model.position_bias": 2},
}


def recipe(model=None, **train):
    model = model or SwinConfig()
    return Recipe(model=model, data=DataConfig(name="digits"), train=TrainConfig(**train))


def shipped(name):
    return load_recipe(TESTS.parent / "experiments" / f"{name}.toml")


@pytest.mark.parametrize("name", IDS)
def test_recipes_that_use_nothing_mended_keep_their_ids(name):
    assert Trial(arm="baseline", recipe=shipped(name), seed=0).id == IDS[name]


@pytest.mark.parametrize(
    "path", sorted((TESTS.parent / "experiments").glob("*.toml")), ids=lambda path: path.stem
)
def test_what_the_recipes_that_ship_use_of_it(path):
    """None of those after He et al. has its L2 mistaken for decay."""
    assert mended(load_recipe(path)) == MENDED.get(path.stem, {})


@pytest.mark.parametrize(
    ("train", "wanted"),
    [
        ({"batch": 129, "lr_scale": "linear"}, {"train.lr_scale": 2}),
        ({"batch": 129, "lr_scale": "sqrt"}, {"train.lr_scale": 2}),
        ({"batch": 128, "lr_scale": "linear"}, {}),
        ({"batch": 129}, {}),
    ],
)
def test_a_rate_that_follows_a_batch_of_more_images_than_there_are_is_renamed(train, wanted):
    data = DataConfig(name="digits", limit=128)
    made = recipe(**train).model_copy(update={"data": data})
    found = Trial(arm="baseline", recipe=made, seed=0)
    assert dict(found.revised) == wanted
    assert found.id == trial_id(made, 0, wanted)
    assert (found.id == found.first_id) == (not wanted)


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
    assert mended(made) == wanted
    found = Trial(arm="baseline", recipe=made, seed=0)
    assert found.first_id == trial_id(made, 0)
    assert (found.id == found.first_id) == (not wanted)
