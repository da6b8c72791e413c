"""Every arm at the recipe that suits it: what tuning chose, and what the arms differ by then.

A recipe tuned for the baseline favours the baseline. With tuning, every arm gets the same number
of tries on validation accuracy and then runs its seeds at its own best recipe; these differences
are a family of their own. An arm whose effect changes its sign owes it to the recipe.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord
from swinablate.records.tables import tabulated, valued
from swinablate.scheduling.ledger import Try, choices, tries, tune_rows, tuned_rows
from swinablate.stats import (
    Contrast,
    Declaration,
    Estimate,
    Tally,
    Verdicts,
    Warn,
    judge_family,
    others_of,
    read_samples,
)
from swinablate.text import signed

TUNED = "tuned"
UNEQUAL = 1.5
"""Arms whose numbers of tries differ by more than this were not tuned equally."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What tuning came to.

    Attributes:
        trials: a row for every trial of tuning (`kind` tune) and every final trial at a chosen
            recipe; `number` says which try it belongs to.
        effects: tuned arm - tuned baseline, a family of its own.
        summary: what `verdicts.json` holds as `tuning`.
        warnings: unequal tuning, and effects whose sign depends on the recipe.
    """

    trials: pd.DataFrame
    effects: tuple[Estimate, ...]
    summary: dict[str, Any]
    warnings: tuple[Warn, ...]


def tuned_effects(
    plan: PlanRecord,
    declared: Declaration,
    recorded: Mapping[str, Outcome],
    fixed: Verdicts,
    *,
    ended: bool,
) -> Tuned:
    """Judge the arms at their tuned recipes, beside what they are at the fixed ones.

    Args:
        plan: a recorded plan with tuning, and its ledger.
        declared: what the plan declared.
        recorded: trial id -> outcome.
        fixed: the verdicts at the fixed recipes.
        ended: nothing more will run, be the tuning complete or not.
    """
    trying = tabulated(plan, tune_rows(plan), recorded)
    best = choices(plan, recorded)
    finals = tabulated(plan, tuned_rows(plan, best), recorded)
    effects, tallies = _judge(declared, finals)
    found = {arm.name: tries(plan, arm.name, recorded) for arm in plan.arms}
    arms = [
        {
            **_spent(found[name]),
            **_choice(found[name], best.get(name)),
            **{key: getattr(tallies[name], key) for key in ("planned", "n", "mean", "sd")},
            **_flip(name, fixed, effects),
        }
        for name in found
    ]
    for name, arm in zip(found, arms, strict=True):
        arm["name"] = name
    over = ended or len(best) == len(arms)
    tune = plan.tune.to_json() if plan.tune else {}
    return Tuned(
        trials=tabulated(plan, [*tune_rows(plan), *tuned_rows(plan, best)], recorded),
        effects=tuple(effects),
        summary={**tune, "sampler": "TPE", "metric": "val/accuracy", "arms": arms},
        warnings=(
            *(_unequal(arms) if over else ()),
            *_leaked(trying),
            *_flipped(arms, declared),
        ),
    )


def _judge(declared: Declaration, finals: pd.DataFrame) -> tuple[list[Estimate], dict[str, Tally]]:
    """The differences at the tuned recipes, and every arm's seeds; pending while some lack."""
    others = others_of(declared)
    declared = replace(declared, contrasts=(), hypotheses=(), unrecorded={})
    samples = read_samples(valued(finals, declared.metric, declared.unit), declared)
    contrasts = [
        Contrast(
            name=f"{arm}, tuned",
            kind="arm",
            family=TUNED,
            weights={arm: 1.0, other: -1.0},
            basis="tuned",
            metric=declared.metric,
        )
        for arm, other in others.items()
    ]
    known = finals[finals.status != "waiting"].trial.nunique()
    complete = known == sum(declared.planned.values())
    effects = judge_family(contrasts, samples, declared, complete=complete)
    return effects, {name: sample.tally for name, sample in samples.items()}


def _spent(found: Sequence[Try]) -> dict[str, Any]:
    statuses = [one.status for one in found]
    return {
        "name": "",
        "tries": len(found),
        **{status: statuses.count(status) for status in ("done", "diverged", "failed", "waiting")},
    }


def _choice(found: Sequence[Try], best: Try | None) -> dict[str, Any]:
    return {
        "chosen": best.number if best else None,
        "params": dict(best.params) if best else None,
        "val_acc": best.value if best else None,
        "val_fixed": found[0].value if found else None,
    }


def _flip(name: str, fixed: Verdicts, effects: Sequence[Estimate]) -> dict[str, Any]:
    """An arm's difference at both recipes, and whether one contradicts the other."""
    before = {arm.name: arm for arm in fixed.arms}.get(name)
    after = {e.contrast.name: e for e in effects}.get(f"{name}, tuned")
    one, other = before.delta_pp if before else None, after.delta_pp if after else None
    turned = one is not None and other is not None and one * other < 0
    words = {before.verdict if before else "", after.verdict if after else ""}
    return {
        "fixed_pp": one,
        "tuned_pp": other,
        "sign_flips": turned,
        "verdict_flips": turned and words == {"better", "worse"},
    }


def _unequal(arms: Sequence[Mapping[str, Any]]) -> Iterator[Warn]:
    """W3: an arm that tried more recipes had more chances to find a good one."""
    counts = {arm["name"]: arm["done"] for arm in arms}
    if max(counts.values()) <= UNEQUAL * min(counts.values()):
        return
    who = ", ".join(f"{count} of {name}" for name, count in counts.items())
    lost = sum(arm["diverged"] + arm["failed"] for arm in arms)
    why = f" ({lost} diverged or failed)" if lost else ""
    yield Warn(
        "W3",
        f"tuning trials that ended well: {who}{why}. The tuned comparison favours the arms with "
        "more; read the expected best by the number of tries instead.",
    )


def _leaked(trying: pd.DataFrame) -> Iterator[Warn]:
    """W6: a trial of tuning that was recorded with a test accuracy, by whatever ran it."""
    seen = trying[trying.test_acc.notna()]
    if len(seen):
        who = ", ".join(dict.fromkeys(seen.arm))
        yield Warn(
            "W6",
            f"{len(seen)} tuning trials of {who} have a test accuracy. The choice was made on "
            "validation accuracy alone, but somebody could see the test set.",
        )


def _flipped(arms: Sequence[Mapping[str, Any]], declared: Declaration) -> Iterator[Warn]:
    """W16: the recipe decides the sign of an effect."""
    places, unit = (2 if declared.unit == "pp" else 3), declared.suffix
    for arm in arms:
        if arm["sign_flips"]:
            sure = (
                "both intervals exclude 0: which is better depends on the recipe."
                if arm["verdict_flips"]
                else "an interval includes 0, so that it may be chance."
            )
            yield Warn(
                "W16",
                f"{arm['name']}: {signed(arm['fixed_pp'], places)}{unit} at the fixed recipe, "
                f"{signed(arm['tuned_pp'], places)}{unit} when every arm is tuned. "
                f"The sign flips; {sure}",
            )
