"""How an effect moves with scale: its slope per doubling, and what it may be beyond the largest.

An arm and the baseline are trained at several scales with the same seeds, so that every seed gives
a difference at every scale, and a line through them. Lines of seeds are independent of each other
whatever scales of one seed share, so that a slope has the t-interval of their mean, with n - 1
degrees of freedom for n seeds, and rungs may be as unequally noisy as they like.

Beyond the largest rung the line may be wrong, and how far it is from the effects at the rungs is
all that says so: the prediction is the one of a regression over the rungs, with as many degrees of
freedom as rungs less 2. It is of the effect as equally many seeds would measure it there, and is
never narrower than what the seeds alone leave of the line.

Source: Greenhouse and Geisser 1959, Psychometrika 24, 95 (that the rungs lie on a line, tested
without supposing that they are equally noisy); Cox 1958, Planning of Experiments, ch. 2 (a slope
a unit).

Shapes: n seeds, r rungs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc, ndtri

from swinablate.stats.critical import bonferroni, t_quantile

Floats = NDArray[np.float64]
Answer = Literal["grows", "holds", "shrinks", "reverses", "cannot tell"]

FEWEST = 4
"""Rungs from which a prediction says how far the line may be off: two numbers are the line's, and
with one left over the t quantile is 12.7."""
SEEDS = 3
"""Seeds below which nothing is judged, as everywhere: of two, a spread is anybody's guess."""
ENDS = 2
"""Places at which the line has an interval, the smallest rung and the largest: a line between two
intervals that both hold cannot leave the straight band between them."""


@dataclass(frozen=True, kw_only=True)
class At:
    """An effect at one scale, percentage points.

    Attributes:
        value: the scale.
        effect: measured, or on the line.
        low, high: its interval; None where there is none.
    """

    value: float
    effect: float
    low: float | None = None
    high: float | None = None

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of 0, else 0."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The largest rung as the smaller ones predict it, beside what was measured there."""

    predicted: At
    measured: At

    @property
    def hit(self) -> bool:
        """Whether the interval of the prediction has what was measured."""
        low, high = self.predicted.low, self.predicted.high
        assert low is not None
        assert high is not None
        return low <= self.measured.effect <= high


