"""Running code that is not ours: it may fail, and it may not end or hold up the program."""

import contextlib
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import TextIO

WORDS = 200
"""Characters of somebody else's message that fit into one of ours."""


class Ended(Exception):
    """Their code asked the program to end: SystemExit, or another exception of that kind."""


def prints_aside() -> contextlib.redirect_stdout[TextIO]:
    """Send to stderr what somebody's module or network prints: stdout is for data."""
    return contextlib.redirect_stdout(sys.stderr)


@contextlib.contextmanager
def theirs() -> Iterator[None]:
    """Run code of a module that a study names.

    What it prints goes aside; stdin is closed to it, or a `breakpoint()` would wait for ever.
    Ctrl-C stays Ctrl-C, and SIGTERM and SIGHUP what their handlers make of them.

    Raises:
        Ended: it raised what would end the program.
    """
    stdin = sys.stdin
    with prints_aside(), _pressed() as pressed:
        sys.stdin = None  # then `input()` raises RuntimeError
        try:
            yield
        except Exception:
            raise
        except BaseException as error:
            if pressed():
                raise
            raise Ended(_words(error)) from error
        finally:
            sys.stdin = stdin


def named(error: BaseException) -> str:
    """An exception of theirs in one line: its type, and the first line of its message."""
    return str(error) if isinstance(error, Ended) else _words(error)


def builtin(found: object) -> bool:
    """Whether it is a function of Python itself: no network and no data, but perhaps an exit."""
    return isinstance(found, types.BuiltinFunctionType | types.BuiltinMethodType)


def _words(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text[:WORDS]}" if text else type(error).__name__


ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What somebody else sends to end a program; what it raises must pass through."""


@contextlib.contextmanager
def _pressed() -> Iterator[Callable[[], bool]]:
    """Tell a Ctrl-C, or another signal, from an exception that their code raised itself."""
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in ENDING}
    if threading.current_thread() is not threading.main_thread():
        before = {}  # only the main thread may handle signals

    def note(number: int, frame: types.FrameType | None) -> None:
        seen.append(number)
        handler = before[signal.Signals(number)]
        assert callable(handler)
        handler(number, frame)

    mine = [number for number, handler in before.items() if callable(handler)]
    for number in mine:
        signal.signal(number, note)
    try:
        yield lambda: bool(seen)
    finally:
        for number in mine:
            signal.signal(number, before[number])
