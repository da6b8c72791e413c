"""What may be said of arms at tuned recipes: over tunings as replicates; of one tuning, nothing.

A recipe that was found is drawn by chance as much as a seed is. With a tuning for every final
seed, a seed and its tuning are one draw. With k tunings an arm, the mean over the final seeds of
a tuning is one: k results with k - 1 degrees of freedom, in whose spread the luck of tuning and
that of the seeds are both contained, in the shares in which they are in the mean of all. (Means
over different numbers of seeds vary differently; the variance of their mean is estimated without
bias all the same.) With one tuning an arm its luck is in no spread, and seeds cannot show it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord
from swinablate.records.tables import tabulated, valued
from swinablate.stats import (
    Contrast,
    Declaration,
    Estimate,
    Tally,
    judge_family,
    others_of,
    read_samples,
)
from swinablate.stats.sentence import interval
from swinablate.text import counted, signed

TUNED = "tuned"
ONCE = "one tuning an arm: how lucky it was is in no interval"
LOST = ("failed", "diverged")


@dataclass(frozen=True, kw_only=True)
class JudgedTunings:
    """The tuned arms against the tuned baseline.

    Attributes:
        effects: arm -> its difference at tuned recipes.
        changes: arm -> by how much that is more than its difference at the fixed recipe; empty
            after one tuning an arm.
        tallies: arm -> its replicates.
    """

    effects: Mapping[str, Estimate]
    changes: Mapping[str, Estimate]
    tallies: Mapping[str, Tally]


def judge_tunings(
    plan: PlanRecord,
    declared: Declaration,
    finals: pd.DataFrame,
    recorded: Mapping[str, Outcome],
) -> JudgedTunings:
    """The differences at the tuned recipes, and every arm's replicates; pending while some lack.

    Args:
        plan: a recorded plan with tuning.
        declared: what it declared.
        finals: a row for every final trial at a tuned recipe; `value` is the metric.
        recorded: trial id -> outcome.
    """
    known = finals[finals.status != "waiting"].trial.nunique()
    complete = known == sum(declared.planned.values())
    once = plan.tune is not None and plan.tune.once
    asked = replace(
        declared,
        hypotheses=(),
        unrecorded={},
        planned=_planned(plan, declared),
        withheld={TUNED: ONCE} if once else {},
    )
    effects, tallies = _family(plan, asked, finals, complete=complete)
    if once:
        effects = {arm: _without_word(found, ONCE) for arm, found in effects.items()}
        return JudgedTunings(effects=effects, changes={}, tallies=tallies)
    changes, _ = _family(plan, asked, _gains(plan, asked, finals, recorded), complete=complete)
    return JudgedTunings(effects=effects, changes=changes, tallies=tallies)


def said(
    name: str, judged: JudgedTunings, plan: PlanRecord, declared: Declaration
) -> dict[str, str]:
    """The difference of a tuned arm in words; nothing of the baseline."""
    found = judged.effects.get(name)
    if found is None:
        return {}
    if found.ci_low is None or found.verdict in {"pending", "not tested"}:
        return {"sentence": f"{name}, tuned: {found.verdict} ({found.reason})."}
    other = others_of(declared)[name]
    other = "the baseline" if other == declared.baseline else other
    places = declared.places(found.se)
    delta = f"{signed(found.delta_pp, places)}{declared.suffix}"
    if plan.tune and plan.tune.once:
        return {
            "sentence": f"Of these two recipes, the one found for {name} and the one found for "
            f"{other}, the first differs by {delta} in {declared.words} "
            f"({interval(found, declared)}, given the recipes found). Another tuning would find "
            "others, and how much those differ is not known: there is no verdict about the arms."
        }
    ours, base = (judged.tallies[arm].n for arm in (name, others_of(declared)[name]))
    tunings = f"{counted(ours, 'tuning')} vs {base} of {other}"
    evidence = f"{delta}, {interval(found, declared)}; {tunings}"
    if found.reason:
        return {"sentence": f"{name}, tuned: {found.verdict}, because {found.reason}; {evidence}."}
    small = " (negligible)" if found.negligible else ""
    near = ""
    if found.verdict == "equivalent":
        near = f" to {other}, tuned too, within {declared.rope_pp:g}{declared.suffix}"
    return {"sentence": f"{name}, tuned: {found.verdict}{near}{small} ({evidence})."}


def by_tuning(plan: PlanRecord) -> bool:
    """Whether several final seeds share a tuning, of several."""
    return plan.tune is not None and plan.tune.repeats not in {1, "seed"}


def _planned(plan: PlanRecord, declared: Declaration) -> Mapping[str, int]:
    """How many replicates every arm has."""
    if not by_tuning(plan) or plan.tune is None:
        return declared.planned
    return {arm: plan.tune.of(seeds) for arm, seeds in declared.planned.items()}


def _family(
    plan: PlanRecord, asked: Declaration, results: pd.DataFrame, *, complete: bool
) -> tuple[dict[str, Estimate], Mapping[str, Tally]]:
    """Every arm against the baseline, and the replicates of each."""
    frame = results[["arm", "seed", "value", "status", "repeat"]]
    torn: list[str] = []
    if by_tuning(plan):
        torn = _torn(frame)
        frame = _means(frame)
    samples = read_samples(frame, asked)
    contrasts = [
        Contrast(
            name=f"{arm}, tuned",
            kind="arm",
            family=TUNED,
            weights={arm: 1.0, other: -1.0},
            basis="tuned",
            metric=asked.metric,
        )
        for arm, other in others_of(asked).items()
    ]
    asked = replace(asked, contrasts=())
    found = {}
    for one in judge_family(contrasts, samples, asked, complete=complete):
        arm = next(name for name, weight in one.contrast.weights.items() if weight > 0)
        hurt = [name for name in one.contrast.weights if name in torn]
        why = f"some, not all, seeds of a tuning of {hurt[0]} diverged" if hurt else ""
        found[arm] = _without_word(one, why) if why else one
    return found, {name: sample.tally for name, sample in samples.items()}


def _torn(frame: pd.DataFrame) -> list[str]:
    """The arms of whose tunings some lost a part of their seeds: what is left is no fair mean."""
    lost = frame.assign(lost=frame.status == "diverged").groupby(["arm", "repeat"]).lost.mean()
    parts = lost[(lost > 0) & (lost < 1)]
    return [str(arm) for arm in dict.fromkeys(parts.index.get_level_values("arm"))]


def _means(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for every tuning: the mean over its seeds."""
    rows = []
    for (arm, repeat), mine in frame.groupby(["arm", "repeat"], sort=False):
        statuses = set(mine.status)
        first = next((s for s in ("waiting", "failed", "done") if s in statuses), "diverged")
        value = mine.value[mine.status == "done"].astype(float).mean()
        rows.append({"arm": arm, "seed": repeat, "value": value, "status": first})
    return pd.DataFrame(rows, columns=["arm", "seed", "value", "status"])


def _gains(
    plan: PlanRecord, asked: Declaration, finals: pd.DataFrame, recorded: Mapping[str, Outcome]
) -> pd.DataFrame:
    """What each seed gains by tuning: its result at the tuned recipe less that at the fixed one.

    Both share the seed, so what that does to either cancels as far as it can.
    """
    fixed = valued(tabulated(plan, plan.rows(), recorded), asked.metric, asked.unit)
    fixed = fixed[["arm", "seed", "value", "status"]]
    both = finals.merge(fixed, on=["arm", "seed"], how="left", suffixes=("", "_fixed"))
    status = both.status.where(~both.status_fixed.isin(LOST), both.status_fixed)
    status = status.mask((both.status == "waiting") | (both.status_fixed == "waiting"), "waiting")
    gained = both["value"].astype(float) - both["value_fixed"].astype(float)
    return both.assign(value=gained, status=status)


def _without_word(found: Estimate, why: str) -> Estimate:
    """The estimate without a verdict; what is pending or not tested stays so."""
    if found.verdict in {"pending", "not tested"} or found.reason == why:
        return found
    empty: dict[str, Any] = {"negligible": False, "p_holm": None, "seeds_needed": None}
    return replace(found, verdict="undecided", reason=why, **empty)
