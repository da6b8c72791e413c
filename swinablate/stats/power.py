"""What a number of seeds can show, and how many seeds an effect needs."""

from collections.abc import Mapping, Sequence
from math import ceil

from swinablate.errors import InputError
from swinablate.stats.critical import bonferroni, many_to_one, shared_part, t_quantile
from swinablate.stats.estimate import BASELINE_RATIO, Contrast, prior_seeds
from swinablate.stats.sequential.spending import nominal

POWER = 0.8
"""The convention for planning (Cohen 1988): one effect in five of that size is missed."""
MOST = 100_000  # seeds; more are no plan


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

    Holds while the family is judged with shrunken variances. At 5 seeds an sd ratio above 3
    turns up by chance in half of all families of 8, which are then judged by Welch's t with
    power 0.6 instead of 0.8; `selftest` shows the mixture.

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
    se, df = _error(n, n_baseline, m, sd)
    c = many_to_one(shared_part([n] * m, n_baseline), df, alpha)
    return float(c + t_quantile(power, df)) * se


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
        se, df = _error(n, BASELINE_RATIO * n, m, sd)
        found.append(float(t_quantile(1 - level / 2, df) + t_quantile(power, df)) * se)
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
        arms = {arm for contrast in members for arm in contrast.weights}
        prior, free = prior_seeds(len(arms) - 1), sum(seeds[arm] - 1 for arm in arms)
        sizes = []
        for contrast in members:
            parts = {a: (w * sd) ** 2 / seeds[a] for a, w in contrast.weights.items()}
            var = sum(parts.values())
            df = var**2 / sum(v**2 / (prior + seeds[a] - 1) for a, v in parts.items())
            df = min(df, free)
            c = float(bonferroni(len(members), df, alpha) + t_quantile(power, df))
            sizes.append(c * var**0.5)
        found[family] = max(sizes)
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


def _error(n: int, n_baseline: int, m: int, sd: float) -> tuple[float, float]:
    """Standard error of a difference and its degrees of freedom, as with shrunken variances."""
    own, base, prior = sd**2 / n, sd**2 / n_baseline, prior_seeds(m)
    df = (own + base) ** 2 / (own**2 / (prior + n - 1) + base**2 / (prior + n_baseline - 1))
    return (own + base) ** 0.5, min(df, m * (n - 1) + n_baseline - 1)


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
