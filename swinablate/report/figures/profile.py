"""Performance profiles over the data sets: the share of runs that gain so much or more.

A run's gain is its difference to the baseline's mean on the same data set, the good way; each
data set weighs the same however many runs it has. An arm whose line lies right of the baseline's
everywhere is better at every gain. Runs that failed or diverged are not among them. It describes
these data sets, and decides nothing.
"""

import pandas as pd

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper
from swinablate.report.drawing.extremes import extremes, left_out
from swinablate.report.drawing.ink import BAND, GRID, INK, OKABE_ITO, apart, pt, sheet
from swinablate.report.drawing.place import padded
from swinablate.report.drawing.scale import said, scale_in
from swinablate.report.families.datasets import profile_rows
from swinablate.report.results import StudyResults
from swinablate.stats.comparisons.datasets import MANY

LINES = 6
"""Of arms, one a colour; more cannot be told apart."""
DASHES = ("--", "-", "-.", ":", (0, (7, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 2.5)))
"""Of the baseline and the arms: each line has its own, for colours are one in grey."""
WIDE, TALL = 5.2, 2.9
"""Inches of the axes."""


def table(answer: StudyResults) -> pd.DataFrame:
    """For every arm a row at each of its runs' gains."""
    return profile_rows(answer.sets).assign(**said(answer.verdicts))


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw a line of steps for the baseline and every arm."""
    scale = scale_in(rows)
    base, *others = dict.fromkeys(rows.arm)
    means = {arm: float(own.gain.mean()) for arm, own in rows.groupby("arm") if arm != base}
    arms = extremes({arm: means[arm] for arm in others}, LINES)
    tall = pt(TALL)
    width = paper.across(WIDE + 1)
    fig = sheet(width, tall + 0.8)
    ax = fig.add_axes((0.12, 0.6 / (tall + 0.8), WIDE / (WIDE + 1), tall / (tall + 0.8)))
    shown = rows[rows.arm.isin([base, *arms])]
    low, high = padded(float(shown.gain.min()), float(shown.gain.max()), least=scale.least(1.0))
    ax.set_xlim(low, high)
    ax.set_ylim(0, 1.02)
    rope = rows.rope_pp.iloc[0]
    if pd.notna(rope):
        ax.axvspan(-rope, rope, color=BAND, linewidth=0, zorder=0)
    ax.grid(color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
    names = apart([base, *arms], 30 if paper.narrow else 40, 1)
    for i, (arm, name) in enumerate(zip([base, *arms], names, strict=True)):
        own = rows[rows.arm == arm]
        x = [low, *own.gain, high]
        y = [1.0, *own.share, 0.0]
        ax.plot(x, y, drawstyle="steps-pre", label=name, color=OKABE_ITO[i - 1] if i else INK,
                linewidth=pt(1.6), linestyle=DASHES[i])  # fmt: skip
    count = int(rows.k.max())
    note = left_out(len(arms), len(others), LINES)
    gain = f"gain over the baseline's mean{scale.of_differences}"
    ax.set_xlabel(f"{gain}{note}", fontsize=pt(9))
    ax.set_ylabel(f"share of runs\n({count} data sets alike)", fontsize=pt(9))
    ax.tick_params(labelsize=pt(8))
    fig.legend(
        loc="lower left", bbox_to_anchor=(0, 1.02), bbox_transform=ax.transAxes, frameon=False,
        fontsize=pt(8), ncol=1 if paper.narrow else 2, borderaxespad=0,
    )  # fmt: skip
    return fig


FIGURE = Figure(
    title="Performance profiles",
    table=table,
    draw=draw,
    absent="fewer than five data sets have results of two arms",
    applies=lambda answer: len(answer.sets) >= MANY,
    other="only studies of five data sets and more have it",
)
