"""What an executor is: something that runs batches on slots and hands back their events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from swinablate.records.events import Batch, Event


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place where one batch runs at a time.

    Attributes:
        index: from 0.
        device: "cpu", or "cuda:N" as the coordinator counts devices.
    """

    index: int
    device: str


class Execution(Protocol):
    """Batches under way.

    Handles are opaque. For every submitted job `poll` eventually returns exactly one event
    whose kind is in `events.ENDINGS`; a job whose process vanished ends with "lost".
    """

    @property
    def free(self) -> int:
        """How many batches may be submitted now."""

    def submit(self, batch: Batch) -> object:
        """Start a batch on a free slot; returns its handle."""

    def poll(self, timeout: float) -> list[Event]:
        """Events since the last call; waits up to `timeout` seconds for the first."""

    def cancel(self, handle: object) -> None:
        """End a batch now; its jobs end with "lost"."""

    def reattach(self, handle: object) -> bool:
        """Take over a batch that an earlier coordinator submitted; False if it is gone."""

    def stop(self) -> None:
        """Ask every batch to write a checkpoint and end with "stopped"."""

    def close(self) -> None:
        """End every process at once. No events after this."""


@dataclass(frozen=True)
class Executor:
    """An executor, as `launch/<name>.py` offers it.

    Attributes:
        what: one line for `--help`.
        open: (slots, folder for logs, "is a stop wanted?") -> an execution.
    """

    what: str
    open: Callable[[Sequence[Slot], Path, Callable[[], bool]], Execution]
