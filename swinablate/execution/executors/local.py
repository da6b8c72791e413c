"""Warm worker processes on this machine, one a slot.

A worker starts with its first batch, keeps torch loaded between trials, and is replaced after
an error. Each is its own process group, so that a Ctrl-C in the terminal reaches the
coordinator alone, and so that killing it takes along whatever it started.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from swinablate.execution.executor import Executor, Slot
from swinablate.execution.processes import make_starter
from swinablate.execution.workers.crowd import Crowd
from swinablate.execution.workers.lifeline import Guard
from swinablate.execution.workers.pool import Pool
from swinablate.records.events import Batch, Event


class Local:
    """A worker for every slot."""

    def __init__(self, slots: Sequence[Slot], logs: Path, _: Callable[[], bool]) -> None:
        self._slots = list(slots)
        self._pool = Pool(make_starter(slots, logs), logs, Guard())

        self._crowd = Crowd(slots)

    @property
    def free(self) -> int:
        """Slots that may be given a batch: a worker of this machine is ready in moments."""
        return len(self._open())

    def submit(self, batch: Batch) -> object:
        """Give the batch to an idle worker, or to a new one."""
        slot = self._open()[0]
        idle = next((w for w in self._pool.workers if w.slot.index == slot.index), None)
        batch = self._crowd.begin(slot, batch)
        return self._pool.give(idle or self._pool.start(slot), batch)

    def poll(self, timeout: float) -> list[Event]:
        """What the workers wrote."""
        before = [worker.slot for worker in self._pool.workers]
        return self._crowd.heard(self._pool.hear(timeout), before)

    def cancel(self, handle: object) -> None:
        """Kill the worker; the next `poll` says that its jobs are lost."""
        self._pool.cancel(handle)

    def stop(self) -> None:
        """Tell every worker."""
        self._pool.stop()

    def close(self) -> None:
        """Kill every worker's process group."""
        self._pool.close()

    def _open(self) -> list[Slot]:
        """Slots that may be given a batch, those with an idle worker first."""
        workers = self._pool.workers
        idle = [worker.slot for worker in workers if worker.batch is None]
        taken = {worker.slot.index for worker in workers}
        return self._crowd.admits([*idle, *(s for s in self._slots if s.index not in taken)])


EXECUTOR = Executor(open=Local)
