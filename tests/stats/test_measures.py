"""What a script's values are: told, known by a name, or asked for."""

import numpy as np
import pandas as pd
import pytest

from swinablate.errors import InputError
from swinablate.stats import contrasts, effects
from tests.stats.test_verdict import frame

HIGH = [89.0, 90.0, 91.0]
FRACTIONS = {"baseline": [0.931, 0.934, 0.929], "a": [0.911, 0.914, 0.909]}


def test_fractions_are_asked_about_and_judged_in_percent():
    table = frame(FRACTIONS)
    for asks in (effects, lambda table: contrasts(table, {"x": {"a": 1, "baseline": -1}})):
        with pytest.raises(InputError) as caught:
            asks(table)
        assert caught.value.problem == "all values lie in 0 to 1 (from 0.909 to 0.934)"
        assert 'unit="fraction" if 1 is all right' in caught.value.hint
    (told,) = effects(table, unit="fraction", rope=0.5)
    (same,) = effects(table.assign(value=(100 * table.value).round(10)), rope=0.5)
    assert (told, told.verdict, told.negligible) == (same, "worse", False)
    assert told.delta_pp == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("arms", "said", "problem"),
    [
        ({"baseline": HIGH, "a": [0.91, 0.92, 0.93]}, {}, "values in two units: 0.91 (a, seed 0)"),
        ({"baseline": HIGH, "a": [101, 91, 92]}, {"unit": "percent"}, "101 % of a is not a percent"),
        ({"baseline": HIGH, "a": HIGH}, {"unit": "fraction"}, "of baseline is not a fraction of 1"),
        ({"baseline": HIGH, "a": HIGH}, {"unit": "points"}, "unit = 'points' says nothing"),
        ({"baseline": HIGH, "a": HIGH}, {"better": "up"}, "better = 'up' says nothing"),
        ({"baseline": HIGH, "a": HIGH}, {"metric": "val_loss"}, "sounds as if lower were better"),
        ({"baseline": HIGH, "a": HIGH}, {"metric": "acc gap"}, "nothing says which way is good"),
        (FRACTIONS, {"metric": "zeta"}, "all values lie in 0 to 1"),
    ],
)  # fmt: skip
def test_a_script_is_asked_what_its_values_are(arms, said, problem):
    with pytest.raises(InputError) as caught:
        effects(frame(arms), **said)
    assert problem in caught.value.problem
    assert caught.value.hint


def test_what_a_name_does_not_say_is_taken_aloud():
    with pytest.warns(UserWarning, match="took 'zeta' for numbers without a unit and higher"):
        judged = effects(frame({"baseline": HIGH, "a": HIGH}), metric="zeta")
    assert judged.unit == "none"


def test_a_loss_is_better_when_it_is_lower_and_has_no_percentage_points():
    losses = {"baseline": [1.2, 1.21, 1.19], "a": [1.0, 1.01, 0.99]}
    judged = effects(frame(losses), metric="val_loss", better="lower", rope=0.05)
    assert (judged.unit, judged[0].verdict) == ("none", "better")
    assert "pp" not in judged[0].sentence
    assert "val_loss" in judged[0].sentence
    page = judged._repr_html_()
    assert "-0.200" in page
    assert ">1.0000<" in page
    assert "pp" not in page


def test_numbers_that_can_be_no_percentages_have_no_unit():
    for arms in ({"baseline": [-1, 0.4, 2], "a": [-3, -2, 0.5]}, {"baseline": HIGH, "a": [101, 109, 108]}):  # fmt: skip
        judged = effects(frame(arms))
        assert judged.unit == "none"
        assert "pp" not in judged[0].sentence
    assert effects(frame({"baseline": HIGH, "a": HIGH})).unit == "pp"


PLAIN = {"baseline": HIGH, "a": [88.0, 88.1, 88.3]}


@pytest.mark.parametrize(
    ("table", "said", "problem"),
    [
        ([1, 2], {}, "a list is no table"),
        (frame(PLAIN).assign(value=["90"] * 5 + ["high"]), {}, "value = 'high' is no number"),
        (frame(PLAIN).assign(value="90 %"), {}, "value = '90 %' is no number"),
        (frame(PLAIN).assign(arm=["baseline"] * 3 + [None] * 3), {}, "row 3: a row has no arm"),
        (frame(PLAIN).assign(seed=None), {}, "a row has no arm or no seed"),
        (pd.concat([frame(PLAIN), frame(PLAIN)[["value"]]], axis=1), {}, "'value' stands there twice"),
        (frame(PLAIN), {"method": "welsh"}, "no method is called 'welsh'"),
        (frame(PLAIN), {"rope": "0.5"}, "rope: '0.5' is no number"),
        (frame(PLAIN), {"alpha": 0.5}, "alpha: 0.5 is no error rate"),
        (frame(PLAIN), {"rope": 150.0}, "rope: 150 is more than any difference"),
    ],
)  # fmt: skip
def test_what_a_script_got_wrong_is_said_in_words(table, said, problem):
    with pytest.raises(InputError) as caught:
        effects(table, **said)
    assert problem in str(caught.value)
    assert caught.value.hint


def test_arms_that_are_numbers_and_sizes_of_numpy_are_understood():
    table = frame(PLAIN).assign(arm=[0] * 3 + [1] * 3)
    (arm,) = effects(table, 0, np.float32(0.05), np.int64(1))
    assert (arm.name, arm.verdict) == ("1", "undecided")


def test_no_p_is_0_in_a_notebook():
    far = frame({"baseline": 90 + 0.001 * np.arange(9), "a": 10 + 0.001 * np.arange(9)})
    page = effects(far)._repr_html_()
    assert ">0.0000<" not in page
    assert "&lt; 0.0001" in page


def test_a_slip_above_100_among_percentages_is_told():
    def slip(odd):
        rows = [(arm, seed, mean + seed / 5) for arm, mean in (("baseline", 90), ("x", 92))
                for seed in range(4)]  # fmt: skip
        return pd.DataFrame([*rows, ("x", 4, odd)], columns=["arm", "seed", "value"])

    said = r"since 1 of 9 lies above 100 \(101 of x, seed 4\); if they are percentages, mend it"
    with pytest.warns(UserWarning, match=said) as told:
        (arm,) = effects(slip(101.0))
    assert len(told) == 1
    assert told[0].filename == __file__
    many = slip(101.0).assign(value=lambda x: x.value + 8)
    with pytest.warns(
        UserWarning, match=r"4 of 9 lie above 100 \(100.2 of x, seed 1; .*; \.\.\.\)"
    ):
        effects(many)
    assert arm.delta_pp is not None
    with pytest.raises(InputError, match="value = 101 % of x is not a percentage"):
        effects(slip(101.0), unit="percent")
    for unit, odd in (("none", 101.0), (None, 100.0), (None, -1.0)):
        effects(slip(odd), unit=unit)  # warnings are errors here
