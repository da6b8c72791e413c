"""What a level may be, how it is written, and which of two that are written act alike."""

import re

import pytest

from swinablate.config import plugins
from swinablate.config.data import DataConfig
from swinablate.config.recipe import StartConfig
from swinablate.config.train import TrainConfig
from swinablate.errors import InputError
from swinablate.models.catalogue import catalogue
from swinablate.models.registry import load_family
from swinablate.study.arms.recipes import load_recipe
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY

REFUSED = {
    "model.family": "a family alone has no sizes",
    "start.sha256": "a digest follows from the weights, and cannot be chosen",
}
"""Fields that are no axes."""


def planned(path, *settings):
    return plan(load_study(path, settings))


def same(found):
    return {refusal.name: refusal.same_as for refusal in found.refusals}


# ---- which fields are listed


def fields():
    parts = {"data": DataConfig, "train": TrainConfig, "start": StartConfig}
    for part, config in parts.items():
        yield from (("any", f"{part}.{name}") for name in config.model_fields)
    for family in plugins.names("swinablate.models.families"):
        config = load_family(family, "").config
        yield from ((family, f"model.{name}") for name in config.model_fields)


def test_every_field_that_works_as_an_axis_is_listed():
    listed = {(row["family"], row["switch"]) for row in catalogue()}
    assert {switch for _, switch in set(fields()) - listed} == REFUSED.keys()
    assert listed <= set(fields())


@pytest.mark.parametrize("switch", REFUSED)
def test_what_is_not_listed_is_refused(write, switch):
    with pytest.raises(InputError, match=re.escape(REFUSED[switch])):
        planned(write(STUDY + f'"{switch}" = ["x"]\n'))


def test_what_is_listed_can_be_written_back():
    """No level is Python's word for nothing."""
    assert not [row["switch"] for row in catalogue() if "None" in (row["levels"], row["default"])]
    bands = {row["levels"] for row in catalogue() if row["switch"] == "model.band"}
    assert bands == {"none, 1"}


# ---- nothing as a level


@pytest.mark.parametrize(
    ("axis", "setting"),
    [
        ("model.band", "model.band=1"),
        ("train.steps", "train.steps=3"),
        ("data.limit", "data.limit=64"),
    ],
)
def test_nothing_is_a_level_too(write, axis, setting):
    """A baseline with a band can have the arm without."""
    text = STUDY.replace('"model.shift" = [false]', f'"{axis}" = ["none"]')
    base, arm = planned(write(text), setting, "model.window=4").arms
    part, _, field = axis.partition(".")
    assert getattr(getattr(base.recipe, part), field) is not None
    assert arm.name == f"{field}=none"
    assert getattr(getattr(arm.recipe, part), field) is None


def test_nothing_is_no_level_where_it_is_the_baseline_s(write):
    text = STUDY + '"model.band" = ["none"]\n'
    with pytest.raises(InputError, match=re.escape("none is the baseline's own level")):
        planned(write(text))


def test_nothing_may_be_written_in_a_recipe_and_is_the_recipe_without(write, tmp_path):
    write(STUDY, RECIPE.replace("window = 2\n", 'window = 2\nband = "none"\n'))
    written = load_recipe(tmp_path / "base.toml")
    assert written.model.band is None
    write(STUDY)
    assert load_recipe(tmp_path / "base.toml") == written


def test_other_words_are_no_levels_of_a_number(write):
    with pytest.raises(InputError, match="expected"):
        planned(write(STUDY + '"model.band" = ["None"]\n'))


# ---- without quotes


@pytest.mark.parametrize("text", ["model.shift = [false]", "[axes.model]\nshift = [false]"])
def test_an_axis_may_be_written_without_quotes(write, text):
    quoted = planned(write(STUDY))
    found = planned(write(STUDY.replace('"model.shift" = [false]', text)))
    assert [arm.name for arm in found.arms] == ["baseline", "shift=false"]
    assert found.declaration == quoted.declaration


def test_an_axis_that_is_written_twice_is_refused(write):
    with pytest.raises(InputError, match=re.escape("axis 'model.shift' is written twice")):
        planned(write(STUDY + "model.shift = [false]\n"))


