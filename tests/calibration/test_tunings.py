"""Arms that are tuned and are the same, through the sampler, the schedule and the report.

The rates of 400 studies are in `benchmarks/results/calibration.md`.
"""

import pytest

from tests.calibration import surfaces
from tests.calibration.tunings import SURFACES, rates

LEVEL, SIMS = 0.05, 2000
TOLERANCE = 4 * (LEVEL * (1 - LEVEL) / SIMS) ** 0.5


def test_one_tuning_an_arm_calls_nothing_though_its_intervals_miss():
    """Each of those was called better or worse, while seeds were the only replicates."""
    found = rates("1", 12, arms=3, seeds=5, tries=5)
    assert (found.called, found.turned) == (0, 0)
    assert found.missed > 0.1


@pytest.mark.parametrize("repeats", ["seed", 3])
@pytest.mark.parametrize("surface", SURFACES)
def test_independent_tunings_keep_the_error_rate_on_every_surface(surface, repeats):
    """Of arms and of declared contrasts, in a model of what the sampler does."""
    found = surfaces.rates(surface, repeats, SIMS)
    assert max(found.arms, found.among) <= LEVEL + TOLERANCE


@pytest.mark.parametrize("surface", ["bowl", "narrow valley"])
def test_the_luck_of_one_tuning_is_caught(surface):
    """Where what is found matters, seeds alone say that arms differ which are the same."""
    found = surfaces.rates(surface, 1, SIMS)
    assert min(found.arms, found.among) > LEVEL + 3 * TOLERANCE


def test_on_a_flat_surface_one_tuning_does_no_harm():
    assert surfaces.rates("flat", 1, SIMS).arms <= LEVEL + TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("repeats", ['"seed"', "3"])
@pytest.mark.parametrize("surface", SURFACES)
def test_luck_of_tuning_is_in_the_intervals(surface: str, repeats: str):
    found = rates(repeats, 120, surface=surface)
    limit = 0.05 + 4 * (0.05 * 0.95 / 120) ** 0.5
    assert found.called == found.missed <= limit
    assert max(found.among, found.turned) <= limit
