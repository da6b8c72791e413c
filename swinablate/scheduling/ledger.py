"""Where the tuning of a study stands, read from its ledger and its records. Pure, and light.

The ledger (`tuning.json`) holds every recipe that was suggested to an arm, in order, with the ids
of its tuning trials and of the final trials it would have (`records.plan.Ledger`).

An arm may be tuned several times (`tune.repeats`), each time from its own recipe on, as if the
others had not been. Its final seeds are dealt to its tunings one after another: of k tunings the
first has the seeds 0, k, 2k, ... of the arm's list.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, Literal

from swinablate.records.outcome import Outcome
from swinablate.records.plan import ArmRecord, PlanRecord, Row
from swinablate.records.tuning import TryRecord

WORST = 0.0
"""A recipe that diverged reaches this validation accuracy, percent: no other can be worse."""
RANDOM_MOST = 10
"""No more recipes than this are drawn at random: TPE's own default, `n_startup_trials`."""


@dataclass(frozen=True, kw_only=True)
class Try:
    """One suggested recipe and what came of it.

    Attributes:
        number: from 0, the arm's own recipe.
        params: recipe path -> value.
        repeat: which tuning of the arm.
        status: waiting until every seed has ended; failed or diverged if one seed has.
        value: validation accuracy, percent, mean over the tuning seeds; None unless done.
        finals: the final trials at this recipe, by the arm's seeds that are this tuning's.
    """

    number: int
    repeat: int
    params: Mapping[str, Any]
    status: Literal["waiting", "done", "diverged", "failed"]
    value: float | None
    finals: Sequence[str]

    @property
    def told(self) -> float | None:
        """What the sampler hears: a recipe that diverged is as bad as can be."""
        return WORST if self.status == "diverged" else self.value


def tunings_of(plan: PlanRecord, seeds: Sequence[int]) -> range:
    """The tunings of an arm of these final seeds, by number; none where nothing is tuned."""
    return range(plan.tune.of(len(seeds)) if plan.tune else 0)


def tuning_seeds(plan: PlanRecord, repeat: int) -> range:
    """The seeds with which one tuning trains each of its tries; no two tunings share any."""
    seeds = plan.tune.seeds if plan.tune else 0
    return range(repeat * seeds, (repeat + 1) * seeds)


def final_seeds(plan: PlanRecord, seeds: Sequence[int], repeat: int) -> Sequence[int]:
    """Those of an arm's final seeds that run at what one of its tunings chose."""
    return seeds[repeat :: len(tunings_of(plan, seeds))]


def tries(
    plan: PlanRecord, arm: str, recorded: Mapping[str, Outcome], repeat: int = 0
) -> list[Try]:
    """Every recipe that was suggested to one tuning of an arm, in order."""
    return [_try(entry, recorded) for entry in plan.ledger.tried(arm, repeat)]


def chosen(
    plan: PlanRecord, arm: str, recorded: Mapping[str, Outcome], repeat: int = 0
) -> Try | None:
    """The best on validation, the earliest of equals; None until all of the budget has ended.

    Where no trial came to an end the arm's own recipe stays.
    """
    found = tries(plan, arm, recorded, repeat)
    if plan.tune is None or len(found) < plan.tune.trials:
        return None
    if any(one.status == "waiting" for one in found):
        return None
    done = [one for one in found if one.value is not None]
    return max(done, key=lambda one: (one.value, -one.number), default=found[0])


