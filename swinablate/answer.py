"""From records to an answer: the tables, the verdicts, the warnings of one study."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from swinablate.provenance import provenance
from swinablate.records import Home, Outcome
from swinablate.report import Answer
from swinablate.results import curves_table, planned, trials_table
from swinablate.stats import Contrast, Declaration, Hypothesis, Warn, factorial, verdicts

WEIGHTLESS = 1e-9
ISO_COST = 0.05
"""Arms further than this from the baseline's parameters or MACs are not iso-cost."""


def gather(home: Home, name: str) -> Answer:
    """Read what was recorded of a study's newest declaration and judge it.

    Args:
        home: where the study ran.
        name: the study.

    Raises:
        InputError: the study was never run in this home.
    """
    plan = home.declared(name)
    recorded = home.outcomes(trial for _, _, trial in planned(plan))
    trials = trials_table(plan, recorded)
    complete = bool((trials.status != "waiting").all()) and not plan["smoke"]
    frame = trials.rename(columns={"test_acc": "value"})
    judged = verdicts(
        frame,
        declaration(plan, trials),
        complete=complete,
        warnings=warnings(home, plan, trials),
    )
    return Answer(
        plan=plan,
        trials=trials,
        curves=curves_table(plan, recorded),
        verdicts=judged.to_json(),
        provenance=origin(plan, recorded),
    )


def declaration(plan: Mapping[str, Any], trials: pd.DataFrame) -> Declaration:
    """What the plan declared, as the statistics read it."""
    images = trials.test_images.dropna()
    contrasts, _ = effects_of(plan)
    return Declaration(
        metric=plan["compare"]["metric"],
        alpha=plan["compare"]["alpha"],
        rope_pp=plan["compare"]["rope"],
        planned={arm["name"]: len(arm["seeds"]) for arm in plan["arms"]},
        contrasts=contrasts,
        hypotheses=tuple(Hypothesis(h["arm"], h["expect"], h["by"]) for h in plan["hypotheses"]),
        test_images=int(images.min()) if len(images) else None,
    )


def effects_of(plan: Mapping[str, Any]) -> tuple[tuple[Contrast, ...], tuple[str, ...]]:
    """Main effects and interactions of a factorial design, and those that got lost.

    A cell that is the same as another arm lends that arm's results.
    """
    if plan["design"] != "factorial":
        return (), ()
    alias = {r["name"]: r["same_as"] for r in plan["refusals"] if r["cell"] and r["same_as"]}
    cells = {arm["name"]: arm["changes"] for arm in plan["arms"] if arm["cell"]}
    cells |= {r["name"]: r["changes"] for r in plan["refusals"] if r["name"] in alias}
    contrasts, lost = factorial(cells, metric=plan["compare"]["metric"])
    found = []
    for contrast in contrasts:
        weights: defaultdict[str, float] = defaultdict(float)
        for arm, weight in contrast.weights.items():
            weights[alias.get(arm, arm)] += weight
        kept = {arm: weight for arm, weight in weights.items() if abs(weight) > WEIGHTLESS}
        if kept:
            found.append(replace(contrast, weights=kept))
        else:
            lost = (*lost, contrast.name)  # the same trials on both sides
    return tuple(found), lost


def warnings(home: Home, plan: Mapping[str, Any], trials: pd.DataFrame) -> tuple[Warn, ...]:
    """The warnings that need more than the accuracies: W8, W10, W11, and the plan's own."""
    found = [Warn(w["code"], w["text"]) for w in plan.get("warnings", ())]
    others = home.declarations(plan["study"])
    if len(others) > 1:
        found.append(
            Warn(
                "W8",
                f"{len(others)} declarations of this study were run; this is the newest. "
                "Changing arms, seeds or the rope after looking makes a new analysis.",
            )
        )
    base = plan["arms"][0]
    for arm in plan["arms"][1:]:
        off = {key: arm[key] / base[key] - 1 for key in ("params", "macs") if base[key]}
        if any(abs(share) > ISO_COST for share in off.values()):
            text = ", ".join(f"{share:+.0%} {key}" for key, share in off.items())
            found.append(Warn("W10", f"{arm['name']}: {text}: not an iso-cost comparison."))
    _, lost = effects_of(plan)
    if lost:
        text = f"not estimable from the cells that could be run: {', '.join(lost)}."
        found.append(Warn("W14", text))
    machines = sorted(trials.execution.dropna().unique())
    if len(machines) > 1:
        found.append(
            Warn(
                "W11",
                f"trials ran under {len(machines)} execution classes: " + "; ".join(machines),
            )
        )
    return tuple(found)


def origin(plan: Mapping[str, Any], recorded: Mapping[str, Outcome]) -> dict[str, Any]:
    """Where the numbers come from: commits, machines, data, hours."""
    outcomes = list(recorded.values())
    seconds = [(o.finished_at - o.started_at) / 1000 for o in outcomes]
    lost = [s for s, o in zip(seconds, outcomes, strict=True) if o.status != "done"]
    return {
        "report": provenance(),
        "trials": _distinct([o.provenance for o in outcomes]),
        "execution": _distinct([o.execution for o in outcomes if o.execution]),
        "declaration": plan["declaration"],
        "seeds": plan["arms"][0]["seeds"],
        "data": plan["arms"][0]["recipe"]["data"]["name"],
        "hours": round(sum(seconds) / 3600, 4),
        "hours_failed": round(sum(lost) / 3600, 4),
        "attempts": sum(o.attempt for o in outcomes),
        "command": f"swinablate run studies/{plan['study']}.toml",
        "ui": f"swinablate ui studies/{plan['study']}.toml",
    }


def _distinct(values: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for value in values:
        if dict(value) not in found:
            found.append(dict(value))
    return found
