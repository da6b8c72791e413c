"""The coordinator's end: a driver process, asked for workers, whose pipes are handed to it."""

import contextlib
import json
import os
import secrets
import select
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from swinablate.errors import EnvironmentFault
from swinablate.execution.executor import Request, Slot
from swinablate.execution.processes import End, Process, environment
from swinablate.execution.workers.lifeline import kill_group, reap

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray warns of what it will do without it
    "PYTHONUNBUFFERED": "1",
}
MESSAGE = 1 << 20
"""More than any message takes; of a cluster's nodes, a thousand."""
GRACE_S = 10.0
"""How long a worker may take to end after its input has ended, or after it was killed. It takes
hundredths of a second; where its host is gone, that is as long as a study should wait."""
JOIN_S = 180.0
"""How long a cluster may take to answer, or one here to start: seconds on an idle machine; 40 s
were seen where eight programs wanted a core. Ray's own client at an address without a cluster was
seen to say nothing for 7 minutes."""
END_S = 30.0
"""How long the driver may take to end: it allows itself 20 s."""


@dataclass(frozen=True)
class Node:
    """A host of the cluster, and what it has in all."""

    name: str
    cpus: float
    gpus: float


class Link:
    """A driver process. What it prints is kept in a file, `ray.log` as soon as there is a folder.

    Args:
        request: the cluster's address, and what a worker needs.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._token, self._count = secrets.token_hex(4), 0
        self._hosts: dict[int, str] = {}
        self._ends: dict[int, tuple[int | None, End]] = {}
        self._first: dict[str, Any] = {}
        self.gone = False
        self.probe: list[str] = []
        self._early = tempfile.TemporaryFile()  # noqa: SIM115  the driver's until it has a log
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._driver = subprocess.Popen(
                [
                    *(sys.executable, "-m", "swinablate.execution.executors.ray"),
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._early,
                stderr=self._early,
                env=_environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a Ctrl-C in the terminal is the coordinator's
            )
        self._send({"address": request.address})

    def nodes(self) -> list[Node]:
        """The hosts of the cluster when it was joined.

        Raises:
            EnvironmentFault: there is no cluster.
        """
        deadline = time.monotonic() + JOIN_S
        while not self._first and not self.gone and (left := deadline - time.monotonic()) > 0:
            self._hear(left)
        if "nodes" in self._first:
            return [Node(one["name"], one["CPU"], one["GPU"]) for one in self._first["nodes"]]
        said = self._first.get("refused") or (
            self._last_line() if self.gone else f"none answered within {JOIN_S:.0f} s"
        )
        self.close()
        raise EnvironmentFault(
            f"there is no Ray cluster: {said}",
            at="--executor ray",
            hint="give its address with --address (HOST:6379, ray://HOST:10001, auto), or "
            "--address local to start one here",
        )

    @property
    def cluster(self) -> str:
        """What the cluster is called."""
        return str(self._first.get("cluster", ""))

    def write_to(self, log: Path) -> None:
        """Keep what the driver prints from now on in a file."""
        with log.open("ab") as file:
            self._send({"log": True}, file.fileno())

    def start(self, slot: Slot, log: IO[bytes]) -> Process:
        """Ask for an actor; its worker says when it is ready, however late."""
        self._count += 1
        number = self._count
        (read, write), (theirs_read, theirs_write) = os.pipe(), os.pipe()
        asked = {
            "start": number,
            "name": f"swinablate-{self._request.name[:40]}-{self._token}-{number}",
            "cpus": self._request.threads,
            "gpus": self._request.gpus_per_trial,
            "device": slot.device,
            "log": str(Path(log.name).absolute()),
            "probe": self.probe,
        }
        self._send(asked, read, theirs_write)
        for end in (read, theirs_write):
            os.close(end)
        stdin = os.fdopen(write, "wb")
        return Process(
            stdin,
            os.fdopen(theirs_read, "rb"),
            kill=lambda: self._tell(number, "kill"),
            wait=lambda: self._wait(number, stdin),
            pid=lambda: None,
            close=lambda: _close(stdin),
            where=lambda: self._where(number),
            end=lambda: self._ends.get(number, (None, self._unknown()))[1],
            ask_stack=lambda: self._tell(number, "stack"),
        )

    def close(self) -> None:
        """End the driver, all its actors, and the cluster if it started it."""
        if self._driver.returncode is not None:
            return
        self.gone = True
        self._control.close()
        deadline = time.monotonic() + END_S
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        while os.waitid(os.P_PID, self._driver.pid, options) is None:
            if time.monotonic() > deadline:
                kill_group(self._driver.pid)
            time.sleep(0.02)
        self._driver.returncode = reap(self._driver.pid)
        self._early.close()

    def _tell(self, number: int, what: str) -> None:
        if number not in self._ends:
            self._send({"to": number, "tell": what})

    def _wait(self, number: int, stdin: IO[bytes]) -> int | None:
        """Until the worker has ended by itself, or by force."""
        _close(stdin)
        if not self._ended_within(number, GRACE_S):
            self._tell(number, "kill")
            self._ended_within(number, 2 * GRACE_S)
        return self._ends.get(number, (None, End()))[0]

    def _ended_within(self, number: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while number not in self._ends and not self.gone:
            if (left := deadline - time.monotonic()) < 0:
                return False
            self._hear(left)
        return True

    def _where(self, number: int) -> str:
        while not self.gone and self._hear(0.0):
            pass
        host = self._hosts.get(number)
        return f" on {host}" if host else ""

    def _unknown(self) -> End:
        how = "its driver of Ray" if self.gone else "no answer"
        return End(how=f"{how}; see logs/ray.log", excused=True)

    def _hear(self, timeout: float | None) -> bool:
        """Take one message, if one comes in time."""
        ready, _, _ = select.select([self._control], [], [], timeout)
        if not ready:
            return False
        text = b""
        with contextlib.suppress(OSError):
            text = self._control.recv(MESSAGE)
        if not text:
            self.gone = True
            return False
        self._take(json.loads(text))
        return True

    def _take(self, said: dict[str, Any]) -> None:
        if "placed" in said:
            self._hosts[said["placed"]] = said["host"]
        elif "ended" in said:
            why = f" (Ray: {said['why']})" if said["why"] else ""
            how = "" if said["code"] is not None else "its actor"
            self._ends[said["ended"]] = said["code"], End(why, said["excused"], how)
        else:
            self._first = said

    def _send(self, message: dict[str, Any], *fds: int) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], fds)
        except OSError:
            self.gone = True

    def _last_line(self) -> str:
        """What a driver that died said last."""
        self._early.seek(0)
        lines = self._early.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "its driver ended without a word"


def _environment() -> dict[str, str]:
    """As of a worker that sees all GPUs."""
    made = environment("cpu") | QUIET
    del made["CUDA_VISIBLE_DEVICES"]
    return made | {k: v for k, v in os.environ.items() if k == "CUDA_VISIBLE_DEVICES"}


def _close(stdin: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):
        stdin.close()
