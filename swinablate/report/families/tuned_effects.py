"""Every arm at the recipe that suits it: what tuning chose, and what the arms differ by then.

A recipe tuned for the baseline favours the baseline. With tuning, every arm gets the same number
of tries on validation accuracy and then runs its seeds at its own best recipe; these differences
are a family of their own. What is found once is luck, too: another tuning of the same arm finds
another recipe. So arms are judged over tunings (`tune.repeats`); after one, nothing is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import pandas as pd

from swinablate.records.outcome import Outcome
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.records.tables import tabulated, valued
from swinablate.report.families.tuned_verdicts import JudgedTunings, judge_tunings, said
from swinablate.scheduling.ledger import (
    Try,
    choices,
    final_seeds,
    tries,
    tune_rows,
    tuned_rows,
    tunings_of,
)
from swinablate.stats import Declaration, Estimate, Verdicts, Warn
from swinablate.text import ends, signed

UNEQUAL = 1.5
"""Arms whose numbers of tries differ by more than this were not tuned equally."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What tuning came to.

    Attributes:
        trials: a row for every trial of tuning (`kind` tune) and every final trial at a chosen
            recipe; `repeat` and `number` say which try it belongs to.
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
    finals = valued(finals, declared.metric, declared.unit)
    judged = judge_tunings(plan, declared, finals, recorded)
    arms = [
        {
            "name": arm.name,
            **_spent(plan, arm, recorded),
            **_chosen(plan, arm, recorded, best, finals),
            **_seeds(judged, finals, arm, declared),
            **_flip(arm.name, fixed, judged),
            **said(arm.name, judged, plan, declared),
        }
        for arm in plan.arms
    ]
    over = ended or all(arm["settled"] for arm in arms)
    arms = [{key: value for key, value in arm.items() if key != "settled"} for arm in arms]
    tune = plan.tune.to_json() if plan.tune else {}
    return Tuned(
        trials=tabulated(plan, [*tune_rows(plan), *tuned_rows(plan, best)], recorded),
        effects=tuple(judged.effects.values()),
        summary={**tune, "sampler": "TPE", "metric": "val/accuracy", "arms": arms},
        warnings=(*(_unequal(arms) if over else ()), *_leaked(trying), *_flipped(arms, declared)),
    )


def _spent(plan: PlanRecord, arm: ArmRecord, recorded: Mapping[str, Outcome]) -> dict[str, Any]:
    """How many tries an arm had over all its tunings, and how they ended."""
    every = tunings_of(plan, arm.seeds)
    found = [one for repeat in every for one in tries(plan, arm.name, recorded, repeat)]
    statuses = [one.status for one in found]
    return {
        "tries": len(found),
        **{status: statuses.count(status) for status in ("done", "diverged", "failed", "waiting")},
    }


def _chosen(
    plan: PlanRecord,
    arm: ArmRecord,
    recorded: Mapping[str, Outcome],
    best: Mapping[tuple[str, int], Try],
    finals: pd.DataFrame,
) -> dict[str, Any]:
    """What tuning chose for an arm; of several tunings what each did, and their mean."""
    every = tunings_of(plan, arm.seeds)
    found = [
        _choice(tries(plan, arm.name, recorded, repeat), best.get((arm.name, repeat)))
        for repeat in every
    ]
    settled = all(one["chosen"] is not None for one in found)
    if plan.tune and plan.tune.once:
        return {**found[0], "settled": settled}
    mine = finals[finals.arm == arm.name]
    return {
        "chosen": None,
        "params": None,
        **{key: _mean(one[key] for one in found) for key in ("val_acc", "val_fixed")},
        "tunings": len(found),
        "choices": [
            {
                "repeat": repeat,
                "seeds": list(final_seeds(plan, arm.seeds, repeat)),
                **one,
                "mean": _mean(mine["value"][mine.repeat == repeat].dropna()),
            }
            for repeat, one in enumerate(found)
        ],
        "settled": settled,
    }


def _choice(found: Sequence[Try], best: Try | None) -> dict[str, Any]:
    return {
        "chosen": best.number if best else None,
        "params": dict(best.params) if best else None,
        "val_acc": best.value if best else None,
        "val_fixed": found[0].value if found else None,
    }


def _mean(values: Any) -> float | None:
    known = [float(value) for value in values if value is not None]
    return mean(known) if known else None


def _seeds(
    judged: JudgedTunings, finals: pd.DataFrame, arm: ArmRecord, declared: Declaration
) -> dict[str, Any]:
    """The final seeds of an arm at its tuned recipes; mean and sd over what is a replicate."""
    tally = judged.tallies[arm.name]
    done = (finals.arm == arm.name) & (finals.status == "done") & finals["value"].notna()
    return {
        "planned": declared.planned[arm.name],
        "n": int(done.sum()),
        "mean": tally.mean,
        "sd": tally.sd,
    }


def _flip(name: str, fixed: Verdicts, judged: JudgedTunings) -> dict[str, Any]:
    """An arm's difference at both recipes, and whether one contradicts the other.

    The difference of the two differences has to show it: two estimates of nothing have opposite
    signs in every second study. Of one tuning an arm nothing can show it.
    """
    before = {arm.name: arm for arm in fixed.arms}.get(name)
    after, change = judged.effects.get(name), judged.changes.get(name)
    one, other = before.delta_pp if before else None, after.delta_pp if after else None
    opposite = one is not None and other is not None and one * other < 0
    turned = opposite and change is not None and change.verdict in {"better", "worse"}
    words = {before.verdict if before else "", after.verdict if after else ""}
    moved = {
        "change_pp": change.delta_pp,
        "change_low": change.ci_low,
        "change_high": change.ci_high,
    } if change else {}  # fmt: skip
    return {
        "fixed_pp": one,
        "tuned_pp": other,
        **moved,
        "sign_flips": turned,
        "verdict_flips": turned and words == {"better", "worse"},
    }


def _unequal(arms: Sequence[Mapping[str, Any]]) -> Iterator[Warn]:
    """W3: an arm that tried more recipes had more chances to find a good one."""
    counts = {arm["name"]: arm["done"] / arm.get("tunings", 1) for arm in arms}
    if max(counts.values()) <= UNEQUAL * min(counts.values()):
        return
    who = ", ".join(f"{count:.3g} of {name}" for name, count in counts.items())
    per = " (means over tunings)" if "tunings" in arms[0] else ""
    lost = sum(arm["diverged"] + arm["failed"] for arm in arms)
    why = f" ({lost} diverged or failed)" if lost else ""
    yield Warn(
        "W3",
        f"tuning trials that ended well: {who}{per}{why}. The tuned comparison favours the arms "
        "with more; read the expected best by the number of tries instead.",
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
                "Both effects' intervals exclude 0, too: which is better depends on the recipe."
                if arm["verdict_flips"]
                else "That the effect depends on the recipe is shown; that its sign turns is not."
            )
            both = ends(arm["change_low"], arm["change_high"], places)
            yield Warn(
                "W16",
                f"{arm['name']}: {signed(arm['fixed_pp'], places)}{unit} at the fixed recipe, "
                f"{signed(arm['tuned_pp'], places)}{unit} when every arm is tuned: a change of "
                f"{signed(arm['change_pp'], places)}{unit} ({100 * (1 - declared.alpha):g} % "
                f"simultaneous CI {' to '.join(both)}). {sure}",
            )
