"""How often trends over scales hold: `python -m benchmarks.programs.scale WORLDS [looks]`.

Worlds are drawn: an arm's effect at four or five rungs, each twice as large as the one before, and
one two doublings beyond the largest. A linear world's effects lie on a line; in a bent one they
leave it by chance, independently at every rung; a saturating one approaches an end. Seeds share
part of their noise over rungs, and rungs are unequally noisy where that is said. Beside the
product's intervals stand those of habits: rungs that all weigh the same, rungs that weigh by their
own variance as if it were known, the normal quantile in place of Student's (z), all runs in one
regression as if a seed's rungs were independent (pooled), and a prediction that has the seeds'
noise alone (no lack of fit).

`looks` is the other table: several arms that get seeds look by look until they have an answer,
beside arms that have all seeds at once, and beside looks that each spend the whole error rate.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from swinablate.stats.comparisons.trend import NO_LINE, Asked, Trend, trend
from swinablate.stats.sequential.trends import Climb, trends_at_looks

LEVEL, SD, AHEAD = 0.95, 1.0, 4.0
"""Of the intervals; sd of a difference over seeds, points; predicted scale over the largest."""
ASKED = Asked(alpha=1 - LEVEL, rope=0.5)
START, SLOPE, END = -1.0, -0.3, -2.0
"""Effect at the smallest rung, its change a doubling, and where a saturating one goes, points."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """What worlds are drawn from.

    Attributes:
        kind: linear, bent or saturating.
        rungs: how many are trained.
        seeds: of an arm.
        bend: of a bent one, sd of its effects around the line, points.
        shared: share of a seed's variance that all of its rungs have in common.
        uneven: noise of the smallest rung over that of the largest; geometric between them.
        slope: of a linear or bent one, points a doubling.
    """

    kind: str
    rungs: int
    seeds: int
    bend: float = 0.0
    shared: float = 0.0
    uneven: float = 1.0
    slope: float = SLOPE

    def values(self) -> Floats:
        """Scales of the rungs."""
        return np.asarray(2.0 ** np.arange(self.rungs))

    def truths(self, chance: np.random.Generator) -> Floats:
        """(rungs + 1,) true effects; the last is the one that is predicted."""
        x = np.append(np.arange(self.rungs), self.rungs - 1 + np.log2(AHEAD))
        if self.kind == "saturating":
            return np.asarray(END + (START - END) * 0.5**x)
        return np.asarray(START + self.slope * x + self.bend * chance.standard_normal(len(x)))

    def drawn(self, truths: Floats, chance: np.random.Generator) -> tuple[Floats, float]:
        """(seeds, rungs) differences; and the effect that as many seeds measure ahead."""
        sds = SD * np.append(np.geomspace(self.uneven, 1.0, self.rungs), 1.0)
        common = self.shared**0.5 * chance.standard_normal((self.seeds, 1))
        own = (1 - self.shared) ** 0.5 * chance.standard_normal((self.seeds, len(truths)))
        every = truths + sds * (common + own)
        return every[:, :-1], float(every[:, -1].mean())


WORLDS = (
    *(World("linear", r, n) for r in (4, 5) for n in (3, 5, 8)),
    *(World("linear", r, 5, shared=0.5) for r in (4, 5)),
    *(World("linear", r, n, uneven=4.0) for r in (4, 5) for n in (3, 5, 8, 12)),
    *(World("linear", r, 5, shared=0.5, uneven=4.0) for r in (4, 5)),
    *(World("bent", r, 8, bend=bend) for r in (4, 5) for bend in (0.3, 1.0)),
    *(World("saturating", r, n) for r in (4, 5) for n in (5, 8, 20)),
)
"""The rows of the table."""


def row(world: World, worlds: int) -> dict[str, float]:
    """Percent of the worlds in which each interval holds, and in which answers are given."""
    # Chance of its own for every row: a change of one moves no other.
    numbers = [world.rungs, world.seeds, round(100 * world.bend), round(100 * world.shared)]
    numbers += [round(world.uneven), len(world.kind)]
    chance = np.random.default_rng(numbers)
    values = world.values()
    asked = replace(ASKED, ahead=float(AHEAD * values[-1]))
    held: dict[str, float] = {}
    for _ in range(worlds):
        truths = world.truths(chance)
        table, measured = world.drawn(truths, chance)
        found = trend(table, values.tolist(), asked)
        for name, value in _held(world, table, truths, measured, found):
            held[name] = held.get(name, 0.0) + value
    return {name: 100 * total / worlds for name, total in held.items()}


def _held(
    world: World, table: Floats, truths: Floats, measured: float, found: Trend
) -> Iterator[tuple[str, float]]:
    """What of one world is as its interval says; of a bent one the slope is that of its rungs."""
    x = np.log2(world.values())
    apart = x - x.mean()
    slope = float(apart @ truths[:-1] / (apart @ apart))
    ahead, true_ahead = found.predicted, float(truths[-1])
    assert ahead is not None
    yield "slope", _inside(found.ci_low, found.ci_high, slope)
    assert found.ci_low is not None
    assert found.ci_high is not None
    even, own = _weighed(table, x)
    yield "even", _inside(*even, slope)
    yield "own", _inside(*own, slope)
    yield "wide", (found.ci_high - found.ci_low) / (even[1] - even[0]) / 100  # a ratio, no rate
    yield "predicted", _inside(ahead.low, ahead.high, measured)
    yield "true", _inside(ahead.low, ahead.high, true_ahead)
    yield "cannot tell", found.answer == "cannot tell"
    yield "no line", found.p_fit is not None and found.p_fit < 1 - LEVEL
    yield "wrong", _wrong(found, slope, truths)
    z, pooled, bare = _habits(table, x, float(np.log2(AHEAD)))
    yield "z", abs(found.slope - slope) <= z if found.slope is not None else False
    yield "pooled", abs(found.slope - slope) <= pooled if found.slope is not None else False
    yield "no lack of fit", abs(ahead.effect - true_ahead) <= bare


def _inside(low: float | None, high: float | None, truth: float) -> bool:
    return low is not None and high is not None and low <= truth <= high


def _wrong(found: Trend, slope: float, truths: Floats) -> bool:
    """Whether the answer says what is not so, of a line through the true effects."""
    grows = slope * truths[0] > 0
    said: dict[str, Callable[[], bool]] = {
        "grows": lambda: not grows,
        "shrinks": lambda: grows,
        "holds": lambda: abs(slope) * (len(truths) - 2) > (ASKED.rope or 0.0),
        "reverses": lambda: truths[0] * truths[-2] > 0,
        "cannot tell": lambda: False,
    }
    return said[found.answer]()


def _weighed(table: Floats, x: Floats) -> list[tuple[float, float]]:
    """Intervals of the slope if all rungs weigh the same, and if each does by its own variance."""
    ends, half = [], float(t.ppf(0.5 + LEVEL / 2, len(table) - 1))
    for weights in (np.ones(len(x)), 1 / table.var(axis=0, ddof=1)):
        apart = weights * (x - float(weights @ x) / float(weights.sum()))
        of_seeds = table @ (apart / float(apart @ x))
        reach = half * float(of_seeds.std(ddof=1)) / len(table) ** 0.5
        ends.append((float(of_seeds.mean()) - reach, float(of_seeds.mean()) + reach))
    return ends


def _habits(table: Floats, x: Floats, beyond: float) -> tuple[float, float, float]:
    """Half widths of the habits: slope by z and of pooled runs, prediction by seeds alone."""
    n, r = table.shape
    apart = x - x.mean()
    weights = apart / (apart @ apart)
    of_seeds = table @ weights
    z = 1.959964 * float(of_seeds.std(ddof=1)) / n**0.5
    every = table - table.mean() - np.outer(np.ones(n), apart) * float(of_seeds.mean())
    left = float((every**2).sum()) / (n * r - 2)
    half = float(t.ppf(0.5 + LEVEL / 2, n * r - 2))
    pooled = half * (left / n / float(apart @ apart)) ** 0.5
    there = 1 / r + (x[-1] + beyond - x.mean()) * weights
    own = t.ppf(0.5 + LEVEL / 2, n - 1) * float((table @ there).std(ddof=1)) / n**0.5
    return z, pooled, float(own)


COLUMNS = {
    "slope": "slope", "wide": "its width over that of even weights", "even": "slope, even weights",
    "own": "slope, own variances", "predicted": "predicted, as measured",
    "true": "predicted, the truth",
    "cannot tell": "cannot tell", "no line": "no line (p < .05)", "wrong": "wrong answer",
    "z": "slope by z", "pooled": "slope, runs pooled",
    "no lack of fit": "predicted by seeds alone",
}  # fmt: skip
"""What is counted -> what its column is called."""


def cells(world: World, found: dict[str, float]) -> list[Any]:
    """A line of the table."""
    made = [world.kind, world.rungs, world.seeds, world.bend, world.shared, world.uneven]
    return [*made, *(f"{found[name]:.{2 if name == 'wide' else 1}f}" for name in COLUMNS)]


LOOKS = (3, 5, 8, 12, 16)
"""Seeds of an arm at each look."""
ARMS = 3
"""Arms that share the error rate, all of the same truth."""
CLIMBS = (
    *(World("linear", r, LOOKS[-1], uneven=u, slope=0.0) for r in (4, 5) for u in (1.0, 4.0)),
    *(World("linear", r, LOOKS[-1], slope=s) for r in (4, 5) for s in (-0.3, -0.6)),
    *(World("linear", 4, LOOKS[-1], shared=0.5, slope=s) for s in (0.0, -0.3)),
    *(World("saturating", r, LOOKS[-1]) for r in (4, 5)),
)
"""The rows of the table of looks."""
WAYS: dict[str, Callable[[Asked], tuple[Asked, ...]]] = {
    "looks": lambda asked: (replace(asked, looks=LOOKS),),
    "all": lambda asked: (replace(asked, looks=LOOKS[-1:]),),
    # Whoever looks every time as if it were the only one.
    "habit": lambda asked: tuple(replace(asked, looks=(look,)) for look in LOOKS),
}


def climbed(world: World, worlds: int) -> dict[str, float]:
    """Percent of worlds in which something is wrong of some arm, and the seeds that it took."""
    numbers = [world.rungs, round(100 * world.shared), round(world.uneven), len(world.kind)]
    chance = np.random.default_rng([*numbers, round(-100 * world.slope)])
    values = world.values()
    asked = replace(ASKED, comparisons=ARMS, ahead=float(AHEAD * values[-1]))
    held: dict[str, float] = {}
    for _ in range(worlds):
        truths = world.truths(chance)
        drawn = [world.drawn(truths, chance) for _ in range(ARMS)]
        climbs = {str(k): Climb(table=d, values=values.tolist()) for k, (d, _) in enumerate(drawn)}
        for way, asking in WAYS.items():
            found = _stopped(climbs, asking(asked))
            for name, value in _of_climbs(world, truths, [*found.values()]):
                held[f"{way} {name}"] = held.get(f"{way} {name}", 0.0) + value
    return {name: 100 * total / worlds for name, total in held.items()}


def _stopped(climbs: dict[str, Climb], ways: Sequence[Asked]) -> dict[str, Trend]:
    """Every arm's trend where it was told; of several ways the first that tells it."""
    found: dict[str, Trend] = {}
    for asked in ways:
        left = {
            arm: one for arm, one in climbs.items() if arm not in found or not found[arm].settled
        }
        found |= trends_at_looks(left, asked).found
    return found


