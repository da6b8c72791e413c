"""The trends of a recorded study of several scales: who is compared where, and how it stands.

Whoever asks sees the same: the coordinator, which trains what an open trend needs next, and the
report, which tells them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from swinablate.records.plan import PlanRecord
from swinablate.records.scale import RungRecord
from swinablate.stats import Declaration
from swinablate.stats.comparisons.trend import Asked, Trend, trend
from swinablate.stats.critical import Floats
from swinablate.stats.sequential.trends import Climb, Trends, trends_at_looks

if TYPE_CHECKING:
    import pandas as pd

Values = Mapping[str, Mapping[int, float]]
"""Arm -> seed -> result, of every trial that ended somehow; nan where it did not end well."""
FEW = "it is trained at fewer than 2 rungs"


class Pair(NamedTuple):
    """An arm, what it is compared with, and the rungs at which both are trained."""

    arm: str
    against: str
    rungs: Sequence[RungRecord]

    @property
    def names(self) -> list[str]:
        """Of both sides at every rung."""
        return [rung.arms[name] for rung in self.rungs for name in (self.arm, self.against)]


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """How every arm's effect moves with scale.

    Attributes:
        pairs: who is compared.
        trends: arm -> its trend; as of the last look that it had, where seeds are added.
        looks: how the looks stand; None for a fixed number of seeds.
    """

    pairs: tuple[Pair, ...]
    trends: Mapping[str, Trend]
    looks: Trends | None = None

    def seeds(self, *, reached: bool = False) -> dict[str, int]:
        """Arm at a rung -> seeds that trends want of it by now, or that their last look had."""
        found: dict[str, int] = {}
        for one in self.pairs if self.looks else ():
            assert self.looks is not None
            counts = self.looks.reached if reached else self.looks.wanted
            for name in one.names:
                found[name] = max(found.get(name, 0), counts.get(one.arm, 0))
        return found

    @property
    def going(self) -> frozenset[str]:
        """Arms at all rungs that open trends are made of."""
        open_ = self.looks.open if self.looks else ()
        return frozenset(name for one in self.pairs if one.arm in open_ for name in one.names)


def ladder(plan: PlanRecord, known: "pd.DataFrame", declared: Declaration) -> Ladder:
    """Judge the trends of a study of several scales by what is recorded.

    Args:
        plan: a recorded plan, with the arms of every rung.
        known: a row for every result that counts, of every rung: `arm`, `seed`, `value`, `status`;
            where several seeds are one result, `seed` is its number.
        declared: what is asked, in which metric.
    """
    assert plan.scale is not None
    values: dict[str, dict[int, float]] = {}
    for arm, seed, value, status in known[["arm", "seed", "value", "status"]].itertuples(
        index=False
    ):
        if status != "waiting":
            values.setdefault(str(arm), {})[int(seed)] = (
                float(value) if status == "done" else np.nan
            )
    pairs = tuple(_pairs(plan))
    asked = Asked(
        alpha=declared.alpha,
        comparisons=max(1, len(pairs)),
        rope=declared.rope_pp,
        floor=declared.floor_pp,
        ahead=plan.scale.predict.value if plan.scale.predict else None,
        looks=tuple(look.seeds for look in plan.looks),
    )
    told = {one.arm: Trend(n=0, effects=(), why=FEW) for one in pairs if len(one.rungs) < 2}
    fit = [one for one in pairs if one.arm not in told]
    if asked.looks:
        looks = trends_at_looks({one.arm: _climb(one, values) for one in fit}, asked)
        waits = Trend(n=0, effects=(), why="the first look is due")
        told |= {one.arm: looks.found.get(one.arm, waits) for one in fit}
        return Ladder(pairs=pairs, trends=told, looks=looks)
    told |= {
        one.arm: trend(_differences(one, values), [rung.value for rung in one.rungs], asked)
        for one in fit
    }
    return Ladder(pairs=pairs, trends=told)


def _pairs(plan: PlanRecord) -> Iterator[Pair]:
    assert plan.scale is not None
    against = {arm.name: arm.against for arm in plan.arms}
    base = plan.baseline.name
    for name in dict.fromkeys(name for rung in plan.scale.rungs for name in rung.arms):
        other = against.get(name) or base
        if name != base:
            rungs = [rung for rung in plan.scale.rungs if name in rung.arms and other in rung.arms]
            yield Pair(name, other, rungs)


def _differences(one: Pair, values: Values) -> Floats:
    """(n, r) differences within seeds, of the seeds that ended at every rung on both sides."""
    seeds = sorted(set.intersection(*(set(values.get(name, ())) for name in one.names)))
    table = _table(one, values, seeds)
    return table[np.isfinite(table).all(axis=1)]


def _climb(one: Pair, values: Values) -> Climb:
    seeds = set.intersection(*(set(values.get(name, ())) for name in one.names))
    count = 0
    while count in seeds:
        count += 1
    table = _table(one, values, range(count))
    table[~np.isfinite(table)] = np.nan
    return Climb(table=table, values=[rung.value for rung in one.rungs])


def _table(one: Pair, values: Values, seeds: Sequence[int]) -> Floats:
    sides = (
        [(values[r.arms[one.arm]], values[r.arms[one.against]]) for r in one.rungs]
        if seeds
        else []
    )
    table = [[ours[seed] - theirs[seed] for ours, theirs in sides] for seed in seeds]
    return np.array(table, dtype=float).reshape(len(seeds), len(one.rungs))
