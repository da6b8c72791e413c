"""The only door to Optuna: the queue of one study, and its store of attempts.

One process, the coordinator that holds the study's lock, opens the queue. What may run next waits
in a study of Optuna's in memory: `enqueue_trial`, `ask` and `tell`; no sampler chooses, no pruner
stops. What `ask` gives is written to the store when it starts, and again when it ends. What waits
needs no store, for the records say again what is due; and while a study runs nothing is read from
there, so that a trial costs the same in a long study as in a short one. A trial in the store is
one attempt, so that what was lost stays visible; ours is known by the user attribute `id`.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
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
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from swinablate.errors import EnvironmentFault
from swinablate.records.disk import stores
from swinablate.records.secrets import redact_address
from swinablate.scheduling.owner import Owner, owning

optuna.logging.set_verbosity(optuna.logging.WARNING)

log = logging.getLogger(__name__)
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
        self._url, self._storage = url, storage
        self._number = storage.get_study_id_from_name(study.study_name)
        self._arms = tuple(study.user_attrs["arms"])
        self._queue = _study(InMemoryStorage(), study.study_name)
        self._waiting: set[str] = set()
        self._asked: tuple[Ticket, Trial] | None = None  # not in the store yet
        self._running: dict[str, tuple[Trial, int]] = {}
        self._ended: dict[str, set[tuple[int, str]]] | None = None
        self._broken = False  # the last write may be in the store, or not

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
        """Fail all that runs or waits in the store; nobody else owns it, so nobody runs it.

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
        new = {ticket.trial: ticket for ticket in tickets if not self._has(ticket)}
        for ticket in new.values():
            self._queue.enqueue_trial(_params(ticket), user_attrs=_shown(ticket))
        self._waiting.update(new)
        return len(new)

    def pop(self) -> Ticket | None:
        """Take the next ticket; None when none waits."""
        return self._do(self._pop)

    def done(self, ticket: Ticket, value: float | None, state: Ending) -> None:
        """Record how a ticket ended; a second call changes nothing.

        A ticket that was never popped is recorded as well: so `sync` rebuilds the queue.

        Args:
            ticket: what `pop` gave.
            value: validation accuracy, percent; never the test accuracy. Of a command, what it
                measured: nothing is chosen by that.
            state: a diverged or failed trial has no value.

        Raises:
            ValueError: a done trial without a finite value.
        """
        if state == "done" and (value is None or not math.isfinite(value)):
            raise ValueError(f"a done trial has a finite value, got {value}")
        self._do(lambda: self._tell(ticket, value if state == "done" else None, state))

    def counts(self) -> Counter[str]:
        """Attempts by state: waiting, running, done, failed, diverged."""
        found = Counter(map(_state, self._do(self._in)))
        return found + Counter(waiting=len(self._waiting))

    def close(self) -> None:
        """Let the store go; what is running stays so, for the next `reap`."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _do(self, action: Callable[[], T]) -> T:
        return _patiently(self._url, action, self._doubt)

    def _doubt(self) -> None:
        """The connection broke: what was being written may be there."""
        self._broken, self._ended = True, None

    def _in(self, *states: TrialState) -> list[FrozenTrial]:
        # Nothing here changes what it gets, and copying every trial takes long in a long study.
        return self._storage.get_all_trials(self._number, deepcopy=False, states=states or None)

    def _has(self, ticket: Ticket) -> bool:
        asked = self._asked is not None and self._asked[0].trial == ticket.trial
        return asked or ticket.trial in self._waiting or ticket.trial in self._running

    def _reap(self) -> int:
        orphans = self._in(TrialState.WAITING, TrialState.RUNNING)
        for orphan in orphans:
            self._end(self._number_of(orphan), None, "failed")
        self._running.clear()
        return len(orphans)

    def _pop(self) -> Ticket | None:
        if self._asked is None:
            if not self._waiting:  # asked for more, Optuna would invent a trial
                return None
            trial = self._queue.ask(self._spaces())
            ticket = _ticket(trial)
            self._waiting.remove(ticket.trial)
            self._asked = ticket, trial
        ticket, trial = self._asked
        started = create_trial(
            state=TrialState.RUNNING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=_shown(ticket),
        )
        number = self._started(ticket) if self._broken else None
        if number is None:
            # The store's own method: it tells the number that a second call needs to find it by.
            number = self._storage.create_new_trial(self._number, started)
        self._running[ticket.trial], self._asked, self._broken = (trial, number), None, False
        return ticket

    def _started(self, ticket: Ticket) -> int | None:
        """Its number in the store, if it was written there before the connection broke."""
        for one in self._in(TrialState.RUNNING):
            if one.user_attrs == _shown(ticket):
                return self._number_of(one)
        return None

    def _number_of(self, trial: FrozenTrial) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._number, trial.number)

    def _spaces(self) -> dict[str, BaseDistribution]:
        return {"arm": CategoricalDistribution(self._arms), "seed": IntDistribution(0, SEEDS)}

    def _tell(self, ticket: Ticket, value: float | None, state: Ending) -> None:
        found = self._running.get(ticket.trial)
        if found is None:
            self._record(ticket, value, state)
            return
        trial, number = found
        self._end(number, value, state)
        self._queue.tell(trial, value, state=_STATES[state])
        del self._running[ticket.trial]
        self._note(ticket, state)

    def _end(self, number: int, value: float | None, state: Ending) -> None:
        """Write how a trial of the store ended, but not twice."""
        with suppress(UpdateFinishedTrialError):  # written before the store failed us
            if state not in _NAMES.values():
                self._storage.set_trial_user_attr(number, "outcome", state)
            values = None if value is None else [value]
            self._storage.set_trial_state_values(number, _STATES[state], values)

    def _record(self, ticket: Ticket, value: float | None, state: Ending) -> None:
        """Write a trial that did not run here, if the store does not have it."""
        if self._ended is None:  # read once: `sync` writes every trial of a study
            self._ended = {}
            for one in self._in(TrialState.COMPLETE, TrialState.FAIL):
                if "id" in one.user_attrs:
                    known = self._ended.setdefault(one.user_attrs["id"], set())
                    known.add((one.user_attrs["attempt"], _state(one)))
        known = self._ended.get(ticket.trial, set())
        if (ticket.attempt, state) in known or any(how == "done" for _, how in known):
            return
        odd = {} if state in _NAMES.values() else {"outcome": state}
        ended = create_trial(
            state=_STATES[state],
            value=value,
            params=_params(ticket),
            distributions=self._spaces(),
            user_attrs={**_shown(ticket), **odd},
        )
        self._storage.create_new_trial(self._number, ended)
        self._note(ticket, state)

    def _note(self, ticket: Ticket, state: Ending) -> None:
        if self._ended is not None:
            self._ended.setdefault(ticket.trial, set()).add((ticket.attempt, state))


_STATES: dict[Ending, TrialState] = {
    "done": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
    "diverged": TrialState.FAIL,
}
"""Ours -> Optuna's, which has none for a trial that diverged; the attribute `outcome` tells."""
_NAMES = {TrialState.COMPLETE: "done", TrialState.FAIL: "failed"}
"""What a state means where no attribute says otherwise."""


