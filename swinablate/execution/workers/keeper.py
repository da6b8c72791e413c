"""Keeps one command: starts it, reads what it prints, and leaves nothing of it behind.

`python -m swinablate.execution.workers.keeper` reads one line of JSON (`Order`) on its standard
input, and writes lines of JSON on its standard output: `{"began": PID}`, `{"match": [which,
number, step]}` for every number that a line of the command holds, `{"partly": [which, taken,
whole]}` for one that a pattern does not take as a whole, `{"passed": which}` for a line that takes
a pattern too long, and at last how it ended (`Ending`). The
line `stop` on its input asks the command to end. Where its input ends, the worker is gone, and so
is the command, at once.

A process of its own, and not the worker's: it outlives a worker that is killed by the moment that
it needs to kill the command. What the command leaves behind, in its own process group or as a
daemon outside of it, becomes this process's child on Linux, and is killed, too.
"""

import contextlib
import ctypes
import json
import os
import re
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swinablate.execution.workers.patterns import Pattern, Taken, TooLong, within

HEAD, TAIL = 8 << 20, 1 << 20
"""Bytes of a command's output that its log keeps, of its beginning and of its end: a progress bar
of a long training prints less, and a thousand trials at the limit fill 9 GiB."""
LINE = 1 << 13
"""Bytes of a line that are looked at: a hundred lines of a terminal. What is longer holds no
result that a person reads."""
LINE_S = 1.0
"""Processor time for a pattern and a line: few take more than a thousandth of it. Some take as the
square of a line, a second or four here, and some for ever for a line of 30 characters."""
MATCHES = 10_000
"""Results of one attempt that are told as they are printed: a curve of more points is no curve of
epochs. The last one is told whatever their number."""
WORDS = 400
"""Characters of a command's last words that fit into a message."""
LOOK_S = 0.1
"""How long nothing is looked at: the end of a command is seen within this time."""
DRAIN_S = 2.0
"""How long what is left in the pipes is read when nobody is left to write there."""
ALL_S = 0.5
"""How much later than the command its keeper may get a signal that is sent to all processes of a
job: one after another, within thousandths of a second on an idle machine."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""Source: prctl(2), linux/prctl.h."""
SPLIT = re.compile(rb"[\r\n]")
"""Ends of lines; a progress bar writes the first alone."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be run.

    Attributes:
        words: program and arguments.
        folder: where it runs.
        environment: all of its variables.
        patterns: of lines of its standard output that hold results; the group `step` of one says
            of which epoch.
        grace: seconds from SIGTERM to SIGKILL.
    """

    words: list[str]
    folder: str
    environment: dict[str, str]
    patterns: list[str]
    grace: float


@dataclass(kw_only=True)
class Ending:
    """How it ended.

    Attributes:
        code: exit code, or minus the signal that ended it; None where it did not start.
        problem: why it did not start.
        matches: lines that held a result, for each pattern.
        last: the last of these.
        whole: the number that stands there, where a pattern takes another of the last; else empty.
        passed: lines behind the last that took too long to look at.
        asked: it was asked to end before it did, by us or by who signalled all that runs here.
        said: its last words.
        left: it left processes behind.
        cut: bytes of its output that no log has.
        cpu_s: processor time of it and its children.
    """

    code: int | None = None
    problem: str = ""
    matches: list[int] = field(default_factory=list)
    last: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    asked: bool = False
    said: str = ""
    left: bool = False
    cut: int = 0
    cpu_s: float = 0.0


@dataclass
class Log:
    """Output as it comes, of which no more than `HEAD` and `TAIL` is kept.

    Attributes:
        cut: bytes that were dropped between the two.
    """

    written: int = 0
    held: int = 0
    cut: int = 0
    tail: deque[bytes] = field(default_factory=deque)

    def add(self, chunk: bytes) -> None:
        """Take in some more."""
        room = max(0, HEAD - self.written)
        self._write(chunk[:room])
        self.written += min(room, len(chunk))
        if rest := chunk[room:]:
            self.tail.append(rest)
            self.held += len(rest)
        while self.held > TAIL and len(self.tail) > 1:
            dropped = len(self.tail.popleft())
            self.held -= dropped
            self.cut += dropped

    def close(self) -> None:
        """Write what was held back."""
        if self.cut:
            self._write(b"\n== %d bytes of output are left out here ==\n" % self.cut)
        self._write(b"".join(self.tail))
        self.tail.clear()

    @staticmethod
    def _write(chunk: bytes) -> None:
        with contextlib.suppress(OSError):  # a full disk: the command goes on without a log
            while chunk:
                chunk = chunk[os.write(2, chunk) :]


@dataclass
class Lines:
    """The lines of a stream, cut at `LINE` bytes."""

    rest: bytes = b""

    def of(self, chunk: bytes) -> Iterator[str]:
        """Those that have ended."""
        *whole, rest = SPLIT.split(self.rest + chunk)
        self.rest = rest[:LINE]
        for line in whole:
            yield line[:LINE].decode("utf-8", "replace")

    def end(self) -> Iterator[str]:
        """The last one, which nothing ended."""
        if self.rest:
            yield self.rest.decode("utf-8", "replace")
            self.rest = b""


