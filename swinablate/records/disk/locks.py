"""Locks that die with their holder, and name it.

A lock is `flock` on a file, in which its holder writes who it is, as long as it holds it. Only the
holder may remove the file: who gets the lock of a file that is no more tries again.
"""

import errno
import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swinablate.errors import EnvironmentFault
from swinablate.records.disk.files import writing

_TAKEN = {errno.EAGAIN, errno.EACCES}
"""What `flock` says of a lock that is another's; EACCES on some network file systems."""
_PAUSE_S = 0.05
"""Between two tries for a lock: it is waited for a fifth of a second or so, and four tries do."""
_GLANCE_S = 0.001
"""Between two tries while somebody looks at the lock: a look takes some millionths of a second."""
SOMEBODY = "another process"
"""The holder, in the moment before it has said who it is."""


class Taken(Exception):
    """The lock is another's; the message says whose."""


@contextmanager
def lock(
    path: Path, patience_s: float = 0.0, *, take_over: bool = False, passing: bool = False
) -> Iterator[None]:
    """Hold the lock of a file.

    Args:
        path: of the lock.
        patience_s: how long another holder is waited for.
        take_over: leave a holder behind that is not known to be alive.
        passing: remove the file at the end; a killed holder leaves it.

    Raises:
        Taken: another holds it.
        EnvironmentFault: the file system has no locks, or the folder cannot be written.
    """
    deadline = time.monotonic() + patience_s
    while (handle := _acquired(path)) is None:
        holder = _words(path) or SOMEBODY
        if _only_looked_at(path):
            time.sleep(_GLANCE_S)
        elif take_over and not alive(holder):
            with writing(path):
                path.unlink(missing_ok=True)  # the lock is that of the file, not of the name
            take_over = False
        elif time.monotonic() >= deadline:
            raise Taken(holder)
        else:
            time.sleep(_PAUSE_S)
    try:
        with writing(path):
            os.ftruncate(handle, 0)
            os.write(handle, _myself().encode())
        yield
    finally:
        with suppress(OSError):  # the names are for people; the lock ends with the handle
            os.ftruncate(handle, 0)
            if passing and _same(handle, path):
                path.unlink()
        os.close(handle)


def holder(path: Path) -> str:
    """Who holds a lock, in words; empty where nobody does, or where there are no locks.

    A lock that was let go names nobody, and is not touched. One whose holder was killed is looked
    at by sharing it for a moment, which `lock` tells from holding it.
    """
    words = _words(path)
    return words if words and _shared(path) is False else ""


def alive(holder: str) -> bool:
    """Whether a holder is a process of this machine that runs."""
    found = re.match(r"pid (\d+) on (\S+) since ", holder)
    if not found or found[2] != socket.gethostname():
        return False
    try:
        os.kill(int(found[1]), 0)
    except PermissionError:  # somebody else's
        return True
    except (OSError, OverflowError):
        return False
    return True


def _acquired(path: Path) -> int | None:
    """A handle that holds the lock; None where another holds it."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # less the umask
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _same(handle, path):
            return handle
    except OSError as error:
        if error.errno not in _TAKEN:
            os.close(handle)
            raise _lockless(path, error) from None
    os.close(handle)
    return None


def _only_looked_at(path: Path) -> bool:
    """Whether nobody holds a lock that could not be had: somebody looked, or let it go."""
    return _shared(path) is True


def _shared(path: Path) -> bool | None:
    """Whether a lock can be shared for a moment, for nobody holds it; None: nobody can say."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _TAKEN else None
    finally:
        os.close(handle)
    return True


def _same(handle: int, path: Path) -> bool:
    """Whether a file is still the one of that name: it may have been taken over or removed."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lockless(path: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"this file system has no locks: {error.strerror or error}",
        at=str(path),
        hint="without them two runs could spoil each other's records: choose a folder on a local "
        "disk with --home or SWINABLATE_HOME, or mount this one with locks",
    )


def _myself() -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"pid {os.getpid()} on {socket.gethostname()} since {since}"


def _words(path: Path) -> str:
    """Who wrote its name into a lock's file; empty where nobody has."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
    return "".join(c for c in text[:200] if c.isprintable())
