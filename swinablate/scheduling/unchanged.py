"""What shows in the numbers of a command alone: a switch, or a seed, that does nothing.

Nothing of a command can be proved before it runs. One number of many digits, or a curve, is never
the same by chance; an accuracy of a few hundred images now and then is, so that of single numbers
every seed has to be.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from swinablate.records.outcome import Outcome
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.stats import Warn
from swinablate.text import OWN

CURVE = 3
"""Points of a curve that are not all the same by chance in two trainings."""
SEEDS = 3
"""Seeds of an arm whose single numbers are all the same: of two, one in thirty is, where the
accuracies of a few hundred images lie within some dozen of them."""
PAIRS = 2
"""Seeds at which two arms give the same single numbers: of one, one in thirty does."""

Numbers = tuple[tuple[tuple[str, float], ...], ...]


def unchanged(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> Iterator[Warn]:
    """W12: a switch that changed no number; W29: a seed that changed none.

    Args:
        plan: a recorded plan; of networks nothing is said here.
        recorded: trial id -> outcome.
    """
    if not plan.arms or not plan.baseline.commanded:
        return
    found = {arm.name: _numbers(arm, recorded) for arm in plan.arms}
    still = [name for name, seeds in found.items() if _still(list(seeds.values()))]
    for one, other in combinations(plan.arms, 2):
        seeds = _shared(found[one.name], found[other.name])
        if seeds:
            yield Warn(
                "W12",
                f"{one.name} and {other.name} gave the same numbers at "
                f"{'every seed' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}: the "
                "change did not reach the script, or does nothing there.",
            )
    if still:
        yield Warn(
            "W29",
            f"every seed of {', '.join(still)} gave the same numbers: the seed does not reach the "
            "script, or nothing is random in it. Intervals over such seeds say nothing.",
        )


def _numbers(arm: ArmRecord, recorded: Mapping[str, Outcome]) -> dict[int, Numbers]:
    """Seed -> the result and the curve of a trial that is done."""
    pairs = zip(arm.seeds, arm.trials, strict=True)
    done = {seed: recorded[trial] for seed, trial in pairs if trial in recorded}
    return {seed: numbers_of(one) for seed, one in done.items() if one.status == "done"}


def numbers_of(one: Outcome) -> Numbers:
    """All that a command said in a trial: its results, then its curve."""
    return tuple(_own(row) for row in (one.metrics, *one.curve))


def surely_the_same(one: Outcome, other: Outcome) -> bool:
    """Whether two trials gave the same numbers, and too many for that to be chance."""
    if one.status != "done" or other.status != "done":
        return False
    return len(one.curve) >= CURVE and numbers_of(one) == numbers_of(other)


def _own(row: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((k, value) for k, value in row.items() if k.startswith(OWN)))


def _still(numbers: Sequence[Numbers]) -> bool:
    """Whether all seeds gave the same."""
    least = 2 if numbers and len(numbers[0]) > CURVE else SEEDS
    return len(numbers) >= least and len(set(numbers)) == 1


def _shared(one: Mapping[int, Numbers], other: Mapping[int, Numbers]) -> list[int]:
    """Seeds at which two arms gave the same, where that is no chance."""
    both = [seed for seed in one if seed in other]
    same = [seed for seed in both if one[seed] == other[seed]]
    kinds: defaultdict[bool, list[int]] = defaultdict(list)
    for seed in same:
        kinds[len(one[seed]) > CURVE].append(seed)
    return same if len(same) == len(both) >= PAIRS else kinds[True]
