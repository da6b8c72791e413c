"""What MLflow is told of a study and of a trial."""

from swinablate.records.launch import Launch
from swinablate.records.plan import PlanRecord, Row
from swinablate.records.provenance import provenance
from swinablate.tracking.text import ArmCard, StudyCard, TrialCard


def study_card(plan: PlanRecord, launch: Launch) -> StudyCard:
    """What MLflow shows of a study.

    Args:
        plan: as declared (`plan.json`).
        launch: how it was started.
    """
    paths = [path for arm in plan.arms for path in arm.changes]
    paths += plan.tune.space if plan.tune else ()
    return StudyCard(
        name=plan.study,
        dataset=plan.baseline.dataset,
        declaration=plan.declaration,
        question=plan.question,
        commit=provenance()["git"].get("commit"),
        varied=tuple(dict.fromkeys(paths)),
        metric=plan.compare.metric,
        launch=launch,
        arms={
            arm.name: ArmCard(
                planned=len(arm.seeds), recipe=arm.recipe, params=arm.params, macs=arm.macs
            )
            for arm in plan.arms
        },
    )


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
