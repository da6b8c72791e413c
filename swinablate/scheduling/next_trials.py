"""The trials to run now. Pure: the same plan and records, the same trials."""

from collections.abc import Mapping
from typing import Any

from swinablate.records.outcome import Outcome
from swinablate.scheduling.due import due
from swinablate.scheduling.suggest import extended, tune_trials
from swinablate.study.noise import Noise
from swinablate.study.plan import Plan, Trial
from swinablate.study.plan_json import plan_json


def next_trials(
    plan: Plan, records: Mapping[str, Outcome], ledger: Mapping[str, Any] | None = None
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
    declared = plan_json(plan, {}, Noise(None, ""))
    if ledger is not None:
        declared["ledger"] = ledger
    arms = [arm.name for arm in plan.arms]
    while (more := extended(plan, declared, records, arms)) is not None:
        declared["ledger"] = more
    trials = {trial.id: trial for trial in [*tune_trials(plan, declared), *plan.trials]}
    return [trials[trial] for trial in due(declared, records).waiting]
