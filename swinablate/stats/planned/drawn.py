"""Studies that seeds of equal noise may give: their variances, and how often they show something.

Shapes: s draws of a study's variances, m contrasts, k arms.
"""

from functools import lru_cache

import numpy as np
from scipy.special import gammaincinv, ndtr

from swinablate.stats.critical import Floats, t_quantile
from swinablate.stats.estimate import Cells, errors
from swinablate.stats.seeds.variances import moderated

DRAWS = 1000  # power at the effect told is then within half a point of what is asked
CROWD = 16
"""Arms that are drawn of those that compare alike: more change what a variance is moderated
towards by nothing that shows."""
STEPS = 12  # Newton's; power rises so evenly that six reach 1e-9
HALVINGS = 50  # of a bracket a few standard deviations wide: beyond what a double keeps of it
NEAR = 1e-12
"""Of that bracket: so near its end, which Newton's steps find, halvings are worked out; further
away rounding, at 1e-16, cannot say otherwise than which side it is."""
KEPT = 256
"""Numbers of seeds whose quantiles are remembered, 8 KiB each: searches for seeds ask again."""


def against(n: int, n_baseline: int, m: int) -> tuple[Floats, Floats]:
    """Weights and seeds of arms that compare alike with one baseline."""
    arms = min(m, CROWD)
    seeds = np.array([n_baseline] + [n] * arms, dtype=float)
    return np.hstack([-np.ones((arms, 1)), np.eye(arms)]), seeds


def drawn(weights: Floats, seeds: Floats) -> tuple[Floats, Floats, Floats]:
    """True standard errors (m,), estimated ones and their degrees of freedom (s, m).

    The noise is 1 everywhere. Each arm's variances are the quantiles of their distribution, in
    an order of their own: the same studies for every number of seeds, so that more seeds never
    seem to find less.
    """
    var = _variances(seeds - 1)
    cells = Cells(
        mean=np.zeros_like(var),
        var=var,
        n=seeds,
        declared=seeds,
        pooled=np.ones(len(seeds), dtype=bool),
    )
    _, se, df = errors(cells, weights)
    return np.sqrt(weights**2 @ (1 / seeds)), se, df


def _variances(free: Floats) -> Floats:
    """Variances (s, k) that normal values with variance 1 may show: the quantiles, shuffled."""
    rng = np.random.default_rng(0)
    order = np.arange(DRAWS)
    # Most arms have as many seeds, so the same quantiles, each in its own order.
    return np.stack([_quantiles(f)[rng.permutation(order)] for f in free.tolist()], axis=-1)


@lru_cache(KEPT)
def _quantiles(free: float) -> Floats:
    """Variances that normal values of so many degrees of freedom may show, in order."""
    at = (np.arange(DRAWS) + 0.5) / DRAWS
    return np.asarray(gammaincinv(free / 2, at) / (free / 2))


def found_with(power: float, half: Floats, se: Floats) -> Floats:
    """The effect of each contrast (m,) that exceeds the half-widths (s, m) with `power`."""
    x = half.mean(0) + float(t_quantile(power, np.inf)) * se
    before = None
    for left in reversed(range(STEPS)):
        at = (x - half) / se
        reached = (ndtr(at) + ndtr(-(x + half) / se)).mean(0)
        further = x + (power - reached) * se / np.maximum(density(at).mean(0), 1e-9)
        if np.array_equal(further, x):
            break  # so it would stay
        if before is not None and np.array_equal(further, before):
            return np.asarray(x if left % 2 else further)  # so they would take turns
        before, x = x, further
    return np.asarray(x)


def density(z: Floats) -> Floats:
    """The standard normal density."""
    return np.asarray(np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5)


def drawn_within(n: int, m: int, correlation: float) -> tuple[Floats, Floats, Floats]:
    """As `drawn`, of differences within `n` seeds.

    Their variances are drawn as if each were alone: the baseline that all of them share moves
    them together, which changes what they say of each other by nothing that shows.
    """
    arms = min(m, CROWD)
    free = np.full(arms, n - 1.0)
    square = 2 * (1 - correlation)
    v, f = moderated(square * _variances(free), free, np.ones(arms, dtype=bool))
    df = np.minimum(f, free.sum())
    return np.full(arms, (square / n) ** 0.5), np.sqrt(v / n), np.broadcast_to(df, v.shape)


def within(power: float, half: Floats, se: Floats) -> float:
    """The rope that holds estimates of no difference (m,) and half-widths (s, m) with `power`."""
    low, high = 0.0, float(half.max() + t_quantile((1 + power) / 2, np.inf) * se.max())
    below, above = _around(power, half, se, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if middle >= above or (middle > below and _inside(middle, half, se) >= power):
            high = middle
        else:
            low = middle
    return high


def _around(power: float, half: Floats, se: Floats, high: float) -> tuple[float, float]:
    """Two ropes near each other, of which the first holds fewer than `power`, the second does not.

    Nothing and `high` where Newton's steps do not lead there.
    """
    x = float(np.median(half) + t_quantile((1 + power) / 2, np.inf) * np.median(se))
    for _ in range(STEPS):
        slope = (2 * density((x - half) / se) / se * (half < x)).mean()
        further = x + (power - _inside(x, half, se)) / max(float(slope), 1e-9)
        x, before = min(max(further, 0.0), high), x
        if abs(x - before) < NEAR * high:
            break
    below, above = x - NEAR * high, x + NEAR * high
    if _inside(below, half, se) < power <= _inside(above, half, se):
        return below, above
    return 0.0, high


def _inside(rope: float, half: Floats, se: Floats) -> float:
    """How often a rope holds estimates of no difference and their half-widths."""
    return float(np.maximum(2 * ndtr((rope - half) / se) - 1, 0).mean())
