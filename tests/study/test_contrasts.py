"""Comparisons that a study file declares: read, refused, planned, and what they confound."""

import json

import pytest

from swinablate.cli.app import main
from swinablate.errors import InputError
from swinablate.stats import detectable
from swinablate.study.arms.confounding import between, confounded
from swinablate.study.declared import comparisons_of
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY

VIT = RECIPE.replace('family = "swin"', 'family = "vit"').replace(
    "depths = [2]\nheads = [2]\nwindow = 2", "depth = 1\nheads = 2"
)
DEEP = """
[[arms]]
name = "deep"
changes = { "model.depths" = [3] }

[[arms]]
name = "deep, still"
changes = { "model.depths" = [3], "model.shift" = false }
"""
GAP = """
[[contrasts]]
name = "shift, deep less shallow"
of = { "deep, still" = 1, "deep" = -1, "shift=false" = -1, "baseline" = 1 }
"""


def planned(path):
    return plan(load_study(path))


def record(path):
    return plan_record(planned(path), {}, Noise(sd=0.4, source="a test"))


def refused(path) -> InputError:
    with pytest.raises(InputError) as caught:
        record(path)
    assert "study.toml" in caught.value.at or "study" in caught.value.at
    assert caught.value.hint
    return caught.value


def test_a_difference_of_differences_is_declared_and_recorded(write):
    made = record(write(STUDY + DEEP + GAP))
    (one,), lost = comparisons_of(made)
    assert one.weights == {"deep, still": 1, "deep": -1, "shift=false": -1, "baseline": 1}
    assert (one.family, lost) == ("contrasts", {})
    assert made.effects_pp.keys() == {"contrasts"}
    assert made.between == {"shift, deep less shallow": "model.depths x model.shift"}
    read = type(made).model_validate_json(json.dumps(made.to_json()))
    assert read.contrasts == made.contrasts


def test_a_study_without_contrasts_is_recorded_and_declared_as_before(write):
    made = record(write())
    assert not {"contrasts", "between", "confounded"} & made.to_json().keys()
    assert "against" not in made.to_json()["arms"][1]


def test_contrasts_change_the_declaration_and_no_trial(write):
    without, beside = (planned(write(STUDY + DEEP + more)) for more in ("", GAP))
    assert without.declaration != beside.declaration
    assert [t.id for t in without.trials] == [t.id for t in beside.trials]
    against = DEEP + 'against = "deep"\n'
    other = planned(write(STUDY + against))
    assert other.declaration not in {without.declaration, beside.declaration}
    assert [t.id for t in other.trials] == [t.id for t in without.trials]


def test_an_arm_is_compared_with_another_instead(write):
    made = record(write(STUDY + DEEP + 'against = "deep"\n'))
    (one,), _ = comparisons_of(made)
    assert (one.name, one.kind, one.weights) == (
        "deep, still", "arm", {"deep, still": 1.0, "deep": -1.0},
    )  # fmt: skip
    assert made.confounded == {}  # against the baseline two things would change
    alone = record(write(STUDY + DEEP))
    # Three comparisons with the baseline, and two.
    found = [one.detectable_pp for one in (alone, made)]
    assert found == [round(detectable(3, 3, m, 0.4), 3) for m in (3, 2)]


def test_a_study_may_compare_nothing_with_the_baseline(write):
    text = STUDY.partition("[axes]")[0] + DEEP.replace(
        '"deep"\nchanges', '"deep"\nagainst = "deep, still"\nchanges'
    )
    made = record(write(text + 'against = "deep"\n'))
    assert made.detectable_pp == made.effects_pp["contrasts"]


