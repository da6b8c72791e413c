"""What each look said of an arm or a declared contrast, with its repeated interval.

Shaded: where a difference decides nothing, because its interval holds 0; the shape is the verdict
of the look that ended the arm. Between the dotted lines a difference is too small to matter. An
arm that left early needed no more seeds; the baseline has twice as many.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.extremes import PANELS, extremes, left_out
from swinablate.report.drawing.ink import FAINT, GRID, INK, LOOKS, apart, mark, pt, sheet
from swinablate.report.drawing.place import padded
from swinablate.report.drawing.scale import said, scale_in
from swinablate.report.results import StudyResults
from swinablate.stats import CONTRASTS

COLUMNS = (
    "arm", "look", "delta_pp", "ci_low", "ci_high", "boundary_pp", "p", "level", "verdict",
    "looks", "rope_pp", "metric",
)  # fmt: skip
SHADE = "#E4E4E4"


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every look at what was still open: arms in the order of the plan, contrasts."""
    judged = answer.verdicts
    steps = judged.get("trace", [])
    same = {
        "looks": " ".join(map(str, judged.get("looks", []))),
        "rope_pp": judged["rope_pp"],
        "metric": judged["metric"],
        **said(judged),
    }
    rows = [
        {
            **step,
            "boundary_pp": None if step["ci_low"] is None else step["delta_pp"] - step["ci_low"],
            **same,
        }
        for arm in (*judged["arms"], *_among(judged))
        for step in steps
        if step["arm"] == arm["name"]
    ]
    return pd.DataFrame(rows, columns=[*COLUMNS, *said(judged)])


def _among(judged: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The declared contrasts; an arm against another one is among the arms."""
    return [
        one
        for one in judged["contrasts"]
        if (one["family"], one["kind"]) == (CONTRASTS, "contrast")
    ]


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw a panel for every arm and contrast, all with the same looks."""
    last = rows.groupby("arm", sort=False).delta_pp.last()
    arms = extremes({str(arm): delta for arm, delta in last.items()}, PANELS)
    across = min(2 if paper.narrow else 3, len(arms))
    down = -(-len(arms) // across)
    titles = apart(arms, paper.name, 2)
    fig = sheet(paper.across(0.6 + 3.0 * across), pt(1.95) * down + 0.5)
    grid = fig.add_gridspec(
        down, across, left=0.55 / fig.get_figwidth(), right=0.99, wspace=0.28,
        hspace=0.62 if any("\n" in title for title in titles) else 0.5,
        bottom=0.5 / fig.get_figheight(), top=1 - 0.4 / fig.get_figheight(),
    )  # fmt: skip
    looks = [int(look) for look in str(rows.looks.iloc[0]).split()]
    for i, arm in enumerate(arms):
        ax = fig.add_subplot(grid[i // across, i % across])
        _panel(ax, rows[rows.arm == arm], looks)
        if i + across >= len(arms):
            ax.set_xlabel("seeds of an arm", fontsize=pt(9))
        if i % across == 0:
            words = scale_in(rows).in_words.lstrip(", ") or "as the metric"
            ax.set_ylabel(f"difference\n({words})", fontsize=pt(9))
        ax.set_title(titles[i], fontsize=pt(8.5), loc="left", pad=pt(14), linespacing=1.0)
    if note := left_out(len(arms), len(last), PANELS).strip():
        fig.axes[-across].annotate(
            note, (0, 0), (0, -pt(36)), xycoords="axes fraction", textcoords="offset points",
            fontsize=pt(8), va="top",
        )  # fmt: skip
    return fig


def _panel(ax: Axes, mine: pd.DataFrame, looks: list[int]) -> None:
    known = mine.dropna(subset=["boundary_pp"])
    at, edge = known["look"].astype(float), known.boundary_pp.astype(float)
    ax.fill_between(at, -edge, edge, color=SHADE, linewidth=0, zorder=0)
    if len(known) == 1:  # one look has no area
        ax.plot(
            [at.iloc[0]] * 2,
            [-edge.iloc[0], edge.iloc[0]],
            color=SHADE,
            linewidth=pt(9),
            solid_capstyle="butt",
            zorder=0,
        )
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1)
    rope = mine.rope_pp.iloc[0]
    if pd.notna(rope):
        for side in (-rope, rope):
            ax.axhline(side, color=LOOKS["equivalent"].colour, linewidth=0.9, linestyle=":")
    for step in records(mine):
        _step(ax, step)
    last = mine.iloc[-1]
    ax.text(
        0, 1, f"{last.verdict} at {int(last['look'])} seeds", transform=ax.transAxes, va="bottom",
        fontsize=pt(8.5), color=LOOKS[last.verdict].colour,
    )  # fmt: skip
    least = scale_in(mine).least(0.5)
    ends = [0.0, *known.ci_low, *known.ci_high, *mine.delta_pp.dropna()]
    ax.set_ylim(*padded(min(map(float, ends)), max(map(float, ends)), 0.08, least))
    ax.set_xlim(looks[0] - 0.6, looks[-1] + 0.6)
    ax.set_xticks(looks)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(labelsize=pt(8))
    ax.grid(axis="y", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def _step(ax: Axes, step: Any) -> None:
    if pd.isna(step.delta_pp):
        return
    open_ = step.verdict == "pending"
    look = LOOKS[step.verdict]
    colour = FAINT if open_ else look.colour
    if pd.notna(step.ci_low):
        ax.plot([step.look] * 2, [step.ci_low, step.ci_high], color=colour, linewidth=pt(2.0))
    mark(ax, step.look, step.delta_pp, look)


FIGURE = Figure(
    title="Looks",
    table=table,
    draw=draw,
    absent="no look was reached yet",
    other="only a study with [adaptive] looks has it",
    applies=lambda answer: bool(answer.verdicts.get("looks")),
)
