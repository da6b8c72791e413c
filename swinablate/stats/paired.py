"""Contrasts within seeds, for arms whose seeds go up and down together.

Runs with the same seed start from the same weights and see the same batches. Short trainings,
and seeds that also redraw the split, stay correlated, and differences within seeds are then
less noisy than differences of means; long trainings forget their seed, and pairing only costs
degrees of freedom. Whether to pair is decided for a whole family from its covariances, which
know nothing of its means. Deciding for each comparison would err three times too often.

Shapes: as in `estimate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swinablate.stats.critical import Floats
from swinablate.stats.estimate import FEW_SEEDS, TESTED, Estimates, assemble
from swinablate.stats.sample import Sample
from swinablate.stats.seeds.variances import PAIR, Flags, moderated

EVIDENCE = 16
"""Degrees of freedom from which covariances may decide: fewer err by luck.

With 8 (two arms of 5 seeds) .066 of families err whose seeds know nothing of each other, with
16 (four arms of 5) .044.
"""
WORTH = 0.25
"""Share of the noise that pairing has to remove: a baseline with twice the seeds breaks even."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The contrasts within each seed.

    Attributes:
        mean: (..., m) over the seeds that all arms of a contrast share; nan without one.
        var: (..., m) over those seeds; nan below two.
        unpaired: (..., m) what the variance would be if the arms were independent.
        n: (m,) shared seeds.
    """

    mean: Floats
    var: Floats
    unpaired: Floats
    n: Floats

    @property
    def removed(self) -> Floats:
        """(...,) share of the family's noise that pairing removes; the seeds' correlation."""
        known = self.n >= TESTED
        own, apart = self.var[..., known].sum(-1), self.unpaired[..., known].sum(-1)
        return np.asarray(1 - own / np.where(apart > 0, apart, np.inf))


def pairs(samples: Mapping[str, Sample], weights: Floats) -> Pairs:
    """Form every contrast within the seeds its arms share.

    Args:
        samples: the arms, in the order of the columns of `weights`.
        weights: (m, k).
    """
    every = list(samples.values())
    found = [
        _within([every[k] for k in np.flatnonzero(row)], row[np.flatnonzero(row)])
        for row in weights
    ]
    mean, var, unpaired, n = (np.array(column) for column in zip(*found, strict=True))
    return Pairs(mean=mean, var=var, unpaired=unpaired, n=n)


def estimate_pairs(within: Pairs, *, alpha: float, floor: float = 0.0) -> Estimates:
    """Estimate every contrast of a family from its differences within seeds.

    The intervals are Bonferroni's: how the contrasts correlate depends on the arms.

    Args:
        within: the differences.
        alpha: error rate of the family.
        floor: smallest believable sd of an arm over seeds, in points.
    """
    known = within.n >= TESTED
    free = np.where(known, np.maximum(within.n - 1, 0), 0)
    # A difference has the floor of both its arms.
    v, f = moderated(np.maximum(within.var, 2 * floor**2), free, known)
    with np.errstate(invalid="ignore"):
        se = np.where(known & (v > 0), np.sqrt(v / np.maximum(within.n, 1)), np.nan)
    df = np.where(np.isfinite(se), np.minimum(f, max(free.sum(), 1)), np.nan)
    return assemble(within.mean, se, df, alpha=alpha, shrunken=int(known.sum()) > PAIR)


def pays(within: Pairs, apart: Estimates, together: Estimates) -> Flags:
    """Whether a family should be judged within seeds: (...,).

    It should where that removes enough noise and narrows the intervals on average, the loss of
    degrees of freedom and of the baseline's other seeds included, and leaves no contrast
    without one. The means have no say.

    Args:
        within: the differences within seeds.
        apart: the family judged from the arms' means.
        together: the family judged within seeds.
    """
    judged = np.isfinite(apart.half)
    known = judged & np.isfinite(together.half)
    ratio = np.where(known, together.half / np.where(known, apart.half, 1.0), 1.0)
    free = (within.n - 1)[within.n >= TESTED].sum()
    enough = free >= EVIDENCE and within.n.max() >= FEW_SEEDS
    narrower = np.log(ratio).mean(-1) < 0
    return np.asarray((within.removed > WORTH) & narrower & (judged == known).all(-1) & enough)


def _within(samples: Sequence[Sample], weights: Floats) -> tuple[float, float, float, int]:
    values = [dict(zip(s.seeds.tolist(), s.values.tolist(), strict=True)) for s in samples]
    # By text: the seeds of somebody else's table may be numbers and words.
    shared = sorted(set.intersection(*(set(each) for each in values)), key=str)
    n = len(shared)
    table: NDArray[np.float64] = np.array([[each[seed] for seed in shared] for each in values])
    if n < 2:
        return (float(weights @ table[:, 0]) if n else np.nan), np.nan, np.nan, n
    gap = weights @ table
    unpaired = float(weights**2 @ table.var(axis=1, ddof=1))
    return float(gap.mean()), float(gap.var(ddof=1)), unpaired, n
