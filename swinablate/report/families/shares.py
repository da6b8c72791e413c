"""What each change of a path has of what all make together: the block `shares` of verdicts.json.

It decides nothing: verdicts are about the steps, each in its own order.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from swinablate.records.plan import PlanRecord
from swinablate.records.tables import valued
from swinablate.report.drawing.words import called
from swinablate.stats import Declaration
from swinablate.stats.comparisons.shares import NOTHING, Part, Whole, shares
from swinablate.stats.sample import read_samples
from swinablate.study.declared import effects_of
from swinablate.text import counted, ends, number, signed

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
    samples = read_samples(known, declared)
    values = {
        name: {int(unit): float(value) for unit, value in zip(one.seeds, one.values, strict=True)}
        for name, one in samples.items()
    }
    used = {arm for order in orders.values() for step in order.values() for arm in step}
    units = sorted(set.intersection(*(set(values[arm]) for arm in used)))
    planned = min(samples[arm].tally.planned for arm in used)
    left = int((known.status == "waiting").sum())
    if left or not units:
        word = declared.units.word
        why = (
            f"pending: {counted(left, 'trial')} missing"
            if left
            else f"no {word} ended in all arms"
        )
        return {"shares": _entry(declared, None, changes, why, planned)}

    def table(order: Mapping[str, Step]) -> list[list[float]]:
        steps = [order[change] for change in changes]
        return [[values[after][u] - values[before][u] for after, before in steps] for u in units]

    found = shares(table(forward), table(reverse), alpha=declared.alpha, floor=declared.floor_pp)
    return {"shares": _entry(declared, found, changes, found.why, planned)}


def _orders(plan: PlanRecord) -> dict[str, dict[str, Step]]:
    """Direction -> change -> its step, of those that can be told."""
    found: dict[str, dict[str, Step]] = {"forward": {}, "reverse": {}}
    steps, _ = effects_of(plan)
    for step in steps:
        head, _, change = step.name.partition(": ")
        after, before = sorted(step.weights, key=lambda arm: -step.weights[arm])
        found[head.partition(" ")[0]][change] = (after, before)
    return found


def labels_of(plan: PlanRecord) -> dict[str, str]:
    """What arms and switches are called in a report: as the study says, and else by name.

    Arms of a path are called by the last of their changes: their names list all of them, and
    where these are many, end in a digest.
    """
    found: dict[str, str] = {}
    for direction, steps in _orders(plan).items() if plan.design == "path" else ():
        for change, (after, _) in steps.items():
            made = len(plan.arm(after).changes)
            if made > 1:
                last = f"{direction}, up to {called(change, plan.labels)}"
                found[after] = "the whole path" if made == len(plan.axes) else last
    return found | dict(plan.labels)


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
        f"{' to '.join(ends(found.ci_low, found.ci_high, places))}; "
        f"{counted(found.n, declared.units.word)})"
    )
    if why:
        return f"{whole}: {why}{', so that there is nothing to share out' * (why == NOTHING)}."
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
