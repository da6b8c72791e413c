"""How often intervals of a nested study hold: `python -m benchmarks.programs.nested WORLDS`.

Worlds are drawn: an effect that differs from split to split, and on each from training to
training. The first table has the intervals of the components, the second that of the effect, as a
study of four arms and a baseline judges it (all four at once), beside two habits: Student's t over
all runs as if none shared a split (pooled), and the normal quantile in place of t (z).
"""

import sys
from itertools import product

import numpy as np
from numpy.typing import NDArray

from swinablate.stats.critical import t_quantile
from swinablate.stats.paired import Pairs, estimate_pairs
from swinablate.stats.seeds.components import components

EFFECT, LEVEL, ARMS = 0.7, 0.95, 4
"""Of every arm; of the intervals; and how many arms share the error rate."""
DESIGNS = ((3, 3), (5, 2), (5, 4), (10, 2), (20, 2))
"""Splits, and trainings on each."""
SPLITS = (0.0, 0.5, 1.0, 2.0)
"""The sd between splits, where that between trainings is 1."""


def drawn(design: tuple[int, int], tau: float, worlds: int, arms: int = 1) -> NDArray[np.float64]:
    """Differences from the baseline, (worlds, arms, splits, trainings); each from runs of both.

    The baseline's own split and training are in all of an arm's differences, as in a study.
    """
    chance = np.random.default_rng([*design, round(100 * tau), arms])
    shape = (worlds, arms + 1, *design)
    # Half of each variance is the baseline's: that of a difference is then as it is said.
    runs = tau * chance.standard_normal((*shape[:3], 1)) + chance.standard_normal(shape)
    return EFFECT + (runs[:, 1:] - runs[:, :1]) / 2**0.5


def of_components(design: tuple[int, int], tau: float, worlds: int) -> list[float]:
    """Percent of the worlds in which each interval holds."""
    held = np.zeros(4)
    truths = (tau**2, 1.0, tau**2 + 1, tau**2 / (tau**2 + 1))
    for world in drawn(design, tau, worlds)[:, 0]:
        found = components(list(world), LEVEL)
        each = (found.split, found.training, found.total, found.share)
        held += [
            one.low is not None and one.high is not None and one.low <= truth <= one.high
            for one, truth in zip(each, truths, strict=True)
        ]
    return [float(100 * one / worlds) for one in held]


def of_effects(design: tuple[int, int], tau: float, worlds: int) -> list[float]:
    """Percent of the worlds in which the intervals of all arms hold."""
    values = drawn(design, tau, worlds, ARMS)
    means = values.mean(axis=3)
    var = means.var(axis=2, ddof=1)
    within = Pairs(mean=means.mean(axis=2), var=var, unpaired=var,
                   n=np.full(ARMS, float(design[0])))  # fmt: skip
    found = estimate_pairs(within, alpha=1 - LEVEL)
    off = np.abs(found.delta - EFFECT)
    runs = values.reshape(worlds, ARMS, -1)
    count, tail = runs.shape[2], (1 - LEVEL) / (2 * ARMS)
    se = runs.std(axis=2, ddof=1) / count**0.5
    halves = (
        found.half,
        t_quantile(1 - tail, count - 1) * se,
        t_quantile(1 - tail, np.inf) * np.sqrt(var / design[0]),
    )
    return [float(100 * (off <= half).all(axis=1).mean()) for half in halves]


def main() -> None:
    """Print the tables."""
    worlds = int(sys.argv[1])
    error = 100 * (LEVEL * (1 - LEVEL) / worlds) ** 0.5
    print(f"{worlds} worlds a row; a rate of 95 % has a standard error of {error:.2f}.\n")
    print("| splits | trainings | sd between splits | split | training | total | share |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for design, tau in product(DESIGNS, SPLITS):
        cells = " | ".join(f"{value:.1f}" for value in of_components(design, tau, worlds))
        print(f"| {design[0]} | {design[1]} | {tau} | {cells} |", flush=True)
    print("\n| splits | trainings | sd between splits | effects | runs pooled | z |")
    print("|--:|--:|--:|--:|--:|--:|")
    for design, tau in product(DESIGNS, SPLITS):
        cells = " | ".join(f"{value:.1f}" for value in of_effects(design, tau, worlds))
        print(f"| {design[0]} | {design[1]} | {tau} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
