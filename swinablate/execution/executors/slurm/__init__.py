"""Warm workers on the nodes of a Slurm cluster, as steps of one allocation that the study holds.

A trial is given only to a worker that has said that it is ready; what queues, at whatever door
of Slurm's, is no slot. What the controller says of workers is not asked: they speak themselves.
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from swinablate.errors import EnvironmentFault, InputError, Interrupted, SwinablateError
from swinablate.execution.executor import Executor, Request, Slot
from swinablate.execution.executors.slurm import allocation as allocations
from swinablate.execution.executors.slurm.allocation import Allocation, Sight
from swinablate.execution.executors.slurm.commands import Node, Refused, check_installed, nodes
from swinablate.execution.executors.slurm.steps import Steps
from swinablate.execution.workers.crew import Crew, Probe
from swinablate.execution.workers.pool import Worker
from swinablate.records.events import Batch, Event

LEFT_S = 40.0
"""How long a slot stays empty whose worker had to leave: most likely its allocation ends, which
takes Slurm 30 s (KillWait), and who starts meanwhile is killed in the middle of a trial."""
TIME = re.compile(r"(\d+-)?\d+(:\d\d){0,2}|(?i:infinite|unlimited)")
"""minutes, h:m:s, days-h...  Source: sbatch(1), --time."""


class SlurmCluster:
    """What there is for a study on this cluster.

    Args:
        request: nodes, GPUs and time.
    """

    def __init__(self, request: Request) -> None:
        self._request, self._inside = request, os.environ.get("SLURM_JOB_ID", "")

    def slots(self) -> list[Slot]:
        """Those of the allocation we are in, or those that will be asked for."""
        request = self._request
        self._check()
        if self._inside:
            try:
                return slots_on(nodes(self._inside), request, None)
            except Refused as error:
                raise EnvironmentFault(
                    f"nothing is known of job {self._inside}: {error}",
                    at="SLURM_JOB_ID",
                    hint="unset it to have an allocation asked for",
                ) from None
        allocations.rehearse(request, self._tasks)
        count = (request.nodes or 1) * self._tasks
        device = "cuda:0" if request.gpus_per_node else "cpu"
        most = count if request.slots is None else min(count, request.slots)
        return [Slot(index=i, device=device) for i in range(most)]

    def open(self, slots: Sequence[Slot], logs: Path, _: Callable[[], bool]) -> "Slurm":
        """Ask for the allocation, if we are in none."""
        return Slurm(self._request, self._tasks, len(slots), logs, self._inside)

    @property
    def _tasks(self) -> int:
        """Workers a node."""
        request = self._request
        if request.gpus_per_node:
            return request.gpus_per_node
        return -(-(request.slots or 1) // (request.nodes or 1))

    def _check(self) -> None:
        request = self._request
        if request.time and not TIME.fullmatch(request.time):
            raise InputError(
                f"{request.time!r} is no time limit",
                at="--time",
                hint="as Slurm has it: 90 (minutes), 12:00:00, 2-00:00:00 (days)",
            )
        if request.slots is not None and request.slots < 1:
            raise InputError(
                f"{request.slots} slots run nothing", at="--slots", hint="give 1 or more"
            )
        check_installed()
        given = [option for option in request.given if option != "--gpus-per-node"]
        if self._inside and given:
            raise InputError(
                f"this runs in job {self._inside}, which has its nodes and its time",
                at=given[0],
                hint="leave it out, or unset SLURM_JOB_ID to have an allocation asked for",
            )


def slots_on(found: Sequence[Node], request: Request, tasks: int | None) -> list[Slot]:
    """A slot for every GPU, or for every so many processors; of all nodes in turn.

    Args:
        found: the nodes.
        request: what was asked for.
        tasks: workers a node at most; None: as many as fit.
    """
    gpus = any(node.gpus for node in found)
    rooms = {node: node.gpus if gpus else max(1, node.cpus // request.threads) for node in found}
    rooms = {node: room if tasks is None else min(tasks, room) for node, room in rooms.items()}
    turns = [(turn, node.name) for node, room in rooms.items() for turn in range(room)]
    names = [name for _, name in sorted(turns, key=lambda item: item[0])]
    device = "cuda:0" if gpus else "cpu"
    return [
        Slot(index=i, device=device, host=name) for i, name in enumerate(names[: request.slots])
    ]


def shares(found: Sequence[Node], slots: Sequence[Slot]) -> dict[str, tuple[int, int]]:
    """Host -> processors and MiB of one of its slots."""
    counts = {node.name: sum(slot.host == node.name for slot in slots) for node in found}
    return {
        node.name: (max(1, node.cpus // n), node.memory_mib // n)
        for node in found
        if (n := counts[node.name])
    }


class Slurm:
    """The workers of one study."""

    def __init__(self, request: Request, tasks: int, most: int, logs: Path, inside: str) -> None:
        self._request, self._tasks, self._most = request, tasks, most
        self.allocation = Allocation(request, tasks, inside)
        self._probe = Probe(logs, request.name)
        if not inside:
            request.say(f"job {self.allocation.job} is asked for: workers start when it does")
        self._crew: Crew | None = None
        self._why = ""
        self._renewed = self._progress = self._by_hand = False
        self._closed = self._stopped = False

    @property
    def free(self) -> int:
        """Workers that are ready and have nothing to do."""
        return 0 if self._crew is None or self._closed else len(self._crew.idle)

    def submit(self, batch: Batch) -> object:
        """Give the batch to a worker that is ready."""
        assert self._crew is not None
        return self._crew.give(batch)

    def poll(self, timeout: float) -> list[Event]:
        """What the workers wrote, while others are started where there is room."""
        if self._closed:
            return []
        sight = self.allocation.see()
        if sight.phase == "held" and self._crew is None:
            self._begin(sight)
        if sight.phase == "gone" and not self.workers and not self._stopped:
            self._renew(sight)
        if self._crew is None:
            self._say_why(sight)
            time.sleep(timeout)
            return []
        if sight.phase == "gone":
            self._end(self.workers)
        elif sight.phase == "held" and not self._stopped:
            self._crew.staff()
        events = self._crew.hear(timeout)
        self._progress |= any(happened.kind in {"checkpoint", "done"} for happened in events)
        return events

    def cancel(self, handle: object) -> None:
        """End the step; the next `poll` says that its jobs are lost."""
        if self._crew is not None:
            self._crew.cancel(handle)

    def stop(self) -> None:
        """Tell every worker."""
        self._stopped = True
        if self._crew is not None:
            self._crew.stop()

    def close(self) -> None:
        """End every worker's input, wait, then give the allocation back with all that is left."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._crew is not None:
                self._crew.close()
        finally:
            self.allocation.close()
            self._probe.remove()

    @property
    def workers(self) -> list[Worker]:
        """Those that run, ready or not."""
        return [] if self._crew is None or self._closed else self._crew.workers

    def _begin(self, sight: Sight) -> None:
        """The allocation is there: what it has is what is used."""
        inside = not self.allocation.ours
        found = slots_on(sight.nodes, self._request, None if inside else self._tasks)
        slots = found[: self._most]
        starter = Steps(
            self.allocation.job,
            self.allocation.name,
            shares(sight.nodes, slots),
            self._probe.words,
        )
        self._crew = Crew(
            starter,
            slots,
            self._probe,
            "--executor slurm",
            ended=self._look_back,
            say=self._request.say,
        )

    def _look_back(self, worker: Worker) -> float:
        """Doubt the allocation where a worker ended."""
        self.allocation.doubt()
        return LEFT_S if worker.leaving else 0.0

    def _say_why(self, sight: Sight) -> None:
        """Say what the allocation waits for, when that changes: it may be for ever."""
        if sight.reason not in {"", "None", self._why}:
            self._why = sight.reason
            self._request.say(f"job {self.allocation.job} waits: {sight.reason}")

    @staticmethod
    def _end(workers: Sequence[Worker]) -> None:
        """End those that have nothing to do where the allocation is said to be gone.

        Not what still trains: a controller that was killed may say so of a job that runs, and
        where it is true, the worker's end is heard, or its silence.
        """
        for worker in workers:
            if worker.batch is None:
                worker.process.kill()

    def _renew(self, sight: Sight) -> None:
        """The allocation is gone: ask for another one.

        Not again where the one before brought nothing, or where somebody cancels a second one.
        """
        reason = f" ({sight.reason})" * (sight.reason not in {"", "None"})
        ended = f"job {self.allocation.job} ended: {sight.name}{reason}"
        in_vain = self._renewed and (self._by_hand or not self._progress)
        if not self.allocation.ours or in_vain:
            raise _interrupted(ended)
        self._renewed, self._progress = True, False
        self._by_hand |= sight.name == "CANCELLED"
        if self._crew is not None:
            self._crew.close()
            self._crew = None
        self.allocation.close()
        try:
            self.allocation = Allocation(self._request, self._tasks)
        except SwinablateError as error:
            raise _interrupted(f"{ended}, and there is no other: {error.problem}") from error
        self._request.say(f"{ended}; job {self.allocation.job} is asked for instead")


def _interrupted(what: str) -> Interrupted:
    return Interrupted(
        what,
        at="--executor slurm",
        hint="the same command goes on where it was, in another allocation",
    )


def asked(request: Request) -> Executor:
    """The executor for a request."""
    cluster = SlurmCluster(request)
    return Executor(open=cluster.open, slots=cluster.slots, asked=asked, takes=TAKES)


def _open(slots: Sequence[Slot], logs: Path, stopping: Callable[[], bool]) -> Slurm:
    """On one node, with no wish but for so many slots."""
    return SlurmCluster(Request(slots=len(slots))).open(slots, logs, stopping)


TAKES = frozenset({"--nodes", "--gpus-per-node", "--time", "--sbatch"})
EXECUTOR = Executor(open=_open, asked=asked, takes=TAKES)
