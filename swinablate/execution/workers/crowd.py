"""How many trials train on a GPU at a time: as many as its memory is seen to hold.

A GPU begins with one trial. The next one is let in when the one before has taken its first steps,
if what is free then is more than any trial of the study has taken so far. Where memory runs out
all the same, the trial is tried again with fewer beside it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from swinablate.execution.executor import Slot
from swinablate.records.events import ENDINGS, Batch, Event

CONTEXT_MIB = 512.0
"""What a process takes of a GPU before torch counts its first byte: CUDA's context and the code of
its kernels, half a gigabyte on the GPUs of `execution.fusing`. A worker cannot see its own."""
GROWTH = 1.25
"""By how much a trial may take more than any before it: of an arm that has not run yet, and in its
evaluation. A choice, not measured; what it misses is met by trying again with fewer."""


@dataclass
class Gpu:
    """What is known of one GPU.

    Attributes:
        most: trials at a time at most; lower once memory has run out.
        allowed: trials at a time that it was seen to hold.
        running: slots that run a batch -> seconds so far, and seconds times share of the GPU.
        fresh: the slot whose batch has not taken its first steps yet, if there is one.
        free_mib: when the last batch had taken its first steps.
        peak_mib: the largest memory of a process of the study.
        since: when `running` was last brought up to date, seconds.
    """

    most: int
    allowed: int = 1
    running: dict[int, tuple[float, float]] = field(default_factory=dict)
    fresh: int | None = None
    free_mib: float = 0.0
    peak_mib: float = 0.0
    since: float = 0.0

    @property
    def admits(self) -> bool:
        """Whether one more batch may start now."""
        if self.fresh is not None or len(self.running) >= self.most:
            return False
        if len(self.running) < self.allowed:
            return True
        return self.peak_mib > 0 and self.free_mib > CONTEXT_MIB + GROWTH * self.peak_mib

    def begin(self, slot: int, now: float) -> None:
        """A batch starts."""
        self._count(now)
        self.running[slot], self.fresh = (0.0, 0.0), slot
        self.allowed = max(self.allowed, len(self.running))

    def stepped(self, slot: int, told: Mapping[str, float]) -> None:
        """A batch has taken its first steps, and says what it holds and what is free."""
        self.peak_mib = max(self.peak_mib, told["held_mib"])
        self.free_mib = told["free_mib"]
        self._settle(slot)

    def share(self, slot: int, now: float) -> float:
        """What share of the GPU a batch has had, over its time."""
        self._count(now)
        seconds, shared = self.running[slot]
        return shared / seconds if seconds else 1 / len(self.running)

    def end(self, slot: int) -> None:
        """A batch has ended; its share has been asked for."""
        del self.running[slot]
        self._settle(slot)

    def ran_out(self, present: int) -> None:
        """Memory did not suffice for so many processes; it is not tried with as many again."""
        self.most = max(1, min(self.most, present - 1))
        self.allowed = min(self.allowed, self.most)

    def _settle(self, slot: int) -> None:
        self.fresh = None if self.fresh == slot else self.fresh

    def _count(self, now: float) -> None:
        past, self.since = now - self.since, now
        for slot, (seconds, shared) in self.running.items():
            self.running[slot] = seconds + past, shared + past / len(self.running)


class Crowd:
    """The GPUs whose trials are let in by measured memory.

    Args:
        slots: of an executor; those that are `measured` are looked after, others are nobody's.
        clock: monotonic, seconds.
    """

    def __init__(self, slots: Sequence[Slot], clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is known of any GPU yet."""
        self._clock = clock
        self._device = {slot.index: slot.device for slot in slots if slot.measured}
        rooms = Counter(self._device.values())
        self.gpus = {device: Gpu(most=count) for device, count in rooms.items()}
        self._slot: dict[tuple[str, int], int] = {}

    def admits(self, slots: Iterable[Slot]) -> list[Slot]:
        """Those of the idle slots that may be given a batch now: one a GPU, if any."""
        found, given = list[Slot](), set[str]()
        for slot in slots:
            if not slot.measured:
                found.append(slot)
            elif slot.device not in given and self.gpus[slot.device].admits:
                given.add(slot.device)
                found.append(slot)
        return found

    def begin(self, slot: Slot, batch: Batch) -> Batch:
        """A batch starts on a slot; returns it as it is to be sent."""
        if not slot.measured:
            return batch
        self.gpus[slot.device].begin(slot.index, self._clock())
        self._slot |= {(job.trial, job.attempt): slot.index for job in batch.jobs}
        return Batch(jobs=tuple(replace(job, measured=True) for job in batch.jobs))

    def heard(self, events: Sequence[Event], present: Sequence[Slot]) -> list[Event]:
        """Take in events; returns them as they are to be told.

        Args:
            events: of all slots.
            present: slots that had a process when the events happened; one that is idle holds
                memory too.
        """
        processes = Counter(slot.device for slot in present)
        return [self._one(happened, processes) for happened in events]

    def _one(self, happened: Event, processes: Mapping[str, int]) -> Event:
        slot = self._slot.get((happened.trial, happened.attempt))
        if slot is None:
            return happened
        device = self._device[slot]
        gpu = self.gpus[device]
        if happened.kind == "stepped":
            gpu.stepped(slot, happened.data)
        if happened.kind not in ENDINGS:
            return happened
        del self._slot[happened.trial, happened.attempt]
        data = dict(happened.data)
        if device != "cpu":
            data["gpus"] = round(gpu.share(slot, self._clock()), 4)
        present = processes[device]
        if happened.kind == "failed" and data.get("kind") == "oom" and present > 1:
            gpu.ran_out(present)
            data["excused"] = True  # no fault of the arm: it may train alone
            data["message"] += f"; {present} processes held {device}, now at most {gpu.most} do"
        if slot not in self._slot.values():  # the last of those that train as one
            gpu.end(slot)
        return replace(happened, data=data)
