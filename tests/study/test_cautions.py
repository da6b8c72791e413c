"""What a plan accepts, and says a word about: W18 to W21."""

import pytest

from swinablate.study.cautions import cautions
from swinablate.study.files import load_study, smoke
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY


def warned(path, *settings) -> list[tuple[str, str]]:
    return [(one["code"], one["text"]) for one in cautions(plan(load_study(path, settings)))]


def test_a_usual_study_has_nothing_to_beware_of(write):
    assert warned(write()) == []


@pytest.mark.parametrize(("margin", "said"), [("3", True), ("2", False), ('"eighth"', False)])
def test_a_margin_that_crops_much_of_a_small_image_is_named(margin, said, write):
    cropped = RECIPE.replace(
        "limit = 128", f'limit = 128\naugment = "crop"\ncrop_margin = {margin}'
    )
    found = warned(write(base=cropped))
    text = "every arm: data.crop_margin = 3 of 8 pixels: crops lose up to 38 % of a side."
    assert found == ([("W20", text)] if said else [])


def test_nor_has_its_smoke_run_whose_images_are_noise_in_every_arm(write):
    assert [*cautions(plan(smoke(load_study(write()))))] == []


AXES = {
    '"data.name" = ["shapes"]': ("W18", "name=shapes: data.name differs: it is tested on other images"),
    '"data.limit" = [64]': ("W18", "limit=64: data.limit differs: it is tested on other images"),
    '"data.val_fraction" = [0.2]': ("W18", "val_fraction=0.2: data.val_fraction differs: it trains on other images"),
    '"data.split_seed" = [1, 2]': ("W18", "split_seed=1, split_seed=2: data.split_seed differs: it trains"),
    '"train.batch" = [129]': ("W19", "batch=129: train.batch = 129 is larger than the 128 training images"),
    '"train.steps" = [7]': ("W19", "steps=7: train.steps = 7 decides, and train.epochs = 2 is not read"),
    '"train.epochs" = [10001]': ("W19", "epochs=10001: train.epochs = 10001 is more than any network"),
    '"train.lr" = [1e308]': ("W20", "lr=1e+308: train.lr = 1e+308 is above 0.1, from where adamw"),
    '"train.lr" = [0.11]': ("W20", "lr=0.11: train.lr = 0.11 is above 0.1"),
    '"train.lr" = [9e-9]': ("W20", "lr=9e-09: train.lr = 9e-09 is so small"),
    '"train.weight_decay" = [400.0]': ("W20", "weight_decay=400.0: train.lr x train.weight_decay = 1.2"),
    '"train.eps" = [1.5]': ("W20", "eps=1.5: train.eps = 1.5 is larger than gradients: adamw is sgd"),
    '"train.threads" = [257]': ("W20", "threads=257: train.threads = 257 is more than"),
    '"data.mixup" = [11.0]': ("W20", "mixup=11.0: data.mixup = 11: every mixture"),
    '"data.cutmix" = [11.0]': ("W20", "cutmix=11.0: data.cutmix = 11: every mixture"),
    '"model.window" = [5]': ("W21", "window=5: model.window = 5 is larger than the grid of every stage: it acts as 4x4"),
    '"train.ema" = [0.5, 0.500000001]': ("W21", "train.ema: 0.5 and 0.500000001 are the same number"),
    '"train.clip" = [5.00000001]': ("W21", "train.clip: 5.0 and 5.00000001 are the same number"),
}  # fmt: skip


@pytest.mark.parametrize("axis", AXES)
def test_an_axis_that_can_hardly_be_meant_is_named(axis, write):
    code, text = AXES[axis]
    found = warned(write(STUDY.replace('"model.shift" = [false]', axis)))
    ((said, words),) = found
    assert said == code
    assert words.startswith(text)


@pytest.mark.parametrize(
    "axis",
    ['"train.batch" = [128]', '"train.epochs" = [10000]', '"train.lr" = [0.1, 1e-8]',
     '"train.weight_decay" = [300.0]', '"train.eps" = [1.0]', '"train.threads" = [256]',
     '"data.mixup" = [10.0]', '"data.train_fraction" = [0.5]', '"model.window" = [4]',
     '"train.ema" = [0.5, 0.500001]'],
)  # fmt: skip
def test_what_is_just_usual_is_not(axis, write):
    assert warned(write(STUDY.replace('"model.shift" = [false]', axis))) == []


