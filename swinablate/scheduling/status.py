"""How far a study is, from files alone: no torch, no stores, from any terminal."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from swinablate.records.events import ENDINGS
from swinablate.records.home import Home
from swinablate.records.plan import PlanRecord, Row, everything
from swinablate.scheduling.claims import trainer
from swinablate.scheduling.due import State, due

SCHEMA = 1
"""Of `status --json`: a script that reads it can refuse what it does not know."""


@dataclass(frozen=True, kw_only=True)
class Current:
    """A trial that runs, or was running when its coordinator went away."""

    arm: str
    seed: int
    epoch: int
    epochs: int
    attempt: int
    val_accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class Status:
    """Counts of a study's trials.

    Attributes:
        planned: trials wanted by now; with adaptive seeds more may follow.
        most: trials there can be at the end.
        owner: the process that runs the study; empty when none does.
        eta_s: seconds until the end, or until the next look is complete; None when nobody
            runs it or nothing is known.
        arms: name -> count by status.
        variants: names of those that were run.
    """

    study: str
    declaration: str
    planned: int
    most: int
    done: int
    running: int
    failed: int
    diverged: int
    waiting: int
    eta_s: float | None
    owner: str
    arms: Mapping[str, Mapping[str, int]]
    current: tuple[Current, ...]
    variants: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """`status --json`."""
        return {"schema": SCHEMA, **asdict(self)}


def read_status(
    home: Home, name: str, plan: PlanRecord | None = None, variants: Sequence[str] = ()
) -> Status:
    """Look at a study.

    Args:
        home: where it was run.
        name: the study.
        plan: as it would be declared; None is its newest declaration.
        variants: of it that were run, to be named.

    Raises:
        InputError: the study was never run in this home.
    """
    plan = plan or home.declared(name)
    owner = home.holder(name)
    counts: Counter[str] = Counter()
    arms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    current: list[Current] = []
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    recorded = home.outcomes(everything(plan))
    now = due(State.of(plan, recorded))
    for row in now.rows:
        outcome = recorded.get(row.trial)
        status: str = outcome.status if outcome else "waiting"
        if outcome is None and (seen := _current(home, row)):
            runs = bool(trainer(home, row.trial))
            status = "running" if runs else "waiting"
            if runs or not owner:  # else a killed run left it, and it waits for its turn
                current.append(seen)
        elif outcome and outcome.status == "done":
            seconds[row.arm.name].append(outcome.seconds)
        counts[status] += 1
        arms[row.arm.name][status] += 1
    return Status(
        study=name,
        declaration=plan.declaration,
        planned=sum(counts.values()),
        most=now.most,
        done=counts["done"],
        running=counts["running"],
        failed=counts["failed"],
        diverged=counts["diverged"],
        waiting=counts["waiting"],
        eta_s=_eta(arms, seconds, max(1, len(current))) if owner else None,
        owner=owner,
        arms={name: dict(found) for name, found in arms.items()},
        current=tuple(current),
        variants=tuple(variants),
    )


def _current(home: Home, row: Row) -> Current | None:
    """What the newest attempt says of itself; None if it has not begun, or has ended."""
    events = list(home.events(row.trial))
    if not events or events[-1].kind in ENDINGS:
        return None
    curve: list[Mapping[str, Any]] = []
    for happened in events:
        curve = list(happened.data["curve"]) if happened.kind == "resumed" else curve
        curve = [*curve, happened.data] if happened.kind == "epoch" else curve
    return Current(
        arm=row.arm.name,
        seed=row.seed,
        epoch=len(curve),
        epochs=row.arm.recipe.get("train", {}).get("epochs", 0),
        attempt=events[-1].attempt,
        val_accuracy=curve[-1].get("val/accuracy") if curve else None,
    )


def _eta(
    arms: Mapping[str, Mapping[str, int]], seconds: Mapping[str, list[float]], slots: int
) -> float | None:
    """Trials left times what such trials took, over the slots.

    Running ones count half, as far as they have come on average.
    """
    known = [s for found in seconds.values() for s in found]
    if not known:
        return None
    left = sum(
        (found.get("waiting", 0) + found.get("running", 0) / 2) * mean(seconds.get(arm) or known)
        for arm, found in arms.items()
    )
    return left / slots
