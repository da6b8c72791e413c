"""How an effect moves with scale: its slope per doubling, and what it may be beyond the largest.

An arm and the baseline are trained at several scales with the same seeds, so that every seed gives
a difference at every scale. The line goes through their means, and rungs weigh by their precision:
the inverse of their variance over seeds, which is drawn towards that of the others, for of few
seeds it is hardly known. What such weights do to an interval is told by leaving out one seed after
another, weights and all (the jackknife, n - 1 degrees of freedom for n seeds). Seeds are
independent of each other, whatever the rungs of one seed share.

Beyond the largest rung the line may be wrong, and how far it is from the effects at the rungs is
all that says so: the prediction is the one of a regression over the rungs, with as many degrees of
freedom as rungs less 2. It is of the effect as equally many seeds would measure it there, and is
never narrower than what the seeds alone leave of the line.

Source: Greenhouse and Geisser 1959, Psychometrika 24, 95 (that the rungs lie on a line, tested
without supposing that they are equally noisy); Cox 1958, Planning of Experiments, ch. 2 (a slope
a unit); Miller 1974, Biometrika 61, 1 (the jackknife).

Shapes: n seeds, r rungs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from swinablate.stats.comparisons.line import Line
from swinablate.stats.critical import t_quantile
from swinablate.stats.sequential.spending import nominal

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
NO_LINE = "the effects at the rungs lie on no line"
"""Why nothing is told of a slope that more seeds would only show to be none."""


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
        look: seeds at the look that it is of, where seeds are added look by look.
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
    look: int | None = None

    @property
    def settled(self) -> bool:
        """Whether more seeds would answer nothing: it has an answer, or its rungs have no line."""
        return self.answer != "cannot tell" or self.why == NO_LINE


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a trend is judged by.

    Attributes:
        alpha: 1 less the level of the intervals.
        comparisons: arms whose slopes are to hold at once (Bonferroni's bound).
        rope: a change over all rungs that is smaller does not matter; None: every one does.
        floor: smallest believable sd of an arm over seeds.
        ahead: the scale that is predicted; None if none is.
        looks: seeds at each look, where they are added; empty where a study is judged once.
        at: which look.
    """

    alpha: float
    comparisons: int = 1
    rope: float | None = None
    floor: float = 0.0
    ahead: float | None = None
    looks: tuple[int, ...] = ()
    at: int = 0

    def level(self, among: int = 1) -> float:
        """How often one of so many intervals may miss, so that all of them hold at all looks.

        That is the level at this look; over all of them no more than `alpha` is spent.
        """
        own = self.alpha / among
        return nominal(self.looks, own)[self.at] if self.looks else own


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
    look = asked.looks[asked.at] if asked.looks else None
    if len(d) < SEEDS:
        why = f"fewer than {SEEDS} seeds ended at every rung"
        return Trend(n=len(d), effects=bare, why=why, look=look)
    if not float(d.var(axis=0, ddof=1).sum()) > 0:
        return Trend(n=len(d), effects=bare, why="no seed differs from another", look=look)
    # A difference has the floor of both its arms.
    line = Line(x=np.log2(at), table=d, least=2 * asked.floor**2)
    return replace(_judged(line, at, asked), look=look)


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


def _slope(x: Floats) -> Floats:
    """Weights of the rungs in the slope of a line, where all are equally noisy."""
    apart = x - x.mean()
    return np.asarray(apart / float(apart @ apart), dtype=float)


def _line_at(x: Floats, at: float) -> Floats:
    """Weights of the rungs in such a line at a place."""
    return np.asarray(1 / len(x) + (at - x.mean()) * _slope(x), dtype=float)


def _ends(told: tuple[float, float], n: int, level: float) -> tuple[float, float, float]:
    """A number with a standard error over n seeds, and its interval."""
    found, error = told
    half = float(t_quantile(1 - level / 2, n - 1)) * error
    return found, found - half, found + half


def _judged(line: Line, at: Floats, asked: Asked) -> Trend:
    arms, x, n = asked.comparisons, line.x, line.n
    slope, low, high = _ends(line.slope, n, asked.level(arms))
    ends = tuple(
        At(value=float(at[k]), effect=found, low=below, high=above)
        for k in (0, -1)
        for found, below, above in [_ends(line.at(float(x[k])), n, asked.level(ENDS * arms))]
    )
    effects = tuple(
        At(value=float(value), effect=found, low=below, high=above)
        for k, value in enumerate(at)
        for found, below, above in [_ends(line.rung(k), n, asked.level(arms))]
    )
    span = float(x[-1] - x[0])
    found = Trend(
        n=n,
        effects=effects,
        line=(ends[0], ends[1]),
        slope=slope,
        ci_low=low,
        ci_high=high,
        change_low=low * span,
        change_high=high * span,
        p_fit=line.p_fit(),
        predicted=_ahead(line, asked.ahead, asked) if asked.ahead and len(at) >= FEWEST else None,
        held_out=_held_out(line, effects[-1], asked) if len(at) > FEWEST else None,
    )
    answer, why = _answer(found, asked)
    small = asked.rope is not None and -asked.rope < low * span and high * span < asked.rope
    return replace(
        found, answer=answer, why=why, negligible=small and answer in {"grows", "shrinks"}
    )


def _ahead(line: Line, value: float, asked: Asked) -> At:
    """The prediction at a scale, for one arm."""
    place = float(np.log2(value))
    found, low, high = _ends(line.at(place), line.n, asked.level())
    own = float(t_quantile(1 - asked.alpha / 2, line.free)) * line.lack(place)
    return At(
        value=float(value), effect=found, low=min(low, found - own), high=max(high, found + own)
    )


def _held_out(line: Line, largest: At, asked: Asked) -> HeldOut:
    others = line.part(slice(0, -1))
    return HeldOut(predicted=_ahead(others, largest.value, asked), measured=largest)


def _answer(found: Trend, asked: Asked) -> tuple[Answer, str]:
    """What the intervals say, and of "cannot tell" the reason."""
    assert found.line is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.change_low is not None
    assert found.change_high is not None
    small, large = found.line
    if found.p_fit is not None and found.p_fit < asked.level():
        return "cannot tell", NO_LINE
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
