"""How a command ends on SIGTERM and SIGHUP, whatever it is doing: exit code 75, within 20 s.

A study that trains takes these signals itself (`execution.stop`) and writes checkpoints. Before
and after, while libraries are imported, a study is planned or a report is written, the command
just ends: what is recorded is recorded, and the same command goes on. If even that does not come
to an end, because a library is in a call that does not return, a thread ends the process.
"""

import contextlib
import errno
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

from swinablate.execution.stop import HURRIED, TERMINATED, leave_dead_terminal

LAST_S = 18.0
"""When the process ends at the latest, whatever it is doing. Longer than a study that stops takes
(`execution.stop.GRACE_S`), shorter than the 20 s that are promised, and than Slurm's 30."""
_ended: list[int] = []
"""The signals that asked for an end. Libraries swallow SystemExit while they are imported, and
what is then half there fails in ways of its own: that is no bug, and the exit code stays."""
WORDS = "stopped by {}; the same command, started again, goes on\n"


def open_streams() -> None:
    """Let standard streams that were closed before the command began (`>&-`) lead nowhere.

    Otherwise a file that is opened later would get their number, and what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            mode = "w" if number else "r"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command with exit code 75, and a closed terminal not at all.

    A SIGHUP that is ignored already (nohup) stays so. Only the main thread may handle signals;
    in others nothing happens here.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    numbers = [number for number in HURRIED if not (ignored and number == signal.SIGHUP)]
    kept = {number: signal.signal(number, _end) for number in numbers}
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_end_at_last, args=(read,), name="ending", daemon=True).start()
    _ended.clear()
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_lasting(stream) for stream in streams)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        sys.stdout, sys.stderr = streams
        signal.set_wakeup_fd(before)
        os.close(write)  # a thread that has begun to count goes on
        for number, handler in kept.items():
            signal.signal(number, handler)


def is_ending() -> bool:
    """Whether a signal has asked this command to end."""
    return bool(_ended)


def _end(number: int, _: FrameType | None) -> None:
    leave_dead_terminal()
    _ended.append(number)
    _say(WORDS.format(signal.Signals(number).name))
    raise SystemExit(TERMINATED)


def _end_at_last(read: int) -> None:
    """Wait for a signal that wants an end; then for the end, but not for ever."""
    with contextlib.closing(os.fdopen(read, "rb", buffering=0)) as signals:
        while numbers := signals.read(1 << 10):
            if not HURRIED_NUMBERS.isdisjoint(numbers):
                time.sleep(LAST_S)
                _say(f"ended after {LAST_S:.0f} s, in the middle of something\n")
                os._exit(TERMINATED)


HURRIED_NUMBERS = frozenset(map(int, HURRIED))


def _say(text: str) -> None:
    """Write at once, past buffers that somebody may be in the middle of."""
    with contextlib.suppress(OSError):
        os.write(2, text.encode())


class _Terminal(io.FileIO):
    """A terminal that may be closed: what nobody can read any more is no error."""

    def write(self, data: Any, /) -> int:
        """Write, if there still is a terminal."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return len(data)


def _lasting(stream: TextIO) -> TextIO:
    """A stream of a terminal that outlives it; any other as it is."""
    if not stream.isatty():
        return stream
    stream.flush()
    raw = _Terminal(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True
    )
