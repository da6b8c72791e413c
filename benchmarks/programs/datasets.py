"""How often intervals over data sets hold: `python -m benchmarks.programs.datasets WORLDS`.

Worlds are drawn: effects of data sets around a mean of 0.7, errors of unequal size, one set more.
Beside the product's intervals stand those of two habits: the normal quantile in place of Student's
(z), and all runs in one heap as if data sets were seeds (pooled).
"""

import sys
from itertools import product

import numpy as np
from scipy.stats import t

from swinablate.stats.comparisons.datasets import between, over_datasets

MEAN, LEVEL, RUNS = 0.7, 0.95, 10
"""Of the effects, of the intervals; and seeds of a data set, for who pools them."""
FAR = 5.0
"""Five of the larger standard deviations between data sets: a reader would see it."""


def row(k: int, tau: float, worlds: int) -> list[float]:
    """Percent of the worlds in which each interval holds."""
    chance = np.random.default_rng([k, round(100 * tau)])
    held = np.zeros(4)
    for _ in range(worlds):
        se = chance.uniform(0.2, 1.0, k)
        truths = MEAN + tau * chance.standard_normal(k + 1)
        runs = truths[:k, None] + (se * RUNS**0.5)[:, None] * chance.standard_normal((k, RUNS))
        y, every = runs.mean(1), runs.ravel()
        found = over_datasets(y, se, alpha=1 - LEVEL)
        assert found.ci_low is not None
        assert found.ci_high is not None
        assert found.new_low is not None
        assert found.new_high is not None
        weights = 1 / (se**2 + between(y, se))
        z = 1.959964 / weights.sum() ** 0.5
        half = t.ppf(0.5 + LEVEL / 2, len(every) - 1) * every.std(ddof=1) / len(every) ** 0.5
        held += [
            found.ci_low <= MEAN <= found.ci_high,
            found.new_low <= truths[k] <= found.new_high,
            abs(found.mean_pp - MEAN) <= z,
            abs(every.mean() - MEAN) <= half,
        ]
    return [float(100 * one / worlds) for one in held]


def halves(k: int, tau: float, worlds: int, *, far: bool) -> tuple[float, float, float]:
    """How often the interval of the middle half holds what most data sets share, and the mean's.

    Args:
        k: data sets.
        tau: sd of their effects.
        worlds: to draw.
        far: whether one data set has an effect of its own, `FAR` away from the others'.

    Returns:
        percent, percent, and the ratio of their median widths.
    """
    chance = np.random.default_rng([k, round(100 * tau), int(far)])
    held, widths = np.zeros(2), np.zeros((worlds, 2))
    for i in range(worlds):
        se = chance.uniform(0.2, 1.0, k)
        truths = MEAN + tau * chance.standard_normal(k)
        truths[0] += FAR * far
        found = over_datasets(truths + se * chance.standard_normal(k), se, alpha=1 - LEVEL)
        ends = [(found.iqm_low, found.iqm_high), (found.ci_low, found.ci_high)]
        for j, (low, high) in enumerate(ends):
            assert low is not None
            assert high is not None
            held[j] += low <= MEAN <= high
            widths[i, j] = high - low
    middle, mean = np.median(widths, axis=0)
    return 100 * held[0] / worlds, 100 * held[1] / worlds, float(middle / mean)


def main() -> None:
    """Print the table."""
    worlds = int(sys.argv[1])
    error = 100 * (0.05 * 0.95 / worlds) ** 0.5
    print(f"{worlds} worlds a row; a rate of 95 % has a standard error of {error:.2f}.\n")
    print("| data sets | sd between them | mean | new data set | z | runs pooled |")
    print("|--:|--:|--:|--:|--:|--:|")
    for k, tau in product((3, 4, 5, 8, 12), (0.0, 0.5, 1.0, 2.0)):
        cells = " | ".join(f"{value:.1f}" for value in row(k, tau, worlds))
        print(f"| {k} | {tau} | {cells} |", flush=True)
    print("\n| data sets | sd between them | one far off | middle half holds | mean holds | "
          "width of the middle half's, of the mean's |")  # fmt: skip
    print("|--:|--:|---|--:|--:|--:|")
    for k, tau, far in product((5, 6, 8, 12), (0.0, 1.0), (False, True)):
        middle, mean, width = halves(k, tau, worlds, far=far)
        odd = "yes" if far else "no"
        print(f"| {k} | {tau} | {odd} | {middle:.1f} | {mean:.1f} | {width:.2f} |", flush=True)


if __name__ == "__main__":
    main()
