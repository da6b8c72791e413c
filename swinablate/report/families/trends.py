"""How effects move with scale: the block `scale` of verdicts.json.

A family of its own at the study's error rate, which decides nothing about the comparison at one
scale: an arm may be worse at home and lose nothing at another rung.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord
from swinablate.records.scale import RungRecord, ScaleRecord
from swinablate.records.tables import tabulated, valued
from swinablate.report.families.tuned_verdicts import ONCE, SUFFIX, by_tuning, over_tunings
from swinablate.scheduling.ledger import Try, choices, tuned_rows
from swinablate.stats import Declaration
from swinablate.stats.comparisons.trend import At, HeldOut, Trend
from swinablate.study.arms.trends import Ladder, Pair, ladder
from swinablate.text import counted, ends, signed


def trends(
    plan: PlanRecord, trials: pd.DataFrame, declared: Declaration, *, ended: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """The block `scale` of verdicts.json; nothing of a study of one scale.

    Args:
        plan: a recorded plan, with the arms of every rung.
        trials: a row for every trial that counts, of every rung.
        declared: what is asked, in which metric.
        ended: nothing more will run: the budget is met.
    """
    if plan.scale is None:
        return {}
    found = ladder(plan, valued(trials, declared.metric, declared.unit), declared)
    left = int((trials.status == "waiting").sum())
    told = [(one, _told(one, found, left, ended=ended)) for one in found.pairs]
    basis = {"basis": "fixed"} if plan.tune else {}
    return {"scale": [_entry(plan, declared, *each) | basis for each in told]}


def tuned_trends(
    plan: PlanRecord, recorded: Mapping[str, Outcome], declared: Declaration
) -> list[dict[str, Any]]:
    """The same at the recipes that tuning found at every rung: a family of its own.

    What one result is, is as in the verdicts on tuned arms: a seed with a tuning of its own, or
    the mean over the seeds of a tuning. After one tuning an arm there are numbers and no answer.

    Args:
        plan: a recorded plan with tuning, with the arms of every rung, and its ledger.
        recorded: trial id -> outcome.
        declared: what is asked, in which metric.
    """
    if plan.scale is None or plan.tune is None:
        return []
    best = choices(plan, recorded)
    finals = tabulated(plan, tuned_rows(plan, best), recorded)
    known = valued(finals, declared.metric, declared.unit)
    left = sum(len(arm.seeds) for arm in plan.arms) - int((known.status != "waiting").sum())
    if by_tuning(plan):
        known = over_tunings(known)
    found = ladder(plan, known, declared)
    entries = []
    for one in found.pairs:
        own = _told(one, found, left, ended=False)
        if plan.tune.once and own.effects and not left:
            own = replace(own, answer="cannot tell", negligible=False, why=ONCE)
        word = "tuning" if by_tuning(plan) else "seed"
        entry = _entry(plan, declared, one, own, word)
        entry["planned"] = plan.tune.of(entry["planned"]) if by_tuning(plan) else entry["planned"]
        rungs = zip(one.rungs, entry["rungs"], strict=False)
        entry["rungs"] = [told | {"chosen": _chosen(one, rung, best)} for rung, told in rungs]
        entries.append(entry | {"arm": f"{one.arm}{SUFFIX}", "basis": "tuned"})
    return entries


def _chosen(
    one: Pair, rung: RungRecord, best: Mapping[tuple[str, int], Try]
) -> dict[str, list[dict[str, Any]]]:
    """Arm -> what each of its tunings chose at a rung, on both sides."""
    return {
        name: [dict(b.params) for (arm, _), b in best.items() if arm == rung.arms[name]]
        for name in (one.arm, one.against)
    }


def _told(one: Pair, found: Ladder, left: int, *, ended: bool) -> Trend:
    """The trend as it stands; without an answer while one may still come."""
    own = found.trends[one.arm]
    if found.looks is not None:
        if one.arm not in found.looks.open:
            return own
        why = f"pending: {counted(found.looks.wanted[one.arm], 'seed')} are due"
        if ended:
            at = found.looks.reached[one.arm]
            why = f"the budget was met {f'after {at} seeds' if at else 'before the first look'}"
    elif left and own.effects:
        why = f"pending: {counted(left, 'trial')} missing"
    else:
        return own
    return replace(own, answer="cannot tell", negligible=False, why=why)


def _planned(plan: PlanRecord, one: Pair) -> int:
    """Seeds that both sides are to have at every rung."""
    every = [set(plan.arm(name).seeds) for name in one.names]
    return len(set.intersection(*every)) if every else 0


def _entry(
    plan: PlanRecord, declared: Declaration, one: Pair, found: Trend, word: str = "seed"
) -> dict[str, Any]:
    scale = plan.scale
    assert scale is not None
    ahead = found.predicted
    at = zip(one.rungs, found.effects, strict=False)  # no effect where nothing ended
    return {
        "arm": one.arm,
        "by": scale.by,
        "against": one.against,
        "slope": found.slope,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "predicted": ahead.effect if ahead else None,
        "predicted_low": ahead.low if ahead else None,
        "predicted_high": ahead.high if ahead else None,
        "predicted_at": scale.predict.label if ahead and scale.predict else None,
        "predicted_value": ahead.value if ahead else None,
        "answer": found.answer,
        "negligible": found.negligible,
        "why": found.why,
        "n": found.n,
        "planned": _planned(plan, one) if found.look is None else found.look,
        **({"look": found.look} if plan.looks else {}),
        "p_fit": found.p_fit,
        "change_low": found.change_low,
        "change_high": found.change_high,
        "rungs": [{"rung": rung.label, **_point(effect)} for rung, effect in at],
        "line": [_point(end) for end in found.line or ()],
        "held_out": _held(one, found.held_out) if found.held_out else None,
        "sentence": _sentence(one, found, declared, (scale, word)),
    }


def _point(at: At) -> dict[str, float | None]:
    effect = at.effect if np.isfinite(at.effect) else None
    return {"value": at.value, "effect": effect, "ci_low": at.low, "ci_high": at.high}


def _held(one: Pair, held: HeldOut) -> dict[str, Any]:
    return {
        "rung": one.rungs[-1].label,
        "value": held.measured.value,
        "predicted": held.predicted.effect,
        "predicted_low": held.predicted.low,
        "predicted_high": held.predicted.high,
        "measured": held.measured.effect,
        "hit": held.hit,
    }


def _look(found: Trend) -> str:
    """At which look, where some seeds of it were lost."""
    return "" if found.look in {None, found.n} else f" of {found.look}"


def _sentence(
    one: Pair, found: Trend, declared: Declaration, about: tuple[ScaleRecord, str]
) -> str:
    """What was found of an arm over scales, without its name; and what one result is called."""
    scale, word = about
    if found.slope is None or found.ci_low is None or found.ci_high is None:
        return f"cannot tell: {found.why}."
    places, unit = declared.places((found.ci_high - found.ci_low) / 4), declared.suffix
    level = f"{100 * (1 - declared.alpha):g} %"
    first, last = one.rungs[0].label, one.rungs[-1].label

    def both(low: float | None, high: float | None) -> str:
        return " to ".join(ends(low, high, places))

    slope = (
        f"{signed(found.slope, places)}{unit} per doubling of {scale.by} ({level} simultaneous CI "
        f"{both(found.ci_low, found.ci_high)}; {counted(found.n, word)}{_look(found)} at "
        f"{len(one.rungs)} "
        f"rungs, {first} to {last})"
    )
    said = [slope]
    if (ahead := found.predicted) and scale.predict:
        said.append(
            f"at {scale.predict.label} {signed(ahead.effect, places)}{unit} is predicted ({level} "
            f"prediction interval {both(ahead.low, ahead.high)})"
        )
    if held := found.held_out:
        does = "hits" if held.hit else "misses"
        said.append(
            f"without {last} the others predict {signed(held.predicted.effect, places)} "
            f"({both(held.predicted.low, held.predicted.high)}) there, which {does} the "
            f"{signed(held.measured.effect, places)} that was measured"
        )
    small = ", over all rungs by less than matters (negligible)" if found.negligible else ""
    why = f" ({found.why})" if found.why else ""
    return f"{found.answer}{small}{why}: {'; '.join(said)}."
