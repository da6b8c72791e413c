"""Arms at other scales, on other data sets and at tuned recipes, as summaries show them. Pure.

The verdicts of a study are about its home, one scale and one data set, and about the recipes as
written. What was found elsewhere stands in the blocks `scale`, `datasets` and `tuning` of
`verdicts.json`.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

from swinablate.config.metrics import metric
from swinablate.records.outcome import Status
from swinablate.records.tables import valued
from swinablate.text import places_of, tuned_word, unit_of
from swinablate.tracking import interim
from swinablate.tracking.cards import ArmCard, StudyCard

if TYPE_CHECKING:
    import pandas as pd

EFFECT = ("delta_pp", "ci_low", "ci_high")
"""What a row shows of a comparison besides its word."""


BASELINE = {"verdict": "baseline", "delta_pp": 0.0}
"""Elsewhere as at home: sorted by their differences, arms stand around it."""


def rows(
    study: StudyCard, verdicts: Mapping[str, Any], trials: "pd.DataFrame | None"
) -> list[dict[str, Any]]:
    """A row for each of these arms of which a trial ended, in the form of the arms at home.

    Args:
        study: whose arms they are.
        verdicts: as in `verdicts.json`.
        trials: a row for every planned trial at other scales and on other data sets; None where
            there are no such.
    """
    shared = {"metric": study.metric, "unit": unit_of(verdicts), "places": places_of(verdicts)}
    away = () if trials is None or trials.empty else _away(study, verdicts, trials)
    return [row | shared for row in (*away, *_tuned(verdicts))]


def _away(
    study: StudyCard, verdicts: Mapping[str, Any], trials: "pd.DataFrame"
) -> Iterator[dict[str, Any]]:
    key = metric(study.metric).key
    recorded = dict[str, list[Any]]()
    for one in valued(trials, study.metric, study.unit).to_dict("records"):
        recorded.setdefault(one["arm"], []).append(one)
    away = {name: card for name, card in study.arms.items() if card.home_name}
    for name, card in away.items():
        ended = [
            {"status": one["status"], "metrics": {key: one["value"]}}
            for one in recorded.get(name, ())
            if one["status"] in get_args(Status)
        ]
        if ended:
            yield interim.row(study, name, ended) | _told(card, verdicts)


def _tuned(verdicts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    found = {
        one["name"]: {key: one[key] for key in EFFECT} | {"verdict": tuned_word(one, verdicts)}
        for one in verdicts.get("contrasts", ())
        if (one["kind"], one.get("basis")) == ("arm", "tuned")
    }
    for arm in verdicts.get("tuning", {}).get("arms", ()):
        if arm["n"]:
            name = f"{arm['name']}, tuned"
            kept = {key: arm[key] for key in ("n", "mean", "sd", "planned")}
            yield {"name": name, **kept, **found.get(name, BASELINE)}


def _told(card: ArmCard, verdicts: Mapping[str, Any]) -> dict[str, Any]:
    """The effect of an arm at another place, and the word for it."""
    if card.home_name == verdicts["baseline"]["name"]:
        return BASELINE
    for one in verdicts.get("datasets", ()):
        if one["arm"] == card.home_name:
            here = [own for own in one["sets"] if own["dataset"] == card.place]
            kept = (*EFFECT, "verdict", "negligible")
            return {key: own[key] for own in here for key in kept} | _against(one, verdicts)
    for one in verdicts.get("scale", ()):
        if one["arm"] == card.home_name and one.get("basis") != "tuned":
            return _at_rung(one, card.place) | _against(one, verdicts)
    return {"verdict": "not tested"}


def _at_rung(trend: Mapping[str, Any], rung: str) -> dict[str, Any]:
    """The effect at a rung, which alone is no answer: the trend over all of them is."""
    if trend["why"].startswith(interim.PENDING):
        return {"verdict": interim.PENDING}
    word = {"verdict": f"trend: {trend['answer']}"}
    for own in trend["rungs"]:
        if own["rung"] == rung:
            ends = {"ci_low": own["ci_low"], "ci_high": own["ci_high"]}
            return {**word, "delta_pp": own["effect"], **ends}
    return word


def _against(one: Mapping[str, Any], verdicts: Mapping[str, Any]) -> dict[str, Any]:
    """What an arm is compared with, where that is not the baseline."""
    against = one.get("against") or ""
    return {"against": against} if against not in {"", verdicts["baseline"]["name"]} else {}
