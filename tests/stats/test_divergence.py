"""Divergence is an answer: shares of seeds against hand and SciPy, the word, labels, bounds."""

import numpy as np
import pytest
from scipy import stats

from swinablate.stats import Contrast, Hypothesis
from swinablate.stats.seeds.shares import fisher, least, shares, tarone
from tests.stats.test_verdict import FIVE, TEN, judge, words

BASE = 90 + 0.3 * TEN
ARM = 80 + 0.3 * FIVE


def lost(arm, *seeds):
    return {(arm, seed): "diverged" for seed in seeds}


@pytest.mark.parametrize(
    "table",
    [(0, 5, 0, 10), (5, 5, 0, 10), (3, 5, 1, 10), (1, 3, 4, 6), (2, 8, 2, 8), (0, 3, 6, 6)],
)
def test_fishers_exact_test_is_scipys(table):
    a, n, b, m = table
    assert fisher(*table) == pytest.approx(stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue)


def test_the_smallest_possible_p_is_that_of_the_most_extreme_table():
    for total in range(16):
        reached = [fisher(a, 5, total - a, 10) for a in range(6) if 0 <= total - a <= 10]
        assert least(total, 5, 10) == pytest.approx(min(reached))


def test_tarone_counts_only_what_could_be_found():
    """Of four tests two can reach 0.05 / 2, so each is judged at 0.05 / 2; Bonferroni had 0.05 / 4."""
    floors = [0.3, 1.0, 0.003, 0.02]
    assert tarone([0.3, 1.0, 0.024, 0.02], floors, 0.05) == [False, False, True, True]
    assert tarone([0.3, 1.0, 0.026, 0.02], floors, 0.05) == [False, False, False, True]
    assert tarone([0.04], [0.04], 0.05) == [True]
    assert tarone([], [], 0.05) == []


def test_arms_that_never_diverged_are_no_comparisons():
    quiet = {f"quiet {i}": (0, 5) for i in range(50)}
    found = shares({"odd": (3, 5), **quiet}, (0, 10), 0.05)
    assert list(found) == ["odd"]
    assert found["odd"].p == pytest.approx(10 / 455)
    assert found["odd"].fails
    crowd = {f"odd {i}": (3, 5) for i in range(3)}
    assert not any(share.fails for share in shares(crowd, (0, 10), 0.05).values())


def test_an_arm_that_always_diverges_and_a_baseline_that_never_does_need_no_p():
    crowd = {f"odd {i}": (3, 3) for i in range(20)}
    assert all(share.fails for share in shares(crowd, (0, 3), 0.05).values())
    assert not any(share.fails for share in shares(crowd, (1, 3), 0.05).values())


def test_every_seed_diverged():
    asked = (
        Hypothesis("a", "worse", 3.0),
        Hypothesis("a", "equivalent"),
        Hypothesis("a", "better"),
    )
    found = judge({"baseline": BASE, "a": ARM}, lost("a", *range(5)), hypotheses=asked)
    (arm,) = found.arms
    assert (arm.verdict, arm.mean, arm.delta_pp, arm.divergence_high) == (
        "fails to train", None, None, 1.0,
    )  # fmt: skip
    assert arm.sentence == (
        "a fails to train: it diverged on 5 of 5 seeds, the baseline on 0 of 10 "
        "(Fisher's exact p = 0.00033)."
    )
    assert [h.answer for h in arm.hypotheses] == ["supported", "contradicted", "contradicted"]
    entry = found.to_json()["arms"][0]
    assert entry["divergence"] == {
        "arm": "a", "diverged": 5, "seeds": 5, "baseline": 0, "baseline_seeds": 10,
        "p": pytest.approx(1 / 3003), "beyond": True,
    }  # fmt: skip
    assert "an arm fails to train if its seeds diverged more often than" in found.methods


def test_some_seeds_diverged_beyond_chance():
    asked = (Hypothesis("a", "worse"), Hypothesis("a", "worse", 3.0))
    arms = {"baseline": BASE, "a": ARM}
    (arm,) = judge(arms, lost("a", 0, 1, 2), hypotheses=asked).arms
    assert (arm.verdict, arm.n, arm.diverged) == ("fails to train", 2, 3)
    assert [h.answer for h in arm.hypotheses] == ["supported", "unresolved"]


