"""How often trends over scales hold: `python -m benchmarks.programs.scale WORLDS`.

Worlds are drawn: an arm's effect at four or five rungs, each twice as large as the one before, and
one two doublings beyond the largest. A linear world's effects lie on a line; in a bent one they
leave it by chance, independently at every rung; a saturating one approaches an end. Seeds share
part of their noise over rungs, and rungs are unequally noisy where that is said. Beside the
product's intervals stand those of three habits: the normal quantile in place of Student's (z), all
runs in one regression as if a seed's rungs were independent (pooled), and a prediction that has
the seeds' noise alone (no lack of fit).
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from swinablate.stats.comparisons.trend import Asked, Trend, trend

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
        uneven: noise of the smallest rung over that of the largest.
    """

    kind: str
    rungs: int
    seeds: int
    bend: float = 0.0
    shared: float = 0.0
    uneven: float = 1.0

    def values(self) -> Floats:
        """Scales of the rungs."""
        return np.asarray(2.0 ** np.arange(self.rungs))

    def truths(self, chance: np.random.Generator) -> Floats:
        """(rungs + 1,) true effects; the last is the one that is predicted."""
        x = np.append(np.arange(self.rungs), self.rungs - 1 + np.log2(AHEAD))
        if self.kind == "saturating":
            return np.asarray(END + (START - END) * 0.5**x)
        return np.asarray(START + SLOPE * x + self.bend * chance.standard_normal(len(x)))

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
    *(World("linear", r, 5, uneven=4.0) for r in (4, 5)),
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
) -> Iterator[tuple[str, bool]]:
    """What of one world is as its interval says; of a bent one the slope is that of its rungs."""
    x = np.log2(world.values())
    apart = x - x.mean()
    slope = float(apart @ truths[:-1] / (apart @ apart))
    ahead, true_ahead = found.predicted, float(truths[-1])
    assert ahead is not None
    yield "slope", _inside(found.ci_low, found.ci_high, slope)
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
    "slope": "slope", "predicted": "predicted, as measured", "true": "predicted, the truth",
    "cannot tell": "cannot tell", "no line": "no line (p < .05)", "wrong": "wrong answer",
    "z": "slope by z", "pooled": "slope, runs pooled",
    "no lack of fit": "predicted by seeds alone",
}  # fmt: skip
"""What is counted -> what its column is called."""


def cells(world: World, found: dict[str, float]) -> list[Any]:
    """A line of the table."""
    made = [world.kind, world.rungs, world.seeds, world.bend, world.shared, world.uneven]
    return [*made, *(f"{found[name]:.1f}" for name in COLUMNS)]


def main() -> None:
    """Print the table."""
    worlds = int(sys.argv[1])
    error = 100 * (LEVEL * (1 - LEVEL) / worlds) ** 0.5
    print(f"{worlds} worlds a row; a rate of 95 % has a standard error of {error:.2f}.\n")
    head = ["world", "rungs", "seeds", "bend", "shared", "uneven", *COLUMNS.values()]
    print(f"| {' | '.join(head)} |")
    print(f"|---|{'--:|' * (len(head) - 1)}")
    for world in WORLDS:
        print(f"| {' | '.join(map(str, cells(world, row(world, worlds))))} |", flush=True)


if __name__ == "__main__":
    main()
