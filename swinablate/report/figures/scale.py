"""The effect of every arm against scale, on a logarithmic axis.

Dots are what was measured at a rung, with intervals that hold for all arms; the line goes through
them, and its band, straight between the ends, holds for all arms and all scales between. Hollow:
the effect predicted beyond the largest rung, with a prediction interval that includes how far the
rungs lie off the line; a bar that reaches the edge goes on beyond it. Shaded: too small to matter.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.extremes import PANELS, extremes, left_out
from swinablate.report.drawing.ink import (
    BAND,
    FAINT,
    INK,
    OKABE_ITO,
    PAPER,
    apart,
    pt,
    sheet,
    ticks,
)
from swinablate.report.drawing.numbers import interval, signed
from swinablate.report.drawing.place import padded
from swinablate.report.drawing.scale import Scale, said, scale_in
from swinablate.report.results import StudyResults

COLUMNS = (
    "arm", "against", "point", "rung", "x", "effect", "low", "high", "by", "slope", "ci_low",
    "ci_high", "p_fit", "answer", "n", "rope_pp", "level", "metric",
)  # fmt: skip
CALLED = {"params": "parameters", "macs": "MACs of an image", "images": "training images",
          "epochs": "epochs"}  # fmt: skip
"""What a scale is called on an axis."""
REACH = 0.6
"""Of the height of all else, how much more a prediction may take: with few rungs it is so wide
that nothing else could be seen."""


def table(answer: StudyResults) -> pd.DataFrame:
    """For every arm a row a rung, two of its line, and one of what is predicted."""
    judged = answer.verdicts
    rows = []
    for arm in judged.get("scale", ()):
        same = {key: arm[key] for key in ("arm", "against", "by", "slope", "ci_low", "ci_high",
                                          "p_fit", "answer", "n")}  # fmt: skip
        known = (rung for rung in arm["rungs"] if rung["effect"] is not None)
        rows += [{**same, **_point("measured", rung)} for rung in known]
        if not arm["line"]:
            continue
        for end, rung in zip(arm["line"], (arm["rungs"][0], arm["rungs"][-1]), strict=True):
            rows.append({**same, **_point("line", {"rung": rung["rung"], **end})})
        if arm["predicted"] is not None:
            there = {"rung": arm["predicted_at"], "value": arm["predicted_value"],
                     "effect": arm["predicted"], "ci_low": arm["predicted_low"],
                     "ci_high": arm["predicted_high"]}  # fmt: skip
            rows.append({**same, **_point("predicted", there)})
    level = 1 - judged["alpha"]
    more = {"rope_pp": judged["rope_pp"], "level": level, "metric": judged["metric"],
            **said(judged)}  # fmt: skip
    return pd.DataFrame([row | more for row in rows], columns=[*COLUMNS, *said(judged)])


def _point(what: str, at: dict[str, Any]) -> dict[str, Any]:
    return {"point": what, "rung": at["rung"], "x": at["value"], "effect": at["effect"],
            "low": at["ci_low"], "high": at["ci_high"]}  # fmt: skip


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw a panel for every arm, all on the same axes."""
    scale = scale_in(rows)
    known = rows.assign(far=rows.slope.abs().fillna(0.0)).groupby("arm", sort=False).far.first()
    arms = extremes({str(arm): float(far) for arm, far in known.items()}, PANELS)
    across = 1 if paper.narrow else min(2 if paper.width else 3, len(arms))
    down = -(-len(arms) // across)
    titles = apart(arms, 40 if across == 1 else 32, 2)
    lines = max(title.count("\n") for title in titles) + 2  # and one for the answer
    tall, gap = pt(1.6), pt(11.5 * lines + 26) / 72
    width = paper.across(1.0 + 3.2 * across)
    height = down * (tall + gap) + pt(20) / 72
    fig = sheet(width, height)
    grid = fig.add_gridspec(
        down, across, left=pt(56) / 72 / width, right=0.98, wspace=0.14, hspace=gap / tall,
        bottom=pt(46) / 72 / height, top=1 - (gap - pt(22) / 72) / height,
    )  # fmt: skip
    limits = _limits(rows, scale)
    against = "baseline" if (rows.against == "baseline").all() else "its counterpart"
    for i, (arm, title) in enumerate(zip(arms, titles, strict=True)):
        ax = fig.add_subplot(grid[i // across, i % across])
        ax.set_xscale("log", base=2)
        ax.set_ylim(*limits)
        ax.set_title(title, fontsize=pt(8.5), loc="left", pad=pt(14), linespacing=1.0)
        _panel(ax, rows[rows.arm == arm], scale)
        _axis(ax, rows, 4 if across == 3 else 5)
        ax.tick_params(labelsize=pt(8), labelleft=i % across == 0)
        if i + across >= len(arms):
            ax.set_xlabel(CALLED[str(rows.by.iloc[0])], fontsize=pt(9))
        if i % across == 0:
            ax.set_ylabel(f"difference to\n{against}{scale.of_differences}", fontsize=pt(9))
    if note := left_out(len(arms), len(known), PANELS).strip():
        fig.axes[-1].annotate(
            note, (0, 0), (0, -pt(36)), xycoords="axes fraction", textcoords="offset points",
            fontsize=pt(8), va="top",
        )  # fmt: skip
    return fig


def _limits(rows: pd.DataFrame, scale: Scale) -> tuple[float, float]:
    """Of all panels: whole intervals of what was measured, and of predictions what fits."""
    measured, ahead = rows[rows.point != "predicted"], rows[rows.point == "predicted"]
    inner = [*measured.effect, *measured.low.dropna(), *measured.high.dropna(), *ahead.effect, 0.0]
    low, high = float(min(inner)), float(max(inner))
    more = REACH * (high - low)
    outer = [*ahead.low.dropna(), *ahead.high.dropna()]
    low = max(low - more, min([low, *outer]))
    high = min(high + more, max([high, *outer]))
    return padded(low, high, least=scale.least(1.0))


def _panel(ax: Axes, own: pd.DataFrame, scale: Scale) -> None:
    rope, colour = own.rope_pp.iloc[0], OKABE_ITO[0]
    if pd.notna(rope):
        ax.axhspan(-rope, rope, color=BAND, linewidth=0, zorder=0)
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1)
    line = own[own.point == "line"].astype({"low": float, "high": float})
    if len(line):
        ax.fill_between(line.x, line.low, line.high, color=colour, alpha=0.18, linewidth=0)
        ax.plot(line.x, line.effect, color=colour, linewidth=pt(1.6))
    for point in records(own[own.point == "measured"]):
        if pd.notna(point.low):
            ax.plot([point.x] * 2, [point.low, point.high], color=colour, linewidth=pt(1.2))
        ax.plot(point.x, point.effect, "o", color=colour, markersize=pt(4.5), zorder=4)
    for point in records(own[own.point == "predicted"]):
        last = line.iloc[-1]
        ax.plot([last.x, point.x], [last.effect, point.effect], "--", color=colour,
                linewidth=pt(1.1))  # fmt: skip
        ax.plot([point.x] * 2, [point.low, point.high], color=FAINT, linewidth=pt(1.2))
        ax.plot(point.x, point.effect, "D", markersize=pt(5), markerfacecolor=PAPER,
                markeredgecolor=INK, zorder=4)  # fmt: skip
    one = own.iloc[0]
    text = str(one.answer)
    if pd.notna(one.slope):
        ends_of = interval(one.ci_low, one.ci_high, scale.places)
        text += f": {signed(one.slope, scale.places)} {ends_of} a doubling"
    ax.text(0, 1.02, text, transform=ax.transAxes, fontsize=pt(8), va="bottom",
            color=FAINT)  # fmt: skip


def _axis(ax: Axes, rows: pd.DataFrame, most: int) -> None:
    marks = np.unique(rows.x.to_numpy(float))
    room = (marks[-1] / marks[0]) ** 0.08
    ax.set_xlim(marks[0] / room, marks[-1] * room)
    apart = [marks[0]]
    least = (marks[-1] / marks[0]) ** (1 / most)
    for mark in marks[1:]:
        if mark >= apart[-1] * least:
            apart.append(mark)
    ticks(ax, apart)


FIGURE = Figure(
    title="Effects against scale",
    table=table,
    draw=draw,
    absent="no seed ended at every rung yet",
    other="only a study with [scale] has it",
    applies=lambda answer: answer.planned.scale is not None,
)
