"""Where the noise of a study comes from: the block `noise` of verdicts.json, and its words.

Of every arm, and of every difference that is judged, on the same splits and seeds: how much it
varies between trainings on one split, and between splits. It describes; verdicts are those of the
means over splits.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from swinablate.records.plan import PlanRecord
from swinablate.records.tables import valued
from swinablate.report.families.tuned_verdicts import SUFFIX, tuned_units
from swinablate.stats import Declaration
from swinablate.stats.seeds.components import (
    LEVEL,
    UNKNOWN,
    Component,
    Components,
    components,
    on_one_split,
)
from swinablate.stats.seeds.units import by_unit
from swinablate.text import after_difference, counted, number, places_of, unit_of

METHOD = (
    "restricted maximum likelihood; intervals of the mean squares (chi-squared within splits, "
    "Ting's between them), for normal results"
)
ALONE = "the variance over seeds, chi-squared interval, for normal results"


def sources(
    plan: PlanRecord,
    declared: Declaration,
    trials: pd.DataFrame,
    tuning: pd.DataFrame | None = None,
) -> dict[str, dict[str, Any]]:
    """The block `noise`; nothing where a study does not say over which sources it draws.

    Args:
        plan: a recorded plan.
        declared: what is asked, in which metric.
        trials: a row for every trial that counts.
        tuning: of a tuned study, a row for every trial of tuning and at a tuned recipe.
    """
    noise = plan.noise
    if not noise.sources:
        return {}
    finals = tuning[tuning.kind == "final"] if tuning is not None and len(tuning) else None
    of_tuned = [] if finals is None or "tuning" not in noise.sources else [
        *_of_tuned(plan, declared, finals)
    ]  # fmt: skip
    found = {
        "sources": list(noise.sources),
        "over": declared.units.over,
        "splits": noise.splits or 1,
        "seeds": declared.units.each if noise.nested else len(plan.baseline.seeds),
        "level": LEVEL,
        "method": METHOD if noise.nested else ALONE,
        "components": [*_components(plan, declared, trials), *of_tuned],
    }
    if "tuning" in noise.sources and plan.tune is not None:
        found["tunings"] = plan.tune.of(len(plan.baseline.seeds))
        found["over_tuned"] = tuned_units(plan, declared).over
    return {"noise": found}


def _of_tuned(
    plan: PlanRecord, declared: Declaration, finals: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """The same at tuned recipes: how much is between tunings, and how much within one."""
    rows = valued(finals, declared.metric, declared.unit)
    rows = rows[(rows.status == "done") & rows.value.notna()]
    values = {
        str(arm): pd.Series(
            own.value.to_numpy(float),
            index=pd.MultiIndex.from_arrays([own.repeat.to_numpy(int), own.seed.to_numpy(int)]),
        )
        for arm, own in rows.groupby("arm", sort=False)
    }
    for name, against, own in _each(plan, values):
        beside = f"{against}{SUFFIX}" if against else ""
        yield from _tuned_entry(f"{name}{SUFFIX}", beside, own)


def _each(
    plan: PlanRecord, values: Mapping[str, "pd.Series[float]"]
) -> Iterator[tuple[str, str, "pd.Series[float]"]]:
    """Every arm that has results, and then every difference: arm, what it is from, and values."""
    for arm in plan.arms:
        if arm.name in values:
            yield arm.name, "", values[arm.name]
    for arm in plan.arms[1:]:
        against = arm.against or plan.baseline.name
        if arm.name in values and against in values:
            yield arm.name, against, (values[arm.name] - values[against]).dropna()


def _tuned_entry(name: str, against: str, values: "pd.Series[float]") -> Iterator[dict[str, Any]]:
    groups = [own.to_numpy(float) for _, own in values.groupby(level=0)]
    if len(groups) < 2:
        return
    found = components(groups)
    yield {
        "name": name,
        "of": "difference" if against else "arm",
        "against": against or None,
        "tunings": found.splits,
        "runs": found.runs,
        "training": _root(found.training),
        "split": _root(UNKNOWN),
        "tuning": _root(found.split),
        "total": _root(found.total if len(groups) < found.runs else _alone(groups)),
        "tuning_share": _share(found.share),
    }


def _alone(groups: Sequence[Any]) -> Component:
    """Of one final seed a tuning both come together: their sum is all that is known."""
    return on_one_split(np.concatenate(groups)).training


def _share(share: Component) -> dict[str, float | None]:
    return {"share": share.variance, "low": share.low, "high": share.high}


def _components(
    plan: PlanRecord, declared: Declaration, trials: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """An entry for every arm, and then for every difference of an arm from another."""
    rows = valued(trials, declared.metric, declared.unit)
    rows = rows[(rows.status == "done") & rows.value.notna()]
    values = {
        str(arm): pd.Series(own.value.to_numpy(float), index=own.seed.to_numpy())
        for arm, own in rows.groupby("arm", sort=False)
    }
    for name, against, own in _each(plan, values):
        yield from _entry(name, against, own, declared)


def _entry(
    name: str, against: str, values: "pd.Series[float]", declared: Declaration
) -> Iterator[dict[str, Any]]:
    units = declared.units.of
    numbers = np.asarray(values, dtype=float)
    groups = by_unit(values.index.to_numpy(), numbers, units) if units else {0: numbers}
    if len(numbers) < 2 or (units and len(groups) < 2):
        return
    found = components([*groups.values()]) if units else on_one_split(numbers)
    yield {
        "name": name,
        "of": "difference" if against else "arm",
        "against": against or None,
        "splits": found.splits,
        "runs": found.runs,
        **_parts(found),
    }


def _parts(found: Components) -> dict[str, Any]:
    parts = {"training": found.training, "split": found.split, "total": found.total}
    return {
        **{name: _root(one) for name, one in parts.items()},
        "split_share": _share(found.share),
    }


def _root(one: Component) -> dict[str, float | None]:
    """A variance as the sd that it is of."""
    numbers = {"sd": one.variance, "low": one.low, "high": one.high}
    return {key: None if x is None else float(np.sqrt(x)) for key, x in numbers.items()}


def words(judged: Mapping[str, Any]) -> list[str]:
    """What the block says: what was drawn, and then a sentence for every difference.

    Args:
        judged: verdicts.json.
    """
    noise = judged.get("noise")
    if not noise:
        return []
    unit, places = after_difference(unit_of(judged)), places_of(judged)
    drawn = (
        f"on {noise['splits']} splits with {counted(noise['seeds'], 'seed')} on each"
        if noise["splits"] > 1
        else "on one split"
    )
    tuned = ""
    if "tunings" in noise:
        tuned = (
            f" At tuned recipes they hold {noise['over_tuned']}: every arm was tuned "
            f"{counted(noise['tunings'], 'time')}, each time anew, and its final seeds were dealt "
            "to its tunings."
        )
    first = (
        f"Intervals hold {noise['over']}: every arm was trained {drawn}; the test images are "
        f"the same everywhere.{tuned} Standard deviations with {100 * noise['level']:g} % "
        "intervals:"
    )
    lines = [first]
    for one in noise["components"]:
        if one["of"] == "difference":
            told = [
                f"{_sd(one[part], places)}{unit} {where}"
                for part, where in _told(one, noise)
                if one[part]["sd"] is not None
            ]
            if told:
                lines.append(f"{one['name']} - {one['against']}: {'; '.join(told)}.")
    return lines


def _told(one: Mapping[str, Any], noise: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What of an entry is told, and what it is between."""
    if "tunings" in one:
        own = ", each on a split of its own" if noise["splits"] > 1 else ""
        yield "training", f"between final seeds of one tuning{own}"
        yield "tuning", "between tunings"
        if one["tuning"]["sd"] is None:
            yield "total", "between final seeds, each with a tuning of its own"
        return
    yield "training", "between trainings on one split"
    yield "split", "between splits"
    if one["split"]["sd"] is None and noise["splits"] > 1:
        yield "total", "between trainings, each on a split of its own"


def _sd(part: Mapping[str, Any], places: int) -> str:
    low, high = (number(part[key], places) for key in ("low", "high"))
    return f"{number(part['sd'], places)} [{low}, {high}]"
