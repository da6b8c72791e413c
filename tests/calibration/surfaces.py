"""Tuned arms that are the same, on three surfaces, as many families as one likes.

A model of `tunings.py`, which plays every family through Optuna's TPE and costs a second of
processor time each: here all tries are drawn at random, of which the arms of a tuning share the
first half, as there. What is judged is judged by the product's own functions.
`python -m tests.calibration.surfaces` prints the table of `benchmarks/results/calibration.md`.

Shapes: s studies, k arms (the baseline first), r tunings, t tries, n seeds.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import log10

import numpy as np

from swinablate.stats.estimate import Cells, estimate
from swinablate.stats.planned.selftest import Scenario, judge
from tests.calibration.tunings import BEST, SURFACES, TEST, VALIDATION

LOW, HIGH, OWN = log10(3e-4), log10(3e-2), log10(3e-3)  # of the learning rate
DECAYS = 1.0  # decades of weight decay on either side of the recipe's own
REPEATS = ("seed", 3, 1)
CONTRASTS = np.array([[0, 1, -1, 0, 0], [1, 1, -1, -1, 0]], dtype=float)
"""Two arms, and a difference of differences, of a baseline and four arms."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of studies in which nothing differs.

    Attributes:
        arms: some tuned arm's interval misses 0: it is called, unless it was tuned once.
        among: some declared contrast's does.
        half: mean half-width of an arm's interval, points.
    """

    arms: float
    among: float
    half: float


def finals(
    surface: str, repeats: str | int, sims: int, *, arms: int = 4, seeds: int = 5, tries: int = 12
) -> np.ndarray:
    """Test accuracies below the peak at tuned recipes, the baseline's seeds twice as many."""
    rng = np.random.default_rng([sims, REPEATS.index(repeats), list(SURFACES).index(surface)])
    many = 2 * seeds if repeats == "seed" else int(repeats)
    best = rng.uniform(*map(log10, BEST), (sims, 1, 1, 1))
    shape = (sims, arms + 1, many, tries)
    rate, decay = rng.uniform(LOW, HIGH, shape), rng.uniform(-DECAYS, DECAYS, shape)
    for drawn, own in ((rate, OWN), (decay, 0.0)):
        drawn[:, :, :, : tries // 2] = drawn[:, :1, :, : tries // 2]  # the arms' common start
        drawn[:, :, :, 0] = own
    mean = -SURFACES[surface].below(rate - best, decay)
    seen = mean + VALIDATION * rng.standard_normal(shape)
    chosen = np.take_along_axis(mean, seen.argmax(-1)[..., None], -1)[..., 0]
    dealt = np.arange(2 * seeds) % many
    return chosen[:, :, dealt] + TEST * rng.standard_normal((sims, arms + 1, 2 * seeds))


def rates(surface: str, repeats: str | int, sims: int, seeds: int = 5) -> Rates:
    """Judge studies as the product does."""
    values = finals(surface, repeats, sims, seeds=seeds)
    k = values.shape[1]
    counts = [2 * seeds] + [seeds] * (k - 1)
    if repeats not in {"seed", 1}:  # the mean over the seeds of a tuning is one result
        many = int(repeats)
        means = np.empty((sims, k, many))
        for j, repeat in product(range(k), range(many)):
            means[:, j, repeat] = values[:, j, repeat : counts[j] : many].mean(-1)
        values, counts = means, [many] * k
    scenario = Scenario(n=counts, sd=[1.0] * k, correlation=[0.0] * k)
    family, _ = judge(scenario, values, "auto")
    n = np.array(counts, dtype=float)
    runs = [values[:, j, : counts[j]] for j in range(k)]
    cells = Cells(
        mean=np.stack([run.mean(-1) for run in runs], -1),
        var=np.stack([run.var(-1, ddof=1) for run in runs], -1),
        n=n,
        declared=n,
        pooled=np.ones(k, bool),
    )
    among = estimate(cells, CONTRASTS, alpha=0.05)
    return Rates(
        arms=float((np.abs(family.delta) > family.half).any(axis=1).mean()),
        among=float((np.abs(among.delta) > among.half).any(axis=1).mean()),
        half=float(family.half.mean()),
    )


def report(sims: int) -> Iterator[str]:
    """The table, in Markdown, line by line."""
    yield "| surface | repeats | seeds | an arm's interval misses 0 | a contrast's | half-width (pp) |"
    yield "|---|---|---:|---:|---:|---:|"
    for surface, repeats, seeds in product(SURFACES, REPEATS, (5, 8)):
        found = rates(surface, repeats, sims, seeds)
        shown = [f"{p:.3f} ± {(p * (1 - p) / sims) ** 0.5:.3f}" for p in (found.arms, found.among)]
        yield (
            f"| {surface} | {repeats} | {seeds} | " + " | ".join(shown) + f" | {found.half:.2f} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=4000)
    for line in report(parser.parse_args().sims):
        print(line, flush=True)
