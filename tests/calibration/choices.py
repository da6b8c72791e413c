"""Why the constants of `swinablate.stats.estimate` are what they are.

`python -m tests.calibration.choices` simulates the alternatives and prints the tables of
`benchmarks/results/calibration_choices.md`.
"""

import time
from unittest.mock import patch

import numpy as np

from swinablate.stats.estimate import Estimates, spread
from tests.calibration.studies import EVEN, Truth, draw, judge, null

SIMS = 4000
PRIORS = {
    "4": lambda m: 4.0,
    "min(4, m)": lambda m: min(4.0, m),
    "min(4, m/2)": lambda m: min(4.0, m / 2),
    "min(4, (m-1)/2), used": lambda m: min(4.0, (m - 1) / 2),
    "0": lambda m: 0.0,
}
GATES = {
    "never": lambda ratio, p: np.zeros(len(p), bool),
    "sd ratio > 3 or p < .001, used": lambda ratio, p: (ratio > 3) | (p < 0.001),
    "p < .001": lambda ratio, p: p < 0.001,
    "p < .01": lambda ratio, p: p < 0.01,
    "p < .05": lambda ratio, p: p < 0.05,
    "always": lambda ratio, p: np.ones(len(p), bool),
}


def families(m: int) -> list[Truth]:
    """What a family of m comparisons may look like."""
    base = EVEN[0]
    return [
        null("equal noise", (base,) * (m + 1)),
        null("tau .5", (base,) * (m + 1), tau=0.5),
        null("one arm x3", (base,) * m + (3 * base,)),
        null("baseline x3", (3 * base,) + (base,) * m),
        null("as on digits", (0.7, *np.geomspace(0.15, 3.16, m).tolist())),
    ]


def rates(family: Estimates, half: np.ndarray, effect: float) -> str:
    """Error of the family, and power for one arm with the effect."""
    error = (np.abs(family.delta) > half).any(axis=1).mean()
    return f"{error:.3f} / {(np.abs(family.delta + effect) > half).mean():.2f}"


def priors() -> None:
    """Weight of the pooled variance against the number of comparisons."""
    print("\n### Weight of the pool: error / power for 3.3 standard errors\n")
    print("| n | m | noise | " + " | ".join(PRIORS) + " |")
    print("|---:|---:|---|" + "---:|" * len(PRIORS))
    for n in (3, 5, 8):
        for m in (1, 2, 3, 4, 8):
            for truth in families(m):
                effect = 3.3 * EVEN[0] * (1.5 / n) ** 0.5
                row = []
                for weight in PRIORS.values():
                    with patch("swinablate.stats.estimate.prior_seeds", weight):
                        family = judge(truth, n, SIMS, seed=n)
                    row.append(rates(family, family.half, effect))
                print(f"| {n} | {m} | {truth.name} | " + " | ".join(row) + " |", flush=True)


def gates() -> None:
    """When unequal variances send a family to Welch's t."""
    print("\n### Gate: share sent to Welch's t / error / power for 0.5 points\n")
    print("| n | m | noise | " + " | ".join(GATES) + " |")
    print("|---:|---:|---|" + "---:|" * len(GATES))
    for n in (5, 8):
        for m in (3, 8):
            for truth in families(m):
                values = draw(truth, 2 * n, SIMS, seed=n)
                pool, welch = (
                    judge(truth, n, SIMS, method=method, values=values)
                    for method in ("shrunken", "welch-holm")
                )
                arms = values[:, 1:, :n].var(-1, ddof=1)
                var = np.concatenate([values[:, :1].var(-1, ddof=1), arms], axis=1)
                ratio, p = spread(var, np.array([2.0 * n] + [n] * m))
                row = []
                for gate in GATES.values():
                    chosen = gate(ratio, p)
                    half = np.where(chosen[:, None], welch.half, pool.half)
                    row.append(f"{chosen.mean():.2f} / {rates(pool, half, 0.5)}")
                print(f"| {n} | {m} | {truth.name} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    print("# Why these constants")
    print(
        "\n`python -m tests.calibration.choices`. n seeds an arm, 2n of the baseline, m "
        f"comparisons, promised error 0.05; {SIMS:,} studies a cell, {time.strftime('%Y-%m-%d')}."
    )
    priors()
    gates()
