"""What MLflow is told of a study, of its arms and of a trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swinablate.config.metrics import ACCURACY, unit_on
from swinablate.records.launch import UNKNOWN, Launch
from swinablate.records.plan import PlanRecord, Row
from swinablate.records.provenance import provenance


@dataclass(frozen=True, kw_only=True)
class ArmCard:
    """What a summary shows of an arm besides its results.

    Attributes:
        planned: seeds there can be.
        recipe: in full, nested.
        place: label of the scale or the data set, where verdicts are about another; else empty.
        home_name: what it is called there.
    """

    planned: int
    recipe: Mapping[str, Any]
    params: int | None = None
    macs: int | None = None
    place: str = ""
    home_name: str = ""

    @property
    def family(self) -> str:
        """The family of its network; empty where a command is trained."""
        model = self.recipe.get("model")
        return str(model.get("family", "")) if isinstance(model, Mapping) else ""


@dataclass(frozen=True, kw_only=True)
class StudyCard:
    """What MLflow shows of a study.

    Attributes:
        arms: by name, the baseline first.
        declaration: digest of what was declared before launch.
        varied: paths of the switches the arms differ in.
        metric: what the arms are compared in.
        unit: of differences, on the study's scale.
        launch: how it was started, and by what commands it goes on; empty where nobody knows.
    """

    name: str
    dataset: str
    declaration: str
    question: str
    commit: str | None
    varied: tuple[str, ...]
    metric: str = ACCURACY
    unit: str = "pp"
    launch: Launch = UNKNOWN
    arms: Mapping[str, ArmCard] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialCard:
    """What MLflow shows of a trial before it runs.

    Attributes:
        kind: final; tune, a try on validation; or tuned, a final trial at what tuning chose.
        number: of the try; None for a final trial at the fixed recipe.
        repeat: which tuning of the arm the try belongs to, from 0.
        changes: switch path -> level, against the baseline.
        recipe: in full, nested.
        geometry: the effective numbers of each stage.
        reused: recorded earlier, told again.
    """

    trial: str
    arm: str
    seed: int
    kind: str
    changes: Mapping[str, object]
    recipe: Mapping[str, Any]
    geometry: Sequence[Mapping[str, Any]]
    params: int | None
    macs: int | None
    reused: bool
    number: int | None = None
    repeat: int = 0

    @property
    def dataset(self) -> str:
        """What it is trained on, which may be another data set than the baseline's."""
        return str(self.recipe.get("data", {}).get("name", ""))


def study_card(plan: PlanRecord, launch: Launch) -> StudyCard:
    """What MLflow shows of a study.

    Args:
        plan: as declared (`plan.json`).
        launch: how it was started.
    """
    paths = [path for arm in plan.arms for path in arm.changes]
    paths += plan.tune.space if plan.tune else ()
    elsewhere = _elsewhere(plan)
    return StudyCard(
        name=plan.study,
        dataset=plan.baseline.dataset,
        declaration=plan.declaration,
        question=plan.question,
        commit=provenance()["git"].get("commit"),
        varied=tuple(dict.fromkeys(paths)),
        metric=plan.compare.metric,
        unit=unit_on(plan.compare.metric, plan.compare.scale),
        launch=launch,
        arms={
            arm.name: ArmCard(
                planned=len(arm.seeds),
                recipe=arm.recipe,
                params=arm.params,
                macs=arm.macs,
                **elsewhere.get(arm.name, {}),
            )
            for arm in plan.arms
        },
    )


def _elsewhere(plan: PlanRecord) -> dict[str, dict[str, str]]:
    """Arm at another scale or on another data set -> which, and its name at home."""
    scale, sets = plan.scale, plan.datasets
    places = [(one.label, one.arms) for one in (scale.rungs if scale else ())]
    places += [(one.label, one.arms) for one in (sets.sets if sets else ())]
    home = [one.home for one in (scale, sets) if one]
    return {
        name: {"place": label, "home_name": arm}
        for label, arms in places
        if label not in home
        for arm, name in arms.items()
    }


def trial_card(row: Row, *, reused: bool) -> TrialCard:
    """What MLflow shows of a trial.

    Args:
        row: of a declared plan, or of its tuning.
        reused: recorded earlier.
    """
    arm = row.arm
    return TrialCard(
        trial=row.trial,
        arm=arm.name,
        seed=row.seed,
        kind="tune" if row.basis == "try" else "tuned" if row.basis == "tuned" else "final",
        number=row.number,
        repeat=row.repeat,
        changes=arm.changes,
        recipe=arm.recipe_of(row.kind, row.seed),
        geometry=arm.geometry,
        params=arm.params,
        macs=arm.macs,
        reused=reused,
    )
