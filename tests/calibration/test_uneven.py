"""A baseline of few, noisy seeds against arms of many, and the other way round.

The rates are in `benchmarks/results/2026-11-27-uneven-seeds.md`.
"""

import numpy as np
import pytest

from swinablate.stats.seeds.variances import loan
from tests.calibration.uneven import cases, limit, rates

FEW = 4000


@pytest.mark.parametrize("n", [(3, *[12] * 8), (5, *[50] * 8), (3, *[6] * 8)])
def test_a_noisy_baseline_of_few_seeds_keeps_the_limit(n):
    assert rates(n, (3.0, *[1.0] * 8), FEW).error <= limit(n, FEW)


@pytest.mark.parametrize("n", [(3, *[12] * 8), (5, *[50] * 8)])
def test_few_seeds_that_borrow_as_much_as_many_are_caught(n):
    sd = (3.0, *[1.0] * 8)
    before, after = rates(n, sd, FEW, before=True), rates(n, sd, FEW)
    assert before.error > 1.5 * after.error
    assert before.error > 0.075


@pytest.mark.parametrize("n", [[5] * 9, [10, *[5] * 8], [50, 3, 3], [12, 12, 12]])
def test_an_arm_with_as_many_seeds_as_most_borrows_as_before(n):
    free = np.array(n) - 1.0
    assert loan(free, free > 0).tolist() == [1.0] * len(n)


def test_what_an_arm_may_borrow_falls_with_its_share_of_the_usual_seeds():
    free = np.array([2.0, 11.0, 11.0, 5.0, 0.0])
    assert loan(free, free > 0).tolist() == pytest.approx([1 / 9, 1.0, 1.0, 4 / 9, 1 / 81])


@pytest.mark.slow
@pytest.mark.parametrize(("words", "n", "sd", "correlation"), list(cases()))
def test_all_uneven_seeds(words, n, sd, correlation):
    assert rates(n, sd, 4000, correlation=correlation).error <= limit(n, 4000), words
