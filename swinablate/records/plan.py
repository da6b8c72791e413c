"""The recorded plan: what `plan.json` holds, and what everything behind `Plan` takes.

Written once, when a study is declared, and read back as itself. Recipes, levels and geometry are
plain data here: a record opens for ever, also when the family it names is gone.

Fields that a later version adds have a default, so that older records open; what a newer version
wrote beside the fields known here is ignored. A record of a newer `schema` is refused.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from swinablate.records.scale import DatasetsRecord, ScaleRecord
from swinablate.records.tuning import (
    LATER,
    SCHEMA,
    BudgetRecord,
    Ledger,
    LookRecord,
    NoiseRecord,
    Record,
    TrialsRecord,
    TuneRecord,
)
from swinablate.text import own_name

Design = Literal["one_at_a_time", "factorial", "fraction", "path"]


class CompareRecord(Record):
    """What was declared to be compared; differences in percentage points."""

    metric: str = "test/accuracy"
    rope: float | None = None
    alpha: float = 0.05
    sd: float | None = None
    secondary: Annotated[tuple[str, ...], LATER] = ()
    scale: Annotated[str, Field(exclude_if=lambda value: value == "linear")] = "linear"


class HypothesisRecord(Record):
    """What somebody said an arm, an effect of the design, or a declared contrast does."""

    arm: str = ""
    contrast: Annotated[str, LATER] = ""
    expect: Literal["better", "worse", "equivalent"]
    by: float = 0.0
    source: str = ""
    quantity: Annotated[str, LATER] = ""

    @property
    def about(self) -> str:
        """The name of what was claimed about."""
        return self.arm or self.contrast


class ContrastRecord(Record):
    """A comparison that was declared beside those with the baseline: arm -> weight."""

    name: str
    of: Mapping[str, float]


class ChangeRecord(Record):
    """Names that one of two networks has, or both otherwise."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many names."""
        return len(self.added) + len(self.removed) + len(self.changed)


class ProofRecord(Record):
    """How an arm's network differs from the baseline's; `models.diff.Proof` tells of each field.

    Attributes:
        where: places of what differs, numbers as `*`, and how many each stands for.
    """

    modules: ChangeRecord = ChangeRecord()
    parameters: ChangeRecord = ChangeRecord()
    buffers: ChangeRecord = ChangeRecord()
    restarted: tuple[str, ...] = ()
    where: Mapping[str, int] = Field(default_factory=dict)
    output: float | None = None
    output_train: float | None = None
    outside: tuple[str, ...] = ()


class MatchRecord(Record):
    """What was solved to make an arm as large as the baseline.

    Attributes:
        solved: recipe path -> (as written, in the arm).
        off: relative difference of `found` to `target`.
    """

    by: str
    tolerance: float
    solved: Mapping[str, tuple[Any, Any]]
    target: int
    found: int
    off: float


class StartRecord(Record):
    """The file of weights that one seed starts from."""

    weights: str
    sha256: str


