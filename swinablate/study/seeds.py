"""How much a study may run: its seeds, or the looks that add seeds, tuning, and its budget."""

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from swinablate.config.schema import Frozen
from swinablate.errors import InputError
from swinablate.stats.estimate import BASELINE_RATIO

Seeds = Annotated[int, Field(ge=1, le=1000)] | tuple[Annotated[int, Field(ge=0)], ...]


class Adaptive(Frozen):
    """Seeds are added, look by look, for what is not decided yet."""

    looks: tuple[Annotated[int, Field(ge=3, le=1000)], ...]

    @field_validator("looks")
    @classmethod
    def _rise(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if not looks or any(one >= other for one, other in pairwise(looks)):
            raise ValueError(
                f"looks = {list(looks)} do not rise; give seeds of an arm: [3, 5, 8, 12, 16]"
            )
        return looks


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
    """

    trials: Annotated[int, Field(ge=2, le=1000)]
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    space: Annotated[dict[str, Range | tuple[Any, ...]], Field(min_length=1)]

    @field_validator("space", mode="before")
    @classmethod
    def _readable(cls, space: Any) -> Any:
        """Say in one sentence what a range or list is; a union of types would say it in many."""
        for key, part in space.items() if isinstance(space, Mapping) else ():
            if isinstance(part, Range | tuple):
                continue
            if not isinstance(part, Mapping) or not {"low", "high"} <= {*part} <= {*FIELDS}:
                raise ValueError(
                    f"{key} = {dict(part) if isinstance(part, Mapping) else part!r} is no range "
                    "and no list; write { low = 3e-4, high = 1e-2, log = true } or [0.0, 0.05]"
                )
        return space

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


def _distinct(levels: tuple[Any, ...]) -> bool:
    plain = all(isinstance(level, bool | int | float | str) for level in levels)
    kinds = {(isinstance(level, bool), level) for level in levels} if plain else set()
    return len(levels) >= 2 and len(kinds) == len(levels)


class Budget(Frozen):
    """Where a study ends whether or not it has its answer.

    Both count the trials a study uses, also those another study recorded before, so that the
    same records always give the same study. `hours` is the trials' own time, summed over slots.
    """

    hours: Annotated[float, Field(gt=0)] | None = None
    trials: Annotated[int, Field(ge=1)] | None = None


def every_seed(
    seeds: Seeds | None, baseline_seeds: int | None, adaptive: Adaptive | None, at: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The seeds an arm can have, and those of the baseline: as many again after them.

    Raises:
        InputError: neither seeds nor looks, both, or seeds that cannot be.
    """
    if adaptive is not None:
        if seeds is not None or baseline_seeds is not None:
            given = "seeds" if seeds is not None else "baseline_seeds"
            raise InputError(
                f"{given!r} is given, and [adaptive] adds seeds itself",
                at=at,
                hint="give one of them; the baseline has twice the seeds of a look",
            )
        most = adaptive.looks[-1]
        return tuple(range(most)), tuple(range(BASELINE_RATIO * most))
    if seeds is None:
        raise InputError(
            "key 'seeds' is missing", at=at, hint="add seeds = 5, or [adaptive] looks = [3, 5, 8]"
        )
    return _fixed(seeds, baseline_seeds, at)


def _fixed(
    seeds: Seeds, baseline_seeds: int | None, at: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    found = tuple(range(seeds)) if isinstance(seeds, int) else seeds
    if not found:
        raise InputError("seeds = [] runs nothing", at=f"{at}: seeds", hint="give 3 or more")
    if len(set(found)) < len(found):
        twice = sorted({s for s in found if found.count(s) > 1})
        raise InputError(
            f"seeds = {list(found)} repeats {twice}",
            at=f"{at}: seeds",
            hint="a repeated seed is the same trial, not a replicate: drop it",
        )
    count = baseline_seeds or BASELINE_RATIO * len(found)
    if count < len(found):
        raise InputError(
            f"baseline_seeds = {count} is less than the {len(found)} seeds",
            at=at,
            hint="leave it out: the baseline then runs twice the seeds",
        )
    extra = range(max(found) + 1, max(found) + 1 + count - len(found))
    return found, (*found, *extra)
