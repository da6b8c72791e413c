"""Whether a study is to end before its end, and why."""

import contextlib
import math
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from swinablate.errors import EnvironmentFault

TERMINATED, INTERRUPTED = 75, 130
"""Exit codes: EX_TEMPFAIL of sysexits.h (try again: it goes on), and a shell's after Ctrl-C."""


GRACE_S = 10.0
"""How long workers may take for their checkpoints after SIGTERM or SIGHUP.

Slurm kills 30 s after SIGTERM, and a study ends within 20: these ten, half a second until they
are heard, five at most for MLflow, and what the coordinator itself needs. After Ctrl-C nobody is
in a hurry: who is, presses it again.
"""
COPY_S = 5.0
"""How long MLflow's copy is waited for after one of those."""
HURRIED = (signal.SIGTERM, signal.SIGHUP)
"""A batch system's wish, and that of a terminal that was closed."""


class Stop:
    """Set by a signal or by a fault of the environment; never taken back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.fault: EnvironmentFault | None = None
        self._signals: list[int] = []
        self._clock, self._hurried = clock, math.inf

    @property
    def wanted(self) -> bool:
        """Whether everything under way is to write its checkpoint and end."""
        return bool(self._signals) or self.fault is not None

    @property
    def impatient(self) -> bool:
        """Whether Ctrl-C came a second time: nothing more is waited for."""
        return self._signals.count(signal.SIGINT) > 1

    @property
    def overdue(self) -> bool:
        """Whether SIGTERM or SIGHUP came so long ago that nothing more is waited for."""
        return self._clock() - self._hurried > GRACE_S

    @property
    def patience(self) -> float | None:
        """Seconds for what is not essential, MLflow's copy; None: as long as it goes on."""
        if self.impatient:
            return 0.0
        return None if self._hurried == math.inf else COPY_S

    @property
    def exit_code(self) -> int | None:
        """The exit code of a run that was stopped by a signal; None without one."""
        if not self._signals:
            return None
        hurried = any(number in self._signals for number in HURRIED)
        return TERMINATED if hurried else INTERRUPTED

    @contextmanager
    def on_signals(self, say: Callable[[], None]) -> Iterator[None]:
        """Take SIGINT, SIGTERM and SIGHUP as a wish to stop; later the old handlers come back.

        A SIGHUP that is ignored already (nohup) stays so.

        Args:
            say: called for every signal but the second Ctrl-C.

        Raises:
            KeyboardInterrupt: the second Ctrl-C.
        """

        def handle(number: int, _: FrameType | None) -> None:
            leave_dead_terminal()
            self._signals.append(number)
            if number in HURRIED:
                self._hurried = min(self._hurried, self._clock())
            if self.impatient:
                raise KeyboardInterrupt
            say()

        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may handle signals
            return
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        kept = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)


def leave_dead_terminal() -> None:
    """Read from and write to nowhere instead of a terminal that was closed.

    A dead terminal is a character device, and no terminal any more; of those that look so too,
    `/dev/null` is one that loses nothing.
    """
    for file in (0, 1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(file).st_mode) and not os.isatty(file):
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, file)
                os.close(nowhere)
