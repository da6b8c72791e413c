"""How effects move with scale: the block `scale` of verdicts.json.

A family of its own at the study's error rate, which decides nothing about the comparison at one
scale: an arm may be worse at home and lose nothing at another rung.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from swinablate.records.plan import PlanRecord
from swinablate.records.scale import RungRecord, ScaleRecord
from swinablate.records.tables import valued
from swinablate.stats import Declaration
from swinablate.stats.comparisons.trend import Asked, At, HeldOut, Trend, trend
from swinablate.stats.critical import Floats
from swinablate.text import counted, signed

Values = Mapping[str, Mapping[int, float]]
"""Arm -> seed -> result."""


class Pair(NamedTuple):
    """An arm, what it is compared with, and the rungs at which both are trained."""

    arm: str
    against: str
    rungs: Sequence[RungRecord]


def trends(
    plan: PlanRecord, trials: pd.DataFrame, declared: Declaration
) -> dict[str, list[dict[str, Any]]]:
    """The block `scale` of verdicts.json; nothing of a study of one scale.

    Args:
        plan: a recorded plan, with the arms of every rung.
        trials: a row for every trial that counts, of every rung.
        declared: what is asked, in which metric.
    """
    if plan.scale is None:
        return {}
    known = valued(trials, declared.metric, declared.unit)
    done = known[(known.status == "done") & np.isfinite(known["value"].astype(float))]
    values: dict[str, dict[int, float]] = {}
    for arm, seed, value in done[["arm", "seed", "value"]].itertuples(index=False):
        values.setdefault(str(arm), {})[int(seed)] = float(value)
    left = int((known.status == "waiting").sum())
    pending = f"pending: {counted(left, 'trial')} missing" if left else ""
    pairs = list(_pairs(plan, plan.scale))
    asked = Asked(
        alpha=declared.alpha,
        comparisons=max(1, len(pairs)),
        rope=declared.rope_pp,
        floor=declared.floor_pp,
        ahead=plan.scale.predict.value if plan.scale.predict else None,
    )
    found = [(one, _judged(one, values, asked, pending)) for one in pairs]
    return {"scale": [_entry(plan, plan.scale, declared, *each) for each in found]}


def _pairs(plan: PlanRecord, scale: ScaleRecord) -> Iterator[Pair]:
    against = {arm.name: arm.against for arm in plan.arms}
    base = plan.baseline.name
    for name in dict.fromkeys(name for rung in scale.rungs for name in rung.arms):
        other = against.get(name) or base
        if name != base:
            rungs = [rung for rung in scale.rungs if name in rung.arms and other in rung.arms]
            yield Pair(name, other, rungs)


def _judged(one: Pair, values: Values, asked: Asked, pending: str) -> Trend:
    if len(one.rungs) < 2:
        return Trend(n=0, effects=(), why="it is trained at fewer than 2 rungs")
    found = trend(_differences(one, values), [rung.value for rung in one.rungs], asked)
    if pending:  # the numbers as they stand, and no answer
        return replace(found, answer="cannot tell", negligible=False, why=pending)
    return found


def _differences(one: Pair, values: Values) -> Floats:
    """(n, r) differences within seeds, of the seeds that ended at every rung on both sides."""
    none: Mapping[int, float] = {}
    sides = [
        (values.get(rung.arms[one.arm], none), values.get(rung.arms[one.against], none))
        for rung in one.rungs
    ]
    seeds = sorted(set.intersection(*(ours.keys() & theirs.keys() for ours, theirs in sides)))
    table = [[ours[seed] - theirs[seed] for ours, theirs in sides] for seed in seeds]
    return np.array(table, dtype=float).reshape(len(seeds), len(sides))


def _planned(plan: PlanRecord, one: Pair) -> int:
    """Seeds that both sides are to have at every rung."""
    names = [rung.arms[name] for rung in one.rungs for name in (one.arm, one.against)]
    every = [set(plan.arm(name).seeds) for name in names]
    return len(set.intersection(*every)) if every else 0


def _entry(
    plan: PlanRecord, scale: ScaleRecord, declared: Declaration, one: Pair, found: Trend
) -> dict[str, Any]:
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
        "planned": _planned(plan, one),
        "p_fit": found.p_fit,
        "change_low": found.change_low,
        "change_high": found.change_high,
        "rungs": [{"rung": rung.label, **_point(effect)} for rung, effect in at],
        "line": [_point(end) for end in found.line or ()],
        "held_out": _held(one, found.held_out) if found.held_out else None,
        "sentence": _sentence(one, found, scale, declared),
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


def _sentence(one: Pair, found: Trend, scale: ScaleRecord, declared: Declaration) -> str:
    """What was found of an arm over scales, without its name."""
    if found.slope is None or found.ci_low is None or found.ci_high is None:
        return f"cannot tell: {found.why}."
    places, unit = declared.places((found.ci_high - found.ci_low) / 4), declared.suffix
    level = f"{100 * (1 - declared.alpha):g} %"
    first, last = one.rungs[0].label, one.rungs[-1].label

    def ends(low: float | None, high: float | None) -> str:
        return f"{signed(low, places)} to {signed(high, places)}"

    slope = (
        f"{signed(found.slope, places)}{unit} per doubling of {scale.by} ({level} simultaneous CI "
        f"{ends(found.ci_low, found.ci_high)}; {counted(found.n, 'seed')} at {len(one.rungs)} "
        f"rungs, {first} to {last})"
    )
    said = [slope]
    if (ahead := found.predicted) and scale.predict:
        said.append(
            f"at {scale.predict.label} {signed(ahead.effect, places)}{unit} is predicted ({level} "
            f"prediction interval {ends(ahead.low, ahead.high)})"
        )
    if held := found.held_out:
        does = "hits" if held.hit else "misses"
        said.append(
            f"without {last} the others predict {signed(held.predicted.effect, places)} "
            f"({ends(held.predicted.low, held.predicted.high)}) there, which {does} the "
            f"{signed(held.measured.effect, places)} that was measured"
        )
    small = ", over all rungs by less than matters (negligible)" if found.negligible else ""
    why = f" ({found.why})" if found.why else ""
    return f"{found.answer}{small}{why}: {'; '.join(said)}."
