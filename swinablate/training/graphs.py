"""Work on a GPU that repeats, as a CUDA graph: recorded once, then launched as one.

A small network's kernels are shorter than the time Python takes to launch them, so that a GPU
waits for Python in most of an eager step. A graph holds the same kernels on the same shapes: its
numbers are the eager ones bit for bit, which is checked on the step that records it, and what does
not pass goes on as before. Nothing of it is part of what a trial is.

Source: "CUDA semantics" of torch's documentation, section "CUDA Graphs".
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

EAGER = 3
"""Steps before one is recorded, as many as torch's documentation takes: libraries choose their
kernels in the first, and optimizers make their state."""
SETTLED = EAGER + 1
"""Steps until a step takes what it takes from then on."""
OFF = "SWINABLATE_CUDA_GRAPHS"
"""An environment variable: 0 leaves every step as it is written."""
KNOWN = ("swinablate", "torch", "torchvision", "timm")
"""Packages whose layers do the same at every step of training. A graph repeats what it saw: of a
layer that asks Python's own chance, or counts its calls, that would be one answer for ever."""
SHARE = 0.25
"""Of a GPU's memory, what a step that is recorded takes at most: a graph keeps that to itself, and
validation, and an eager step beside it, take as much again. What takes more computes for so long
that launching it costs nothing. A choice, not measured."""

Work = Callable[..., Tensor]


