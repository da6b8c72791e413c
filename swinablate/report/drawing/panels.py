"""Many arms in one figure: a panel for each."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from swinablate.report.drawing.extremes import PANELS, extremes, left_out
from swinablate.report.drawing.ink import apart, pt, sheet
from swinablate.report.drawing.paper import PAGE, Paper

Box = tuple[float, float, float, float]
"""A part of the axes: left, foot, width, height."""
LEFT, WIDE, EDGE = 0.42, 0.57, 0.02
"""Of the axes: where an inset begins, how wide it is, and how far from it a line has to stay."""
BOXES = (
    *((0.12, 0.46), (0.5, 0.46), (0.12, 0.34), (0.6, 0.34), (0.36, 0.34)),
    *((0.12, 0.24), (0.7, 0.24), (0.55, 0.24), (0.4, 0.24), (0.26, 0.24)),
)
"""Foot and height of an inset, the best first; lower ones are no curve any more."""

ASIDE = 0.16
"""Of the axis, what the points of arms with a single epoch take where others have more."""


def panels(
    values: Mapping[str, float], x: str, y: str, paper: Paper = PAGE
) -> tuple[Figure, list[tuple[str, Axes]]]:
    """An empty panel for each arm, in reading order; values are named at the left edge alone.

    Args:
        values: what orders the arms where they are too many to draw all; their names are titles.
        x: what runs to the right in all of them.
        y: what runs up.
        paper: what is drawn for.
    """
    arms = extremes(values, PANELS)
    # Two rows of wide panels, else more of narrow ones.
    across = 2 if paper.narrow else 3 if len(arms) <= 6 else 4
    down = -(-len(arms) // across)
    titles = apart(arms, 32 if paper.width is None else 26, 2)
    lines = max(title.count("\n") for title in titles) + 2  # and one for a value
    each = 1.15 * (1.0 if paper.width is None else 0.9)
    gap = pt(11.5 * lines + 22) / 72
    width = paper.across(9.6)
    height = down * (each + gap) + 0.6
    fig = sheet(width, height)
    grid = fig.add_gridspec(
        down, across, left=0.07, right=0.99, wspace=0.1, hspace=gap / each,
        bottom=0.45 / height, top=1 - gap / height,
    )  # fmt: skip
    axes = [fig.add_subplot(grid[i // across, i % across]) for i in range(len(arms))]
    for i, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        ax.set_title(title, fontsize=pt(8.5), loc="left", pad=pt(14), linespacing=1.0)
        ax.tick_params(labelsize=pt(8), labelleft=i % across == 0)
        if i + across >= len(arms):
            ax.set_xlabel(x, fontsize=pt(9))
        if i % across == 0:
            ax.set_ylabel(y if "\n" in y else y.replace(" accuracy", "\naccuracy"), fontsize=pt(9))
    if note := left_out(len(arms), len(values), PANELS).strip():
        axes[-across].annotate(
            note, (0, 0), (0, -pt(36)), xycoords="axes fraction", textcoords="offset points",
            fontsize=pt(8), va="top",
        )  # fmt: skip
    return fig, list(zip(arms, axes, strict=True))


def clear(ax: Axes, lines: Sequence[pd.DataFrame], *, low: bool) -> Box | None:
    """Where an inset hides none of the lines; None where nowhere.

    Args:
        ax: limits must be final.
        lines: `epoch` and `val_acc` of each.
        low: curves end well when they end low, so that there is room above them.
    """
    boxes = (BOXES[1], BOXES[0], *BOXES[2:]) if low else BOXES
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    at = left + (right - left) * np.linspace(LEFT, 1.0, 60)
    heights = [
        (np.interp(at, line.epoch, line.val_acc, np.nan, np.nan) - bottom) / (top - bottom)
        for line in lines
        if len(line)
    ]
    for foot, tall in boxes:
        behind = [(y > foot - EDGE) & (y < foot + tall + EDGE) for y in heights]
        if not any(each.any() for each in behind):
            return LEFT, foot, WIDE, tall
    return None


def epochs(rows: pd.DataFrame) -> int:
    """How many epochs the curves are long; 1 where there is none."""
    if rows.empty:
        return 1
    whole = int(rows.epoch.max()) - int(rows.epoch.min()) + 1
    return whole if whole_steps(rows) else rows.epoch.nunique()  # steps of somebody else's table


def whole_steps(rows: pd.DataFrame) -> bool:
    """Whether every epoch is a whole number, and so may every number along the axis be."""
    return bool((rows.epoch.astype(float) % 1 == 0).all())


def late(rows: pd.DataFrame, share: float) -> float:
    """The epoch after such a share of them."""
    first, last = float(rows.epoch.min()), float(rows.epoch.max())
    after = (last - first) * share
    return first + (round(after) if whole_steps(rows) else after)


def reach(ax: Axes, rows: pd.DataFrame, most: int) -> None:
    """Show the first epoch and the last; around a single one, room for its points.

    Where some arms have a single epoch and others more, their points stand left of the curves.

    Args:
        ax: of the curves.
        rows: of all arms.
        most: numbers along the axis.
    """
    first, last = float(rows.epoch.min()), float(rows.epoch.max())
    if first == last:
        ax.set_xlim(first - 0.5, last + 0.5)
        ax.set_xticks([first])
        return
    where = MaxNLocator(most, integer=whole_steps(rows))
    ax.xaxis.set_major_locator(where)
    ax.set_xlim(first, last)
    if rows.groupby("arm").epoch.nunique().min() == 1:
        ax.set_xticks([at for at in where.tick_values(first, last) if first <= at <= last])
        ax.set_xlim(first - ASIDE * (last - first), last)
