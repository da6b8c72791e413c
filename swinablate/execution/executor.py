"""What an executor is: something that runs batches on slots and hands back their events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from swinablate.config import plugins
from swinablate.errors import InputError
from swinablate.records.events import Batch, Event

if TYPE_CHECKING:
    from swinablate.study.plan import Plan

DIGITS = 10
"""Of a number of trials: no machine has so many."""
EXECUTORS = "swinablate.execution.executors"
PerGpu = int | Literal["auto"] | None
"""Trials at a time on each GPU: so many, as many as its memory is seen to hold, or one."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place where one batch runs at a time.

    Attributes:
        index: from 0.
        device: "cpu", or "cuda:N" as the coordinator counts devices; on another host "cuda:0",
            the one that the worker is given.
        further: GPUs of this machine besides, of a trial that trains on several.
        host: where it is; empty for this machine, and where a cluster has not said yet.
        measured: it is used only while the memory of its GPU is seen to suffice.
    """

    index: int
    device: str
    further: tuple[str, ...] = ()
    host: str = ""
    measured: bool = False


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a cluster is asked for.

    Attributes:
        slots: trials at a time; None takes what there is.
        threads: processors that a trial needs.
        nodes: None is one, or those of the allocation this process is in.
        gpus_per_node: one slot each; 0 trains on CPUs.
        time: limit of an allocation, as the cluster writes it; empty for the cluster's own.
        options: further words for the command that asks for an allocation.
        address: of the cluster; empty for the one that is found.
        gpus_per_trial: for each slot, 0.5 is half of one; 0 trains on CPUs.
        name: of the study, to be recognised in the cluster's queue.
        say: takes a line for the user.
    """

    slots: int | None = None
    threads: int = 1
    nodes: int | None = None
    gpus_per_node: int = 0
    time: str = ""
    options: tuple[str, ...] = ()
    address: str = ""
    gpus_per_trial: float = 0
    name: str = "study"
    say: Callable[[str], None] = print

    def about(self, plan: "Plan", slots: int | None, say: Callable[[str], None]) -> "Request":
        """The same for one study.

        Raises:
            InputError: a trial would train on several GPUs.
        """
        trains = [arm.recipe.train for arm in plan.arms]
        if self.gpus_per_node and max(train.world for train in trains) > 1:
            raise InputError(
                "a trial that trains on several GPUs runs on this machine only",
                at="train.world",
                hint="leave --executor out, or set train.world = 1",
            )
        threads = max(train.threads * train.world for train in trains)
        return replace(self, slots=slots, threads=threads, name=plan.study.name, say=say)

    @property
    def given(self) -> list[str]:
        """The options that only a cluster has."""
        found = {
            "--nodes": self.nodes,
            "--gpus-per-node": self.gpus_per_node,
            "--time": self.time,
            "--sbatch": self.options,
            "--address": self.address,
            "--gpus-per-trial": self.gpus_per_trial,
        }
        return [option for option, value in found.items() if value]


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
        the last ending of its jobs. A slot whose worker queues somewhere is not free until the
        worker says that it is ready: no trial waits where another could run it.
        """

    def submit(self, batch: Batch) -> object:
        """Start a batch on a free slot; returns its handle. Not after `stop`."""

    def poll(self, timeout: float) -> list[Event]:
        """Events since the last call; waits up to `timeout` seconds for the first.

        Raises:
            EnvironmentFault: there is nowhere to run any more.
        """

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
        slots: those that there will be, as far as is known; nothing is taken yet. None: this
            machine's.
        asked: the same executor for what a cluster is asked for; None: it takes no cluster.
        takes: the options of a request that it knows.
    """

    open: Callable[[Sequence[Slot], Path, Callable[[], bool]], Execution]
    slots: Callable[[], list[Slot]] | None = None
    asked: "Callable[[Request], Executor] | None" = None
    takes: frozenset[str] = frozenset()


def chosen(name: str, request: Request) -> Executor:
    """The executor of a name, ready for what is asked for.

    Raises:
        InputError: there is none, or it does not take an option that was given.
    """
    executor = plugins.load(EXECUTORS, name, Executor, at="--executor")
    for option in request.given:
        if option not in executor.takes:
            here = "runs on this machine" if executor.asked is None else "has no use for it"
            raise InputError(
                f"{option} is for a cluster, and {name!r} {here}",
                at="--executor",
                hint=f"add --executor {_who_takes(option)}, or leave it out",
            )
    return executor if executor.asked is None else executor.asked(request)


def fused(text: str) -> int | None:
    """Read `--fuse`: None chooses, 1 is off.

    Raises:
        InputError: neither auto nor off nor a number from 1.
    """
    if text == "auto":
        return None
    count = 1 if text == "off" else _number(text)
    if count < 1:
        raise InputError(
            f"expected auto, off or a number, got {text!r}",
            at="--fuse",
            hint="--fuse 8 trains up to 8 seeds of an arm as one graph",
        )
    return count


def per_gpu(text: str | None) -> PerGpu:
    """Read `--per-gpu`.

    Raises:
        InputError: neither auto nor a number from 1.
    """
    if text is None or text == "auto":
        return "auto" if text else None
    count = _number(text)
    if count < 1:
        raise InputError(
            f"expected auto or a number, got {text!r}",
            at="--per-gpu",
            hint="--per-gpu 2 trains two trials at a time on each GPU",
        )
    return count


def _number(text: str) -> int:
    """A whole number; 0 where it is none, or has more digits than anybody means."""
    return int(text) if text.isdecimal() and len(text) < DIGITS else 0


def _who_takes(option: str) -> str:
    names = plugins.names(EXECUTORS)
    takers = (name for name in names if option in plugins.load(EXECUTORS, name, Executor).takes)
    return " or ".join(takers)
