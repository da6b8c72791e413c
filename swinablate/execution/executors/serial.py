"""One trial at a time in the coordinator's own process: for debuggers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from swinablate.errors import InputError
from swinablate.execution.executor import Executor, Slot
from swinablate.execution.worker import execute
from swinablate.records.events import Batch, Event, event


class Serial:
    """Runs a batch inside `poll`, from start to end."""

    def __init__(self, slots: Sequence[Slot], _: Path, stopping: Callable[[], bool]) -> None:
        _check_in_a_row((slots[0].device, *slots[0].further))
        self._device, self._stopping = slots[0].device, stopping
        self._waiting: Batch | None = None
        self._cancelled = self._stopped = False

    @property
    def free(self) -> int:
        """One batch at a time."""
        return int(self._waiting is None)

    def submit(self, batch: Batch) -> object:
        """Keep the batch for the next `poll`."""
        assert self._waiting is None
        jobs = tuple(replace(job, device=self._device) for job in batch.jobs)
        self._waiting, self._cancelled = Batch(jobs=jobs), False
        return self._waiting

    def poll(self, timeout: float) -> list[Event]:
        """Run what waits, however long it takes."""
        batch, self._waiting = self._waiting, None
        if batch is None:
            time.sleep(timeout)
            return []
        if self._cancelled:
            lost = {"kind": "hung", "message": "it was cancelled before it began"}
            return [event(job, "lost", lost) for job in batch.jobs]
        events: list[Event] = []
        execute(batch, events.append, lambda: self._stopped or self._stopping())
        return events

    def cancel(self, handle: object) -> None:
        """Let the next `poll` give up what waits; nothing runs between two polls."""
        self._cancelled |= handle is self._waiting

    def stop(self) -> None:
        """Let what waits end at its first step; what runs asks `stopping`."""
        self._stopped = True

    def close(self) -> None:
        """Forget what waits; there are no processes to end."""
        self._waiting = None


def _check_in_a_row(devices: tuple[str, ...]) -> None:
    """Refuse GPUs of one trial with another between them, which this process sees too.

    A worker of its own sees no others, so that the trial's follow each other.
    """
    numbers = [int(device.partition(":")[2] or 0) for device in devices]
    if len(devices) > 1 and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise InputError(
            f"with this executor a trial's GPUs follow each other, not {', '.join(devices)}",
            at="--devices",
            hint="leave --executor out, or name GPUs in a row",
        )


EXECUTOR = Executor(open=Serial)
