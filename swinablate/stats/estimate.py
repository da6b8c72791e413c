"""Contrasts of arm means: estimate, standard error, degrees of freedom, intervals.

Variances are shrunken towards the pooled one as if up to four more seeds had shown it, which
is worth about a seed an arm at five seeds and keeps the error rate under moderately unequal
variances. The fewer the arms, the less the pool knows, and the less it counts; two arms alone
are judged by Welch's t. Where the variances clearly differ, the whole family is judged by
Welch's t with Bonferroni intervals instead.

Source: Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004) for the shrinkage (here with fixed prior
degrees of freedom); Welch, Biometrika 34 (1947); Dunnett, JASA 50 (1955).

Shapes: ... any leading dimensions (simulations), k arms, m contrasts of a family.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from swinablate.stats.critical import (
    Floats,
    bonferroni,
    many_to_one,
    shared_part,
    t_quantile,
    two_sided_p,
)

BASELINE_RATIO = 2
"""The baseline takes part in every comparison and runs so many times the seeds of an arm."""

PRIOR_SEEDS = 4.0
"""d0: how many seeds' worth of evidence the pool counts for, at most.

Of 2, 4 and 8 in simulations of 8 comparisons the compromise: 8 errs in up to 7.7 % of families of
3 seeds with very unequal variances, 2 finds an effect of half a point in .31 at 5 seeds, 4 in .36.
"""
CERTAIN = 1e9  # a prior that leaves nothing to an arm's own variance
GATE_SEEDS = 5  # fewer seeds cannot tell unequal variances from luck
GATE_RATIO, GATE_P = 3.0, 0.001
"""A larger ratio of sds, or a smaller p of Bartlett's, and the family is judged by Welch's t.

With sds of 0.15 to 3.16, as arms on digits had them, shrinking erred in 8.3 % of simulated
families and Welch's t in 5.6 %. The price is power: at 5 seeds a ratio of 3 turns up by chance in
half of all families of 8.
"""
TESTED = 3
"""Seeds from which an arm is judged: the sd of two has one degree of freedom."""

Flags = NDArray[np.bool_]
Method = Literal["auto", "shrunken", "welch-holm", "dunnett", "paired", "auto-paired"]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A weighted sum of arm means, in a family that shares one error rate.

    Attributes:
        name: what is shown; for an arm against the baseline, the arm's name.
        kind: "arm", "step", "main effect", "interaction", ...
        family: contrasts of one family are corrected for each other.
        weights: arm -> weight; weights of a difference sum to 0.
        basis: every arm at the fixed recipe, or each at its tuned one.
        metric: what is averaged, in percent.
    """

    name: str
    kind: str
    family: str
    weights: Mapping[str, float]
    basis: Literal["fixed", "tuned"] = "fixed"
    metric: str = "test/accuracy"


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What is known of each arm.

    Attributes:
        mean: (..., k) in percent; nan without a seed.
        var: (..., k) over seeds, n - 1 in the denominator; nan below 2 seeds.
        n: (k,) seeds that count.
        declared: (k,) seeds asked for; stands in for `n` until an arm has enough.
        pooled: (k,) whether the arm's variance speaks for the others.
    """

    mean: Floats
    var: Floats
    n: Floats
    declared: Floats
    pooled: Flags


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """Estimates of one family; each field (..., m), nan where nothing can be said.

    Attributes:
        delta: percentage points.
        se: standard error of `delta`.
        df: degrees of freedom of delta / se.
        c: half-width of the simultaneous interval, in standard errors.
        half: half-width of the simultaneous interval.
        half_equivalence: half-width of the interval of the two one-sided tests.
        p: two-sided, not corrected.
        welch: (...,) whether unequal variances, or the caller, ruled the pool out.
        shrunken: whether there was a pool to lean on.
    """

    delta: Floats
    se: Floats
    df: Floats
    c: Floats
    half: Floats
    half_equivalence: Floats
    p: Floats
    welch: Flags
    shrunken: bool = True


def estimate(
    cells: Cells, weights: Floats, *, alpha: float, floor: float = 0.0, method: Method = "auto"
) -> Estimates:
    """Estimate every contrast of a family, and its simultaneous interval.

    Args:
        cells: the arms that take part.
        weights: (m, k), a row for each declared contrast, run or not.
        alpha: error rate of the family.
        floor: smallest believable sd over seeds, in points.
        method: "shrunken", "welch-holm", "dunnett" (one variance for all); any other lets the
            variances decide between the first two.
    """
    delta, se, df, welch = errors(cells, weights, floor=floor, method=method)
    c = np.where(
        welch[..., None],
        bonferroni(len(weights), df, alpha),
        _simultaneous(cells, weights, df, alpha),
    )
    family = assemble(delta, se, df, c, alpha=alpha, welch=welch)
    return replace(family, shrunken=prior_seeds(int(cells.pooled.sum()) - 1) > 0)


def errors(
    cells: Cells, weights: Floats, *, floor: float = 0.0, method: Method = "auto"
) -> tuple[Floats, Floats, Floats, Flags]:
    """Return estimates, standard errors, degrees of freedom; and who was judged by Welch."""
    var = np.maximum(cells.var, floor**2)
    trusted = cells.pooled & (cells.n >= GATE_SEEDS)
    welch = unequal(var[..., trusted], cells.n[trusted])
    if method in {"shrunken", "welch-holm", "dunnett"}:
        welch = np.full_like(welch, method == "welch-holm")
    weight = CERTAIN if method == "dunnett" else prior_seeds(int(cells.pooled.sum()) - 1)
    prior = np.where(welch[..., None] | ~cells.pooled, 0.0, weight)
    v, f = shrunken(var, cells, prior)  # a prior of 0 leaves each arm its own variance
    delta, se, df = _combine(cells, weights, v, f)
    # A pool is worth no more than the seeds it is made of: two arms of 3 have 4 degrees of
    # freedom between them, whatever the prior promises. An arm outside it brings its own.
    free = np.maximum(cells.n - 1, 0)
    total = free[cells.pooled].sum() + (weights != 0) @ np.where(cells.pooled, 0, free)
    return delta, se, np.where(welch[..., None], df, np.minimum(df, np.maximum(total, 1))), welch


def prior_seeds(comparisons: int) -> float:
    """How many seeds' worth of evidence the pooled variance counts for.

    A pool of two arms holds nothing that the two do not; from nine comparisons on it counts
    for 4. Chosen by simulation: a full weight errs in up to 15 % of families of one to four
    comparisons if one arm is three times as noisy as the others.
    """
    return min(PRIOR_SEEDS, max(0.0, (comparisons - 1) / 2))


def assemble(
    delta: Floats, se: Floats, df: Floats, c: Floats, *, alpha: float, welch: Flags
) -> Estimates:
    """Fill in what follows from estimate, error and critical value."""
    return Estimates(
        delta=delta,
        se=se,
        df=df,
        c=c,
        half=c * se,
        half_equivalence=t_quantile(1 - alpha / delta.shape[-1], df) * se,
        p=two_sided_p(delta / se, df),
        welch=welch,
    )


def shrunken(var: Floats, cells: Cells, prior: Floats) -> tuple[Floats, Floats]:
    """Return the variance of each arm and its degrees of freedom; nan if nothing is known.

    Args:
        var: (..., k) over seeds.
        cells: says which arms the pool is made of.
        prior: (..., k) how many seeds' worth of evidence the pool counts for.
    """
    f = np.maximum(cells.n - 1, 0)
    own = np.where(f > 0, f * np.nan_to_num(var), 0.0)
    shared = np.where(cells.pooled, f, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        pool = (own * cells.pooled).sum(-1, keepdims=True) / shared.sum()
        v = (np.where(prior > 0, prior * pool, 0.0) + own) / (prior + f)
    return v, prior + f


def spread(var: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Ratio of the largest to the smallest sd, and Bartlett's p, over the last dimension."""
    if var.shape[-1] < 2:
        return np.ones(var.shape[:-1]), np.ones(var.shape[:-1])
    f = n - 1
    total = f.sum()
    pooled = (f * var).sum(-1) / total
    tiny = np.finfo(float).tiny  # all equal to 0: no evidence of a difference
    logs = np.log(np.maximum(var, tiny))
    statistic = total * np.log(np.maximum(pooled, tiny)) - (f * logs).sum(-1)
    k = var.shape[-1]
    correction = 1 + ((1 / f).sum() - 1 / total) / (
        3 * (k - 1)
    )  # Bartlett's own, of his statistic
    ratio = np.sqrt(np.maximum(var.max(-1), tiny) / np.maximum(var.min(-1), tiny))
    return ratio, np.asarray(chdtrc(k - 1, np.maximum(statistic / correction, 0)))


