"""Families drawn from a known truth, judged by the code that judges studies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from swinablate.stats.critical import bonferroni
from swinablate.stats.estimate import Cells, Family, Method, estimate

DIGITS = (0.7, 0.15, 0.3, 0.5, 0.8, 1.2, 3.16)
"""Seed sds of a baseline and six arms, points: the spread of real runs on 1,797 digits."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Seeds, sds and effects of a baseline (first) and its arms."""

    n: Sequence[int]
    sd: Sequence[float]
    delta: Sequence[float]

    @property
    def weights(self) -> np.ndarray:
        """Each arm minus the baseline."""
        m = len(self.n) - 1
        return np.hstack([-np.ones((m, 1)), np.eye(m)])


def draw(truth: Truth, sims: int, seed: int) -> Cells:
    """Means and variances of `sims` studies with normal seeds."""
    rng = np.random.default_rng(seed)
    n, sd = np.array(truth.n, float), np.array(truth.sd)
    shape = (sims, len(n))
    return Cells(
        mean=np.array(truth.delta) + rng.standard_normal(shape) * sd / np.sqrt(n),
        var=sd**2 * rng.chisquare(n - 1, shape) / (n - 1),
        n=n,
        declared=n,
        pooled=np.ones(len(n), bool),
    )


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What happened in a share of the simulated studies.

    Attributes:
        missed: some interval missed its true difference.
        error: some arm without an effect was called better or worse.
        power: mean share of the arms with an effect that were found.
        welch: the gate opened.
    """

    missed: float
    error: float
    power: float
    welch: float


def judge(
    truth: Truth,
    sims: int,
    seed: int,
    *,
    method: Method = "auto",
    half: Callable[[Family], np.ndarray] | None = None,
) -> Rates:
    """Judge `sims` studies; `half` replaces the half-width of the intervals, for mutants."""
    family = estimate(draw(truth, sims, seed), truth.weights, alpha=0.05, method=method)
    width = family.half if half is None else half(family)
    true = truth.weights @ np.array(truth.delta)
    effect = true != 0
    found = np.abs(family.delta) > width
    return Rates(
        missed=float((np.abs(family.delta - true) > width).any(axis=1).mean()),
        error=float(found[:, ~effect].any(axis=1).mean()) if (~effect).any() else 0.0,
        power=float(found[:, effect].mean()) if effect.any() else 0.0,
        welch=float(family.welch.mean()),
    )


def uncorrected(family: Family) -> np.ndarray:
    """The half-width somebody gets who forgets that there are several comparisons."""
    return bonferroni(1, family.df, 0.05) * family.se


def percentile_bootstrap(truth: Truth, sims: int, seed: int, draws: int = 200) -> float:
    """Share of studies in which a corrected percentile bootstrap errs under the null."""
    rng = np.random.default_rng(seed)
    m = len(truth.n) - 1
    wrong = np.zeros(sims, bool)
    resampled = []
    for n, sd in zip(truth.n, truth.sd, strict=True):
        values = sd * rng.standard_normal((sims, n))
        pick = rng.integers(0, n, (sims, draws, n))
        resampled.append(np.take_along_axis(values[:, None], pick, axis=2).mean(axis=2))
    for arm in resampled[1:]:
        gap = arm - resampled[0]
        low, high = np.quantile(gap, [0.025 / m, 1 - 0.025 / m], axis=1)
        wrong |= (low > 0) | (high < 0)
    return float(wrong.mean())
