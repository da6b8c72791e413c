"""The trials to run now. Pure: the same plan and records, the same trials."""

from collections.abc import Mapping

from swinablate.due import due
from swinablate.planning import Plan, Trial
from swinablate.preview import Noise, plan_json
from swinablate.records import Outcome


def next_trials(plan: Plan, records: Mapping[str, Outcome]) -> list[Trial]:
    """The trials to run now, given what is recorded.

    With a fixed number of seeds these are all trials without a record. With adaptive seeds they
    are the next look's, for arms that are still open and the baseline. Nothing is returned when
    everything is decided or recorded, and when the budget is met.

    Args:
        plan: the plan.
        records: trial id -> outcome of everything recorded, of this study or another.

    Returns:
        Trials without a record, seeds outermost.
    """
    trials = {trial.id: trial for trial in plan.trials}
    declared = plan_json(plan, {}, Noise(None, ""))
    return [trials[trial] for trial in due(declared, records).waiting]
