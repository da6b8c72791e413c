"""What a number of seeds can show, and how many seeds an effect needs.

Power is that of the method that judges (`estimate.errors`): the means are normal given the
variances, and the variances that normal seeds of equal noise may show are drawn, moderated and
compared as those of a study are. A pairing that pays finds smaller effects than is told here.

Shapes: s draws of a study's variances, m contrasts, k arms.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import ceil

import numpy as np
from scipy.special import gammaincinv, ndtr

from swinablate.errors import InputError
from swinablate.stats.critical import (
    Floats,
    bonferroni,
    many_to_one,
    scale_nodes,
    shared_part,
    t_quantile,
)
from swinablate.stats.estimate import BASELINE_RATIO, Cells, Contrast, errors
from swinablate.stats.sequential.spending import nominal

POWER = 0.8
"""The convention for planning (Cohen 1988): one effect in five of that size is missed."""
MOST = 100_000  # seeds; more are no plan
DRAWS = 1000  # power at the effect told is then within half a point of what is asked
CROWD = 16
"""Arms that are drawn of those that compare alike: more change what a variance is moderated
towards by nothing that shows."""
BETWEEN = 40  # degrees of freedom at which critical values are solved for; lines join them
STEPS = 12  # Newton's; power rises so evenly that six reach 1e-9
KNOTS = 20  # nodes over what an estimated standard error may be: four digits


def detectable(
    n: int,
    n_baseline: int,
    m: int,
    sd: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
) -> float:
    """Return the smallest difference found with `power`, in the unit of `sd`.

    Args:
        n: seeds of an arm, at least 2.
        n_baseline: seeds of the baseline.
        m: comparisons declared.
        sd: over seeds, of every arm.
        alpha: error rate of the family of `m`.
        power: probability to find a difference of that size, for one arm.

    Raises:
        InputError: a number that is not positive, or fewer than 2 seeds.
    """
    _check(n, n_baseline, m, sd)
    return _unit(n, n_baseline, m, alpha, power) * sd


def detectable_at(
    looks: Sequence[int], m: int, sd: float, *, alpha: float = 0.05, power: float = POWER
) -> list[float]:
    """Return the smallest difference that each look alone finds with `power`.

    The first of the `m` to be found; once it is, the others are tested at a higher level. A
    study that looks again finds smaller ones, because it may also find them earlier.

    Args:
        looks: seeds of an arm at each look; the baseline has twice as many.
        m: comparisons declared.
        sd: over seeds, of every arm.
        alpha: error rate of the family of `m`, over all looks.
        power: probability to find a difference of that size, for one arm.
    """
    found = []
    for n, level in zip(looks, nominal(looks, alpha / m), strict=True):
        _check(n, BASELINE_RATIO * n, m, sd)
        truth, se, df = _drawn(*_against(n, BASELINE_RATIO * n, m))
        half = t_quantile(1 - level / 2, df) * se
        found.append(float(_found_with(power, half, truth).mean()) * sd)
    return found


def detectable_effects(
    contrasts: Sequence[Contrast],
    seeds: Mapping[str, int],
    sd: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
) -> dict[str, float]:
    """Return, for each family, the size from which every contrast of it is found with `power`.

    Args:
        contrasts: of any families, each with an error rate of its own.
        seeds: of every arm.
        sd: over seeds, of every arm.
        alpha: error rate of a family.
        power: probability to find an effect of that size.
    """
    families: dict[str, list[Contrast]] = {}
    for contrast in contrasts:
        families.setdefault(contrast.family, []).append(contrast)
    found = {}
    for family, members in families.items():
        arms = list(dict.fromkeys(arm for contrast in members for arm in contrast.weights))
        weights = np.array([[c.weights.get(arm, 0.0) for arm in arms] for c in members])
        truth, se, df = _drawn(weights, np.array([float(seeds[arm]) for arm in arms]))
        half = bonferroni(len(members), df, alpha) * se
        found[family] = float(_found_with(power, half, truth).max()) * sd
    return found


def seeds_needed(
    delta: float,
    m: int,
    sd: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    baseline_ratio: float = 2.0,
) -> int | None:
    """Return the fewest seeds an arm needs to show `delta`; None beyond 100,000.

    Args:
        delta: the difference to find, in the unit of `sd`.
        m: comparisons declared.
        sd: over seeds, of every arm.
        alpha: error rate of the family of `m`.
        power: probability to find the difference, for one arm.
        baseline_ratio: seeds of the baseline for each seed of an arm.

    Raises:
        InputError: a number that is not positive.
    """
    if not delta > 0 or not baseline_ratio > 0:
        raise InputError(
            f"an effect of {delta} with {baseline_ratio} baseline seeds a seed cannot be planned",
            hint="both have to be positive",
        )

    def found(n: int) -> bool:
        n_baseline = max(2, ceil(baseline_ratio * n - 1e-9))  # not one more for a rounding error
        return detectable(n, n_baseline, m, sd, alpha=alpha, power=power) <= delta

    low, high = 2, 3
    while not found(high):  # doubled until enough, then halved between
        low, high = high, 2 * high
        if low > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def detected(c: float, df: float, power: float = POWER) -> float:
    """Return the effect that a repetition finds with `power`, in estimated standard errors.

    The standard error of this study is as uncertain as that of the next, and both count: over
    many studies the effects so told are found with `power` on average.

    Args:
        c: half-width of the interval in standard errors.
        df: degrees of freedom of a standard error.
        power: probability to find an effect of that size.
    """
    if not np.isfinite(c * df):
        return float("nan")
    (scale,), (weights,) = scale_nodes(np.array([df]), KNOTS)
    both = weights[:, None] * weights
    x = c + float(t_quantile(power, df))
    for _ in range(STEPS):
        at = x * scale[:, None] - c * scale
        slope = (both * scale[:, None] * _density(at)).sum()
        x += (power - float((both * ndtr(at)).sum())) / max(float(slope), 1e-9)
    return x


@lru_cache(maxsize=4096)  # a study's arms ask for the same numbers of seeds
def _unit(n: int, n_baseline: int, m: int, alpha: float, power: float) -> float:
    """The smallest effect found with `power`, in standard deviations over seeds."""
    truth, se, df = _drawn(*_against(n, n_baseline, m))
    low, high = 1 / df.max(), 1 / df.min()
    between = 1 / np.linspace(low, high, BETWEEN) if low < high else df.ravel()[:1]
    critical = many_to_one(shared_part([n] * m, n_baseline), between, alpha)
    half = np.interp(1 / df, 1 / between, critical) * se
    return float(_found_with(power, half, truth).mean())


def _against(n: int, n_baseline: int, m: int) -> tuple[Floats, Floats]:
    """Weights and seeds of arms that compare alike with one baseline."""
    arms = min(m, CROWD)
    seeds = np.array([n_baseline] + [n] * arms, dtype=float)
    return np.hstack([-np.ones((arms, 1)), np.eye(arms)]), seeds


def _drawn(weights: Floats, seeds: Floats) -> tuple[Floats, Floats, Floats]:
    """True standard errors (m,), estimated ones and their degrees of freedom (s, m).

    The noise is 1 everywhere. Each arm's variances are the quantiles of their distribution, in
    an order of their own: the same studies for every number of seeds, so that more seeds never
    seem to find less.
    """
    rng = np.random.default_rng(0)
    at = (np.arange(DRAWS) + 0.5) / DRAWS
    level = np.stack([rng.permutation(at) for _ in seeds], axis=-1)
    free = seeds - 1
    var = gammaincinv(free / 2, level) / (free / 2)
    cells = Cells(
        mean=np.zeros_like(var),
        var=var,
        n=seeds,
        declared=seeds,
        pooled=np.ones(len(seeds), dtype=bool),
    )
    _, se, df = errors(cells, weights)
    return np.sqrt(weights**2 @ (1 / seeds)), se, df


def _found_with(power: float, half: Floats, se: Floats) -> Floats:
    """The effect of each contrast (m,) that exceeds the half-widths (s, m) with `power`."""
    x = half.mean(0) + float(t_quantile(power, np.inf)) * se
    for _ in range(STEPS):
        at = (x - half) / se
        reached = (ndtr(at) + ndtr(-(x + half) / se)).mean(0)
        x = x + (power - reached) * se / np.maximum(_density(at).mean(0), 1e-9)
    return np.asarray(x)


def _density(z: Floats) -> Floats:
    """The standard normal density."""
    return np.asarray(np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5)


def _check(n: int, n_baseline: int, m: int, sd: float) -> None:
    if n < 2 or n_baseline < 2:
        raise InputError(
            f"{n} seeds against {n_baseline} baseline seeds have no variance",
            hint="give at least 2 of either, better 5 and 10",
        )
    if m < 1 or not sd > 0:
        raise InputError(
            f"{m} comparisons at sd {sd} cannot be planned",
            hint="give at least 1 comparison and a positive sd",
        )
