"""Error and power of every method for one's own numbers, by simulation, before launch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from swinablate.errors import InputError
from swinablate.stats.critical import Floats
from swinablate.stats.estimate import TESTED, Cells, Estimates, Method, estimate
from swinablate.stats.paired import Pairs, estimate_pairs, pays
from swinablate.stats.power import detectable

SIMS = 4000
"""Simulated studies: an error rate of 5 % is known to a third of a point, within seconds."""
ALPHA = 0.05
"""Of a study that declares no other."""
MOST = 20_000
"""Seeds of all arms: the results of all simulated studies take a gigabyte then."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A study with a known truth; the baseline first.

    Attributes:
        n: seeds of each arm.
        sd: over seeds, points.
        correlation: of each arm's noise with what all seeds share, squared: two arms correlate
            with the geometric mean of theirs.
    """

    n: Sequence[int]
    sd: Sequence[float]
    correlation: Sequence[float]

    @property
    def weights(self) -> Floats:
        """Each arm minus the baseline: (m, k)."""
        m = len(self.n) - 1
        return np.hstack([-np.ones((m, 1)), np.eye(m)])


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one method fares, as shares of simulated studies.

    Attributes:
        method: as in `verdicts`.
        error: some arm is called better or worse although none is (promised: 0.05).
        power: an arm with the effect is found.
        half_pp: mean half-width of an interval.
        paired: the family was judged within seeds.
    """

    method: Method
    error: float
    power: float
    half_pp: float
    paired: float


def selftest(
    m: int,
    n: int,
    sd: float | Sequence[float],
    *,
    baseline_ratio: float = 2.0,
    effect_pp: float | None = None,
    correlation: float = 0.0,
) -> list[Row]:
    """Simulate studies of normal seeds and judge them with every method.

    Args:
        m: comparisons with one baseline.
        n: seeds of an arm, at least 3.
        sd: over seeds, percentage points; one, or one each (the baseline first).
        baseline_ratio: seeds of the baseline for each seed of an arm, at least 1.
        effect_pp: the difference to find; the smallest these seeds should find (power 0.8 by
            the formula of `detectable`) if left out.
        correlation: of the results of different arms at the same seed.

    Raises:
        InputError: numbers that describe no study.
    """
    sds = [float(sd)] * (m + 1) if isinstance(sd, int | float) else [float(x) for x in sd]
    if n < TESTED or m < 1 or baseline_ratio < 1 or len(sds) != m + 1 or min(sds) <= 0:
        raise InputError(
            f"{m} arms of {n} seeds with sd {sd} and {baseline_ratio} baseline seeds a seed "
            "describe no study",
            hint="at least 1 arm, 3 seeds, ratio 1, and one positive sd, or one for each arm "
            "and the baseline",
        )
    if not np.isfinite([*sds, 0.0 if effect_pp is None else effect_pp]).all():
        raise InputError("an sd or an effect has no end", hint="give numbers like 0.4")
    if m * n > MOST:
        raise InputError(
            f"{m:,} arms of {n:,} seeds are more than can be simulated",
            hint=f"give at most {MOST:,} seeds of all arms together",
        )
    if not 0 <= correlation < 1:
        raise InputError(f"a correlation of {correlation}", hint="give 0, or more, below 1")
    n_baseline = round(baseline_ratio * n)
    if effect_pp is None:
        effect_pp = detectable(n, n_baseline, m, float(np.mean(sds)), alpha=ALPHA)
    scenario = Scenario(n=[n_baseline] + [n] * m, sd=sds, correlation=[correlation] * (m + 1))
    values = draw(scenario, SIMS, seed=0)
    return [
        _row(method, *judge(scenario, values, method), effect_pp)
        for method in get_args(Method)
        if method != "auto-paired"  # "auto" by its former name
    ]


def draw(scenario: Scenario, sims: int, *, seed: int) -> Floats:
    """Results of studies in which no arm has an effect: (sims, k, most seeds)."""
    rng = np.random.default_rng(seed)
    k, most = len(scenario.n), max(scenario.n)
    shared = np.array(scenario.correlation)[:, None]
    noise = np.sqrt(shared) * rng.standard_normal((sims, 1, most))
    noise = noise + np.sqrt(1 - shared) * rng.standard_normal((sims, k, most))
    return np.asarray(np.array(scenario.sd)[:, None] * noise)


def judge(
    scenario: Scenario, values: Floats, method: Method, *, floor: float = 0.0
) -> tuple[Estimates, Floats]:
    """Judge simulated studies; the second is which were judged within seeds: (sims,)."""
    n = np.array(scenario.n, dtype=float)
    runs = [values[:, j, : scenario.n[j]] for j in range(len(scenario.n))]
    cells = Cells(
        mean=np.stack([run.mean(-1) for run in runs], axis=-1),
        var=np.stack([run.var(-1, ddof=1) for run in runs], axis=-1),
        n=n,
        declared=n,
        pooled=np.ones(len(n), dtype=bool),
    )
    apart = estimate(cells, scenario.weights, alpha=ALPHA, floor=floor, method=method)
    if method not in {"auto", "auto-paired", "paired"}:
        return apart, np.zeros(len(values))
    within = _within(runs)
    together = estimate_pairs(within, alpha=ALPHA, floor=floor)
    pick = np.ones(len(values), dtype=bool)
    if method != "paired":
        pick = pays(within, apart, together)
    return _chosen(pick, together, apart), pick.astype(float)


def _within(runs: Sequence[Floats]) -> Pairs:
    """Arms minus baseline within the seeds they share."""
    base, mean, var, unpaired, n = runs[0], [], [], [], []
    for run in runs[1:]:
        shared = min(run.shape[-1], base.shape[-1])
        one, other = run[:, :shared], base[:, :shared]
        gap = one - other
        mean.append(gap.mean(-1))
        var.append(gap.var(-1, ddof=1))
        unpaired.append(one.var(-1, ddof=1) + other.var(-1, ddof=1))
        n.append(shared)
    columns = [np.stack(column, axis=-1) for column in (mean, var, unpaired)]
    return Pairs(mean=columns[0], var=columns[1], unpaired=columns[2], n=np.array(n, dtype=float))


def _chosen(pick: np.ndarray, together: Estimates, apart: Estimates) -> Estimates:
    """`together` where picked, else `apart`."""
    fields = {
        name: np.where(pick[:, None], getattr(together, name), getattr(apart, name))
        for name in ("delta", "se", "df", "c", "half", "half_equivalence", "p", "adjusted")
    }
    return Estimates(**fields, shrunken=apart.shrunken)


def _row(method: Method, family: Estimates, paired: Floats, effect: float) -> Row:
    wrong = np.abs(family.delta) > family.half
    found = np.abs(family.delta + effect) > family.half
    return Row(
        method=method,
        error=float(wrong.any(axis=1).mean()),
        power=float(found.mean()),
        half_pp=float(family.half.mean()),
        paired=float(paired.mean()),
    )
