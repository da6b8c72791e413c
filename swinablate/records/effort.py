"""How much a plan may run, and what it can show, as it is recorded."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from swinablate.records.tuning import LATER, Record


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


class NoiseRecord(Record):
    """How much accuracy varies over seeds, percentage points, and how we know.

    Attributes:
        sources: over which a study draws its trials; empty where it does not say.
        splits: of the data, 0 where it does not draw any.
        difference: "training" and "split" -> sd of a difference between two arms.
        known: how we know that, in words.
        replicates: what was declared, and what would do better.
    """

    sd: float | None = None
    source: str = ""
    sources: Annotated[tuple[str, ...], LATER] = ()
    splits: Annotated[int, LATER] = 0
    difference: Annotated[Mapping[str, float], LATER] = Field(default_factory=dict)
    known: Annotated[str, LATER] = ""
    replicates: Annotated[tuple[ReplicatesRecord, ...], LATER] = ()

    @property
    def nested(self) -> bool:
        """Whether every arm is trained on several splits."""
        return self.splits > 0