def choices(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> dict[tuple[str, int], Try]:
    """What `chosen` says of every tuning that has ended, by arm and number."""
    found = {
        (arm.name, repeat): chosen(plan, arm.name, recorded, repeat)
        for arm in plan.arms
        for repeat in tunings_of(plan, arm.seeds)
    }
    return {which: best for which, best in found.items() if best is not None}


def wants(plan: PlanRecord, arm: str, recorded: Mapping[str, Outcome], repeat: int = 0) -> bool:
    """Whether the next recipe of a tuning can be suggested: all it may depend on has ended.

    A suggestion depends on all before it, and on none if it is one of the first; so it is the
    same in whichever order trials end, however many run at a time.
    """
    if plan.tune is None or len(plan.ledger.tried(arm, repeat)) >= plan.tune.trials:
        return False
    found = tries(plan, arm, recorded, repeat)
    guided = len(found) >= unguided(plan.tune.trials)
    return not guided or all(one.status != "waiting" for one in found)


def unguided(trials: int) -> int:
    """How many recipes are tried before results guide the sampler: a third, at most 10."""
    # A third leaves most of a small budget to the sampler, which learns nothing from one point.
    return max(2, min(RANDOM_MOST, trials // 3))


def tune_rows(plan: PlanRecord) -> Iterator[Row]:
    """Every tuning trial that was suggested; of each tuning the earliest suggestions first."""
    entries = [(arm, entry) for arm in plan.arms for entry in plan.ledger.of(arm.name)]
    for arm, entry in sorted(entries, key=lambda pair: (pair[1].repeat, pair[1].number)):
        tried = _at(arm, entry.params)
        for seed, trial in zip(tuning_seeds(plan, entry.repeat), entry.trials, strict=True):
            yield Row(tried, seed, trial, "try", entry.number, entry.repeat)


def tuned_rows(plan: PlanRecord, best: Mapping[tuple[str, int], Try]) -> Iterator[Row]:
    """Every final trial at a tuned recipe, for tunings that have ended.

    Args:
        plan: a recorded plan.
        best: what `choices` says.
    """
    for arm in plan.arms:
        for repeat in tunings_of(plan, arm.seeds):
            if choice := best.get((arm.name, repeat)):
                tuned = _at(arm, choice.params)
                seeds = final_seeds(plan, arm.seeds, repeat)
                for seed, trial in zip(seeds, choice.finals, strict=True):
                    yield Row(tuned, seed, trial, "tuned", choice.number, repeat)


def wanted(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> tuple[list[Row], int]:
    """The trials that count by now, each once, and how many there can be at the end.

    Final trials at the fixed recipe stand first, seeds outermost: they are an answer of their
    own, and tuning, which runs one try after another, fills what slots they leave. Each tuning
    comes with the final trials that follow it: interrupted, a study has whole replicates.
    """
    rows = by_seed(plan)
    tune = plan.tune
    if tune is None:
        return rows, len(rows)
    best = choices(plan, recorded)
    tuned = sorted(tuned_rows(plan, best), key=lambda row: row.seed)
    tuning = sorted([*tune_rows(plan), *tuned], key=lambda row: row.repeat)
    unique = {row.trial: row for row in reversed([*rows, *tuning])}
    found = list(reversed(unique.values()))
    unknown = 0
    for arm in plan.arms:
        every = tunings_of(plan, arm.seeds)
        unknown += (len(every) * tune.trials - len(plan.ledger.of(arm.name))) * tune.seeds
        unknown += sum(
            len(final_seeds(plan, arm.seeds, repeat))
            for repeat in every
            if (arm.name, repeat) not in best
        )
    return found, len(found) + unknown


def by_seed(plan: PlanRecord) -> list[Row]:
    """The final trials at the arms' own recipes, seeds outermost, arms in the plan's order."""
    return sorted(plan.rows(), key=lambda row: row.seed)  # a stable sort keeps the arms' order


def _try(entry: TryRecord, recorded: Mapping[str, Outcome]) -> Try:
    ended = [recorded[trial] for trial in entry.trials if trial in recorded]
    statuses = {outcome.status for outcome in ended}
    values = [outcome.metrics.get("val/accuracy") for outcome in ended]
    status: Literal["waiting", "done", "diverged", "failed"] = "done"
    if len(ended) < len(entry.trials):
        status = "waiting"
    elif "failed" in statuses or (statuses == {"done"} and None in values):
        status = "failed"
    elif "diverged" in statuses:
        status = "diverged"
    value = mean(v for v in values if v is not None) if status == "done" else None
    return Try(
        number=entry.number,
        repeat=entry.repeat,
        params=entry.params,
        status=status,
        value=value,
        finals=entry.finals,
    )


def _at(arm: ArmRecord, params: Mapping[str, Any]) -> ArmRecord:
    """The arm of a plan with other values of its training; only `train.` keys are tuned."""
    train = {key.removeprefix("train."): value for key, value in params.items()}
    recipe = {**arm.recipe, "train": {**arm.recipe["train"], **train}}
    return arm.model_copy(update={"recipe": recipe, "changes": {**arm.changes, **params}})
