"""What MLflow is told of a study and of a trial."""

from collections.abc import Mapping
from typing import Any

from swinablate.records.provenance import provenance
from swinablate.tracking.tracker import StudyCard, TrialCard


def study_card(plan: Mapping[str, Any], command: str) -> StudyCard:
    """What MLflow shows of a study.

    Args:
        plan: as declared (`plan.json`).
        command: what reproduces the study.
    """
    paths = [path for arm in plan["arms"] for path in arm["changes"]]
    paths += (plan.get("tune") or {}).get("space", ())
    return StudyCard(
        name=plan["study"],
        dataset=plan["arms"][0]["recipe"]["data"]["name"],
        declaration=plan["declaration"],
        question=plan["question"],
        commit=provenance()["git"].get("commit"),
        varied=tuple(dict.fromkeys(paths)),
        command=command,
    )


def trial_card(arm: Mapping[str, Any], seed: int, trial: str, *, reused: bool) -> TrialCard:
    """What MLflow shows of a trial.

    Args:
        arm: one of the declared plan's; of a tuned row, with its kind and recipe.
        seed: of the trial.
        trial: its id.
        reused: recorded earlier.
    """
    recipe = arm["recipe"]
    kind = "tune" if arm.get("kind") == "tune" else "final"
    if own := arm.get("starts", {}).get(kind, {}).get(str(seed)):
        recipe = {**recipe, "start": {**recipe["start"], **own}}
    return TrialCard(
        trial=trial,
        arm=arm["name"],
        seed=seed,
        kind=arm.get("kind", "final"),
        number=arm.get("number"),
        changes=arm["changes"],
        recipe=recipe,
        geometry=arm["geometry"],
        params=arm["params"],
        macs=arm["macs"],
        reused=reused,
    )
