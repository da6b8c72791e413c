"""The only door to Optuna: the durable queue of one study, and what tuning tries next.

One process, the coordinator that holds the study's lock, opens the queue. Optuna is used
through `enqueue_trial`, `ask` and `tell` alone: no sampler chooses, no pruner stops. A trial
here is one attempt, so that what was lost stays visible; ours is known by the user
attribute `id`.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.pruners import NopPruner
from optuna.samplers import RandomSampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from swinablate.errors import EnvironmentFault
from swinablate.records.disk import stores
from swinablate.records.secrets import redact_address

optuna.logging.set_verbosity(optuna.logging.WARNING)

T = TypeVar("T")
Ending = Literal["done", "failed", "diverged"]
SEEDS = 2**53
"""Above this a store keeps integers no longer exactly."""


@dataclass(frozen=True)
class Ticket:
    """A trial that may run now.

    Attributes:
        trial: content address, 64 hex digits.
        attempt: the coordinator's count.
    """

    trial: str
    arm: str
    seed: int
    attempt: int


def queue_name(study: str, declaration: str) -> str:
    """The name of a study's queue; another declaration has another queue."""
    return f"{study}@{declaration[:12]}"  # 48 bits: short enough to read in a dashboard


class Queue:
    """Tickets of one declared study, in the order in which they were put."""

    def __init__(self, url: str, storage: RDBStorage, study: optuna.Study) -> None:
        self._url, self._storage, self._study = url, storage, study
        self._arms = tuple(study.user_attrs["arms"])
        self._running: dict[str, Trial] = {}

    @classmethod
    def open(cls, url: str, study: str, arms: Sequence[str]) -> "Queue":
        """Open the queue of `study`, or create it.

        Args:
            url: SQLAlchemy address of the store, SQLite or PostgreSQL.
            study: `<study>@<declaration[:12]>`.
            arms: all arms of the declaration.

        Raises:
            InputError: `url` is no address.
            EnvironmentFault: the store is locked, corrupt or out of reach, or holds other arms.
        """
        url = stores.sqlalchemy_url(url)
        with stores.creation(url):
            storage, opened = _patiently(url, lambda: _open(url, study, arms))
        known = opened.user_attrs["arms"]
        if set(known) != set(arms):
            raise EnvironmentFault(
                f"queue {study!r} was made for other arms: {', '.join(known)}",
                at=redact_address(url),
                hint="move the store away and run `swinablate sync STUDY`",
            )
        return cls(url, storage, opened)

    def reap(self) -> int:
        """Fail every running trial; the caller holds the study's lock, so nobody runs them.

        Returns:
            How many there were.
        """
        return self._do(self._reap)

    def put(self, tickets: Sequence[Ticket]) -> int:
        """Enqueue the tickets whose trial neither waits nor runs.

        A trial that stands complete here is enqueued again: whoever asks has no record of it,
        and the records are the truth.

        Returns:
            How many were new.

        Raises:
            ValueError: an arm the queue was not opened with, or a seed a store cannot keep.
        """
        for ticket in tickets:
            if ticket.arm not in self._arms or not 0 <= ticket.seed < SEEDS:
                raise ValueError(f"not a ticket of this study: {ticket}")
        return self._do(lambda: self._put(tickets))

    def pop(self) -> Ticket | None:
        """Take the next ticket; None when none waits."""
        return self._do(self._pop)

    def done(self, ticket: Ticket, value: float | None, state: Ending) -> None:
        """Record how a ticket ended; a second call changes nothing.

        A ticket that was never popped is recorded as well: so `sync` rebuilds the queue.

        Args:
            ticket: what `pop` gave.
            value: validation accuracy, percent; never the test accuracy.
            state: a diverged or failed trial has no value.

        Raises:
            ValueError: a done trial without a finite value.
        """
        if state == "done" and (value is None or not math.isfinite(value)):
            raise ValueError(f"a done trial has a finite value, got {value}")
        self._do(lambda: self._tell(ticket, value if state == "done" else None, state))

    def counts(self) -> Counter[str]:
        """Attempts by state: waiting, running, done, failed, diverged."""
        return self._do(lambda: Counter(map(_state, self._study.get_trials(deepcopy=False))))

    def close(self) -> None:
        """Let the store go; what is running stays so, for the next `reap`."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _do(self, action: Callable[[], T]) -> T:
        return _patiently(self._url, action)

    def _in(self, *states: TrialState) -> list[FrozenTrial]:
        # Nothing here changes what it gets, and copying every trial takes long in a long study.
        return self._study.get_trials(deepcopy=False, states=states)

    def _reap(self) -> int:
        orphans = self._in(TrialState.RUNNING)
        for orphan in orphans:
            self._study.tell(orphan.number, state=TrialState.FAIL, skip_if_finished=True)
        self._running.clear()
        return len(orphans)

    def _put(self, tickets: Sequence[Ticket]) -> int:
        kept = self._in(TrialState.WAITING, TrialState.RUNNING)
        known = {trial.user_attrs.get("id") for trial in kept}
        new = {ticket.trial: ticket for ticket in tickets if ticket.trial not in known}
        for ticket in new.values():
            self._study.enqueue_trial(_params(ticket), user_attrs=_attributes(ticket))
        return len(new)

    def _pop(self) -> Ticket | None:
        mine = {trial.number for trial in self._running.values()}
        for lost in self._in(TrialState.RUNNING):  # an earlier pop broke between two writes
            if lost.number not in mine:
                self._study.tell(lost.number, state=TrialState.FAIL, skip_if_finished=True)
                if ticket := _ticket(lost.user_attrs):
                    self._put([ticket])
        while self._in(TrialState.WAITING):  # asked for more, Optuna would invent a trial
            trial = self._study.ask()
            ticket = _ticket(trial.user_attrs)
            if ticket is None:  # enqueued by somebody else, say in a dashboard
                self._study.tell(trial, state=TrialState.FAIL)
                continue
            self._check(trial, ticket)
            self._running[ticket.trial] = trial
            return ticket
        return None

    def _check(self, trial: Trial, ticket: Ticket) -> None:
        """Take the fixed parameters, which also shows them in a dashboard."""
        found = {
            name: trial.suggest_categorical(name, space.choices)
            if isinstance(space, CategoricalDistribution)
            else trial.suggest_int(name, 0, SEEDS)
            for name, space in self._spaces().items()
        }
        if found != _params(ticket):
            raise EnvironmentFault(
                f"the queue gave {found} for {_params(ticket)}",
                at=redact_address(self._url),
                hint="move the store away and run `swinablate sync STUDY`",
            )

    def _spaces(self) -> dict[str, BaseDistribution]:
        return {"arm": CategoricalDistribution(self._arms), "seed": IntDistribution(0, SEEDS)}

    def _tell(self, ticket: Ticket, value: float | None, state: Ending) -> None:
        trial = self._running.get(ticket.trial)
        if trial is None:
            self._record(ticket, value, state)
            return
        try:
            trial.set_user_attr("outcome", state)
        except UpdateFinishedTrialError:  # told before the store failed us
            pass
        else:
            self._study.tell(trial.number, value, state=_STATES[state], skip_if_finished=True)
        del self._running[ticket.trial]

    def _record(self, ticket: Ticket, value: float | None, state: Ending) -> None:
        for known in self._in(TrialState.COMPLETE, TrialState.FAIL):
            same = known.user_attrs.get("id") == ticket.trial
            if same and (
                known.state is TrialState.COMPLETE
                or (known.user_attrs["attempt"] == ticket.attempt and _state(known) == state)
            ):
                return
        self._study.add_trial(
            create_trial(
                state=_STATES[state],
                value=value,
                params=_params(ticket),
                distributions=self._spaces(),
                user_attrs={**_attributes(ticket), "outcome": state},
            )
        )


_STATES: dict[Ending, TrialState] = {
    "done": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
    "diverged": TrialState.FAIL,
}
"""Ours -> Optuna's, which has none for a trial that diverged; the attribute `outcome` tells."""


