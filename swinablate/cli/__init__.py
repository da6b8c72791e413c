"""The command line."""

from collections.abc import Sequence

from swinablate.cli.ending import ended_by_signals

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; SIGTERM and SIGHUP are heard from here on."""
    with ended_by_signals():
        from swinablate.cli.app import main as command  # it takes a second

        return command(arguments)
