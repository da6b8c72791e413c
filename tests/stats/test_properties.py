"""What must hold for any numbers: shifts, signs, units, order, absent arms."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swinablate.stats import Declaration, effects, verdicts

counts = st.lists(st.integers(1, 9), min_size=2, max_size=7)
seeds = st.integers(0, 2**32 - 1)
MIRROR = {"better": "worse", "worse": "better"}
QUICK = settings(max_examples=30, deadline=None)


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
    before, after = effects(one, rope=0.5), effects(one.assign(value=one.value + shift), rope=0.5)
    names = ("delta_pp", "ci_low", "ci_high", "p", "df", "detectable_pp")
    assert numbers(after, *names) == pytest.approx(numbers(before, *names), rel=1e-5, abs=1e-7)
    assert [a.verdict for a in after] == [a.verdict for a in before]


@QUICK
@given(counts, seeds)
def test_a_change_of_sign_mirrors_everything(n, seed):
    one = table(n, seed)
    before, after = effects(one, rope=0.5), effects(one.assign(value=-one.value), rope=0.5)
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
    before = effects(one, rope=0.5)
    after = effects(one.assign(value=unit * one.value), rope=0.5 * unit)
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
    before = {a.name: (a.verdict, a.ci_low) for a in effects(one)}
    after = {a.name: (a.verdict, a.ci_low) for a in effects(shuffled)}
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
            assert b.p_holm >= a.p_holm


@QUICK
@given(counts, seeds)
def test_the_interval_and_the_verdict_agree(n, seed):
    for arm in effects(table(n, seed), rope=0.5):
        if arm.verdict in {"better", "worse", "equivalent"}:
            assert arm.n >= 3
            assert (arm.ci_low > 0) == (arm.verdict == "better")
            assert (arm.ci_high < 0) == (arm.verdict == "worse")
            inside = arm.equivalence_low > -0.5 and arm.equivalence_high < 0.5
            assert inside == (arm.verdict == "equivalent" or arm.negligible)
