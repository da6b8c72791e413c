"""Worker processes of this machine: forked from one that has imported torch, or started anew."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from swinablate.errors import EnvironmentFault
from swinablate.execution.executor import Slot
from swinablate.execution.workers.lifeline import kill_group, reap
from swinablate.records.secrets import without_stores


@dataclass(frozen=True)
class End:
    """What is known of how a worker ended, besides its exit code.

    Attributes:
        why: in words, to follow the code; empty where there is nothing to add.
        excused: no trial was the cause.
        how: what it ended with, in words, where there is no code.
    """

    why: str = ""
    excused: bool = False
    how: str = ""


@dataclass(frozen=True)
class Process:
    """A worker process, or the one here that stands for it; the leader of its own process group.

    Attributes:
        stdin: its batches.
        stdout: its events.
        kill: ends its whole group now.
        wait: until it has ended, and its group with it; returns its exit code, minus a signal's
            number where that ended it, None where nobody knows.
        pid: its number; None where it is not known, or not yet.
        close: begins to end it at the end of a study; None: as `kill` does.
        where: says " on HOST" as soon as that is known; nothing for this machine.
        end: what is known of its end; asked after `wait`.
        stack: the signal on which it writes its stack.
        ask_stack: has it sent, where the worker's number is another machine's.
    """

    stdin: IO[bytes]
    stdout: IO[bytes]
    kill: Callable[[], None]
    wait: Callable[[], int | None]
    pid: Callable[[], int | None]
    close: Callable[[], None] | None = None
    where: Callable[[], str] = str
    end: Callable[[], End] = End
    stack: signal.Signals = signal.SIGUSR1
    ask_stack: Callable[[], None] | None = None


class Starter(Protocol):
    """Starts workers."""

    def start(self, slot: Slot, log: IO[bytes]) -> Process:
        """Start a worker; it may take seconds to read its first batch."""

    def close(self) -> None:
        """No worker is started after this."""


def make_starter(slots: Sequence[Slot], logs: Path) -> Starter:
    """Fork where that is safe, on Linux and without a GPU; else start every worker anew.

    Args:
        slots: where workers run.
        logs: an existing folder.
    """
    if sys.platform == "linux" and all(slot.device == "cpu" for slot in slots):
        return Forked(logs / "forkserver.log")
    return Anew()


class Anew:
    """Starts each worker as a new Python."""

    def start(self, slot: Slot, log: IO[bytes]) -> Process:
        """Start a worker."""
        process = subprocess.Popen(
            [sys.executable, "-m", "swinablate.execution.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(slot.device, *slot.further),
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        return Process(
            process.stdin,
            process.stdout,
            lambda: kill_group(process.pid),
            lambda: self._wait(process),
            lambda: process.pid,
        )

    def close(self) -> None:
        """Nothing to do."""

    @staticmethod
    def _wait(process: "subprocess.Popen[bytes]") -> int:
        if process.returncode is None:
            process.returncode = reap(process.pid)
        return process.returncode


PATIENCE_S = 5.0
"""How long a server that is ready may take to fork.

