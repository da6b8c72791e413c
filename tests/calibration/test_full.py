"""Every truth, for fixed and adaptive seeds, gate and pairing included.

The rates themselves are in `benchmarks/results/calibration.md`.
"""

import pytest

from tests.calibration.studies import TRUTHS, Truth, adaptive, fixed

pytestmark = pytest.mark.slow

SIMS = 4000
LIMIT = {3: 0.12, 5: 0.07, 8: 0.07}


def tolerance(level: float, sims: int) -> float:
    return 4 * (level * (1 - level) / sims) ** 0.5


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_fixed_seeds(truth: Truth, n: int):
    rates = fixed(truth, n, SIMS, seed=n)
    limit = LIMIT[n] + tolerance(LIMIT[n], SIMS)
    assert max(rates.error, rates.missed, rates.false_equal) <= limit


@pytest.mark.parametrize("method", ["auto", "auto-paired"])
@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_adaptive_seeds(truth: Truth, method: str):
    rates = adaptive(truth, 1500, method=method, seed=3)
    limit = LIMIT[5] + tolerance(LIMIT[5], 1500)
    assert max(rates.error, rates.missed, rates.false_equal) <= limit


def test_adaptive_seeds_save_trials():
    """Against 16 seeds for every arm and 32 of the baseline: same power, fewer trials."""
    (truth,) = [each for each in TRUTHS if each.name == "typical, sd .15"]
    early, all_seeds = adaptive(truth, 1500), fixed(truth, 16, 1500)
    assert early.trials < 0.7 * all_seeds.trials
    assert early.power > all_seeds.power - 0.03