def _of_climbs(
    world: World, truths: Floats, found: Sequence[Trend]
) -> Iterator[tuple[str, float]]:
    x = np.log2(world.values())
    apart = x - x.mean()
    slope = float(apart @ truths[:-1] / (apart @ apart))
    yield "wrong", any(_wrong(one, slope, truths) for one in found)
    yield "missed", not all(_inside(one.ci_low, one.ci_high, slope) for one in found)
    ahead = [one.predicted for one in found if one.predicted]
    yield "ahead", mean(_inside(one.low, one.high, float(truths[-1])) for one in ahead)
    yield "told", mean(one.answer != "cannot tell" for one in found)
    yield "no line", mean(one.why == NO_LINE for one in found)
    yield "seeds", mean(one.look or 0 for one in found) / 100  # a number, no rate


CLIMBED = {
    "looks wrong": "wrong answer", "habit wrong": "wrong, whole rate a look",
    "all wrong": "wrong, all seeds", "looks missed": "slope missed",
    "habit missed": "missed, whole rate a look", "all missed": "missed, all seeds",
    "looks ahead": "predicted, the truth", "looks told": "told", "all told": "told, all seeds",
    "looks no line": "no line", "looks seeds": "seeds an arm",
}  # fmt: skip
"""What is counted of looks -> what its column is called."""


def climb_cells(world: World, found: dict[str, float]) -> list[Any]:
    """A line of the table of looks."""
    made = [world.kind, world.rungs, world.slope, world.shared, world.uneven]
    return [*made, *(f"{found[name]:.1f}" for name in CLIMBED)]


def main() -> None:
    """Print a table."""
    worlds, which = int(sys.argv[1]), sys.argv[2:]
    error = 100 * (LEVEL * (1 - LEVEL) / worlds) ** 0.5
    print(f"{worlds} worlds a row; a rate of 95 % has a standard error of {error:.2f}.\n")
    if which == ["looks"]:
        head = ["world", "rungs", "slope", "shared", "uneven", *CLIMBED.values()]
        lines = (climb_cells(world, climbed(world, worlds)) for world in CLIMBS)
    else:
        head = ["world", "rungs", "seeds", "bend", "shared", "uneven", *COLUMNS.values()]
        lines = (cells(world, row(world, worlds)) for world in WORLDS)
    print(f"| {' | '.join(head)} |")
    print(f"|---|{'--:|' * (len(head) - 1)}")
    for line in lines:
        print(f"| {' | '.join(map(str, line))} |", flush=True)


if __name__ == "__main__":
    main()
