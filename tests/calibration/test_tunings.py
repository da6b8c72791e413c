"""Arms that are tuned and are the same, through the sampler, the schedule and the report.

The rates of 400 studies are in `benchmarks/results/calibration.md`.
"""

import pytest

from tests.calibration.tunings import rates

pytestmark = pytest.mark.unmeasured  # what it runs of the package is tested in tests/stats


def test_one_tuning_an_arm_calls_nothing_though_its_intervals_miss():
    """Each of those was called better or worse, while seeds were the only replicates."""
    found = rates("1", 12, arms=3, seeds=5, tries=5)
    assert (found.called, found.turned) == (0, 0)
    assert found.missed > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("repeats", ['"seed"', "3"])
def test_luck_of_tuning_is_in_the_intervals(repeats: str):
    found = rates(repeats, 120)
    limit = 0.05 + 4 * (0.05 * 0.95 / 120) ** 0.5
    assert found.called == found.missed <= limit
    assert found.turned <= limit
