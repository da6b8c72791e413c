"""Declared contrasts: against hand, numpy and statsmodels; lost arms; words; what is refused."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from swinablate import contrasts
from swinablate.errors import InputError
from swinablate.stats import Hypothesis, declared, instead
from swinablate.text import formula
from tests.stats.test_verdict import FIVE, TEN, frame, judge

GAP = {"A": 1, "B": -1, "C": -1, "D": 1}
FOUR = {"A": 90 + FIVE, "B": 88 + FIVE[::-1], "C": 80 + 2 * FIVE, "D": 81 + FIVE}
BASE = {"baseline": 85 + TEN, **FOUR}


def of(found, name):
    (one,) = [each for each in found.contrasts if each.contrast.name == name]
    return one


def lost(arm, seeds, how="diverged"):
    return {(arm, seed): how for seed in seeds}


def test_a_difference_of_differences_is_that_of_the_means():
    (gap,) = contrasts(frame(FOUR), {"gap": GAP}, method="welch-holm")
    assert gap.delta_pp == pytest.approx(90 - 88 - 80 + 81)
    # Variances 1, 1, 4, 1 over five seeds each: 7 / 5; Satterthwaite (7/5)^2 / (19/25 / 4).
    assert gap.se == pytest.approx((7 / 5) ** 0.5)
    assert gap.df == pytest.approx(49 * 4 / 19)
    half = stats.t.ppf(0.975, gap.df) * gap.se
    assert (gap.ci_low, gap.ci_high) == pytest.approx((3 - half, 3 + half))
    assert gap.verdict == "better"


def test_two_arms_are_compared_as_statsmodels_does():
    (one,) = contrasts(frame(FOUR), {"A over C": {"A": 1, "C": -1}}, method="welch-holm")
    theirs = CompareMeans(DescrStatsW(FOUR["A"]), DescrStatsW(FOUR["C"]))
    interval = theirs.tconfint_diff(usevar="unequal")
    assert (one.ci_low, one.ci_high) == pytest.approx(interval)
    assert one.p == pytest.approx(theirs.ttest_ind(usevar="unequal")[1])


def test_a_family_shares_one_error_rate_and_its_scale_is_what_the_weights_say():
    once = contrasts(frame(FOUR), {"gap": GAP}, method="welch-holm")[0]
    twice = {arm: 2 * weight for arm, weight in GAP.items()}
    both = contrasts(frame(FOUR), {"gap": twice, "A": {"A": 1, "B": -1}}, method="welch-holm")
    assert both[0].delta_pp == pytest.approx(2 * once.delta_pp)
    assert both[0].df == pytest.approx(once.df)
    half = stats.t.ppf(1 - 0.05 / 4, once.df) * 2 * once.se
    assert both[0].ci_high - both[0].delta_pp == pytest.approx(half)


def test_unequal_numbers_of_seeds_are_weighted_as_they_are():
    rng = np.random.default_rng(0)
    arms = {name: rng.normal(90, 1, n) for name, n in (("A", 4), ("B", 9), ("C", 6))}
    weights = {"A": 1.0, "B": 0.5, "C": -1.5}
    (one,) = contrasts(frame(arms), {"x": weights}, method="welch-holm")
    parts = np.array([weights[a] ** 2 * v.var(ddof=1) / len(v) for a, v in arms.items()])
    assert one.delta_pp == pytest.approx(sum(weights[a] * v.mean() for a, v in arms.items()))
    assert one.se == pytest.approx(parts.sum() ** 0.5)
    free = np.array([len(v) - 1 for v in arms.values()])
    assert one.df == pytest.approx(parts.sum() ** 2 / (parts**2 / free).sum())


def test_declared_contrasts_leave_the_arms_against_the_baseline_as_they_are():
    alone = judge(BASE, rope_pp=0.5)
    beside = judge(BASE, rope_pp=0.5, contrasts=(declared("gap", GAP),))
    assert [arm.to_json() for arm in beside.arms] == [arm.to_json() for arm in alone.arms]
    gap = of(beside, "gap").to_json()
    assert (gap["family"], gap["kind"], gap["weights"]) == ("contrasts", "contrast", GAP)
    assert gap["sentence"].startswith("gap: better, above 0 (+3.00 pp, 95 % simultaneous CI ")
    assert "A + D - B - C, 5 seeds an arm" in gap["sentence"]
    assert "1 contrast of arms was declared beside them" in beside.methods


def test_an_arm_against_another_leaves_the_family_of_the_baseline():
    """Three comparisons with the baseline are three, whatever else is declared."""
    alone = judge({name: BASE[name] for name in BASE if name != "B"}, method="shrunken")
    moved = judge(BASE, contrasts=(instead("B", "A"),), method="shrunken")
    families = [(each.contrast.name, each.contrast.family) for each in moved.contrasts]
    assert families == [("A", "arms"), ("C", "arms"), ("D", "arms"), ("B", "contrasts")]
    arms = {arm.name: arm for arm in moved.arms}
    assert list(arms) == ["A", "B", "C", "D"]
    assert arms["A"].ci_low == alone.arms[0].ci_low
    assert (arms["B"].against, arms["B"].verdict) == ("A", "worse")
    assert arms["B"].delta_pp == pytest.approx(-2)
    assert "against" not in arms["A"].to_json()
    assert arms["B"].to_json()["against"] == "A"
    assert arms["B"].sentence.startswith("B lowers test accuracy by 2.00 pp against A (95 %")
    assert "5 seeds vs 5 seeds of A" in arms["B"].sentence


def test_equal_arms_are_equivalent_and_small_effects_negligible():
    arms = {"A": 90 + 0.1 * FIVE, "B": 90 + 0.1 * FIVE[::-1], "C": 90.3 + 0.1 * FIVE}
    wanted = {"same": {"A": 1, "B": -1}, "little": {"C": 1, "A": -1}}
    same, little = contrasts(frame(arms), wanted, rope=1.0)
    assert (same.verdict, little.verdict, little.negligible) == ("equivalent", "better", True)
    assert same.sentence.startswith("same: equivalent to 0 within 1 pp")
    assert "(negligible)" in little.sentence


def test_a_hypothesis_about_a_contrast_is_answered_from_its_interval():
    asked = tuple(
        Hypothesis("gap", expect, by)
        for expect, by in (("better", 0.2), ("worse", 0), ("better", 9))
    )
    found = judge(BASE, contrasts=(declared("gap", GAP),), hypotheses=asked, rope_pp=0.5)
    answers = [each.answer for each in of(found, "gap").hypotheses]
    assert answers == ["supported", "contradicted", "contradicted"]


def test_an_arm_that_diverged_on_every_seed_fails_beside_the_arm_it_is_compared_with():
    status = lost("A", range(5))
    wanted = (instead("A", "B"), declared("gap", GAP), declared("B over A", {"B": 1, "A": -1}))
    found = judge(BASE, status, contrasts=wanted)
    arm = {each.name: each for each in found.arms}["A"]
    assert (arm.verdict, arm.against) == ("fails to train", "B")
    assert "it diverged on 5 of 5 seeds, B on 0 of 5" in arm.sentence
    assert arm.to_json()["divergence"]["other"] == "B"
    gap, back = of(found, "gap"), of(found, "B over A")
    assert (gap.verdict, gap.delta_pp) == ("undecided", None)
    assert gap.reason.startswith("A fails to train: it diverged on 5 of 5 seeds, the baseline")
    assert back.verdict == "undecided"
    assert "other" not in judge(BASE, status).arms[0].to_json()["divergence"]


def test_where_both_arms_diverge_now_and_then_the_rest_is_judged_and_labelled():
    status = lost("A", [0]) | lost("B", [1])
    found = of(judge(BASE, status, contrasts=(declared("x", {"A": 1, "B": -1}),)), "x")
    assert found.given_convergence
    assert found.reason is None
    assert found.worst_low < found.delta_pp < found.worst_high
    assert "given convergence" in found.sentence


def test_an_arm_with_a_failed_trial_takes_its_contrasts_with_it():
    found = judge(BASE, lost("D", [2], "failed"), contrasts=(declared("gap", GAP),))
    gap = of(found, "gap")
    assert (gap.verdict, gap.reason) == ("undecided", "D failed on 1 of 5 seeds: retry them")
    assert "gap (A + D - B - C): undecided, because D failed" in gap.sentence


def test_what_is_unfinished_is_pending():
    planned = {name: len(values) for name, values in BASE.items()} | {"D": 6}
    found = judge(BASE, planned=planned, contrasts=(declared("gap", GAP),))
    assert of(found, "gap").verdict == "pending"


@pytest.mark.parametrize(
    ("weights", "said", "hint"),
    [
        ({"A": 1, "B": -2}, "the weights 1, -2 sum to -1", "sum to 0"),
        ({"A": 1}, "1 arm cannot be compared", "OTHER"),
        ({}, "0 arms cannot", "OTHER"),
        ({"A": 1, "B": -1, "C": 0}, "'C' has the weight 0", "leave the arm out"),
        ({"A": 1e9, "B": -1e9}, "'A' has the weight 1e\\+09", "up to 1000"),
        ({"A": float("nan"), "B": -1}, "'A' has the weight nan", "up to 1000"),
        ({"A": "1", "B": "-1"}, "'A' has the weight '1'", "write a number"),
        ({"A": 1, "Z": -1}, "no arm is called 'Z'", "arms of the table: A, B, C, D"),
    ],
)
def test_weights_of_no_difference_are_refused(weights, said, hint):
    with pytest.raises(InputError, match=said) as caught:
        contrasts(frame(FOUR), {"x": weights})
    assert hint in caught.value.hint
    assert "x" in caught.value.at


def test_thirds_may_be_written_with_ten_digits():
    third = 0.3333333333
    (one,) = contrasts(frame(FOUR), {"x": {"A": third, "B": third, "C": third, "D": -1}})
    assert one.delta_pp == pytest.approx((90 + 88 + 80) / 3 - 81, abs=1e-6)


def test_nothing_asked_is_nothing_answered():
    assert contrasts(frame(FOUR), {}) == []


def test_a_formula_reads_as_it_is_computed():
    assert formula({"B": -1, "A": 1}) == "A - B"
    assert formula({"deep, batch": 0.5, "A": 0.5, "C": -1}) == "0.5 x 'deep, batch' + 0.5 x A - C"