def _open(url: str, name: str, arms: Sequence[str]) -> tuple[RDBStorage, optuna.Study]:
    # A server may have closed the connection while a trial ran; SQLite waits for locks itself.
    options: dict[str, Any] = {"pool_pre_ping": True}
    if stores.database(url):
        options = {"connect_args": {"timeout": stores.PATIENCE_S}}
    try:
        storage = RDBStorage(url, engine_kwargs=options)
    except RuntimeError as error:  # another version's
        raise stores.fault(error, url, "the queue cannot be used") from error
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        sampler=RandomSampler(seed=0),  # never draws: a ticket fixes every parameter
        pruner=NopPruner(),  # None would mean the median pruner
    )
    if "arms" not in study.user_attrs:
        study.set_user_attr("arms", list(dict.fromkeys(arms)))
    return storage, study


def _patiently(url: str, action: Callable[[], T]) -> T:
    """Do it, again and again while the store is locked; every action may be repeated."""
    # A short lock costs little more than itself; a long one is asked about every two seconds.
    deadline, pause = time.monotonic() + stores.PATIENCE_S, 0.05
    while True:
        try:
            return action()
        except (StorageInternalError, SQLAlchemyError, ImportError) as error:
            if not stores.locked(error) or time.monotonic() > deadline:
                raise stores.fault(error, url, "the queue cannot be used") from error
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def _params(ticket: Ticket) -> dict[str, Any]:
    return {"arm": ticket.arm, "seed": ticket.seed}


def _attributes(ticket: Ticket) -> dict[str, Any]:
    fields = asdict(ticket)
    return {"id": fields.pop("trial"), **fields}


def _ticket(attributes: dict[str, Any]) -> Ticket | None:
    try:
        return Ticket(attributes["id"], *(attributes[key] for key in ("arm", "seed", "attempt")))
    except KeyError:
        return None


def _state(trial: FrozenTrial) -> str:
    name = {TrialState.COMPLETE: "done", TrialState.FAIL: "failed"}
    return str(trial.user_attrs.get("outcome") or name.get(trial.state, trial.state.name.lower()))
