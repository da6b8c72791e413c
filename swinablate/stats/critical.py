"""Critical values of simultaneous intervals, p-values beside them: Dunnett, Bonferroni.

Source: Dunnett, A multiple comparison procedure for comparing several treatments with a
control, JASA 50 (1955); Holm, Scand. J. Statist. 6 (1979).

Shapes: d degrees of freedom asked for, q nodes of a quadrature.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincinv, ndtr, stdtr, stdtrit

Floats = NDArray[np.float64]

REACH, STEP = 9.0, 0.01
"""The normal part is tabulated on [0, REACH]; beyond it, it is 1 but for 2e-19. Between two places
of the table a straight line is within what `many_to_one` promises."""
NODES = 48  # over the scale: the integrand is smooth
MANY = 500
"""Degrees of freedom that are solved for at a time; simulations ask for thousands."""
LARGE = 1e6  # degrees of freedom from which t is normal for our purposes


def t_quantile(level: float, df: ArrayLike) -> Floats:
    """Quantile of Student's t at `level`."""
    return np.asarray(stdtrit(np.minimum(df, LARGE), level), dtype=float)


def two_sided_p(t: ArrayLike, df: ArrayLike) -> Floats:
    """Probability of a larger absolute value of Student's t."""
    return np.asarray(2 * stdtr(np.minimum(df, LARGE), -np.abs(t)), dtype=float)


def bonferroni(comparisons: int, df: ArrayLike, alpha: float) -> Floats:
    """Critical value that holds for any correlation between the comparisons."""
    return t_quantile(1 - alpha / (2 * comparisons), df)


def shared_part(n: Sequence[int], n_baseline: int) -> tuple[float, ...]:
    """The loading of each comparison on the baseline's noise, from the numbers of seeds.

    The comparisons i and j correlate with the product of their loadings: 1/2 at equal n,
    1/3 when the baseline has twice the seeds.
    """
    return tuple((each / (each + n_baseline)) ** 0.5 for each in n)


def many_to_one(loadings: Sequence[float], df: ArrayLike, alpha: float) -> Floats:
    """Critical value c with P(max |T_j| <= c) = 1 - alpha, for each of `df`.

    Args:
        loadings: one for each comparison, as from `shared_part`.
        df: degrees of freedom, any shape.
        alpha: error rate of the family.

    Returns:
        c, in the shape of `df`, accurate to 2 in 10,000.
    """
    wanted = np.unique(np.clip(df, 1.0, LARGE))
    if len(wanted) > MANY:  # between so many the curve is straight
        wanted = 1 / np.linspace(1 / wanted[0], 1 / wanted[-1], MANY)
    c = _solve(wanted, _groups(loadings), alpha)
    inverse = 1 / np.clip(df, 1.0, LARGE)
    return np.asarray(np.interp(inverse, 1 / wanted[::-1], c[::-1]), dtype=float)


def bonferroni_p(comparisons: int, t: ArrayLike, df: ArrayLike) -> Floats:
    """Single-step adjusted p-value that holds for any correlation between the comparisons."""
    return np.minimum(comparisons * two_sided_p(t, df), 1.0)