class ArmRecord(Record):
    """One arm as it was planned; the baseline is the first and changes nothing.

    Only the name is sure: results trained elsewhere have arms without a recipe.

    Attributes:
        changes: switch -> level.
        cell: a point of the design that the axes span, and no named arm.
        differs: recipe path -> (the baseline's value, the arm's).
        recipe: plain data, every field.
        geometry: effective numbers of each stage.
        params: trainable numbers.
        macs: multiply-accumulates of one image, forward.
        activation_bytes: kept by a training step for one image, in fp32.
        idle: changes of the model without which the arm would be the same.
        trials: ids, by `seeds`.
        starts: kind of trial -> seed -> its file of weights, where every seed has its own.
        against: the arm that it is compared with instead of the baseline; mostly empty.
        measures: metric that the study asks for -> what the arm calls it; mostly the same.
        splits: seed -> `data.split_seed` of its final trial, where a study draws splits.
    """

    name: str
    changes: Mapping[str, Any] = Field(default_factory=dict)
    cell: bool = False
    differs: Mapping[str, tuple[Any, Any]] = Field(default_factory=dict)
    recipe: Mapping[str, Any] = Field(default_factory=dict)
    recipe_digest: str = ""
    image: Mapping[str, int] = Field(default_factory=dict)
    params: int | None = None
    macs: int | None = None
    activation_bytes: int | None = None
    geometry: tuple[Mapping[str, Any], ...] = ()
    match: MatchRecord | None = None
    proof: ProofRecord | None = None
    idle: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    trials: tuple[str, ...] = ()
    starts: Mapping[str, Mapping[str, StartRecord]] = Field(default_factory=dict)
    against: Annotated[str, LATER] = ""
    measures: Annotated[Mapping[str, str], LATER] = Field(default_factory=dict)
    splits: Annotated[Mapping[str, int], LATER] = Field(default_factory=dict)

    def recipe_of(self, kind: str, seed: int) -> Mapping[str, Any]:
        """The recipe of one trial, with the file of weights and the split of its own, if any.

        Args:
            kind: of the trial.
            seed: of the trial.
        """
        recipe = self.recipe
        if own := self.starts.get(kind, {}).get(str(seed)):
            recipe = {**recipe, "start": {**recipe["start"], **own.to_json()}}
        if kind == "final" and str(seed) in self.splits:
            recipe = {**recipe, "data": {**recipe["data"], "split_seed": self.splits[str(seed)]}}
        return recipe

    @property
    def commanded(self) -> bool:
        """Whether it is somebody's command: no network and no images of ours."""
        return "command" in self.recipe

    @property
    def own(self) -> tuple[str, ...]:
        """What its command records, the number that is compared first."""
        if not self.commanded:
            return ()
        said = self.recipe["command"]
        return tuple(map(own_name, (said["metric"], *said.get("also", ()))))

    @property
    def family(self) -> str:
        """Of its network; empty for results from elsewhere."""
        return "command" if self.commanded else str(self.recipe.get("model", {}).get("family", ""))

    @property
    def dataset(self) -> str:
        """The name of its data; empty for results from elsewhere."""
        return "command" if self.commanded else str(self.recipe.get("data", {}).get("name", ""))


class RefusalRecord(Record):
    """An arm that was not run, and why; `same_as` names the arm that it is."""

    name: str
    changes: Mapping[str, Any] = Field(default_factory=dict)
    cell: bool = False
    reason: str
    same_as: str | None = None


class WarningRecord(Record):
    """What the plan makes a reader beware of."""

    code: str
    text: str


class ImagesRecord(Record):
    """The images of some arms.

    Attributes:
        arms: whose they are.
        data: name of the data set.
        size: height x width x channels, as networks see them.
        sizes: split -> how many.
        per_class: split -> how many of each class, in their order; empty until they are prepared.
        classes: their names, where they have some.
        converted: what was made other of images -> of how many.
    """

    arms: tuple[str, ...]
    data: str
    size: str
    sizes: Mapping[str, int] = Field(default_factory=dict)
    per_class: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    classes: tuple[str, ...] = ()
    converted: Mapping[str, int] = Field(default_factory=dict)


class ChoiceRecord(Record):
    """What `auto` became on one device model, by recipe path; what was measured, and when."""

    choice: Mapping[str, Any]
    measured: tuple[Mapping[str, Any], ...] = ()
    at: int = 0


class Choices(Record):
    """What `auto` became in a study, by device model (`choices.json`)."""

    devices: Mapping[str, ChoiceRecord]


class Row(NamedTuple):
    """A trial of a plan: its arm, its seed, its id.

    Attributes:
        arm: as planned; of tuning, with the recipe that was tried or chosen.
        basis: the arm's own recipe, one that tuning tried, or the one that it chose.
        number: which suggestion of tuning; None at the arm's own recipe.
        repeat: of which tuning of the arm.
    """

    arm: ArmRecord
    seed: int
    trial: str
    basis: Literal["fixed", "try", "tuned"] = "fixed"
    number: int | None = None
    repeat: int = 0

    @property
    def kind(self) -> Literal["final", "tune"]:
        """What the trial is run for; only a final one sees the test images."""
        return "tune" if self.basis == "try" else "final"


