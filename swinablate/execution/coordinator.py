"""The owner of one study: ask -> submit -> events -> record -> tell.

The only process that opens Optuna and MLflow. What a worker reports is written to the trial's
own folder first, then told to Optuna, then mirrored to MLflow, so that a crash at any point
leaves nothing that cannot be rebuilt.
"""

import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

from swinablate import data
from swinablate.config import imports as source
from swinablate.config import plugins
from swinablate.config.data import DataConfig
from swinablate.errors import EnvironmentFault, InputError
from swinablate.execution.autotune import Choices, choose
from swinablate.execution.devices import choose_slots
from swinablate.execution.executor import Execution, Executor
from swinablate.execution.fusing import Width, mates, width
from swinablate.records.events import ENDINGS, Batch, Event, Job
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.records.provenance import provenance
from swinablate.scheduling.due import Due, due
from swinablate.scheduling.queue import Queue, Ticket, queue_name
from swinablate.scheduling.suggest import extended, tune_trials
from swinablate.study.noise import expected_noise
from swinablate.study.plan import Arm, Plan, Trial
from swinablate.study.plan_json import plan_json
from swinablate.tracking.cards import study_card, trial_card
from swinablate.tracking.mirror import Mirror
from swinablate.tracking.tracker import TrialCard

RETRIES = 2
"""How often an attempt that was killed, hung or out of disk is repeated."""
HANG_S, HANG_EPOCHS = 900.0, 20.0
"""A trial hangs after so many seconds, and so many of its longest epoch, without an event."""
FLOOR_MIB = 100
"""No trial starts with less free disk."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run a study; nothing here changes what a trial computes."""

    slots: int | None = None
    devices: str = "auto"
    fuse: int | None = None  # trials that train as one; None chooses, 1 is off
    executor: str = "local"
    only: tuple[str, ...] = ()
    storage: str | None = None
    tracking: str | None = None
    retry: bool = False
    command: str = ""


class Watcher(Protocol):
    """Sees a study run; draws it, or does not."""

    def begin(self, plan: Plan, recorded: Mapping[str, Outcome], slots: int) -> None:
        """The study starts; `recorded` are the trials it has already."""

    def expect(self, done: int, trials: int, most: int) -> None:
        """So many are recorded, of those wanted by now, of those there can be at the end."""

    def happened(self, trial: Trial, event: Event) -> None:
        """An event of a running trial."""

    def say(self, text: str) -> None:
        """One line for the user."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a run of the coordinator ended."""

    counts: Counter[str]
    missing: int
    unmirrored: int
    exit_code: int
    spent: bool = False  # the budget ended it


@dataclass
class Running:
    """A trial under way; times are this process's monotonic clock, never the wall's."""

    trial: Trial
    ticket: Ticket
    attempt: int
    handle: object = None
    started: int = field(default_factory=lambda: int(time.time() * 1000))
    curve: list[Mapping[str, Any]] = field(default_factory=list)
    last: float = field(default_factory=time.monotonic)
    longest: float = 0.0


