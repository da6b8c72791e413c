"""What a number of seeds can show, and how many seeds an effect needs."""

from math import ceil

from swinablate.errors import InputError
from swinablate.stats.critical import many_to_one, shared_part, t_quantile
from swinablate.stats.estimate import prior_seeds

POWER = 0.8
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
    own = sd**2 / n
    base = sd**2 / n_baseline
    prior = prior_seeds(m)
    df = (own + base) ** 2 / (own**2 / (prior + n - 1) + base**2 / (prior + n_baseline - 1))
    df = min(df, m * (n - 1) + n_baseline - 1)
    c = many_to_one(shared_part([n] * m, n_baseline), df, alpha)
    return float((c + t_quantile(power, df)) * (own + base) ** 0.5)


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
        n_baseline = max(2, ceil(baseline_ratio * n - 1e-9))
        return detectable(n, n_baseline, m, sd, alpha=alpha, power=power) <= delta

    low, high = 2, 3
    while not found(high):
        low, high = high, 2 * high
        if low > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


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
