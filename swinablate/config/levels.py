"""A level of a switch: as a file, `--set` or an arm's name has it; read and shown in one place."""

import tomllib
from typing import Any

from swinablate.errors import InputError

Level = Any
"""A TOML value; arrays as tuples, tables as dicts."""


def setting(text: str) -> tuple[str, Level]:
    """Read `KEY=VALUE` from the command line; a bare word is text.

    Raises:
        InputError: there is no `=`.
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise InputError(
            f"expected KEY=VALUE, got {text!r}",
            at="--set",
            hint="for example --set train.epochs=3 or --set study.seeds=3",
        )
    try:
        level = tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        level = value.strip()  # a bare word is text: --set model.norm=batch
    return key.strip(), level


def show(level: Level) -> str:
    """A level as a file or an arm's name has it."""
    if isinstance(level, bool):
        return "true" if level else "false"
    if isinstance(level, tuple | list):
        return f"({','.join(map(show, level))})"
    return str(level)