class PlanRecord(Record):
    """A declared study, as plain typed data.

    Attributes:
        declaration: digest of all that was declared.
        parent: the declaration whose open questions this one gives more seeds; mostly empty.
        imports: modules of nobody's package that a study's recipes name: their code runs.
        shows: what the design can and cannot show, in a sentence.
        images: those of the baseline first; arms that share them stand together.
        trials: how many there may be.
        reused: final trials that were recorded when it was declared.
        detectable_pp: the smallest difference found with power 0.8, percentage points.
        seeds_needed: "difference" and "equivalence" -> seeds an arm (with looks, at the last)
            that show the rope with power 0.8; None if too many.
        effects_pp: family of effects -> the size from which the design finds all of it.
        contrasts: comparisons that were declared one by one.
        between: declared contrast -> the change that it is about, or those that act together.
        confounded: arm or contrast -> what changes at once between its two sides, in words; only
            where more than one thing does.
        labels: name of an arm, a level or a switch -> how figures call it.
        scale: the rungs at which every arm is trained, where there are several.
        datasets: the data sets on which every arm is trained, where there are several.
        ledger: what tuning has suggested so far; kept in a file of its own.
    """

    version: Annotated[int, Field(alias="schema")] = SCHEMA
    study: str = "results"
    question: str = ""
    declaration: str = ""
    parent: Annotated[str, LATER] = ""
    imports: Annotated[tuple[str, ...], LATER] = ()
    design: Design = "one_at_a_time"
    shows: str = ""
    axes: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)
    looks: tuple[LookRecord, ...] = ()
    tune: TuneRecord | None = None
    budget: BudgetRecord = BudgetRecord()
    smoke: bool = False
    compare: CompareRecord = CompareRecord()
    hypotheses: tuple[HypothesisRecord, ...] = ()
    arms: tuple[ArmRecord, ...] = ()
    refusals: tuple[RefusalRecord, ...] = ()
    warnings: tuple[WarningRecord, ...] = ()
    images: Annotated[tuple[ImagesRecord, ...], LATER] = ()
    trials: TrialsRecord = TrialsRecord()
    reused: int = 0
    detectable_pp: float | None = None
    noise: NoiseRecord = NoiseRecord()
    seeds_needed: Annotated[Mapping[str, int | None], LATER] = Field(default_factory=dict)
    effects_pp: Mapping[str, float] = Field(default_factory=dict)
    contrasts: Annotated[tuple[ContrastRecord, ...], LATER] = ()
    between: Annotated[Mapping[str, str], LATER] = Field(default_factory=dict)
    confounded: Annotated[Mapping[str, str], LATER] = Field(default_factory=dict)
    labels: Annotated[Mapping[str, str], LATER] = Field(default_factory=dict)
    scale: Annotated[ScaleRecord | None, LATER] = None
    datasets: Annotated[DatasetsRecord | None, LATER] = None
    ledger: Annotated[Ledger, Field(exclude=True)] = Ledger()

    @property
    def units(self) -> dict[int, int]:
        """Seed -> the split that it is trained on, in all arms; empty where none are drawn."""
        splits = self.arms[0].splits if self.arms else {}
        return {int(seed): split for seed, split in splits.items()}

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric and quantity that it asks for, the one that decides first."""
        asked = (hypothesis.quantity for hypothesis in self.hypotheses)
        named = (self.compare.metric, *self.compare.secondary, *filter(None, asked))
        return tuple(dict.fromkeys(named))

    @property
    def own(self) -> tuple[str, ...]:
        """All that a command records, as `[compare]` names it; nothing of networks."""
        found = [name for arm in self.arms for name in arm.own]
        return tuple(dict.fromkeys(found))

    @property
    def apart(self) -> frozenset[str]:
        """Commands among networks, or networks among commands: arms unlike the baseline.

        Whatever their seeds, they share no random numbers with it.
        """
        own = bool(self.arms) and self.baseline.commanded
        return frozenset(arm.name for arm in self.arms if arm.commanded != own)

    @property
    def baseline(self) -> ArmRecord:
        """The arm that the others are compared with."""
        return self.arms[0]

    def arm(self, name: str) -> ArmRecord:
        """The arm of a name.

        Raises:
            KeyError: there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def rows(self) -> Iterator[Row]:
        """Every final trial at the arms' own recipes, arm by arm."""
        for arm in self.arms:
            pairs = zip(arm.seeds, arm.trials, strict=True)
            yield from (Row(arm, seed, trial) for seed, trial in pairs)


def at_home(plan: PlanRecord) -> PlanRecord:
    """The plan of one rung or data set: of the arms that the study's verdicts are about."""
    if (somewhere := plan.scale or plan.datasets) is None:
        return plan
    away, behind = somewhere.others, somewhere.suffixes
    arms = tuple(arm for arm in plan.arms if arm.name not in away)
    refusals = tuple(one for one in plan.refusals if not one.name.endswith(behind))
    return plan.model_copy(update={"arms": arms, "refusals": refusals})


def everything(plan: PlanRecord) -> list[str]:
    """The ids of all trials a plan and its ledger name, run or not."""
    entries = [entry for arm in plan.arms for entry in plan.ledger.of(arm.name)]
    tuning = [trial for entry in entries for trial in (*entry.trials, *entry.finals)]
    return list(dict.fromkeys([*(row.trial for row in plan.rows()), *tuning]))
