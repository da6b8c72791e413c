"""A claimed mean is judged by an interval over seeds, never by two means."""

import numpy as np
import pytest
from scipy import stats

from swinablate.stats.comparisons.claimed import Claimed, check_claim

SEEDS = [96.0, 97.0, 98.0, 97.5, 96.5]  # mean 97, sd 0.79


def test_the_interval_is_students():
    found = check_claim(SEEDS, Claimed(mean=96.5, tolerance=2))
    low, high = stats.t.interval(0.95, 4, loc=np.mean(SEEDS) - 96.5, scale=stats.sem(SEEDS))
    near = stats.t.ppf(0.95, 4) * stats.sem(SEEDS)
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high))
    assert found.within == pytest.approx(near)
    assert (found.mean, found.delta) == pytest.approx((97.0, 0.5))


def test_with_the_spread_of_who_measured_it_it_is_welchs():
    found = check_claim(SEEDS, Claimed(mean=96.5, tolerance=2, sd=0.5, n=8))
    ours, theirs = np.var(SEEDS, ddof=1) / 5, 0.25 / 8
    df = (ours + theirs) ** 2 / (ours**2 / 4 + theirs**2 / 7)
    half = stats.t.ppf(0.975, df) * (ours + theirs) ** 0.5
    assert (found.ci_low, found.ci_high) == pytest.approx((0.5 - half, 0.5 + half))


@pytest.mark.parametrize(
    ("mean", "tolerance", "answer"),
    [
        (97.0, 1.0, "holds"),
        (97.0, 0.5, "undecided"),  # the means are equal, and the seeds too few to say so
        (96.0, 1.0, "undecided"),
        (90.0, 1.0, "does not hold"),
        (99.9, 1.0, "does not hold"),
    ],
)
def test_two_means_say_nothing_without_their_spread(mean, tolerance, answer):
    assert check_claim(SEEDS, Claimed(mean=mean, tolerance=tolerance)).answer == answer


def test_seeds_that_agree_by_chance_make_no_interval_of_no_width():
    image = 100 / 360
    found = check_claim([97.0] * 3, Claimed(mean=97.0, tolerance=0.1), step=image)
    assert found.within == pytest.approx(stats.t.ppf(0.95, 2) * image / 12**0.5 / 3**0.5)
    assert found.answer == "undecided"
    assert check_claim([97.0] * 3, Claimed(mean=97.0, tolerance=0.1)).answer == "holds"


def test_a_wrong_claim_is_called_right_as_rarely_as_promised():
    """At the edge of the tolerance, where it is hardest: at most 5 % in 4000 draws, by chance 6."""
    chance = np.random.default_rng(0)
    draws = chance.normal(97.0, 0.5, (4000, 5))
    claimed = Claimed(mean=98.0, tolerance=1.0)
    assert sum(check_claim(row, claimed).answer == "holds" for row in draws) / 4000 < 0.06


def test_two_seeds_are_refused():
    with pytest.raises(ValueError, match="2 seeds give no interval"):
        check_claim([97.0, 98.0], Claimed(mean=97.0, tolerance=1.0))
