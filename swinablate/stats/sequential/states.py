"""How a study that adds seeds stands at its looks: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from swinablate.stats.critical import Floats
from swinablate.stats.declaration import Direction, Word
from swinablate.stats.estimate import Method
from swinablate.stats.seeds.shares import Count, Share


@dataclass(frozen=True, kw_only=True)
class Run:
    """The seeds of one arm in their declared order.

    Attributes:
        values: percent; nan where a seed diverged or failed. As many as are recorded without a
            gap.
        failed: the first seed that was lost to anything but divergence; None if none was.
    """

    values: Floats
    failed: int | None = None

    def upto(self, count: int) -> Floats:
        """Those of its first seeds that did not diverge."""
        values = self.values[:count]
        return values[~np.isnan(values)]

    def shares(self, count: int) -> Count:
        """How many of its first seeds diverged."""
        values = self.values[:count]
        return int(np.isnan(values).sum()), len(values)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What was fixed before the first look.

    Attributes:
        looks: seeds of an arm at each look, rising; the baseline has twice as many.
        alpha: error rate of the family over all looks.
        rope: half-width of what counts as equal; None calls nothing equivalent.
        floor: smallest believable sd over seeds, in points.
        percent: values are percent that are good when they are high: only these have a worst.
        better: which way is good.
        method: "auto" lets the first look with enough evidence decide whether the family is
            judged within seeds; "shrunken" never does.
    """

    looks: tuple[int, ...]
    alpha: float
    rope: float | None
    floor: float
    method: Method
    percent: bool = True
    better: Direction = "higher"


@dataclass(frozen=True, kw_only=True)
class State:
    """One comparison at its last look.

    Attributes:
        word: the verdict; "pending" while the arm is open.
        look: seeds at that look; 0 before the first.
        delta: percentage points.
        low: lower end of the repeated interval.
        high: upper end.
        near: the interval of the equivalence test at that look.
        p: two-sided, of that look alone.
        level: what `p` was compared with.
        se: standard error of `delta`.
        df: degrees of freedom.
        reason: why a closed arm has no verdict.
        given: seeds of the arm or the baseline had diverged by then.
        worst: where `delta` lies if those count as anything from 0 % to the mean of the rest.
        share: how often either had diverged.
    """

    word: Word = "pending"
    look: int = 0
    delta: float = np.nan
    low: float = np.nan
    high: float = np.nan
    near: tuple[float, float] = (np.nan, np.nan)
    p: float = np.nan
    level: float = np.nan
    se: float = np.nan
    df: float = np.nan
    reason: str | None = None
    given: bool = False
    worst: tuple[float | None, float | None] = (None, None)
    share: Share | None = None


@dataclass(frozen=True, kw_only=True)
class Course:
    """How the study went so far.

    Attributes:
        states: every comparison: arms by their names, then what was declared one by one.
        wanted: seeds that the baseline and each arm should have now; nothing is left to run
            when all of them have theirs.
        reached: seeds of each at the last look that was taken.
        trace: the states after each look that was reached.
        paired: by family: judged within seeds; None until decided.
    """

    states: Mapping[str, State]
    wanted: Mapping[str, int]
    reached: Mapping[str, int]
    trace: tuple[Mapping[str, State], ...]
    paired: Mapping[str, bool | None]

    @property
    def open(self) -> tuple[str, ...]:
        """Comparisons that go on."""
        return pending(self.states)


def pending(states: Mapping[str, State]) -> tuple[str, ...]:
    """The comparisons that go on."""
    return tuple(name for name, state in states.items() if state.word == "pending")
