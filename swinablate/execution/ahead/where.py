"""Where a study would run: the slots that an executor offers, before anything is asked for."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from swinablate.execution.devices import check_here, slots_of
from swinablate.execution.executor import Execution, Executor, PerGpu, Request, Slot, chosen
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.scheduling.cost import Place
from swinablate.study.plan import Plan
from swinablate.training.machine import device_name


@dataclass(frozen=True, kw_only=True)
class Where:
    """What the command line says of it.

    Attributes:
        slots: trials at a time; None is as many as fit.
        devices: as `--devices` says.
        per_gpu: trials at a time on each GPU, instead of `slots`; "auto" counts as one, as
            nobody knows before it runs how many fit.
        executor: its name.
        cluster: what it would be asked for.
        say: takes a line for the user.
    """

    slots: int | None = None
    devices: str = "auto"
    per_gpu: PerGpu = None
    executor: str = "local"
    cluster: Request = field(default_factory=Request)
    say: Callable[[str], None] = print

    def found(self, plan: Plan) -> "Found":
        """The slots that a study would have; nothing is taken.

        Raises:
            InputError: a device that does not exist, no slot at all, or what the cluster refuses.
            EnvironmentFault: there is no cluster.
        """
        check_here(self.per_gpu, self.executor)
        request = self.cluster.about(plan, self.slots, self.say)
        executor = chosen(self.executor, request)
        per_gpu = 1 if self.per_gpu == "auto" else self.per_gpu
        slots = slots_of(executor.slots, plan, self.slots, self.devices, per_gpu)
        if executor.slots is None:
            return Found(executor, slots, place_of(slots))
        gpus = len(slots) * (request.gpus_per_trial or 1.0) * (slots[0].device != "cpu")
        kind = "GPUs" if gpus else "CPUs"
        place = Place(device=f"{kind} of {self.executor}", slots=len(slots), gpus=gpus)
        return Found(executor, slots, place)


@dataclass(frozen=True)
class Found:
    """Slots, and what they are called."""

    executor: Executor
    slots: Sequence[Slot]
    place: Place

    def model(self, outcomes: Iterable[Outcome]) -> str:
        """The model of the device that recorded trials tell of.

        Which one a cluster will give is not known: most likely the one that most trials ran on.
        """
        if self.executor.slots is None:
            return self.place.device
        kind = "cuda" if self.place.gpus else "cpu"
        ran = [one.execution for one in outcomes if one.execution.get("type") == kind]
        models = Counter(str(one["device"]) for one in ran if "device" in one)
        return models.most_common(1)[0][0] if models else self.place.device

    @contextmanager
    def opened(self, home: Home) -> Iterator[Execution]:
        """Its workers; a cluster is asked for them, and given back what it gave."""
        home.create()
        opened = self.executor.open(self.slots, home.logs, lambda: False)
        try:
            yield opened
        finally:
            opened.close()


def place_of(slots: Sequence[Slot]) -> Place:
    """Where trials will run, in a word; of several models, the first one's."""
    device = torch.device(slots[0].device)
    devices = {device for slot in slots for device in (slot.device, *slot.further)}
    gpus = devices - {"cpu"}
    return Place(device=device_name(device), slots=len(slots), gpus=len(gpus))
