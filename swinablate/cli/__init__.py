"""The command line."""

import sys
from collections.abc import Sequence

from swinablate.cli.ending import ended_by_signals, open_streams
from swinablate.execution.stop import INTERRUPTED

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; SIGTERM and SIGHUP are heard from here on."""
    open_streams()
    try:
        with ended_by_signals():
            from swinablate.cli.app import main as command  # it takes a second

            return command(arguments)
    except KeyboardInterrupt:  # in that second
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