def forget(url: str, names: Sequence[str], owner: Owner) -> list[str]:
    """Delete queues from a store, with every attempt that they show.

    Args:
        url: address of the store; one that is not there yet is not made.
        names: of the queues, as `queue_name` has them; those that are not there are passed over.
        owner: who deletes them: nobody else may own them meanwhile.

    Returns:
        Those that were there.

    Raises:
        EnvironmentFault: the store is out of reach, or somebody else owns one of them.
    """
    url = stores.sqlalchemy_url(url)
    file = stores.database(url)
    if file is not None and not file.exists():
        return []
    with stores.creation(url):
        storage = _patiently(url, lambda: RDBStorage(url))
    try:
        there = set(_patiently(url, lambda: optuna.get_all_study_names(storage)))
        found = [name for name in names if name in there]
        for name in found:
            with owning(url, name, owner):
                _patiently(url, partial(optuna.delete_study, study_name=name, storage=storage))
    finally:
        storage.remove_session()
        storage.engine.dispose()
    return found


def _open(url: str, name: str, arms: Sequence[str]) -> tuple[RDBStorage, optuna.Study]:
    # A server may have closed the connection while a trial ran; SQLite waits for locks itself.
    options: dict[str, Any] = {"pool_pre_ping": True, "connect_args": stores.kept_alive(url)}
    if stores.database(url):
        # A sixth: Optuna tries five times to add a trial, with pauses of its own between.
        options = {"connect_args": {"timeout": stores.PATIENCE_S / 6}}
    try:
        storage = RDBStorage(url, engine_kwargs=options)
    except RuntimeError as error:  # another version's
        raise stores.fault(error, url, "the queue cannot be used") from error
    study = _study(storage, name)
    if "arms" not in study.user_attrs:
        study.set_user_attr("arms", list(dict.fromkeys(arms)))
    return storage, study


def _study(storage: RDBStorage | InMemoryStorage, name: str) -> optuna.Study:
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        sampler=RandomSampler(seed=0),  # never draws: a ticket fixes every parameter
        pruner=NopPruner(),  # None would mean the median pruner
    )


def _patiently(url: str, action: Callable[[], T], doubt: Callable[[], None] | None = None) -> T:
    """Do it, again and again while the store is locked; every action may be repeated.

    Args:
        url: of the store.
        action: what to do.
        doubt: told when a connection broke within it. A server that was there is then waited for
            as well; without, it never was.
    """
    # A short lock costs little more than itself; a long one is asked about every two seconds.
    deadline, pause = time.monotonic() + stores.PATIENCE_S, 0.05
    said = False
    while True:
        try:
            return action()
        except (StorageInternalError, SQLAlchemyError, ImportError) as error:
            broken = doubt is not None and stores.away(error, url)
            if not (broken or stores.locked(error)) or time.monotonic() > deadline:
                raise stores.fault(error, url, "the queue cannot be used") from error
            if doubt and broken:
                doubt()
                said = said or _say(error, url)
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def _say(error: BaseException, url: str) -> Literal[True]:
    log.warning(
        "%s does not answer (%s); waiting for it for up to %.0f s, while trials train on",
        redact_address(url), stores.cause(error, url), stores.PATIENCE_S,
    )  # fmt: skip
    return True


def _params(ticket: Ticket) -> dict[str, Any]:
    return {"arm": ticket.arm, "seed": ticket.seed}


def _shown(ticket: Ticket) -> dict[str, Any]:
    """What the store has of a ticket beside its parameters."""
    return {"id": ticket.trial, "attempt": ticket.attempt}


def _ticket(trial: Trial) -> Ticket:
    attributes, params = trial.user_attrs, trial.params
    return Ticket(attributes["id"], params["arm"], params["seed"], attributes["attempt"])


def _state(trial: FrozenTrial) -> str:
    said = trial.user_attrs.get("outcome")
    return str(said or _NAMES.get(trial.state, trial.state.name.lower()))
