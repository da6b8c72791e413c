"""Processes that end with the one that started them, and what those started in turn.

A worker may be inside a call that never returns and hold Python's lock: no thread of its own can
end it then. On Linux the kernel does, when its parent ends. What a worker started itself the
kernel does not know of: a guard, a small process that outlives the coordinator by a moment, kills
the process groups that were left. Other systems have the guard alone.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType

PR_SET_PDEATHSIG = 1
"""Source: prctl(2), linux/prctl.h."""
CLOSING_S = 2.0
"""How long a guard with nothing left to kill may take to end; it does nothing but that."""


def die_with_parent(parent: int) -> None:
    """Be killed when the thread that started this process ends; at once, if it has ended.

    A fork clears it, and what is started by `exec` keeps it. Not for processes that somebody else
    starts for us on another machine: those end when their input does.

    Args:
        parent: the process that should be this one's parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)


def leave_signals_to_coordinator() -> None:
    """Outlive what is sent to all processes of a job: the coordinator says what becomes of it.

    Handlers that do nothing, and not `SIG_IGN`, which processes that a network starts would
    inherit; in those that it forks the default comes back.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def nothing(_number: int, _frame: FrameType | None) -> None:
        pass

    def default() -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)

    for number in numbers:
        signal.signal(number, nothing)
    os.register_at_fork(after_in_child=default)


_ending = threading.Event()
"""This process ends of its own accord."""


def on_wish_to_leave(leave: Callable[[], None]) -> None:
    """Call a function, in a thread of its own, when a cluster wants this machine back.

    Not in the handler: it runs between any two steps of the main thread, which may hold a lock
    that the function needs.
    """
    read, write = os.pipe()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if not _ending.is_set():
            os.write(write, b".")

    def wait() -> None:
        os.read(read, 1)
        leave()

    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, handle)
    threading.Thread(target=wait, daemon=True).start()


def end_with_group(code: int) -> None:
    """End this process at once, and what it started where it leads a group of its own.

    Not by SIGKILL, which would end this one as if something were wrong. It hears its own signal,
    too, which is nobody's wish to leave: a worker that had said so before it was gone kept its
    slot empty as long as a node that is wanted back.
    """
    _ending.set()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGTERM)
    os._exit(code)


def kill_group(pid: int) -> None:
    """Kill a process and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: of zombies alone
        os.killpg(pid, signal.SIGKILL)


def signal_name(number: int) -> str:
    """A signal in words; those of realtime, but for the first and the last, have no name."""
    known = {int(one): one.name for one in signal.Signals}
    return f"signal {known.get(number, number)}"


def reap(pid: int) -> int:
    """Wait for the end of a child that leads a group; what it started ends with it.

    Returns:
        Its exit code, or minus the number of the signal that ended it.
    """
    exact = hasattr(os, "waitid")  # not on macOS before Python 3.13
    if exact:  # nobody else is given the number before it was waited for
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        kill_group(pid)
    _, status = os.waitpid(pid, 0)
    if not exact:
        kill_group(pid)
    return os.waitstatus_to_exitcode(status)


class Guard:
    """Kills the process groups that this process leaves when it ends in any way."""

    def __init__(self) -> None:
        """Start it, as a session of its own that no terminal's signal reaches."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "swinablate.execution.workers.lifeline"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        """Kill the group that `pid` leads when this process ends."""
        self._tell(pid)

    def forget(self, pid: int) -> None:
        """The group is gone: its number may become another's."""
        self._tell(-pid)

    def close(self) -> None:
        """End it; what it still watches is killed."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSING_S)
        self._process.kill()
        self._process.wait()

    def _tell(self, number: int) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):  # somebody killed or closed it
            self._process.stdin.write(b"%d\n" % number)
            self._process.stdin.flush()


def keep_watch(lines: Iterable[str]) -> None:
    """Be the guard: a number a line, of a group to watch, or minus one to forget."""
    watched: set[int] = set()
    for line in lines:
        number = int(line)
        if number > 0:
            watched.add(number)
        else:
            watched.discard(-number)
    for pid in watched:
        kill_group(pid)


if __name__ == "__main__":
    leave_signals_to_coordinator()
    keep_watch(sys.stdin)
