"""Where the spread of results comes from: between splits of the data, and between trainings.

A nested study trains an arm k times on each of S splits. A result is then its arm's mean, plus
what its split adds (variance `split`), plus what the draws of its training add (`training`). The
same holds for a difference between two arms that were trained on the same splits.

Estimates are those of restricted maximum likelihood: no variance is below 0. Intervals are those
of the mean squares, which know nothing of that bound and hold with few splits, where profiles of
the likelihood do not: chi-squared of the training's own variance, Ting's of the difference of two
mean squares, F's of the share. Where a split has lost a training, means of splits are taken as if
each had the harmonic mean of the trainings (Thomas and Hultquist).

Source: Searle, Casella and McCulloch, Variance Components (1992), sec. 3.8; Burdick and Graybill,
Confidence Intervals on Variance Components (1992), sec. 3.2 and 3.3; Ting, Burdick, Graybill,
Jeyaratnam and Lu, J. Stat. Comput. Simul. 35 (1990); Thomas and Hultquist, Ann. Statist. 6 (1978).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import chdtri, fdtri

from swinablate.stats.critical import Floats

LEVEL = 0.95
"""Of intervals of components: they describe, and no verdict follows from them."""
FARTHEST = 1e4
"""Times the training's variance: a larger one between splits is not told from it by REML."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A variance with its interval, all in squared units of the metric; None where unknown."""

    variance: float | None
    low: float | None
    high: float | None


UNKNOWN = Component(variance=None, low=None, high=None)


@dataclass(frozen=True, kw_only=True)
class Components:
    """Where the spread of one quantity comes from.

    Attributes:
        splits: of the data.
        runs: results on all of them.
        mean: over splits, each counting alike.
        split: the variance between splits.
        training: the variance between trainings on one split.
        total: of one training on a split of its own: both together.
        share: of the split in the total, and its interval; None where it is unknown.
    """

    splits: int
    runs: int
    mean: float
    split: Component
    training: Component
    total: Component
    share: Component


def on_one_split(values: ArrayLike, level: float = LEVEL) -> Components:
    """Tell the variance of trainings on one split; what splits add is not known.

    Args:
        values: the results, at least two.
        level: of the interval.

    Raises:
        ValueError: fewer than two results.
    """
    found = np.asarray(values, dtype=float)
    if len(found) < 2:
        raise ValueError("two results or more are needed")
    return Components(
        splits=1,
        runs=len(found),
        mean=float(found.mean()),
        split=UNKNOWN,
        training=_chi(float(found.var(ddof=1)), len(found) - 1, (1 - level) / 2),
        total=UNKNOWN,
        share=UNKNOWN,
    )


@dataclass(frozen=True, kw_only=True)
class _Squares:
    """Mean squares: `between` splits, as of k trainings each, and `within` them."""

    between: float
    within: float
    k: float
    free: tuple[int, int]


def components(groups: Sequence[ArrayLike], level: float = LEVEL) -> Components:
    """Tell the variance between splits from the variance within them.

    Args:
        groups: the results on each split, in any order; at least two splits with a result.
        level: of the intervals.

    Raises:
        ValueError: fewer than two splits have a result.
    """
    values = [np.asarray(one, dtype=float) for one in groups]
    values = [one for one in values if len(one)]
    if len(values) < 2:
        raise ValueError("two splits or more are needed, each with a result")
    tail = (1 - level) / 2
    means = np.array([one.mean() for one in values])
    runs, count = sum(map(len, values)), len(values)
    if runs == count:  # one training a split: its two sources come together
        variance = float(means.var(ddof=1))
        total = _chi(variance, count - 1, tail)
        split = training = share = UNKNOWN
    else:
        squares = _squares(values, means)
        between, within = _reml(values)
        split = _difference(between, squares, tail)
        training = _chi(squares.within, squares.free[1], tail, estimate=within)
        total = _sum(between + within, squares, tail)
        share = _share(between, within, squares, tail)
    return Components(
        splits=count,
        runs=runs,
        mean=float(means.mean()),
        split=split,
        training=training,
        total=total,
        share=share,
    )


def _squares(values: Sequence[Floats], means: Floats) -> _Squares:
    counts = np.array([len(one) for one in values], dtype=float)
    k = float(len(counts) / (1 / counts).sum())
    free = len(counts) - 1, int(counts.sum()) - len(counts)
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in values) / free[1]
    return _Squares(between=k * float(means.var(ddof=1)), within=within, k=k, free=free)


