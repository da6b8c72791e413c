"""What a number of seeds can show, and how many seeds a difference or equivalence needs.

Power is that of the method that judges (`estimate.errors`): the means are normal given the
variances, and the variances that normal seeds of equal noise may show are drawn, moderated and
compared as those of a study are. A pairing that pays shows more; how much, only a guess of the
correlation between seeds can say, and nothing is taken for known unless it is given.

Shapes: s draws of a study's variances, m contrasts, k arms.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from math import ceil

import numpy as np
from scipy.special import ndtr

from swinablate.errors import InputError
from swinablate.stats.critical import (
    Floats,
    bonferroni,
    many_to_one,
    scale_nodes,
    shared_part,
    t_quantile,
)
from swinablate.stats.estimate import BASELINE_RATIO, FEW_SEEDS, Contrast
from swinablate.stats.paired import EVIDENCE, WORTH
from swinablate.stats.planned.drawn import (
    against,
    density,
    drawn,
    drawn_within,
    found_with,
    within,
)
from swinablate.stats.sequential.spending import nominal

POWER = 0.8
"""The convention for planning (Cohen 1988): one effect in five of that size is missed."""
MOST = 100_000  # seeds; more are no plan
LIMIT = 2**17  # the first number that doubling 2 makes of more than that
FIRST = 8  # seeds; about what studies have
ROOTS = 6  # times that a root says where to look: four is what it takes where it leads there
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


def shown_margin(
    n: int,
    n_baseline: int,
    m: int,
    sd: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
) -> float:
    """Return the smallest rope within which an arm without any difference is shown to lie.

    By the two one-sided tests of the method, with `power`, in the unit of `sd`.

    Args:
        n: seeds of an arm, at least 2.
        n_baseline: seeds of the baseline.
        m: comparisons declared.
        sd: over seeds, of every arm.
        alpha: error rate of the family of `m`.
        power: probability to show it, for one arm.

    Raises:
        InputError: a number that is not positive, or fewer than 2 seeds.
    """
    _check(n, n_baseline, m, sd)
    return _margin(n, n_baseline, m, alpha, power) * sd


def within_seeds(
    n: int, m: int, correlation: float, *, alpha: float = 0.05, power: float = POWER
) -> tuple[float, float] | None:
    """Return the smallest difference and the smallest rope of a family judged within seeds.

    In standard deviations over seeds; None where a family is never judged so (`paired.pays`).

    Args:
        n: seeds of an arm, all shared with the baseline.
        m: comparisons declared.
        correlation: between any two arms, of one seed.
        alpha: error rate of the family of `m`.
        power: as of `detectable` and `shown_margin`.
    """
    if correlation <= WORTH or n < FEW_SEEDS or m * (n - 1) < EVIDENCE:
        return None
    truth, se, df = drawn_within(n, m, correlation)
    found = found_with(power, bonferroni(m, df, alpha) * se, truth)
    return float(found.mean()), within(power, t_quantile(1 - alpha / m, df) * se, truth)


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
    _check(looks[0], BASELINE_RATIO * looks[0], m, sd)
    levels = zip(looks, nominal(looks, alpha / m), strict=True)
    return [_at_level(n, m, level, power)[0] * sd for n, level in levels]


def last_look_needed(
    size: float,
    looks: Sequence[int],
    m: int,
    sd: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
) -> tuple[int | None, int | None]:
    """Return the seeds an arm needs at the last look, the others keeping their share of it.

    For a difference of `size`, and to be shown within it, were there none; None beyond 100,000.
    By the last look alone, the first of the `m` to be decided there: earlier looks add to that.

    Args:
        size: in the unit of `sd`.
        looks: seeds of an arm at each look; the baseline has twice as many.
        m: comparisons declared.
        sd: over seeds, of every arm.
        alpha: error rate of the family of `m`, over all looks.
        power: probability to show it, for one arm.
    """
    _check_wanted(size, BASELINE_RATIO)
    # Levels depend on the shares of the looks alone, and each one-sided test has alpha / m.
    level, near = nominal(looks, alpha / m)[-1], nominal(looks, 2 * alpha / m)[-1]
    return (
        fewest(lambda n: _at_level(n, m, level, power)[0] * sd <= size),
        fewest(lambda n: _at_level(n, m, near, power)[1] * sd <= size),
    )


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
        truth, se, df = drawn(weights, np.array([float(seeds[arm]) for arm in arms]))
        half = bonferroni(len(members), df, alpha) * se
        found[family] = float(found_with(power, half, truth).max()) * sd
    return found


def seeds_needed(
    delta: float,
    m: int,
    sd: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    baseline_ratio: float = BASELINE_RATIO,
) -> int | None:
    """Return the fewest seeds an arm needs to show a difference of `delta`; None beyond 100,000.

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
    _check_wanted(delta, baseline_ratio)
    reach = partial(detectable, m=m, sd=sd, alpha=alpha, power=power)
    return fewest_to(delta, reach, baseline_ratio)


