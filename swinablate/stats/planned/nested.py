"""What a nested study can find: splits of the data, and trainings on each.

Differences on S splits of k trainings have a mean whose variance is (split + training / k) / S:
more trainings on a split do not help against the spread between splits. A split that costs nothing
is therefore best drawn anew for every training seed; several trainings on a split are for telling
the two apart.

The test is Student's t over splits, Bonferroni over arms, without what moderated variances gain.

Source: Bouthillier et al. 2021, MLSys (arXiv:2103.03098), on drawing all sources at once.
"""

from dataclasses import dataclass

from scipy.special import nctdtr, ndtr

from swinablate.stats.critical import bonferroni
from swinablate.stats.estimate import TESTED
from swinablate.stats.power import MOST, POWER

NORMAL = 500
"""Degrees of freedom from which Student's t is taken as normal: scipy's noncentral t loses all its
digits far from its centre, and power is the same in three of them."""
HALVINGS = 40  # of ten standard errors: what is left is below any rounding of a report


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Standard deviations of a difference between two arms on the same splits.

    Attributes:
        training: between trainings on one split.
        split: between splits.
        comparisons: arms that share the error rate.
        alpha: the error rate.
    """

    training: float
    split: float
    comparisons: int
    alpha: float

    def error(self, splits: int, each: int) -> float:
        """The standard error of a mean difference over splits of so many trainings each."""
        return float(((self.split**2 + self.training**2 / each) / splits) ** 0.5)


def power_at(effect: float, splits: int, each: int, spread: Spread) -> float:
    """The probability that a difference of one arm is found, in the direction that it has."""
    free = splits - 1
    critical = float(bonferroni(spread.comparisons, free, spread.alpha))
    centre = effect / spread.error(splits, each)
    if free >= NORMAL:
        return float(ndtr(centre - critical))
    return 1 - float(nctdtr(free, centre, critical))


def smallest(splits: int, each: int, spread: Spread, power: float = POWER) -> float:
    """The smallest difference that is found with `power`.

    Args:
        splits: of the data, at least 3.
        each: trainings on a split.
        spread: of differences.
        power: to find it in one arm.
    """
    unit = spread.error(splits, each)
    low, high = 0.0, 10.0  # standard errors; at three splits and many arms it is some tens
    while power_at(high * unit, splits, each, spread) < power:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = power_at(middle * unit, splits, each, spread) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high * unit


def splits_needed(effect: float, each: int, spread: Spread, power: float = POWER) -> int | None:
    """The fewest splits that find a difference with `power`; None if more than anybody runs.

    Args:
        effect: the difference, above 0.
        each: trainings on a split.
        spread: of differences.
        power: to find it in one arm.
    """
    most = MOST // each
    if most < TESTED or power_at(effect, most, each, spread) < power:
        return None
    low, high = TESTED - 1, most  # `low` does not suffice, or is too few
    while high - low > 1:
        middle = (low + high) // 2
        enough = power_at(effect, middle, each, spread) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def seeds_needed(effect: float, splits: int, spread: Spread, power: float = POWER) -> int | None:
    """The fewest trainings on each of so many splits that find a difference with `power`.

    None if more than anybody runs: the spread between splits may be too large for any number.

    Args:
        effect: the difference, above 0.
        splits: of the data, at least 3; or whatever else trainings are drawn within.
        spread: of differences.
        power: to find it in one arm.
    """
    most = MOST // splits
    if most < 1 or power_at(effect, splits, most, spread) < power:
        return None
    low, high = 0, most  # `low` does not suffice
    while high - low > 1:
        middle = (low + high) // 2
        enough = power_at(effect, splits, middle, spread) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high
