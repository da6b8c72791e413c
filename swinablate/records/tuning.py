"""How arms are tuned and what tuning suggested, as it is recorded; and the base of such values."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = 1
"""Of plans and ledgers as they are printed and reported; a home's files have one of their own
(`records.seal`). Raised when a field changes its meaning; a new field alone does not raise it."""


LATER = Field(exclude_if=lambda value: not value)
"""Of a field that came after 0.1: where it says nothing, a plan is written as it was then."""


class Record(BaseModel):
    """Base of recorded values: typed, frozen, open to fields of later versions."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """Plain data, as `plan.json` has it."""
        return self.model_dump(mode="json", by_alias=True)


Repeats = Literal["seed"] | int


def tunings(repeats: Repeats, seeds: int) -> int:
    """How many independent tunings an arm of so many final seeds has."""
    return seeds if repeats == "seed" else repeats


class TuneRecord(Record):
    """How arms are tuned; `space` has a range `{low, high, log}` or a list of levels a key.

    Attributes:
        repeats: independent tunings of an arm, or one for every final seed.
    """

    trials: int
    seeds: int = 1
    space: Mapping[str, Any]
    repeats: Annotated[Repeats, Field(exclude_if=lambda value: value == 1)] = 1

    @property
    def once(self) -> bool:
        """Whether an arm has one tuning, whose luck nothing tells from the arm's own worth."""
        return self.repeats == 1

    def of(self, seeds: int) -> int:
        """How many tunings an arm of so many final seeds has."""
        return tunings(self.repeats, seeds)


class TryRecord(Record):
    """One recipe that tuning suggested to an arm.

    Attributes:
        number: from 0, the arm's own recipe.
        params: recipe path -> value.
        trials: ids of its tuning trials, by seed.
        finals: ids of the final trials it would have, by those of the arm's seeds that are
            this tuning's.
        repeat: which tuning of the arm, from 0.
    """

    number: int
    params: Mapping[str, Any]
    trials: tuple[str, ...]
    finals: tuple[str, ...]
    repeat: Annotated[int, LATER] = 0


class Ledger(Record):
    """All that tuning suggested, in order (`tuning.json`).

    What a sampler suggests is asked for once: a later version of it cannot change a study.
    """

    version: Annotated[int, Field(alias="schema")] = SCHEMA
    arms: Mapping[str, tuple[TryRecord, ...]] = Field(default_factory=dict)

    def of(self, arm: str) -> tuple[TryRecord, ...]:
        """What was suggested to an arm."""
        return self.arms.get(arm, ())

    def tried(self, arm: str, repeat: int) -> tuple[TryRecord, ...]:
        """What one tuning of an arm was suggested."""
        return tuple(entry for entry in self.of(arm) if entry.repeat == repeat)

    def with_try(self, arm: str, entry: TryRecord) -> "Ledger":
        """The ledger with one more suggestion to an arm; the same in whichever order they came."""
        every = sorted([*self.of(arm), entry], key=lambda one: (one.repeat, one.number))
        return Ledger(arms={**self.arms, arm: tuple(every)})

    @property
    def named(self) -> list[str]:
        """The ids of all trials that it names, run or not."""
        entries = [entry for found in self.arms.values() for entry in found]
        return [trial for entry in entries for trial in (*entry.trials, *entry.finals)]
