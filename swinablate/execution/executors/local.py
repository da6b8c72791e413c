"""Warm worker processes on this machine, one a slot.

A worker starts with its first batch, keeps torch loaded between trials, and is replaced after
an error. Each is its own process group, so that a Ctrl-C in the terminal reaches the
coordinator alone, and so that killing it takes along whatever it started.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from swinablate.execution.executor import Executor, Slot
from swinablate.execution.processes import make_starter
from swinablate.execution.workers.lifeline import Guard
from swinablate.execution.workers.pool import Pool
from swinablate.records.events import Batch, Event


class Local:
    """A worker for every slot."""

    def __init__(self, slots: Sequence[Slot], logs: Path, _: Callable[[], bool]) -> None:
        self._slots = list(slots)
        self._pool = Pool(make_starter(slots, logs), logs, Guard())

    @property
    def free(self) -> int:
        """Slots without a batch: a worker of this machine is ready in moments."""
        return len(self._slots) - sum(w.batch is not None for w in self._pool.workers)

    def submit(self, batch: Batch) -> object:
        """Give the batch to an idle worker, or to a new one."""
        idle = [w for w in self._pool.workers if w.batch is None]
        return self._pool.give(idle[0] if idle else self._pool.start(self._next()), batch)

    def poll(self, timeout: float) -> list[Event]:
        """What the workers wrote."""
        return self._pool.hear(timeout)

    def cancel(self, handle: object) -> None:
        """Kill the worker; the next `poll` says that its jobs are lost."""
        self._pool.cancel(handle)

    def stop(self) -> None:
        """Tell every worker."""
        self._pool.stop()

    def close(self) -> None:
        """Kill every worker's process group."""
        self._pool.close()

    def _next(self) -> Slot:
        taken = {worker.slot.index for worker in self._pool.workers}
        return next(slot for slot in self._slots if slot.index not in taken)


EXECUTOR = Executor(open=Local)
