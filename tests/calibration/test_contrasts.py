"""Declared contrasts keep their family's error rate, with fixed seeds and with looks.

A minute's worth on every commit, all with `just full`; the rates are in
`benchmarks/results/calibration.md`.
"""

import numpy as np
import pytest

from swinablate.stats.critical import bonferroni
from swinablate.stats.estimate import Cells, estimate
from tests.calibration.contrasts import ARMS_OF, FAMILY, NULLS, adaptive, draw, fixed

LEVEL = 0.05
LIMIT = {3: 0.12, 5: 0.07, 8: 0.07}


def tolerance(level: float, sims: int) -> float:
    return 4 * (level * (1 - level) / sims) ** 0.5


@pytest.mark.parametrize("n", [3, 5, 8])
def test_equal_noise_keeps_the_error_rate(n):
    assert fixed(NULLS[0], n, 4000, seed=n) <= LEVEL + tolerance(LEVEL, 4000)


def test_looks_keep_it_while_arms_are_decided_one_after_the_other():
    wrong, _, _ = adaptive(NULLS[1], 250, seed=5)
    assert wrong <= LEVEL + tolerance(LEVEL, 250)


@pytest.mark.slow
@pytest.mark.parametrize("null", NULLS, ids=lambda null: null.name)
def test_looks_keep_it_whatever_is_decided_meanwhile(null):
    wrong, _, _ = adaptive(null, 2000, seed=3)
    assert wrong <= LIMIT[5] + tolerance(LIMIT[5], 2000)


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("null", NULLS, ids=lambda null: null.name)
def test_fixed_seeds_keep_it(null, n):
    assert fixed(null, n, 20_000, seed=n) <= LIMIT[n] + tolerance(LIMIT[n], 20_000)


def test_contrasts_without_a_family_are_caught():
    """Each at the full level, as somebody would who tests what he likes."""
    values = draw(NULLS[0], 5, 2000, 1)
    counts = np.full(len(ARMS_OF), 5.0)
    cells = Cells(
        mean=values.mean(-1),
        var=values.var(-1, ddof=1),
        n=counts,
        declared=counts,
        pooled=counts > 0,
    )
    weights = np.array([[one.weights.get(arm, 0.0) for arm in ARMS_OF] for one in FAMILY])
    found = estimate(cells, weights, alpha=LEVEL)
    alone = bonferroni(1, found.df, LEVEL) * found.se
    assert (np.abs(found.delta) > alone).any(axis=1).mean() > LEVEL + tolerance(LEVEL, 2000)
