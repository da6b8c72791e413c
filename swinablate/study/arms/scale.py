"""Scales at which a study trains every arm, as its file has them: one axis, or rungs of several.

A rule moves another number with the axis: `"train.lr" = -1.0` is the baseline's learning rate
times (level / the baseline's level) to the power of -1, so that it falls as 1 / width.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BeforeValidator, Field

from swinablate.config.levels import Level
from swinablate.config.schema import Frozen
from swinablate.errors import InputError
from swinablate.study.arms.axes import DOTTED, dotted
from swinablate.text import level as shown

By = Literal["params", "macs", "images", "epochs"]
TABLE = BeforeValidator(
    lambda value: dotted(value) if isinstance(value, Mapping) else value,
    json_schema_input_type=Any,
)
"""Of what is a table of fields where rungs are, and a level where there is one axis."""
STEEPEST = 4.0
"""Of a rule's power: nothing that anybody published moves faster than width squared."""
DIGITS = 12
"""Digits of a number that a rule gives: what a power leaves behind them is rounding."""
Power = Annotated[float, Field(ge=-STEEPEST, le=STEEPEST)]
Rung = Mapping[str, Level]
"""Recipe path -> level."""


class Scale(Frozen):
    """Every arm, the baseline too, is trained at every rung."""

    axis: str = ""  # a recipe path: model.width
    levels: tuple[Any, ...] = ()
    rungs: tuple[Annotated[dict[str, Any], DOTTED], ...] = ()  # instead: several fields at once
    by: By = "params"  # what is doubled, of the baseline; images are those of the training split
    predict: Annotated[Any, TABLE] = None  # a level beyond the largest, or a table of fields
    rules: Annotated[dict[str, Power], DOTTED] = Field(default_factory=dict)

    @property
    def paths(self) -> tuple[str, ...]:
        """The recipe paths that differ between rungs."""
        own = (self.axis,) if self.axis else tuple(self.rungs[0])
        return (*own, *self.rules)


def rungs_of(scale: Scale, at: str) -> tuple[Rung, ...]:
    """The rungs as changes of the baseline, in the order of the file.

    Args:
        scale: as written.
        at: the file, for messages.

    Raises:
        InputError: neither or both of the two ways to give them, too few, one twice, or a level
            that is no number.
    """
    where = f"{at}: scale"
    if bool(scale.rungs) == bool(scale.axis or scale.levels):
        raise InputError(
            "rungs are given in two ways" if scale.rungs else "no rungs are given",
            at=where,
            hint='write axis = "model.width", levels = [16, 24, 32, 48]; or rungs = [{...}, ...]',
        )
    if scale.rungs:
        return _several(scale.rungs, f"{where}.rungs")
    if not scale.axis or not scale.levels:
        missing = "levels" if scale.axis else "axis"
        raise InputError(
            f"key {missing!r} is missing",
            at=where,
            hint='write axis = "model.width", levels = [16, 24, 32, 48]',
        )
    _check_levels(scale.levels, f"{where}.levels")
    return tuple({scale.axis: level} for level in scale.levels)


def predicted(scale: Scale, at: str) -> Rung | None:
    """The rung that is predicted, as changes of the baseline; None if none is.

    Raises:
        InputError: it is no level of the axis, or no table of the fields of the rungs.
    """
    where, wanted = f"{at}: scale.predict", scale.predict
    if wanted is None:
        return None
    if scale.rungs:
        keys = scale.rungs[0].keys()
        if not isinstance(wanted, Mapping) or wanted.keys() != keys:
            fields = ", ".join(f'"{key}" = ...' for key in keys)
            raise InputError(
                "expected a table of the fields that the rungs have",
                at=where,
                hint=f"write predict = {{ {fields} }}",
            )
        return dict(wanted)
    _check_number(wanted, where)
    return {scale.axis: wanted}


