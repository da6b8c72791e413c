"""Studies drawn from real runs: pools of many seeds of one recipe each, centred.

`benchmarks/results/digits_pools.csv` has 200 seeds each of two small networks on the digits,
trained by this program (`calibration.md` beside it says how). Arms are drawn from a pool
with replacement, so that nothing but luck tells them apart; how a seed scatters is no model's.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from swinablate.stats.planned.selftest import judge
from tests.calibration import peers
from tests.calibration.shapes import error, power, study

POOLS = Path(__file__).parents[2] / "benchmarks" / "results" / "digits_pools.csv"
IMAGES = 540  # of the digits' test set
SHIFT = -5 / 3  # sds of the first pool: half a point at an sd of .3, as elsewhere
MIXES = ("one pool", "half the arms of the other")


def pools() -> list[np.ndarray]:
    """Test accuracies of each recipe minus their mean, percentage points."""
    table = pd.read_csv(POOLS)
    found = [rows.value.to_numpy() for _, rows in table.groupby("arm", sort=False)]
    return [values - values.mean() for values in found]


def draw(mix: str, m: int, n: int, sims: int, seed: int = 0) -> np.ndarray:
    """Results of studies without an effect, the baseline with twice the seeds: (s, k, 2n)."""
    rng = np.random.default_rng([seed, m, n, MIXES.index(mix)])
    first, other = pools()
    values = rng.choice(first, (sims, m + 1, 2 * n))
    if mix != MIXES[0]:
        values[:, 1 : 1 + m // 2] = rng.choice(other, (sims, m // 2, 2 * n))
    return np.asarray(values)


def rates(mix: str, m: int, n: int, sims: int) -> tuple[float, float, float]:
    """Family-wise error, power for the shift, and the error of the rule that stood before."""
    values = draw(mix, m, n, sims)
    floor = 100 / IMAGES / 12**0.5
    family, _ = judge(study(m, n), values, "auto", floor=floor)
    then = peers.before(values, n, floor).any(axis=1).mean()
    effect = SHIFT * float(pools()[0].std())
    return error(family.half, family.delta), power(family.half, family.delta, effect), float(then)


def report(sims: int) -> Iterator[str]:
    """The table, in Markdown, line by line."""
    sds = ", ".join(f"{pool.std(ddof=1):.2f}" for pool in pools())
    yield f"Sds of the pools: {sds} points. Error (before) / power for {-SHIFT:.2f} sds.\n"
    sizes = ((2, 3), (2, 5), (4, 5), (8, 3), (8, 5), (8, 8))
    yield "| arms | " + " | ".join(f"m={m} n={n}" for m, n in sizes) + " |"
    yield "|---|" + "---:|" * len(sizes)
    for mix in MIXES:
        cells = []
        for m, n in sizes:
            wrong, found, then = rates(mix, m, n, sims)
            cells.append(f"{wrong:.3f} ({then:.3f}) / {found:.2f}")
        yield f"| {mix} | " + " | ".join(cells) + " |"
