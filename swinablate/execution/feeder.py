"""What is submitted next: from the trials that are due to batches with a ticket each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from swinablate.config import plugins
from swinablate.errors import InputError
from swinablate.execution.ahead.autotune import Choices
from swinablate.execution.fusing import Width, group, mates, unknown, width
from swinablate.records.events import Event
from swinablate.records.plan import Row
from swinablate.records.tuning import Ledger
from swinablate.scheduling.queue import Ending, Ticket
from swinablate.scheduling.suggest import trial_of
from swinablate.study.plan import Arm, Plan, Trial


class Tickets(Protocol):
    """What a feeder asks of a queue; `scheduling.queue.Queue` is one."""

    def put(self, tickets: Sequence[Ticket]) -> int:
        """Enqueue tickets whose trial neither waits nor runs."""

    def pop(self) -> Ticket | None:
        """Take the next ticket; None when none waits."""

    def done(self, ticket: Ticket, value: float | None, state: Ending) -> None:
        """Record how a ticket ended."""

    def reap(self) -> int:
        """Fail every running ticket, which a dead coordinator left; how many there were."""

    def close(self) -> None:
        """Let the store go."""


Batch = list[tuple[Trial, Ticket]]
"""Trials that are submitted together, each with the ticket that the queue gave for it."""


class Feeder:
    """Makes batches of the trials that are due; none of them waits in the queue before its time.

    A study of ten thousand trials has as many tickets as slots: what is due is asked of its
    records, and the queue is told of what runs.
    """

    def __init__(
        self,
        queue: Tickets,
        arms: Mapping[str, Arm],
        attempts: Callable[[str], int],
        widths: "Widths | None" = None,
    ) -> None:
        """Feed from a queue.

        Args:
            queue: of tickets.
            arms: name -> arm, of all.
            attempts: trial id -> how many attempts have begun.
            widths: how many trials of an arm train as one; None if each trains alone.
        """
        self._queue, self._arms, self._attempts, self._widths = queue, arms, attempts, widths

    def next(
        self, rows: Iterator[Row], ledger: Ledger, claim: Callable[[str], bool], free: int = 1
    ) -> Batch:
        """The next batch; empty when nothing is due that can be claimed.

        Args:
            rows: what is due and does not run yet, first what should run first; no more of
                them are taken than the batch needs.
            ledger: what tuning suggested.
            claim: asks for a trial by its id; one that is another's is passed over.
            free: slots that have nothing to do, this batch's among them.
        """
        trials = (trial_of(self._arms[row.arm.name], row, ledger) for row in rows)
        first = next((trial for trial in trials if claim(trial.id)), None)
        if first is None:
            return []
        chosen = [first]
        # The others are looked at only here: alone, a trial costs the same however many wait.
        if self._widths and (wide := self._widths.of(self._arms[first.arm])).trials > 1:
            others = list(trials)
            most = self._spread([first, *others], wide.trials, free)
            alike = mates(first, others, most, wide.least)[1:]
            chosen += [trial for trial in alike if claim(trial.id)]
        return self._with_tickets(chosen)

    def seen(self, trial: Trial, happened: Event) -> Event:
        """The same event; where memory ran out of many as one, it says that fewer are tried.

        None is blamed: how many train as one is nothing that their study says.
        """
        together, told = int(happened.data.get("together", 1)), dict(happened.data)
        if self._widths is None or together == 1 or told.get("excused"):
            return happened
        most = self._widths.narrow(self._arms[trial.arm], together // 2)
        told["message"] += f"; {together} trained as one, now at most {most} do"
        return replace(happened, data={**told, "excused": True})

    def _spread(self, waiting: Sequence[Trial], most: int, free: int) -> int:
        """How many of those that train with the first one leave no slot without work.

        Two batches at once are sooner done than one of both, where a slot would have nothing else.

        Args:
            waiting: all that is due; the first one is next.
            most: trials of its arm in a batch.
            free: slots.
        """
        assert self._widths is not None
        if not self._widths.chosen or free == 1:
            return most
        groups: dict[str, list[Trial]] = {}
        for trial in waiting:
            groups.setdefault(group(trial), []).append(trial)
            if len(groups) >= free:  # a batch for each: nothing of the others need be known
                return most
        batches = {
            key: -(-len(some) // self._widths.of(self._arms[some[0].arm]).trials)
            for key, some in groups.items()
        }
        own, idle = groups[group(waiting[0])], free - sum(batches.values())
        parts = min(len(own), batches[group(waiting[0])] + max(0, idle))
        return -(-len(own) // parts)

    def done(self, ticket: Ticket, value: float | None, state: Ending) -> None:
        """Tell the queue how a ticket ended."""
        self._queue.done(ticket, value, state)

    def _with_tickets(self, trials: Sequence[Trial]) -> Batch:
        """Take a ticket for every trial; others that wait are nobody's any more, and end.

        They were put there by a run with another budget, without `--only`, or before this
        study was asked so little at a time.
        """
        wanted = {trial.id: trial for trial in trials}
        self._queue.put([self._ticket(trial) for trial in trials])
        found: Batch = []
        while wanted and (ticket := self._queue.pop()) is not None:
            if ticket.trial in wanted:
                found.append((wanted.pop(ticket.trial), ticket))
            else:
                self._queue.done(ticket, None, "failed")
        return found

    def _ticket(self, trial: Trial) -> Ticket:
        attempt = self._attempts(trial.id) + 1
        return Ticket(trial=trial.id, arm=trial.arm, seed=trial.seed, attempt=attempt)


def unseen(device: str, say: Callable[[str], None]) -> bool:
    """Whether other machines train whose memory nobody here knows: said once, where it is so.

    From a login node that has no GPU nobody can say what memory those of the nodes have.
    """
    why = unknown(device)
    if why:
        say(f"trials train alone, not fused: {why}")
    return bool(why)


class Widths:
    """How many trials of each arm train as one; looked at once, and said once where it is one."""

    def __init__(
        self,
        asked: int | None,
        device: str,
        say: Callable[[str], None],
        choices: Choices | None = None,
    ) -> None:
        """Decide for one device.

        Args:
            asked: as `--fuse` says; None chooses.
            device: "cpu" or "cuda:N".
            say: takes a line for the user.
            choices: device model -> what `auto` became there.
        """
        self._asked, self._device, self._say = asked, device, say
        self._choices = choices
        self._found: dict[str, Width] = {}

    @property
    def chosen(self) -> bool:
        """Whether nobody has asked for a number."""
        return self._asked is None

    def narrow(self, arm: Arm, most: int) -> int:
        """Let fewer trials of an arm train as one; returns how many."""
        now = self.of(arm)
        trials = min(now.trials, most)
        self._found[arm.name] = Width(trials, least=now.least) if trials >= now.least else Width(1)
        return self._found[arm.name].trials

    def of(self, arm: Arm) -> Width:
        """How many trials of an arm train as one."""
        if arm.name not in self._found:
            found = self._found[arm.name] = width(arm, self._asked, self._device, self._choices)
            if found.why:
                self._say(f"{arm.name}: not fused: {found.why}")
        return self._found[arm.name]


def check_only(plan: Plan, only: Sequence[str]) -> None:
    """Refuse an `--only` that names no arm.

    Raises:
        InputError: it does.
    """
    names = [arm.name for arm in plan.arms]
    for name in only:
        if name not in names:
            raise InputError(
                f"no arm is called {name!r}", at="--only", hint=plugins.did_you_mean(name, names)
            )
