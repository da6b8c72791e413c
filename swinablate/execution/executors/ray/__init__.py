"""Warm workers on a Ray cluster, one an actor: one that runs, or one of this machine alone.

Ray finds the machines, grows the cluster where that can grow, and counts processors and parts of
GPUs. All else is as anywhere: lines to and from our own workers, each given a trial only when it
is ready; nothing that Ray would start again by itself; its word never outranks the records.
"""

import importlib.util
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

from swinablate.errors import EnvironmentFault, InputError, Interrupted
from swinablate.execution.executor import Executor, Request, Slot
from swinablate.execution.executors.ray.link import Link, Node
from swinablate.execution.workers.crew import Crew, Probe
from swinablate.records.events import Batch, Event

AT = "--executor ray"


class RayCluster:
    """What there is for a study on a cluster. Joined once, when it is first asked.

    Args:
        request: its address, and what a worker needs.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._link: Link | None = None

    def slots(self) -> list[Slot]:
        """As many as were asked for, or as fit now."""
        request = self._request
        _check(request)
        found = self._joined().nodes()
        room = sum(rooms(node, request) for node in found)
        needs = f"{request.threads} processors" + (
            f" and {request.gpus_per_trial:g} GPUs" * bool(request.gpus_per_trial)
        )
        if not room and request.slots is None:
            raise EnvironmentFault(
                f"no node of this cluster has {needs}, which a trial needs",
                at=AT,
                hint="--slots N asks for N workers all the same, where a cluster can grow",
            )
        if not room:
            request.say(f"no node of this cluster has {needs} yet: workers wait for one")
        device = "cuda:0" if request.gpus_per_trial else "cpu"
        count = room if request.slots is None else request.slots
        return [Slot(index=i, device=device) for i in range(count)]

    def open(self, slots: Sequence[Slot], logs: Path, _: Callable[[], bool]) -> "Ray":
        """Ask for an actor a slot."""
        link, self._link = self._joined(), None
        link.nodes()
        self._unused.detach()
        return Ray(link, self._request, slots, logs)

    def _joined(self) -> Link:
        if self._link is None:
            if importlib.util.find_spec("ray") is None:
                raise EnvironmentFault(
                    "Ray is not installed", at=AT, hint="pip install 'swinablate[ray]'"
                )
            self._link = Link(self._request)
            self._unused = weakref.finalize(self, self._link.close)
        return self._link


def rooms(node: Node, request: Request) -> int:
    """How many workers fit on a node that has nothing else to do."""
    most = int(node.cpus // request.threads)
    if not request.gpus_per_trial:
        return most
    share = request.gpus_per_trial
    # No part of a GPU is put together from two: three workers of 0.4 need two GPUs.
    fit = node.gpus // share if share >= 1 else int(node.gpus) * int(1 / share + 1e-9)
    return min(most, int(fit))


class Ray:
    """The workers of one study."""

    def __init__(self, link: Link, request: Request, slots: Sequence[Slot], logs: Path) -> None:
        self._link, self._request = link, request
        link.write_to(logs / "ray.log")
        self._probe = Probe(logs, request.name)
        link.probe = self._probe.words
        self._crew = Crew(link, slots, self._probe, AT, say=request.say)
        self._closed = self._stopped = False

    @property
    def free(self) -> int:
        """Workers that are ready and have nothing to do."""
        return 0 if self._closed else len(self._crew.idle)

    def submit(self, batch: Batch) -> object:
        """Give the batch to a worker that is ready."""
        return self._crew.give(batch)

    def poll(self, timeout: float) -> list[Event]:
        """What the workers wrote, while others are started where there is room."""
        if self._closed:
            return []
        if self._link.gone and not self._crew.workers:
            raise Interrupted(
                "the cluster is lost: see logs/ray.log",
                at=AT,
                hint="the same command goes on where it was, when there is a cluster again",
            )
        if not self._stopped and not self._link.gone:
            self._crew.staff()
        return self._crew.hear(timeout)

    def cancel(self, handle: object) -> None:
        """Kill the worker; the next `poll` says that its jobs are lost."""
        self._crew.cancel(handle)

    def stop(self) -> None:
        """Tell every worker."""
        self._stopped = True
        self._crew.stop()

    def close(self) -> None:
        """End every worker's input, wait, then end the actors, and a cluster that is ours."""
        if self._closed:
            return
        self._closed = True
        try:
            self._crew.close()
        finally:
            self._link.close()
            self._probe.remove()


def _check(request: Request) -> None:
    if request.slots is not None and request.slots < 1:
        raise InputError(f"{request.slots} slots run nothing", at="--slots", hint="give 1 or more")
    share = request.gpus_per_trial
    if share < 0 or (share > 1 and share != int(share)):
        raise InputError(
            f"a trial cannot have {share:g} GPUs",
            at="--gpus-per-trial",
            hint="a part of one (0.5), one, or 0 to train on CPUs",
        )


def asked(request: Request) -> Executor:
    """The executor for a request."""
    cluster = RayCluster(request)
    return Executor(open=cluster.open, slots=cluster.slots, asked=asked, takes=TAKES)


def _open(slots: Sequence[Slot], logs: Path, stopping: Callable[[], bool]) -> Ray:
    """On the cluster of `RAY_ADDRESS`, of this machine, or a new one."""
    return RayCluster(Request(slots=len(slots))).open(slots, logs, stopping)


TAKES = frozenset({"--address", "--gpus-per-trial"})
EXECUTOR = Executor(open=_open, asked=asked, takes=TAKES)
