"""Whether a study is to end before its end, and why."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from swinablate.errors import EnvironmentFault

TERMINATED, INTERRUPTED = 75, 130
"""Exit codes: EX_TEMPFAIL of sysexits.h (try again: it goes on), and a shell's after Ctrl-C."""


class Stop:
    """Set by a signal or by a fault of the environment; never taken back."""

    def __init__(self) -> None:
        self.fault: EnvironmentFault | None = None
        self._signals: list[int] = []

    @property
    def wanted(self) -> bool:
        """Whether everything under way is to write its checkpoint and end."""
        return bool(self._signals) or self.fault is not None

    @property
    def impatient(self) -> bool:
        """Whether Ctrl-C came a second time: nothing more is waited for."""
        return self._signals.count(signal.SIGINT) > 1

    @property
    def exit_code(self) -> int | None:
        """The exit code of a run that was stopped by a signal; None without one."""
        if not self._signals:
            return None
        return TERMINATED if signal.SIGTERM in self._signals else INTERRUPTED

    @contextmanager
    def on_signals(self, say: Callable[[], None]) -> Iterator[None]:
        """Take SIGINT and SIGTERM as a wish to stop; the handlers before come back afterwards.

        Args:
            say: called for every signal but the second Ctrl-C.

        Raises:
            KeyboardInterrupt: the second Ctrl-C.
        """

        def handle(number: int, _: FrameType | None) -> None:
            self._signals.append(number)
            if self.impatient:
                raise KeyboardInterrupt
            say()

        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may handle signals
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        kept = {number: signal.signal(number, handle) for number in numbers}
        try:
            yield
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
