"""What a summary shows of an arm: its row while seeds are missing, its state, its colour. Pure."""

import colorsys
from collections.abc import Collection, Mapping
from statistics import mean, stdev
from typing import Any

from swinablate.config.metrics import metric
from swinablate.text import known, places_in
from swinablate.tracking.cards import StudyCard
from swinablate.tracking.text import key

PENDING = "pending"
HUES = (0.57, 0.09, 0.44, 0.88, 0.75, 0.27)
"""Blue, orange, green, pink, violet, olive: told apart by most eyes; a seventh family begins anew,
as no more can be."""
LIGHT = (0.34, 0.72)
"""Of the first and the last arm of a family: both are legible on white and on black."""


def row(study: StudyCard, arm: str, ended: Collection[Mapping[str, Any]]) -> dict[str, Any]:
    """An arm as in `verdicts.json`, but with no effect and no verdict: they are not due.

    Args:
        study: whose arm it is.
        arm: its name.
        ended: its final trials that have ended, as in their records.
    """
    measure = metric(study.metric)
    done = [one.get("metrics", {}) for one in ended if one["status"] == "done"]
    values = [float(found[measure.key]) for found in done if known(found.get(measure.key))]
    lost = {kind: sum(one["status"] == kind for one in ended) for kind in ("diverged", "failed")}
    spread = stdev(values) if len(values) > 1 else None
    return {
        "name": arm,
        "n": len(done),
        "mean": mean(values) if values else None,
        "sd": spread,
        "places": places_in(measure.unit, spread),
        "verdict": PENDING,
        "metric": study.metric,
        "unit": measure.unit,
        **lost,
    }


def done(study: StudyCard, arm: Mapping[str, Any]) -> str:
    """How many of an arm's seeds count, of those there can be."""
    card = study.arms.get(str(arm["name"]))
    planned = card.planned if card else arm.get("planned")
    count = arm["n"] if arm.get("runs") is None else arm["runs"]  # where splits are counted
    return f"{count} of {planned}" if planned else str(count)


def state(arm: Mapping[str, Any]) -> str:
    """MLflow's word for an arm: a green tick is for a result alone."""
    if arm["verdict"] in {PENDING, "baseline"} and not arm["n"]:
        return "FAILED" if _lost(arm) else "SCHEDULED"
    if arm["verdict"] == PENDING:
        return "SCHEDULED"
    return "FAILED" if arm["verdict"] == "fails to train" or not arm["n"] else "FINISHED"


def sizes(study: StudyCard, arm: str) -> dict[str, float]:
    """What an arm's network costs, by the names that a trial's run has for it."""
    card = study.arms.get(arm)
    found = {"model/params": card.params, "model/macs": card.macs} if card else {}
    return {name: float(value) for name, value in found.items() if value is not None}


def family(study: StudyCard, arm: str) -> dict[str, str]:
    """The family of an arm's network, as a parameter."""
    card = study.arms.get(arm)
    return {key("family"): card.family} if card and card.family else {}


def colour(study: StudyCard, arm: str) -> dict[str, str]:
    """MLflow's tag for the colour of a run: families differ in hue, arms of one in lightness."""
    if arm not in study.arms:
        return {}
    families = list(dict.fromkeys(card.family for card in study.arms.values()))
    mine = [n for n, card in study.arms.items() if card.family == study.arms[arm].family]
    dark, light = LIGHT
    share = mine.index(arm) / max(1, len(mine) - 1)
    hue = HUES[families.index(study.arms[arm].family) % len(HUES)]
    parts = colorsys.hls_to_rgb(hue, dark + (light - dark) * share, 0.7)
    return {"mlflow.runColor": "#" + "".join(f"{round(255 * part):02x}" for part in parts)}


def _lost(arm: Mapping[str, Any]) -> int:
    return int(arm.get("diverged") or 0) + int(arm.get("failed") or 0)
