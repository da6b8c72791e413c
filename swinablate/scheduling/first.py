"""`check = "first"`: what a few trials of a command show before the others start.

The first round is one seed of every arm and a second one of the baseline: trials of the study,
which count. The baseline's first seed runs twice: whether the same seed gives the same numbers
decides whether equal numbers would show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swinablate.config.recipe import AGAIN, CommandRecipe
from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord, Row
from swinablate.scheduling.unchanged import numbers_of, surely_the_same

if TYPE_CHECKING:
    from swinablate.study.plan import Plan, Trial

FIRST = "first"
REMEDY = 'mend it, or write check = "none" in [command] to go on as it is'


def asked(plan: Plan, trial: Trial, metrics: tuple[str, ...]) -> tuple[str, ...]:
    """What a trial measures on request; of the baseline's first one, all a second time."""
    if trial.kind != "final":
        return ()
    base, recipe = plan.arms[0], trial.recipe
    first = trial.arm == base.name and trial.seed == base.seeds[0]
    checks = isinstance(recipe, CommandRecipe) and recipe.command.check == FIRST
    return (*metrics, AGAIN) if first and checks else metrics


def held(plan: PlanRecord, mine: Sequence[Row], outcomes: Mapping[str, Outcome]) -> int | None:
    """How many trials may start before the check is passed; None where all may.

    Args:
        plan: a recorded plan.
        mine: the rows that run, seeds outermost.
        outcomes: trial id -> outcome.
    """
    if not _checks(plan):
        return None
    ids = _round(plan)
    last = max((i for i, row in enumerate(mine[: 2 * len(ids)]) if row.trial in ids), default=-1)
    left = sum(row.trial not in outcomes for row in mine[: last + 1])
    if left:
        return left
    return 0 if objection(plan, mine, outcomes) else None


def objection(plan: PlanRecord, mine: Sequence[Row], outcomes: Mapping[str, Outcome]) -> str:
    """Why the trials after the first round do not start; empty where they may.

    Of arms that do not run here (`--only`) counts what is recorded.

    Args:
        plan: a recorded plan.
        mine: the rows that run, seeds outermost.
        outcomes: trial id -> outcome.
    """
    if not _checks(plan):
        return ""
    ids = _round(plan)
    if any(row.trial in ids and row.trial not in outcomes for row in mine[: 2 * len(ids)]):
        return ""
    base = plan.baseline
    found = {arm.name: outcomes.get(arm.trials[0]) for arm in plan.arms}
    running = {row.arm.name for row in mine}
    failed = [
        f"{arm.name} s{arm.seeds[0]}: {_why(one)}"
        for arm in plan.arms
        if arm.name in running and (one := found[arm.name]) and one.status == "failed"
    ]
    if failed:
        return f"a trial of the first round failed ({failed[0]}); {REMEDY}"
    first = found[base.name]
    still = [
        arm.name
        for arm in plan.arms[1:]
        if arm.seeds[0] == base.seeds[0]
        and running & {arm.name, base.name}
        and surely_the_same(first, found[arm.name])
    ]
    if still:
        who = ", ".join(still[:4]) + (f" and {len(still) - 4} more" if len(still) > 4 else "")
        return f"{who} gave the baseline's numbers: the change does not reach the script; {REMEDY}"
    second = outcomes.get(base.trials[1]) if len(base.trials) > 1 else None
    if surely_the_same(first, second):
        seeds = " and ".join(map(str, base.seeds[:2]))
        return f"seeds {seeds} gave the same numbers: the seed does not reach the script; {REMEDY}"
    return ""


def said_first(
    plan: PlanRecord, mine: Sequence[Row], outcomes: Mapping[str, Outcome]
) -> list[str]:
    """What the first round shows, in lines for who waits; nothing where there was no check."""
    found = []
    if seen := remark(plan, outcomes):
        found.append(f"the first trials: {seen}")
    if why := objection(plan, mine, outcomes):
        found.append(f"stopped after the first trials: {why}")
    return found


def remark(plan: PlanRecord, outcomes: Mapping[str, Outcome]) -> str:
    """What the pair of one arm and one seed shows; empty where there is none, or no difference."""
    found = outcomes.get(plan.baseline.trials[0]) if plan.arms and _checks(plan) else None
    if found is None or found.status != "done":
        return ""
    once = dict(numbers_of(found)[0])
    for name, value in found.metrics.items():
        own = name.replace(f"{AGAIN}/", "command/", 1)
        if name.startswith(f"{AGAIN}/") and own in once and once[own] != value:
            what = own.partition("/")[2]
            return (
                f"the same seed gave {what} {once[own]:.6g} and {value:.6g}: the script draws "
                "more than its seed says, so that equal seeds share less, and a switch that does "
                "nothing does not show in its numbers."
            )
    return ""


def _checks(plan: PlanRecord) -> bool:
    if not plan.arms or not plan.baseline.commanded or plan.smoke:
        return False
    said: Mapping[str, Any] = plan.baseline.recipe["command"]
    return bool(said.get("check", "none") == FIRST)


def _round(plan: PlanRecord) -> set[str]:
    """The trials of the first round."""
    return {arm.trials[0] for arm in plan.arms} | {*plan.baseline.trials[:2]}


def _why(found: Outcome) -> str:
    return str((found.failure or {}).get("message", "")).partition("\n")[0][:200]
