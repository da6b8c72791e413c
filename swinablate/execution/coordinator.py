"""The owner of one study: ask -> submit -> events -> record -> tell.

What a worker reports is written to the trial's own folder first, then told to Optuna, then
mirrored to MLflow, so that a crash at any point leaves nothing that cannot be rebuilt. What runs
next is never decided here: it is what `scheduling.due` says of the records.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from swinablate.config.code import imports
from swinablate.config.data import DataConfig
from swinablate.errors import EnvironmentFault, InputError
from swinablate.execution.ahead.ladder import Ladder
from swinablate.execution.attempts import Attempt, Attempts, Fate, conclude
from swinablate.execution.executor import Execution
from swinablate.execution.feeder import Batch as Tickets
from swinablate.execution.feeder import Feeder
from swinablate.execution.stop import Stop
from swinablate.records.disk.files import disk_full, drop_half_written, free_mib
from swinablate.records.events import CHECKPOINT_S, ENDINGS, Batch, Event, Job
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome, told
from swinablate.records.plan import Row
from swinablate.scheduling.claims import Claims
from swinablate.scheduling.due import Due, State, due
from swinablate.scheduling.first import asked
from swinablate.scheduling.queue import Ticket
from swinablate.scheduling.suggest import advance
from swinablate.study.plan import Arm, Plan, Trial
from swinablate.tracking.cards import TrialCard, trial_card

FLOOR_MIB = 100
"""No trial starts with less free disk: two checkpoints of a network of ten million parameters
with its optimizer take as much, and a store that cannot write loses the study's order."""
POLL_S = 0.5
"""How long events are waited for: a wish to stop is seen within this time."""


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


class Copy(Protocol):
    """Where a study is copied to, for browsing; `tracking.mirror.Mirror` is one."""

    @property
    def missed(self) -> int:
        """Calls that did not reach it."""

    @property
    def gone(self) -> bool:
        """Whether it answered no more at the end."""

    def sweep(self, waiting: Collection[str]) -> None:
        """Forget what is shown of trials as running, but for those that wait."""

    def begin(self, card: TrialCard) -> None:
        """A trial runs."""

    def epochs(self, trial: str, rows: tuple[Mapping[str, Any], ...]) -> None:
        """Rows of a learning curve."""

    def stopped(self, trial: str, at: int) -> None:
        """A trial ended before its end; `at` is Unix ms."""

    def end(self, outcome: Outcome) -> None:
        """A trial has a record."""

    def replay(self, card: TrialCard, outcome: Outcome) -> None:
        """A trial was recorded before."""

    def close(self, *, within: float | None = None) -> None:
        """Finish what waits within so many seconds, or as long as it goes on; 0 drops it."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a coordinator knows of the study and of where it runs.

    Attributes:
        plan: the study.
        home: where it is recorded.
        claims: which of its trials are trained here, and which by another study of the home.
        data: images -> their digest.
        choices: what `auto` became, by device model.
        provenance: where trials run.
        ladder: what becomes of a trial whose memory runs out.
        asked: metrics that trials measure because the study names them.
        checkpoint_s: seconds of training between two checkpoints.
    """

    plan: Plan
    home: Home
    claims: Claims
    data: Mapping[DataConfig, str]
    choices: Mapping[str, Mapping[str, Any]]
    provenance: Mapping[str, Any]
    ladder: Ladder
    asked: tuple[str, ...] = ()
    checkpoint_s: float = CHECKPOINT_S


