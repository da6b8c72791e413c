"""Families side by side: what each reaches and what it costs, its own changes below it.

Bars are t-intervals of each mean. Throughput is the median over seeds, memory the highest of
them, seconds the mean of a run's training; they are of the machines that trained, and comparable
only where these were the same. What is not known of any arm has no column: where other work
took part of the machine (W28), times have none.
"""

from typing import Any

import pandas as pd

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.bars import beside, fold
from swinablate.report.drawing.extremes import ROWS
from swinablate.report.drawing.ink import FAINT, GRID, INK, apart, pt, sheet
from swinablate.report.drawing.interval import mean
from swinablate.report.drawing.kinds import family_of, looks
from swinablate.report.drawing.numbers import DASH, count, plain
from swinablate.report.drawing.place import core, filled, padded
from swinablate.report.drawing.scale import said, scale_in
from swinablate.report.families.contention import timed
from swinablate.report.results import StudyResults

COLUMNS = (
    "family", "arm", "head", "mean", "low", "high", "n", "params", "macs", "images_per_s",
    "peak_mib", "train_s", "level", "metric",
)  # fmt: skip
COSTS = {"params": "params", "macs": "MACs", "images_per_s": "img/s", "peak_mib": "MiB",
         "train_s": "s"}  # fmt: skip
FIRST, WIDE, NEAR, CLOSE = 40, 46, 31, 30
"""Points right of the axis: of the first column, and from one to the next; the same in a column
of a paper."""
AXIS = 3.6  # inches, on the report's page


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every arm with a result: families in the plan's order, each one's first arm first.

    The first of a family is the baseline, or else the first arm that the plan has of it.
    """
    level, told = 1 - answer.verdicts["alpha"], timed(answer.verdicts["warnings"])
    trials, observed = answer.trials, answer.observed
    done = dict(iter(trials[trials.status == "done"].groupby("arm")))
    order = list(dict.fromkeys(map(family_of, answer.plan.arms)))
    rows, seen = [], set()
    for arm in sorted(answer.plan.arms, key=lambda arm: order.index(family_of(arm))):
        family, own = family_of(arm), done.get(arm.name)
        if own is None or not family:
            continue
        found = mean(observed.get(arm.name, []), level)
        numbers = own[["images_per_s", "peak_mib", "train_s"]].astype(float)
        if not told:
            numbers[["images_per_s", "train_s"]] = float("nan")
        if found.n:
            rows.append(
                {"family": family, "arm": arm.name, "head": family not in seen,
                 "mean": found.mean, "low": found.low, "high": found.high, "n": found.n,
                 "params": arm.params, "macs": arm.macs,
                 "images_per_s": numbers.images_per_s.dropna().median(),
                 "peak_mib": numbers.peak_mib.max(), "train_s": numbers.train_s.mean(),
                 "level": level, "metric": answer.verdicts["metric"],
                 **said(answer.verdicts)}
            )  # fmt: skip
            seen.add(family)
    columns = [*COLUMNS, *said(answer.verdicts)]
    return pd.DataFrame(rows if len(seen) > 1 else [], columns=columns)


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw one line for every arm: its mean at the left, its costs at the right."""
    every, rows = rows, rows.head(ROWS)
    styles = looks(rows.family.tolist())
    height = max(len(rows), 2) * pt(0.3)
    fig = sheet(paper.across(AXIS + 5), height + 0.9)
    ax = fig.add_axes((0.1, 0.1, AXIS / (AXIS + 5), height / (height + 0.9)))
    ax.set_ylim(len(rows) - 0.5, -0.6)
    scale = scale_in(rows)
    low, high = filled(rows.low, rows["mean"]), filled(rows.high, rows["mean"])
    shown = core(low.tolist(), high.tolist(), float(rows["mean"].median()))
    left, right = scale.within(padded(*shown, least=scale.least(0.5)))
    ax.set_xlim(left, right)
    names = [row.family if row.head else row.arm for row in records(rows)]
    start, step = (NEAR, CLOSE) if paper.narrow else (FIRST, WIDE)
    costs = [cost for cost in COSTS if every[cost].notna().any()]
    for y, row in enumerate(records(rows)):
        _row(row, y, ax, styles[row.family])
        for k, cost in enumerate(costs):
            size: Any = {"ha": "right", "fontsize": pt(8), "color": INK if row.head else FAINT}
            beside(ax, y, start + k * step, _cost(getattr(row, cost), cost), **size)
        if row.head and y:
            ax.axhline(y - 0.5, color=FAINT, linewidth=0.6)
    for k, cost in enumerate(costs):
        ax.annotate(COSTS[cost], (1, 1), (pt(start + k * step), pt(5)), xycoords="axes fraction",
                    textcoords="offset points", ha="right", fontsize=pt(8),
                    color=FAINT)  # fmt: skip
    ax.set_yticks(range(len(rows)), apart(names, paper.name, 2), linespacing=1.0)
    for label, row in zip(ax.get_yticklabels(), records(rows), strict=True):
        label.set(weight="bold" if row.head else "normal", color=styles[row.family].text)
        label.set_fontsize(pt(9 if row.head else 8.5))
    ax.tick_params(axis="y", length=0, pad=pt(8))
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
    note = "" if len(rows) == len(every) else f"\ndrawn: {len(rows)} of {len(every)} arms"
    ax.set_xlabel(fold(scale.axis(rows.metric.iloc[0]) + note, paper))
    return fig


def _row(row: Any, y: int, ax: Any, look: Any) -> None:
    left, right = ax.get_xlim()
    if not left <= row.mean <= right:
        edge, tip = (left, "<") if row.mean < left else (right, ">")
        ax.plot(edge, y, marker=tip, color=look.colour, markersize=pt(6), clip_on=False)
        return
    if pd.notna(row.low):
        ax.plot([row.low, row.high], [y, y], color=look.colour, linewidth=pt(1.8))
    ax.plot(
        row.mean, y, marker=look.marker, markersize=pt(7 if row.head else 5),
        markerfacecolor=look.colour if row.head else "white", markeredgecolor=look.colour,
    )  # fmt: skip


def _cost(value: Any, cost: str) -> str:
    if value is None or pd.isna(value):
        return DASH
    if cost in {"params", "macs"} or value >= 1e4:
        return count(float(value))
    return plain(float(value), 0 if value >= 100 else 1)


FIGURE = Figure(
    title="Families",
    table=table,
    draw=draw,
    absent="fewer than two families have results",
    other="all arms are of one family",
    applies=lambda answer: len({*map(family_of, answer.plan.arms)} - {""}) > 1,
)
