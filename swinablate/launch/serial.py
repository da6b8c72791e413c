"""One trial at a time in the coordinator's own process: for debuggers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from swinablate.events import Batch, Event
from swinablate.executor import Executor, Slot
from swinablate.worker import execute


class Serial:
    """Runs a batch inside `poll`, from start to end."""

    def __init__(self, slots: Sequence[Slot], logs: Path, stopping: Callable[[], bool]) -> None:
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
        """Run what waits; `timeout` does not apply."""
        events: list[Event] = []
        while self._waiting:
            execute(self._waiting.pop(), events.append, self._stopping)
        return events

    def cancel(self, handle: object) -> None:
        """Nothing runs between two polls."""

    def reattach(self, handle: object) -> bool:
        """Never: what ran in another process is gone with it."""
        return False

    def stop(self) -> None:
        """`stopping` says it already."""

    def close(self) -> None:
        """There are no processes to end."""


EXECUTOR = Executor("in this process, one trial at a time, for debugging", Serial)