def seeds_for_equivalence(
    rope: float,
    m: int,
    sd: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    baseline_ratio: float = BASELINE_RATIO,
) -> int | None:
    """Return the fewest seeds an arm needs to be shown within `rope`, if it makes no difference.

    None beyond 100,000. An arm that makes a difference, however small, needs more.

    Args:
        rope: the smallest difference that matters, in the unit of `sd`.
        m: comparisons declared.
        sd: over seeds, of every arm.
        alpha: error rate of the family of `m`.
        power: probability to show it, for one arm.
        baseline_ratio: seeds of the baseline for each seed of an arm.

    Raises:
        InputError: a number that is not positive.
    """
    _check_wanted(rope, baseline_ratio)
    reach = partial(shown_margin, m=m, sd=sd, alpha=alpha, power=power)
    return fewest_to(rope, reach, baseline_ratio)


def baseline_of(n: int, ratio: float = BASELINE_RATIO) -> int:
    """Seeds of a baseline that keeps its ratio to the `n` seeds of an arm."""
    return max(2, ceil(ratio * n - 1e-9))  # not one more for a rounding error


def fewest_to(
    size: float, reach: Callable[[int, int], float], baseline_ratio: float = BASELINE_RATIO
) -> int | None:
    """The fewest seeds of an arm with which `reach` of both numbers of seeds is at most `size`.

    As `fewest` finds them. What seeds reach falls about with their root, which says where to look
    next: a third of the numbers of seeds is tried that halving alone would try.
    """
    few, enough = 1, 2 * LIMIT  # the first is too few, the second was not tried
    at, tried = FIRST, 0
    while enough - few > 1:
        reached = reach(at, baseline_of(at, baseline_ratio))
        few, enough = (few, at) if reached <= size else (at, enough)
        if few >= LIMIT:
            return None
        tried += 1
        known, top = enough <= LIMIT, min(enough - 1, LIMIT)
        # Where roots do not lead there, halving does.
        near = at * (reached / size) ** 2 if np.isfinite(reached) else np.inf
        if tried > ROOTS or not near < LIMIT:
            near = (few + top + 1) // 2 if known else 2 * at
        at = int(np.clip(ceil(near), few + 1, top))
    return enough


def fewest(enough: Callable[[int], bool]) -> int | None:
    """The fewest seeds, from 2 on, that are enough; None beyond 100,000."""
    low, high = 1, 2
    while not enough(high):  # doubled until enough, then halved between
        low, high = high, 2 * high
        if low > MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@lru_cache(maxsize=4096)  # arms of as many seeds have the same interval in standard errors
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
        slope = (both * scale[:, None] * density(at)).sum()
        further = x + (power - float((both * ndtr(at)).sum())) / max(float(slope), 1e-9)
        if further == x:
            break  # so it would stay
        x = further
    return x


@lru_cache(maxsize=64)  # a quarter of a megabyte each; differences and ropes ask for the same
def _alike(n: int, n_baseline: int, m: int) -> tuple[Floats, Floats, Floats]:
    """Studies of arms that compare alike with one baseline, as `drawn` has them."""
    return drawn(*against(n, n_baseline, m))


@lru_cache(maxsize=4096)  # a study's arms ask for the same numbers of seeds
def _unit(n: int, n_baseline: int, m: int, alpha: float, power: float) -> float:
    """The smallest effect found with `power`, in standard deviations over seeds."""
    truth, se, df = _alike(n, n_baseline, m)
    low, high = 1 / df.max(), 1 / df.min()
    between = 1 / np.linspace(low, high, BETWEEN) if low < high else df.ravel()[:1]
    critical = many_to_one(shared_part([n] * m, n_baseline), between, alpha)
    half = np.interp(1 / df, 1 / between, critical) * se
    return float(found_with(power, half, truth).mean())


@lru_cache(maxsize=4096)
def _at_level(n: int, m: int, level: float, power: float) -> tuple[float, float]:
    """The smallest effect and the smallest rope at the level of one look, per sd over seeds."""
    truth, se, df = drawn(*against(n, BASELINE_RATIO * n, m))
    half = t_quantile(1 - level / 2, df) * se
    return float(found_with(power, half, truth).mean()), within(power, half, truth)


@lru_cache(maxsize=4096)
def _margin(n: int, n_baseline: int, m: int, alpha: float, power: float) -> float:
    """The smallest rope shown with `power`, in standard deviations over seeds."""
    truth, se, df = _alike(n, n_baseline, m)
    return within(power, t_quantile(1 - alpha / m, df) * se, truth)


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


def _check_wanted(size: float, baseline_ratio: float) -> None:
    if not size > 0 or not baseline_ratio > 0:
        raise InputError(
            f"an effect of {size} with {baseline_ratio} baseline seeds a seed cannot be planned",
            hint="both have to be positive",
        )
