"""Variances of arms with few seeds: each moderated by what the others show.

Five seeds know their own variance within a factor of three. Each arm's variance is moved towards
a target that all arms give, as if the target were worth so many more seeds (empirical Bayes).
How many is estimated from how far the arms' log variances scatter beyond what their seeds
explain: hardly at all where the arms clearly differ, up to a limit where they do not. Nothing is
switched: noise that differs moves the weight, and no test of equal variances is made first.

The target is the square of the mean standard deviation: one arm five times as noisy as eight
others doubles the width of their intervals if variances are averaged, and hardly touches it
here. An arm is moved up more readily than down, because an interval that is too narrow is a false
verdict, and one that is too wide a missed effect.

An arm with fewer seeds than most is moved down less. The others have then shown their own noise,
not its, and its own few seeds are all that speak against a loan from them; if it is the baseline,
one wrong variance is in every comparison.

Source: Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004), the prior degrees of freedom from the
scatter of log variances; Bartlett, Proc. R. Soc. A 160 (1937).

Shapes: ... any leading dimensions (simulations), k arms.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, digamma, gammaln, zeta

from swinablate.stats.critical import Floats

RAISED, LOWERED = 8.0, 4.0
"""At most so many seeds' worth of evidence raise a variance below the target, or lower one above.

Lowered by more, one arm five times as noisy as the others errs in over a tenth of families of 3
seeds; by less, power is lost where noise is equal: .47 at 2, .49 at 4 (8 arms of 5 seeds).
"""
RAISED_SHARE, LOWERED_SHARE = 0.75, 0.5
"""How much of the estimated evidence is used; of few arms it is too large as often as too small.

All of it where a variance is lowered errs in .074 of families with half the arms four times as
noisy (.060 with half of it). Half of it where a variance is raised errs in .074 of those whose
arms lose a point in a fifth of their seeds (.070 with three quarters); all of it costs a tenth of
the power where one arm is five times as noisy.
"""
LEAST, LEAST_UNTIL = 1 / 6, 15
"""No variance is taken for less than so much of the target; less, beyond 15 degrees of freedom.

An arm none of whose 12 seeds happened to collapse, where a fifth do, looks free of noise: without
this .089 of such families err, with it .06; equal or moderately unequal noise never meets it.
Many seeds know their own variance, so that it vanishes with the seeds.
"""
UNEQUAL_P = 0.001
"""Bartlett's p below which the spread is said to differ (W2). It decides nothing.

Seeds are not normal, and Bartlett's test takes heavy tails for unequal variances: a lower level
than .05 keeps the warning for what is plain.
"""
FEWER = 2
"""Power of an arm's share of the usual (median) seeds that its loan shrinks by.

