"""What a study needs now: a pure function of its plan and its records, for whoever asks.

The coordinator runs what waits, `status` counts it, the report judges it; all see the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import pandas as pd

from swinablate.records.home import planned
from swinablate.records.outcome import Outcome
from swinablate.records.tables import trials_table
from swinablate.scheduling.ledger import wanted
from swinablate.stats import Decisions, look
from swinablate.study.declared import declaration, looks_of

Row = tuple[Mapping[str, Any], int, str]
"""An arm of the plan, a seed, a trial's id."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """Where a study stands.

    Attributes:
        rows: the trials that count by now, seeds outermost, those of tuning last. With adaptive
            seeds nobody may look at any other, even where an earlier study has recorded it.
        waiting: of these, the ones without a record that may start.
        most: how many trials there can be at the end.
        spent: the budget ended the study before it had all that it wanted.
        decisions: what the looks so far decided; None for a fixed number of seeds.
    """

    rows: tuple[Row, ...]
    waiting: tuple[str, ...]
    most: int
    spent: bool
    decisions: Decisions | None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to run, by decision or by budget."""
        return not self.waiting


def due(plan: Mapping[str, Any], recorded: Mapping[str, Outcome]) -> Due:
    """Say what counts, what waits, and what is decided.

    Args:
        plan: a recorded plan (`plan.json`).
        recorded: trial id -> outcome, of any trial.
    """
    if looks_of(plan):
        rows = sorted(planned(plan), key=lambda row: row[1])  # stable: arms in the plan's order
        return _adaptive(plan, rows, recorded)
    rows, most = wanted(plan, recorded)
    waiting = [trial for _, _, trial in rows if trial not in recorded]
    used = [recorded[trial] for _, _, trial in rows if trial in recorded]
    room = _room(plan, used)
    return Due(
        rows=tuple(rows),
        waiting=tuple(waiting[:room]),
        most=most,
        spent=bool(waiting) and room == 0,
        decisions=None,
    )


def _adaptive(plan: Mapping[str, Any], rows: list[Row], recorded: Mapping[str, Outcome]) -> Due:
    table = trials_table(plan, recorded)
    now = _look(plan, table, ended=False)
    counted = _upto(rows, now.wanted)
    used = [recorded[trial] for _, _, trial in counted if trial in recorded]
    waiting = [trial for _, _, trial in counted if trial not in recorded]
    first = not any(now.reached.values())
    # Before the first look nobody knows what a trial costs; later a look that would not fit is
    # not begun, and one that was begun is ended, for half a look is worth nothing.
    fits = _room(plan, used) != 0 if first else _fits(plan, rows, recorded, now)
    if waiting and not fits:
        now = _look(plan, table, ended=True)
        kept = now.reached if not first else now.wanted
        counted = [row for row in _upto(rows, kept) if row[2] in recorded]
        return Due(rows=tuple(counted), waiting=(), most=len(counted), spent=True, decisions=now)
    return Due(
        rows=tuple(counted),
        waiting=tuple(waiting),
        most=_most(plan, now),
        spent=False,
        decisions=now,
    )


def _look(plan: Mapping[str, Any], table: pd.DataFrame, *, ended: bool) -> Decisions:
    frame = table[table.status != "waiting"].rename(columns={"test_acc": "value"})
    return look(frame, looks_of(plan), declaration(plan, table), ended=ended)


def _upto(rows: list[Row], counts: Mapping[str, int]) -> list[Row]:
    return [row for row in rows if row[1] < counts[row[0]["name"]]]


def _most(plan: Mapping[str, Any], now: Decisions) -> int:
    """Trials at the end if every open arm needs the last look."""
    looks, (base, *_) = looks_of(plan), now.wanted
    going = [arm.name for arm in now.verdicts.arms if arm.verdict == "pending"]
    last = dict.fromkeys(going, looks[-1])
    if going:
        last[base] = max(len(arm["seeds"]) for arm in plan["arms"] if arm["name"] == base)
    return sum({**now.wanted, **last}.values())


def _room(plan: Mapping[str, Any], used: Sequence[Outcome]) -> int | None:
    """How many more trials the budget lets start; None if it has no end."""
    budget = plan.get("budget") or {}
    if budget.get("hours") is not None and _seconds(used) >= 3600 * budget["hours"]:
        return 0
    if budget.get("trials") is not None:
        return max(0, int(budget["trials"]) - len(used))
    return None


def _fits(
    plan: Mapping[str, Any], rows: list[Row], recorded: Mapping[str, Outcome], now: Decisions
) -> bool:
    """Whether the next look fits the budget, as far as the looks before it can tell.

    Judged from what was reached alone, so that the answer does not change on the way.
    """
    budget = plan.get("budget") or {}
    if budget.get("trials") is not None and sum(now.wanted.values()) > budget["trials"]:
        return False
    if budget.get("hours") is None:
        return True
    costs: dict[str, list[float]] = {arm: [] for arm in now.wanted}
    for arm, _, trial in _upto(rows, now.reached):
        costs[arm["name"]].append(_seconds([recorded[trial]]))
    every = mean(s for found in costs.values() for s in found)
    more = sum(
        (now.wanted[arm] - now.reached[arm]) * mean(found or [every])
        for arm, found in costs.items()
    )
    return sum(map(sum, costs.values())) + more <= 3600 * float(budget["hours"])


def _seconds(outcomes: Sequence[Outcome]) -> float:
    return sum(outcome.seconds for outcome in outcomes)
