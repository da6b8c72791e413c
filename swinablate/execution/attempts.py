"""Attempts under way: who runs, what they said, how often a trial was tried, who hangs."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from swinablate.records.events import ENDINGS, Event
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.scheduling.queue import Ticket
from swinablate.study.plan import Arm, Plan, Trial

RETRIES = 2
"""How often an attempt that was killed or hung is repeated: a machine that kills the same trial
three times does so for a reason that a fourth attempt would meet too."""
EXCUSED = 10
"""How often an attempt that ended by no fault of the trial's, as with the process that forks all
workers, is repeated at no cost: more is no accident, and the study must end."""
HANG_S, HANG_EPOCHS = 900.0, 20.0
"""A trial hangs after so many seconds, and so many of its longest silence, without an event.

The first step may compile a network for minutes, and an epoch of ImageNet takes an hour; nothing
that was seen to train took 20 times as long as the slowest epoch before it."""

START_S = 120.0
"""How long the first word of an attempt may take at least: a loaded machine imports torch in 20 s,
and no time that somebody sets for the silence of an epoch is meant for that."""

Fate = Literal["recorded", "again", "later", "disk full"]
"""What becomes of a trial whose attempt ended: a record; another attempt at once, or when the
study goes on; or the study stops, for nothing can be written."""


@dataclass
class Attempt:
    """One attempt at a trial; times are this process's monotonic clock, never the wall's.

    Attributes:
        handle: the executor's, shared by trials that train as one.
        started: Unix ms.
        curve: the rows of its learning curve so far.
        began: when it was submitted.
        last: when it was last heard of.
        longest: its longest silence, seconds.
        elapsed: how long it took, seconds; known when it has ended.
        spoke: whether it was heard of at all.
    """

    trial: Trial
    ticket: Ticket
    number: int
    handle: object
    began: float
    last: float
    started: int = field(default_factory=lambda: int(time.time() * 1000))
    curve: list[Mapping[str, Any]] = field(default_factory=list)
    longest: float = 0.0
    elapsed: float = 0.0
    spoke: bool = False

    @property
    def name(self) -> str:
        """The trial as people call it."""
        return f"{self.trial.arm} s{self.trial.seed}"


class Attempts:
    """The attempts that run now, and how often each trial was tried by this process.

    Args:
        clock: monotonic, seconds.
        hang_s: a trial hangs after so long without an event; None: `HANG_S`, or longer where
            the trial's own epochs take longer.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, hang_s: float | None = None
    ) -> None:
        self._clock, self._hang_s = clock, hang_s
        self._excused: Counter[str] = Counter()
        self._running: dict[str, Attempt] = {}
        self._mates: dict[int, list[Attempt]] = {}
        self._calm = math.inf  # nobody can be found to hang before
        self._tries: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, trial: str) -> bool:
        return trial in self._running

    def begin(self, trial: Trial, ticket: Ticket, number: int, handle: object) -> None:
        """An attempt was submitted; `number` is that of its folder."""
        self._tries[trial.id] += 1
        moment = self._clock()
        now = Attempt(trial, ticket, number, handle, moment, moment)
        self._running[trial.id] = now
        self._mates.setdefault(id(handle), []).append(now)
        self._calm = min(self._calm, self._late(now))

    def ids(self) -> set[str]:
        """The trials that run now."""
        return set(self._running)

    def handles(self) -> list[object]:
        """What runs now; trials that train as one share a handle."""
        return [now.handle for now in self._running.values()]

    def of(self, happened: Event) -> Attempt | None:
        """The attempt that an event tells of; None for one that was superseded.

        A worker may outlive its coordinator, and go on telling of an attempt that nobody waits
        for any more; what it says must not be taken for the newest attempt's words.
        """
        now = self._running.get(happened.trial)
        return now if now is not None and now.number == happened.attempt else None

    def heard(self, now: Attempt, happened: Event) -> None:
        """Take in an event: all that train with it are alive; at its end it runs no more."""
        moment = self._clock()
        for mate in self._mates[id(now.handle)]:
            mate.longest = max(mate.longest, moment - mate.last)
            mate.last, mate.spoke = moment, True
            self._calm = min(self._calm, self._late(mate))
        if happened.kind == "epoch":
            now.curve.append(happened.data)
        elif happened.kind == "resumed":
            now.curve = list(happened.data["curve"])
        elif happened.kind in ENDINGS:
            now.elapsed = moment - now.began
            del self._running[now.trial.id]
            self._mates[id(now.handle)].remove(now)
            if not self._mates[id(now.handle)]:
                del self._mates[id(now.handle)]

    def silent(self) -> Iterator[tuple[Attempt, float]]:
        """Attempts that hang: silent for far longer than they ever were, and for how long.

        They are looked at one by one only when one may be late: there may be a thousand.
        """
        moment = self._clock()
        if moment <= self._calm:
            return
        found = list(self._running.values())
        late = [now for now in found if moment > self._late(now)]
        # Who is late stays so until it ends, and is told of again.
        self._calm = -math.inf if late else min(map(self._late, found), default=math.inf)
        for now in late:
            yield now, moment - now.last

    def _late(self, now: Attempt) -> float:
        """From when on an attempt hangs, if it says nothing."""
        limit = self._hang_s or max(HANG_S, HANG_EPOCHS * now.longest)
        return now.last + (limit if now.spoke else max(limit, START_S))

    def fate(self, last: Event, *, stopping: bool) -> Fate:
        """What becomes of a trial whose attempt ended so.

        Args:
            last: the attempt's last event.
            stopping: the study is being stopped.
        """
        if last.kind == "failed" and last.data.get("kind") == "disk":
            return "disk full"
        if last.data.get("halved"):  # what failed is another attempt than the one to come
            self._tries[last.trial] -= 1
            return "later" if stopping else "again"
        if last.kind == "stopped":
            self._tries[last.trial] -= 1  # a machine was wanted back: that counts for nothing
            return "later"
        if last.kind == "lost" and stopping:
            return "later"
        if last.data.get("excused") and self._excused[last.trial] < EXCUSED:
            self._excused[last.trial] += 1
            self._tries[last.trial] -= 1
            return "again"
        if last.kind == "lost" and self._tries[last.trial] <= RETRIES:
            return "again"
        return "recorded"