def _reml(values: Sequence[Floats]) -> tuple[float, float]:
    """The two variances, between and within, by restricted maximum likelihood.

    Of equally many trainings it has a closed form; else the ratio of the two is searched for.
    """
    counts = np.array([len(one) for one in values], dtype=float)
    means = np.array([one.mean() for one in values])
    inside = sum(float(((one - one.mean()) ** 2).sum()) for one in values)
    runs = float(counts.sum())

    def around(ratio: float) -> tuple[float, Floats]:
        weights = counts / (1 + ratio * counts)
        centre = (weights * means).sum() / weights.sum()
        return inside + float((weights * (means - centre) ** 2).sum()), weights

    def deviance(ratio: float) -> float:
        square, weights = around(ratio)
        if square <= 0:
            return -np.inf
        bend = float(np.log1p(ratio * counts).sum() + np.log(weights.sum()))
        return (runs - 1) * float(np.log(square)) + bend

    if inside <= 0:  # no training differs from another on its split
        return float(means.var(ddof=1)), 0.0
    if (counts == counts[0]).all():
        k, squares = counts[0], _squares(values, means)
        ratio = max(0.0, (squares.between / squares.within - 1) / k)
    else:
        found = minimize_scalar(
            lambda x: deviance(float(np.expm1(x))),
            bounds=(0.0, float(np.log1p(FARTHEST))),
            method="bounded",
            options={"xatol": 1e-9},
        )
        ratio = float(np.expm1(found.x)) if found.fun < deviance(0.0) else 0.0
    within = around(ratio)[0] / (runs - 1)
    return float(ratio * within), within


def _chi(variance: float, free: int, tail: float, estimate: float | None = None) -> Component:
    low, high = free / chdtri(free, np.array([tail, 1 - tail]))
    known = variance if estimate is None else estimate
    # At REML's bound the estimate is one of all runs, the interval one of those within splits.
    ends = float(low * variance), float(high * variance)
    return Component(variance=known, low=min(known, ends[0]), high=max(known, ends[1]))


def _ends(free: int, tail: float) -> tuple[float, float]:
    """How far a mean square may lie above and below its expectation, relatively: G and H."""
    low, high = chdtri(free, np.array([1 - tail, tail])) / free
    return 1 - 1 / float(high), 1 / float(low) - 1


def _difference(estimate: float, squares: _Squares, tail: float) -> Component:
    """The variance between splits; the interval of Ting and others."""
    one, other, (f1, f2) = squares.between, squares.within, squares.free
    (g1, h1), (g2, h2) = _ends(f1, tail), _ends(f2, tail)
    top, bottom = (float(fdtri(f1, f2, level)) for level in (1 - tail, tail))
    g12 = ((top - 1) ** 2 - (g1 * top) ** 2 - h2**2) / top
    h12 = ((1 - bottom) ** 2 - (h1 * bottom) ** 2 - g2**2) / bottom
    down = (g1 * one) ** 2 + (h2 * other) ** 2 + g12 * one * other
    up = (h1 * one) ** 2 + (g2 * other) ** 2 + h12 * one * other
    low = max(0.0, one - other - max(0.0, down) ** 0.5) / squares.k
    high = max(0.0, one - other + max(0.0, up) ** 0.5) / squares.k
    return Component(variance=estimate, low=low, high=max(high, estimate))


def _sum(estimate: float, squares: _Squares, tail: float) -> Component:
    """The variance of one training on a split of its own; Graybill and Wang's interval."""
    (g1, h1), (g2, h2) = (_ends(free, tail) for free in squares.free)
    one, other = squares.between / squares.k, (1 - 1 / squares.k) * squares.within
    low = one + other - ((g1 * one) ** 2 + (g2 * other) ** 2) ** 0.5
    high = one + other + ((h1 * one) ** 2 + (h2 * other) ** 2) ** 0.5
    return Component(variance=estimate, low=min(low, estimate), high=max(high, estimate))


def _share(between: float, within: float, squares: _Squares, tail: float) -> Component:
    """The split's share of the total, by F."""
    if not squares.within > 0:
        return UNKNOWN
    ratio = squares.between / squares.within
    ends = []
    for level in (1 - tail, tail):
        excess = ratio / float(fdtri(*squares.free, level)) - 1
        ends.append(max(0.0, excess / (excess + squares.k)))
    low, high = ends
    share = between / (between + within)
    return Component(variance=share, low=min(low, share), high=max(high, share))
