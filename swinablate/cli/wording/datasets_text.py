"""What a study of several data sets will show, and what was found over data sets, in words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swinablate.cli.wording.scale_text import hours_of, sized
from swinablate.text import interval, named_level, signed

if TYPE_CHECKING:
    from swinablate.records.plan import PlanRecord
    from swinablate.scheduling.cost import Cost

LEAST = 3
"""Data sets from which there is a word; `stats.comparisons.datasets` says why, and takes a moment
to import."""
OVER_TITLE = "Over the data sets, one effect of each"
OVER_COLUMNS = ("arm", ">mean", ">interval", ">on a new data set", ">sd between", ">same sign",
                ">middle half", "verdict")  # fmt: skip


SET_COLUMNS = ("data set", ">training images", ">arms", ">trials", ">hours", "changes")
"""Of the table of data sets; hours are those of what is left, one trial after another."""


def set_rows(plan: "PlanRecord", cost: "Cost | None") -> list[Sequence[object]]:
    """A row for every data set."""
    assert plan.datasets is not None
    seeds = {arm.name: len(arm.seeds) for arm in plan.arms}
    hours = set_hours(plan, cost)
    rows: list[Sequence[object]] = []
    for one in plan.datasets.sets:
        own = hours.get(one.label)
        changes = [f"{p} = {named_level(v)}" for p, v in one.changes.items() if p != "data.name"]
        rows.append(
            [
                one.label + (" (home)" if one.label == plan.datasets.home else ""),
                "-" if one.images is None else f"{one.images:,}",
                len(one.arms),
                sum(seeds[name] for name in one.arms.values()),
                "-" if own is None else f"{own:.2f}",
                ", ".join(changes) or "-",
            ]
        )
    return rows


def set_hours(plan: "PlanRecord", cost: "Cost | None") -> dict[str, float | None]:
    """Label of a data set -> hours of what is left of it; None if unknown."""
    if plan.datasets is None or cost is None:
        return {}
    return hours_of({one.label: one.arms for one in plan.datasets.sets}, cost)


def with_set_hours(data: dict[str, Any], plan: "PlanRecord", cost: "Cost") -> dict[str, Any]:
    """A plan as it is printed, with the hours of every data set."""
    if plan.datasets is None:
        return data
    hours = set_hours(plan, cost)
    sets = [{**one, "hours": hours[one["label"]]} for one in data["datasets"]["sets"]]
    return {**data, "datasets": {**data["datasets"], "sets": sets}}


def dataset_lines(plan: "PlanRecord") -> list[str]:
    """One line for each thing to know of the data sets before launch."""
    several = plan.datasets
    if several is None:
        return []
    k = len(several.sets)
    what = (
        f"Data sets: every arm, the baseline too, is trained on {k}, and judged on each; the "
        f"study's verdicts are about {several.home}."
    )
    lines = [what]
    if k < LEAST:
        lines.append(
            "Over two data sets there will be a mean and no word: how far data sets differ cannot "
            "be told from two."
        )
    if several.detectable_pp is not None and several.spread_pp is not None:
        shown, unit = sized(plan, several.detectable_pp)
        lines.append(
            f"Mean over the data sets it can see: +-{several.detectable_pp:.{shown}f}{unit} where "
            f"effects are the same on all, +-{several.spread_detectable_pp:.{shown}f} where they "
            "differ "
            f"by an sd of {several.spread_pp:.2g} (of every arm, were the noise on each that of "
            f"{several.home}, and known)."
        )
    return lines


def over_rows(entries: Iterable[Mapping[str, Any]], places: int) -> list[Sequence[object]]:
    """A row for every arm."""
    return [_row(one, places) for one in entries]


def each_columns(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns of the table of verdicts on each data set."""
    return ["arm", *dict.fromkeys(own["dataset"] for one in entries for own in one["sets"])]


def each_rows(entries: Sequence[Mapping[str, Any]], places: int) -> list[Sequence[object]]:
    """A row for every arm, with a cell for every data set."""
    _, *sets = each_columns(entries)
    rows: list[Sequence[object]] = []
    for one in entries:
        own = {each["dataset"]: each for each in one["sets"]}
        cells = [_cell(own[name], places) if name in own else "not run" for name in sets]
        rows.append([one["arm"], *cells])
    return rows


def _cell(own: Mapping[str, Any], places: int) -> str:
    both = interval(own["ci_low"], own["ci_high"], places)
    return f"{signed(own['delta_pp'], places)} {both} {own['verdict']}"


def _row(one: Mapping[str, Any], places: int) -> Sequence[object]:
    against = f" (against {one['against']})" if one["against"] else ""
    word = one["verdict"] or "-"
    return [
        one["arm"] + against,
        signed(one["mean_pp"], places),
        interval(one["ci_low"], one["ci_high"], places),
        interval(one["new_low"], one["new_high"], places),
        "-" if one["tau_pp"] is None else f"{one['tau_pp']:.{places}f}",
        "-" if one["same_sign"] is None else f"{one['same_sign']} of {one['k']}",
        signed(one["iqm_pp"], places),
        word + (f" ({one['why']})" if one["why"] else ""),
    ]