Eight arms of 12 seeds and a baseline of 3, three times as noisy, err in .132 of families without
it, in .076 with the share itself and .063 with its square; with arms of 6 seeds in .125, .094 and
.075. Arms with as many seeds as most are not touched, and a baseline with more seeds is not what
is usual.
"""
PAIR = 2  # arms that have nothing to show each other beyond what each shows itself
TRIGAMMA_STEPS = 8  # Newton's, from a start that is within 40 %: six reach the last digit

Flags = NDArray[np.bool_]


def prior_seeds(comparisons: int) -> float:
    """How many seeds' worth of evidence may lower a variance.

    Two arms alone hold nothing that they do not show themselves; from nine comparisons on it is
    4. Chosen by simulation: a full weight errs in up to 15 % of families of one to four
    comparisons if one arm is three times as noisy as the others.
    """
    return min(LOWERED, max(0.0, (comparisons - 1) / 2))


def moderated(var: Floats, free: Floats, speaks: Flags) -> tuple[Floats, Floats]:
    """Return the moderated variance of each arm and its degrees of freedom.

    Args:
        var: (..., k) over seeds; anything where nothing is known.
        free: (k,) its degrees of freedom; 0 where nothing is known.
        speaks: (k,) whether the arm's variance speaks for the others, and they for it.
    """
    own = np.where(free > 0, np.nan_to_num(var), 0.0)
    used = speaks & (free > 0)
    others = int(used.sum()) - 1
    if others < PAIR:
        return np.where(free > 0, own, np.nan), np.broadcast_to(free, own.shape)
    target = _target(own[..., used], free[used])[..., None]
    evidence = prior_evidence(own[..., used], free[used])[..., None]
    raised = np.minimum(RAISED, RAISED_SHARE * evidence)
    lowered = np.minimum(prior_seeds(others), LOWERED_SHARE * evidence) * loan(free, used)
    weight = np.where(used, np.where(own < target, raised, lowered), 0.0)
    total = weight + free
    with np.errstate(invalid="ignore", divide="ignore"):
        v = (weight * target + free * own) / total
    least = LEAST * np.minimum(1, LEAST_UNTIL / np.maximum(free, 1)) * target
    return np.where(used, np.maximum(v, least), v), total


def loan(free: Floats, used: Flags) -> Floats:
    """What an arm may borrow to lower its variance, as a share of what the usual arm may: (k,).

    Args:
        free: (k,) degrees of freedom of each arm's own variance.
        used: (k,) which arms speak for each other; at least one.
    """
    seeds = free + 1
    return np.asarray(np.minimum(1.0, seeds / np.median(seeds[used])) ** FEWER)


def prior_evidence(var: Floats, free: Floats) -> Floats:
    """How many seeds' worth of evidence each arm's variance is for another's; inf if for all.

    By the method of moments: the log variance of f degrees of freedom varies by trigamma(f / 2);
    what the logs scatter beyond that is what the arms differ by. Arms in which no seed differs
    from another have no logarithm and are left out.

    Args:
        var: (..., k).
        free: (k,) degrees of freedom, all positive.
    """
    known = var > 0
    count = np.maximum(known.sum(-1), 1)
    half = free / 2
    logs = np.log(np.where(known, var, 1.0)) - digamma(half) + np.log(half)
    mean = np.where(known, logs, 0.0).sum(-1) / count
    square = np.where(known, (logs - mean[..., None]) ** 2, 0.0).sum(-1)
    luck = np.where(known, _trigamma(half), 0.0).sum(-1) / count
    beyond = square / np.maximum(count - 1, 1) - luck
    beyond = np.asarray(beyond)
    found = np.full(beyond.shape, np.inf)
    some = beyond > 0
    found[some] = 2 * _inverse_trigamma(beyond[some])
    return found


def bartlett(var: Floats, n: Floats) -> Floats:
    """Bartlett's p for equal variances over the last dimension; 1 for a single arm."""
    k = var.shape[-1]
    if k == 1:
        return np.ones(var.shape[:-1])
    f = n - 1
    total = f.sum()
    tiny = np.finfo(float).tiny  # all equal to 0: no evidence of a difference
    pooled = np.log(np.maximum((f * var).sum(-1) / total, tiny))
    statistic = total * pooled - (f * np.log(np.maximum(var, tiny))).sum(-1)
    # Bartlett's own correction of his statistic.
    correction = 1 + ((1 / f).sum() - 1 / total) / (3 * (k - 1))
    return np.asarray(chdtrc(k - 1, np.maximum(statistic / correction, 0)))


def _target(var: Floats, free: Floats) -> Floats:
    """The square of the mean sd, every arm alike: many seeds of a quiet baseline are one arm."""
    half = free / 2
    # The sd of few seeds is too small on average; by this factor, if they are normal.
    bias = np.exp(gammaln(half + 0.5) - gammaln(half)) / np.sqrt(half)
    return np.asarray((np.sqrt(var) / bias).mean(-1) ** 2)


def _inverse_trigamma(value: Floats) -> Floats:
    """The x with trigamma(x) = value, for positive values (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(TRIGAMMA_STEPS):
        at = _trigamma(x)
        further = x - at * (1 - at / value) / (2 * zeta(3, x))  # its slope is -2 zeta(3, x)
        if np.array_equal(further, x):
            break  # so it would stay
        x = further
    return np.asarray(x)


def _trigamma(x: Floats) -> Floats:
    """`polygamma(1, x)` of scipy, bit for bit, which also works out the digamma that it drops."""
    return np.asarray(zeta(2, x))
