"""Seeds that lie far from the others of their arm: each is measured by what the others vary.

A seed is left out before the spread is taken: within it, one far away hides itself (of 5 seeds
none can lie 1.8 sds from their mean). The spread of an arm's others is shrunken towards that of
the other arms, as in `estimate`. The farthest is taken out first, and the rest are asked anew,
so that one collapsed seed does not hide another arm's.

Source: Rosner, Technometrics 25 (1983) for one after the other; the t of a left-out value is the
externally studentized residual (Cook, Weisberg, Residuals and Influence in Regression, 1982).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from swinablate.stats.critical import Floats, two_sided_p
from swinablate.stats.estimate import TESTED
from swinablate.stats.seeds.variances import prior_seeds

LEVEL = 0.005
"""In so many studies without an outlier one is named, at equal noise; Bonferroni over all seeds.

Half of the 1 % that is promised: where one arm is three times as noisy, or two are all there are,
the spread of the others is too small for some, and more are named.
"""


def outliers(
    arms: Sequence[Floats], pooled: Sequence[bool], floor: float
) -> list[dict[int, float]]:
    """Find the outlying seeds of every arm.

    Args:
        arms: the results of each arm's seeds, percent.
        pooled: whether an arm's spread speaks for the others.
        floor: smallest believable sd over seeds, in points.

    Returns:
        For every arm, the places of its outlying seeds with their distance from the mean of the
        others, in points.
    """
    values = np.concatenate([np.asarray(arm, dtype=float) for arm in arms])
    sizes = [len(arm) for arm in arms]
    arm = np.repeat(np.arange(len(arms)), sizes)
    place = np.concatenate([np.arange(size) for size in sizes])
    speaks = np.asarray(pooled, dtype=bool)
    kept = np.ones(len(values), dtype=bool)
    prior = prior_seeds(int(speaks.sum()) - 1)
    found: list[dict[int, float]] = [{} for _ in arms]
    while kept.any():
        gap, p = _left_out(values[kept], arm[kept], speaks, prior=prior, floor=floor)
        worst = int(np.argmin(np.where(np.isnan(p), np.inf, p)))
        if not p[worst] * len(values) < LEVEL:
            break
        at = np.flatnonzero(kept)[worst]
        found[arm[at]][int(place[at])] = float(gap[worst])
        kept[at] = False
    return found


def _left_out(
    x: Floats, arm: NDArray[np.intp], speaks: NDArray[np.bool_], *, prior: float, floor: float
) -> tuple[Floats, Floats]:
    """Each seed's distance from the mean of its arm's others, and its p; nan where too few."""
    k = len(speaks)
    n = np.bincount(arm, minlength=k).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(arm, x, minlength=k) / n
        off = x - mean[arm]
        square = np.bincount(arm, off**2, minlength=k)  # about the mean, summed
        free = np.maximum(n - 1, 0)
        square = np.maximum(square, free * floor**2)
        others = (square * speaks).sum() - (square * speaks)[arm]
        of = (free * speaks).sum() - (free * speaks)[arm]
        weight = np.minimum(prior, of)  # a pool is worth no more than its seeds
        pool = np.where(of > 0, others / np.maximum(of, 1), 0.0)
        f, rest = n[arm] - 2, n[arm] - 1
        own = np.maximum(square[arm] - off**2 * n[arm] / rest, f * floor**2)
        df = weight + f
        scale = np.sqrt((weight * pool + own) / df * (1 + 1 / rest))
        gap = off * n[arm] / rest
        known = (n[arm] >= TESTED) & (scale > 0)
        p = two_sided_p(gap / np.where(known, scale, 1.0), np.where(known, df, 1.0))
    return gap, np.where(known, p, np.nan)
