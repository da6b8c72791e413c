"""Arms as large as the baseline: which field is solved, and when that is impossible."""

import pytest

from swinablate.config.family import ImageSpec
from swinablate.errors import InputError
from swinablate.models.cost import cost
from swinablate.models.families import swin
from swinablate.study.arms.recipes import load_recipe
from swinablate.study.arms.written import Match
from swinablate.study.files import load_study
from swinablate.study.matching import solve
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import STUDY

DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10)
SWIN = """
[model]
family = "swin"
patch = 1
width = 16
depths = [2, 2]
heads = [2, 4]
window = 2
[data]
name = "digits"
"""
RESNET = """
[model]
family = "resnet"
depth = 8
[data]
name = "digits"
"""


@pytest.fixture
def recipe(tmp_path):
    def read(text=SWIN):
        (tmp_path / "recipe.toml").write_text(text)
        return load_recipe(tmp_path / "recipe.toml")

    return read


def params(recipe, **fields):
    return cost(swin.FAMILY, recipe.model.model_copy(update=fields), DIGITS).params


def match(adjust="model.width", by="params", tolerance=0.02):
    return Match(by=by, tolerance=tolerance, adjust=adjust)


def test_width_meets_the_parameters(recipe):
    target = params(recipe(), width=32)
    made, found = solve(recipe(), match(), target, "")
    assert made.model.width == 32
    assert made.model.heads == (2, 4)
    assert found.solved == {"model.width": (16, 32)}
    assert (found.found, found.off) == (target, 0.0)


def test_width_meets_the_macs(recipe):
    made, found = solve(recipe(RESNET), match(by="macs", tolerance=0.05), 845_120, "")
    assert made.model.width == 17
    assert found.off == 842_792 / 845_120 - 1


def test_heads_change_only_where_no_width_they_divide_is_close_enough(recipe):
    """Two heads and four divide no width of 17; one and two do."""
    target = params(recipe(), width=17, heads=(1, 2))
    even, found = solve(recipe(), match(tolerance=0.15), target, "")
    assert (even.model.width, even.model.heads) == (16, (2, 4))
    assert found.solved == {}
    odd, found = solve(recipe(), match(tolerance=0.001), target, "")
    assert (odd.model.width, odd.model.heads) == (17, (1, 2))
    assert found.solved == {"model.width": (16, 17), "model.heads": ((2, 4), (1, 2))}


def test_several_channels_grow_in_proportion(recipe):
    text = '[model]\nfamily = "vgg"\nwidths = [8, 16, 32]\n[data]\nname = "digits"\n'
    made, found = solve(recipe(text), match("model.widths"), 4 * 18_000, "")
    first, second, third = made.model.widths
    assert (second, third) == (2 * first, 4 * first)
    assert abs(found.off) <= 0.02


def test_what_cannot_be_met_says_what_comes_closest(recipe):
    problem = (
        r"no model.depth brings its params within 20.0 % of the baseline's 60,000: the closest, "
        r"8, has 75,002 \(\+25.0 %\); widen match.tolerance, or adjust another field"
    )
    with pytest.raises(ValueError, match=problem):
        solve(recipe(RESNET), match("model.depth", tolerance=0.2), 60_000, "")


@pytest.mark.parametrize(
    ("adjust", "problem", "hint"),
    [
        (
            "train.lr",
            "match.adjust = 'train.lr' is no field of the family 'swin'",
            (
                "a whole number that changes the size: model.patch, model.width, model.depths, "
                "model.heads, model.window"
            ),
        ),
        (
            "model.norm",
            "match.adjust = 'model.norm' is layer, not a whole number",
            'match by a size: adjust = "model.width"',
        ),
    ],
)
def test_only_a_number_of_the_model_can_be_solved(recipe, adjust, problem, hint):
    with pytest.raises(InputError) as error:
        solve(recipe(), match(adjust), 1000, "study.toml: arms: 'x'")
    assert error.value.problem == problem
    assert error.value.hint == hint


def test_a_matched_arm_says_what_it_changed(write, tmp_path):
    (tmp_path / "net.toml").write_text(RESNET)
    text = STUDY + (
        '\n[[arms]]\nname = "cnn"\nrecipe = "net.toml"\n'
        'match = { by = "params", tolerance = 0.1, adjust = "model.width" }\n'
    )
    made = plan(load_study(write(text), ["model.width=32"]))
    assert made.refusals == ()
    base, arm = made.arms[0], made.arms[-1]
    assert abs(arm.params / base.params - 1) <= 0.1
    assert arm.match.target == base.params
    assert arm.changes["model.width"] == arm.recipe.model.width
    assert arm.differs["model.width"] == (base.recipe.model.width, arm.recipe.model.width)
    found = plan_record(made, {}, Noise(None, "")).to_json()["arms"][-1]["match"]
    assert found["solved"] == {"model.width": [16, arm.recipe.model.width]} != {}
    assert found["off"] == pytest.approx(arm.params / base.params - 1)


def test_an_arm_that_cannot_be_matched_is_refused_and_the_rest_goes_on(write, tmp_path):
    (tmp_path / "net.toml").write_text(RESNET)
    text = STUDY + (
        '\n[[arms]]\nname = "cnn"\nrecipe = "net.toml"\n'
        'match = { by = "params", tolerance = 0.0001, adjust = "model.width" }\n'
    )
    made = plan(load_study(write(text)))
    assert [arm.name for arm in made.arms] == ["baseline", "shift=false"]
    assert made.refusals[0].reason.startswith("no model.width brings its params within 0.0 %")
