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

    What `tests/conformance/test_executors.py` asks of every executor:

    - For every submitted job, `poll` returns exactly one event whose kind is in
      `events.ENDINGS`, and none of that job after it, whatever becomes of its process.
    - Events of a job come in the order in which they happened; each names its trial and attempt.
    - What ends with "lost" says what became of it: kind "hung" after `cancel`, else "killed",
      with how its process ended in the message.
    - After any ending the slot takes the next batch, whose numbers do not depend on what ran
      there before.

    Handles are opaque, and of one batch only: when its slot runs another, the old one means
    nothing.
    """

    @property
    def free(self) -> int:
        """How many batches may be submitted now.

        A batch of any number of jobs takes one slot, from `submit` until `poll` has returned
        the last ending of its jobs.
        """

    def submit(self, batch: Batch) -> object:
        """Start a batch on a free slot; returns its handle. Not after `stop`."""

    def poll(self, timeout: float) -> list[Event]:
        """Events since the last call; waits up to `timeout` seconds for the first."""

    def cancel(self, handle: object) -> None:
        """End a batch now; `poll` says that its jobs are lost. Harmless where it has ended."""

    def stop(self) -> None:
        """Ask every batch to write a checkpoint and end with "stopped".

        From that checkpoint another attempt goes on to the numbers of an undisturbed run.
        """

    def close(self) -> None:
        """End every process at once, and let go of every file. No events after this."""


@dataclass(frozen=True)
class Executor:
    """An executor, as `executors/<name>.py` offers it.

    Attributes:
        open: (slots, folder for logs, "is a stop wanted?") -> an execution.
    """

    open: Callable[[Sequence[Slot], Path, Callable[[], bool]], Execution]
