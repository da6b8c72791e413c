"""Workers under way: what they are given, what they say, and what becomes of their batches.

How a worker is started is a starter's business: all that is needed of it here are its pipes.
"""

import contextlib
import json
import os
import selectors
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from swinablate.execution.executor import Slot
from swinablate.execution.processes import Process, Starter
from swinablate.execution.workers.courier import BEGINS
from swinablate.execution.workers.lifeline import Guard, signal_name
from swinablate.records.events import ENDINGS, Batch, Event, Job, event

DUMP_S = 0.3
"""How long a worker may take to write its stack before it is killed; it takes milliseconds, of
which a loaded machine makes many."""


@dataclass
class Worker:
    """One worker process and the batch it runs, if any.

    Attributes:
        said: what it is, said when it is ready; one that this machine forks need not.
        leaving: it ends with its batch, and takes no other.
        watched: its number, known to the guard.
        stack: it wrote its stack to its log.
    """

    slot: Slot
    process: Process
    log: IO[bytes]
    batch: Batch | None = None
    unfinished: set[str] = field(default_factory=set)
    buffer: bytes = b""
    why: str = "killed"
    said: Mapping[str, Any] = field(default_factory=dict)
    leaving: bool = False
    failed: bool = False
    watched: int | None = None
    stack: bool = False