class Keeper:
    """One command."""

    def __init__(self, order: Order, signals: Sequence[int] = ()) -> None:
        """Keep what is ordered.

        Args:
            order: what is to be run.
            signals: that this process got so far; whoever sends them may send them to all.
        """
        self._order, self._log, self._ending, self._signals = order, Log(), Ending(), signals
        self._patterns = [Pattern(one) for one in order.patterns]
        self._ending.matches = [0] * len(self._patterns)
        self._ending.last = [""] * len(self._patterns)
        self._ending.whole = [""] * len(self._patterns)
        self._ending.passed = [0] * len(self._patterns)
        self._killing: float | None = None
        self._complained = False  # what stands on standard error says why, if anything does

    def run(self) -> Ending:
        """Run it; returns when nothing of it is left."""
        try:
            process = self._start()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._ending.problem = str(error)
            return self._ending
        tell({"began": process.pid})
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as streams:
            streams.register(sys.stdin.fileno(), selectors.EVENT_READ, None)
            for stream in (process.stdout, process.stderr):
                os.set_blocking(stream.fileno(), False)
                streams.register(stream, selectors.EVENT_READ, Lines())
            while process.poll() is None:
                self._look(streams, process, LOOK_S)
                if self._killing is not None and time.monotonic() > self._killing:
                    _kill(process.pid, signal.SIGKILL)
            self._ending.code = process.returncode
            self._ending.left = bool(_children())
            _kill(process.pid, signal.SIGKILL)
            _kill_children()
            until = time.monotonic() + DRAIN_S
            while time.monotonic() < until and self._look(streams, process, LOOK_S):
                pass
        self._log.close()
        if self._ending.code < 0 and not self._signals:
            time.sleep(ALL_S)
        self._ending.asked |= bool(self._signals)
        self._ending.cut = self._log.cut
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._ending.cpu_s = used.ru_utime + used.ru_stime
        return self._ending

    def _start(self) -> "subprocess.Popen[bytes]":
        order, mine = self._order, os.getpid()
        return subprocess.Popen(
            order.words,
            cwd=order.folder,
            env=order.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: _die_with(mine),  # noqa: PLW1509  there is one thread
        )

    def _look(
        self,
        streams: selectors.BaseSelector,
        process: "subprocess.Popen[bytes]",
        timeout: float,
    ) -> bool:
        """Read what there is; returns whether somebody may still write."""
        for key, _ in streams.select(timeout):
            if key.data is None:
                self._asked(streams, process, os.read(key.fd, 1 << 10))  # a word or none
                continue
            try:
                chunk = os.read(key.fd, 1 << 16)  # all that a pipe of Linux holds by default
            except BlockingIOError:
                continue
            lines: Lines = key.data
            self._log.add(chunk)
            for line in lines.of(chunk) if chunk else lines.end():
                self._take(line, of_stdout=key.fileobj is process.stdout)
            if not chunk:
                streams.unregister(key.fileobj)
        return any(key.data is not None for key in streams.get_map().values())

    def _asked(
        self,
        streams: selectors.BaseSelector,
        process: "subprocess.Popen[bytes]",
        word: bytes,
    ) -> None:
        if not word:  # the worker is gone: nothing that comes of this is wanted
            streams.unregister(sys.stdin.fileno())
            _kill(process.pid, signal.SIGKILL)
        elif self._killing is None:
            _kill(process.pid, signal.SIGTERM)
            _kill(process.pid, signal.SIGCONT)  # one that is stopped hears nothing
            self._killing = time.monotonic() + self._order.grace
            self._ending.asked = self._ending.code is None

    def _take(self, line: str, *, of_stdout: bool) -> None:
        if line.strip() and not (of_stdout and self._complained):
            self._ending.said = line.strip()[:WORDS]
            self._complained |= not of_stdout
        for which, pattern in enumerate(self._patterns if of_stdout else ()):
            try:
                with within(LINE_S):
                    taken = pattern.of(line)
            except TooLong:
                self._ending.passed[which] += 1
                tell({"passed": which})
                continue
            if taken:
                self._match(which, taken)

    def _match(self, which: int, taken: Taken) -> None:
        self._ending.matches[which] += 1
        self._ending.passed[which] = 0
        self._ending.last[which] = taken.number[:WORDS]
        self._ending.whole[which] = taken.whole[:WORDS]
        if self._ending.matches[which] > MATCHES:
            return
        last, whole = self._ending.last[which], self._ending.whole[which]
        step = None if taken.step is None else taken.step[:WORDS]
        tell({"partly": [which, last, whole]} if whole else {"match": [which, last, step]})


def tell(message: Mapping[str, Any]) -> None:
    """Write a line for the worker; where it is gone, nobody misses it."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def _die_with(parent: int) -> None:
    """In the command's process, before it is the command: end with the one that keeps it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def _kill(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if there is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: of zombies alone
        os.killpg(group, number)


def _kill_children() -> None:
    """Kill what became this process's child because its own parent ended, and its children."""
    until = time.monotonic() + DRAIN_S
    while time.monotonic() < until:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(LOOK_S / 10)


def _children() -> list[int]:
    """Processes whose parent is this one and that still run; on Linux alone."""
    mine, found = os.getpid(), list[int]()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name, in parentheses, may hold anything; state and parent follow it.
            state, parent = path.read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
            if int(parent) == mine and state not in {"Z", "X"}:
                found.append(int(path.parent.name))
    return found


def main() -> None:
    """Keep the command of the first line."""
    signals = list[int]()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        # Not SIG_IGN, which the command would inherit.
        signal.signal(number, lambda got, _: signals.append(got))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    line = b""
    while not line.endswith(b"\n"):  # byte by byte: what follows is for the selector
        one = os.read(0, 1)
        if not one:
            return
        line += one
    tell({"ended": vars(Keeper(Order(**json.loads(line)), signals).run())})


if __name__ == "__main__":
    main()