@pytest.mark.parametrize(
    ("more", "at", "problem", "hint"),
    [
        (GAP.replace("= 1, \"deep\"", "= 2, \"deep\""), "contrasts: 'shift, deep less shallow': of",
         "the weights 2, -1, -1, 1 sum to 1", "sum to 0"),
        (GAP.replace('"deep" = -1', '"depe" = -1'), "contrasts: 'shift, deep less shallow': of",
         "no arm is called 'depe'", "did you mean 'deep'?"),
        (GAP + GAP, "contrasts", "is the name of something else, too", "another name"),
        (GAP + GAP.replace("shift, deep less", "again, deep less"), "contrasts", "is the same as",
         "once"),
        (GAP.replace("shift, deep less shallow", "shift=false"), "contrasts",
         "an arm is called 'shift=false', too", "another name"),
        (GAP.replace("shift, deep less shallow", "deep"), "contrasts",
         "'deep' is the name of something else", "another name"),
        (GAP.replace("shift, deep less shallow", "a/b"), "contrasts",
         "'a/b' cannot name a contrast", "letters"),
        ('[[hypotheses]]\ncontrast = "gap"\nexpect = "better"\n', "hypotheses",
         "no contrast is called 'gap'", "[[contrasts]]"),
        (GAP + '[[hypotheses]]\ncontrast = "gap"\nexpect = "better"\n', "hypotheses",
         "no contrast is called 'gap'", "known: shift, deep less shallow"),
        ('[[hypotheses]]\nexpect = "better"\n', "hypotheses.0",
         "a hypothesis is about one arm or one contrast", "write arm"),
        (GAP.replace("of =", "off ="), "contrasts.0", "unknown key 'off'", "did you mean 'of'?"),
        (GAP.replace('"deep" = -1', '"deep" = "-1"'), "contrasts.0.of.deep", "expected a number",
         "without quotes"),
        ('[[arms]]\nname = "x"\nchanges = { "model.window" = 4 }\nagainst = "dep"\n',
         "arms: 'x': against", "no arm is called 'dep'", "did you mean 'deep'?"),
        ('[[arms]]\nname = "x"\nchanges = { "model.window" = 4 }\nagainst = "x"\n',
         "arms: 'x': against", "it is compared with itself", "leave"),
        ('[[arms]]\nname = "x"\nchanges = { "model.window" = 4 }\nagainst = "baseline"\n',
         "arms: 'x': against", "it is compared with the baseline, as every arm is", "leave"),
    ],
)  # fmt: skip
def test_what_is_no_comparison_is_refused(write, more, at, problem, hint):
    error = refused(write(STUDY + DEEP + more))
    assert error.at.endswith(at)
    assert problem in error.problem
    assert hint in error.hint


def test_a_refusal_ends_with_2_and_starts_nothing(write, capsys, tmp_path):
    path = write(STUDY + DEEP + GAP.replace('"baseline" = 1', '"baseline" = 3'))
    assert main(["run", str(path), "--home", str(tmp_path / "home")]) == 2
    said = capsys.readouterr().err
    assert "contrasts: 'shift, deep less shallow': of: the weights 1, -1, -1, 3 sum to 2" in said
    assert not (tmp_path / "home").exists()


def test_a_contrast_called_like_an_effect_of_the_design_is_refused(write):
    text = STUDY.replace("seeds = 3", 'design = "factorial"\nseeds = 3', 1)
    text += '"model.norm" = ["batch"]\n' + DEEP
    error = refused(
        write(text + GAP.replace("shift, deep less shallow", "shift=false x norm=batch"))
    )
    assert "an effect of the design is called" in error.problem


def test_a_contrast_of_an_arm_that_cannot_run_is_lost_and_the_rest_goes_on(write):
    text = STUDY + DEEP.replace("[3], ", "[3, 3], ") + GAP
    made = record(write(text))
    assert comparisons_of(made) == ((), {"shift, deep less shallow": "deep, still cannot be run"})
    said = [w.text for w in made.warnings if w.code == "W14"]
    assert said == ["shift, deep less shallow cannot be estimated: deep, still cannot be run."]


def test_an_arm_against_one_that_cannot_run_is_refused_with_it(write):
    text = STUDY + DEEP.replace('"model.depths" = [3] }', '"model.depths" = [3, 3] }', 1)
    chain = '[[arms]]\nname = "last"\nchanges = { "model.window" = 4 }\nagainst = "deep, still"\n'
    made = planned(write(text + 'against = "deep"\n' + chain))
    reasons = {one.name: one.reason for one in made.refusals}
    assert reasons["deep, still"] == "it is compared with 'deep', which is refused"
    assert reasons["last"] == "it is compared with 'deep, still', which is refused"
    assert [arm.name for arm in made.arms] == ["baseline", "shift=false"]


def test_an_arm_that_is_another_lends_its_results_to_a_contrast(write):
    """A Swin with one window over the grid has nothing to shift: 'still' is the baseline."""
    still = DEEP.replace('"deep"', '"still"').replace(
        '"model.depths" = [3] }', '"model.shift" = false }'
    )
    one = '[[contrasts]]\nname = "x"\nof = { "deep, still" = 1, "still" = -1 }\n'
    same = '[[contrasts]]\nname = "y"\nof = { "still" = 1, "baseline" = -1 }\n'
    text = STUDY.replace("[false]", "[true]").partition("[axes]")[0] + still + one + same
    made = record(write(text, RECIPE.replace("window = 2", "window = 4")))
    (found,), lost = comparisons_of(made)
    assert found.weights == {"deep, still": 1, "baseline": -1}
    assert lost == {"y": "its arms are the same network and training"}


