"""Strict, typed reading of what people write.

A key nobody declared is an error, never a warning: a misspelled switch that is
silently ignored is an ablation of nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from swinablate.config.complaints import Unfit, absent, explain, show
from swinablate.config.plugins import did_you_mean
from swinablate.config.written import encoding_hint, parse, read_text
from swinablate.errors import InputError

M = TypeVar("M", bound="Frozen")


class Frozen(BaseModel):
    """Base of every value read from a file: typed, immutable, no unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


Absent = BeforeValidator(absent, json_schema_input_type=Any)
"""Of a field that may hold nothing: the level "none" says so."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; arrays come back as tuples.

    Raises:
        InputError: no such file, no ordinary file, too large, not text, or not TOML.
    """
    try:
        return parse(read_text(path))
    except FileNotFoundError:
        raise InputError(
            "no such file", at=str(path), hint=_neighbours(path) or "check the path"
        ) from None
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}", at=str(path), hint="give a TOML file"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 text: {error.reason} at byte {error.start}",
            at=str(path),
            hint=encoding_hint(error),
        ) from None
    except ValueError as error:
        raise InputError(f"not valid TOML: {error}", at=str(path), hint=TOML) from None


TOML = "strings need quotes, booleans are true and false (https://toml.io)"


def validate(cls: type[M], data: Mapping[str, Any], at: str, inside: str = "") -> M:
    """Build `cls` from plain data.

    Args:
        cls: a `Frozen` model.
        data: TOML or JSON values.
        at: where `data` stands: the file, and the key of the table in it.
        inside: put before every key in messages: `model.`.

    Raises:
        InputError: unknown or missing key, wrong type, or a value out of range.
        Unfit: values that do not fit each other.
    """
    if not isinstance(data, Mapping):
        raise InputError(
            f"expected a table, got {show(data)}", at=at, hint="write [table] key = value"
        )
    written = {key: _freeze(value) for key, value in data.items()}
    try:
        return cls.model_validate(written)
    except ValidationError as error:
        raise explain(error.errors(), cls, written, at, inside) from None
    except OverflowError:  # of a rule that computes with a field: a float near its end
        raise Unfit(
            "a number is too large to compute with", at=at, hint="give a smaller one"
        ) from None


def evolve(value: M, changes: Mapping[str, object], at: str, inside: str = "") -> M:
    """Copy `value` with fields replaced, and validate the result once.

    So fields that only fit each other (depths and heads) can change together.

    Args:
        value: what to start from.
        changes: dotted path -> level; a table as level replaces several fields of a nested
            value: `"model" = [{depths = [2, 2, 2], heads = [2, 4, 8]}]`.
        at: where the changes were written, for messages.
        inside: put before every key in messages: `model.`.

    Raises:
        InputError: no such field, or a level the field does not take.
    """
    now: dict[str, Any] = {name: getattr(value, name) for name in type(value).model_fields}
    nested: dict[str, dict[str, object]] = {}
    for path, level in changes.items():
        head, dot, rest = path.partition(".")
        if head not in now or (dot and not rest):
            problem = f"no switch is called {inside + path!r}"
            names = [f"{inside}{name}" for name in now]
            raise InputError(problem, at=at, hint=did_you_mean(f"{inside}{head}", names))
        inner = now[head]
        if isinstance(inner, Frozen):
            parts = {rest: level} if rest else _table(inner, head, level, at)
            add(parts, nested.setdefault(head, {}), at, f"{inside}{head}.")
        elif rest:
            raise InputError(f"{head!r} has no field {rest!r}", at=at, hint=f"write {head!r}")
        else:
            now[head] = level
    for head, parts in nested.items():
        now[head] = evolve(now[head], parts, at, f"{inside}{head}.")
    return validate(type(value), now, at, inside)


def add(parts: Mapping[str, Any], found: dict[str, Any], at: str, inside: str = "") -> None:
    """Take in levels by their paths; one that is there already has two.

    Raises:
        InputError: there is one.
    """
    for path, level in parts.items():
        if path in found:
            raise InputError(
                f"{inside + path!r} is changed twice",
                at=at,
                hint="change it once: by its path, or in a table",
            )
        found[path] = level


def _table(inner: Frozen, head: str, level: object, at: str) -> Mapping[str, object]:
    if isinstance(level, Mapping):
        return level
    fields = [name for name in type(inner).model_fields if name != "family"]  # which is no switch
    hint = f"name one of its fields: {head}.{fields[0]}"
    raise InputError(f"{head!r} is a table, got {show(level)}", at=at, hint=hint)


def sparse(value: BaseModel) -> dict[str, Any]:
    """Plain data of `value`, minus every field that still has its default."""
    return value.model_dump(mode="json", exclude_defaults=True)


def digest(value: object) -> str:
    """Content address: 64 hex digits of the canonical JSON of plain data."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _freeze(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _freeze(item) for key, item in value.items()}
    return tuple(_freeze(item) for item in value) if isinstance(value, list | tuple) else value


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    found = sorted(p.name for p in path.parent.glob("*.toml"))
    return did_you_mean(path.name, found) if found else ""
