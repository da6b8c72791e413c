"""Error rates of what is said of lost and collapsed seeds, where nothing is wrong with any arm.

`python -m tests.calibration.losses` prints the table of `benchmarks/results/calibration.md`.
"""

import argparse
from itertools import product

import numpy as np

from swinablate.stats.seeds.outliers import outliers
from swinablate.stats.seeds.shares import shares

ALPHA = 0.05
FAR = 83.0
"""Points by which a collapsed seed lies below the others: 10 % among 93 %."""
FLAWLESS = {
    "equal noise": (0.0, 1.0),
    "noise varies (tau .25)": (0.25, 1.0),
    "one arm 3 times as noisy": (0.0, 3.0),
}
"""Name -> sd of log sd over arms, how much noisier the last arm is."""


def failing(p: float, m: int, n: int, sims: int, *, ratio: int = 2) -> tuple[float, float]:
    """How often shares are said to differ, and an arm to fail, if all diverge with probability p.

    Args:
        p: of any seed to diverge.
        m: arms beside the baseline.
        n: seeds of an arm.
        sims: studies.
        ratio: how many times as many the baseline has.
    """
    rng = np.random.default_rng(1)
    arms, base = rng.binomial(n, p, (sims, m)), rng.binomial(ratio * n, p, sims)
    beyond = fails = 0
    for own, theirs in zip(arms.tolist(), base.tolist(), strict=True):
        counts = {str(j): (diverged, n) for j, diverged in enumerate(own)}
        found = shares(counts, (theirs, ratio * n), ALPHA).values()
        beyond += any(share.beyond for share in found)
        fails += any(share.fails for share in found)
    return beyond / sims, fails / sims


def naming(truth: str, m: int, n: int, sims: int) -> tuple[float, float]:
    """How often W7 names a seed where none is odd; and finds one that collapsed in the first arm.

    Args:
        truth: one of `FLAWLESS`.
        m: arms beside the baseline.
        n: seeds of an arm; the baseline has twice as many.
        sims: studies.
    """
    rng = np.random.default_rng(1)
    tau, noisy = FLAWLESS[truth]
    sizes = [2 * n, *[n] * m]
    named = seen = 0
    for _ in range(sims):
        sds = 0.3 * np.exp(tau * rng.standard_normal(m + 1)) * np.array([1.0] * m + [noisy])
        arms = [93 + sd * rng.standard_normal(size) for sd, size in zip(sds, sizes, strict=True)]
        named += any(outliers(arms, [True] * (m + 1), 0.0))
        arms[1][0] -= FAR
        seen += 0 in outliers(arms, [True] * (m + 1), 0.0)[1]
    return named / sims, seen / sims


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=10_000)
    sims = parser.parse_args().sims
    print("| p | m | n | shares differ | an arm fails |\n|---:|---:|---:|---:|---:|")
    for p, m, n in product((0.05, 0.1, 0.2, 0.3, 0.5), (1, 3, 8), (3, 5, 8)):
        beyond, fails = failing(p, m, n, sims)
        print(f"| {p:g} | {m} | {n} | {beyond:.3f} | {fails:.3f} |")
    print("\n| p, baseline as an arm | m | n | shares differ | an arm fails |")
    print("|---:|---:|---:|---:|---:|")
    for p, n in product((0.1, 0.3, 0.5), (3, 5)):
        beyond, fails = failing(p, 8, n, sims, ratio=1)
        print(f"| {p:g} | 8 | {n} | {beyond:.3f} | {fails:.3f} |")
    print("\n| truth | m | n | W7 | collapse seen |\n|---|---:|---:|---:|---:|")
    for truth, m, n in product(FLAWLESS, (1, 3, 8), (3, 5, 8)):
        named, seen = naming(truth, m, n, sims // 2)
        print(f"| {truth} | {m} | {n} | {named:.4f} | {seen:.3f} |")


if __name__ == "__main__":
    main()
