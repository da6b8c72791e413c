"""From the baseline to all changes, one after the other, in the declared order and in reverse.

A bar goes from the mean before a change to the mean after it; its line is the interval of that
step, which gives the verdict. A step that is another one in the other order depends on the changes
before it: no order is the right one. The axis does not begin at 0.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.bars import beside, fold, shapes
from swinablate.report.drawing.extremes import ROWS, extremes, left_out
from swinablate.report.drawing.ink import FAINT, GRID, INK, LOOKS, apart, mark, pt, sheet
from swinablate.report.drawing.numbers import count, interval, plain, signed
from swinablate.report.drawing.place import padded
from swinablate.report.drawing.scale import said, scale_in
from swinablate.report.results import StudyResults

COLUMNS = (
    "direction", "step", "change", "before", "after", "mean_before", "mean_after", "delta_pp",
    "ci_low", "ci_high", "p_holm", "verdict", "macs", "level", "metric",
)  # fmt: skip
AXIS = 3.9  # inches; a little less than the forest's, for the costs stand beside it too
DELTA, INTERVAL, MACS, VERDICT = 44, 54, 214, 226  # points right of the axis


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every step of both directions that could be estimated."""
    judged = answer.verdicts
    means = {arm["name"]: arm["mean"] for arm in (judged["baseline"], *judged["arms"])}
    macs = {arm.name: arm.macs for arm in answer.plan.arms}
    rows = []
    for found in judged["contrasts"]:
        if found["kind"] != "step" or found["delta_pp"] is None:
            continue
        head, _, change = found["name"].partition(": ")
        direction, _, step = head.partition(" ")
        after, before = sorted(found["weights"], key=lambda arm: -found["weights"][arm])
        keys = ("delta_pp", "ci_low", "ci_high", "p_holm", "verdict")
        rows.append(
            {
                "direction": direction, "step": int(step), "change": change, "before": before,
                "after": after, "mean_before": means[before], "mean_after": means[after],
                **{key: found[key] for key in keys}, "macs": macs[after],
                "level": 1 - judged["alpha"], "metric": judged["metric"],
                **said(judged),
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=[*COLUMNS, *said(judged)])


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw the two directions one above the other, on one scale."""
    parts = {str(each): _drawn(own) for each, own in rows.groupby("direction", sort=False)}
    directions = list(parts)
    heights = [pt(0.36) * (len(own) + 1) for own in parts.values()]
    whole = sum(heights) + 0.75 * len(directions) + 0.3
    fig = sheet(paper.across(AXIS + 5.4), whole)
    reach = [*(rows.mean_before + rows.ci_low), *(rows.mean_before + rows.ci_high)]
    reached = [float(x) for x in [*rows.mean_before, *rows.mean_after, *reach] if pd.notna(x)]
    limits = padded(min(reached), max(reached), least=scale_in(rows).least(0.5))
    top, notes = whole - 0.35, ""
    for k, (direction, height) in enumerate(zip(directions, heights, strict=True)):
        box = (0.1, (top - height) / whole, AXIS / (AXIS + 5.4), height / whole)
        ax = fig.add_axes(box)
        ax.set_xlim(*limits)
        every = rows[rows.direction == direction].sort_values("step")
        _direction(ax, parts[direction], every.iloc[0], paper)
        if note := left_out(len(parts[direction]), len(every), ROWS, "steps"):
            notes += f"\n{direction}, {note.strip()}"
        ax.set_title(direction, fontsize=pt(9), loc="left", color=FAINT, pad=pt(4))
        if k == len(directions) - 1:
            said = f"mean {scale_in(rows).axis(rows.metric.iloc[0])}, axis cut{notes}"
            if paper.narrow:
                said += f"\nbars: {100 * rows.level.iloc[0]:g} % CI, simultaneous"
            said = fold(said, paper)
            ax.set_xlabel(said)
            if paper.narrow:
                shapes(ax, rows.verdict, 34 + 11 * (said.count("\n") + 1))
        else:
            ax.tick_params(labelbottom=False)
        top -= height + 0.55
    return fig


def _drawn(steps: pd.DataFrame) -> pd.DataFrame:
    """The steps of one direction to draw, in their order."""
    some = steps.sort_values("step").reset_index(drop=True)
    return some.loc[extremes(some.delta_pp.astype(float).to_dict(), ROWS)]


def _direction(ax: Axes, steps: pd.DataFrame, first: Any, paper: Paper) -> None:
    found, places = records(steps), scale_in(steps).places
    ax.set_ylim(len(found) + 0.5, -0.5)
    ax.plot(first.mean_before, 0, "|", color=INK, markersize=pt(13), markeredgewidth=pt(2))
    beside(
        ax,
        0,
        DELTA,
        plain(first.mean_before, places),
        ha="right",
        fontsize=pt(8.5),
        family="monospace",
    )
    labels = ["baseline", *apart([f"+ {step.change}" for step in found], paper.name - 2)]
    before = first.step - 1
    for y, step in enumerate(found, 1):
        look = LOOKS[step.verdict]
        left, right = sorted((step.mean_before, step.mean_after))
        ax.barh(y, right - left, left=left, height=0.62, color=look.colour, alpha=0.3, linewidth=0)
        # From the end of the bar above, where that is the step before.
        top = y - 1 if step.step == before + 1 else y - 0.31
        ax.plot([step.mean_before] * 2, [top, y + 0.31], color=INK, linewidth=0.7, linestyle=":")
        before = step.step
        if pd.notna(step.ci_low):
            line = [step.mean_before + step.ci_low, step.mean_before + step.ci_high]
            ax.plot(line, [y, y], color=look.colour, linewidth=pt(2.0), solid_capstyle="butt")
        mark(ax, step.mean_after, y, look)
        _numbers(ax, y, step, places, paper)
    heads = (
        (DELTA, "\u0394", "right"),
        (INTERVAL, f"{100 * found[0].level:g} % CI, simultaneous", "left"),
        (MACS, "MACs", "right"),
        (VERDICT, "verdict", "left"),
    )
    for x, text, align in heads[:1] if paper.narrow else heads:
        ax.annotate(text, (1, 1), (pt(x), pt(5)), xycoords="axes fraction",
                    textcoords="offset points", ha=align, fontsize=pt(8.5),
                    color=FAINT)  # fmt: skip
    ax.set_yticks(range(len(labels)), labels, linespacing=1.0)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def _numbers(ax: Axes, y: int, step: Any, places: int, paper: Paper) -> None:
    figures = {"fontsize": pt(8.5), "family": "monospace"}
    look = LOOKS[step.verdict]
    beside(ax, y, DELTA, signed(step.delta_pp, places), ha="right", **figures)
    if paper.narrow:
        return
    beside(ax, y, INTERVAL, interval(step.ci_low, step.ci_high, places), **figures)
    beside(ax, y, MACS, count(step.macs), ha="right", **figures)
    beside(ax, y, VERDICT, step.verdict, color=look.colour, fontsize=pt(9), weight="bold")


FIGURE = Figure(
    title="The path",
    table=table,
    draw=draw,
    absent="no two neighbours of the path have results yet",
    other='only the design "path" has it',
    applies=lambda answer: answer.plan.design == "path",
)