def test_shares_that_chance_explains_leave_the_verdict_to_the_mean_given_convergence():
    found = judge({"baseline": BASE, "a": ARM, "b": ARM}, lost("a", 1))
    a, b = found.arms
    assert (a.verdict, a.reason, a.n, a.diverged, b.verdict) == ("worse", None, 4, 1, "worse")
    # Wilson, 1 of 5: Newcombe, Statist. Med. 17 (1998), method 3.
    assert (a.divergence_low, a.divergence_high) == pytest.approx((0.0362, 0.6245), abs=1e-4)
    kept = ARM[[0, 2, 3, 4]].mean()
    assert a.delta_pp == pytest.approx(kept - 90)
    assert (a.worst_low, a.worst_high) == pytest.approx((0.8 * kept - 90, kept - 90))
    assert a.sentence.startswith("a lowers test accuracy by 9.95 pp given convergence (95 %")
    assert a.sentence.endswith(
        "; 4 seeds vs 10 baseline seeds): worse. It diverged on 1 of 5 seeds, the baseline on "
        "0 of 10 (Fisher's exact p = 0.33); were those anything from 0 % to the mean of the "
        "others, the difference would lie between -25.96 and -9.95 pp."
    )
    entries = found.to_json()["arms"]
    assert entries[0]["given_convergence"] is True
    keys = {"given_convergence", "worst_low", "worst_high", "divergence"}
    assert keys <= entries[0].keys()
    assert not keys & entries[1].keys()  # where nothing diverged, nothing is said of it


def test_the_worst_case_vetoes_nothing():
    arms = {"baseline": BASE, "a": BASE[:5] + 5}
    (arm,) = judge(arms, lost("a", 1)).arms
    assert arm.worst_low < 0 < arm.worst_high
    assert arm.verdict == "better"


def test_one_diverged_baseline_seed_silences_nobody():
    arms = {"baseline": BASE, "a": ARM, "b": 90 + 0.3 * FIVE}
    found = judge(arms, lost("baseline", 9), rope_pp=1.0)
    assert words(found) == {"a": "worse", "b": "equivalent"}
    a = found.arms[0]
    assert (a.given_convergence, a.n, found.baseline.n) == (True, 5, 9)
    mean = BASE[:9].mean()
    assert (a.worst_low, a.worst_high) == pytest.approx((80 - mean, 80 - 0.9 * mean))


def test_a_baseline_that_fails_more_often_than_an_arm_is_said():
    (arm,) = judge({"baseline": BASE, "a": ARM}, lost("baseline", *range(6))).arms
    assert arm.verdict == "undecided"
    assert arm.reason.startswith("the baseline fails more often: a diverged on 0 of 5 seeds")


def test_too_few_seeds_left_are_not_judged():
    arms = {"baseline": 90 + np.array([-0.3, 0, 0.3]), "a": 80 + np.array([-0.3, 0, 0.3])}
    (arm,) = judge(arms, lost("a", 0)).arms
    assert arm.verdict == "undecided"
    assert arm.reason == "a diverged on 1 of 3 seeds, and 3 are needed that did not"


def test_one_arm_and_a_baseline_that_both_diverged_keep_their_degrees_of_freedom():
    """No arm is left to pool: Welch's t of what is left, to the last digit."""
    arms = {"baseline": BASE, "a": ARM}
    (arm,) = judge(arms, lost("a", 1) | lost("baseline", 9)).arms
    t = stats.ttest_ind(ARM[[0, 2, 3, 4]], BASE[:9], equal_var=False)
    assert (arm.df, arm.p) == pytest.approx((t.df, t.pvalue))


def test_a_contrast_of_an_arm_that_fails_to_train_has_no_verdict_and_others_have():
    arms = {"baseline": BASE, "a": ARM, "b": 88 + 0.3 * FIVE}
    steps = tuple(
        Contrast(name=f"{x} - {y}", kind="step", family="path", weights={x: 1.0, y: -1.0})
        for x, y in (("b", "a"), ("b", "baseline"))
    )
    found = judge(arms, lost("a", *range(5)), contrasts=steps)
    one, other = found.contrasts[2:]
    assert one.verdict == "undecided"
    assert one.reason.startswith("a fails to train: it diverged on 5 of 5 seeds")
    assert (other.verdict, other.given_convergence) == ("worse", False)


def test_divergence_waits_for_the_study_and_for_retries():
    arms = {"baseline": BASE, "a": ARM}
    whole = lost("a", 0, 1, 2, 3)
    assert words(judge(arms, lost("a", *range(5)), complete=False)) == {"a": "pending"}
    found = judge(arms, whole | {("a", 4): "failed"})
    assert (found.arms[0].verdict, found.arms[0].reason) == (
        "undecided", "a failed on 1 of 5 seeds: retry them",
    )  # fmt: skip
