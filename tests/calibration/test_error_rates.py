"""The promised error rates hold where the truth is known; known mistakes are caught.

A few seconds on every commit.
Tolerance: 4 binomial standard errors, so a correct program fails once in 30,000 times per
case, and never with these fixed generators.
"""

import pytest

from tests.calibration.simulate import (
    DIGITS,
    Truth,
    judge,
    percentile_bootstrap,
    uncorrected,
)

SIMS = 3000
LEVEL = 0.05
TOLERANCE = 4 * (LEVEL * (1 - LEVEL) / SIMS) ** 0.5
UNEQUAL_AT_3 = 0.12  # three seeds cannot show that variances differ: W1 and W2 say so


def study(n: int, sd: tuple[float, ...], delta: tuple[float, ...] = ()) -> Truth:
    """Arms of n seeds, the baseline (first) of twice as many."""
    m = len(sd) - 1
    return Truth(n=[2 * n] + [n] * m, sd=sd, delta=delta or (0.0,) * (m + 1))


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("method", ["auto", "shrunken", "welch-holm"])
def test_equal_variances_keep_the_family_wise_error(n, method):
    rates = judge(study(n, (0.3,) * 9), SIMS, seed=n, method=method)
    assert rates.error <= LEVEL + TOLERANCE


@pytest.mark.parametrize("n", [3, 5, 8])
def test_unequal_variances_keep_the_family_wise_error(n):
    rates = judge(study(n, DIGITS), SIMS, seed=n)
    assert rates.error <= (UNEQUAL_AT_3 if n < 5 else LEVEL + TOLERANCE)


@pytest.mark.parametrize("n", [3, 5, 8])
def test_intervals_cover_effects_simultaneously(n):
    effects = (0.0, -3.0, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 0.2)
    rates = judge(study(n, (0.3,) * 9, effects), SIMS, seed=n)
    assert rates.missed <= LEVEL + TOLERANCE


@pytest.mark.parametrize("n", [3, 5, 8])
def test_intervals_cover_effects_under_unequal_variances(n):
    effects = (0.0, -3.0, -1.0, -0.5, 0.0, 0.5, -8.0)
    rates = judge(study(n, DIGITS, effects), SIMS, seed=n)
    assert rates.missed <= (UNEQUAL_AT_3 if n < 5 else LEVEL + TOLERANCE)


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 8])
def test_one_arm_three_times_as_noisy(m, n):
    """Small families pool least, because there one odd arm does the most harm."""
    rates = judge(study(n, (0.3,) * m + (0.9,)), SIMS, seed=n)
    assert rates.error <= (UNEQUAL_AT_3 if n < 5 else 0.07 + TOLERANCE)


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_small_families_keep_the_family_wise_error(m, n):
    assert judge(study(n, (0.3,) * (m + 1)), SIMS, seed=n).error <= LEVEL + TOLERANCE


def test_error_rates_are_not_bought_with_useless_width():
    """Under the null the family must err about as often as it may."""
    for n in (5, 8):
        assert judge(study(n, (0.3,) * 9), SIMS, seed=n).error >= LEVEL - TOLERANCE


def test_shrinkage_pays_at_few_seeds():
    effects = (0.0,) * 5 + (0.5,) * 4
    shrunken, welch = (
        judge(study(5, (0.3,) * 9, effects), SIMS, seed=1, method=method).power
        for method in ("shrunken", "welch-holm")
    )
    assert shrunken > welch + 0.1


def test_uncorrected_welch_is_caught():
    rates = judge(study(5, (0.3,) * 9), SIMS, seed=5, method="welch-holm", half=uncorrected)
    assert rates.error > LEVEL + TOLERANCE


def test_the_pool_without_the_gate_is_caught():
    """Why the gate exists: the pool alone errs under the variances of real runs."""
    rates = judge(study(5, (DIGITS[0], *DIGITS[1:], *DIGITS[1:])), SIMS, seed=5, method="shrunken")
    assert rates.error > LEVEL + TOLERANCE


@pytest.mark.parametrize("n", [3, 5])
def test_a_percentile_bootstrap_is_caught(n):
    assert percentile_bootstrap(study(n, (0.3,) * 4), 600, seed=n) > LEVEL + 4 * 0.0089
