"""A study run without workers, stores or servers: every way out of the process is scripted."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swinablate.execution.attempts import Attempts
from swinablate.execution.executor import Slot
from swinablate.execution.run import Doors, Options, Run, Summary
from swinablate.records.events import ENDINGS, Batch, Event, Job, event
from swinablate.records.home import Home
from swinablate.scheduling.owner import Owner
from swinablate.scheduling.queue import Ticket
from swinablate.study.noise.expected import Noise
from swinablate.study.plan import Plan
from swinablate.study.plan_record import plan_record

Step = tuple[str, dict[str, Any]] | Callable[[Job], "Event | None"]
"""An event's kind and data; or what else happens when it is this step's turn."""
Script = Callable[[Job], Sequence[Step]]
"""What comes of a job. Where it does not say how the job ends, the job hangs."""


def accuracy(job: Job) -> float:
    """A made-up result that depends on the seed and on whether the arm shifts."""
    shift = job.recipe["model"].get("shift", True)
    return 90.0 - 10.0 * (not shift) + 0.3 * (job.seed % 3)


def epoch(job: Job, number: int) -> Step:
    row = {"epoch": number, "at": 1, "train/loss": 1.0, "val/accuracy": accuracy(job)}
    return "epoch", {**row, "time/epoch_s": 1.0, "time/images_per_s": 9.0}


def done(job: Job) -> Step:
    final = {"test/accuracy": accuracy(job)} if job.kind == "final" else {}
    return "done", {
        "metrics": {"val/accuracy": accuracy(job), "train/loss": 1.0, **final},
        "execution": {"device": "scripted"},
        "predictions": {"sha256": job.trial, "images": 360} if final else {},
    }


def calm(job: Job) -> Sequence[Step]:
    """Two epochs and a result."""
    return [("started", {}), epoch(job, 1), epoch(job, 2), done(job)]


@dataclass
class Clock:
    """A monotonic clock that moves when it is told to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scripted:
    """An execution that does what a script says, one step of every batch at each poll."""

    slots: int
    script: Script
    clock: Clock
    stalled_s: float = 0.0  # how long a poll takes in which nothing happens
    submitted: list[Job] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    stops: int = 0
    closed: int = 0
    _steps: dict[int, dict[str, tuple[Job, Iterator[Step]]]] = field(default_factory=dict)
    _killed: dict[int, str] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return self.slots - len(self._steps)

    def submit(self, batch: Batch) -> object:
        handle = len(self.batches)
        self.batches.append(batch)
        self.submitted += batch.jobs
        self._steps[handle] = {job.trial: (job, iter(self.script(job))) for job in batch.jobs}
        return handle

    def poll(self, timeout: float) -> list[Event]:
        assert 0 < timeout <= 1
        found = [happened for handle in list(self._steps) for happened in self._step(handle)]
        if not found:
            self.clock.now += self.stalled_s
        return found

    def _step(self, handle: int) -> Iterator[Event]:
        for trial, (job, steps) in list(self._steps[handle].items()):
            if self.stops:
                found = event(job, "stopped")
            elif handle in self._killed:
                found = event(job, "lost", {"kind": self._killed[handle], "message": "it is gone"})
            else:
                step = next(steps, None)
                made = step(job) if callable(step) else step and event(job, step[0], step[1])
                if made is None:
                    continue
                found = made
            if found.kind in ENDINGS and found.attempt == job.attempt:
                del self._steps[handle][trial]
            yield found
        if not self._steps[handle]:
            del self._steps[handle]

    def cancel(self, handle: object) -> None:
        assert isinstance(handle, int)
        self.cancelled.append(handle)
        self._killed[handle] = "hung"

    def stop(self) -> None:
        self.stops += 1

    def close(self) -> None:
        self.closed += 1


class Tickets:
    """A queue in memory: what `scheduling.queue.Queue` is, without Optuna."""

    def __init__(self) -> None:
        self.waiting: list[Ticket] = []
        self.running: dict[str, Ticket] = {}
        self.ended: list[tuple[str, float | None, str]] = []
        self.reaped = self.closed = 0
        self.opening: Callable[[str], None] = lambda what: None
        self.most = 0  # how many ever waited at a time

    def put(self, tickets: Sequence[Ticket]) -> int:
        known = {t.trial for t in self.waiting} | self.running.keys()
        new = [t for t in tickets if t.trial not in known]
        self.waiting += new
        self.most = max(self.most, len(self.waiting))
        return len(new)

    def pop(self) -> Ticket | None:
        if not self.waiting:
            return None
        ticket = self.waiting.pop(0)
        self.running[ticket.trial] = ticket
        return ticket

    def done(self, ticket: Ticket, value: float | None, state: str) -> None:
        del self.running[ticket.trial]
        self.ended.append((ticket.trial, value, state))

    def reap(self) -> int:
        self.reaped += 1
        self.opening("reaped")
        return 0

    def close(self) -> None:
        self.closed += 1


