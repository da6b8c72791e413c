"""What must hold for any numbers: shifts, signs, units, order, absent arms."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swinablate.stats import Declaration, effects, factorial, verdicts
from swinablate.stats.estimate import Cells, estimate
from swinablate.stats.paired import Pairs, estimate_pairs

counts = st.lists(st.integers(1, 9), min_size=2, max_size=7)
seeds = st.integers(0, 2**32 - 1)
MIRROR = {"better": "worse", "worse": "better"}
QUICK = settings(max_examples=15, deadline=None)  # in critical values, a second each
POINTS = {"unit": "none", "better": "higher"}  # said: values above 100 among others are doubted


def table(n: list[int], seed: int) -> pd.DataFrame:
    """Arms of the given numbers of seeds, means and spreads drawn; the baseline first."""
    rng = np.random.default_rng(seed)
    spread = 10 ** rng.uniform(-2, 0.5, len(n))
    rows = [
        ("baseline" if not i else f"a{i}", s, 90 + rng.normal() + spread[i] * rng.normal())
        for i, count in enumerate(n)
        for s in range(count)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "value"])


def numbers(arms: list, *names: str) -> list:
    return [getattr(arm, name) for arm in arms for name in names if arm.ci_low is not None]


@QUICK
@given(counts, seeds, st.floats(-50, 50))
def test_a_shift_of_everything_changes_nothing(n, seed, shift):
    one = table(n, seed)
    moved = one.assign(value=one.value + shift)
    before, after = effects(one, rope=0.5, **POINTS), effects(moved, rope=0.5, **POINTS)
    names = ("delta_pp", "ci_low", "ci_high", "p", "df", "detectable_pp")
    assert numbers(after, *names) == pytest.approx(numbers(before, *names), rel=1e-5, abs=1e-7)
    assert [a.verdict for a in after] == [a.verdict for a in before]


@QUICK
@given(counts, seeds)
def test_a_change_of_sign_mirrors_everything(n, seed):
    one = table(n, seed)
    turned = one.assign(value=-one.value)
    before, after = effects(one, rope=0.5, **POINTS), effects(turned, rope=0.5, **POINTS)
    assert numbers(after, "delta_pp", "ci_low", "ci_high") == pytest.approx(
        [-x for a in before if a.ci_low is not None for x in (a.delta_pp, a.ci_high, a.ci_low)]
    )
    assert numbers(after, "p_holm", "se") == pytest.approx(numbers(before, "p_holm", "se"))
    assert [a.verdict for a in after] == [MIRROR.get(a.verdict, a.verdict) for a in before]
    assert [a.negligible for a in after] == [a.negligible for a in before]


@QUICK
@given(counts, seeds, st.floats(0.01, 100))
def test_units_scale_through(n, seed, unit):
    one = table(n, seed)
    before = effects(one, rope=0.5, **POINTS)
    after = effects(one.assign(value=unit * one.value), rope=0.5 * unit, **POINTS)
    names = ("delta_pp", "ci_low", "ci_high", "se", "detectable_pp")
    scaled = [unit * x for x in numbers(before, *names)]
    assert numbers(after, *names) == pytest.approx(scaled, rel=1e-5, abs=1e-9 * unit)
    assert numbers(after, "p", "df") == pytest.approx(numbers(before, "p", "df"), rel=1e-5)
    assert [a.verdict for a in after] == [a.verdict for a in before]


@QUICK
@given(counts, seeds)
def test_the_order_of_rows_does_not_matter(n, seed):
    one = table(n, seed)
    shuffled = one.sample(frac=1, random_state=1)
    before = {a.name: (a.verdict, a.ci_low) for a in effects(one, **POINTS)}
    after = {a.name: (a.verdict, a.ci_low) for a in effects(shuffled, **POINTS)}
    assert after.keys() == before.keys()
    for name, (verdict, low) in before.items():
        assert after[name] == (verdict, low if low is None else pytest.approx(low))


@QUICK
@given(counts, seeds, st.integers(1, 50))
def test_more_declared_comparisons_never_narrow_an_interval(n, seed, more):
    one = table(n, seed)
    planned = dict(zip(one.arm.unique().tolist(), n, strict=True))
    crowd = {**planned, **{f"later {i}": 3 for i in range(more)}}
    few = verdicts(one, Declaration(planned=planned), complete=True).arms
    many = verdicts(one, Declaration(planned=crowd), complete=True).arms
    for a, b in zip(few, many, strict=False):
        if a.ci_low is not None:
            assert b.ci_high - b.ci_low >= a.ci_high - a.ci_low - 1e-9
            if ("in common" in a.sentence) == ("in common" in b.sentence):  # the method may change
                assert b.p_holm >= a.p_holm


@QUICK
@given(counts, seeds)
def test_the_interval_and_the_verdict_agree(n, seed):
    for arm in effects(table(n, seed), rope=0.5, **POINTS):
        if arm.verdict in {"better", "worse", "equivalent"}:
            assert arm.n >= 3
            assert (arm.ci_low > 0) == (arm.verdict == "better")
            assert (arm.ci_high < 0) == (arm.verdict == "worse")
            inside = arm.equivalence_low > -0.5 and arm.equivalence_high < 0.5
            assert inside == (arm.verdict == "equivalent" or arm.negligible)


ALPHA = 0.05
FACTORS = {"": {}, "a": {"x": 1}, "b": {"y": 1}, "ab": {"x": 1, "y": 1}}


def drawn(k: int, seed: int, families: int = 500) -> Cells:
    """Moments of arms with spreads and effects of any size, some without any noise."""
    rng = np.random.default_rng(seed)
    n = rng.integers(3, 13, k).astype(float)
    sd = 10 ** rng.uniform(-1, 1, (families, k)) * (rng.random((families, k)) > 0.03)
    return Cells(
        mean=rng.normal(0, 1, (families, k)),
        var=sd**2 * rng.chisquare(n - 1, (families, k)) / (n - 1),
        n=n,
        declared=n,
        pooled=np.ones(k, dtype=bool),
    )


@pytest.mark.parametrize("method", ["auto", "shrunken", "welch-holm", "dunnett"])
@pytest.mark.parametrize("k", [2, 3, 9])
def test_the_adjusted_p_lies_below_alpha_exactly_where_the_interval_excludes_0(method, k):
    called = []
    for seed in range(6):
        weights = np.hstack([-np.ones((k - 1, 1)), np.eye(k - 1)])
        family = estimate(drawn(k, seed), weights, alpha=ALPHA, method=method)
        known = np.isfinite(family.half)
        wide = np.abs(family.delta[known]) > family.half[known]
        assert (wide == (family.adjusted[known] < ALPHA)).all()
        assert (family.adjusted[known] >= family.p[known]).all()
        called += [wide.mean()]
    assert 0.05 < np.mean(called) < 0.95


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_p_and_interval_agree_for_effects_of_a_factorial_design_and_within_seeds(alpha):
    (mains, _) = factorial({name or "baseline": cell for name, cell in FACTORS.items()})
    arms = list(mains[0].weights)
    weights = np.array([[c.weights.get(arm, 0.0) for arm in arms] for c in mains])
    rng = np.random.default_rng(1)
    within = Pairs(
        mean=rng.normal(0, 1, (2000, 5)),
        var=rng.chisquare(4, (2000, 5)) / 2,
        unpaired=np.ones((2000, 5)),
        n=np.array([5.0, 5.0, 4.0, 8.0, 3.0]),
    )
    for family in (
        *(estimate(drawn(len(arms), seed), weights, alpha=alpha) for seed in range(4)),
        estimate_pairs(within, alpha=alpha),
    ):
        known = np.isfinite(family.half)
        wide = np.abs(family.delta[known]) > family.half[known]
        assert (wide == (family.adjusted[known] < alpha)).all()
        assert 0 < wide.mean() < 1


@QUICK
@given(counts, seeds, st.sampled_from(["auto", "paired", "welch-holm", "dunnett"]))
def test_no_word_beside_a_p_that_contradicts_it(n, seed, method):
    contrasts = factorial({name or "baseline": cell for name, cell in FACTORS.items()})[0]
    rows = table([*n, 5, 5], seed).replace({"arm": {"a1": "a", "a2": "b", "a3": "ab"}})
    few = rows[rows.arm.isin(["a", "b", "ab"])].groupby("arm").seed.count()
    declared = Declaration(rope_pp=0.5, contrasts=contrasts if len(few) == len("abc") else ())
    for found in verdicts(rows, declared, complete=True, method=method).contrasts:
        if found.reason or found.p_holm is None:
            assert found.p_holm is None
            continue
        assert (found.p_holm < declared.alpha) == (found.verdict in {"better", "worse"})
        assert (found.p_holm < declared.alpha) == (not found.ci_low <= 0 <= found.ci_high)
