"""The strongest word on a study, in a line: kept, or judged anew."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from swinablate import __version__
from swinablate.errors import EnvironmentFault
from swinablate.records.disk.files import write_atomically
from swinablate.records.home import Home
from swinablate.records.plan import PlanRecord, at_home, everything
from swinablate.records.seal import seal, unseal
from swinablate.scheduling.due import State, due
from swinablate.text import after_difference, interval, places_of, signed, unit_of

CODE = Path(__file__).parents[2]
"""Our package."""
MOVED = ("better", "worse")
"""Verdicts that an arm changes the metric, the first of all to be told."""
OTHERS = ("fails to train", "equivalent")


def headline(verdicts: Mapping[str, Any], source: str) -> dict[str, Any] | None:
    """The strongest verdict on an arm; None where nothing is decided.

    Of arms that are better or worse the one that differs most; else one that fails to train, else
    one that is equivalent.

    Args:
        verdicts: as in `verdicts.json`.
        source: what they were judged for: "report", or "judged" for the list alone.
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


def strongest(home: Home, plan: PlanRecord) -> dict[str, Any] | None:
    """The strongest verdict on what is recorded; judged once, and kept beside the plan.

    What is kept is believed for the same records and the same code alone: `_state`.
    """
    of = _state(home, plan)
    owner = {"study": plan.study, "of": of}
    with suppress(FileNotFoundError, EnvironmentFault):
        kept: dict[str, Any] | None = unseal(_path(home, plan), owner, "").get("headline")
        return kept
    return _kept(home, plan, of, headline(judged(home, plan), "judged"))


def keep_strongest(home: Home, plan: PlanRecord, verdicts: Mapping[str, Any]) -> None:
    """Keep the strongest of verdicts that were just judged for a report.

    Args:
        home: where the study ran.
        plan: what it declared.
        verdicts: as in `verdicts.json`.
    """
    _kept(home, plan, _state(home, plan), headline(verdicts, "report"))


def _kept(
    home: Home, plan: PlanRecord, of: str, found: dict[str, Any] | None
) -> dict[str, Any] | None:
    content = {"study": plan.study, "of": of, "headline": found}
    with suppress(EnvironmentFault, OSError, ValueError):  # a home that is only read; NaN
        write_atomically(_path(home, plan), seal(content))
    return found


def _path(home: Home, plan: PlanRecord) -> Path:
    return home.studies / plan.study / plan.declaration / "headline.json"


def _state(home: Home, plan: PlanRecord) -> str:
    """A digest of all that verdicts follow from: declaration, records, and our code."""
    found = hashlib.sha256(__version__.encode())
    for source in sorted(CODE.rglob("*.py")):  # of a checkout it changes under one version
        seen = source.stat()
        found.update(f"{source.relative_to(CODE)} {seen.st_size} {seen.st_mtime_ns}\n".encode())
    declared = _path(home, plan).parent
    files = [declared / "plan.json", declared / "tuning.json"]
    files += [home.trials / trial / "result.json" for trial in everything(plan)]
    for file in files:
        found.update(f"{file.parent.name}/{file.name} ".encode())
        with suppress(OSError):
            found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


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
    plan = at_home(plan)
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
    both = interval(arm["ci_low"], arm["ci_high"], places)
    unit = after_difference(unit_of(verdicts))
    return f"{arm['name']} {arm['verdict']}: {signed(arm['delta_pp'], places)}{unit} {both}"
