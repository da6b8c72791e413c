"""The trials to run now. Pure: the same plan and records, the same trials.

What tuning tries next is suggested here, and written into the ledger, before anything is due.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from swinablate.config import schema
from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord, Row, everything
from swinablate.records.tuning import Ledger, TryRecord
from swinablate.scheduling.due import State, due
from swinablate.scheduling.ledger import (
    final_seeds,
    tries,
    tuning_seeds,
    tunings_of,
    unguided,
    wants,
)
from swinablate.scheduling.sampler import suggest
from swinablate.study.noise.expected import Noise
from swinablate.study.plan import Arm, Plan, Trial
from swinablate.study.plan_record import plan_record
from swinablate.study.search_space import Tune
from swinablate.study.tunable import point, trying, tuned

Lookup = Callable[[Iterable[str]], Mapping[str, Outcome]]
"""Trial ids -> the outcomes of those that are recorded."""


def next_trials(
    plan: Plan, records: Mapping[str, Outcome], ledger: Ledger | None = None
) -> list[Trial]:
    """The trials to run now, given what is recorded.

    With a fixed number of seeds these are all trials without a record. With adaptive seeds they
    are the next look's, for arms that are still open and the baseline. With tuning they are also
    what every arm tries next, and at last the final trials at what it chose. Nothing is returned
    when everything is decided or recorded, and when the budget is met.

    Args:
        plan: the plan.
        records: trial id -> outcome of everything recorded, of this study or another.
        ledger: what was suggested before (`tuning.json`); without it, it is suggested again.

    Returns:
        Trials without a record, seeds outermost.
    """
    declared = plan_record(plan, {}, Noise(None, ""))
    declared = declared.model_copy(update={"ledger": ledger or Ledger()})
    state = advance(plan, State.of(declared, records), lambda trials: _among(records, trials))
    arms = {arm.name: arm for arm in plan.arms}
    rows = due(state).upcoming()
    return [trial_of(arms[row.arm.name], row, state.plan.ledger) for row in rows]


def advance(plan: Plan, state: State, lookup: Lookup) -> State:
    """The state with every suggestion of tuning in its ledger that can be made now.

    The coordinator keeps the ledger before it runs what is due; so a suggestion is made once and
    for all, whatever becomes of this process or of the sampler's version.

    Args:
        plan: the plan.
        state: what is recorded.
        lookup: finds the records of the trials that a new suggestion names.
    """
    while state.tuning:
        made = state.plan
        for arm in plan.arms:
            for repeat in tunings_of(made, arm.seeds) if state.runs(arm.name) else ():
                while wants(made, arm.name, state.outcomes, repeat):
                    entry = _next(arm, plan.study.tune, made, state.outcomes, repeat)
                    ledger = made.ledger.with_try(arm.name, entry)
                    made = made.model_copy(update={"ledger": ledger})
        if made is state.plan:
            return replace(state, tuning=False)
        state = state.suggested(made.ledger, lookup(everything(made)))
    return state


def trial_of(arm: Arm, row: Row, ledger: Ledger) -> Trial:
    """The trial that a row of a recorded plan names.

    Args:
        arm: the row's, as planned.
        row: of the plan, or of tuning.
        ledger: what tuning suggested.
    """
    if row.number is None:
        return arm.trial(row.seed)
    params = ledger.tried(arm.name, row.repeat)[row.number].params
    if row.basis == "try":
        return arm.trial(row.seed, trying(arm.recipe, params), "tune")
    return arm.trial(row.seed, tuned(arm.recipe, params))


def _among(records: Mapping[str, Outcome], trials: Iterable[str]) -> dict[str, Outcome]:
    return {trial: records[trial] for trial in trials if trial in records}


def _next(
    arm: Arm,
    tune: Tune | None,
    plan: PlanRecord,
    recorded: Mapping[str, Outcome],
    repeat: int,
) -> TryRecord:
    """The next recipe of one tuning of an arm, with the ids of its trials.

    Tunings of an arm share nothing: each draws its own first recipes, and trains its tries with
    seeds of its own.
    """
    assert tune is not None
    assert plan.tune is not None
    space: Mapping[str, Any] = plan.tune.space
    found = tries(plan, arm.name, recorded, repeat)
    params = point(arm.recipe, list(space))  # first its own: tuning can never do worse on it
    if found:
        params = suggest(
            space,
            [(one.params, one.told) for one in found],
            # No arm's name: arms are offered the same first recipes, as they share the order
            # of their images; and a baseline tuned in another study is not tuned again.
            # Its first 32 bits, for numpy takes no larger seed.
            seed=int(schema.digest(["tune", len(found), *([repeat] if repeat else [])])[:8], 16),
            unguided=unguided(tune.trials),
        )
    again, final = trying(arm.recipe, params), tuned(arm.recipe, params)
    return TryRecord(
        number=len(found),
        params=params,
        trials=tuple(arm.trial(seed, again, "tune").id for seed in tuning_seeds(plan, repeat)),
        finals=tuple(arm.trial(s, final).id for s in final_seeds(plan, arm.seeds, repeat)),
        repeat=repeat,
    )