class Pool:
    """A worker a slot at most.

    Args:
        starter: starts them.
        logs: an existing folder.
        guard: kills their groups if this process ends before them; None where they are not
            this machine's.
        greet: called with what a worker says of itself when it is ready; may refuse it.
            None where workers say nothing.
        keep: called with what a worker sends of a checkpoint, and the job that it is of.

    Attributes:
        ended: workers of a cluster that have ended, until somebody takes note of them.
    """

    def __init__(
        self,
        starter: Starter,
        logs: Path,
        guard: Guard | None = None,
        greet: Callable[[Slot, Mapping[str, Any]], None] | None = None,
        keep: Callable[[Mapping[str, Any], Job], None] | None = None,
    ) -> None:
        self._starter, self._logs, self._guard, self._greet = starter, logs, guard, greet
        self._keep = keep
        self._workers: dict[int, Worker] = {}
        self.ended: list[Worker] = []
        self._selector = selectors.DefaultSelector()

    @property
    def workers(self) -> list[Worker]:
        """Those that run."""
        return list(self._workers.values())

    def start(self, slot: Slot) -> Worker:
        """Start a worker on a slot that has none."""
        assert slot.index not in self._workers
        # Appended to: the workers of a slot follow each other, and the first may tell why.
        log = (self._logs / f"worker-{slot.index}.log").open("ab")
        worker = Worker(slot, self._starter.start(slot, log), log)
        self._selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        self._workers[slot.index] = worker
        self._watch(worker, worker.process.pid())
        return worker

    def give(self, worker: Worker, batch: Batch, before: Iterable[str] = ()) -> object:
        """Let an idle worker run a batch, and send some lines before; returns its handle."""
        device = "cpu" if worker.slot.device == "cpu" else "cuda:0"  # the one it sees
        batch = Batch(jobs=tuple(replace(job, device=device) for job in batch.jobs))
        worker.batch, worker.unfinished = batch, {job.trial for job in batch.jobs}
        for line in (*before, batch.dumps()):
            self._send(worker, line)
        return batch

    def hear(self, timeout: float) -> list[Event]:
        """Read what the workers wrote; a worker whose output ended is gone."""
        events: list[Event] = []
        if not self._workers:
            time.sleep(timeout)
            return events
        for key, _ in self._selector.select(timeout):
            worker: Worker = key.data
            # All that a pipe of Linux holds by default; one that holds more is read again.
            chunk = os.read(worker.process.stdout.fileno(), 1 << 16)
            events += self._read(worker, chunk) if chunk else self._lost(worker)
        return events

    def cancel(self, handle: object) -> None:
        """Kill the worker; what is heard next says that its jobs are lost."""
        for worker in self._workers.values():
            if worker.batch is not None and worker.batch is handle:
                if worker.why != "hung":
                    worker.why = "hung"
                    self._ask_stack(worker)
                worker.process.kill()

    def stop(self) -> None:
        """Tell every worker."""
        for worker in self._workers.values():
            self._send(worker, '{"stop": true}')

    def close(self) -> None:
        """End every worker, and wait for all of them together."""
        for worker in self.workers:
            (worker.process.close or worker.process.kill)()
        for worker in self.workers:
            self._forget(worker)
        self._selector.close()
        self._starter.close()
        if self._guard is not None:
            self._guard.close()

    def _watch(self, worker: Worker, pid: int | None) -> None:
        """Let the guard kill the worker's group if this process ends before it."""
        if self._guard is not None and pid is not None and worker.watched is None:
            worker.watched = pid
            self._guard.watch(pid)

    def _ask_stack(self, worker: Worker) -> None:
        """Have a worker that hangs write its stack to its log; one that is stopped cannot."""
        pid, size = worker.process.pid(), _size(worker.log)
        if worker.process.ask_stack is not None:
            worker.process.ask_stack()
        elif pid is None:
            return
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, worker.process.stack)
        for _ in range(10):
            time.sleep(DUMP_S / 10)
            before, size = size, _size(worker.log)
            if worker.stack and size == before:
                return
            worker.stack |= size > before

    def _send(self, worker: Worker, line: str) -> None:
        try:
            worker.process.stdin.write(line.encode() + b"\n")
            worker.process.stdin.flush()
        except BrokenPipeError:
            pass  # it died: its output ends too, and `hear` says so

    def _read(self, worker: Worker, chunk: bytes) -> list[Event]:
        # A chunk may end inside a line; its rest comes with the next.
        *lines, worker.buffer = (worker.buffer + chunk).split(b"\n")
        events = [
            Event.loads(line.decode())
            for line in lines
            if line and not (self._greet and self._of_itself(worker, line))
        ]
        for happened in events:
            if happened.kind == "started":
                self._watch(worker, happened.data["pid"])
            if happened.kind in ENDINGS:
                worker.unfinished.discard(happened.trial)
        if not worker.unfinished:
            worker.batch = None
        worker.failed |= any(happened.kind == "failed" for happened in events)
        spoilt = worker.failed or worker.why == "hung"
        if spoilt and not worker.unfinished:
            worker.process.kill()  # an error may have left the process in any state
            self._forget(worker)
        return events

    def _of_itself(self, worker: Worker, line: bytes) -> bool:
        """Whether a line tells of the worker, and not of a trial."""
        if line.startswith(b'{"ready"'):
            assert self._greet is not None
            worker.said = json.loads(line)["ready"]
            self._greet(worker.slot, worker.said)
            return True
        if line.startswith(BEGINS.encode()):
            told = json.loads(line)["kept"]
            for job in worker.batch.jobs if worker.batch and self._keep else ():
                if (job.trial, job.attempt) == (told["trial"], told["attempt"]):
                    assert self._keep is not None
                    self._keep(told, job)
            return True
        leaving = line.startswith(b'{"leaving"')
        # One that is ended for hanging hears our signal, not that of a cluster.
        worker.leaving |= leaving and worker.why != "hung"
        return leaving

    def _lost(self, worker: Worker) -> list[Event]:
        code = self._forget(worker)
        end = worker.process.end()
        told: dict[str, Any] = {
            "kind": worker.why,
            "message": f"the worker{worker.process.where()} ended with "
            f"{end.how or _how(code)}{end.why}",
        }
        if worker.stack:
            told["message"] += f"; its stack is in {worker.log.name}"
        unknown = code is None and not end.how
        if unknown or worker.leaving or (end.excused and worker.why != "hung"):
            told["excused"] = True
        jobs = worker.batch.jobs if worker.batch else ()
        return [event(job, "lost", told) for job in jobs if job.trial in worker.unfinished]

    def _forget(self, worker: Worker) -> int | None:
        del self._workers[worker.slot.index]
        if self._greet is not None:
            self.ended.append(worker)
        self._selector.unregister(worker.process.stdout)
        code = worker.process.wait()
        if worker.watched is not None and self._guard is not None:
            self._guard.forget(worker.watched)
        worker.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            worker.process.stdin.close()
        worker.log.close()
        return code


def _size(log: IO[bytes]) -> int:
    return os.fstat(log.fileno()).st_size


def _how(code: int | None) -> str:
    """What a process ended with, in words."""
    if code is None:
        return "the process that forked it; see logs/forkserver.log"
    return signal_name(-code) if code < 0 else f"exit code {code}"
