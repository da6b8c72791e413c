"""What a plan spends, as it is recorded: tuning, looks, budget, replicates; and their base."""

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


class LookRecord(Record):
    """One look of an adaptive study: seeds, trials until then, and what it alone can find."""

    seeds: int
    baseline_seeds: int | None = None
    trials: int | None = None
    detectable_pp: float | None = None


class BudgetRecord(Record):
    """Where a study ends whether or not it has its answer."""

    hours: float | None = None
    gpu_hours: Annotated[float | None, LATER] = None
    trials: int | None = None


class TrialsRecord(Record):
    """How many trials a study may take."""

    fewest: Annotated[int, Field(alias="min")] = 0
    most: Annotated[int, Field(alias="max")] = 0


class ReplicatesRecord(Record):
    """A number of splits and of trainings on each, and what they find with power 0.8.

    Attributes:
        why: "declared"; "rope": the fewest splits that find it; "budget": the most it allows.
        splits: None where no number of them suffices.
        each: training seeds on a split.
        trials: of all arms together.
        detectable_pp: the smallest difference found with power 0.8.
    """

    why: str
    splits: int | None
    each: int
    trials: int | None
    detectable_pp: float | None


class TuningsRecord(Record):
    """A number of tunings of an arm, and of final seeds at each, and what they find of tuned arms.

    Attributes:
        why: "declared"; "seeds": the fewest that find the rope with so many tunings; "tunings":
            the fewest with so many seeds at each.
        tunings: of an arm; None where no number of them suffices.
        splits: of the data, over all tunings of an arm.
        each: final seeds of a tuning; None where no number of them suffices.
        trials: of all arms together, at most.
        detectable_pp: the smallest difference found with power 0.8.
    """

    why: str
    tunings: int | None
    splits: int | None
    each: int | None
    trials: int | None
    detectable_pp: float | None


class NoiseRecord(Record):
    """How much accuracy varies over seeds, percentage points, and how we know.

    Attributes:
        sources: over which a study draws its trials; empty where it does not say.
        splits: of the data, 0 where it does not draw any.
        difference: "training", "split", "tuning" -> sd of a difference between two arms.
        known: how we know that, in words.
        replicates: what was declared, and what would do better.
        tunings: the same of tuned arms, where arms are judged over tunings.
    """

    sd: float | None = None
    source: str = ""
    sources: Annotated[tuple[str, ...], LATER] = ()
    splits: Annotated[int, LATER] = 0
    difference: Annotated[Mapping[str, float], LATER] = Field(default_factory=dict)
    known: Annotated[str, LATER] = ""
    replicates: Annotated[tuple[ReplicatesRecord, ...], LATER] = ()
    tunings: Annotated[tuple[TuningsRecord, ...], LATER] = ()

    @property
    def nested(self) -> bool:
        """Whether every arm is trained on several splits."""
        return self.splits > 0
