"""Effects of several studies, a panel a study and a line an arm, on one axis.

Shape and word give the verdict, which is read from the interval alone. Shaded: differences too
small to matter. Each study has its own baseline, and nothing is pooled.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from swinablate.report.drawing import PAGE, Canvas, Paper, records
from swinablate.report.drawing.ink import (
    BAND,
    FAINT,
    GRID,
    INK,
    LOOKS,
    PAPER,
    apart,
    mark,
    sheet,
    wrapped,
)

WIDE, NAMES = 2.5, 2.6
"""Inches of a panel, and of the arms' names at the left: two panels fill a page's width."""
CLEAR = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}
"""Under a word, so that no line runs through it."""
AIR = 1.12
"""The axis ends this much beyond the last interval, so that no end lies on the frame."""


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:  # noqa: ARG001  a page's width alone
    """Draw a panel for every study.

    Args:
        paper: as other figures take it; this one has one width, and is not offered for papers.
        rows: `study`, `dataset`, `arm`, `delta_pp`, `ci_low`, `ci_high`, `verdict`, `metric`,
            `unit`, `rope_pp`.
    """
    studies, arms = list(dict.fromkeys(rows.study)), list(dict.fromkeys(rows.arm))
    height = 0.46 * max(len(arms), 2)
    width = NAMES + WIDE * len(studies)
    fig = sheet(width, height + 1.2)
    ends = pd.concat([rows.delta_pp, rows.ci_low, rows.ci_high]).astype(float).abs().max()
    rope = rows.rope_pp.iloc[0]
    reach = AIR * max(ends if pd.notna(ends) else 1.0, rope if pd.notna(rope) else 0.0)
    for column, study in enumerate(studies):
        mine = rows[rows.study == study]
        left = (NAMES + WIDE * column + 0.12) / width
        ax = fig.add_axes(
            (left, 0.6 / (height + 1.2), (WIDE - 0.24) / width, height / (height + 1.2))
        )
        ax.set_xlim(-reach, reach)
        ax.set_ylim(len(arms) - 0.4, -0.5)  # no word on the axis
        ax.grid(axis="x", color=GRID, linewidth=0.8)
        ax.set_axisbelow(True)
        if pd.notna(rope):
            ax.axvspan(-rope, rope, color=BAND, linewidth=0, zorder=0)
        ax.axvline(0, color=INK, linewidth=0.9)
        for row in records(mine):
            _line(ax, arms.index(row.arm), row)
        for y, arm in enumerate(arms):
            if arm not in set(mine.arm):
                ax.text(
                    0,
                    y,
                    "not in it",
                    color=FAINT,
                    ha="center",
                    va="center",
                    fontsize=8,
                    bbox=CLEAR,
                )
        names = apart(arms, lines=2) if column == 0 else [""] * len(arms)
        ax.set_yticks(range(len(arms)), names, linespacing=1.0)
        ax.tick_params(axis="y", length=0, pad=8)
        ax.spines["left"].set_visible(False)
        ax.set_title(f"{wrapped(study, width=30, lines=1)}\n{mine.dataset.iloc[0]}", fontsize=9)
    first = rows.iloc[0]
    unit = "" if first.unit == "none" else f", {first.unit}"
    middle = (NAMES + WIDE * len(studies) / 2) / width
    fig.text(middle, 0.08 / (height + 1.2), f"difference in {first.metric} to each baseline{unit}",
             ha="center", fontsize=9.5)  # fmt: skip
    return fig


def _line(ax: Axes, y: int, row: Any) -> None:
    look = LOOKS[row.verdict]
    if pd.isna(row.delta_pp):
        ax.text(
            0, y, row.verdict, color=look.colour, ha="center", va="center", fontsize=8, bbox=CLEAR
        )
        return
    if pd.notna(row.ci_low):
        ax.plot([row.ci_low, row.ci_high], [y, y], color=look.colour, linewidth=1.8, zorder=3)
    mark(ax, row.delta_pp, y, look)
    ax.text(row.delta_pp, y + 0.38, row.verdict, color=look.colour, ha="center", va="center",
            fontsize=7.5, bbox=CLEAR)  # fmt: skip