class Coordinator:
    """One study, from the first ticket to the last record."""

    def __init__(
        self,
        context: Context,
        state: State,
        outlets: tuple[Execution, Feeder, Copy],
        *,
        attempts: Attempts,
        stop: Stop,
        watcher: Watcher,
    ) -> None:
        self._context, self._plan, self._home = context, context.plan, context.home
        self._execution, self._feeder, self._copy = outlets
        self._attempts, self._stop, self._watcher = attempts, stop, watcher
        self._arms: dict[str, Arm] = {arm.name: arm for arm in context.plan.arms}
        self._state = state
        self._claims = context.claims
        self._named: set[str] = set()
        self._shown: set[str] = set()
        self._replayed: tuple[Row, ...] = ()

    @property
    def state(self) -> State:
        """What is recorded by now."""
        return self._state

    def run(self) -> None:
        """Train what is due; returns when nothing is, or when a stop was wanted, and nothing runs.

        What another study of the home trains is waited for.

        Raises:
            InputError: another study recorded a trial with other images.
            EnvironmentFault: Optuna's store is in the way.
        """
        asked = False
        while True:
            if self._stop.wanted and not asked:
                asked = True  # once: workers write a checkpoint and end, which takes a while
                self._execution.stop()
            waits = not self._stop.wanted and self._fill()
            if not self._attempts and (self._stop.wanted or not waits):
                return
            for happened in self._execution.poll(POLL_S):
                self._hear(happened)
            self._cancel_silent()
            if self._stop.overdue:
                self._cancel_all()

    def _fill(self) -> bool:
        """Hand batches to free slots until there are no more of one or the other.

        Returns:
            Whether there is nothing to do but to wait: for what another study trains, or for a
            worker to get ready.
        """
        while self._execution.free and not self._stop.wanted:
            now = self._consider()
            known, idle = self._state, self._idle(now)
            ledger, free = known.plan.ledger, self._execution.free
            batch = self._feeder.next(idle, ledger, self._claim, free)
            self._claims.keep(self._attempts.ids() | {trial.id for trial, _ in batch})
            if batch:
                self._submit(batch)
            elif self._state is known:
                return self._others_train(now)
        if self._attempts or self._stop.wanted:
            return False
        return next(self._idle(self._consider()), None) is not None

    def _idle(self, now: Due) -> Iterator[Row]:
        return (row for row in now.upcoming() if row.trial not in self._attempts)

    def _claim(self, trial: str) -> bool:
        """Whether a trial is to be trained here: no other study trains it, or has recorded it."""
        if not self._claims.take(trial):
            return False
        outcome = self._home.outcome(trial)
        if outcome is None:
            drop_half_written(self._home.trials / trial)
            return True
        self._claims.release(trial)
        self._adopt(outcome)
        return False

    def _adopt(self, outcome: Outcome) -> None:
        """Take in what another study has recorded since this one started."""
        row = self._state.by_trial[outcome.trial]
        images = self._arms[row.arm.name].recipe.data
        check_images(images, outcome, self._context.data[images])
        self._home.finish(outcome.trial)
        self._state = self._state.add(outcome)
        self._shown.add(outcome.trial)
        self._copy.replay(trial_card(row, reused=True), outcome)
        self._watcher.say(f"{row.arm.name} s{row.seed}: recorded by another study")

    def _others_train(self, now: Due) -> bool:
        """Whether others train some of what is left; says once who does."""
        found = False
        for row in self._idle(now):
            if holder := self._claims.others.get(row.trial):
                found = True
                who = holder.partition(" since ")[0]
                if who not in self._named:
                    self._named.add(who)
                    self._watcher.say(
                        f"{row.arm.name} s{row.seed}: another study trains it ({holder}); "
                        "waiting for what it shares with this one"
                    )
        return found

    def _consider(self) -> Due:
        """Ask what the study needs, given all that is recorded; the answer is a pure function.

        What tuning tries next is written down first, so that it is asked for once and for all.
        """
        self._state = advanced(self._context.plan, self._state, self._home)
        now = due(self._state)
        self._watcher.expect(*progress(now))
        self._replay()
        return now

    def _replay(self) -> None:
        """Mirror what was recorded before; idempotent, so that nothing is there twice."""
        if self._replayed is self._state.rows:
            return
        self._replayed = self._state.rows
        for row in self._state.mine:
            outcome = self._state.outcomes.get(row.trial)
            if outcome is not None and row.trial not in self._shown:
                self._shown.add(row.trial)
                self._copy.replay(trial_card(row, reused=True), outcome)

    def _submit(self, batch: Tickets) -> None:
        if (free := free_mib(self._home.root)) < FLOOR_MIB:
            why = f"{free} MiB are free, {FLOOR_MIB} are needed"
            self._stop.fault = disk_full(self._home.root, why)
            for _, ticket in batch:
                self._give_back(ticket)
            return
        jobs = [(trial, ticket, self._job(trial)) for trial, ticket in batch]
        handle = self._execution.submit(Batch(jobs=tuple(job for _, _, job in jobs)))
        for trial, ticket, job in jobs:
            self._attempts.begin(trial, ticket, job.attempt, handle)
            self._copy.begin(trial_card(self._state.by_trial[trial.id], reused=False))

    def _job(self, trial: Trial) -> Job:
        """A new attempt at a trial."""
        parts = self._context.ladder.parts(trial)
        number = self._home.begin(trial.id)
        return Job(
            trial=trial.id,
            attempt=number,
            recipe=trial.recipe.model_dump(mode="json"),
            image=self._arms[trial.arm].shown,
            seed=trial.seed,
            kind=trial.kind,
            folder=str(self._home.attempt(trial.id, number)),
            resume=self._home.earlier(trial.id, number),
            data=str(self._home.datasets),
            folders=imports.folders(trial.recipe.model.family),
            choices=self._context.choices,
            asked=asked(self._context.plan, trial, self._context.asked),
            checkpoint_s=self._context.checkpoint_s,
            parts=parts,
        )

    def _hear(self, happened: Event) -> None:
        now = self._attempts.of(happened)
        if now is None:
            return
        happened = self._context.ladder.seen(now.trial, self._feeder.seen(now.trial, happened))
        self._home.append(happened)  # first: all that follows can be rebuilt from it
        self._attempts.heard(now, happened)
        if why := happened.data.get("alone"):
            self._watcher.say(f"{now.name}: not fused: {why}")
        if happened.kind == "epoch":
            self._copy.epochs(now.trial.id, (happened.data,))
        elif happened.kind == "resumed":
            self._copy.epochs(now.trial.id, tuple(now.curve))
        self._watcher.happened(now.trial, happened)
        if happened.kind in ENDINGS:
            self._ended(now, happened)

    def _ended(self, now: Attempt, last: Event) -> None:
        """Record how an attempt ended; or leave the trial waiting, to go on later."""
        fate = self._attempts.fate(last, stopping=self._stop.wanted)
        if fate == "recorded":
            self._record(now, last)
        else:
            self._put_off(now, last, fate)
        self._claims.release(now.trial.id)

    def _put_off(self, now: Attempt, last: Event, fate: Fate) -> None:
        """Leave a trial waiting: its attempt failed, and not the trial."""
        if fate == "disk full":
            self._stop.fault = disk_full(self._home.root, last.data["message"])
        self._give_back(now.ticket)  # its next attempt gets one of its own
        if fate == "again":
            self._watcher.say(f"{now.name}: {last.data['message']}; going on")
            return
        self._copy.stopped(now.trial.id, last.at)

    def _give_back(self, ticket: Ticket) -> None:
        """Tell Optuna of an attempt that failed; on a full disk it may not hear of it."""
        try:
            self._feeder.done(ticket, None, "failed")
        except EnvironmentFault:  # the next start takes back every ticket that is out
            if self._stop.fault is None:
                raise

    def _record(self, now: Attempt, last: Event) -> None:
        context, trial = self._context, now.trial
        sha256 = context.data[trial.recipe.data]
        outcome = conclude(now, last, self._arms[trial.arm], sha256, context.provenance)
        self._home.commit(outcome)
        self._state = self._state.add(outcome)
        self._shown.add(trial.id)
        self._feeder.done(now.ticket, told(outcome), outcome.status)
        self._copy.end(outcome)

    def _cancel_silent(self) -> None:
        """Kill what has been silent for far longer than it ever was."""
        for now, silent in self._attempts.silent():
            self._watcher.say(f"{now.name}: silent for {silent:.0f} s")
            self._execution.cancel(now.handle)

    def _cancel_all(self) -> None:
        """Kill what has written no checkpoint in time; it goes on from the one before."""
        for handle in self._attempts.handles():
            self._execution.cancel(handle)


