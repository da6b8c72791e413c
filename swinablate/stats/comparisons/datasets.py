"""An effect over several data sets: its mean, how far they differ, and what a new one may show.

The effects of k data sets are taken as draws around a mean: each has an error of its own from its
seeds, and differs from the mean by what its data set is (tau). With two data sets tau cannot be
told from errors, so that there is a mean and no word. Runs are never pooled: a hundred seeds of
one data set say nothing of the next.

The mean of the middle half, from five data sets on, answers to no single data set: its interval is
Tukey and McLaughlin's, over data sets alone.

Source: Hartung and Knapp 2001, Statist. Med. 20, 3875 (the interval; its factor never below 1:
Rover, Knapp and Friede 2015, BMC Med. Res. Methodol. 15:99); Paule and Mandel 1982, J. Res. NBS
87, 377 (tau); Higgins, Thompson and Spiegelhalter 2009, JRSS A 172, 137 (prediction, here with
k - 1 degrees of freedom); Tukey and McLaughlin 1963, Sankhya A 25, 331 (trimmed mean).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import chdtrc

from swinablate.stats.critical import bonferroni, t_quantile

Floats = NDArray[np.float64]

LEAST = 3
"""Data sets from which a spread between them can be told from errors at all."""
MANY = 5
"""Data sets from which a middle half of them is more than one effect."""
SHARE = 0.25
"""Of the data sets, what is cut at either end: the interquartile mean's."""


@dataclass(frozen=True, kw_only=True)
class OverDatasets:
    """An effect over data sets; numbers are None where nothing can be said.

    Attributes:
        k: data sets.
        mean_pp: the mean effect; of two data sets that of both alike.
        ci_low, ci_high: of the mean, simultaneous over `comparisons`.
        tau_pp: standard deviation of effects between data sets.
        i2: percent of the effects' variation that is between data sets, and not error.
        p_heterogeneity: of Cochran's Q, that all data sets share one effect.
        new_low, new_high: where the true effect on a new data set like these lies, at the same
            level, for one arm.
        iqm_pp: mean of the middle half of the effects, from five data sets on.
        iqm_low, iqm_high: of it, simultaneous over `comparisons`; it decides nothing.
        same_sign: data sets whose effect has the mean's sign.
    """

    k: int
    mean_pp: float
    ci_low: float | None = None
    ci_high: float | None = None
    tau_pp: float | None = None
    i2: float | None = None
    p_heterogeneity: float | None = None
    new_low: float | None = None
    new_high: float | None = None
    iqm_pp: float | None = None
    iqm_low: float | None = None
    iqm_high: float | None = None
    same_sign: int


def over_datasets(
    effects: ArrayLike, errors: ArrayLike, *, alpha: float, comparisons: int = 1
) -> OverDatasets:
    """Combine an arm's effects on several data sets.

    Args:
        effects: of each data set, percentage points.
        errors: their standard errors, above 0.
        alpha: 1 less the level of the intervals.
        comparisons: arms whose intervals of the mean are to hold at once (Bonferroni's bound).

    Raises:
        ValueError: fewer than two effects, or an error that is none.
    """
    y, se = np.asarray(effects, dtype=float), np.asarray(errors, dtype=float)
    if len(y) < 2 or len(y) != len(se) or not (np.isfinite(y).all() and (se > 0).all()):
        raise ValueError("two effects or more are needed, each with its error")
    k = len(y)
    sign = int((np.sign(y) == np.sign(y.mean())).sum())
    if k < LEAST:
        return OverDatasets(k=k, mean_pp=float(y.mean()), same_sign=sign)
    fixed = _spread(0.0, y, se)
    tau2 = between(y, se)
    weights = 1 / (se**2 + tau2)
    mean = float((weights * y).sum() / weights.sum())
    # Hartung and Knapp's factor: below 1 it would trust few data sets that agree by chance.
    factor = max(1.0, _spread(tau2, y, se) / (k - 1))
    variance = factor / float(weights.sum())
    half = float(bonferroni(comparisons, k - 1, alpha)) * variance**0.5
    ahead = float(t_quantile(1 - alpha / 2, k - 1)) * (tau2 + variance) ** 0.5
    middle = _middle_half(y, se, alpha, comparisons) if k >= MANY else (None, None, None)
    return OverDatasets(
        k=k,
        mean_pp=mean,
        ci_low=mean - half,
        ci_high=mean + half,
        tau_pp=tau2**0.5,
        i2=100 * max(0.0, 1 - (k - 1) / fixed) if fixed > 0 else 0.0,
        p_heterogeneity=float(chdtrc(k - 1, fixed)),
        new_low=mean - ahead,
        new_high=mean + ahead,
        iqm_pp=middle[0],
        iqm_low=middle[1],
        iqm_high=middle[2],
        same_sign=int((np.sign(y) == np.sign(mean)).sum()),
    )


def mean_visible(k: int, error: float, tau: float, *, alpha: float, comparisons: int = 1) -> float:
    """The half width of the mean's interval over k data sets, were what makes it known.

    Args:
        k: data sets, three or more.
        error: standard error of an effect on one.
        tau: sd of effects between them.
        alpha: 1 less the level.
        comparisons: arms whose intervals are to hold at once.
    """
    variance: float = (error**2 + tau**2) / k
    return float(bonferroni(comparisons, k - 1, alpha)) * float(np.sqrt(variance))


def _middle_half(
    y: Floats, se: Floats, alpha: float, comparisons: int
) -> tuple[float, float, float]:
    """Mean of the middle half of effects and its interval.

    The variance is Yuen's, of winsorized effects, and never below what seeds leave of a mean of
    all: few data sets agree by chance.
    """
    k = len(y)
    cut = int(SHARE * k)
    kept = k - 2 * cut
    order = np.argsort(y)
    inner = order[cut : k - cut]
    pulled = np.clip(y, y[order[cut]], y[order[k - cut - 1]])
    spread = (k - 1) * float(np.var(pulled, ddof=1)) / (kept * (kept - 1))
    least = float((se**2).sum()) / k**2
    half = float(bonferroni(comparisons, kept - 1, alpha)) * max(spread, least) ** 0.5
    mean = float(y[inner].mean())
    return mean, mean - half, mean + half


def between(y: Floats, se: Floats) -> float:
    """The variance between data sets by Paule and Mandel: Q at it is what it is expected to be."""
    expected = len(y) - 1
    if _spread(0.0, y, se) <= expected:
        return 0.0
    high = float(np.var(y, ddof=1) + (se**2).max())
    while _spread(high, y, se) > expected:
        high *= 2
    return float(brentq(lambda tau2: _spread(tau2, y, se) - expected, 0.0, high))


def _spread(tau2: float, y: Floats, se: Floats) -> float:
    """Cochran's Q, with weights for a variance between data sets."""
    weights = 1 / (se**2 + tau2)
    mean = (weights * y).sum() / weights.sum()
    return float((weights * (y - mean) ** 2).sum())


def word(found: OverDatasets, rope: float | None, *, lower_is_better: bool = False) -> str:
    """better, worse, equivalent or undecided, of the mean's interval; of two data sets none."""
    if found.ci_low is None or found.ci_high is None:
        return ""
    low, high = found.ci_low, found.ci_high
    if lower_is_better:
        low, high = -high, -low
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    inside = rope is not None and -rope < low and high < rope
    return "equivalent" if inside else "undecided"
