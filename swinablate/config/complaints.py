"""What pydantic says of a value, in the words of who wrote it: one sentence, and what to do.

Pydantic speaks to programmers ("constrained-int", "valid dictionary or instance of ..."). Its
messages go no further than here, whatever they are: `text.expected` has our words for each kind.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
from swinablate.text import KINDS, expected

Keys = tuple[int | str, ...]
PLAIN = re.compile(r"\s*([-+]?[\d.][\d._eE+-]*|true|false|yes|no|on|off)\s*", re.IGNORECASE)
"""Text that was meant as a number, as true or as false."""
SEVERAL = re.compile(r"[-+\d.eE]+(\s*,\s*[-+\d.eE]+)+")
"""Text that was meant as a list of numbers, without its brackets."""


class Unfit(InputError):
    """Values that are what their keys take, but that do not fit each other.

    Of a baseline that is a mistake; an arm of them cannot be built, and the others can.
    """


NONE = "none"
"""How a field that may be left out is written as a level: TOML has no null."""


def absent(value: object) -> object:
    """What a field that may hold nothing is given: the level "none" says so."""
    return None if value == NONE else value


@dataclass(frozen=True)
class Complaint:
    """One error of pydantic, at the keys that were written.

    Attributes:
        keys: from the top of the file to the value; no alternative of a union is among them.
        union: where the first union on the way stands; None without one.
    """

    keys: Keys
    union: Keys | None
    error: ErrorDetails

    @property
    def kind(self) -> str:
        """Pydantic's name for what is wrong."""
        return self.error["type"]


def explain(
    errors: Sequence[ErrorDetails],
    cls: type[BaseModel],
    data: Mapping[str, Any],
    at: str,
    inside: str,
) -> InputError:
    """The worst of pydantic's complaints in one sentence, with a remedy.

    Args:
        errors: all of them, at least one.
        cls: what was to be built.
        data: what it was to be built from.
        at: where `data` stands.
        inside: put before every key.
    """
    found = [_complaint(error, data) for error in errors]
    # A misspelled key first: it may be why another is missing.
    first = next((one for one in found if one.kind == "extra_forbidden"), found[0])
    chosen = _alternatives(first, found)
    worst, keys, kind = chosen[0], [str(key) for key in chosen[0].keys], chosen[0].kind
    if kind == "missing" and isinstance(chosen[0].keys[-1], int):  # of a list of fixed length
        return InputError(
            f"the list {show(worst.error['input'])} is too short",
            at=": ".join(filter(None, [at, inside + ".".join(keys[:-1])])),
            hint="write one more",
        )
    if kind in {"extra_forbidden", "missing"}:
        at = ": ".join(filter(None, [at, ".".join(keys[:-1])]))
        if kind == "missing":
            return InputError(f"key {keys[-1]!r} is missing", at=at, hint=f"add {keys[-1]} = ...")
        known = _owner(cls, keys[:-1])
        return InputError(f"unknown key {keys[-1]!r}", at=at, hint=did_you_mean(keys[-1], known))
    at = ": ".join(filter(None, [at, inside + ".".join(keys) if keys else ""]))
    if kind in {"value_error", "assertion_error"}:  # of our own checks, or of a user's family
        said = worst.error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        problem, _, hint = said.partition("; ")
        return Unfit(
            problem or "refused by a check of its own",
            at=at,
            hint=hint or "change it, or leave the key out",
        )
    wanted = _joined([expected(one.kind, one.error.get("ctx", {})) for one in chosen])
    return InputError(
        f"expected {wanted}, got {show(worst.error['input'])}",
        at=at,
        hint=_nothing(worst.error["input"], cls, keys)
        or _remedy({one.kind for one in chosen}, wanted, worst.error["input"]),
    )


def _complaint(error: ErrorDetails, data: Any) -> Complaint:
    """The error without the names that pydantic gives to alternatives."""
    keys: list[int | str] = []
    union: Keys | None = None
    for i, part in enumerate(error["loc"]):
        missing = error["type"] == "missing" and i == len(error["loc"]) - 1
        if missing or _has(data, part):
            keys.append(part)
            data = None if missing else data[part]
        elif union is None:
            union = tuple(keys)
    return Complaint(tuple(keys), union, error)


