"""Losses that leave the real numbers: seen soon, and named by the step where it happened.

Reading a loss waits for the device. On a GPU that every step would cost the head start that
training has over the device, so the losses stay there and are looked at now and then; since the
single losses are kept until they were looked at, the step is exact however late one looks.
"""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

LOOK_S = 2.0
"""How long the losses of a GPU stay unseen at most, but for a step that takes longer.

A look waits for what the device has still to do, milliseconds of these two seconds. On a CPU
every loss is there when its step ends, and reading it costs microseconds: every step looks."""


class Losses:
    """The losses of the epoch under way that nobody has looked at yet.

    One number a step, or one a replica; nothing is computed of them until there is a look.
    """

    def __init__(self, device: torch.device, clock: Callable[[], float] = time.monotonic) -> None:
        """None so far."""
        self._every = 0.0 if device.type == "cpu" else LOOK_S
        self._clock, self._last = clock, clock()
        self._kept: list[Tensor] = []

    def add(self, loss: Tensor) -> bool:
        """Keep the loss of a step.

        Returns:
            Whether it is time to look.
        """
        self._kept.append(loss.detach())
        return self._clock() - self._last >= self._every

    def look(self, *, epoch: int, step: int) -> list[str | None]:
        """Find the first step whose loss is no number; this waits for the device.

        Args:
            epoch: the one under way, from 0.
            step: steps done in it.

        Returns:
            Of every replica why it diverged; None where it did not.
        """
        if not self._kept:
            return []
        rows = torch.stack(self._kept).reshape(len(self._kept), -1).T.tolist()
        first = step - len(self._kept) + 1
        self._kept.clear()
        self._last = self._clock()
        return [_told(row, epoch, first) for row in rows]


def _told(losses: list[float], epoch: int, first: int) -> str | None:
    for step, loss in enumerate(losses, first):
        if not math.isfinite(loss):
            return f"the loss of step {step} in epoch {epoch + 1} is {loss}"
    return None