class Coordinator:
    """One study, from the first ticket to the last record."""

    def __init__(self, plan: Plan, home: Home, options: Options, watcher: Watcher) -> None:
        self._plan, self._home, self._options, self._watcher = plan, home, options, watcher
        self._arms: dict[str, Arm] = {arm.name: arm for arm in plan.arms}
        self._declared: dict[str, Any] = {}
        self._now = Due(rows=(), waiting=(), most=0, spent=False, decisions=None)
        self._chosen = options.only or tuple(self._arms)
        self._trials = {t.id: t for t in plan.trials if t.arm in self._chosen}
        self._recorded: dict[str, Outcome] = {}
        self._running: dict[str, Running] = {}
        self._tries: Counter[str] = Counter()
        self._data: dict[DataConfig, str] = {}
        self._choices: Choices = {}
        self._signals: list[int] = []
        self._fault: EnvironmentFault | None = None
        self._shown: set[str] = set()
        self._held: dict[str, Ticket] = {}  # popped, and waiting for a slot
        self._widths: dict[str, Width] = {}
        self._device, self._fusing = "cpu", False
        self._due = True  # tickets may be waiting

    def run(self, declared: Mapping[str, Any]) -> Summary:
        """Train what is not recorded; returns when nothing waits and nothing runs.

        Args:
            declared: the plan as `plan.json` will hold it.

        Raises:
            EnvironmentFault: lock, disk, data or Optuna's store are in the way.
            KeyboardInterrupt: the second Ctrl-C; the workers were killed.
        """
        study = self._plan.study.name
        slots = choose_slots(self._options.slots, self._options.devices, self._plan)
        self._device = slots[0].device
        self._fusing = self._options.fuse != 1 and not (
            self._options.fuse is None and self._device == "cpu"
        )
        executor = plugins.load(
            "swinablate.execution.executors", self._options.executor, Executor, at="--executor"
        )
        with self._home.owned(study):
            self._home.declare(study, self._plan.declaration, declared)
            self._declared = dict(declared)
            if ledger := self._home.ledger(study, self._plan.declaration):
                self._declared["ledger"] = ledger
                self._enlist()
            self._recall()
            self._consider()
            if not self._waiting():
                self._begin(0)
                return self._end(0)
            self._prepare()
            with self._handling_signals():
                execution = executor.open(slots, self._home.logs, self._stopping)
                mirror = Mirror(
                    self._options.tracking or self._home.mlflow_uri,
                    self._home.artifacts,
                    study_card(declared, self._options.command),
                )
                try:
                    self._choices = choose(self._plan, self._home, execution, self._stopping)
                    self._begin(len(slots))
                    mirror.call("sweep", set(self._trials) - set(self._recorded))
                    self._loop(execution, mirror)
                finally:
                    execution.close()
                    mirror.close(wait=self._signals.count(signal.SIGINT) < 2)
        if self._fault:
            raise self._fault
        return self._end(mirror.missed)

    def _recall(self) -> None:
        """What is recorded already, of this study or of any other in this home."""
        self._recorded = self._home.outcomes(self._trials)
        if self._options.retry:
            for trial in [t for t, o in self._recorded.items() if not ended_well(o)]:
                self._home.reopen(trial)
                del self._recorded[trial]

    def _prepare(self) -> None:
        """Get all images; refuse to mix trials of other images with those recorded."""
        prepared: dict[DataConfig, data.Prepared] = {}
        for config in dict.fromkeys(trial.recipe.data for trial in self._trials.values()):
            source = data.source(config)
            if source not in prepared:
                prepared[source] = data.prepare(config, self._home.datasets)
            data.check_sizes(config, prepared[source])
            self._data[config] = prepared[source].sha256
        for trial_id, outcome in self._recorded.items():
            config = self._trials[trial_id].recipe.data
            if outcome.provenance.get("data", self._data[config]) != self._data[config]:
                raise InputError(
                    f"the images of {config.name!r} are not those that trials were recorded with",
                    at="data.root" if config.root else "data.name",
                    hint="bring the old images back, or give the new ones another folder or name",
                )

    def _consider(self) -> None:
        """Ask what the study needs, given all that is recorded; the answer is a pure function.

        What tuning tries next is written down first, so that it is asked for once and for all.
        """
        while ledger := extended(self._plan, self._declared, self._recorded, self._chosen):
            name, declaration = self._plan.study.name, self._plan.declaration
            self._home.keep_ledger(name, declaration, ledger)
            self._declared["ledger"] = ledger
            self._recorded |= self._home.outcomes(self._enlist())
        self._now = due(self._declared, self._recorded)

    def _enlist(self) -> list[str]:
        """Take in the trials that the ledger names; returns those that are new."""
        found = {t.id: t for t in tune_trials(self._plan, self._declared) if t.arm in self._chosen}
        new = [trial for trial in found if trial not in self._trials]
        self._trials = {**found, **self._trials}
        return new

    def _counted(self) -> dict[str, Outcome]:
        """The recorded trials that the study has asked for; others stay unseen."""
        mine = [trial for _, _, trial in self._now.rows if trial in self._trials]
        return {trial: self._recorded[trial] for trial in mine if trial in self._recorded}

    def _waiting(self) -> list[str]:
        return [trial for trial in self._now.waiting if trial in self._trials]

    def _begin(self, slots: int) -> None:
        self._watcher.begin(self._plan, self._counted(), slots)
        self._expect()

    def _expect(self) -> None:
        rows = [trial for _, _, trial in self._now.rows if trial in self._trials]
        most = self._now.most
        if self._options.only:
            most = len(rows) if self._plan.study.tune else min(most, len(self._trials))
        self._watcher.expect(len(self._counted()), len(rows), most)

    def _replay(self, mirror: Mirror) -> None:
        """Mirror what was recorded before; idempotent, so that nothing is there twice."""
        for trial, outcome in self._counted().items():
            if trial not in self._shown:
                self._shown.add(trial)
                mirror.replay(self._card(self._trials[trial], reused=True), outcome)

    def _loop(self, execution: Execution, mirror: Mirror) -> None:
        url = self._options.storage or self._home.optuna_url
        name = queue_name(self._plan.study.name, self._plan.declaration)
        queue = Queue.open(url, name, list(self._arms))
        queue.reap()  # we hold the lock: whatever runs there belongs to a dead coordinator
        stopped = False
        with closing(queue):
            while True:
                if self._stopping() and not stopped:
                    stopped = True
                    execution.stop()
                if self._due and execution.free and not self._stopping():
                    self._fill(queue, execution, mirror)
                if not self._running:
                    self._release(queue, list(self._held))
                    return
                for happened in execution.poll(0.5):
                    self._handle(happened, queue, mirror)
                self._watch(execution)

    def _fill(self, queue: Queue, execution: Execution, mirror: Mirror) -> None:
        """Hand tickets to free slots until there are no more of one or the other."""
        self._consider()
        self._expect()
        self._replay(mirror)
        tickets = {ticket.trial: ticket for ticket in self._tickets()}
        queue.put(list(tickets.values()))
        while tickets and execution.free and not self._stopping():
            batch = self._together(queue, tickets) if self._fusing else self._alone(queue, tickets)
            if not batch:
                break
            self._submit(batch, execution, mirror)
        self._due = bool(tickets)

    def _alone(self, queue: Queue, tickets: dict[str, Ticket]) -> list[Ticket]:
        """The next ticket; taken from `tickets`, those that are wanted."""
        while (ticket := queue.pop()) is not None:
            if tickets.pop(ticket.trial, None):
                return [ticket]
            queue.done(ticket, None, "failed")  # by a run without --only, or by another budget
        return []

    def _together(self, queue: Queue, tickets: dict[str, Ticket]) -> list[Ticket]:
        """The next tickets that train as one; what else the queue gave is held."""
        while (ticket := queue.pop()) is not None:
            self._held[ticket.trial] = ticket
        self._release(queue, [t for t in self._held if t not in tickets])
        if not self._held:
            return []
        first, *others = [self._trials[trial] for trial in self._held]
        chosen = mates(first, others, self._width(self._arms[first.arm]))
        for mate in chosen:
            del tickets[mate.id]
        return [self._held.pop(mate.id) for mate in chosen]

    def _release(self, queue: Queue, trials: Sequence[str]) -> None:
        for trial in trials:
            queue.done(self._held.pop(trial), None, "failed")

    def _width(self, arm: Arm) -> int:
        """How many trials of an arm train as one; says once why it is one."""
        if arm.name not in self._widths:
            found = self._widths[arm.name] = width(arm, self._options.fuse, self._device)
            if found.why:
                self._watcher.say(f"{arm.name}: not fused: {found.why}")
        return self._widths[arm.name].trials

    def _tickets(self) -> list[Ticket]:
        found = [self._trials[t] for t in self._waiting() if t not in self._running]
        return [
            Ticket(trial=t.id, arm=t.arm, seed=t.seed, attempt=self._home.attempts(t.id) + 1)
            for t in found
        ]

    def _submit(self, tickets: list[Ticket], execution: Execution, mirror: Mirror) -> None:
        if (free := shutil.disk_usage(self._home.root).free >> 20) < FLOOR_MIB:
            self._fault = disk_full(self._home, f"{free} MiB are free, {FLOOR_MIB} are needed")
            return
        jobs = tuple(self._job(self._trials[ticket.trial]) for ticket in tickets)
        handle = execution.submit(Batch(jobs=jobs))
        for ticket, job in zip(tickets, jobs, strict=True):
            trial = self._trials[ticket.trial]
            self._running[trial.id] = Running(trial, ticket, job.attempt, handle)
            mirror.call("begin", self._card(trial, reused=False))

    def _job(self, trial: Trial) -> Job:
        """A new attempt at a trial."""
        attempt = self._home.begin(trial.id)
        self._tries[trial.id] += 1
        return Job(
            trial=trial.id,
            attempt=attempt,
            recipe=trial.recipe.model_dump(mode="json"),
            image=self._arms[trial.arm].image.model_dump(mode="json"),
            seed=trial.seed,
            kind=trial.kind,
            folder=str(self._home.attempt(trial.id, attempt)),
            resume=self._home.earlier(trial.id, attempt),
            data=str(self._home.datasets),
            folders=source.folders(trial.recipe.model.family),
            choices=self._choices,
        )

    def _handle(self, happened: Event, queue: Queue, mirror: Mirror) -> None:
        now = self._running.get(happened.trial)
        if now is None or happened.attempt != now.attempt:
            return  # the words of a worker that outlived its coordinator
        self._home.append(happened)
        for mate in [r for r in self._running.values() if r.handle == now.handle]:
            mate.longest = max(mate.longest, time.monotonic() - mate.last)
            mate.last = time.monotonic()
        if why := happened.data.get("alone"):
            self._watcher.say(f"{now.trial.arm} s{now.trial.seed}: not fused: {why}")
        if happened.kind == "epoch":
            now.curve.append(happened.data)
            mirror.call("epochs", now.trial.id, (happened.data,))
        elif happened.kind == "resumed":
            now.curve = list(happened.data["curve"])
            mirror.call("epochs", now.trial.id, tuple(now.curve))
        self._watcher.happened(now.trial, happened)
        if happened.kind in ENDINGS:
            del self._running[now.trial.id]
            self._due = True
            self._finish(now, happened, queue, mirror)

    def _finish(self, now: Running, last: Event, queue: Queue, mirror: Mirror) -> None:
        """Record how an attempt ended; or leave the trial waiting, to go on later."""
        trial, failure = now.trial, last.data if last.kind in {"failed", "lost"} else {}
        full = failure.get("kind") == "disk"
        again = last.kind == "lost" and self._tries[trial.id] <= RETRIES
        if full:
            self._fault = disk_full(self._home, failure["message"])
        if last.kind == "stopped" or full or again or (last.kind == "lost" and self._stopping()):
            queue.done(now.ticket, None, "failed")
            if again and not self._stopping():
                self._watcher.say(f"{trial.arm} s{trial.seed}: {failure['message']}; going on")
            else:
                mirror.call("end", trial.id, {"status": "stopped", "finished_at": last.at})
            return
        outcome = conclude(now, last, self._arms[trial.arm], self._data[trial.recipe.data])
        self._home.commit(outcome)
        self._recorded[trial.id] = outcome
        self._shown.add(trial.id)
        queue.done(now.ticket, outcome.metrics.get("val/accuracy"), outcome.status)
        mirror.end(outcome)

    def _watch(self, execution: Execution) -> None:
        """Kill what has been silent for far longer than it ever was."""
        for now in self._running.values():
            silent = time.monotonic() - now.last
            if silent > max(HANG_S, HANG_EPOCHS * now.longest):
                self._watcher.say(f"{now.trial.arm} s{now.trial.seed}: silent for {silent:.0f} s")
                execution.cancel(now.handle)

    def _card(self, trial: Trial, *, reused: bool) -> TrialCard:
        (arm,) = [arm for arm, _, one in self._now.rows if one == trial.id]
        return trial_card(arm, trial.seed, trial.id, reused=reused)

    def _stopping(self) -> bool:
        return bool(self._signals) or self._fault is not None

    @contextmanager
    def _handling_signals(self) -> Iterator[None]:
        def handle(number: int, _: FrameType | None) -> None:
            self._signals.append(number)
            if self._signals.count(signal.SIGINT) > 1:
                raise KeyboardInterrupt
            self._watcher.say(
                f"stopping: {len(self._running)} trials write their checkpoints; "
                "Ctrl-C again kills them"
            )

        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may handle signals
            return
        kept = {
            number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)

    def _end(self, unmirrored: int) -> Summary:
        self._consider()
        rows = [trial for _, _, trial in self._now.rows if trial in self._trials]
        counted = self._counted().values()
        counts: Counter[str] = Counter(found.status for found in counted)
        missing = len(rows) - counts.total()
        code = 0 if sum(map(ended_well, counted)) == len(rows) else 3
        if missing and self._signals:
            code = 75 if signal.SIGTERM in self._signals else 130
        return Summary(
            counts=counts,
            missing=missing,
            unmirrored=unmirrored,
            exit_code=code,
            spent=self._now.spent,
        )