def _has(data: Any, part: int | str) -> bool:
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, tuple) and isinstance(part, int) and part < len(data)


def _alternatives(first: Complaint, found: Iterable[Complaint]) -> list[Complaint]:
    """What to speak of: of a union the alternative that was meant, or all of them.

    The alternative whose error lies deepest was meant; or the one of the right kind, whose value
    is out of range.
    """
    if first.union is None:
        return [first]
    rivals = [one for one in found if one.union == first.union]
    deepest = max(rivals, key=lambda one: len(one.keys))  # the first of several
    same = [one for one in rivals if one.keys == deepest.keys]
    ranged = [one for one in same if one.kind not in KINDS]
    return ranged[:1] or same


def _joined(words: Iterable[str]) -> str:
    """Alternatives as one: `a whole number or a list`."""
    kept = list(dict.fromkeys(words))
    if "a number" in kept:  # which every whole number is
        kept = [word for word in kept if word != "a whole number"]
    return " or ".join(kept)


def _remedy(kinds: set[str], wanted: str, value: object) -> str:
    """What to write instead: where it was nearly right, exactly that."""
    number = kinds & {"int_type", "float_type"}
    if "int_type" in kinds and isinstance(value, float):
        near = sorted({math.floor(value), math.ceil(value)}) if abs(value) < 1e15 else []
        return "whole numbers have no point: write " + (" or ".join(map(str, near)) or wanted)
    if isinstance(value, str) and (number or "bool_type" in kinds) and PLAIN.fullmatch(value):
        return f"numbers, true and false stand without quotes: write {wanted}"
    if kinds == {"tuple_type"}:
        return f"lists stand in square brackets: write {_listed(value)}"
    if kinds <= {"model_type", "dict_type"}:
        return "tables stand in braces, or under a [heading]: write { KEY = VALUE }"
    if kinds == {"string_type"}:
        return 'text stands in quotes: write "..."'
    if kinds == {"none_required"}:
        return "leave the key out"
    return f"write {wanted}"


def _listed(value: object) -> str:
    if isinstance(value, str) and SEVERAL.fullmatch(value):
        return f"[{value}]"
    plain = isinstance(value, bool | int | float | str)
    return f"[{show(value)}]" if plain else "[VALUE, VALUE]"


def _owner(cls: type[BaseModel], where: Iterable[str]) -> tuple[str, ...]:
    """The keys of the table at a place."""
    return tuple(getattr(_table(cls, where), "model_fields", {}))


def _table(cls: type[BaseModel], where: Iterable[str]) -> Any:
    """What the table at a place is built as."""
    owner: Any = cls
    for part in where:
        field = getattr(owner, "model_fields", {}).get(part)
        owner = field.annotation if field else owner
        owner = next((one for one in get_args(owner) if hasattr(one, "model_fields")), owner)
    return owner


def _nothing(value: object, cls: type[BaseModel], keys: Sequence[str]) -> str:
    """What to write in the place of what other languages write for nothing, if that may stand."""
    fields: Mapping[str, Any] = getattr(_table(cls, keys[:-1]), "model_fields", {})
    meant = isinstance(value, str) and value.lower() in {"none", "null", "nil", ""}
    field = fields.get(keys[-1]) if meant and keys else None
    if field is None or NoneType not in get_args(field.annotation):
        return ""
    taken = any(getattr(mark, "func", None) is absent for mark in field.metadata)
    return f"for nothing write {NONE!r}" if taken else "for nothing leave the key out"


def show(value: object) -> str:
    """A value in a message, cut."""
    text = _written(value)
    return text if len(text) <= 80 else text[:77] + "..."  # a line of a terminal


def _written(value: object) -> str:
    """A value about as TOML has it; text in the quotes of messages."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {_written(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return str(value) if isinstance(value, date | time) else repr(value)
