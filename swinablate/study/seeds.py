"""How much a study may run: its seeds, or the looks that add seeds, tuning, and its budget."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator

from swinablate.config.schema import Frozen
from swinablate.errors import InputError
from swinablate.stats.estimate import BASELINE_RATIO

BEYOND = 1 << 53
"""Above every seed: Optuna's database and JSON's readers keep whole numbers exactly up to it."""
MANY = 1000
"""Seeds of an arm."""
Seed = Annotated[int, Field(ge=0, lt=BEYOND)]
Seeds = Annotated[int, Field(ge=1, le=MANY)] | Annotated[tuple[Seed, ...], Field(max_length=MANY)]


class Adaptive(Frozen):
    """Seeds are added, look by look, for what is not decided yet."""

    # From 3: with fewer seeds nothing is tested, and alpha would be spent on it.
    # At most 50: their levels take a second to compute, and nobody looks more often.
    looks: Annotated[tuple[Annotated[int, Field(ge=3, le=MANY)], ...], Field(max_length=50)]

    @field_validator("looks")
    @classmethod
    def _rise(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if not looks or any(one >= other for one, other in pairwise(looks)):
            raise ValueError(
                f"looks = {list(looks)} do not rise; give seeds of an arm: [3, 5, 8, 12, 16]"
            )
        return looks


class Budget(Frozen):
    """Where a study ends whether or not it has its answer.

    All count the trials a study uses, also those another study recorded before, so that the
    same records always give the same study. `hours` is the trials' own time, summed over slots;
    `gpu_hours` that time by the GPUs that each held, of which trials side by side share one.
    """

    hours: Annotated[float, Field(gt=0)] | None = None
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    trials: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True, kw_only=True)
class Extension:
    """More seeds for some arms of a study that was judged already.

    Attributes:
        parent: the declaration that was judged.
        seeds: arm -> all of its seeds, the old ones first.
    """

    parent: str
    seeds: Mapping[str, tuple[int, ...]]


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
    # After the arms' seeds, so that the first ones are shared and may be paired.
    extra = range(max(found) + 1, max(found) + 1 + count - len(found))
    if extra.stop > BEYOND:
        raise InputError(
            f"the baseline's own seeds would follow {max(found)}, and no seed is 2**53 or more",
            at=f"{at}: seeds",
            hint="give smaller seeds: the numbers themselves mean nothing",
        )
    return found, (*found, *extra)