class Shown:
    """What MLflow would be told, call by call."""

    def __init__(self) -> None:
        self.missed, self.gone = 0, False
        self.calls: list[tuple[str, str]] = []
        self.swept: set[str] | None = None
        self.within: float | None = -1.0  # not closed

    def sweep(self, waiting) -> None:
        self.swept = set(waiting)

    def begin(self, card) -> None:
        self.calls.append(("begin", card.trial))

    def epochs(self, trial, rows) -> None:
        self.calls.append((f"epochs {','.join(str(row['epoch']) for row in rows)}", trial))

    def stopped(self, trial, at) -> None:
        self.calls.append(("stopped", trial))

    def end(self, outcome) -> None:
        self.calls.append((f"end {outcome.status}", outcome.trial))

    def replay(self, card, outcome) -> None:
        assert card.reused
        self.calls.append(("replay", outcome.trial))

    def close(self, *, within: float | None = None) -> None:
        self.within = within

    def of(self, trial: str) -> list[str]:
        return [call for call, one in self.calls if one == trial]


class Heard:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.begun: tuple[int, int] | None = None
        self.expected: list[tuple[int, int, int]] = []
        self.events: Counter[str] = Counter()

    def begin(self, plan, recorded, slots) -> None:
        self.begun = len(recorded), slots

    def expect(self, done, trials, most) -> None:
        self.expected.append((done, trials, most))

    def happened(self, trial, event) -> None:
        self.events[event.kind] += 1

    def say(self, text) -> None:
        self.lines.append(text)


class Stage:
    """A home, and everything that a run of a study touches."""

    def __init__(self, home: Path, datasets: Path, made: Plan) -> None:
        home.mkdir(exist_ok=True)
        if not (home / "datasets").exists():
            (home / "datasets").symlink_to(datasets)
        self.home, self.plan = Home(home), made
        self.home.create()
        self.clock = Clock()
        self.execution: Scripted | None = None
        self.tickets, self.shown, self.heard = Tickets(), Shown(), Heard()
        self.gone = False
        self.owner: Owner | None = None
        self.opening: Callable[[str], None] = lambda what: None

    def run(self, script: Script = calm, *, slots: int = 2, stalled_s: float = 0.0, waiting: Sequence[Ticket] = (), elsewhere: Callable[[], list[Slot]] | None = None, **options: Any) -> Summary:  # fmt: skip
        self.tickets, self.shown, self.heard = Tickets(), Shown(), Heard()
        self.tickets.waiting += waiting
        self.execution = Scripted(slots, script, self.clock, stalled_s)
        self.shown.gone = self.gone
        self.tickets.opening = self.opening
        doors = Doors(
            execution=self._open,
            queue=self._queue,
            owner=self._owner,
            copy=self._copy,
            slots=elsewhere,
        )
        record = plan_record(self.plan, {}, Noise(None, ""))
        attempts = Attempts(self.clock, options.get("hang_timeout"))
        told = Options(slots=slots, **options)
        return Run(self.plan, record, self.home, told, self.heard, doors, attempts).run()

    def _queue(self) -> Tickets:
        self.opening("queue")
        return self.tickets

    @contextmanager
    def _owner(self, owner: Owner) -> Iterator[None]:
        self.owner = owner
        self.opening("owner")
        yield

    def _copy(self) -> Shown:
        self.opening("copy")
        return self.shown

    def _open(self, slots: Sequence[Slot], logs: Path, stopping: Callable[[], bool]) -> Scripted:
        assert self.execution is not None
        assert len(slots) == self.execution.slots
        assert logs == self.home.logs
        assert not stopping()
        self.opening("execution")
        return self.execution

    @property
    def ran(self) -> list[str]:
        """The trials that were submitted, in order, once for every attempt."""
        assert self.execution is not None
        return [job.trial for job in self.execution.submitted]

    def outcome(self, trial: str):
        found = self.home.outcome(trial)
        assert found is not None
        return found
