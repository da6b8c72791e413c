"""The looks of a recorded study: what they decided, and what is to run next.

A study of several scales has two questions, each with looks and an error rate of its own: the
verdicts at home, and how every effect moves with scale. An arm gets the seeds that either wants of
it: all rungs while its trend is open, home alone while only its verdict is.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord, at_home

if TYPE_CHECKING:
    from swinablate.stats import Decisions


def looked(plan: PlanRecord, outcomes: Mapping[str, Outcome], *, ended: bool) -> "Decisions":
    """Replay every look that is complete.

    Args:
        plan: a recorded plan with looks.
        outcomes: trial id -> outcome.
        ended: the budget is met: what is open stays undecided.
    """
    # pandas and scipy take seconds, and only looks need them
    from swinablate.records.tables import trials_table, valued
    from swinablate.stats import look
    from swinablate.study.declared import declaration, looks_of

    home = at_home(plan)
    table = trials_table(home, outcomes)
    declared = declaration(home, table)
    frame = valued(table, declared.metric, declared.unit)
    frame = frame[frame.status != "waiting"]
    found = look(frame, looks_of(plan), declared, ended=ended)
    if plan.scale is None:
        return found
    from swinablate.study.arms.trends import ladder

    every = valued(trials_table(plan, outcomes), declared.metric, declared.unit)
    rungs = ladder(plan, every, declared)
    none = {arm.name: 0 for arm in plan.arms}
    return replace(
        found,
        wanted=_larger(found.wanted, none | rungs.seeds(reached=ended)),
        reached=_larger(found.reached, none | rungs.seeds(reached=True)),
        done=found.done and not rungs.going,
        going=frozenset() if ended else rungs.going,
    )


def _larger(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}
