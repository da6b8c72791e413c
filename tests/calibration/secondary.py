"""How often a secondary metric errs in studies that add seeds by what the first metric shows.

The secondary metric differs in no arm, and its noise correlates with that of the first: whoever
stops by the first chooses the secondary's seeds, too. Judged once at the end, as if the numbers of
seeds had been fixed (naive), and with the repeated interval of the look at which the arm stopped.
`python -m tests.calibration.secondary` prints the table of `benchmarks/results/calibration.md`.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from swinablate.stats.estimate import Cells, estimate
from swinablate.stats.sequential.course import at_looks, course
from swinablate.stats.sequential.states import Rule, Run

LOOKS = (3, 5, 8, 12, 16)
SD = 0.3


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the first metric is like; the secondary differs in no arm.

    Attributes:
        name: in words.
        delta: of the first metric, points, the baseline's first.
        rho: correlation of the two metrics' noise within a trial.
        rope: of the first metric; None calls nothing equivalent, so that fewer arms stop.
        effect: of the secondary in every arm, points; 0 where the error is asked for.
    """

    name: str
    delta: Sequence[float]
    rho: float
    rope: float | None = 0.4
    effect: float = 0.0


NONE, NEAR = (0.0,) * 9, (0.0,) + (-0.35,) * 8
MIXED = (0.0, 0.0, 0.0, 0.1, -0.2, -0.4, -0.6, -1.0, -2.0)
TRUTHS = (
    Truth(name="first metric: nothing; correlation .9", delta=NONE, rho=0.9),
    Truth(name="nothing, no margin; .9", delta=NONE, rho=0.9, rope=None),
    Truth(name="all arms by -.35; 0", delta=NEAR, rho=0.0, rope=None),
    Truth(name="all arms by -.35; .5", delta=NEAR, rho=0.5, rope=None),
    Truth(name="all arms by -.35; .9", delta=NEAR, rho=0.9, rope=None),
    Truth(name="all arms by -.35; 1", delta=NEAR, rho=1.0, rope=None),
    Truth(name="one arm by -.35; 1", delta=(0.0, -0.35), rho=1.0, rope=None),
    Truth(name="typical (0 to -2); .9", delta=MIXED, rho=0.9),
)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of studies, and of arms.

    Attributes:
        naive: some arm is called in the secondary metric, as if seeds had been fixed.
        repeated: the same by the repeated interval of the look at which the arm stopped.
        naive_found, repeated_found: arms that are called; power where they differ.
    """

    naive: float
    repeated: float
    naive_found: float
    repeated_found: float


def rates(truth: Truth, sims: int, seed: int = 0) -> Rates:
    """Judge both metrics of many studies."""
    k = len(truth.delta)
    rng = np.random.default_rng([seed, k, len(truth.name)])
    noise = rng.standard_normal((sims, k, 2 * LOOKS[-1]))
    own = rng.standard_normal(noise.shape)
    first = np.array(truth.delta)[:, None] + SD * noise
    second = SD * (truth.rho * noise + (1 - truth.rho**2) ** 0.5 * own)
    second[:, 1:] += truth.effect
    rule = Rule(looks=LOOKS, alpha=0.05, rope=truth.rope, floor=0.0, method="auto")
    plain = Rule(looks=LOOKS, alpha=0.05, rope=None, floor=0.0, method="auto")
    naive, repeated = [], []
    for one, other in zip(first, second, strict=True):
        end = course(_runs(one), rule)
        naive.append(_naive(other, list(end.wanted.values())))
        stops = {arm: state.look for arm, state in end.states.items()}
        kept = {str(j): Run(values=other[j][:n]) for j, n in enumerate(end.wanted.values())}
        found = at_looks(kept, plain, stops)
        repeated.append([found[arm].word in {"better", "worse"} for arm in found])
    calls = np.array(naive), np.array(repeated)
    return Rates(
        naive=float(calls[0].any(axis=1).mean()),
        repeated=float(calls[1].any(axis=1).mean()),
        naive_found=float(calls[0].mean()),
        repeated_found=float(calls[1].mean()),
    )


def _runs(values: np.ndarray) -> Mapping[str, Run]:
    return {str(j): Run(values=row) for j, row in enumerate(values)}


def _naive(values: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Which arms are called, as if their seeds had been fixed."""
    n = np.array(counts, dtype=float)
    seeds = [row[:count] for row, count in zip(values, counts, strict=True)]
    cells = Cells(
        mean=np.array([row.mean() for row in seeds]),
        var=np.array([row.var(ddof=1) for row in seeds]),
        n=n,
        declared=n,
        pooled=np.ones(len(n), bool),
    )
    weights = np.hstack([-np.ones((len(n) - 1, 1)), np.eye(len(n) - 1)])
    found = estimate(cells, weights, alpha=0.05)
    return np.abs(found.delta) > found.half


def report(sims: int) -> Iterator[str]:
    """The table, in Markdown, line by line."""
    yield "| truth | naive | repeated | power naive | power repeated |"
    yield "|---|" + "---:|" * 4
    for truth in TRUTHS:
        found = rates(truth, sims)
        shown = [
            f"{p:.3f} ± {(p * (1 - p) / sims) ** 0.5:.3f}" for p in (found.naive, found.repeated)
        ]
        there = rates(Truth(**(vars(truth) | {"effect": -0.5})), sims // 4, seed=1)
        shown += [f"{there.naive_found:.2f}", f"{there.repeated_found:.2f}"]
        yield f"| {truth.name} | " + " | ".join(shown) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=2000)
    for line in report(parser.parse_args().sims):
        print(line, flush=True)