def unequal(var: Floats, n: Floats) -> Flags:
    """Whether the variances of the last dimension clearly differ."""
    ratio, p = spread(var, n)
    return np.asarray((ratio > GATE_RATIO) | (p < GATE_P))


def is_many_to_one(weights: Floats) -> bool:
    """Whether every row is one arm minus the same other arm."""
    minus = np.argmin(weights, axis=1)
    plus = np.argmax(weights, axis=1)
    rows = np.arange(len(weights))
    return bool(
        (minus == minus[0]).all()
        and len(set(plus.tolist())) == len(plus)
        and ((weights != 0).sum(axis=1) == 2).all()
        and (weights[rows, minus] == -1).all()
        and (weights[rows, plus] == 1).all()
    )


def _combine(cells: Cells, weights: Floats, v: Floats, f: Floats) -> tuple[Floats, Floats, Floats]:
    """Delta, standard error and Welch-Satterthwaite degrees of freedom of every contrast."""
    used = weights != 0
    enough = (used & (cells.n < TESTED)).sum(axis=1) == 0
    known = (used & (cells.n < 1)).sum(axis=1) == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.nan_to_num(v / cells.n, nan=0.0, posinf=0.0)
        square = part @ (weights**2).T
        bend = (part**2 / np.maximum(f, 1)) @ (weights**4).T
        delta = np.where(known, np.nan_to_num(cells.mean) @ weights.T, np.nan)
        # No spread in any seed says nothing about the spread of the next: no interval.
        se = np.where(enough & (square > 0), np.sqrt(square), np.nan)
        df = np.where(np.isfinite(se), square**2 / bend, np.nan)
    return delta, se, df


def _simultaneous(cells: Cells, weights: Floats, df: Floats, alpha: float) -> Floats:
    """Dunnett's critical values where one arm is compared with many, else Bonferroni's."""
    if not is_many_to_one(weights):
        return bonferroni(len(weights), df, alpha)
    # An arm that has not run yet counts with the seeds it will have.
    n = np.where(cells.n >= TESTED, cells.n, np.maximum(cells.declared, 1))
    others = n[np.argmax(weights, axis=1)].astype(int).tolist()
    loadings = shared_part(others, int(n[np.argmin(weights[0])]))
    c = many_to_one(loadings, np.nan_to_num(df, nan=1.0), alpha)
    return np.where(np.isfinite(df), c, np.nan)
