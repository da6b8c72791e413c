"""Warm worker processes on this machine, one a slot.

A worker starts with its first batch, keeps torch loaded between trials, and is replaced after
an error. Each is its own process group, so that a Ctrl-C in the terminal reaches the
coordinator alone, and so that killing it takes along whatever it started.
"""

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from swinablate.execution.executor import Executor, Slot
from swinablate.execution.lifeline import Guard
from swinablate.execution.processes import Process, make_starter
from swinablate.records.events import ENDINGS, Batch, Event, event

DUMP_S = 0.3
"""How long a worker may take to write its stack before it is killed; it takes milliseconds, of
which a loaded machine makes many."""


@dataclass
class Worker:
    """One worker process and the batch it runs, if any."""

    slot: Slot
    process: Process
    log: IO[bytes]
    batch: Batch | None = None
    unfinished: set[str] = field(default_factory=set)
    buffer: bytes = b""
    why: str = "killed"
    failed: bool = False
    watched: int | None = None
    stack: bool = False


class Local:
    """A worker for every slot."""

    def __init__(self, slots: Sequence[Slot], logs: Path, _: Callable[[], bool]) -> None:
        self._slots, self._logs = list(slots), logs
        self._workers: dict[int, Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._starter, self._guard = make_starter(slots, logs), Guard()

    @property
    def free(self) -> int:
        """Slots without a batch."""
        return len(self._slots) - sum(w.batch is not None for w in self._workers.values())

    def submit(self, batch: Batch) -> object:
        """Give the batch to an idle worker, or to a new one."""
        idle = [w for w in self._workers.values() if w.batch is None]
        worker = idle[0] if idle else self._start()
        device = "cpu" if worker.slot.device == "cpu" else "cuda:0"  # the one it sees
        batch = Batch(jobs=tuple(replace(job, device=device) for job in batch.jobs))
        worker.batch, worker.unfinished = batch, {job.trial for job in batch.jobs}
        self._send(worker, batch.dumps())
        return batch

    def poll(self, timeout: float) -> list[Event]:
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
        """Kill the worker; the next `poll` says that its jobs are lost."""
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
        """Kill every worker's process group."""
        for worker in list(self._workers.values()):
            worker.process.kill()
            self._forget(worker)
        self._selector.close()
        self._starter.close()
        self._guard.close()

    def _start(self) -> Worker:
        slot = next(s for s in self._slots if s.index not in self._workers)
        # Appended to: the workers of a slot follow each other, and the first may tell why.
        log = (self._logs / f"worker-{slot.index}.log").open("ab")
        worker = Worker(slot, self._starter.start(slot, log), log)
        self._selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        self._workers[slot.index] = worker
        self._watch(worker, worker.process.pid())
        return worker

    def _watch(self, worker: Worker, pid: int | None) -> None:
        """Let the guard kill the worker's group if this process ends before it."""
        if pid is not None and worker.watched is None:
            worker.watched = pid
            self._guard.watch(pid)

    def _ask_stack(self, worker: Worker) -> None:
        """Have a worker that hangs write its stack to its log; one that is stopped cannot."""
        pid, size = worker.process.pid(), _size(worker.log)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
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
            pass  # it died: its output ends too, and `poll` says so

    def _read(self, worker: Worker, chunk: bytes) -> list[Event]:
        # A chunk may end inside a line; its rest comes with the next.
        *lines, worker.buffer = (worker.buffer + chunk).split(b"\n")
        events = [Event.loads(line.decode()) for line in lines if line]
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

    def _lost(self, worker: Worker) -> list[Event]:
        code = self._forget(worker)
        told: dict[str, Any] = {
            "kind": worker.why,
            "message": f"the worker ended with {_how(code)}",
        }
        if worker.stack:
            told["message"] += f"; its stack is in {worker.log.name}"
        if code is None:
            told["excused"] = True
        jobs = worker.batch.jobs if worker.batch else ()
        return [event(job, "lost", told) for job in jobs if job.trial in worker.unfinished]

    def _forget(self, worker: Worker) -> int | None:
        del self._workers[worker.slot.index]
        self._selector.unregister(worker.process.stdout)
        code = worker.process.wait()
        if worker.watched is not None:
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
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


EXECUTOR = Executor(open=Local)