@dataclass(frozen=True, kw_only=True)
class Trend:
    """An effect over scales; numbers are None where nothing can be said.

    Attributes:
        n: seeds with a result at every rung.
        effects: measured at every rung, the smallest first; intervals hold for all arms together.
        line: at the smallest and at the largest rung; their intervals hold for all arms together,
            and the straight band between them for all scales between.
        slope: of the effect, per doubling.
        ci_low, ci_high: simultaneous over the arms.
        change_low, change_high: of the line, from the smallest rung to the largest.
        p_fit: that the effects lie on a line; None of two rungs.
        predicted: at the scale that was asked for, for one arm.
        held_out: the largest rung predicted from the others, where enough are left.
        answer: what the slope's interval says.
        negligible: it grows or shrinks, but over all rungs by less than matters.
        why: of "cannot tell", the reason.
    """

    n: int
    effects: tuple[At, ...]
    line: tuple[At, At] | None = None
    slope: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    p_fit: float | None = None
    predicted: At | None = None
    held_out: HeldOut | None = None
    answer: Answer = "cannot tell"
    negligible: bool = False
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a trend is judged by.

    Attributes:
        alpha: 1 less the level of the intervals.
        comparisons: arms whose slopes are to hold at once (Bonferroni's bound).
        rope: a change over all rungs that is smaller does not matter; None: every one does.
        floor: smallest believable sd of an arm over seeds.
        ahead: the scale that is predicted; None if none is.
    """

    alpha: float
    comparisons: int = 1
    rope: float | None = None
    floor: float = 0.0
    ahead: float | None = None


def trend(differences: ArrayLike, values: Sequence[float], asked: Asked) -> Trend:
    """Judge how an arm's effect moves with scale.

    Args:
        differences: (n, r) to the baseline, of every seed at every rung; percentage points.
        values: (r,) the scale of every rung, rising and above 0.
        asked: by what it is judged.

    Raises:
        ValueError: fewer than two rungs, scales that do not rise, or numbers that are none.
    """
    d, at = np.asarray(differences, dtype=float), np.asarray(values, dtype=float)
    if d.ndim != 2 or len(at) < 2 or d.shape[1] != len(at) or not np.isfinite(d).all():
        raise ValueError("two rungs or more are needed, and of every seed a number at each")
    if not (at > 0).all() or not (np.diff(at) > 0).all():
        raise ValueError("scales are above 0, and every rung is larger than the one before")
    effects = d.mean(axis=0) if len(d) else np.full(len(at), np.nan)
    bare = tuple(At(value=float(v), effect=float(e)) for v, e in zip(at, effects, strict=True))
    if len(d) < SEEDS:
        return Trend(n=len(d), effects=bare, why=f"fewer than {SEEDS} seeds ended at every rung")
    spread = np.atleast_2d(np.cov(d.T))
    if not float(np.trace(spread)) > 0:
        return Trend(n=len(d), effects=bare, why="no seed differs from another")
    return _judged(_Lines.of(np.log2(at), effects, spread, len(d), asked.floor), at, asked)


def visible(
    values: Sequence[float], seeds: int, sd: float, ahead: float | None, *, alpha: float
) -> tuple[float, float | None]:
    """Half widths that a study can reach for one arm, were the noise known and the line right.

    Args:
        values: the scale of every rung.
        seeds: of an arm.
        sd: of an arm over seeds; a difference has sqrt(2) times as much.
        ahead: the scale that is predicted.
        alpha: 1 less the level.

    Returns:
        Of the slope per doubling, and of the line at `ahead`.
    """
    x = np.log2(np.asarray(values, dtype=float))
    z = float(ndtri(1 - alpha / 2)) * 2**0.5 * sd / seeds**0.5
    slope = z * float(np.linalg.norm(_slope(x)))
    far = None if ahead is None else z * float(np.linalg.norm(_line_at(x, np.log2(ahead))))
    return slope, far


@dataclass(frozen=True, kw_only=True)
class _Lines:
    """The lines of n seeds.

    Attributes:
        x: (r,) log2 of the scales.
        effects: (r,) means over seeds.
        spread: (r, r) covariance over seeds, no smaller than rounding leaves it.
    """

    x: Floats
    effects: Floats
    spread: Floats
    n: int

    @classmethod
    def of(cls, x: Floats, effects: Floats, spread: Floats, n: int, floor: float) -> "_Lines":
        # A difference has the floor of both its arms.
        lacking = np.maximum(2 * floor**2 - np.diag(spread), 0.0)
        return cls(x=x, effects=effects, spread=spread + np.diag(lacking), n=n)

    def part(self, rungs: slice) -> "_Lines":
        """The same over some of the rungs."""
        return _Lines(
            x=self.x[rungs],
            effects=self.effects[rungs],
            spread=self.spread[rungs, rungs],
            n=self.n,
        )

    def weighed(self, weights: Floats) -> tuple[float, float]:
        """A sum over the rungs, and its standard error over seeds."""
        variance = float(weights @ self.spread @ weights) / self.n
        return float(weights @ self.effects), max(variance, 0.0) ** 0.5

    def ends(self, weights: Floats, comparisons: int, alpha: float) -> tuple[float, float, float]:
        """A sum over the rungs, and its interval."""
        found, error = self.weighed(weights)
        half = float(bonferroni(comparisons, self.n - 1, alpha)) * error
        return found, found - half, found + half

    @property
    def left(self) -> Floats:
        """(r, r) what takes the line away."""
        r = len(self.x)
        slope = _slope(self.x)
        return np.eye(r) - 1 / r - np.outer(slope, slope) / float(slope @ slope)

    @property
    def off(self) -> float:
        """How far the effects are off the line: the sum of squares of what is left of them."""
        return max(float(self.effects @ self.left @ self.effects), 0.0)  # not rounding below 0

    def p_fit(self) -> float | None:
        """That the effects lie on a line: p of what is left of them, against the seeds' own."""
        if len(self.x) <= 2:
            return None
        left = self.left
        own = left @ self.spread
        trace, squares = float(np.trace(own)), float(np.trace(own @ own))
        if not trace > 0:
            return None
        df = trace**2 / squares  # as many as there are equally noisy directions
        f = self.n * self.off / trace
        return float(fdtrc(df, (self.n - 1) * df, f))

    def ahead(self, value: float, alpha: float) -> At:
        """The prediction at a scale, for one arm."""
        weights = _line_at(self.x, np.log2(value))
        found, error = self.weighed(weights)
        free = len(self.x) - 2
        lack = self.off / free * (1 + float(weights @ weights))
        own = float(t_quantile(1 - alpha / 2, free)) * lack**0.5
        half = max(own, float(t_quantile(1 - alpha / 2, self.n - 1)) * error)
        return At(value=float(value), effect=found, low=found - half, high=found + half)


def _slope(x: Floats) -> Floats:
    """Weights of the rungs in the slope of the line."""
    apart = x - x.mean()
    return np.asarray(apart / float(apart @ apart), dtype=float)


def _line_at(x: Floats, at: float) -> Floats:
    """Weights of the rungs in the line at a place."""
    return np.asarray(1 / len(x) + (at - x.mean()) * _slope(x), dtype=float)


def _judged(lines: _Lines, at: Floats, asked: Asked) -> Trend:
    alpha, arms, x = asked.alpha, asked.comparisons, lines.x
    slope, low, high = lines.ends(_slope(x), arms, alpha)
    line = tuple(
        At(value=float(at[k]), effect=found, low=below, high=above)
        for k in (0, -1)
        for found, below, above in [lines.ends(_line_at(x, float(x[k])), ENDS * arms, alpha)]
    )
    effects = tuple(
        At(value=float(value), effect=found, low=below, high=above)
        for value, only in zip(at, np.eye(len(at)), strict=True)
        for found, below, above in [lines.ends(only, arms, alpha)]
    )
    span = float(x[-1] - x[0])
    p_fit = lines.p_fit()
    found = Trend(
        n=lines.n,
        effects=effects,
        line=(line[0], line[1]),
        slope=slope,
        ci_low=low,
        ci_high=high,
        change_low=low * span,
        change_high=high * span,
        p_fit=p_fit,
        predicted=(lines.ahead(asked.ahead, alpha) if asked.ahead and len(at) >= FEWEST else None),
        held_out=_held_out(lines, effects[-1], alpha) if len(at) > FEWEST else None,
    )
    answer, why = _answer(found, asked)
    small = asked.rope is not None and -asked.rope < low * span and high * span < asked.rope
    return replace(
        found, answer=answer, why=why, negligible=small and answer in {"grows", "shrinks"}
    )


def _held_out(lines: _Lines, largest: At, alpha: float) -> HeldOut:
    others = lines.part(slice(0, -1))
    return HeldOut(predicted=others.ahead(largest.value, alpha), measured=largest)


def _answer(found: Trend, asked: Asked) -> tuple[Answer, str]:
    """What the intervals say, and of "cannot tell" the reason."""
    assert found.line is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.change_low is not None
    assert found.change_high is not None
    small, large = found.line
    if found.p_fit is not None and found.p_fit < asked.alpha:
        return "cannot tell", "the effects at the rungs lie on no line"
    if small.sign * large.sign < 0:
        return "reverses", ""
    slope = int(found.ci_low > 0) - int(found.ci_high < 0)
    sign = small.sign or large.sign
    if slope and sign:
        return ("grows" if slope == sign else "shrinks"), ""
    if slope:
        return "cannot tell", "it moves with scale, but on which side of 0 it lies is not known"
    rope = asked.rope
    if rope is None:
        return "cannot tell", "the slope may be 0, and no rope says which change matters"
    if -rope < found.change_low and found.change_high < rope:
        return "holds", ""
    return "cannot tell", "the slope may be 0, and a change that matters is not ruled out"
