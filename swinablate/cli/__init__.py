"""The command line."""

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; SIGTERM and SIGHUP are heard from here on."""
    try:
        # Imported here, not above: Ctrl-C in this second is no traceback either.
        from swinablate.cli.ending import ended_by_signals, open_streams

        open_streams()
        with ended_by_signals():
            from swinablate.cli.app import main as command

            return command(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130  # `execution.stop.INTERRUPTED`, whose import may be what was interrupted
