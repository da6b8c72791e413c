"""Contrasts of arm means: estimate, standard error, degrees of freedom, intervals.

The variance of each arm is moderated by those of the others (`seeds.variances`), which is worth
about a seed an arm at five seeds and keeps the error rate under unequal variances; two arms alone
are judged by Welch's t. Intervals are single-step and simultaneous, and the p-value beside one is
the adjusted one of the same statistic: it is below alpha exactly if the interval excludes 0.

Source: Welch, Biometrika 34 (1947); Satterthwaite, Biometrics Bull. 2 (1946); Dunnett, JASA 50
(1955); Hochberg, Tamhane, Multiple Comparison Procedures (1987), chapter 2, for adjusted p.

Shapes: ... any leading dimensions (simulations), k arms, m contrasts of a family.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from swinablate.stats.critical import (
    Floats,
    bonferroni,
    bonferroni_p,
    many_to_one,
    many_to_one_p,
    shared_part,
    t_quantile,
    two_sided_p,
)
from swinablate.stats.seeds.variances import PAIR, Flags, moderated

WHOLE = 100.0
"""Percent, and the largest difference of two percentages."""
BASELINE_RATIO = 2
"""The baseline takes part in every comparison and runs so many times the seeds of an arm."""

CERTAIN = 1e9  # degrees of freedom of a variance that is taken for all arms' own
FEW_SEEDS = 5
"""Fewer seeds of an arm are warned about (W1), and do not decide whether to pair."""
TESTED = 3
"""Seeds from which an arm is judged: the sd of two has one degree of freedom."""

Method = Literal["auto", "shrunken", "welch-holm", "dunnett", "paired", "auto-paired"]
"""How a family is judged.

"shrunken" has moderated variances and unpaired seeds, "paired" moderated variances of the
differences within seeds; "auto" lets the covariances of the seeds decide between the two, and
"auto-paired" is its former name. "welch-holm" leaves every arm its own variance (Bonferroni's
intervals and p; its name is older than that), "dunnett" has one variance for all.
"""


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
        adjusted: single-step, for the whole family; below alpha exactly if the interval
            excludes 0.
        shrunken: whether variances were moderated.
    """

    delta: Floats
    se: Floats
    df: Floats
    c: Floats
    half: Floats
    half_equivalence: Floats
    p: Floats
    adjusted: Floats
    shrunken: bool = True


def estimate(
    cells: Cells, weights: Floats, *, alpha: float, floor: float = 0.0, method: Method = "auto"
) -> Estimates:
    """Estimate every contrast of a family from the arms' means, and its simultaneous interval.

    Args:
        cells: the arms that take part.
        weights: (m, k), a row for each declared contrast, run or not.
        alpha: error rate of the family.
        floor: smallest believable sd over seeds, in points.
        method: "welch-holm" leaves every arm its own variance, "dunnett" has one for all; any
            other moderates them.
    """
    delta, se, df = errors(cells, weights, floor=floor, method=method)
    loadings = None if method == "welch-holm" else _loadings(cells, weights)
    shrunken = method != "welch-holm" and int((cells.pooled & (cells.n > 1)).sum()) > PAIR
    return assemble(delta, se, df, alpha=alpha, loadings=loadings, shrunken=shrunken)


def errors(
    cells: Cells, weights: Floats, *, floor: float = 0.0, method: Method = "auto"
) -> tuple[Floats, Floats, Floats]:
    """Return estimates, standard errors and degrees of freedom."""
    var = np.maximum(cells.var, floor**2)
    free = np.maximum(cells.n - 1, 0)
    if method == "dunnett":
        shared = np.where(cells.pooled, free, 0)
        pool = (shared * np.nan_to_num(var)).sum(-1, keepdims=True) / max(shared.sum(), 1)
        v = np.where(cells.pooled, pool, var)
        f = np.where(cells.pooled, CERTAIN, free)
    else:
        speaks = cells.pooled & (method != "welch-holm")
        v, f = moderated(var, free, speaks)
    delta, se, df = _combine(cells, weights, v, f)
    if method == "welch-holm":
        return delta, se, df
    # Arms know of each other no more than all their seeds: two arms of 3 have 4 degrees of
    # freedom between them, whatever a prior promises. An arm that does not speak brings its own.
    total = free[cells.pooled].sum() + (weights != 0) @ np.where(cells.pooled, 0, free)
    return delta, se, np.minimum(df, np.maximum(total, 1))


def assemble(
    delta: Floats,
    se: Floats,
    df: Floats,
    *,
    alpha: float,
    loadings: tuple[float, ...] | None = None,
    shrunken: bool = True,
) -> Estimates:
    """Fill in what follows from estimates, errors and how the contrasts correlate.

    Args:
        delta: (..., m).
        se: (..., m).
        df: (..., m).
        alpha: error rate of the family.
        loadings: of a comparison of many arms with one, as from `shared_part`; None is
            Bonferroni's, which holds for any correlation.
        shrunken: whether variances were moderated.
    """
    m = delta.shape[-1]
    with np.errstate(invalid="ignore"):
        t = np.abs(delta / se)
    if loadings is None:
        c, adjusted = bonferroni(m, df, alpha), bonferroni_p(m, t, df)
    else:
        known = np.isfinite(df)
        c = np.where(known, many_to_one(loadings, np.nan_to_num(df, nan=1.0), alpha), np.nan)
        adjusted = many_to_one_p(loadings, t, df)
    return Estimates(
        delta=delta,
        se=se,
        df=df,
        c=c,
        half=c * se,
        half_equivalence=t_quantile(1 - alpha / m, df) * se,
        p=two_sided_p(t, df),
        adjusted=adjusted,
        shrunken=shrunken,
    )


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


def _loadings(cells: Cells, weights: Floats) -> tuple[float, ...] | None:
    """How comparisons of many arms with one share the noise of that one; None of others."""
    if not is_many_to_one(weights):
        return None
    # An arm that has not run yet counts with the seeds it will have.
    n = np.where(cells.n >= TESTED, cells.n, np.maximum(cells.declared, 1))
    others = n[np.argmax(weights, axis=1)].astype(int).tolist()
    return shared_part(others, int(n[np.argmin(weights[0])]))
