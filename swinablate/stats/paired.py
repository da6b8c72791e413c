"""Contrasts within seeds, for arms whose seeds go up and down together.

Runs with the same seed start from the same weights and see the same batches. Short trainings,
and seeds that also redraw the split, stay correlated, and differences within seeds are then
less noisy than differences of means; long trainings forget their seed, and pairing only costs
degrees of freedom. Whether to pair is decided for a whole family from its covariances, which
know nothing of its means. Deciding for each comparison would err three times too often.

Shapes: as in `estimate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from swinablate.stats.critical import Floats, bonferroni
from swinablate.stats.estimate import (
    GATE_P,
    GATE_SEEDS,
    TESTED,
    Estimates,
    Flags,
    assemble,
    prior_seeds,
    spread,
)
from swinablate.stats.sample import Sample

EVIDENCE = 20
"""Degrees of freedom from which covariances may decide: fewer err by luck."""
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
    found = [_within(list(samples.values()), row) for row in weights]
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
    f = np.maximum(within.n - 1, 0)
    # A difference has the floor of both its arms.
    var = np.where(known, np.maximum(np.nan_to_num(within.var), 2 * floor**2), 0.0)
    gated = known & (within.n >= GATE_SEEDS)
    # The ratio of few variances is a poor judge of few differences: Bartlett alone.
    welch = spread(var[..., gated], within.n[gated])[1] < GATE_P
    weight = prior_seeds(int(known.sum()))
    prior = np.where(welch, 0.0, weight)[..., None]
    shared = np.maximum(f[known].sum(), 1)
    pool = (f * var).sum(-1, keepdims=True) / shared
    df = np.where(known, np.minimum(prior + f, np.where(prior > 0, shared, np.inf)), np.nan)
    v = (prior * pool + f * var) / np.where(known, prior + f, 1)
    se = np.where(known & (v > 0), np.sqrt(v / np.maximum(within.n, 1)), np.nan)
    c = bonferroni(within.mean.shape[-1], df, alpha)
    family = assemble(within.mean, se, df, c, alpha=alpha, welch=welch)
    return replace(family, shrunken=weight > 0)


def pays(within: Pairs, apart: Estimates, together: Estimates) -> Flags:
    """Whether a family should be judged within seeds: (...,).

    Args:
        within: the differences within seeds.
        apart: the family judged from the arms' means.
        together: the family judged within seeds.
    """
    known = np.isfinite(apart.se) & np.isfinite(together.se)
    ratio = np.where(known, together.se / np.where(known, apart.se, 1.0), 1.0)
    enough = (within.n - 1)[within.n >= TESTED].sum() >= EVIDENCE
    return np.asarray((within.removed > WORTH) & (np.log(ratio).mean(-1) < 0) & enough)


def _within(samples: Sequence[Sample], row: Floats) -> tuple[float, float, float, int]:
    used = [(sample, weight) for sample, weight in zip(samples, row, strict=True) if weight]
    values = [dict(zip(s.seeds.tolist(), s.values.tolist(), strict=True)) for s, _ in used]
    # By text: the seeds of somebody else's table may be numbers and words.
    shared = sorted(set.intersection(*(set(each) for each in values)), key=str)
    n = len(shared)
    table: NDArray[np.float64] = np.array([[each[seed] for seed in shared] for each in values])
    weights = np.array([weight for _, weight in used])
    if n < 2:
        return (float(weights @ table[:, 0]) if n else np.nan), np.nan, np.nan, n
    gap = weights @ table
    unpaired = float(weights**2 @ table.var(axis=1, ddof=1))
    return float(gap.mean()), float(gap.var(ddof=1)), unpaired, n
