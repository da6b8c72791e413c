"""A line through effects at several scales, whose rungs weigh by their precision.

The variance of a rung over few seeds is hardly known, and a line that trusts it too much is told
with intervals that are too narrow. So a variance is drawn towards that of the other rungs, and the
error of the line is found by leaving out one seed after another, weights and all.

Shapes: n seeds, r rungs; a line is (its value at the mean of the places, its slope).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import fdtrc

from swinablate.stats.critical import Floats

PRIOR = 4
"""Degrees of freedom that the other rungs have about the variance of one. Measured beside weights
of the rung's own variance, and of arm and baseline together (benchmarks/results/scale.md)."""
QUIET = 1e-3
"""Of the mean variance, the least of a rung that is believed: of a few seeds that are all alike
nobody would let one rung outweigh all others."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """The line of n seeds.

    Attributes:
        x: (r,) places, log2 of the scales.
        table: (n, r) differences.
        least: variance of a difference below which none is believed.
    """

    x: Floats
    table: Floats
    least: float = 0.0

    def part(self, rungs: slice) -> "Line":
        """The same over some of the rungs."""
        return Line(x=self.x[rungs], table=self.table[:, rungs], least=self.least)

    @property
    def n(self) -> int:
        """Seeds."""
        return len(self.table)

    @cached_property
    def effects(self) -> Floats:
        """(r,) means over seeds."""
        return np.asarray(self.table.mean(axis=0), dtype=float)

    @cached_property
    def spread(self) -> Floats:
        """(r, r) covariance over seeds, no smaller than rounding leaves it."""
        own = np.atleast_2d(np.cov(self.table.T))
        return np.asarray(own + np.diag(self._lacking), dtype=float)

    @cached_property
    def _lacking(self) -> Floats:
        own = np.asarray(self.table.var(axis=0, ddof=1), dtype=float)
        return np.maximum(self.least - own, 0.0)

    @cached_property
    def weights(self) -> Floats:
        """(2, r) what the line makes of the effects."""
        return self._weights(self.table)

    @cached_property
    def found(self) -> Floats:
        """(2,) the line."""
        return np.asarray(self.weights @ self.effects, dtype=float)

    @cached_property
    def errors(self) -> Floats:
        """(2, 2) covariance of the line over seeds; it has n - 1 degrees of freedom."""
        rest = self.table[[[i for i in range(self.n) if i != k] for k in range(self.n)]]
        lines = np.einsum("klr,kr->kl", self._weights(rest), rest.mean(axis=1))
        apart = lines - lines.mean(axis=0)
        rounded = (self.weights * self._lacking) @ self.weights.T / self.n
        return np.asarray((self.n - 1) / self.n * (apart.T @ apart) + rounded, dtype=float)

    def at(self, place: float) -> tuple[float, float]:
        """The line at a place, and its standard error over seeds."""
        return self._told(self._reach(place))

    @property
    def slope(self) -> tuple[float, float]:
        """The slope, and its standard error over seeds."""
        return self._told(np.array([0.0, 1.0]))

    def rung(self, k: int) -> tuple[float, float]:
        """The effect at a rung, whatever the line, and its standard error over seeds."""
        return float(self.effects[k]), max(float(self.spread[k, k]), 0.0) ** 0.5 / self.n**0.5

    def lack(self, place: float) -> float:
        """The standard error of an effect at a place, by how far the rungs lie off the line."""
        places = (self._reach(place) @ self.weights for place in self.x)
        off = sum((e - w @ self.effects) ** 2 for e, w in zip(self.effects, places, strict=True))
        own = self._reach(place) @ self.weights
        return float((off / self.free * (1 + own @ own)) ** 0.5)

    @property
    def free(self) -> int:
        """Rungs that are left when two have fixed the line."""
        return len(self.x) - 2

    def p_fit(self) -> float | None:
        """That the effects lie on a line: p of what is left of them, against the seeds' own."""
        if self.free <= 0:
            return None
        apart = self.x - self.x.mean()
        left = np.eye(len(self.x)) - 1 / len(self.x) - np.outer(apart, apart) / (apart @ apart)
        own = left @ self.spread
        trace, squares = float(np.trace(own)), float(np.trace(own @ own))
        if not trace > 0:
            return None
        df = trace**2 / squares  # as many as there are equally noisy directions
        off = max(float(self.effects @ left @ self.effects), 0.0)  # not rounding below 0
        return float(fdtrc(df, (self.n - 1) * df, self.n * off / trace))

    def _reach(self, place: float) -> Floats:
        return np.array([1.0, place - self.x.mean()])

    def _told(self, of: Floats) -> tuple[float, float]:
        return float(of @ self.found), max(float(of @ self.errors @ of), 0.0) ** 0.5

    def _weights(self, table: Floats) -> Floats:
        """(..., 2, r) of tables (..., n, r)."""
        own, u = self._precision(table), self.x - self.x.mean()
        total, first, second = ((own * u**k).sum(axis=-1, keepdims=True) for k in (0, 1, 2))
        rows = np.stack([second - first * u, total * u - first], axis=-2)
        scale = total * second - first**2
        return np.asarray(rows * (own / scale)[..., None, :], dtype=float)

    def _precision(self, table: Floats) -> Floats:
        """(..., r) the inverse of the variances, each drawn towards the others'."""
        seeds = table.shape[-2]
        own = np.maximum(table.var(axis=-2, ddof=1), self.least)
        mean = own.mean(axis=-1, keepdims=True)
        mean = np.where(mean > 0, mean, 1.0)  # seeds that are all alike: all rungs weigh the same
        logs = np.log(np.maximum(own, QUIET * mean))
        share = (seeds - 1) / (seeds - 1 + PRIOR)
        logs = logs - logs.mean(axis=-1, keepdims=True)
        return np.asarray(np.exp(-share * logs), dtype=float)