A fork takes hundredths of a second; a server that needs this long hangs, and is killed.
"""


TRIES = 3
"""Servers in a row that may end before they have forked anything: one can be killed for memory, or
by hand. Of more something is wrong here, and the study would try for ever."""
_EARLY: list["_Server"] = []
"""A server that nobody has asked for yet; at most one. The study is not even read then, so no
argument could bring it to the executor."""


@contextmanager
def started_early(devices: str) -> Iterator[None]:
    """Let a server import torch meanwhile, if workers will be forked by all that can be seen.

    Only for the main thread: the server ends with the thread that started it.

    Args:
        devices: as `--devices` says.
    """
    gpus = devices != "cpu" and any(Path("/dev").glob("nvidia[0-9]*"))
    if sys.platform == "linux" and not gpus:
        _EARLY.append(_Server())
    try:
        yield
    finally:
        while _EARLY:  # no worker was wanted
            _EARLY.pop().close()


class Forked:
    """Forks workers from a server, which imports torch while the coordinator goes on.

    A server that died is replaced at the next start; its workers died with it.

    Args:
        log: file for what the server writes on its standard error.
    """

    def __init__(self, log: Path) -> None:
        self._log, self._servers = log, [_EARLY.pop() if _EARLY else _Server()]
        self._servers[0].write_to(log)

    def start(self, slot: Slot, log: IO[bytes]) -> Process:
        """Start a worker, as soon as the server can.

        Raises:
            EnvironmentFault: servers end before they could fork at all.
        """
        assert slot.device == "cpu"
        while True:
            with contextlib.suppress(OSError):
                return self._servers[-1].fork(log)
            if len(self._servers) >= TRIES and not any(s.forked for s in self._servers[-TRIES:]):
                raise EnvironmentFault(
                    "no worker can be started: the process that forks them ended before it could",
                    at=str(self._log),
                    hint="its last lines say why; `swinablate doctor` looks at the installation",
                )
            self._servers.append(_Server())
            self._servers[-1].write_to(self._log)

    def close(self) -> None:
        """End the server."""
        for server in self._servers:
            server.close()


class _Server:
    """`swinablate.execution.forkserver`, asked in turn; answers are read when they are wanted."""

    def __init__(self) -> None:
        # SEQPACKET keeps messages apart: one `recv` is one answer, however many have come.
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Until there is a log, whose folder may come later. A pipe nobody reads holds 64 KiB.
        self._said, said = os.pipe()
        os.set_blocking(self._said, False)
        os.set_blocking(said, False)
        with theirs:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "swinablate.execution.forkserver"),
                    *(str(theirs.fileno()), str(os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environment("cpu"),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        os.close(said)
        self._asked, self._answers = 0, list[int]()
        self._log: Path | None = None

    @property
    def forked(self) -> bool:
        """Whether it has ever answered."""
        return bool(self._answers)

    def write_to(self, log: Path) -> None:
        """Keep what it says in a file from now on; what it said before follows at its end."""
        self._log = log
        with log.open("ab") as file, contextlib.suppress(OSError):  # it died: a fork will tell
            socket.send_fds(self._socket, [b"{}"], [file.fileno()])

    def fork(self, log: IO[bytes]) -> Process:
        """Ask for a worker. Raises OSError where the server is gone."""
        (read, write), (theirs_read, theirs_write) = os.pipe(), os.pipe()
        try:
            socket.send_fds(self._socket, [b"{}"], [read, theirs_write, log.fileno()])
        except OSError:
            for end in (write, theirs_read):
                os.close(end)
            raise
        finally:
            for end in (read, theirs_write):
                os.close(end)
        number = self._next()
        return Process(
            os.fdopen(write, "wb"),
            os.fdopen(theirs_read, "rb"),
            lambda: self._kill(number),
            lambda: self._wait(number),
            lambda: self._answers[number] if self._known(number, 0) else None,
        )

    def close(self) -> None:
        """End the server now."""
        self._process.kill()
        self._process.wait()
        self._socket.close()
        with contextlib.suppress(OSError), os.fdopen(self._said, "rb") as said:
            if (text := said.read()) and self._log:
                with self._log.open("ab") as file:
                    file.write(text)

    def _kill(self, number: int) -> None:
        # One that has answered before forks at once; another imports torch, and would fork later.
        if not self._known(number, PATIENCE_S if self._answers else 0):
            self._process.kill()
        if self._known(number, None):
            kill_group(self._answers[number])

    def _wait(self, number: int) -> int | None:
        if not self._known(number, None):
            return None
        pid = self._answers[number]
        try:
            self._socket.send(json.dumps({"wait": pid}).encode())
            code = self._next()
        except OSError:
            code = None
        if code is None or not self._known(code, None):
            kill_group(pid)  # the server died, the worker with it; not so what that started
            return None
        return self._answers[code]

    def _next(self) -> int:
        """The number of the question just asked."""
        self._asked += 1
        return self._asked - 1

    def _known(self, number: int, timeout: float | None) -> bool:
        """Whether a question was answered, after waiting so long; None: till the server ends."""
        while len(self._answers) <= number:
            ready, _, _ = select.select([self._socket], [], [], timeout)
            text = b""
            if ready:
                with contextlib.suppress(ConnectionResetError):  # it died with a question unread
                    text = self._socket.recv(1 << 10)  # an answer is one number
            if not text:
                return False
            self._answers.append(json.loads(text))
        return True


HELD = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}
"""Keep glibc from giving the memory of a step back to the system, which asks for it in the next.

`just bench malloc` measures it. 32 MiB is the most that older versions accept, and the
second without the first is worse than neither. Source: mallopt(3).
"""


VISIBLE = "CUDA_VISIBLE_DEVICES"


def environment(*devices: str) -> dict[str, str]:
    """The environment of a worker: its GPUs visible, or none; one thread a library; no stores."""
    numbers = [
        int(index) for kind, _, index in (d.partition(":") for d in devices) if kind == "cuda"
    ]
    fixed = {
        VISIBLE: ",".join(own_gpu(number, os.environ.get(VISIBLE)) for number in numbers),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # asked for by deterministic cuBLAS in torch 2.11
        "OMP_NUM_THREADS": "1",  # until `settle` sets what the recipe says
        "MKL_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",  # what a killed worker said last is in its log
    }
    return {**HELD, **without_stores(os.environ), **fixed}


def own_gpu(index: int, inherited: str | None) -> str:
    """What makes one GPU visible, and no other, to a process started from here.

    Args:
        index: of the GPU, as this process counts those that it sees.
        inherited: what makes them visible here; None where nothing says so, and all are.

    Returns:
        Its number or UUID as inherited; empty, which is no GPU, where this process does not
        see so many.
    """
    if inherited is None:
        return str(index)
    return "".join(visible(inherited)[index : index + 1])


def visible(inherited: str) -> list[str]:
    """The GPUs that a value of `CUDA_VISIBLE_DEVICES` may show, in their order.

    Numbers, or UUIDs of GPUs or of parts of one (MIG), which may be abbreviated. What stands
    behind an entry that is none of these does not count, and with one named twice none does:
    CUDA's rules. Whether there is such a GPU is for CUDA to say, which then counts fewer.
    """
    found: list[str] = []
    for entry in (part.strip() for part in inherited.split(",")):
        if not (entry[:1].isdigit() or entry.startswith(("GPU-", "MIG-"))):
            break
        if entry in found:
            return []
        found.append(entry)
    return found
