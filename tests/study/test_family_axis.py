"""A recipe as the level of an axis: named by its file, crossed with others, refused cell by cell."""

import pytest

from swinablate.config.recipe import trial_id
from swinablate.config.variants import digests
from swinablate.errors import InputError
from swinablate.records.plan import RefusalRecord
from swinablate.study.arms.designs import SHOWS
from swinablate.study.declared import assumed, effects_of, shows
from swinablate.study.files import load_study, smoke
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import STUDY
from tests.study.test_contrasts import VIT

HEAD = STUDY.partition("[axes]")[0]
CROSSED = HEAD.replace("seeds = 3", 'design = "factorial"\nseeds = 3', 1)
AXIS = '[axes]\n"recipe" = ["nets/vit.toml"]\n'


@pytest.fixture
def nets(tmp_path):
    folder = tmp_path / "nets"
    folder.mkdir()
    (folder / "vit.toml").write_text(VIT)
    return folder


def planned(path):
    return plan(load_study(path))


def test_a_family_is_a_level_named_by_its_file(write, nets):
    found = planned(write(HEAD + AXIS))
    assert [arm.name for arm in found.arms] == ["baseline", "recipe=vit"]
    arm = found.arms[1]
    assert arm.changes == {"recipe": "vit"}
    assert (arm.recipe.model.family, arm.cell) == ("vit", True)
    assert arm.recipe.train == found.arms[0].recipe.train


def test_it_is_the_trial_that_a_named_arm_would_be(write, nets):
    axis = planned(write(HEAD + AXIS)).arms[1]
    named = planned(write(HEAD + '[[arms]]\nname = "ViT"\nrecipe = "nets/vit.toml"\n')).arms[1]
    assert trial_id(axis.recipe, 0) == trial_id(named.recipe, 0)


def test_other_axes_apply_on_top_of_its_fields(write, nets):
    found = planned(write(CROSSED + AXIS + '"model.mlp_ratio" = [2.0]\n"train.lr" = [0.01]\n'))
    assert len(found.arms) == 8
    arm = {a.name: a for a in found.arms}["recipe=vit, mlp_ratio=2.0, lr=0.01"]
    assert (arm.recipe.model.family, arm.recipe.model.mlp_ratio) == ("vit", 2.0)
    assert arm.recipe.train.lr == 0.01
    told, lost = effects_of(plan_record(found, {}, Noise(sd=None, source="")))
    assert "recipe=vit x mlp_ratio=2.0" in {c.name for c in told}
    assert lost == ()


def test_a_switch_that_the_family_lacks_refuses_the_cell_alone(write, nets):
    found = planned(write(CROSSED + AXIS + '"model.shift" = [false]\n'))
    assert [arm.name for arm in found.arms] == ["baseline", "shift=false", "recipe=vit"]
    (refusal,) = found.refusals
    assert (refusal.name, refusal.cell) == ("recipe=vit, shift=false", True)
    assert refusal.reason.startswith("no switch is called 'model.shift'")
    warnings = plan_record(found, {}, Noise(sd=None, source="")).warnings
    (text,) = [w.text for w in warnings if w.code == "W14"]
    assert text == (
        "not estimable from the cells that can be run: recipe=vit; shift=false; "
        "recipe=vit x shift=false."
    )


def test_three_switches_tell_what_they_can_and_say_what_they_assume(write, nets):
    text = CROSSED + AXIS + '"model.shift" = [false]\n"train.lr" = [0.01]\n'
    made = plan_record(planned(write(text)), {}, Noise(sd=None, source=""))
    said = [w.text for w in made.warnings if w.code == "W14"]
    assert len(said) == 2
    assert said[1].endswith(
        "as if no three switches acted together: lr=0.01; recipe=vit x lr=0.01; "
        "shift=false x lr=0.01."
    )


