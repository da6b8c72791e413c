"""Reading studies: seeds, names, settings, named arms."""

import pytest

from swinablate.config.levels import named_changes
from swinablate.config.recipe import Recipe
from swinablate.study.arms.recipes import load_claim, load_recipe
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY


def test_baseline_runs_the_seeds_and_as_many_again(write):
    study = load_study(write(STUDY.replace("baseline_seeds = 3\n", "")))
    assert study.seeds == (0, 1, 2)
    assert study.baseline_seeds == (0, 1, 2, 3, 4, 5)


def test_listed_seeds_are_taken_as_listed(write):
    text = STUDY.replace("seeds = 3", "seeds = [7, 3]", 1).replace("baseline_seeds = 3\n", "")
    study = load_study(write(text))
    assert study.seeds == (7, 3)
    assert study.baseline_seeds == (7, 3, 8, 9)


def test_number_of_baseline_seeds_can_be_given(write):
    text = STUDY.replace("baseline_seeds = 3", "baseline_seeds = 5")
    assert load_study(write(text)).baseline_seeds == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("changes", "full", "name"),
    [
        ({"model.shift": False}, False, "shift=false"),
        ({"model.position_bias": "none"}, False, "position_bias=none"),
        ({"train.lr": 1e-3}, False, "lr=0.001"),
        ({"model.depths": (2, 4)}, False, "depths=(2,4)"),
        ({"model.norm": "batch", "train.batch": 32}, False, "norm=batch, batch=32"),
        ({"model.norm": "batch", "data.norm": 1}, True, "model.norm=batch, data.norm=1"),
        ({"model": {"depths": (2, 2, 2), "heads": (2, 4, 8)}}, False, "depths=(2,2,2), heads=(2,4,8)"),
        ({"model.head": "a/b:c"}, False, "head=a-b-c"),
    ],
)  # fmt: skip
def test_arms_are_named_after_what_they_change(changes, full, name):
    assert named_changes(changes, full=full) == name


def test_long_names_stay_names_and_stay_different():
    changes = {f"model.switch_number_{i}": i for i in range(9)}
    names = {named_changes(changes), named_changes(changes | {"model.switch_number_8": 99})}
    assert len(names) == 2
    assert {len(name) for name in names} == {80}


def test_settings_change_baseline_and_study(write):
    settings = [
        "train.epochs=7",
        "model.norm=batch",
        "study.seeds=[4, 5]",
        "study.baseline_seeds=2",
    ]
    study = load_study(write(), settings)
    assert study.baseline.train.epochs == 7
    assert study.baseline.model.norm == "batch"
    assert study.seeds == study.baseline_seeds == (4, 5)


def test_named_arm_takes_the_model_of_another_recipe_and_no_more(write, tmp_path):
    other = RECIPE.replace('"swin"', '"vit"').replace("depths = [2]", "depth = 2")
    other = other.replace("heads = [2]\nwindow = 2\n", "heads = 2\n").replace(
        "epochs = 2", "epochs = 9"
    )
    (tmp_path / "vit.toml").write_text(other)
    text = STUDY + '\n[[arms]]\nname = "ViT"\nrecipe = "vit.toml"\n'
    (variant,) = load_study(write(text)).variants
    assert variant.take == ("model",)
    assert isinstance(variant.recipe, Recipe)
    assert variant.recipe.model.family == "vit"
    assert variant.recipe.train.epochs == 9  # the plan takes the model alone


def test_claims_are_no_part_of_a_recipe(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(RECIPE)
    plain = load_recipe(path)
    path.write_text(RECIPE + "\n[claim]\nparams = 12\n")
    assert load_recipe(path) == plain
    assert load_claim(path).params == 12


def test_fields_that_only_fit_each_other_change_together(write):
    """Three stages need three numbers of heads; neither change is possible alone."""
    recipe = RECIPE.replace("patch = 2", "patch = 1")
    settings = ["model.depths=[2, 2]", "model.heads=[2, 4]"]
    assert load_study(write(STUDY, recipe), settings).baseline.model.depths == (2, 2)
    changes = '{ "model.depths" = [2, 2], "model.heads" = [2, 4] }'
    text = STUDY + f'\n[[arms]]\nname = "deep"\nchanges = {changes}\n'
    text = text.replace("[axes]", '[axes]\n"model" = [{ depths = [1, 1], heads = [1, 2] }]')
    arms = plan(load_study(write(text, recipe))).arms
    assert [(a.recipe.model.depths, a.recipe.model.heads) for a in arms[1::2]] == [
        ((1, 1), (1, 2)),
        ((2, 2), (2, 4)),
    ]
