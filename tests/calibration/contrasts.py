"""How often declared contrasts err, where every one of them is 0 and the truth is known.

`python -m tests.calibration.contrasts` simulates all of it and prints the table of
`benchmarks/results/calibration.md`.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from swinablate.stats import CONTRASTS, Contrast, declared
from swinablate.stats.declaration import ARMS
from swinablate.stats.estimate import Cells, estimate
from swinablate.stats.sequential.course import course
from swinablate.stats.sequential.states import Rule, Run

LOOKS = (3, 5, 8, 12, 16)
ARMS_OF = ("baseline", "a", "b", "c", "d", "e", "f")
FAMILY = (
    declared("two arms", {"a": 1, "b": -1}),
    declared("two more", {"c": 1, "d": -1}),
    declared("one of them again", {"c": 1, "e": -1}),
    declared("against the baseline", {"f": 1, "baseline": -1}),
    declared("a difference of differences", {"a": 1, "b": -1, "c": -1, "d": 1}),
    declared("an average", {"c": 0.5, "d": 0.5, "e": -1}),
)
"""Every one is 0 where a and b, and c, d and e, are alike, and f is like the baseline."""


@dataclass(frozen=True, kw_only=True)
class Null:
    """A study whose contrasts are all 0.

    Attributes:
        name: in words.
        delta: true means, points; alike within every contrast.
        sd: over seeds, of every arm.
        rho: every arm's correlation with what all arms share at a seed.
    """

    name: str
    delta: Sequence[float] = (0.0,) * 7
    sd: Sequence[float] = (0.3,) * 7
    rho: float = 0.0
    rope: float | None = field(default=0.4)


NOISY = (0.3, 0.3, 0.3, 0.9, 0.3, 0.3, 0.3)
NULLS = (
    Null(name="no arm differs"),
    Null(name="arms differ from the baseline, by -0.6 and -0.4", delta=(0, -.6, -.6, -.4, -.4, -.4, 0)),
    Null(name="arms differ a lot, by -2 and 1", delta=(0, -2, -2, 1, 1, 1, 0)),
    Null(name="arms differ; seeds correlate .6", delta=(0, -.6, -.6, -.4, -.4, -.4, 0), rho=0.6),
    Null(name="arms differ; one 3 times as noisy", delta=(0, -.6, -.6, -.4, -.4, -.4, 0), sd=NOISY),
    Null(name="no arm differs, no margin", rope=None),
)  # fmt: skip


def draw(null: Null, most: int, sims: int, seed: int) -> np.ndarray:
    """Results of `sims` studies: (sims, arms, most)."""
    rng = np.random.default_rng(seed)
    shape = (sims, len(ARMS_OF), most)
    shared = rng.standard_normal((sims, 1, most))
    noise = null.rho**0.5 * shared + (1 - null.rho) ** 0.5 * rng.standard_normal(shape)
    return np.array(null.delta)[:, None] + np.array(null.sd)[:, None] * noise


def fixed(null: Null, n: int, sims: int, seed: int = 0) -> float:
    """How often some contrast is called better or worse: n seeds an arm, 2n of the baseline."""
    values = draw(null, 2 * n, sims, seed)
    base, arms = values[:, :1], values[:, 1:, :n]
    counts = np.array([2.0 * n] + [float(n)] * (len(ARMS_OF) - 1))
    cells = Cells(
        mean=np.concatenate([base.mean(-1), arms.mean(-1)], axis=1),
        var=np.concatenate([base.var(-1, ddof=1), arms.var(-1, ddof=1)], axis=1),
        n=counts,
        declared=counts,
        pooled=np.ones(len(ARMS_OF), bool),
    )
    weights = np.array([[one.weights.get(arm, 0.0) for arm in ARMS_OF] for one in FAMILY])
    found = estimate(cells, weights, alpha=0.05)
    return float((np.abs(found.delta) > found.half).any(axis=1).mean())


def adaptive(null: Null, sims: int, seed: int = 0) -> tuple[float, float, float]:
    """How often some contrast is called better or worse at some look; or equal; mean trials.

    The family of all arms against the baseline runs beside it, and closes arms as it goes.
    """
    rule = Rule(looks=LOOKS, alpha=0.05, rope=null.rope, floor=0.0, method="auto")
    families = {ARMS: against(), CONTRASTS: list(FAMILY)}
    wrong = equal = trials = 0
    for study in draw(null, 2 * LOOKS[-1], sims, seed):
        runs = {arm: Run(values=row) for arm, row in zip(ARMS_OF, study, strict=True)}
        end = course(runs, rule, families)
        words = [end.states[one.name].word for one in FAMILY]
        wrong += bool({"better", "worse"} & set(words))
        equal += words.count("equivalent")
        trials += sum(end.wanted.values())
    return wrong / sims, equal / sims / len(FAMILY), trials / sims


def against() -> list[Contrast]:
    """Every arm but the baseline, minus the baseline."""
    return [
        Contrast(name=arm, kind="arm", family=ARMS, weights={arm: 1.0, "baseline": -1.0})
        for arm in ARMS_OF[1:]
    ]


def error(rate: float, sims: int) -> float:
    """One Monte-Carlo standard error of a rate."""
    return (rate * (1 - rate) / sims) ** 0.5


def report(sims: int) -> Iterator[str]:
    """The table, in Markdown, line by line."""
    yield "| truth | 3 seeds | 5 seeds | 8 seeds | adaptive | equal | trials |"
    yield "|---|" + "---:|" * 6
    for null in NULLS:
        rates = [fixed(null, n, 10 * sims, seed=n) for n in (3, 5, 8)]
        wrong, equal, trials = adaptive(null, sims)
        cells = [f"{rate:.3f} ± {error(rate, 10 * sims):.3f}" for rate in rates]
        cells += [f"{wrong:.3f} ± {error(wrong, sims):.3f}", f"{equal:.2f}", f"{trials:.0f}"]
        yield f"| {null.name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=2000)
    for line in report(parser.parse_args().sims):
        print(line, flush=True)