def test_a_refused_cell_takes_its_average_from_every_effect_and_the_methods_say_so(write):
    """2 x 2 x 2 without one cell: what is told assumes that no three switches act together."""
    axes = '"model.shift" = [false]\n"model.position_bias" = ["none"]\n"model.norm" = ["batch"]\n'
    whole = plan_record(planned(write(CROSSED + "[axes]\n" + axes)), {}, Noise(sd=None, source=""))
    assert whole.shows == SHOWS["factorial"]
    gone = whole.arms[-1].name
    refusal = RefusalRecord(
        name=gone, changes=whole.arms[-1].changes, cell=True, reason="too large"
    )
    cut = whole.model_copy(update={"arms": whole.arms[:-1], "refusals": (refusal,)})
    told, lost = effects_of(cut)
    assert (len(told), lost) == (6, ())
    assert assumed(cut, told) == tuple(effect.name for effect in told)
    arms = {arm.name: {path.rpartition(".")[2] for path in arm.changes} for arm in whole.arms}
    pair = next(e for e in told if e.name == "shift=false x position_bias=none")
    # Of the levels of norm only the baseline's is averaged over: the other has no such cell.
    assert {arm for arm in pair.weights if "norm" in arms[arm]} == set()
    assert shows(cut).startswith(f"A factorial design without {gone}, which cannot be run, shows")
    assert "only if no three switches act together" in shows(cut)
    both = shows(cut, ["shift=false"])
    assert f"without {gone}, which cannot be run, and shift=false, which failed to train, " in both


def test_a_switch_of_the_other_family_is_a_cell_there_and_refused_here(write, nets):
    found = planned(write(CROSSED + AXIS + '"model.depth" = [2]\n'))
    assert [arm.name for arm in found.arms] == ["baseline", "recipe=vit", "recipe=vit, depth=2"]
    assert [one.name for one in found.refusals] == ["depth=2"]


@pytest.mark.parametrize(
    ("axes", "problem"),
    [
        ('"model.shfit" = [false]\n', "no switch is called 'model.shfit'"),
        ('"model.depth" = ["two"]\n', "no switch is called 'model.depth'"),
        ('"model.mlp_ratio" = ["wide"]\n', "expected a number"),
    ],
)
def test_what_no_family_takes_refuses_the_study(write, nets, axes, problem):
    with pytest.raises(InputError, match="axes") as caught:
        planned(write(CROSSED + AXIS + axes))
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("axis", "problem"),
    [
        ('"recipe" = []', "has no levels"),
        ('"recipe" = [3]', "expected the path of a recipe, got 3"),
        ('"recipe" = ["nets/none.toml"]', "no such file"),
        ('"recipe" = ["nets/vit.toml", "vit.toml"]', "two recipes are called 'vit'"),
        ('"recipe" = ["base.toml"]', "base is the baseline's own level"),
        ('"model.family" = ["vit"]', "a family alone has no sizes"),
    ],
)
def test_levels_that_are_no_other_recipes_are_refused(write, nets, tmp_path, axis, problem):
    (tmp_path / "vit.toml").write_text(VIT)
    with pytest.raises(InputError) as caught:
        planned(write(HEAD + f"[axes]\n{axis}\n"))
    assert problem in caught.value.problem
    assert caught.value.hint


def test_a_combination_of_levels_that_fit_alone_is_a_refused_cell(write):
    """Width 18 fits, four heads fit, and four heads do not divide 18 channels."""
    text = (
        CROSSED + '[axes]\n"model.width" = [18]\n"model.heads" = [[4]]\n"model.shift" = [false]\n'
    )
    found = planned(write(text))
    assert [one.name for one in found.refusals] == [
        "width=18, heads=(4)", "width=18, heads=(4), shift=false",
    ]  # fmt: skip
    assert "4 heads do not divide 18 channels" in found.refusals[0].reason
    assert len(found.arms) == 6


def test_smoke_runs_every_level(write, nets):
    path = write(HEAD + AXIS)
    assert len(plan(smoke(load_study(path, smoke=True))).arms) == 2


def test_the_files_of_levels_are_part_of_what_a_study_says(write, nets):
    path = write(HEAD + AXIS)
    before = digests(path)
    assert "nets/vit.toml" in before
    (nets / "vit.toml").write_text(VIT.replace("depth = 1", "depth = 2"))
    assert digests(path) != before
