"""Effects over several data sets: the block `datasets` of verdicts.json, and what figures draw.

Each data set has been judged by itself. Here the effects of an arm are combined, one a data set,
those that are known better weighing more: a family of its own at the study's error rate, which
decides nothing about any single data set.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, NamedTuple

import pandas as pd

from swinablate.records.plan import PlanRecord
from swinablate.records.scale import on
from swinablate.records.tables import CURVES
from swinablate.report.results import StudyResults, judge_trials
from swinablate.stats.comparisons.datasets import LEAST, MANY, OverDatasets, over_datasets, word
from swinablate.study.declared import declaration
from swinablate.text import after_difference, counted, ends, places_of, signed, unit_of

Judged = Mapping[str, Mapping[str, Any]]
"""Data set -> its verdicts, as in verdicts.json."""
KEPT = ("n", "delta_pp", "se", "ci_low", "ci_high", "verdict", "negligible")
"""What an effect over data sets repeats of the verdict on each."""
UNKNOWN = {field.name: None for field in fields(OverDatasets)}
EFFECTS = (
    "point", "arm", "against", "dataset", "effect", "low", "high", "new_low", "new_high", "n", "k",
    "verdict", "rope_pp", "level", "metric",
)  # fmt: skip
PROFILE = ("arm", "gain", "share", "k", "rope_pp", "metric")


def plan_on(plan: PlanRecord, label: str) -> PlanRecord:
    """The plan of one data set alone, its arms with their plain names.

    Hypotheses are the study's, about home.

    Args:
        plan: a recorded plan of several data sets.
        label: of one.
    """
    assert plan.datasets is not None
    one = next(each for each in plan.datasets.sets if each.label == label)
    plain = {name: arm for arm, name in one.arms.items()}
    after = "" if label == plan.datasets.home else on(label)
    arms = [
        arm.model_copy(
            update={"name": plain[arm.name], "against": plain.get(arm.against, arm.against)}
        )
        for arm in plan.arms
        if arm.name in plain
    ]
    others = tuple(end for end in plan.datasets.suffixes if end != after)
    refused = [
        one.model_copy(
            update={
                "name": one.name.removesuffix(after),
                "same_as": one.same_as.removesuffix(after) if one.same_as else None,
            }
        )
        for one in plan.refusals
        if one.name.endswith(after) and not one.name.endswith(others)
    ]
    return plan.model_copy(
        update={
            "arms": tuple(arms),
            "refusals": tuple(refused),
            "hypotheses": plan.hypotheses if not after else (),
            "datasets": None,
        }
    )


def each_of(plan: PlanRecord, trials: pd.DataFrame) -> dict[str, StudyResults]:
    """What was found on each data set of a study; nothing of a study of one.

    Args:
        plan: a recorded plan, with the arms of every data set.
        trials: a row for every trial that counts, of every data set.
    """
    if plan.datasets is None:
        return {}
    found = {}
    for one in plan.datasets.sets:
        there = plan_on(plan, one.label)
        plain = {name: arm for arm, name in one.arms.items()}
        rows = trials[trials.arm.isin(list(plain))].reset_index(drop=True)
        rows = rows.assign(arm=rows.arm.map(plain))
        judged = judge_trials(there, declaration(there, rows), rows)
        found[one.label] = StudyResults(
            plan=there,
            trials=rows,
            curves=pd.DataFrame(columns=list(CURVES)),
            verdicts=judged.to_json(),
            provenance={},
        )
    return found


def over_sets(
    plan: PlanRecord, sets: Mapping[str, StudyResults]
) -> dict[str, list[dict[str, Any]]]:
    """The block `datasets` of verdicts.json; nothing of a study of one data set.

    Args:
        plan: a recorded plan, with the arms of every data set.
        sets: as `each_of` found them.
    """
    if plan.datasets is None:
        return {}
    waiting = [int((one.trials.status == "waiting").sum()) for one in sets.values()]
    pending = f"{counted(sum(waiting), 'trial')} missing" if any(waiting) else ""
    entries = over({name: one.verdicts for name, one in sets.items()}, pending)
    for own in (own for one in entries for own in one["sets"]):
        own["home"] = own["dataset"] == plan.datasets.home
    return {"datasets": entries}


class Asked(NamedTuple):
    """What all arms of an answer share.

    Attributes:
        first: verdicts on one of the data sets: metric, alpha and rope are everyone's.
        combined: arms whose means are told.
        places: decimals of a difference.
        pending: why there is no word yet; mostly empty.
    """

    first: Mapping[str, Any]
    combined: int
    places: int
    pending: str


def over(judged: Judged, pending: str = "") -> list[dict[str, Any]]:
    """For every arm its effect over the data sets, in the order of the first.

    Args:
        judged: what was found on each; metric, alpha and rope are everyone's.
        pending: why there is no word yet; mostly empty.
    """
    found = {arm: _effects(judged, arm) for arm in _arms(judged)}
    asked = Asked(
        first=next(iter(judged.values())),
        combined=sum(len(_known(own)) >= 2 for own in found.values()),
        places=max(map(places_of, judged.values())),
        pending=pending,
    )
    return [_entry(arm, own, asked) for arm, own in found.items()]


def _arms(judged: Judged) -> list[str]:
    names = (arm["name"] for one in judged.values() for arm in one["arms"])
    return list(dict.fromkeys(names))


def _effects(judged: Judged, arm: str) -> list[dict[str, Any]]:
    """An arm's verdict on every data set that has it."""
    return [
        {
            "dataset": name,
            "baseline_mean": one["baseline"]["mean"],
            "against": found.get("against") or "",
            "lost": _lost(name, found),
            **{key: found.get(key) for key in KEPT},
        }
        for name, one in judged.items()
        for found in one["arms"]
        if found["name"] == arm
    ]


