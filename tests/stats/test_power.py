"""How many seeds show a difference or equivalence, and how far what is called is exaggerated.

Every power is that of simulated studies judged by the product's own estimates; a tolerance is
three Monte-Carlo standard errors of 4,000 studies (.0063 at power .8), and half a point for the
1,000 studies that the answer itself rests on.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from swinablate.errors import InputError
from swinablate.stats import Declaration, Hypothesis, verdicts
from swinablate.stats.critical import t_quantile
from swinablate.stats.estimate import Cells, estimate
from swinablate.stats.paired import Pairs, estimate_pairs
from swinablate.stats.planned.exaggeration import LOW_POWER, exaggeration
from swinablate.stats.power import (
    baseline_of,
    detectable,
    detectable_at,
    fewest,
    fewest_to,
    last_look_needed,
    seeds_for_equivalence,
    seeds_needed,
    shown_margin,
    within_seeds,
)
from swinablate.stats.sequential.spending import nominal

STUDIES = 4000
CLOSE = 3 * (0.8 * 0.2 / STUDIES) ** 0.5 + 0.005


def studies(n, n_baseline, m, sd, effect=0.0):
    """Estimates of the first of m arms in simulated studies: (studies,) each."""
    rng = np.random.default_rng(n + 100 * m)
    seeds = np.array([n_baseline] + [n] * m, dtype=float)
    arms = [sd * rng.standard_normal((STUDIES, int(k))) for k in seeds]
    arms[1] += effect
    cells = Cells(
        mean=np.stack([arm.mean(1) for arm in arms], axis=-1),
        var=np.stack([arm.var(1, ddof=1) for arm in arms], axis=-1),
        n=seeds,
        declared=seeds,
        pooled=np.ones(m + 1, dtype=bool),
    )
    return estimate(cells, np.hstack([-np.ones((m, 1)), np.eye(m)]), alpha=0.05)


@pytest.mark.parametrize(("m", "n", "sd"), [(1, 5, 0.3), (2, 12, 0.8), (8, 5, 0.3), (16, 4, 2.0)])
def test_a_difference_and_a_margin_are_shown_with_the_power_that_is_said(m, n, sd):
    effect = detectable(n, 2 * n, m, sd)
    found = studies(n, 2 * n, m, sd, effect)
    power = np.mean(np.abs(found.delta[:, 0]) > found.half[:, 0])
    assert power == pytest.approx(0.8, abs=CLOSE)
    rope = shown_margin(n, 2 * n, m, sd)
    same = studies(n, 2 * n, m, sd)
    inside = np.mean(np.abs(same.delta[:, 0]) + same.half_equivalence[:, 0] < rope)
    assert inside == pytest.approx(0.8, abs=CLOSE)


@pytest.mark.parametrize(("rope", "m", "sd", "ratio"), [(0.5, 6, 0.8, 2), (0.5, 3, 0.4, 1)])
def test_the_seeds_named_are_the_fewest_that_do(rope, m, sd, ratio):
    for needed, reach in ((seeds_needed, detectable), (seeds_for_equivalence, shown_margin)):
        n = needed(rope, m, sd, baseline_ratio=ratio)
        assert reach(n, baseline_of(n, ratio), m, sd) <= rope
        assert reach(n - 1, baseline_of(n - 1, ratio), m, sd) > rope
    n = seeds_for_equivalence(rope, m, sd, baseline_ratio=ratio)
    same = studies(n, baseline_of(n, ratio), m, sd)
    inside = np.mean(np.abs(same.delta[:, 0]) + same.half_equivalence[:, 0] < rope)
    assert 0.8 - CLOSE < inside < 0.8 + CLOSE + 0.03  # one seed more than needed is the most


@pytest.mark.parametrize("size", [0.003, 0.02, 0.31, 0.5, 1.0, 3.0, 50.0])
@pytest.mark.parametrize(
    "reach",
    [
        lambda n, base: (1 / n + 1 / base) ** 0.5,  # as a mean with a known variance
        lambda n, base: float(t_quantile(0.99, n)) / n**0.5,  # few degrees of freedom
        lambda n, _: 1 / n,  # falls faster than a root
        lambda n, _: n**-0.1,  # and far more slowly
        lambda n, _: 2.0 - (n > 700),  # a step, where no root leads
        lambda n, _: float("nan") if n < 40 else 1 / n,
        lambda _, __: 0.0,
    ],
)
def test_roots_find_the_seeds_that_halving_finds_in_fewer_steps(reach, size):
    seen = []

    def counted(n: int, base: int) -> float:
        seen.append(n)
        return float(reach(n, base))

    expected = fewest(lambda n: reach(n, baseline_of(n)) <= size)
    assert fewest_to(size, counted) == expected
    assert len(seen) <= 30
    if expected and reach(4, 8) == pytest.approx(reach(1, 2) / 2):  # a root, and nothing else
        assert len(seen) <= 4


def test_equivalence_needs_more_seeds_than_a_difference_of_many_arms():
    assert seeds_for_equivalence(0.5, 6, 0.8) > seeds_needed(0.5, 6, 0.8)
    assert seeds_for_equivalence(0.25, 6, 0.8) > 3 * seeds_for_equivalence(0.5, 6, 0.8)
    assert seeds_for_equivalence(0.5, 6, 0.8, power=0.9) > seeds_for_equivalence(0.5, 6, 0.8)
    assert seeds_for_equivalence(1e-6, 6, 0.8) is None


@pytest.mark.parametrize("size", [0.0, -1.0])
def test_what_cannot_be_shown_is_refused(size):
    for needed in (seeds_needed, seeds_for_equivalence):
        with pytest.raises(InputError):
            needed(size, 6, 0.8)
    with pytest.raises(InputError):
        shown_margin(1, 2, 6, 0.8)


@pytest.mark.parametrize(("m", "n", "correlation"), [(4, 6, 0.6), (8, 8, 0.5)])
def test_within_seeds_the_power_is_that_of_the_paired_method(m, n, correlation):
    effect, rope = within_seeds(n, m, correlation)
    rng = np.random.default_rng(3)
    shared = correlation**0.5 * rng.standard_normal((STUDIES, n, 1))
    values = shared + (1 - correlation) ** 0.5 * rng.standard_normal((STUDIES, n, m + 1))
    gap = values[..., 1:] - values[..., :1]
    same = Pairs(
        mean=gap.mean(1), var=gap.var(1, ddof=1), unpaired=gap.var(1, ddof=1), n=np.full(m, n)
    )
    other = estimate_pairs(replace(same, mean=same.mean + effect), alpha=0.05)
    found = np.mean(np.abs(other.delta[:, 0]) > other.half[:, 0])
    assert found == pytest.approx(0.8, abs=CLOSE + 0.005)  # variances are drawn apart
    same = estimate_pairs(same, alpha=0.05)
    inside = np.mean(np.abs(same.delta[:, 0]) + same.half_equivalence[:, 0] < rope)
    assert inside == pytest.approx(0.8, abs=CLOSE + 0.005)


def test_pairing_is_counted_on_only_where_families_are_paired():
    assert within_seeds(5, 8, 0.25) is None  # removes no more noise than the baseline's seeds
    assert within_seeds(4, 8, 0.9) is None  # fewer seeds than decide
    assert within_seeds(5, 3, 0.9) is None  # too little evidence of covariances


def test_the_last_look_alone_shows_the_size_with_the_seeds_named():
    looks, m, sd, size = (3, 5, 8, 12, 16), 4, 0.6, 0.5
    more, near = last_look_needed(size, looks, m, sd)
    scaled = [look * more / 16 for look in (3, 5, 8, 12)]
    assert detectable_at([*map(round, scaled), more], m, sd)[-1] == pytest.approx(size, rel=0.02)
    level = nominal(looks, 2 * 0.05 / m)[-1]
    same = studies(near, 2 * near, m, sd)
    half = t_quantile(1 - level / 2, same.df[:, 0]) * same.se[:, 0]
    inside = np.mean(np.abs(same.delta[:, 0]) + half < size)
    assert 0.8 - CLOSE < inside < 0.8 + CLOSE + 0.03
    assert near > more > seeds_needed(size, m, sd)


@pytest.mark.parametrize(
    ("at", "c", "df"), [(0.5, 2.9, 12), (1.5, 2.9, 12), (1.0, 2.2, 4), (1.96, 1.96, 1e6)]
)
def test_exaggeration_is_that_of_simulated_calls(at, c, df):
    rng = np.random.default_rng(1)
    found = np.abs(rng.standard_normal(400_000) + at)
    called = found > c * np.sqrt(rng.chisquare(df, 400_000) / df)
    power, ratio = exaggeration(2 * at, 2.0, c, df)
    assert power == pytest.approx(called.mean(), abs=3 * (power / 400_000) ** 0.5)
    exceeds = found[called] / at
    assert ratio == pytest.approx(exceeds.mean(), abs=4 * exceeds.std() / called.sum() ** 0.5)


def test_the_threshold_of_the_warning_is_where_calls_are_a_fifth_too_large():
    for c, df in [(1.96, 1e6), (2.9, 15)]:
        at = c if df > 100 else c * 0.98
        power, ratio = exaggeration(at, 1.0, c, df)
        assert power == pytest.approx(LOW_POWER, abs=0.02)
        assert ratio > 1.2


NOISE = stats.norm.ppf((np.arange(5) + 0.5) / 5) / 0.79  # sd 1
TWICE = stats.norm.ppf((np.arange(10) + 0.5) / 10) / 0.86


def judged(shift, **declared):
    arms = {"baseline": 90 + TWICE, "a": 90 + shift + NOISE, "b": 90 + NOISE}
    rows = [(arm, seed, v) for arm, values in arms.items() for seed, v in enumerate(values)]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    found = verdicts(frame, Declaration(**declared), complete=True, method="shrunken")
    return found.arms[0].verdict, [w.text for w in found.warnings if w.code == "W25"]


def test_what_is_called_at_low_power_is_said_to_be_too_large():
    word, said = judged(2.0, rope_pp=0.5)
    assert word == "better"
    assert len(said) == 1
    assert said[0].startswith(
        "called, and likely to be smaller than estimated: a (0.5 pp: power 0.0"
    )
    times = float(said[0].partition("times)")[0].split()[-1])
    assert 3 < times < 5


def test_what_was_shown_to_be_larger_or_is_found_readily_is_not():
    assert judged(6.0, rope_pp=0.5) == ("better", [])  # its interval leaves no room for 0.5
    assert judged(2.0, rope_pp=2.5) == ("better", [])  # an effect of that size is not missed
    assert judged(0.5, rope_pp=0.5) == ("undecided", [])
    assert judged(2.0) == ("better", [])  # nobody said which size matters


def test_without_a_rope_the_claim_says_which_size_matters():
    claimed = (Hypothesis("a", "better", 0.4),)
    word, said = judged(2.0, hypotheses=claimed)
    assert word == "better"
    assert "a (0.4 pp: power" in said[0]
