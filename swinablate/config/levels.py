"""A level of a switch, as a file or `--set` has it."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from swinablate.config.schema import digest
from swinablate.config.written import parse, plain_text
from swinablate.errors import InputError
from swinablate.text import named_level

Level = Any
"""A TOML value; arrays as tuples, tables as dicts."""
NUMBER = re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?")
"""What is typed as a number with a point; TOML wants digits on both sides of it."""


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
        return key.strip(), _level(value)
    except ValueError as error:
        raise InputError(
            f"the value cannot be read: {error}",
            at=f"--set {key.strip()}",
            hint="give a number, true, false, a list like [2, 4], or a word",
        ) from None


def _level(value: str) -> Level:
    try:
        found = parse(f"x = {value}")
        if len(found) > 1:
            raise ValueError("behind a line break stands another key")
        return found["x"]
    except tomllib.TOMLDecodeError:
        text = value.strip()
        # a bare word is text: --set model.norm=batch
        return float(text) if NUMBER.fullmatch(text) else plain_text(text)


def put(table: dict[str, Any], key: str, level: Level) -> None:
    """Set a key of the study file; `adaptive.looks` is a key of the table `adaptive`."""
    head, _, rest = key.partition(".")
    if not rest:
        table[head] = level
        return
    inner = table.get(head)
    inner = dict(inner) if isinstance(inner, Mapping) else {}
    put(inner, rest, level)
    table[head] = inner


def named_changes(changes: Mapping[str, Level], *, full: bool = False) -> str:
    """Name an arm after what it changes: `shift=false`, `depths=(2,4), heads=(2,4)`."""
    parts = []
    for path, level in changes.items():
        if isinstance(level, Mapping):
            parts.append(named_changes(level))
        else:
            parts.append(f"{path if full else path.rpartition('.')[2]}={named_level(level)}")
    # At most 80, as NAME has it; the digest keeps two long names apart that begin alike.
    name = re.sub(r"[^A-Za-z0-9 ._=,+()-]", "-", ", ".join(parts))
    return name if len(name) <= 80 else f"{name[:71]}-{digest(name)[:8]}"
