"""The process that speaks Ray: the only door to it.

`python -m swinablate.execution.executors.ray FD` connects to a cluster, or starts one on this
machine, and makes an actor for every worker that the coordinator asks for. It is apart from the
coordinator because Ray ends the whole process of a driver whose cluster is lost, prints to its
standard error, and handles signals in its own way. When its socket ends, it ends the actors, and
the cluster if it started it.
"""

import contextlib
import json
import logging
import os
import queue
import re
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray

from swinablate.execution.executors.ray.actor import CHUNK, Post

log = logging.getLogger(__name__)

MESSAGE = 1 << 16
"""More than any message takes: an address, some names and paths."""
STORE_BYTES = 100_000_000
"""Of a cluster that is started here. Nothing is put there; Ray refuses less than 75 MiB."""
GRACE_S = 10.0
"""How long an actor may take to kill its worker, which takes milliseconds where its host lives."""
LOST_S = 40.0
"""How long to wait for Ray's own word on an actor that does not answer. Ray asks a host every 3 s
and gives it up after 5 answers that do not come within 10 s, or sooner where nothing listens."""
END_S = 20.0
"""How long the end may take: Ray stops the processes of a local cluster in 2 s on an idle
machine."""
LENGTH = 300
"""Letters of a message of Ray's that are enough to know it by; some tell of every process."""
EXCUSES = re.compile(r"node (has died|was terminated|is dead)|has been preempted|ray\.kill")
"""What no trial does."""
DEAD = re.compile(r"actor (?:is dead|died) because (.*)", re.DOTALL)


class Actor(Post):
    """The same where Ray runs it."""

    def node(self) -> str:
        """The id of its node; answered when it has been placed there."""
        return str(ray.get_runtime_context().get_node_id())


@dataclass
class Worker:
    """An actor under way.

    Attributes:
        stdin: of the coordinator's pipes, this one is read.
        stdout: this one is written.
        told: how the actor was told to end.
    """

    number: int
    asked: dict[str, Any]
    stdin: int
    stdout: int
    actor: Any = None
    started: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: bool = False
    told: str = ""


class Driver:
    """Actors of one study.

    Args:
        control: the coordinator's messages.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control, self._lock = control, threading.Lock()
        self._workers: dict[int, Worker] = {}
        self._messages: queue.Queue[tuple[dict[str, Any], list[int]] | None] = queue.Queue()

    def serve(self) -> None:
        """Do what is asked, until the coordinator is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        asked = self._messages.get()
        if asked is None:
            return
        try:
            address = connect(asked[0]["address"])
            self._say({"cluster": address, "nodes": nodes()})
        except Exception as error:
            log.warning("no cluster", exc_info=True)
            self._say({"refused": one_line(str(error))})
            return
        while (message := self._messages.get()) is not None:
            self._do(*message)
        for worker in list(self._workers.values()):
            kill_actor(worker)
        ray.shutdown()

    def _listen(self) -> None:
        """Take messages; with their end this process ends, whatever else it does."""
        while True:
            try:
                text, fds, _, _ = socket.recv_fds(self._control, MESSAGE, 3)
            except OSError:
                text, fds = b"", []
            if not text:
                break
            self._messages.put((json.loads(text), fds))
        self._messages.put(None)
        threading.Event().wait(END_S)
        os.killpg(0, signal.SIGKILL)

    def _do(self, message: dict[str, Any], fds: list[int]) -> None:
        if "start" in message:
            stdin, stdout = fds
            worker = Worker(message["start"], message, stdin, stdout)
            self._workers[worker.number] = worker
            worker.actor = make_actor(message)
            threading.Thread(target=self._live, args=(worker,), daemon=True).start()
            threading.Thread(target=self._feed, args=(worker,), daemon=True).start()
        elif "log" in message:
            os.dup2(fds[0], 2)
            os.close(fds[0])
        else:
            worker = self._workers[message["to"]]
            threading.Thread(target=self._tell, args=(worker, message["tell"])).start()

    def _live(self, worker: Worker) -> None:
        """From the actor's start to its end; what the worker writes goes to the coordinator."""
        code, why = None, ""
        try:
            code = self._heard(worker)
        except Exception as error:
            log.warning("worker %d is lost", worker.number, exc_info=True)
            why = reason(worker, error)
        self._finish(worker, code, why)
        kill_actor(worker)
        del self._workers[worker.number]
        os.close(worker.stdout)

    def _heard(self, worker: Worker) -> int:
        """Start the worker where Ray places it, and copy its output; returns its exit code."""
        node = ray.get(worker.actor.node.remote())
        host = next((found["name"] for found in nodes() if found["id"] == node), node)
        self._say({"placed": worker.number, "host": host})
        ray.get(worker.actor.start.remote(json.dumps(worker.asked | {"host": host})))
        worker.started.set()
        while chunk := ray.get(worker.actor.read.remote()):
            with contextlib.suppress(BrokenPipeError):  # it is not heard any more
                while chunk:
                    chunk = chunk[os.write(worker.stdout, chunk) :]
        return int(ray.get(worker.actor.wait.remote()))

    def _feed(self, worker: Worker) -> None:
        """Copy the coordinator's lines; their end ends the worker, or the wish for one."""
        with os.fdopen(worker.stdin, "rb", buffering=0) as lines, contextlib.suppress(Exception):
            while chunk := lines.read(CHUNK):
                if worker.started.is_set():  # before, nothing but a stop is said
                    ray.get(worker.actor.write.remote(chunk))
            if worker.started.is_set():
                ray.get(worker.actor.write.remote(b""))
            else:
                kill_actor(worker)

    def _tell(self, worker: Worker, what: str) -> None:
        """Hand on a signal; an actor that does not do it in time is killed, and not waited for."""
        if what == "kill":
            worker.told = "it was killed"
        try:
            if not worker.started.is_set():
                kill_actor(worker)
                return
            ray.get(worker.actor.tell.remote(what), timeout=GRACE_S)
        except Exception as error:  # noqa: BLE001  as in `_live`
            if what == "kill":
                kill_actor(worker)
                self._finish(worker, None, reason(worker, error, patience=0.0))

    def _finish(self, worker: Worker, code: int | None, why: str) -> None:
        """Say how it ended, then end its output."""
        with worker.lock:
            if worker.ended:
                return
            worker.ended = True
        excused = bool(EXCUSES.search(why))
        self._say({"ended": worker.number, "code": code, "why": why, "excused": excused})
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123  where a late chunk goes
            os.dup2(nothing.fileno(), worker.stdout)

    def _say(self, message: dict[str, Any]) -> None:
        with self._lock, contextlib.suppress(OSError):  # the coordinator is gone
            self._control.send(json.dumps(message).encode())