def _lost(name: str, found: Mapping[str, Any]) -> str:
    """Why an arm has no verdict on a data set, though it ran there; nothing where it has one."""
    if found["verdict"] == "fails to train":
        return f"it fails to train on {name}"
    open_ = found["verdict"] == "undecided" and found.get("reason")
    return f"there is no verdict on {name}: {found['reason']}" if open_ else ""


def _known(effects: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Effects and standard errors, of the data sets that have both."""
    return [(one["delta_pp"], one["se"]) for one in effects if one["se"]]


def _entry(arm: str, effects: list[dict[str, Any]], asked: Asked) -> dict[str, Any]:
    first, known = asked.first, _known(effects)
    own = {"against", "lost"}
    sets = [{key: value for key, value in one.items() if key not in own} for one in effects]
    shared = {"arm": arm, "against": effects[0]["against"]}
    if len(known) < 2:
        on = counted(len(known), "data set")
        why = asked.pending or f"an effect and its error are known on {on}"
        said = {**UNKNOWN, "k": len(known), "verdict": None, "why": why, "sets": sets}
        return {**shared, **said, "sentence": f"{why}."}
    found = over_datasets(
        *zip(*known, strict=True), alpha=first["alpha"], comparisons=max(1, asked.combined)
    )
    lower = first.get("better") == "lower"
    verdict = word(found, first.get("rope_pp"), lower_is_better=lower)
    why = asked.pending if verdict else "how far data sets differ cannot be told from two"
    # What a data set lost is not like what others show: without it the mean is of those that went
    # well, and says nothing of all.
    lost = "; ".join(one["lost"] for one in effects if one["lost"])
    if verdict and asked.pending:
        verdict = "pending"
    elif verdict and lost:
        verdict, why = "undecided", lost
    said = {**asdict(found), "verdict": verdict or None, "why": why, "sets": sets}
    return {**shared, **said, "sentence": _sentence(found, verdict, why, asked, len(effects))}


def _sentence(found: OverDatasets, verdict: str, why: str, asked: Asked, of: int) -> str:
    """What was found of an arm over data sets, without its name."""
    places, unit = asked.places, after_difference(unit_of(asked.first))
    level = f"{100 * (1 - asked.first['alpha']):g} %"

    def both(low: float | None, high: float | None) -> str:
        return " to ".join(ends(low, high, places))

    some = str(found.k) if found.k == of else f"{found.k} of {of}"
    mean = f"{signed(found.mean_pp, places)}{unit} over {some} data sets"
    if found.k < LEAST:
        same = "the same sign on both" if found.same_sign == found.k else "opposite signs"
        return f"{mean}, {same}; no word is given, for {why}."
    new = both(found.new_low, found.new_high)
    spread = f"{found.tau_pp:.{places}f}{unit} ({found.i2:.0f} % of the variation)"
    parts = [
        f"{mean} ({level} simultaneous CI {both(found.ci_low, found.ci_high)})",
        f"on a new data set like these {new} ({level} prediction interval, for this arm alone)",
        f"between data sets an sd of {spread}",
        f"the mean's sign on {found.same_sign} of {found.k}",
    ]
    if found.k >= MANY:
        middle = both(found.iqm_low, found.iqm_high)
        parts.append(f"the middle half of them {signed(found.iqm_pp, places)} ({middle})")
    return f"{verdict}{f' ({why})' if why else ''}: {'; '.join(parts)}."


def effect_rows(entries: Sequence[Mapping[str, Any]], first: Mapping[str, Any]) -> pd.DataFrame:
    """What the figure of effects over data sets draws.

    Args:
        entries: as `over` made them.
        first: verdicts of any of the data sets.

    Returns:
        for every arm a row a data set (`point` is "dataset"), and one of their mean ("mean").
    """
    rows: list[dict[str, Any]] = []
    same = {
        "rope_pp": first.get("rope_pp"),
        "level": 1 - first["alpha"],
        "metric": first["metric"],
    }
    for one in entries:
        mine = {"arm": one["arm"], "against": one["against"], "k": one["k"], **same}
        rows += [
            {**mine, "point": "dataset", "dataset": own["dataset"], "effect": own["delta_pp"],
             "low": own["ci_low"], "high": own["ci_high"], "n": own["n"],
             "verdict": own["verdict"]}
            for own in one["sets"]
            if own["delta_pp"] is not None
        ]  # fmt: skip
        if one["mean_pp"] is not None:
            rows.append({
                **mine, "point": "mean", "dataset": "", "effect": one["mean_pp"],
                "low": one["ci_low"], "high": one["ci_high"], "new_low": one["new_low"],
                "new_high": one["new_high"], "n": None, "verdict": one["verdict"] or "",
            })  # fmt: skip
    return pd.DataFrame(rows, columns=list(EFFECTS))


def profile_rows(sets: Mapping[str, StudyResults]) -> pd.DataFrame:
    """Performance profiles: for every arm the share of runs that gain so much or more.

    A gain is the difference to the baseline's mean on the same data set, the good way, and each
    data set weighs the same however many runs it has. Nothing of fewer than five data sets.

    Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.2.

    Returns:
        for the baseline and every arm a row at each of its runs' gains, the smallest first.
    """
    runs = [run for name, answer in sets.items() for run in _runs(name, answer)]
    table, rows = pd.DataFrame(runs, columns=["dataset", "arm", "gain"]), []
    for arm, own in table.groupby("arm", sort=False):
        k = own.dataset.nunique()
        if k < MANY:
            continue
        weight = 1 / (k * own.groupby("dataset").gain.transform("size"))
        ordered = own.assign(weight=weight).sort_values("gain", kind="stable")
        share = ordered.weight[::-1].cumsum()[::-1].clip(upper=1.0)
        pairs = zip(ordered.gain, share, strict=True)
        rows += [{"arm": arm, "gain": gain, "share": share, "k": k} for gain, share in pairs]
    found = pd.DataFrame(rows if len({row["arm"] for row in rows}) > 1 else [])
    first = next(iter(sets.values())).verdicts if sets else {"metric": ""}
    found = found.assign(rope_pp=first.get("rope_pp"), metric=first["metric"])
    return found.reindex(columns=list(PROFILE))


def _runs(name: str, answer: StudyResults) -> Iterator[tuple[str, str, float]]:
    """Data set, arm and gain of every run."""
    values, judged = answer.observed, answer.verdicts
    base, sign = judged["baseline"], -1 if judged.get("better") == "lower" else 1
    if base["mean"] is None:
        return
    for arm in (base["name"], *(arm["name"] for arm in judged["arms"])):
        for value in values.get(arm, []):
            yield name, arm, sign * (value - base["mean"])
