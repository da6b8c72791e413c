"""One trial at a time in the coordinator's own process: for debuggers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from swinablate.execution.executor import Executor, Slot
from swinablate.execution.worker import execute
from swinablate.records.events import Batch, Event


class Serial:
    """Runs a batch inside `poll`, from start to end."""

    def __init__(self, slots: Sequence[Slot], _: Path, stopping: Callable[[], bool]) -> None:
        self._device, self._stopping = slots[0].device, stopping
        self._waiting: list[Batch] = []

    @property
    def free(self) -> int:
        """One batch at a time."""
        return 1 - len(self._waiting)

    def submit(self, batch: Batch) -> object:
        """Keep the batch for the next `poll`."""
        jobs = tuple(replace(job, device=self._device) for job in batch.jobs)
        self._waiting.append(Batch(jobs=jobs))
        return batch

    def poll(self, timeout: float) -> list[Event]:
        """Run what waits, however long it takes."""
        if not self._waiting:
            time.sleep(timeout)
        events: list[Event] = []
        while self._waiting:
            execute(self._waiting.pop(), events.append, self._stopping)
        return events

    def cancel(self, handle: object) -> None:
        """Drop a batch that `poll` has not run; nothing runs between two polls."""
        self._waiting = [batch for batch in self._waiting if batch is not handle]

    def reattach(self, handle: object) -> bool:
        """Whether the batch still waits here; what ran in another process is gone with it."""
        return any(batch is handle for batch in self._waiting)

    def stop(self) -> None:
        """`stopping` says it already."""

    def close(self) -> None:
        """There are no processes to end."""


EXECUTOR = Executor("in this process, one trial at a time, for debugging", Serial)