def ruled(scale: Scale, rung: Rung, now: Mapping[str, Level], at: str) -> dict[str, float]:
    """What the rules give at a rung: recipe path -> value.

    Args:
        scale: as written.
        rung: where.
        now: the baseline's fields by recipe path.
        at: the file, for messages.

    Raises:
        InputError: a rule without an axis of one number, or of a field that is no number.
    """
    where = f"{at}: scale.rules"
    if not scale.rules:
        return {}
    own, there = now.get(scale.axis), rung.get(scale.axis)
    if not _positive(own) or not _positive(there):
        raise InputError(
            "a rule moves a number with an axis whose levels are single numbers above 0",
            at=where,
            hint="give rungs = [{...}, ...] that have the number themselves",
        )
    found = {}
    for path, power in scale.rules.items():
        value = now.get(path)
        if not isinstance(value, float) or path == scale.axis:
            raise InputError(
                f"a rule moves a number with a fraction, and {path!r} is none of the baseline's",
                at=f"{where}: {path!r}",
                hint='write rules = { "train.lr" = -1.0 }',
            )
        found[path] = float(f"{_ruled(value, there / own, power):.{DIGITS}g}")
    return found


def _ruled(value: float, ratio: float, power: float) -> float:
    """What a rule makes of a number; beyond the end of numbers, infinite, which no field takes."""
    try:
        return float(value * ratio**power)
    except (OverflowError, ZeroDivisionError):
        return math.inf


def check_beside(design: str, at: str) -> None:
    """Refuse what cannot be combined with rungs in this version.

    Args:
        design: of the study.
        at: the file, for messages.

    Raises:
        InputError: it is a design of several switches.
    """
    if design != "one_at_a_time":
        raise InputError(
            f"[scale] and design = {design!r} are not possible together in this version",
            at=f"{at}: scale",
            hint='write design = "one_at_a_time"; a factorial study has the axis among its [axes]',
        )


def check_changes(scale: Scale, changes: Iterable[str], at: str) -> None:
    """Refuse an arm that changes what differs between rungs.

    Args:
        scale: as written.
        changes: recipe paths that an arm or an axis changes.
        at: where it is written, for messages.

    Raises:
        InputError: one of them is a path of a rung, lies inside one, or holds one.
    """
    for path in changes:
        for own in scale.paths:
            if f"{path}.".startswith(f"{own}.") or f"{own}.".startswith(f"{path}."):
                raise InputError(
                    f"{path!r} is changed here, and [scale] sets {own!r} at every rung",
                    at=at,
                    hint="leave one of the two out: a difference at a scale is between arms of it",
                )


def _several(rungs: Sequence[Rung], at: str) -> tuple[Rung, ...]:
    for rung in rungs:
        if not rung or rung.keys() != rungs[0].keys():
            raise InputError(
                f"rungs give different fields: {', '.join(rungs[0])} and {', '.join(rung)}",
                at=at,
                hint="give the same fields in every rung",
            )
    _check_many(rungs, at)
    return tuple(rungs)


def _check_levels(levels: Sequence[Level], at: str) -> None:
    for level in levels:
        _check_number(level, at)
    _check_many(levels, at)


def _check_number(level: Level, at: str) -> None:
    parts = level if isinstance(level, tuple | list) and level else [level]
    if any(isinstance(part, bool) or not isinstance(part, int | float) for part in parts):
        raise InputError(
            f"{shown(level, quote=True)} is no number, and a scale has numbers",
            at=at,
            hint="write levels = [16, 24, 32, 48]; switches belong in [axes]",
        )


def _check_many(levels: Sequence[object], at: str) -> None:
    twice = [level for i, level in enumerate(levels) if level in levels[:i]]
    if twice:
        raise InputError(
            f"{shown(twice[0], quote=True)} is there twice", at=at, hint="name every rung once"
        )
    if len(levels) < 2:
        raise InputError(
            f"{len(levels)} rung shows no trend",
            at=at,
            hint="give at least 2 rungs; from 4 on, effects beyond them are predicted",
        )


def _positive(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
