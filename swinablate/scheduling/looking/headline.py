"""The strongest word on a study, in a line: from its report, or judged anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swinablate.records.home import Home
from swinablate.records.plan import PlanRecord, everything
from swinablate.scheduling.due import State, due
from swinablate.text import after_difference, places_of, signed, unit_of

MOVED = ("better", "worse")
"""Verdicts that an arm changes the metric, the first of all to be told."""
OTHERS = ("fails to train", "equivalent")


def headline(verdicts: Mapping[str, Any], source: str) -> dict[str, Any] | None:
    """The strongest verdict on an arm; None where nothing is decided.

    Of arms that are better or worse the one that differs most; else one that fails to train, else
    one that is equivalent.

    Args:
        verdicts: as in `verdicts.json`.
        source: where they are from: "report" or "judged".
    """
    arms = [arm for arm in verdicts["arms"] if arm["delta_pp"] is not None]
    moved = [arm for arm in arms if arm["verdict"] in MOVED]
    best = max(moved, key=lambda arm: abs(arm["delta_pp"]), default=None)
    for word in OTHERS:
        best = best or next((a for a in verdicts["arms"] if a["verdict"] == word), None)
    if best is None:
        return None
    decided = sum(arm["verdict"] in (*MOVED, *OTHERS) for arm in verdicts["arms"])
    kept = ("name", "verdict", "delta_pp", "ci_low", "ci_high", "n")
    return {
        **{key: best[key] for key in kept},
        "unit": unit_of(verdicts),
        "metric": verdicts["metric"],
        "text": _text(best, verdicts),
        "decided": decided,
        "arms": len(verdicts["arms"]),
        "source": source,
    }


def reported(folder: Path, plan: PlanRecord) -> Mapping[str, Any] | None:
    """The verdicts of a report in a folder, if it is one of this declaration.

    Args:
        folder: of the report; it need not be there.
        plan: as declared.
    """
    try:
        origin = json.loads((folder / "provenance.json").read_text("utf-8"))
        verdicts = json.loads((folder / "verdicts.json").read_text("utf-8"))
        mine = origin["declaration"] == plan.declaration
        keys = {"name", "verdict", "delta_pp", "ci_low", "ci_high", "n"}
        whole = all(keys <= arm.keys() for arm in verdicts["arms"]) and "metric" in verdicts
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # no report, or a file that somebody changed: it is only a line of a list
    found: Mapping[str, Any] = verdicts
    return found if mine and whole else None


def judged(home: Home, plan: PlanRecord) -> Mapping[str, Any]:
    """The verdicts on what is recorded, as `report.answer` has them, and nothing beside them.

    Without the report's other families, figures and warnings it costs a tenth of a report.
    """
    from swinablate.records.tables import trials_table, valued
    from swinablate.stats import verdicts
    from swinablate.study.declared import declaration

    recorded = home.outcomes(everything(plan))
    now = due(State.of(plan, recorded))
    if now.decisions is not None:
        return now.decisions.verdicts.to_json()
    table = trials_table(plan, recorded)
    trials = table[table.trial.isin([row.trial for row in now.rows])].reset_index(drop=True)
    declared = declaration(plan, trials)
    complete = bool((trials.status != "waiting").all()) and not plan.smoke
    values = valued(trials, declared.metric, declared.unit)
    return verdicts(values, declared, complete=complete).to_json()


def _text(arm: Mapping[str, Any], verdicts: Mapping[str, Any]) -> str:
    if arm["delta_pp"] is None or arm["ci_low"] is None:
        return f"{arm['name']} {arm['verdict']}"
    places = places_of(verdicts)
    ends = ", ".join(signed(arm[key], places) for key in ("ci_low", "ci_high"))
    unit = after_difference(unit_of(verdicts))
    return f"{arm['name']} {arm['verdict']}: {signed(arm['delta_pp'], places)}{unit} [{ends}]"