def execute(made: Plan, home: Home, options: Options, watcher: Watcher) -> Summary:
    """Declare a plan in a home and train what is not recorded there."""
    check_only(made, options.only)
    home.create()
    recorded = home.outcomes(trial.id for trial in made.trials)
    declared = plan_json(made, recorded, expected_noise(made, home))
    return Coordinator(made, home, options, watcher).run(declared)


def conclude(now: Running, last: Event, arm: Arm, sha256: str) -> Outcome:
    """The record of a trial whose last attempt ended with `last`."""
    trial = now.trial
    done = last.kind == "done"
    return Outcome(
        trial=trial.id,
        seed=trial.seed,
        kind=trial.kind,
        recipe=trial.recipe.model_dump(mode="json"),
        image=arm.image.model_dump(mode="json"),
        status="done" if done else "diverged" if last.kind == "diverged" else "failed",
        attempt=now.attempt,
        metrics=last.data["metrics"] if done else {},
        curve=tuple(now.curve),
        execution=last.data["execution"] if done else {},
        predictions=last.data["predictions"] if done else {},
        provenance={**provenance(), "data": sha256},
        failure=None if done else {k: str(v) for k, v in last.data.items()},
        started_at=now.started,
        finished_at=last.at,
    )


def ended_well(outcome: Outcome) -> bool:
    """Whether a trial told what it was run for: a recipe that diverges is a bad one to choose."""
    tried = outcome.kind == "tune" and outcome.status == "diverged"
    return outcome.status == "done" or tried


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


def disk_full(home: Home, why: str) -> EnvironmentFault:
    """The disk is full; every checkpoint and record so far is whole."""
    free = shutil.disk_usage(home.root).free >> 20
    return EnvironmentFault(
        f"disk full: {why} ({free} MiB free)",
        at=str(home.root),
        hint="free some space and start the same command again; it goes on where it was",
    )
