"""Levels that are what their switch takes, and that the rest of an arm does not go with."""

import json

import pytest

from swinablate.cli.app import main
from swinablate.config.complaints import Unfit
from swinablate.errors import InputError
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import STUDY

DEPTHS = '"model.depths" = [[2, 2]]\n'


def planned(path, *settings):
    return plan(load_study(path, settings))


def test_a_level_that_does_not_fit_refuses_its_arm_alone(write):
    found = planned(write(STUDY + DEPTHS + '"train.accumulate" = [2, 33]\n'))
    assert [arm.name for arm in found.arms] == ["baseline", "shift=false", "accumulate=2"]
    assert {one.name: (one.reason, one.same_as, one.cell) for one in found.refusals} == {
        "depths=(2,2)": ("heads has 1 entries, depths has 2; give both one entry per stage", None, True),
        "accumulate=33": (
            "a batch of 32 has no 33 parts; lower accumulate or raise batch", None, True,
        ),
    }  # fmt: skip


def test_the_other_arms_keep_their_trials(write):
    (alone, both) = (planned(write(STUDY + more)) for more in ("", DEPTHS))
    assert [trial.id for trial in alone.trials] == [trial.id for trial in both.trials]


def test_two_levels_that_fit_together_are_an_arm_of_a_factorial_design(write):
    text = STUDY.replace('"model.shift" = [false]', DEPTHS + '"model.heads" = [[2, 2]]')
    found = planned(write(text.replace("seeds = 3", 'design = "factorial"\nseeds = 3', 1)))
    assert [arm.name for arm in found.arms] == ["baseline", "depths=(2,2), heads=(2,2)"]
    assert [one.name for one in found.refusals] == ["heads=(2,2)", "depths=(2,2)"]


def test_a_named_arm_that_does_not_fit_is_refused_alone(write):
    text = STUDY + '\n[[arms]]\nname = "deep"\nchanges = { "model.depths" = [2, 2] }\n'
    found = planned(write(text))
    assert len(found.arms) == 2
    ((name, cell),) = [(one.name, one.cell) for one in found.refusals]
    assert (name, cell) == ("deep", False)


def test_a_refused_arm_stands_in_the_plan_and_ends_with_0(write, capsys):
    assert main(["plan", str(write(STUDY + DEPTHS)), "--json"]) == 0
    (refusal,) = json.loads(capsys.readouterr().out)["refusals"]
    assert (refusal["name"], refusal["changes"]) == ("depths=(2,2)", {"model.depths": [2, 2]})


def test_a_study_of_nothing_but_such_arms_is_refused(write):
    with pytest.raises(InputError, match="nothing is left to compare") as caught:
        planned(write(STUDY.replace('"model.shift" = [false]', DEPTHS)))
    assert "depths=(2,2): heads has 1 entries, depths has 2" in caught.value.hint


@pytest.mark.parametrize("level", ['"2"', "[-2]", "[2.5]", "true"])
def test_a_level_of_a_wrong_type_or_sign_refuses_the_study(level, write):
    with pytest.raises(InputError, match=r"study.toml: axes: model.depths") as caught:
        planned(write(STUDY + f'"model.depths" = [{level}]\n'))
    assert not isinstance(caught.value, Unfit)


def test_a_baseline_that_does_not_fit_refuses_the_study(write):
    with pytest.raises(InputError, match="heads has 1 entries, depths has 2"):
        planned(write(), "model.depths=[2, 2]")
