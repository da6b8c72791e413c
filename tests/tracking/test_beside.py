"""Rows of arms at other scales and on other data sets, which a study's verdicts are not about."""

from dataclasses import replace

import pandas as pd
import pytest

from swinablate.tracking import beside, interim
from swinablate.tracking.cards import ArmCard, StudyCard

SEEDS = 3


def study(place, *names):
    """A baseline and an arm at home, and what `names` are called at another place."""
    recipe = {"model": {"family": "swin"}}
    home = {"baseline": ArmCard(planned=SEEDS, recipe=recipe)}
    home["shift=false"] = ArmCard(planned=SEEDS, recipe=recipe)
    away = {
        f"{name} at {place}": ArmCard(planned=SEEDS, recipe=recipe, place=place, home_name=name)
        for name in names
    }
    return StudyCard(
        name="s", dataset="d", declaration="0", question="?", commit=None, varied=(),
        arms=home | away,
    )  # fmt: skip


def trials(arm, *values, status="done"):
    rows = [
        {"arm": arm, "status": status if known else "waiting", "test_acc": value}
        for value in values
        for known in [value is not None]
    ]
    return pd.DataFrame(rows)


VERDICTS = {
    "baseline": {"name": "baseline", "n": SEEDS, "mean": 90.0, "sd": 1.0},
    "arms": [{"name": "shift=false", "se": 0.3, "delta_pp": -1.0, "verdict": "worse"}],
}
RUNG = {"value": 8.0, "effect": -2.5, "ci_low": -3.0, "ci_high": -2.0}
TREND = {
    "arm": "shift=false", "against": "baseline", "answer": "grows", "why": "",
    "rungs": [{"rung": "width=24", **RUNG, "effect": 9.0}, {"rung": "width=48", **RUNG}],
}  # fmt: skip
ON = {"delta_pp": -2.5, "ci_low": -3.0, "ci_high": -2.0, "negligible": False}
SETS = {
    "arm": "shift=false", "against": "",
    "sets": [{"dataset": "shapes", **ON, "verdict": "worse"},
             {"dataset": "d", **ON, "verdict": "better"}],
}  # fmt: skip


def row_of(place, verdicts, arm="shift=false", values=(87.0, 88.0, 89.0)):
    found = beside.rows(study(place, arm), verdicts, trials(f"{arm} at {place}", *values))
    return found[0] if found else None


def test_an_arm_at_another_rung_has_its_effect_there_and_the_answer_of_its_trend():
    found = row_of("width=48", VERDICTS | {"scale": [TREND]})
    assert (found["name"], found["n"], found["mean"]) == ("shift=false at width=48", SEEDS, 88.0)
    assert (found["delta_pp"], found["ci_low"], found["ci_high"]) == (-2.5, -3.0, -2.0)
    assert found["verdict"] == "trend: grows"
    assert interim.state(found) == "FINISHED"
    assert "against" not in found  # the baseline's name says nothing


def test_while_the_trend_waits_its_rungs_do():
    waits = TREND | {"why": "pending: 1 trial missing", "answer": "cannot tell"}
    found = row_of("width=48", VERDICTS | {"scale": [waits]}, values=(87.0, 88.0, None))
    assert (found["verdict"], found["n"]) == ("pending", 2)
    assert "delta_pp" not in found
    assert interim.state(found) == "SCHEDULED"


def test_the_trend_at_tuned_recipes_is_not_of_trials_at_fixed_ones():
    tuned = TREND | {"basis": "tuned", "arm": "shift=false", "answer": "shrinks"}
    fixed = TREND | {"basis": "fixed"}
    assert row_of("width=48", VERDICTS | {"scale": [tuned, fixed]})["verdict"] == "trend: grows"


def test_an_arm_on_another_data_set_has_its_verdict_there():
    found = row_of("shapes", VERDICTS | {"datasets": [SETS]})
    assert (found["verdict"], found["delta_pp"]) == ("worse", -2.5)


def test_what_an_arm_is_compared_with_is_said_where_it_is_not_the_baseline():
    found = row_of("shapes", VERDICTS | {"datasets": [SETS | {"against": "shift=true"}]})
    assert found["against"] == "shift=true"


@pytest.mark.parametrize("block", ["scale", "datasets"])
def test_a_baseline_elsewhere_is_one(block):
    found = row_of("width=48", VERDICTS | {block: []}, "baseline")
    assert (found["verdict"], interim.state(found)) == ("baseline", "FINISHED")


def test_arms_at_home_and_those_of_which_nothing_ended_have_no_row_here():
    assert row_of("width=48", VERDICTS | {"scale": [TREND]}, values=(None, None, None)) is None
    at_home = trials("shift=false", 1.0, 2.0)
    assert beside.rows(study("width=48", "shift=false"), VERDICTS, at_home) == []


def test_seeds_that_were_lost_are_counted():
    some = pd.concat(
        [
            trials("shift=false at width=48", 88.0),
            trials("shift=false at width=48", 0.0, status="diverged"),
        ]
    )
    (found,) = beside.rows(study("width=48", "shift=false"), VERDICTS | {"scale": [TREND]}, some)
    assert (found["n"], found["diverged"], found["mean"]) == (1, 1, 88.0)


def test_means_are_on_the_scale_of_the_study():
    card = replace(study("width=48", "shift=false"), unit="log odds")
    rows = trials("shift=false at width=48", 50.0, 50.0).assign(test_images=100)
    verdicts = VERDICTS | {"scale": [TREND], "unit": "log odds"}
    (found,) = beside.rows(card, verdicts, rows)
    assert (found["mean"], found["unit"]) == (0.0, "log odds")


def tuned(verdict, **tuning):
    """Verdicts of a study that tunes; of one tuning an arm unless `repeats` are given."""
    arms = [
        {"name": name, "n": n, "mean": 80.0 + n, "sd": 1.0, "planned": 4}
        for name, n in (("baseline", 4), ("shift=false", 3), ("norm=batch", 0))
    ]
    effect = {"kind": "arm", "basis": "tuned", "delta_pp": -1.0, "ci_low": -2.0, "ci_high": -0.5}
    other = {**effect, "basis": "fixed", "name": "shift=false, tuned", "verdict": "better"}
    return VERDICTS | {
        "tuning": {"arms": arms, **tuning},
        "contrasts": [{**effect, "name": "shift=false, tuned", "verdict": verdict}, other],
    }


@pytest.mark.parametrize(
    ("verdict", "tuning", "shown", "state"),
    [
        ("worse", {"repeats": 3}, "worse", "FINISHED"),
        ("undecided", {}, "none: given the recipes found", "FINISHED"),
        ("pending", {}, "pending", "SCHEDULED"),
    ],
)
def test_tuned_arms_have_rows_of_their_own(verdict, tuning, shown, state):
    card = study("width=48")
    baseline, arm = beside.rows(card, tuned(verdict, **tuning), pd.DataFrame())
    assert (baseline["name"], baseline["verdict"]) == ("baseline, tuned", "baseline")
    assert (arm["name"], arm["mean"], arm["delta_pp"]) == ("shift=false, tuned", 83.0, -1.0)
    assert (arm["verdict"], interim.state(arm)) == (shown, state)
    assert interim.done(card, arm) == "3 of 4"