def conclude(
    now: Attempt, last: Event, arm: Arm, sha256: str, provenance: Mapping[str, Any]
) -> Outcome:
    """The record of a trial whose last attempt ended with `last`.

    Args:
        now: the attempt.
        last: its last event.
        arm: the trial's.
        sha256: digest of the images it was trained with.
        provenance: where it ran.
    """
    trial = now.trial
    done = last.kind == "done"
    held = {key: last.data[key] for key in ("gpus",) if key in last.data}
    return Outcome(
        trial=trial.id,
        seed=trial.seed,
        kind=trial.kind,
        recipe=trial.recipe.model_dump(mode="json"),
        image=arm.shown,
        status="done" if done else "diverged" if last.kind == "diverged" else "failed",
        attempt=now.number,
        metrics=last.data["metrics"] if done else {},
        curve=tuple(now.curve),
        execution=last.data["execution"] if done else {},
        predictions=last.data["predictions"] if done else {},
        provenance={**provenance, **held, "data": sha256},
        failure=None if done else {k: str(v) for k, v in last.data.items() if k not in held},
        started_at=now.started,
        finished_at=last.at,
        elapsed_s=round(now.elapsed, 3),
    )


def superseded(made: Plan, home: Home) -> Iterator[str]:
    """Say which recorded trials mean something else by now; they are never trained again."""
    renamed = {trial.first_id: trial for trial in made.trials if trial.revised}
    # Whether one was begun is enough; a record that is damaged is of no concern here.
    if found := [trial for trial in renamed if home.attempts(trial)]:
        fields = sorted({field for trial in found for field in renamed[trial].revised})
        yield (
            f"{len(found)} trials on record were trained when {', '.join(fields)} meant something "
            "else (CHANGELOG.md): they stay there, and new ones take their places"
        )


def ended_well(outcome: Outcome) -> bool:
    """Whether a trial told what it was run for: a recipe that diverges is a bad one to choose."""
    tried = outcome.kind == "tune" and outcome.status == "diverged"
    return outcome.status == "done" or tried


def settled(outcome: Outcome, before: Outcome | None) -> bool:
    """Whether another attempt would only end the same way.

    A trial that diverges does so at the same step every time, on one machine. An exception that
    came twice in the same words comes a third time.

    Args:
        outcome: how the trial ended.
        before: how it had ended before it was tried again, if it was.
    """
    if outcome.status == "diverged":
        return True
    now, then = outcome.failure or {}, (before and before.failure) or {}
    return bool(now) and all(now.get(k) == then.get(k) for k in ("kind", "message"))