def test_a_table_is_still_a_level(write):
    found = planned(write(STUDY + '"model" = [{ depths = [4], heads = [4] }]\n'))
    assert found.arms[-1].recipe.model.depths == (4,)


# ---- numbers that act alike


@pytest.mark.parametrize(
    ("axis", "settings", "alike"),
    [
        ('"train.batch" = [2000, 5000]', (), {"batch=5000": "batch=2000"}),
        ('"train.warmup" = [0.001, 0.2]', ("train.warmup=0.0",), {"warmup=0.001": "baseline"}),
        ('"train.step_at" = [[0.5, 0.501]]', ("train.schedule=step", "train.step_at=[0.5, 0.5005]"),
         {"step_at=(0.5,0.501)": "baseline"}),
        ('"train.step_at" = [[0.75, 0.5], [0.25]]', ("train.schedule=step",),
         {"step_at=(0.75,0.5)": "baseline"}),
        ('"data.limit" = [5000, 4000, 64]', (), {"limit=4000": "limit=5000"}),
        ('"data.val_fraction" = [0.1001, 0.2]', ("data.limit=none",),
         {"val_fraction=0.1001": "baseline"}),
        ('"train.steps" = [16, 17]', (), {"steps=16": "baseline"}),  # 2 epochs of 128 / 16
    ],
)  # fmt: skip
def test_levels_that_round_to_one_number_are_one_arm(write, axis, settings, alike):
    settings = settings if "batch" in axis else ("train.batch=16", *settings)
    assert same(planned(write(STUDY + axis + "\n"), *settings)) == alike


def test_a_warm_up_of_one_cycle_bends_the_rate_between_steps(write):
    text = STUDY + '"train.warmup" = [0.201, 0.202]\n'
    settings = ("train.schedule=one_cycle", "train.warmup=0.2")
    assert same(planned(write(text), *settings)) == {}


def test_where_the_images_are_not_known_yet_nothing_is_taken_for_alike(write):
    recipe = RECIPE.replace(
        'name = "digits"\n',
        'name = "image_folder"\nroot = "nowhere"\n'
        "image = { height = 8, width = 8, channels = 3, classes = 2 }\n",
    )
    assert same(planned(write(STUDY + '"train.batch" = [2000, 5000]\n', recipe))) == {}


# ---- batch norm of one image


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("train.batch=1",), "train.batch = 1 leaves"),
        (("train.batch=4", "train.accumulate=4"), "train.batch = 4 in 4 parts leaves"),
        (("train.batch=5", "train.accumulate=3"), "train.batch = 5 in 3 parts leaves"),
    ],
)
def test_batch_norm_of_one_image_is_refused(write, settings, said):
    """Of an arm it is a refusal, of a baseline the end; other norms may have one."""
    text = STUDY + '"model.norm" = ["batch", "rms"]\n'
    (refusal,) = planned(write(text), *settings).refusals
    assert refusal.name == "norm=batch"
    assert refusal.reason == (
        f"{said} batch norm (embed_norm) one image to take its statistics of; "
        "raise train.batch, lower train.accumulate or train.world, or take another norm"
    )
    with pytest.raises(InputError, match=re.escape(said)) as error:
        planned(write(STUDY), *settings, "model.norm=batch")
    assert (
        error.value.hint
        == "raise train.batch, lower train.accumulate or train.world, or take another norm"
    )


def test_a_device_without_an_image_of_the_batch_is_refused(write):
    """A batch has no more images than there are to train on."""
    assert not planned(write(STUDY), "data.limit=8", "train.world=8").refusals
    with pytest.raises(
        InputError, match=r"train\.world = 9 devices share a batch of the 8 "
    ) as no:
        planned(write(STUDY), "data.limit=8", "train.world=9")
    assert no.value.hint == "lower train.world, or take more images"


@pytest.mark.parametrize("settings", [("train.batch=2",), ("train.batch=4", "train.accumulate=2")])
def test_batch_norm_of_two_images_is_not(write, settings):
    text = STUDY + '"model.norm" = ["batch"]\n'
    assert not planned(write(text), *settings).refusals