def confusion(write, text, base=RECIPE):
    made = planned(write(text, base))
    return confounded(made), between(made)


def test_two_changes_between_two_sides_are_named(write):
    text = STUDY + DEEP + (
        '[[contrasts]]\nname = "mixed"\nof = { "deep" = 1, "shift=false" = -1 }\n'
        '[[contrasts]]\nname = "plain"\nof = { "deep, still" = 1, "deep" = -1 }\n'
    )  # fmt: skip
    said, about = confusion(write, text)
    assert said == {
        "deep, still": "2 changes at once, model.depths, model.shift",
        "mixed": "2 changes at once, model.depths, model.shift",
    }
    assert about == {"mixed": "model.depths + model.shift", "plain": "model.shift"}


def test_fields_of_one_declared_switch_are_one_change(write):
    text = STUDY + '"model" = [{ depths = [2, 2], heads = [2, 2] }]\n'
    assert confusion(write, text) == ({}, {})


def test_a_difference_of_differences_that_changes_two_things_is_named(write):
    arms = DEEP.replace("[3] }", '[3], "train.batch" = 16 }').replace(
        '"model.shift" = false }', '"model.shift" = false, "train.batch" = 16 }'
    )
    said, _ = confusion(write, STUDY + arms + GAP)
    name = "shift, deep less shallow"
    assert (
        said[name]
        == "2 interactions at once, model.depths x model.shift, model.shift x train.batch"
    )


def test_a_family_is_one_change_and_what_was_matched_is_named_beside_it(write, tmp_path):
    (tmp_path / "vit.toml").write_text(VIT)
    arm = '\n[[arms]]\nname = "ViT"\nrecipe = "vit.toml"\n'
    match = 'match = { by = "params", tolerance = 0.2, adjust = "model.width" }\n'
    lr = 'changes = { "train.lr" = 0.01 }\n'
    assert confusion(write, STUDY + arm)[0] == {}
    assert confusion(write, STUDY + arm + match)[0] == {}
    said = confusion(write, STUDY + arm + lr + match)[0]["ViT"]
    assert said.startswith(
        "2 changes at once, train.lr, the model of vit (and model.width to match"
    )


def test_a_recipe_of_which_only_the_model_is_taken_needs_no_data(write, tmp_path):
    (tmp_path / "vit.toml").write_text(VIT.partition("[data]")[0])
    arm = '\n[[arms]]\nname = "ViT"\nrecipe = "vit.toml"\n'
    path = write(STUDY + arm)
    made = {one.name: one for one in plan(load_study(path)).arms}
    assert made["ViT"].recipe.data == made["baseline"].recipe.data
    path.write_text(STUDY + arm + 'take = ["model", "data"]\n')
    with pytest.raises(InputError, match="key 'data' is missing"):
        load_study(path)


def test_parts_of_another_recipe_are_a_change_each(write, tmp_path):
    (tmp_path / "vit.toml").write_text(VIT.replace("batch = 32", "batch = 16"))
    arm = '\n[[arms]]\nname = "ViT"\nrecipe = "vit.toml"\ntake = ["model", "train"]\n'
    assert confusion(write, STUDY + arm)[0] == {
        "ViT": "2 changes at once, the model of vit, the train of vit"
    }


def test_plan_says_what_is_confounded_and_leaves_cells_to_the_design(write, capsys):
    text = STUDY.replace("seeds = 3", 'design = "factorial"\nseeds = 3', 1)
    text += '"model.norm" = ["batch"]\n' + DEEP + 'against = "deep"\n'
    assert main(["plan", str(write(text))]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 cells of the design" not in said
    assert "W22 1 cell of the design changes several switches at once" in said
    assert "deep, still 'deep, still' - deep model.shift" in said
    assert main(["plan", str(write(STUDY + DEEP)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (warning,) = [w["text"] for w in found["warnings"] if w["code"] == "W22"]
    assert warning == (
        "'deep, still' - baseline: 2 changes at once, model.depths, model.shift; a verdict is "
        "about all of it together."
    )
