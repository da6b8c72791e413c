"""What a coordinator spends on many workers: real pipes and stores, workers that only talk.

python fleet.py FOLDER WORKERS TRIALS ENDED PACE STORE COPY runs a study of so many trials on so
many workers until so many have ended. A trial takes PACE seconds and tells of six epochs; PACE 0
ends it at once, so that the coordinator alone says how many end in a second. The workers are
played by one process, with a pipe to and from each. STORE is "sqlite", or the address of Optuna's;
COPY is "mlflow" where MLflow is told of it all afterwards, which its thread would do meanwhile,
else "alone". Prints what was seen, as JSON.
"""

import base64
import contextlib
import heapq
import json
import os
import resource
import selectors
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, NamedTuple, cast

from benchmarks.programs.queue import ARMS, EPOCHS, Silent, Untold, mirrored, study
from swinablate.execution.coordinator import Copy
from swinablate.execution.executor import Slot
from swinablate.execution.processes import Process
from swinablate.execution.run import Doors, Options, Run
from swinablate.execution.workers.crew import Crew, Probe
from swinablate.execution.workers.hello import versions
from swinablate.records.events import Batch, Event
from swinablate.records.home import Home
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan import Trial
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan

WARM = 20
"""Trials that are not timed: the first ones also fill caches of statements."""
SEEDS = 1_000
"""Of an arm: a study takes no more."""
IMAGES = 10_000
"""Test images of which a trial says whether it knew them: as many as CIFAR-10 has."""
RIGHT = base64.b64encode(bytes(IMAGES // 8)).decode()
"""Which: none."""
CHUNK = 1 << 16
"""All that a pipe of Linux holds by default."""

EVENTS = EPOCHS + 2
"""Of a trial: its start, its epochs, its end."""

Line = tuple[float, int, bytes]
"""When a worker says it, which worker, and what."""


class Players:
    """One process that plays all workers.

    Args:
        pipes: (its end of the batches, its end of the events) of each.
        pace: seconds of a trial.
        greeting: the first line of each.
    """

    def __init__(self, pipes: Sequence[tuple[int, int]], pace: float, greeting: bytes) -> None:
        self._pipes, self._pace = pipes, pace
        self._selector = selectors.DefaultSelector()
        self._buffers = dict.fromkeys(range(len(pipes)), b"")
        self._later: list[Line] = []
        for number, (batches, events) in enumerate(pipes):
            self._selector.register(batches, selectors.EVENT_READ, number)
            os.write(events, greeting)

    def play(self) -> None:
        """Until the input of all has ended."""
        while self._selector.get_map():
            wait = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
            for key, _ in self._selector.select(wait):
                self._hear(key.data, key.fd)
            while self._later and self._later[0][0] <= time.monotonic():
                _, number, line = heapq.heappop(self._later)
                with contextlib.suppress(OSError):  # the study has broken off
                    os.write(self._pipes[number][1], line)

    def _hear(self, number: int, batches: int) -> None:
        chunk = os.read(batches, CHUNK)
        if not chunk:
            self._selector.unregister(batches)
            os.close(self._pipes[number][1])
            return
        *lines, self._buffers[number] = (self._buffers[number] + chunk).split(b"\n")
        for line in lines:
            (job,) = json.loads(line)["jobs"]
            for said in told(job["trial"], job["attempt"], self._pace):
                heapq.heappush(self._later, (time.monotonic() + said[0], number, said[1]))


def told(trial: str, attempt: int, pace: float) -> list[tuple[float, bytes]]:
    """What a trial tells, and how many seconds after its start: lines as long as real ones."""
    recalls = {f"test/recall/{i}": 50.1234567890123 for i in range(10)}
    row = {
        "at": 1795699026356,
        "train/loss": 2.391943359375,
        "val/accuracy": 50.1234567890123,
        "time/epoch_s": 9.87654321098765,
        "time/images_per_s": 383.08144088522425,
        "time/cpu_s": 9.87654321098765,
        "memory/peak_mib": 513.2421875,
    }
    metrics = {"val/accuracy": 50.1, "train/loss": 2.2, "time/train_s": 59.3, "epochs": EPOCHS}
    done = {
        "metrics": {**metrics, "test/accuracy": 50.1234567890123, "test/loss": 2.2, **recalls},
        "predictions": {"sha256": trial, "images": IMAGES, "correct": RIGHT},
        "execution": {"device": "none", "type": "cpu", "precision": "fp32", "threads": 1},
    }
    events = [
        ("started", {"pid": 0, "device": "cpu"}),
        *(("epoch", {"epoch": n, **row}) for n in range(1, EPOCHS + 1)),
        ("done", done),
    ]
    # Epochs and end share the trial's time; two lines of one moment stay in their order.
    times = [0.0, *(pace * n / EPOCHS for n in range(1, EPOCHS + 1)), pace + 1e-6]
    lines = []
    for at, (kind, data) in zip(times, events, strict=True):
        said = {"trial": trial, "attempt": attempt, "kind": kind, "at": 1, "data": data}
        lines.append((at, json.dumps(said).encode() + b"\n"))
    return [(at + 1e-7 * i, line) for i, (at, line) in enumerate(lines)]


@dataclass(frozen=True)
class Starter:
    """Hands out the workers that are played already."""

    ends: Sequence[tuple[IO[bytes], IO[bytes]]]

    def start(self, slot: Slot, _log: IO[bytes]) -> Process:
        """The worker of a slot."""
        stdin, stdout = self.ends[slot.index]
        return Process(stdin, stdout, stdin.close, int, lambda: None, close=stdin.close)

    def close(self) -> None:
        """Nothing to do."""


class Enough(Exception):
    """As many trials as were wanted have ended."""


class Watch(Silent):
    """Looks at the clocks at the end of every trial."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []

    def happened(self, _: Trial, event: Event) -> None:
        """Look."""
        if event.kind == "done":
            self.marks.append(Mark(time.monotonic(), time.thread_time()))


class Fleet:
    """An execution on the played workers, as a cluster's; it tells of one event at a time.

    So it is where the coordinator is quicker than its workers: what it does once for every look at
    them, it does for every event.

    Args:
        ends: of the pipes.
        probe: a file that the workers have read.
        enough: asked for the trials that have ended; true where the study is to break off.
    """

    def __init__(
        self,
        ends: Sequence[tuple[IO[bytes], IO[bytes]]],
        probe: Probe,
        enough: Callable[[], bool],
    ) -> None:
        slots = [Slot(index=i, device="cpu") for i in range(len(ends))]
        self._crew = Crew(Starter(ends), slots, probe, "--executor fleet")
        self._enough = enough
        self._heard: deque[Event] = deque()
        self.sent = self.files = self._unheard = 0
        self._crew.staff()

    @property
    def free(self) -> int:
        """Workers without a batch, of whose ends the coordinator has heard."""
        return len(self._crew.idle) - self._unheard

    def submit(self, batch: Batch) -> object:
        """Give the batch to a worker."""
        self.sent = len(batch.dumps())
        return self._crew.give(batch)

    def poll(self, timeout: float) -> list[Event]:
        """The next of what the workers wrote.

        Raises:
            Enough: the study breaks off.
        """
        if self._enough():
            self.files = sum(1 for _ in Path("/proc/self/fd").iterdir())
            raise Enough
        if not self._heard:
            self._heard.extend(self._crew.hear(timeout))
            self._unheard = sum(one.kind == "done" for one in self._heard)
        found = [self._heard.popleft()] if self._heard else []
        self._unheard -= sum(one.kind == "done" for one in found)
        return found

    def cancel(self, handle: object) -> None:
        """Nothing hangs."""

    def stop(self) -> None:
        """Nobody stops it."""

    def close(self) -> None:
        """End every worker."""
        self._crew.close()


class Mark(NamedTuple):
    """A moment: seconds on the clock, and of this thread's processor time."""

    wall: float
    main: float


def play(probe: Path, workers: int, pace: float) -> tuple[int, list[tuple[IO[bytes], IO[bytes]]]]:
    """Start the process that plays the workers; returns its number, and the pipes' ends."""
    batches, events = zip(*((os.pipe(), os.pipe()) for _ in range(workers)), strict=True)
    pid = os.fork()
    if not pid:
        for (_, theirs), (here, _) in zip(batches, events, strict=True):
            os.close(theirs)
            os.close(here)
        own = [(b, e) for (b, _), (_, e) in zip(batches, events, strict=True)]
        Players(own, pace, greeting(probe)).play()
        os._exit(0)
    for (theirs, _), (_, here) in zip(batches, events, strict=True):
        os.close(theirs)
        os.close(here)
    ends: list[tuple[IO[bytes], IO[bytes]]] = [
        (os.fdopen(b, "wb"), os.fdopen(e, "rb"))
        for (_, b), (e, _) in zip(batches, events, strict=True)
    ]
    return pid, ends


def greeting(probe: Path) -> bytes:
    """What a worker says first."""
    said = {
        **versions(),
        "host": "played",
        "pid": 0,
        "probe": probe.read_text("utf-8"),
        "data": {},
    }
    return json.dumps({"ready": said}).encode() + b"\n"


def main() -> None:
    """Run one study, and tell of it."""
    folder, workers, trials, ended = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    pace, store, copy = float(sys.argv[5]), sys.argv[6], sys.argv[7]
    home = Home(folder / f"home-{workers}")
    home.create()
    probe = Probe(home.logs)
    pid, ends = play(probe.path, workers, pace)
    began = time.process_time()
    made = plan(load_study(study(folder, trials, max(ARMS, trials // SEEDS))))
    record = plan_record(made, {}, Noise(None, ""))
    planned = time.process_time() - began
    options = Options(slots=workers, storage=None if store == "sqlite" else store)
    watch = Watch()
    fleet = Fleet(ends, probe, lambda: len(watch.marks) >= ended)
    doors = replace(
        Doors.real(record, home, options),
        execution=lambda *_: fleet,
        slots=lambda: slots(workers),
        copy=lambda: cast("Copy", Untold()),
    )
    with contextlib.suppress(Enough):
        Run(made, record, home, options, watch, doors).run()
    os.waitpid(pid, 0)
    first, last, count = watch.marks[WARM], watch.marks[-1], len(watch.marks)
    kept = [path for path in home.trials.rglob("*") if path.is_file()]
    found = {
        "units": count - WARM - 1,
        "wall_s": last.wall - first.wall,
        "cpu_s": last.main - first.main,
        "plan_s": planned,
        "events": EVENTS,
        "bytes": fleet.sent + sum(len(line) for _, line in told("x" * 64, 1, pace)),
        "disk_bytes": sum(path.stat().st_size for path in kept) / count,
        "files": len(kept) / count,
        "open": fleet.files / workers,
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "mlflow_s": mirrored(home, record) if copy == "mlflow" else None,
    }
    print(json.dumps(found))


def slots(count: int) -> list[Slot]:
    """Places of the played workers."""
    return [Slot(index=i, device="cpu") for i in range(count)]


if __name__ == "__main__":
    main()
