"""Critical values against scipy, statsmodels, published tables and hand computation."""

import time

import numpy as np
import pytest
from scipy import stats

from swinablate.stats.critical import bonferroni, many_to_one, shared_part, two_sided_p


@pytest.mark.parametrize(
    ("m", "df", "published"),  # Dunnett, Biometrics 20 (1964), two-sided, joint 95 %
    [
        (1, 5, 2.57), (2, 5, 3.03), (4, 5, 3.48), (8, 5, 3.90), (9, 5, 3.97),
        (1, 10, 2.23), (2, 10, 2.57), (4, 10, 2.89), (8, 10, 3.19), (9, 10, 3.24),
        (2, 20, 2.38), (4, 20, 2.65), (8, 20, 2.90), (9, 20, 2.95),
        (2, 60, 2.27), (4, 60, 2.51), (8, 60, 2.73), (9, 60, 2.77),
    ],
)  # fmt: skip
def test_dunnett_table_at_equal_n(m, df, published):
    assert many_to_one(shared_part([5] * m, 5), df, 0.05) == pytest.approx(published, abs=0.0051)


@pytest.mark.parametrize("n", [[4, 4, 4, 8], [3, 5, 8, 10, 6], [5] * 8 + [10]])
def test_p_values_agree_with_scipy_dunnett(n):
    """Our c at level p is the statistic scipy gives that p, to 1e-3 in p; baseline last."""
    rng = np.random.default_rng(7)
    *arms, base = (rng.normal(size=each) for each in n)
    found = stats.dunnett(*arms, control=base, rng=np.random.default_rng(1))
    groups = [*arms, base]
    df = sum(n) - len(n)
    pooled = sum(g.var(ddof=1) * (len(g) - 1) for g in groups) / df
    for arm, p in zip(arms, found.pvalue, strict=True):
        t = abs(arm.mean() - base.mean()) / (pooled * (1 / len(arm) + 1 / len(base))) ** 0.5
        loadings = shared_part(n[:-1], n[-1])
        near = [min(max(p + gap, 1e-6), 1 - 1e-6) for gap in (1e-3, -1e-3)]
        low, high = (float(many_to_one(loadings, df, each)) for each in near)
        assert low <= t <= high


@pytest.mark.parametrize(("n", "n_baseline"), [([5] * 8, 10), ([3, 5, 9], 6), ([4], 8)])
def test_intervals_agree_with_scipy_dunnett(n, n_baseline):
    rng = np.random.default_rng(3)
    base, arms = rng.normal(size=n_baseline), [rng.normal(size=each) for each in n]
    found = stats.dunnett(*arms, control=base, rng=np.random.default_rng(1))
    interval = found.confidence_interval(0.95)
    df = sum(n) + n_baseline - len(n) - 1
    pooled = sum(a.var(ddof=1) * (len(a) - 1) for a in [*arms, base]) / df
    se = np.array([(pooled * (1 / each + 1 / n_baseline)) ** 0.5 for each in n])
    critical = (interval.high - interval.low) / 2 / se
    # scipy searches its own critical value with a Monte Carlo integral of about 3 digits.
    assert many_to_one(shared_part(n, n_baseline), df, 0.05) == pytest.approx(
        critical.mean(), abs=5e-3
    )


def test_one_comparison_is_students_t():
    df = np.array([1, 2, 5, 16.5, 1e9])
    ours = many_to_one(shared_part([5], 10), df, 0.05)
    assert ours == pytest.approx(stats.t.ppf(0.975, df), rel=2e-4)
    assert bonferroni(4, 12, 0.05) == pytest.approx(stats.t.ppf(1 - 0.05 / 8, 12))


def test_correlation_lowers_the_critical_value_towards_one_comparison():
    loose, equal, tight = (
        float(many_to_one(shared_part([5] * 8, base), 30, 0.05)) for base in (500, 5, 1)
    )
    assert stats.t.ppf(0.975, 30) < tight < equal < loose < bonferroni(8, 30, 0.05)


def test_a_simulated_maximum_is_reached_at_the_stated_rate():
    rng = np.random.default_rng(11)
    n, n_baseline, df, sims = np.array([5, 5, 3, 8]), 10, 14, 200_000
    base = rng.standard_normal((sims, 1)) / n_baseline**0.5
    gaps = rng.standard_normal((sims, 4)) / np.sqrt(n) - base
    t = gaps / np.sqrt(1 / n + 1 / n_baseline) / np.sqrt(rng.chisquare(df, (sims, 1)) / df)
    c = many_to_one(shared_part(n.tolist(), n_baseline), df, 0.05)
    assert (np.abs(t).max(axis=1) > c).mean() == pytest.approx(
        0.05, abs=4 * (0.0475 / sims) ** 0.5
    )


def test_many_degrees_of_freedom_agree_with_each_alone():
    df = np.linspace(3.5, 60, 2000)
    loadings = shared_part([5] * 8, 10)
    some = slice(0, 2000, 333)
    assert many_to_one(loadings, df, 0.05)[some] == pytest.approx(
        many_to_one(loadings, df[some], 0.05), abs=1e-4
    )


def test_a_family_of_eight_takes_no_seconds():
    fresh = [7, 7, 7, 6, 7, 7, 7, 7]  # a structure no other test has put into the cache
    start = time.process_time()
    many_to_one(shared_part(fresh, 13), np.linspace(8, 30, 8), 0.05)
    assert time.process_time() - start < 2  # 6 ms were seen


def test_two_sided_p():
    assert two_sided_p(-2.5, 7.3) == pytest.approx(2 * stats.t.sf(2.5, 7.3))
