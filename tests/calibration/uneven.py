"""Arms and a baseline that do not have equally many seeds, as in results from elsewhere.

A study chooses its seeds: the baseline has twice as many. Somebody's table has what there is:
three runs of the old network against fifty of the new. Where the noise differs too, the noisy
side may be the one of which little is known. `python -m tests.calibration.uneven` prints the
table `benchmarks/results/*-uneven-seeds.md`, with the rule until November 2026 beside it, in
which an arm of few seeds borrowed as much from the others as any.

Shapes: s studies, k arms (the baseline first), n seeds.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

from swinablate.stats.planned.selftest import Scenario, draw, judge
from swinablate.stats.seeds import variances
from tests.calibration.shapes import error

SIMS = 20_000
ARMS = (1, 3, 8)
SEEDS = (
    (3, 3),
    (5, 5),
    (6, 3),
    (10, 5),
    (3, 6),
    (3, 12),
    (5, 12),
    (3, 50),
    (5, 50),
    (12, 3),
    (50, 5),
)
"""Of the baseline, and of each arm."""
NOISES = {
    "all alike": (1.0, 1.0),
    "baseline x3": (3.0, 1.0),
    "baseline x10": (10.0, 1.0),
    "baseline /3": (1.0, 3.0),
}
"""The sds of the baseline and of each arm."""
LIMITS = {3: 0.12, 5: 0.07}
"""Of the error: with 3 seeds on either side, and from 5 on; plus two Monte-Carlo errors."""
READ = """
Read: a baseline of few seeds that is three times as noisy as eight arms errs about half as often as
before, and nowhere beyond its limit by more than two Monte-Carlo errors; so does one arm of few
seeds. Where every arm has as many seeds as most, with the baseline's or twice as many, nothing
changed: neither error nor power. It costs power where few seeds are as noisy as many, because
nothing in three seeds tells whether they are (8 arms, 3 against 12: .45, before .55). One arm
alone is judged by Welch's t, which with 3 seeds against 50 errs in .076 of studies by itself.
"""
TO_FIND = 3.0  # standard errors of the difference of two means, of which power is told
PART = 4000  # studies drawn at a time: 50 seeds of nine arms are 15 MB


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of simulated studies.

    Attributes:
        error: some arm is called better or worse although none is.
        power: an arm that differs by three standard errors is called.
    """

    error: float
    power: float


def limit(n: tuple[int, ...], sims: int) -> float:
    """What the error may be with so many seeds."""
    level = LIMITS[3 if min(n) < 5 else 5]
    return level + 2 * (level * (1 - level) / sims) ** 0.5


def rates(
    n: tuple[int, ...],
    sd: tuple[float, ...],
    sims: int = SIMS,
    *,
    before: bool = False,
    correlation: float = 0.0,
) -> Rates:
    """How such studies fare, judged by default: whether to pair is decided as well.

    Args:
        n: seeds of each arm, the baseline first.
        sd: over them.
        sims: studies.
        before: by the rule in which few seeds borrowed as much as many.
        correlation: of two arms at one seed.
    """
    scenario = Scenario(n=n, sd=sd, correlation=[correlation] * len(n))
    effect = TO_FIND * (sd[0] ** 2 / n[0] + sd[-1] ** 2 / n[-1]) ** 0.5
    wrong, found = [], []
    with patch.object(variances, "FEWER", 0) if before else nullcontext():
        for part in range(-(-sims // PART)):
            values = draw(scenario, min(PART, sims - part * PART), seed=part)
            family, _ = judge(scenario, values, "auto")
            wrong += [error(family.half, family.delta)] * len(values)
            found += [float((np.abs(family.delta + effect) > family.half)[:, -1].mean())] * len(
                values
            )
    return Rates(error=float(np.mean(wrong)), power=float(np.mean(found)))


def cases() -> Iterator[tuple[str, tuple[int, ...], tuple[float, ...], float]]:
    """What is judged: its words, the seeds, the sds, the correlation of the seeds."""
    for m in ARMS:
        for base, each in SEEDS:
            for noise, (own, other) in NOISES.items():
                yield (
                    f"{m} | {base} | {each} | {noise}",
                    (base, *[each] * m),
                    (own, *[other] * m),
                    0.0,
                )
    for m in ARMS[1:]:
        for few, many in ((3, 12), (5, 50)):
            for factor in (3.0, 5.0):
                n, sd = (*[many] * m, few), (*[1.0] * m, factor)
                yield f"{m} | {many} | {many}, the last {few} | last arm x{factor:g}", n, sd, 0.0
    for base, each in ((5, 12), (5, 50)):
        n, sd = (base, *[each] * 8), (3.0, *[1.0] * 8)
        yield f"8 | {base} | {each} | baseline x3, seeds correlate .6", n, sd, 0.6


def report(sims: int) -> Iterator[str]:
    """The table, in Markdown, line by line."""
    yield "# Baseline and arms with unequal seeds\n"
    one = (0.05 * 0.95 / sims) ** 0.5
    yield (
        f"`python -m tests.calibration.uneven --sims {sims}`, {time.strftime('%Y-%m-%d')}. Normal "
        "noise, no effect: how often some arm is called better or worse (promised: .05), and how "
        f"often the last arm is called if it differs by {TO_FIND:g} standard errors. {sims:,} "
        f"studies a row; one Monte-Carlo standard error is {one:.4f} at .05, "
        f"{(0.12 * 0.88 / sims) ** 0.5:.4f} at .12 and {0.5 / sims**0.5:.4f} of a power of .5. In "
        "bold: above .12 with 3 seeds on either side, above .07 from 5 on. *Before*: an arm of few "
        "seeds borrowed as much from the others as any.\n"
    )
    yield "| arms | baseline's seeds | an arm's | noise | error before | error | power before | power |"
    yield "|---:|---:|---:|---|---:|---:|---:|---:|"
    for words, n, sd, correlation in cases():
        then = rates(n, sd, sims, before=True, correlation=correlation)
        now = rates(n, sd, sims, correlation=correlation)
        most = LIMITS[3 if min(n) < 5 else 5]
        errors = [
            f"**{x.error:.4f}**" if x.error > most else f"{x.error:.4f}" for x in (then, now)
        ]
        yield f"| {words} | {errors[0]} | {errors[1]} | {then.power:.3f} | {now.power:.3f} |"
    yield READ


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=SIMS)
    for line in report(parser.parse_args().sims):
        print(line, flush=True)
