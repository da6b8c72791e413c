"""Checkpoints while training goes on: copied in its thread, written by another."""

import copy
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from swinablate.training import checkpoint

log = logging.getLogger(__name__)
State = tuple[Path, int, dict[str, Any]]
"""What a run's checkpoint is made of: its folder, the training step, and the state."""


def nothing() -> None:
    """Told of a checkpoint of which nobody else is told."""


class Saver:
    """Writes checkpoints by time, one after the other, while the run goes on.

    As a context it ends when the last one is on the disk. What a write raised, the run raises
    when it next asks: `save`, `look`, `wait` or its end, whichever comes first.
    """

    def __init__(self, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._clock = every_s, clock
        self._last = clock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._wrote: Callable[[], None] = nothing

    @property
    def due(self) -> bool:
        """Whether the last state that was kept is old enough."""
        return self._clock() - self._last >= self._every_s

    def save(self, states: Iterable[State], wrote: Callable[[], None] = nothing) -> None:
        """Copy states, and have them written; where one is being written, wait for it first.

        A newer one does not replace it: a disk that is slower than the interval would then get
        no checkpoint whole, and memory holds one copy, not two.

        Args:
            states: of each run that trains here.
            wrote: called in this thread once it is known that they are on the disk.
        """
        self.wait()
        self._last = self._clock()
        copies = [(folder, step, on_host(state)) for folder, step, state in states]
        self._writing, self._wrote = self._thread.submit(_write, copies), wrote

    def look(self) -> None:
        """Tell of what has been written since, and raise what went wrong."""
        if self._writing is not None and self._writing.done():
            self.wait()

    def wait(self) -> None:
        """Wait for what is being written."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()
            self._wrote()

    def __enter__(self) -> "Saver":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        # In any case: the folder is another attempt's as soon as this one has ended.
        self._thread.shutdown()
        if error is None:
            self.wait()
        elif self._writing is not None and (other := self._writing.exception()) is not None:
            log.warning("and no checkpoint was written: %s", other)  # the first error is told


def _write(states: Iterable[State]) -> None:
    for folder, step, state in states:
        checkpoint.save(folder, step, state)


def on_host(state: dict[str, Any]) -> dict[str, Any]:
    """A copy in the host's memory that training does not change; the device is waited for once.

    Tensors that share their numbers go on sharing them.
    """
    copies: dict[tuple[Any, ...], Tensor] = {}

    def copied(value: Any) -> Any:
        if isinstance(value, Tensor):
            # Of the memory, not of the object: `state_dict` makes a new one at each name.
            key = (value.device, value.data_ptr(), value.dtype, value.shape, value.stride())
            if key not in copies or not value.numel():
                copies[key] = _queued(value)
            return copies[key]
        if isinstance(value, dict):
            twin = copy.copy(value)  # with its attributes: torch keeps versions of layers there
            twin.update((name, copied(inner)) for name, inner in value.items())
            return twin
        if isinstance(value, list):
            return [copied(inner) for inner in value]
        return value  # numbers, text, and tuples of them

    found: dict[str, Any] = copied(state)
    for device in {device for device, *_ in copies if device.type == "cuda"}:
        torch.cuda.current_stream(device).synchronize()
    return found


def _queued(value: Tensor) -> Tensor:
    """A copy whose numbers are there at the latest when the device has been waited for."""
    value = value.detach()
    if value.device.type == "cpu":
        return value.clone()
    pinned = value.device.type == "cuda"  # else each copy waits for the one before
    host = torch.empty_like(value, device="cpu", pin_memory=pinned)
    return host.copy_(value, non_blocking=pinned)
