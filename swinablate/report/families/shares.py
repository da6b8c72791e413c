"""What each change of a path has of what all make together: the block `shares` of verdicts.json.

It decides nothing: verdicts are about the steps, each in its own order.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from swinablate.records.plan import PlanRecord
from swinablate.records.tables import valued
from swinablate.stats import Declaration
from swinablate.stats.comparisons.shares import Part, Whole, shares
from swinablate.study.declared import effects_of
from swinablate.text import counted, number, signed

Values = Mapping[str, Mapping[int, float]]
"""Arm -> seed -> result."""
Step = tuple[str, str]
"""The arm after a change, and the one before."""


def shares_of(
    plan: PlanRecord, declared: Declaration, trials: pd.DataFrame
) -> dict[str, dict[str, Any]]:
    """The block `shares` of verdicts.json; nothing of another design.

    Args:
        plan: a recorded plan.
        declared: what is asked, in which metric.
        trials: a row for every trial that counts.
    """
    if plan.design != "path":
        return {}
    orders = _orders(plan)
    forward, reverse = orders["forward"], orders["reverse"]
    changes = [change for change in forward if change in reverse]
    if not changes or len(changes) < max(len(forward), len(reverse), len(plan.axes)):
        return {"shares": _entry(declared, None, [], "steps of the path cannot be told", 0)}
    known = valued(trials, declared.metric, declared.unit)
    done = known[(known.status == "done") & np.isfinite(known["value"].astype(float))]
    values: dict[str, dict[int, float]] = {}
    for arm, seed, value in done[["arm", "seed", "value"]].itertuples(index=False):
        values.setdefault(str(arm), {})[int(seed)] = float(value)
    used = {arm for order in orders.values() for step in order.values() for arm in step}
    planned = set.intersection(*(set(plan.arm(arm).seeds) for arm in used))
    seeds = sorted(set.intersection(*(set(values.get(arm, {})) for arm in used)))
    left = int((known.status == "waiting").sum())
    if left or not seeds:
        why = f"pending: {counted(left, 'trial')} missing" if left else "no seed ended in all arms"
        return {"shares": _entry(declared, None, changes, why, len(planned))}
    tables = (
        [[values[after][s] - values[before][s] for after, before in map(order.get, changes)]  # type: ignore[misc]
         for s in seeds]
        for order in (forward, reverse)
    )  # fmt: skip
    found = shares(*tables, alpha=declared.alpha, floor=declared.floor_pp)
    return {"shares": _entry(declared, found, changes, found.why, len(planned))}


def _orders(plan: PlanRecord) -> dict[str, dict[str, Step]]:
    """Direction -> change -> its step, of those that can be told."""
    found: dict[str, dict[str, Step]] = {"forward": {}, "reverse": {}}
    steps, _ = effects_of(plan)
    for step in steps:
        head, _, change = step.name.partition(": ")
        after, before = sorted(step.weights, key=lambda arm: -step.weights[arm])
        found[head.partition(" ")[0]][change] = (after, before)
    return found


def _entry(
    declared: Declaration, found: Whole | None, changes: list[str], why: str, planned: int
) -> dict[str, Any]:
    rows = [] if found is None else zip(changes, found.parts, strict=True)
    return {
        "n": 0 if found is None else found.n,
        "planned": planned,
        "effect": None if found is None else found.effect,
        "ci_low": None if found is None else found.ci_low,
        "ci_high": None if found is None else found.ci_high,
        "why": why,
        "rows": [{"change": change, **vars(part)} for change, part in rows],
        "sentence": _sentence(declared, found, changes, why),
    }


def _sentence(declared: Declaration, found: Whole | None, changes: list[str], why: str) -> str:
    """What all changes make, and whose it is."""
    if found is None or found.ci_low is None or found.ci_high is None:
        return f"No shares: {why}."
    places = declared.places((found.ci_high - found.ci_low) / 4)  # an interval is some 4 errors
    level = f"{100 * (1 - declared.alpha):g} %"
    whole = (
        f"All changes together: {signed(found.effect, places)}{declared.suffix} ({level} CI "
        f"{signed(found.ci_low, places)} to {signed(found.ci_high, places)}; "
        f"{counted(found.n, 'seed')})"
    )
    if why:
        return f"{whole}: {why}, so that there is nothing to share out."
    ranked = sorted(zip(changes, found.parts, strict=True), key=lambda pair: -(pair[1].share or 0))
    parts = ", ".join(f"{change} {percents(part)}" for change, part in ranked)
    return f"{whole}; of it, as the mean of both orders: {parts} ({level} simultaneous CIs)."


def percents(part: Part) -> str:
    """A share and its interval, in percent."""
    share, low, high = (
        number(None if x is None else 100 * x, 0)
        for x in (part.share, part.share_low, part.share_high)
    )
    return f"{share} % [{low}, {high}]"