def many_to_one_p(loadings: Sequence[float], t: Floats, df: Floats) -> Floats:
    """Single-step adjusted p-values: P(max |T_j| > |t|), the counterpart of `many_to_one`.

    Args:
        loadings: one for each comparison, as from `shared_part`.
        t: the statistics, any shape; nan stays nan.
        df: degrees of freedom of each, in the shape of `t`.

    Returns:
        p, in the shape of `t`: alpha where |t| is the critical value at alpha.
    """
    content, _ = _normal_part(_groups(loadings))
    grid = np.arange(len(content)) * STEP
    flat, free = np.abs(t).ravel(), np.clip(df, 1.0, LARGE).ravel()
    p = np.full(flat.shape, np.nan)
    known = np.flatnonzero(np.isfinite(flat) & np.isfinite(free))
    for some in np.array_split(known, len(known) // MANY + 1):
        nodes, weights = scale_nodes(free[some])
        inside = np.interp(flat[some, None] * nodes, grid, content)
        p[some] = 1 - np.sum(weights * inside, axis=1)
    # The sum is rounded at 1e-16; Student's own tail says how small the smallest are.
    alone = two_sided_p(t, df)
    bound = np.minimum(len(loadings) * alone, 1.0)
    return np.asarray(np.clip(p.reshape(np.shape(t)), alone, bound))


def scale_nodes(df: Floats, nodes: int = NODES) -> tuple[Floats, Floats]:
    """Nodes and weights for the mean over sqrt(chi2 / df); both (d, q).

    Trapezoids in the logarithm: its density falls so fast at both ends that they converge
    geometrically, for 1 degree of freedom as for 1,000.
    """
    half = df / 2
    # From one tail of 1e-12 to the other: what is left out is less than rounding adds.
    low = np.log(gammaincinv(half, 1e-12) / half) / 2
    high = np.log(gammaincinv(half, 1 - 1e-12) / half) / 2
    at = np.linspace(low, high, nodes, axis=1)
    log_density = df[:, None] * at - half[:, None] * np.exp(2 * at)
    weights = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    return np.exp(at), weights / weights.sum(axis=1, keepdims=True)


def _groups(loadings: Sequence[float]) -> tuple[tuple[float, int], ...]:
    """The loadings with how many comparisons have each; what only rounding tells apart is one."""
    counts = Counter(round(x, 6) for x in loadings)
    return tuple(sorted(counts.items()))


def _solve(wanted: Floats, groups: tuple[tuple[float, int], ...], alpha: float) -> Floats:
    """The critical value at each of the sorted degrees of freedom."""
    content, density = _normal_part(groups)
    grid = np.arange(len(content)) * STEP
    nodes, weights = scale_nodes(wanted)
    low = t_quantile(1 - alpha / 2, wanted)  # one comparison alone
    high = bonferroni(sum(count for _, count in groups), wanted, alpha) + 1e-6
    c = low
    # Newton's steps, bisection where one leaves the bracket: a hundred halvings end below any
    # rounding, and 1e-7 is far below the accuracy of the table.
    for _ in range(100):
        at = c[:, None] * nodes
        reached = np.sum(weights * np.interp(at, grid, content), axis=1)
        slope = np.sum(weights * nodes * np.interp(at, grid, density, right=0.0), axis=1)
        low, high = np.where(reached < 1 - alpha, c, low), np.where(reached < 1 - alpha, high, c)
        newton = c + (1 - alpha - reached) / np.maximum(slope, 1e-12)
        inside = (newton >= low) & (newton <= high)
        c, before = np.where(inside, newton, (low + high) / 2), c
        if np.abs(c - before).max() < 1e-7:
            break
    return c


@lru_cache(maxsize=64)
def _normal_part(groups: tuple[tuple[float, int], ...]) -> tuple[Floats, Floats]:
    """P(max |Z_j| <= u) on the grid of u, and its derivative."""
    u = np.arange(0, REACH + STEP / 2, STEP)[:, None]
    # Trapezoids, fine enough for the steepest step in z, which is own / loading wide.
    steepest = max(loading for loading, _ in groups)
    width = min(0.3, 0.6 * (1 - steepest**2) ** 0.5 / steepest)
    z = np.linspace(-REACH, REACH, 1 + 2 * int(REACH / width))
    weights = np.exp(-(z**2) / 2)
    weights = weights / weights.sum()
    inside = np.ones((len(u), len(z)))
    for loading, count in groups:
        own = (1 - loading**2) ** 0.5
        one = ndtr((u - loading * z) / own) - ndtr((-u - loading * z) / own)
        inside *= one**count
    content = inside @ weights
    return content, np.gradient(content, STEP)
