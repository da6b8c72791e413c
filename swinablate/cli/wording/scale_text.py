"""What a study of several scales will show, and what it showed, in words."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swinablate.config.metrics import unit_on
from swinablate.text import after_difference, interval, level, places_in, signed

if TYPE_CHECKING:
    from swinablate.records.plan import PlanRecord
    from swinablate.scheduling.cost import Cost


def sized(plan: "PlanRecord", least: float) -> tuple[int, str]:
    """Decimals of differences as large as the noise, and what stands behind one.

    Args:
        plan: as it is recorded.
        least: the smallest of them; it is not shown as 0.
    """
    own = unit_on(plan.compare.metric, plan.compare.scale)
    unit = " percentage points" if own == "pp" else after_difference(own)
    return places_in(own, least), unit


def rung_columns(plan: "PlanRecord") -> Sequence[str]:
    """Columns of the table of rungs."""
    assert plan.scale is not None
    trials = ">trials, at most" if plan.looks or plan.tune else ">trials"
    return ["rung", f">{plan.scale.by}", ">arms", trials, ">hours", "moved by rule"]


def rung_rows(plan: "PlanRecord", cost: "Cost | None") -> list[Sequence[object]]:
    """A row for every rung, and one for what is predicted."""
    assert plan.scale is not None
    seeds = {arm.name: len(arm.seeds) for arm in plan.arms}
    hours = rung_hours(plan, cost)
    rows: list[Sequence[object]] = []
    for rung in plan.scale.rungs:
        own = hours.get(rung.label)
        mark = " (home)" if rung.label == plan.scale.home else ""
        rows.append(
            [
                rung.label + mark,
                f"{rung.value:,.0f}",
                len(rung.arms),
                sum(_most(plan, seeds[name]) for name in rung.arms.values()),
                "-" if own is None else f"{own:.2f}",
                ", ".join(f"{path} = {level(value)}" for path, value in rung.ruled.items()),
            ]
        )
    if ahead := plan.scale.predict:
        rows.append([f"{ahead.label} (predicted)", f"{ahead.value:,.0f}", "-", 0, "-", ""])
    return rows


def _most(plan: "PlanRecord", seeds: int) -> int:
    """Trials of an arm at a rung: tuned, its tries, and its final seeds at another recipe, too."""
    tune = plan.tune
    return seeds if tune is None else 2 * seeds + tune.of(seeds) * tune.trials * tune.seeds


def rung_hours(plan: "PlanRecord", cost: "Cost | None") -> dict[str, float | None]:
    """Label of a rung -> hours of what is left of it, one trial after another; None if unknown."""
    if plan.scale is None or cost is None:
        return {}
    return hours_of({rung.label: rung.arms for rung in plan.scale.rungs}, cost)


def hours_of(groups: Mapping[str, Mapping[str, str]], cost: "Cost") -> dict[str, float | None]:
    """Label -> hours of what is left of its arms, one trial after another; None if unknown.

    Args:
        groups: label -> arm -> its name there.
        cost: of all arms.
    """
    arms = {arm.name: arm for arm in cost.arms}
    found: dict[str, float | None] = {}
    for label, names in groups.items():
        mine = [arms[name] for name in names.values() if arms[name].trials]
        known = [arm.hours for arm in mine if arm.hours is not None]
        found[label] = sum(known) if len(known) == len(mine) else None
    return found


def with_hours(data: dict[str, Any], plan: "PlanRecord", cost: "Cost") -> dict[str, Any]:
    """A plan as it is printed, with the hours of every rung, or on every data set."""
    if plan.scale is None:
        return data
    hours = rung_hours(plan, cost)
    rungs = [{**rung, "hours": hours[rung["label"]]} for rung in data["scale"]["rungs"]]
    return {**data, "scale": {**data["scale"], "rungs": rungs}}


def scale_lines(plan: "PlanRecord") -> list[str]:
    """One line for each thing to know of the scales before launch."""
    scale = plan.scale
    if scale is None:
        return []
    # scipy takes a moment to import, which plans of one scale do not need
    from swinablate.stats.comparisons.trend import FEWEST

    what = (
        f"Scale: every arm is trained at {len(scale.rungs)} rungs, with the same seeds; the "
        f"verdicts are about {scale.home}, the slopes per doubling of the baseline's {scale.by}."
    )
    lines = [what]
    if plan.looks:
        lines.append(
            "After a look, arms whose trend is open get more seeds at all of their rungs; those "
            f"of which only the verdict is open get them at {scale.home} alone."
        )
    if scale.predict and len(scale.rungs) < FEWEST:
        lines.append(
            f"Nothing will be predicted at {scale.predict.label}, which takes {FEWEST} rungs; "
            "there will be slopes."
        )
    if scale.detectable_pp is not None:
        far, there = scale.predicted_pp, scale.predict
        shown, unit = sized(plan, scale.detectable_pp)
        ahead = "" if far is None or not there else f", +-{far:.{shown}f} at {there.label}"
        lines.append(
            f"Slope it can see: +-{scale.detectable_pp:.{shown}f}{unit} per doubling of "
            f"{scale.by}{ahead} (of one arm, were its noise known and the effects on a line: "
            "both make the intervals wider)."
        )
    return lines


def trend_columns(verdicts: Mapping[str, Any]) -> Sequence[str]:
    """Columns of the table of slopes."""
    return ["arm", ">slope", f">{100 * (1 - verdicts['alpha']):g} % interval", ">n", "predicted",
            "answer"]  # fmt: skip


def trend_rows(verdicts: Mapping[str, Any], places: int) -> list[Sequence[object]]:
    """A row for every arm."""
    return [_row(one, places) for one in verdicts["scale"]]


def _row(one: Mapping[str, Any], places: int) -> Sequence[object]:
    ahead = "-"
    if one["predicted"] is not None:
        both = interval(one["predicted_low"], one["predicted_high"], places)
        ahead = f"{signed(one['predicted'], places)} {both} at {one['predicted_at']}"
    small = " (negligible)" if one["negligible"] else ""
    why = f" ({one['why']})" if one["why"] else ""
    return [
        one["arm"],
        signed(one["slope"], places),
        interval(one["ci_low"], one["ci_high"], places),
        one["n"],
        ahead,
        f"{one['answer']}{small}{why}",
    ]