def advanced(plan: Plan, state: State, home: Home) -> State:
    """The state with what tuning tries next, which is written down before it runs."""
    before = state.plan.ledger
    state = advance(plan, state, home.outcomes)
    if state.plan.ledger is not before:
        home.keep_ledger(plan.study.name, plan.declaration, state.plan.ledger)
    return state


def progress(now: Due) -> tuple[int, int, int]:
    """Of the arms that run here: trials recorded, wanted by now, and at most at the end."""
    state = now.state
    wanted, most = len(state.mine), now.most
    if state.arms is not None:
        finals = sum(len(arm.seeds) for arm in state.plan.arms if state.runs(arm.name))
        most = wanted if state.plan.tune else min(most, finals)
    return state.ran, wanted, most


def check_images(config: DataConfig, outcome: Outcome, sha256: str) -> None:
    """Refuse to mix trials of other images with those recorded.

    Args:
        config: the data that a trial asks for.
        outcome: its record.
        sha256: digest of those images as they are now.

    Raises:
        InputError: it was recorded with others.
    """
    if outcome.provenance.get("data", sha256) != sha256:
        raise InputError(
            f"the images of {config.name!r} are not those that trials were recorded with",
            at="data.root" if config.root else "data.name",
            hint="bring the old images back, or give the new ones another folder or name",
        )
