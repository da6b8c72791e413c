"""What shows in the numbers of a command alone: a switch, or a seed, that does nothing.

Nothing of a command can be proved before it runs. One number of many digits, or a curve, is never
the same by chance; an accuracy of a few hundred images now and then is, so that of single numbers
every seed has to be.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from swinablate.records.outcome import Outcome
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.stats import Warn
from swinablate.text import OWN, own_name

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
        plan: a recorded plan; of its networks nothing is said here.
        recorded: trial id -> outcome.
    """
    commands = [arm for arm in plan.arms if arm.commanded]
    found = {arm.name: _numbers(arm, recorded) for arm in commands}
    still = [name for name, seeds in found.items() if _still(list(seeds.values()))]
    for one, other in combinations(commands, 2):
        seeds = _shared(found[one.name], found[other.name])
        if seeds:
            yield Warn(
                "W12",
                f"{one.name} and {other.name} gave the same numbers at "
                f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}: the "
                "change did not reach the script, or does nothing there.",
            )
    if still:
        yield Warn(
            "W29",
            f"every seed of {', '.join(still)} gave the same numbers: the seed does not reach the "
            "script, or nothing is random in it. Intervals over such seeds say nothing.",
        )


def unheard(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> Iterator[Warn]:
    """W30: numbers that a command is asked for beside the first, and that its output lacks.

    Args:
        plan: a recorded plan.
        recorded: trial id -> outcome.
    """
    lacking: defaultdict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for arm in (arm for arm in plan.arms if arm.commanded):
        done = [recorded[trial] for trial in arm.trials if trial in recorded]
        done = [one for one in done if one.status == "done"]
        for said in arm.recipe["command"].get("also", ()):
            key = own_name(said).partition(":")[0]
            if lost := sum(key not in one.metrics for one in done):
                lacking[_asked(said)].append((arm.name, lost, len(done)))
    for what, arms in lacking.items():
        every = all(lost == count for _, lost, count in arms)
        found = {name for name, *_ in arms}
        asked = {arm.name for arm in plan.arms if arm.commanded}
        if every and found == asked:
            text = f"no trial gave {what}: nothing in its output is called so, or it is no number."
        else:
            who = "; ".join(f"{name} {lost} of {count}" for name, lost, count in arms)
            text = f"trials that did not give {what}: {who}."
        yield Warn("W30", text + " `swinablate logs TRIAL` says why.")


def _asked(said: Mapping[str, Any]) -> str:
    """A metric of a command by its name, and where it is looked for."""
    name = own_name(said).partition(":")[0].removeprefix(OWN)
    where = said.get("pattern") or said.get("tag") or said.get("file")
    return f"{name!r} ({where})"


def _numbers(arm: ArmRecord, recorded: Mapping[str, Outcome]) -> dict[int, Numbers]:
    """Seed -> the result and the curve of a trial that is done."""
    pairs = zip(arm.seeds, arm.trials, strict=True)
    done = {seed: recorded[trial] for seed, trial in pairs if trial in recorded}
    return {seed: numbers_of(one) for seed, one in done.items() if one.status == "done"}


def numbers_of(one: Outcome) -> Numbers:
    """All that a command said in a trial: its results, then its curve."""
    return tuple(_own(row) for row in (one.metrics, *one.curve))


def surely_the_same(one: Outcome | None, other: Outcome | None) -> bool:
    """Whether two trials gave the same numbers, and too many for that to be chance."""
    if one is None or other is None or one.status != "done" or other.status != "done":
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