def test_sgd_is_trained_at_rates_that_adam_is_not(write):
    path = write(STUDY.replace('"model.shift" = [false]', '"train.lr" = [10.0, 10.5]'))
    ((code, text),) = warned(path, "train.optimizer=sgd", "train.weight_decay=0.0")
    assert (code, text[:38]) == ("W20", "lr=10.5: train.lr = 10.5 is above 10, ")


def test_what_all_arms_share_is_said_once(write):
    path = write(
        STUDY + '"model.norm" = ["batch", "rms"]\n', RECIPE.replace("batch = 32", "batch = 10000")
    )
    assert [text for _, text in warned(path)] == [
        (
            "every arm: train.batch = 10000 is larger than the 128 training images: every step takes "
            "all of them, once an epoch."
        )
    ]


def test_epochs_beside_steps_are_named(write):
    path = write(base=RECIPE.replace("epochs = 2", "epochs = 2\nsteps = 9"))
    assert warned(path) == [
        ("W19", "every arm: train.steps = 9 decides, and train.epochs = 2 is not read.")
    ]


def test_steps_without_end_are_named(write):
    assert warned(write(), "train.epochs=15", "train.steps=10000001")[0] == (
        "W19", "every arm: a trial takes 10,000,001 steps: hours or days each, on any machine.",
    )  # fmt: skip
    assert warned(write(), "train.epochs=15", "train.steps=10000000") == []


@pytest.mark.parametrize(
    ("compare", "code", "text"),
    [
        ("rope = 10.5", "W20", "compare.rope = 10.5 percentage points calls nearly every"),
        ("alpha = 1e-9", "W20", "compare.alpha = 1e-09: hardly anything is ever decided"),
        ("alpha = 0.499", "W20", "compare.alpha = 0.499: 50 of 100 studies that have nothing"),
        ("rope = 10.0\nalpha = 0.2", "", ""),
        ("alpha = 1e-4", "", ""),
    ],
)
def test_a_threshold_that_answers_everything_alike_is_named(compare, code, text, write):
    found = warned(write(f"{STUDY}\n[compare]\n{compare}\n"))
    assert [one[0] for one in found] == ([code] if code else [])
    assert all(one[1].startswith(text) for one in found)


def test_an_equivalence_that_nothing_can_support_is_named(write):
    text = STUDY + '\n[[hypotheses]]\narm = "shift=false"\nexpect = "equivalent"\n'
    assert warned(write(text)) == [
        ("W21", ("the hypothesis that shift=false is equivalent can never be supported: no "
                "compare.rope is declared."))
    ]  # fmt: skip
    assert warned(write(text + "\n[compare]\nrope = 1.0\n")) == []


VIT = """
[model]
family = "vit"
width = 8
depth = 2
heads = 2
patch = 2
attention = "linear"
causal = true
"""


def test_what_a_recipe_sets_and_no_arm_has_is_said(write):
    """A switch of the network, a field of training, and one of the data."""
    recipe = RECIPE.replace("limit = 128", "limit = 128\npolicy_ops = 3")
    recipe = VIT + recipe[recipe.index("[data]") :] + "momentum = 0.5\n"
    study = STUDY.replace('"model.shift" = [false]', '"train.lr" = [1e-3]')
    assert warned(write(study, recipe)) == [
        ("W21", "train.momentum = 0.5 is read by no arm."),
        ("W21", "data.policy_ops = 3 is read by no arm."),
        ("W21", "model.causal = true acts in no arm."),
    ]
    acting = study.replace(
        "[axes]",
        """[axes]
"model.attention" = ["dot"]
"train.optimizer" = ["sgd"]
"data.policy" = ["randaugment"]""",
    )
    assert warned(write(acting, recipe)) == []


def test_an_average_of_more_steps_than_there_are_is_named(write):
    text = (
        "every arm: train.ema = 0.99 averages over 100 steps, and a trial takes 4: 97 % of what "
        "is evaluated are the weights after the first."
    )
    assert warned(write(), "train.ema=0.99", "train.batch=64") == [("W20", text)]
    assert warned(write(), "train.ema=0.3", "train.batch=64") == []
