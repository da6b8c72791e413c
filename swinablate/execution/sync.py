"""Rebuild Optuna's and MLflow's copies of a study from its records."""

from collections.abc import Callable
from contextlib import ExitStack, closing

from swinablate.records.home import Home
from swinablate.records.launch import launch_of
from swinablate.records.outcome import Outcome, told
from swinablate.records.plan import PlanRecord, Row, everything
from swinablate.scheduling.due import State, due
from swinablate.scheduling.owner import Owner, owning
from swinablate.scheduling.queue import Queue, Ticket, queue_name
from swinablate.tracking.cards import study_card
from swinablate.tracking.mirror import tell
from swinablate.tracking.tracker import Tracker


def sync(
    home: Home,
    name: str,
    storage: str | None,
    tracking: str | None,
    *,
    take_over: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Rebuild Optuna's and MLflow's copies of a study from its records.

    A record that is damaged or missing is restored first where its attempt has a copy.

    Args:
        home: where the study ran.
        name: the study.
        storage: address of Optuna's store; None is the home's.
        tracking: address of MLflow's; None is the home's.
        take_over: although the lock is held, if by nobody who is known to be alive.
        say: takes a line for every record that was restored.

    Returns:
        How many trials are recorded.

    Raises:
        InputError: the study was never run in this home.
        EnvironmentFault: a store is out of reach, or the study is running, here or
            from another home.
    """
    plan = home.declared(name)
    url, queued = storage or home.optuna_url, queue_name(name, plan.declaration)
    with home.owned(name, take_over=take_over), ExitStack() as outlets:
        for line in home.mend(everything(plan), anew=False):
            say(line)
        rows = recorded(home, plan)
        opened = Queue.open(url, queued, [arm.name for arm in plan.arms])
        queue = outlets.enter_context(closing(opened))
        owner = Owner(home=home.root, take_over=take_over, say=say)
        outlets.enter_context(owning(url, queued, owner))
        queue.reap()  # nobody else owns it, so whatever is shown as running is not
        card = study_card(plan, launch_of(home, plan))
        tracker = Tracker.open(tracking or home.mlflow_uri, home.artifacts, card)
        tracker.sweep(set())
        for row, outcome in rows:
            home.finish(row.trial)
            ticket = Ticket(row.trial, row.arm.name, row.seed, outcome.attempt)
            queue.done(ticket, told(outcome), outcome.status)
            tell(tracker, row, outcome)
        tracker.close()
    return len(rows)


def recorded(home: Home, plan: PlanRecord) -> list[tuple[Row, Outcome]]:
    """The trials of a study that are recorded, in the order in which they were asked for."""
    found = home.outcomes(everything(plan))
    rows = due(State.of(plan, found)).rows
    return [(row, found[row.trial]) for row in rows if row.trial in found]
