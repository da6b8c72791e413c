"""Seeds for trends that are not told yet: the looks of a study of several scales.

At a look every open arm has the same seeds at all of its rungs, on both sides. Its trend is judged
by intervals of that look, whose levels together spend no more than the error rate (Bonferroni over
arms, spending over looks). One that is told is closed, and is what it was at that look: what other
questions train later is no part of it. One whose rungs lie on no line is closed, too, for more
seeds do not straighten a curve. The others get the seeds of the next look, at all of their rungs.

Source: Jennison, Turnbull, Group Sequential Methods (1999), chapter 9: repeated intervals hold
whenever and for whatever reason one stops.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from swinablate.stats.comparisons.trend import Asked, Trend, trend
from swinablate.stats.critical import Floats


@dataclass(frozen=True, kw_only=True)
class Climb:
    """One arm's differences at its rungs.

    Attributes:
        table: (n, r) of the seeds 0, 1, 2, ... as far as all are recorded on both sides of every
            rung; nan where one was lost.
        values: (r,) the scale of every rung, rising.
    """

    table: Floats
    values: Sequence[float]

    def upto(self, count: int) -> Floats:
        """Those of its first seeds that ended at every rung."""
        table = self.table[:count]
        return table[~np.isnan(table).any(axis=1)]


@dataclass(frozen=True, kw_only=True)
class Trends:
    """How the trends of a study that adds seeds stand.

    Attributes:
        found: arm -> its trend at the last look that it had; missing before the first.
        wanted: arm -> seeds that it should have by now at all of its rungs.
        reached: arm -> seeds at the last look that was taken; 0 before the first.
        open: arms that go on.
    """

    found: Mapping[str, Trend]
    wanted: Mapping[str, int]
    reached: Mapping[str, int]
    open: tuple[str, ...]


def trends_at_looks(climbs: Mapping[str, Climb], asked: Asked) -> Trends:
    """Replay every look that the recorded seeds reach, from the first.

    Pure: the same seeds give the same trends, however often and whenever it is asked for.

    Args:
        climbs: every arm's differences.
        asked: by what trends are judged; with looks.
    """
    found: dict[str, Trend] = {}
    wanted = dict.fromkeys(climbs, 0)
    reached = dict.fromkeys(climbs, 0)
    going = tuple(climbs)
    for i, look in enumerate(asked.looks):
        wanted |= dict.fromkeys(going, look)
        if not going or any(len(climbs[arm].table) < look for arm in going):
            break
        now = replace(asked, at=i)
        for arm in going:
            reached[arm] = look
            found[arm] = trend(climbs[arm].upto(look), climbs[arm].values, now)
        last = i == len(asked.looks) - 1
        going = () if last else tuple(arm for arm in going if not found[arm].settled)
    return Trends(found=found, wanted=wanted, reached=reached, open=going)
