"""What may be said of arms at tuned recipes: over tunings as replicates; of one tuning, nothing.

A recipe that was found is drawn by chance as much as a seed is. With a tuning for every final
seed, a seed and its tuning are one draw. With k tunings an arm, the mean over the final seeds of
a tuning is one: k results with k - 1 degrees of freedom, in whose spread the luck of tuning and
that of the seeds are both contained, in the shares in which they are in the mean of all. (Means
over different numbers of seeds vary differently; the variance of their mean is estimated without
bias all the same.) With one tuning an arm its luck is in no spread, and seeds cannot show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord
from swinablate.records.tables import tabulated, valued
from swinablate.stats import (
    CONTRASTS,
    TUNED,
    TUNED_CONTRASTS,
    Contrast,
    Declaration,
    Estimate,
    Tally,
    judge_family,
    others_of,
    read_samples,
)
from swinablate.stats.seeds.units import Units
from swinablate.stats.sentence import interval, margin
from swinablate.text import counted, formula, signed

SUFFIX = ", tuned"
ONCE = "one tuning an arm: how lucky it was is in no interval"
LOST = ("failed", "diverged")


@dataclass(frozen=True, kw_only=True)
class JudgedTunings:
    """The tuned arms against the tuned baseline, and what else was declared.

    Attributes:
        effects: arm -> its difference at tuned recipes; then declared contrast -> its estimate.
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
        units=tuned_units(plan, declared),
        withheld={TUNED: ONCE, TUNED_CONTRASTS: ONCE} if once else {},
    )
    arms, among = _arms(asked), _among(asked)
    apart = [one for one in arms if _plain(one) not in asked.elsewhere]
    effects, tallies = _judged(plan, asked, finals, [apart, among], complete=complete)
    if once:
        effects = {name: _without_word(found, ONCE) for name, found in effects.items()}
    effects = {name: _told(found, plan, asked, tallies) for name, found in effects.items()}
    if once:
        return JudgedTunings(effects=effects, changes={}, tallies=tallies)
    gains = _gains(plan, asked, finals, recorded)
    changes, _ = _judged(plan, asked, gains, [arms], complete=complete)
    return JudgedTunings(effects=effects, changes=changes, tallies=tallies)


def said(
    name: str, judged: JudgedTunings, plan: PlanRecord, declared: Declaration
) -> dict[str, str]:
    """The difference of a tuned arm in words; nothing of the baseline."""
    found = judged.effects.get(name)
    if found is None:
        return {}
    declared = replace(declared, units=tuned_units(plan, declared))
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


def tuned_units(plan: PlanRecord, declared: Declaration) -> Units:
    """What counts as one observation of a tuned arm, and what its intervals hold over.

    Args:
        plan: a recorded plan with tuning.
        declared: what it declared.
    """
    of = {} if by_tuning(plan) else declared.units.of
    if not plan.noise.sources or plan.tune is None or plan.tune.once:
        return Units(of, declared.units.over)
    if plan.noise.nested:
        return Units(of, "over training seeds, data splits and tunings")
    return Units(of, "over training seeds and tunings, on this split only")


def by_tuning(plan: PlanRecord) -> bool:
    """Whether several final seeds share a tuning, of several."""
    return plan.tune is not None and plan.tune.repeats not in {1, "seed"}


def _planned(plan: PlanRecord, declared: Declaration) -> Mapping[str, int]:
    """How many replicates every arm has."""
    if not by_tuning(plan) or plan.tune is None:
        return declared.planned
    return {arm: plan.tune.of(seeds) for arm, seeds in declared.planned.items()}


def _arms(asked: Declaration) -> list[Contrast]:
    """Every arm against the baseline, or the arm that was named instead."""
    return [
        Contrast(
            name=f"{arm}{SUFFIX}",
            kind="arm",
            family=TUNED,
            weights={arm: 1.0, other: -1.0},
            basis="tuned",
            metric=asked.metric,
        )
        for arm, other in others_of(asked).items()
    ]


def _among(asked: Declaration) -> list[Contrast]:
    """The comparisons that were declared one by one."""
    return [
        replace(one, name=f"{one.name}{SUFFIX}", family=TUNED_CONTRASTS, basis="tuned")
        for one in asked.contrasts
        if one.family == CONTRASTS
    ]


def _plain(contrast: Contrast) -> str:
    """What the comparison is called at the fixed recipes."""
    return contrast.name.removesuffix(SUFFIX)


def _judged(
    plan: PlanRecord,
    asked: Declaration,
    results: pd.DataFrame,
    families: Sequence[Sequence[Contrast]],
    *,
    complete: bool,
) -> tuple[dict[str, Estimate], Mapping[str, Tally]]:
    """Every comparison by its plain name, each family on its own; and the arms' replicates."""
    frame = results[["arm", "seed", "value", "status", "repeat"]]
    torn: list[str] = []
    if by_tuning(plan):
        torn = _torn(frame)
        frame = over_tunings(frame)
    samples = read_samples(frame, asked)
    asked = replace(asked, contrasts=())
    found = {}
    for family in families:
        for one in judge_family(family, samples, asked, complete=complete):
            hurt = [name for name in one.contrast.weights if name in torn]
            why = f"some, not all, seeds of a tuning of {hurt[0]} diverged" if hurt else ""
            found[_plain(one.contrast)] = _without_word(one, why) if why else one
    return found, {name: sample.tally for name, sample in samples.items()}


def _told(
    found: Estimate, plan: PlanRecord, declared: Declaration, tallies: Mapping[str, Tally]
) -> Estimate:
    """The estimate of a declared contrast with its sentence; arms have theirs in `tuning`."""
    if found.contrast.kind != "contrast":
        return found
    name, what = found.contrast.name, formula(found.contrast.weights)
    if found.ci_low is None or found.verdict in {"pending", "not tested"}:
        return replace(found, sentence=f"{name} ({what}): {found.verdict} ({found.reason}).")
    places = declared.places(found.se)
    delta = f"{signed(found.delta_pp, places)}{declared.suffix}"
    if plan.tune and plan.tune.once:
        text = (
            f"Of the recipes that one tuning found for each arm, {what} is {delta} in "
            f"{declared.words} ({interval(found, declared)}, given the recipes found): there is "
            "no verdict about the arms."
        )
        return replace(found, sentence=text)
    counts = {tallies[arm].n for arm in found.contrast.weights}
    many = " to ".join(f"{n}" for n in sorted({min(counts), max(counts)}))
    evidence = f"{delta}, {interval(found, declared)}; {what}, {many} tunings an arm"
    if found.reason:
        text = f"{name}: {found.verdict}, because {found.reason}; {evidence}."
        return replace(found, sentence=text)
    near = " to 0 within " + margin(declared) if found.verdict == "equivalent" else ""
    small = " (negligible)" if found.negligible else ""
    side = f", {'above' if (found.delta_pp or 0) > 0 else 'below'} 0"
    where = side if found.verdict in {"better", "worse"} else near
    return replace(found, sentence=f"{name}: {found.verdict}{where}{small} ({evidence}).")


def _torn(frame: pd.DataFrame) -> list[str]:
    """The arms of whose tunings some lost a part of their seeds: what is left is no fair mean."""
    lost = frame.assign(lost=frame.status == "diverged").groupby(["arm", "repeat"]).lost.mean()
    parts = lost[(lost > 0) & (lost < 1)]
    return [str(arm) for arm in dict.fromkeys(parts.index.get_level_values("arm"))]


def over_tunings(frame: pd.DataFrame) -> pd.DataFrame:
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
