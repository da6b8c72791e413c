"""Rebuild Optuna's and MLflow's copies of a study from its records."""

from dataclasses import asdict

from swinablate.records.home import Home
from swinablate.records.launch import launch_of
from swinablate.scheduling.due import State, due
from swinablate.scheduling.ledger import everything
from swinablate.scheduling.queue import Queue, Ticket, queue_name
from swinablate.tracking.cards import study_card, trial_card
from swinablate.tracking.tracker import Tracker


def sync(home: Home, name: str, storage: str | None, tracking: str | None) -> int:
    """Rebuild Optuna's and MLflow's copies of a study from its records.

    Returns:
        How many trials are recorded.

    Raises:
        InputError: the study was never run in this home.
        EnvironmentFault: a store is out of reach, or the study is running.
    """
    plan = home.declared(name)
    with home.owned(name):
        found = home.outcomes(everything(plan))
        rows = [row for row in due(State.of(plan, found)).rows if row.trial in found]
        queue = Queue.open(
            storage or home.optuna_url,
            queue_name(name, plan.declaration),
            [arm.name for arm in plan.arms],
        )
        queue.reap()  # we hold the study's lock, so whatever is shown as running is not
        card = study_card(plan, launch_of(home, plan))
        tracker = Tracker.open(tracking or home.mlflow_uri, home.artifacts, card)
        tracker.sweep(set())
        for row in rows:
            outcome = found[row.trial]
            ticket = Ticket(row.trial, row.arm.name, row.seed, outcome.attempt)
            queue.done(ticket, outcome.metrics.get("val/accuracy"), outcome.status)
            tracker.begin(trial_card(row, reused=False))
            tracker.epochs(row.trial, outcome.curve)
            tracker.end(row.trial, asdict(outcome))
        queue.close()
        tracker.close()
    return len(rows)
