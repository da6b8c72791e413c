"""[tune] of a study: what is tuned, in which space, with how many tries."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from swinablate.config.schema import Frozen
from swinablate.records.tuning import tunings

LEAST = 3
"""Tunings of an arm from which it is judged: of two, an sd is anybody's guess."""


class Range(Frozen):
    """Values from `low` to `high`; whole numbers if both ends are: 1.0 to 5.0 needs its dots."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low = {self.low} is not below high = {self.high}; swap them")
        if self.log and self.low <= 0:
            raise ValueError(f"low = {self.low} has no logarithm; give more than 0, or drop log")
        return self

    @property
    def points(self) -> float:
        """How many values there are."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        return self.high - self.low + 1 if whole else math.inf


class Tune(Frozen):
    """Every arm is tuned with the same budget, on validation accuracy; then it runs once more.

    Attributes:
        trials: recipes an arm may try, its own among them.
        seeds: of each try, in a random stream that no final trial shares.
        space: `train.` key -> a range, or a list of values.
        repeats: independent tunings of an arm, or one for every final seed. Of one nobody knows
            how lucky it was: differences of tuned arms then have no verdict.
    """

    trials: Annotated[int, Field(ge=2, le=1000)]
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    space: Annotated[dict[str, Range | tuple[Any, ...]], Field(min_length=1)]
    # Left out where it is 1: such a study is declared as it was before repeats could be said.
    repeats: Annotated[
        Literal["seed"] | Annotated[int, Field(ge=1, le=100)],
        Field(exclude_if=lambda value: value == 1),
    ] = 1

    @field_validator("space", mode="before")
    @classmethod
    def _readable(cls, space: Any) -> Any:
        """Say in one sentence what a range or list is; a union of types would say it in many.

        Without quotes, TOML takes `train.lr = ...` for a table in a table.
        """
        if isinstance(space, Mapping) and isinstance(space.get("train"), Mapping):
            inner = {f"train.{name}": part for name, part in space["train"].items()}
            space = {key: part for key, part in space.items() if key != "train"}
            if twice := sorted(inner.keys() & space.keys()):
                raise ValueError(f"{twice[0]} is there twice; write it once")
            space |= inner
        for key, part in space.items() if isinstance(space, Mapping) else ():
            if isinstance(part, Range | tuple):
                continue
            if not isinstance(part, Mapping) or not {"low", "high"} <= {*part} <= {*FIELDS}:
                raise ValueError(
                    f"{key} = {dict(part) if isinstance(part, Mapping) else part!r} is no range "
                    "and no list; write { low = 3e-4, high = 1e-2, log = true } or [0.0, 0.05]"
                )
        return space

    @field_validator("repeats", mode="before")
    @classmethod
    def _judged(cls, repeats: Any) -> Any:
        if isinstance(repeats, str) and repeats != "seed":
            raise ValueError(f'{repeats!r} is neither a number nor "seed"; write repeats = "seed"')
        if repeats == LEAST - 1:
            raise ValueError(
                f"of 2 tunings an arm nothing can be tested; write repeats = {LEAST} or more, "
                '"seed" for one each final seed, or 1 for no verdict about tuned arms'
            )
        return repeats

    def of(self, seeds: int) -> int:
        """How many tunings an arm of so many final seeds has."""
        return tunings(self.repeats, seeds)

    def tries(self, seeds: int) -> int:
        """How many tuning trials an arm of so many final seeds has."""
        return self.of(seeds) * self.trials * self.seeds

    @model_validator(mode="after")
    def _enough(self) -> "Tune":
        for key, part in self.space.items():
            if not isinstance(part, Range) and not _distinct(part):
                raise ValueError(
                    f"{key} = {list(part)} is no choice; list two or more different plain values"
                )
        points = math.prod(
            part.points if isinstance(part, Range) else len(part) for part in self.space.values()
        )
        if points < self.trials:
            raise ValueError(
                f"the space has {points} points, {self.trials} trials are asked for; "
                f"write trials = {points}, or a larger space"
            )
        return self


FIELDS = tuple(Range.model_fields)


def written_values(part: Range | tuple[Any, ...]) -> tuple[Any, ...]:
    """Every value that is written in a part of a space; of a range its ends."""
    return (part.low, part.high) if isinstance(part, Range) else part


def _distinct(levels: tuple[Any, ...]) -> bool:
    plain = all(isinstance(level, bool | int | float | str) for level in levels)
    # In Python 1 and true are equal; as levels they are two.
    kinds = {(isinstance(level, bool), level) for level in levels} if plain else set()
    return len(levels) >= 2 and len(kinds) == len(levels)