def connect(address: str) -> str:
    """Join a cluster, or start one here; returns what it is called.

    Args:
        address: Ray's; "local" starts one. Empty: that of `RAY_ADDRESS`, else one that runs on
            this machine, else "local".
    """
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "namespace": "swinablate",
    }
    address = address or os.environ.get("RAY_ADDRESS", "")
    if not address:
        try:
            return _called(ray.init("auto", **quiet), "auto")
        except ConnectionError:
            address = "local"
    if address == "local":
        here: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
        ray.init("local", **here, **quiet)
        return "this machine"
    return _called(ray.init(address, **quiet), address)


def _called(context: Any, address: str) -> str:
    known = getattr(context, "address_info", None) or {}
    return str(known.get("address") or address)


def nodes() -> list[dict[str, Any]]:
    """The hosts that are there, and what they have."""
    found = []
    for node in ray.nodes():
        if node["Alive"]:
            # Ray names a node by its address unless somebody gave it a name.
            named = node["NodeName"] not in {"", node["NodeManagerAddress"]}
            name = node["NodeName"] if named else node["NodeManagerHostname"]
            has = {key: node["Resources"].get(key, 0.0) for key in ("CPU", "GPU")}
            found.append({"id": node["NodeID"], "name": name, **has})
    return found


def make_actor(asked: dict[str, Any]) -> Any:
    """An actor, placed where there is room; nothing is tried again by Ray."""
    made: Any = ray.remote(Actor)
    options = made.options(
        name=asked["name"],
        num_cpus=asked["cpus"],
        num_gpus=asked["gpus"],
        max_restarts=0,
        max_task_retries=0,
        scheduling_strategy="SPREAD",  # two on one host would share its memory's speed
        max_concurrency=4,  # reads, writes, a signal and the wait for its end at the same time
    )
    return options.remote()


def kill_actor(worker: Worker) -> None:
    """End an actor, or the wish for one; its guard ends the worker."""
    with contextlib.suppress(Exception):  # it is gone, or the cluster
        ray.kill(worker.actor, no_restart=True)


def reason(worker: Worker, error: Exception, patience: float = LOST_S) -> str:
    """What Ray says of an actor's end, in one line."""
    if worker.told:
        return worker.told
    if patience and isinstance(error, ray.exceptions.ActorUnavailableError):
        try:
            ray.get(worker.actor.node.remote(), timeout=patience)
        except Exception as later:  # noqa: BLE001  that is what is asked for
            error = later
    text = str(error)
    found = DEAD.search(text)
    return one_line(found[1] if found else text)


def one_line(text: str) -> str:
    """A message of Ray's, which has many lines; the rest is in the log."""
    words = " ".join(text.split())
    return words if len(words) <= LENGTH else f"{words[:LENGTH]} ..."


def main(words: Sequence[str]) -> None:
    """Serve the coordinator at the other end of a socket."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the coordinator says what becomes of it
    Driver(socket.socket(fileno=int(words[0]))).serve()
    sys.stderr.flush()
    os._exit(0)  # threads may wait for what does not come any more
