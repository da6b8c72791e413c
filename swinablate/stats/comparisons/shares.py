"""What each of several changes made one after the other has of what they make together.

A path goes from the baseline to all changes in the declared order and in the reverse. A change is
worth another amount in either, and the mean of the two is its part: the parts add up to the whole,
of every seed. A part has the t-interval of its mean over seeds. Its share of the whole is a ratio
of two means of the same seeds with Fieller's interval; there is none where the whole may be 0.

Source: Shapley 1953 (the mean over orders, here two of them); Fieller 1954, J. R. Stat. Soc. B 16,
175 (the interval of a ratio).

Shapes: n seeds, k changes.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swinablate.stats.critical import bonferroni

SEEDS = 3
"""Seeds below which nothing is judged, as everywhere: of two, a spread is anybody's guess."""

NOTHING = "all changes together may make no difference"
VAGUE = "for the shares of all changes at once that is not known well enough"
"""Why there are no shares: by the whole's own interval, and at the level that each of many has."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one change has of the whole; numbers are None where nothing can be said.

    Attributes:
        first: its step in the declared order, percentage points.
        last: its step in the reverse order.
        effect: the mean of the two.
        ci_low, ci_high: of the effect, for all changes together.
        share: of the whole, 1 is all of it; below 0 where it works against the whole.
        share_low, share_high: of the share, for all changes together.
    """

    first: float
    last: float
    effect: float
    ci_low: float | None = None
    ci_high: float | None = None
    share: float | None = None
    share_low: float | None = None
    share_high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Whole:
    """All changes together, and the part of each.

    Attributes:
        n: seeds.
        effect: of all changes, percentage points.
        ci_low, ci_high: its interval, alone; None where there is none.
        parts: of each change.
        why: why there are no shares; empty where there are.
    """

    n: int
    effect: float
    ci_low: float | None
    ci_high: float | None
    parts: tuple[Part, ...]
    why: str = ""


def shares(first: ArrayLike, last: ArrayLike, *, alpha: float, floor: float = 0.0) -> Whole:
    """Split what all changes make into the part of each.

    Args:
        first: (n, k) the step of every change in the declared order, of every seed.
        last: (n, k) its step in the reverse order.
        alpha: 1 less the level of the intervals.
        floor: smallest believable sd of an arm over seeds.

    Raises:
        ValueError: not two tables of the same size, no seed, or orders that end elsewhere.
    """
    one, other = np.asarray(first, dtype=float), np.asarray(last, dtype=float)
    if one.ndim != 2 or one.shape != other.shape or not one.size:
        raise ValueError("two tables of the same size are needed, with a seed at least")
    # In percentage points: what adding up in another order rounds, and nothing else.
    if not np.allclose(one.sum(axis=1), other.sum(axis=1), atol=1e-6):
        raise ValueError("both orders lead from the baseline to all changes")
    parts, whole = (one + other) / 2, one.sum(axis=1)
    n, k = parts.shape
    means = (table.mean(axis=0).tolist() for table in (one, other, parts))
    plain = tuple(Part(first=a, last=b, effect=p) for a, b, p in zip(*means, strict=True))
    if n < SEEDS:
        return Whole(
            n=n, effect=float(whole.mean()), ci_low=None, ci_high=None, parts=plain,
            why=f"fewer than {SEEDS} seeds ended in every arm of the path",
        )  # fmt: skip
    total = float(whole.mean())
    half = float(bonferroni(1, n - 1, alpha)) * _se(whole, sqrt(2) * floor)  # of two arms
    t = float(bonferroni(k, n - 1, alpha))
    ses = [_se(part, floor) for part in parts.T]  # half of two steps, which are four arms
    bounds = [_ratio(part, whole, t, floor) for part in parts.T]
    # Either all shares have an interval or none: they have one whole.
    clear = all(bound is not None for bound in bounds)
    return Whole(
        n=n,
        effect=total,
        ci_low=total - half,
        ci_high=total + half,
        parts=tuple(
            Part(
                first=one.first, last=one.last, effect=one.effect,
                ci_low=one.effect - t * se, ci_high=one.effect + t * se,
                share=one.effect / total if clear else None,
                share_low=bound[0] if clear and bound else None,
                share_high=bound[1] if clear and bound else None,
            )
            for one, se, bound in zip(plain, ses, bounds, strict=True)
        ),
        why="" if clear else NOTHING if abs(total) <= half else VAGUE,
    )  # fmt: skip


def _se(values: NDArray[np.float64], floor: float) -> float:
    return max(float(values.std(ddof=1)), floor) / sqrt(len(values))


def _ratio(
    part: NDArray[np.float64], whole: NDArray[np.float64], t: float, floor: float
) -> tuple[float, float] | None:
    """Fieller's interval of mean(part) / mean(whole); None where it is no interval."""
    a, d = float(part.mean()), float(whole.mean())
    saa, sdd = _se(part, floor) ** 2, _se(whole, sqrt(2) * floor) ** 2
    sad = float(np.cov(part, whole)[0, 1]) / len(part)
    square = d * d - t * t * sdd
    if square <= 0:  # the whole may be 0, and a share of nothing is anything
        return None
    middle, rest = a * d - t * t * sad, a * a - t * t * saa
    root = sqrt(max(0.0, middle * middle - square * rest))
    return (middle - root) / square, (middle + root) / square
