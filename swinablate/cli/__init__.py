"""The command line."""

from swinablate.cli.app import main

__all__ = ["main"]