@runtime_checkable
class Recorder(Protocol):
    """What records: a GPU, or in tests something that behaves as one."""

    def stream(self) -> AbstractContextManager[None]:
        """Where work runs before it is recorded."""

    def watched(self) -> AbstractContextManager[None]:
        """What waits for the device inside fails: it cannot be recorded."""

    def record(self, work: Work, given: Sequence[Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Record `work` on these tensors, without doing it; how to do it, and where it answers."""

    def forked(self) -> AbstractContextManager[None]:
        """What is drawn inside is drawn again after it."""


class Device:
    """A GPU that records."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def stream(self) -> AbstractContextManager[None]:
        """A stream of its own: the default one cannot be recorded."""
        return _Aside(self._side, self.device)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have what waits for the device fail before it is recorded.

        A recording that it breaks off torch does not clean up: what that took is never given back,
        and nothing is recorded any more in this process, nor freed where memory runs short.
        """
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is experimental, and does not see all
            torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)

    def record(self, work: Work, given: Sequence[Tensor]) -> tuple[Callable[[], None], Tensor]:
        """Record `work` in memory that stays the graph's own.

        Raises:
            RuntimeError: that would be too much of it, or something cannot be recorded.
        """
        peak = torch.cuda.max_memory_allocated(self.device)
        taken = peak - torch.cuda.memory_allocated(self.device)
        if taken > SHARE * torch.cuda.get_device_properties(self.device).total_memory:
            raise RuntimeError(f"a step takes {taken >> 20} MiB, too much for a graph to keep")
        graph = torch.cuda.CUDAGraph()
        # Only this thread is recorded: others read images ahead and write checkpoints.
        with torch.cuda.graph(graph, stream=self._side, capture_error_mode="thread_local"):
            answer = work(*given)
        return graph.replay, answer

    def forked(self) -> AbstractContextManager[None]:
        """Keep this device's generator, and the CPU's."""
        return torch.random.fork_rng(devices=[self.device])


class _Aside:
    """A block on another stream, which the present one waits for at both ends."""

    def __init__(self, side: torch.cuda.Stream, device: torch.device) -> None:
        self._side, self._device = side, device
        self._inside = torch.cuda.stream(side)

    def __enter__(self) -> None:
        self._side.wait_stream(torch.cuda.current_stream(self._device))
        self._inside.__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: object) -> None:
        self._inside.__exit__(*error)
        torch.cuda.current_stream(self._device).wait_stream(self._side)


class Recorded:
    """Some work, recorded when it has been done a few times.

    Args:
        work: takes tensors of the same shapes every time, and returns one; what it changes
            besides is `changed`, what it makes is `made`.
        recorder: the device.
        changed: tensors that it writes to in place: running statistics.
        made: tensors that it leaves behind: gradients.
        adopt: takes those that a recorded step fills, in their order.

    Attributes:
        why: why it is not recorded, once that was tried in vain.
        steps: how often the graph did the work.
    """

    def __init__(
        self,
        work: Work,
        recorder: Recorder,
        *,
        changed: Callable[[], Sequence[Tensor]],
        made: Callable[[], Sequence[Tensor]],
        adopt: Callable[[Sequence[Tensor]], None],
    ) -> None:
        self._work, self._recorder = work, recorder
        self._changed, self._made, self._adopt = changed, made, adopt
        self._before = EAGER
        self._given: list[Tensor] = []
        self._filled: list[Tensor] = []
        self._answer: Tensor | None = None
        self._replay: Callable[[], None] | None = None
        self.why: str | None = None
        self.steps = 0

    def __call__(self, *given: Tensor) -> Tensor:
        """Do the work; what it returns is the caller's own."""
        if self._replay is not None:
            if self._fits(given):
                return self._repeat(given)
            self._forget("its batches differ in shape")
        if self.why is not None:
            return self._work(*given)
        if not self._before:
            return self._record(given)
        self._before -= 1
        with self._recorder.stream():
            answer = self._work(*given)
        return answer.clone()  # on the stream that reads it

    def _repeat(self, given: Sequence[Tensor]) -> Tensor:
        assert self._replay is not None
        assert self._answer is not None
        for held, new in zip(self._given, given, strict=True):
            held.copy_(new)
        self._replay()
        self._adopt(self._filled)
        self.steps += 1
        return self._answer.clone()  # the next step overwrites it

    def _fits(self, given: Sequence[Tensor]) -> bool:
        return len(given) == len(self._given) and all(
            held.shape == new.shape and held.dtype == new.dtype
            for held, new in zip(self._given, given, strict=True)
        )

    def _record(self, given: Sequence[Tensor]) -> Tensor:
        """Do the step as it is written, which counts; then record it, do it again, and compare.

        In this order, so that the step is done whether or not there is memory for a graph, and
        the graph's is not taken while the step needs as much.
        """
        before = [tensor.clone() for tensor in self._changed()]
        try:
            with self._recorder.forked(), self._recorder.watched():
                answer = self._work(*given)
        except RuntimeError as error:
            self._forget(_said(error))
        if self.why is not None:  # not in the handler, which holds what the step had made
            _put(self._changed(), before)
            return self._work(*given)
        made = list(self._made())
        found = [tensor.clone() for tensor in (answer, *made, *self._changed())]
        _put(self._changed(), before)
        try:
            self._given = [tensor.clone() for tensor in given]
            self._replay, self._answer = self._recorder.record(self._work, self._given)
            self._filled = list(self._made())
            self._replay()
            again = (self._answer, *self._filled, *self._changed())
            if not all(map(_same_bits, again, found)):
                self._forget("a graph gave other numbers")
        except RuntimeError as error:  # memory is short, or something cannot be recorded
            self._forget(_said(error))
        _put([*made, *self._changed()], found[1:])
        self._adopt(made)
        return answer

    def _forget(self, why: str) -> None:
        self.why, self._replay, self._answer = why, None, None
        self._given, self._filled = [], []


def _put(places: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for place, value in zip(places, values, strict=True):
        place.copy_(value)


def _said(error: RuntimeError) -> str:
    return str(error).partition("\n")[0]


def _same_bits(one: Tensor, other: Tensor) -> bool:
    # What is no number is the same as that, and as nothing else: not as 0, and not as infinity.
    return one.shape == other.shape and torch.allclose(one, other, 0.0, 0.0, equal_nan=True)


def recorder(device: torch.device, *networks: nn.Module) -> Recorder | None:
    """What records the training steps of networks on a device; None where nothing may.

    Args:
        device: where they train.
        networks: with layers of packages that are known, or of others.
    """
    if device.type != "cuda" or os.environ.get(OFF, "1") == "0":
        return None
    return Device(device) if all(map(steady, networks)) else None


def launched(work: object) -> dict[str, int]:
    """What a trial's execution says of its steps: that a graph did some of them."""
    return {"graph": 1} if isinstance(work, Recorded) and work.steps else {}


def warm(device: torch.device, least: int) -> int:
    """Steps until all take as long: `least`, or more where they are recorded."""
    return max(least, SETTLED) if device.type == "cuda" else least


def steady(network: nn.Module) -> bool:
    """Whether all layers of a network are known to do the same at every step."""
    return all(type(m).__module__.partition(".")[0] in KNOWN for m in network.modules())
