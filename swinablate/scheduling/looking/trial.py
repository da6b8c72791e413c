"""One trial, or an arm's trials, as plain data: what `swinablate show` prints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swinablate.errors import EnvironmentFault
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome, with_measured
from swinablate.scheduling.claims import trainer
from swinablate.scheduling.looking.attempts import Attempt, attempts_of
from swinablate.scheduling.looking.uses import Use, Uses
from swinablate.text import OWN, flat

SCHEMA = 1
"""Of `show --json`: a script that reads it can refuse what it does not know."""


def trial_shown(home: Home, uses: Uses, trial: str) -> dict[str, Any]:
    """All that is known of a trial.

    Args:
        home: where it is recorded, or planned.
        uses: what the studies of the home name.
        trial: its id.
    """
    places = uses.of.get(trial, [])
    outcome, damage = _outcome(home, trial)
    attempts = attempts_of(home, trial)
    recipe = _recipe(outcome, places)
    return {
        "schema": SCHEMA,
        "trial": trial,
        "status": _status(outcome, damage, attempts, bool(trainer(home, trial))),
        "kind": outcome.kind if outcome else places[0].row.kind if places else None,
        "seed": outcome.seed if outcome else places[0].row.seed if places else None,
        "uses": [_use(place) for place in places],
        "differs": _differs(places, recipe),
        "recipe": recipe,
        "metrics": dict(outcome.metrics) if outcome else {},
        "curve": list(outcome.curve) if outcome else _curve(attempts),
        "attempts": [one.to_json() for one in attempts],
        "failure": dict(outcome.failure) if outcome and outcome.failure else None,
        "damage": damage,
        "execution": dict(outcome.execution) if outcome else {},
        "provenance": dict(outcome.provenance) if outcome else {},
        "predictions": (outcome.predictions.get("sha256") if outcome else None),
        "seconds": outcome.seconds if outcome else None,
        "finished_at": outcome.finished_at if outcome else None,
        "folder": str(home.trials / trial),
    }


def arm_shown(home: Home, places: list[Use]) -> dict[str, Any]:
    """The trials of an arm, a row each.

    Args:
        home: where they are recorded, or planned.
        places: what `Uses.arms` says.
    """
    first = places[0].row.arm
    rows = []
    for place in sorted(places, key=lambda one: (one.plan.study, one.row.seed)):
        outcome, damage = _outcome(home, place.row.trial)
        attempts = attempts_of(home, place.row.trial)
        failure = outcome.failure if outcome else None
        rows.append(
            {
                "study": place.plan.study,
                "seed": place.row.seed,
                "trial": place.row.trial,
                "status": _status(outcome, damage, attempts, bool(trainer(home, place.row.trial))),
                "test/accuracy": outcome.metrics.get("test/accuracy") if outcome else None,
                "val/accuracy": outcome.metrics.get("val/accuracy") if outcome else None,
                **_own(outcome),
                "epochs": len(outcome.curve) if outcome else len(_curve(attempts)),
                "attempts": len(attempts),
                "seconds": outcome.seconds if outcome else None,
                "failure": failure.get("kind") if failure else None,
                "message": failure.get("message") if failure else damage or None,
            }
        )
    studies = list(dict.fromkeys(place.plan.study for place in places))
    return {
        "schema": SCHEMA,
        "arm": first.name,
        "studies": studies,
        "differs": {
            place.plan.study: {path: list(pair) for path, pair in place.row.arm.differs.items()}
            for place in places
        },
        "trials": rows,
    }


def where_it_failed(traceback: str) -> str:
    """The innermost call of a traceback, `file:line in function`; empty where there is none."""
    calls = [line.strip() for line in traceback.splitlines() if line.lstrip().startswith('File "')]
    if not calls:
        return ""
    file, _, rest = calls[-1].removeprefix('File "').partition('", line ')
    number, _, function = rest.partition(", in ")
    return f"{Path(file).name}:{number} in {function}"


def _outcome(home: Home, trial: str) -> tuple[Outcome | None, str]:
    """The record, with what was measured later; and why it cannot be read."""
    try:
        found = home.outcome(trial)
    except EnvironmentFault as error:
        return None, str(error)
    return (with_measured(found, home.trials / trial) if found else None), ""


def _own(outcome: Outcome | None) -> dict[str, float]:
    """What a command measured."""
    metrics = outcome.metrics if outcome else {}
    return {name: value for name, value in metrics.items() if name.startswith(OWN)}


def _status(outcome: Outcome | None, damage: str, attempts: list[Attempt], runs: bool) -> str:  # noqa: FBT001  what is known of it
    if damage:
        return "damaged"
    if outcome is not None:
        return outcome.status
    if not attempts:
        return "planned"
    return "running" if runs and attempts[-1].state == "begun" else "interrupted"


def _recipe(outcome: Outcome | None, places: list[Use]) -> Mapping[str, Any]:
    """As it was trained; else as it is planned, with the seed's own file of weights and split."""
    if outcome is not None:
        return outcome.recipe
    if not places:
        return {}
    row = places[0].row
    return row.arm.recipe_of(row.kind, row.seed)


def _differs(places: list[Use], recipe: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Recipe path -> the baseline's value and this trial's; of a try also what tuning chose."""
    if not places:
        return {}
    base, mine = flat(places[0].plan.baseline.recipe), flat(recipe)
    paths = [path for path in {**base, **mine} if base.get(path) != mine.get(path)]
    return {path: [base.get(path), mine.get(path)] for path in paths}


def _use(place: Use) -> dict[str, Any]:
    return {
        "study": place.plan.study,
        "declaration": place.plan.declaration,
        "newest": place.newest,
        "arm": place.row.arm.name,
        "seed": place.row.seed,
        "name": place.name,
        "basis": place.row.basis,
    }


def _curve(attempts: list[Attempt]) -> list[Mapping[str, Any]]:
    """How far the newest attempt has come."""
    curve: list[Mapping[str, Any]] = []
    for one in attempts[-1].events if attempts else ():
        curve = list(one.data.get("curve", ())) if one.kind == "resumed" else curve
        curve = [*curve, one.data] if one.kind == "epoch" else curve
    return curve
