"""Differences as a heat map: colours that end where most can be told, numbers where they fit."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from swinablate.report.drawing.ink import pt, root

LEAST = 4.6
"""Points of a number in a cell; what would be smaller is left to the table."""
WIDE = 0.62
"""Of its size a letter is at most wide."""
NAME = 14
"""Letters of a class's name; what is longer ends in an ellipsis, and the table has it whole."""
LEAN = 0.64
"""Of its length that a name takes downwards when it leans by 40 degrees: the sine."""
COLOURS = "RdBu"
"""Red to blue, which all kinds of colour vision tell apart; white in the middle."""
FAR = 3.0
"""Times what nine tenths of the cells are below: colours end there, for one cell that is far off
would make all others white."""
NARROWEST = 1.0  # pp: of smaller changes colours should not shout


@dataclass(frozen=True, kw_only=True)
class Room:
    """What cells have.

    Attributes:
        end: percentage points where colours end.
        beyond: whether some cell lies beyond.
        wide: points that a cell is wide.
        lines: points between cells.
        letters: of the longest text of several maps, which are written alike.
    """

    end: float
    beyond: bool
    wide: float
    lines: float
    letters: int = 0


def room(sizes: NDArray[np.float64], wide: float, lines: float) -> Room:
    """Choose where colours end.

    Args:
        sizes: of the changes that they are to tell apart, pp; finite, and perhaps none.
        wide: points that a cell is wide.
        lines: points between cells.
    """
    largest = float(sizes.max(initial=0.0))
    far = FAR * float(np.quantile(sizes, 0.9)) if len(sizes) else 0.0
    end = max(min(largest, far), NARROWEST)
    return Room(end=end, beyond=largest > end, wide=wide, lines=lines)


def heat(ax: Axes, bar: Axes | None, grid: pd.DataFrame, texts: pd.DataFrame, has: Room) -> None:
    """Draw the cells, and the bar of their colours.

    Args:
        ax: of the cells.
        bar: of the colours; None draws no second one.
        grid: differences in percentage points.
        texts: what stands in each cell, if there is room.
        has: what cells have.
    """
    # Here, for it takes half a second to import, and other figures do without it.
    import seaborn

    longest = max(has.letters, *(len(text) for row in texts.to_numpy().tolist() for text in row))
    size = min(pt(8), has.wide / (WIDE * (longest + 0.6)))
    # It draws the whole figure to turn names that touch; there are none, and nothing to draw.
    others = [one for one in root(ax).axes if one.get_visible()]
    for one in others:
        one.set_visible(False)
    seaborn.heatmap(
        grid, ax=ax, cbar=bar is not None, cbar_ax=bar, cmap=COLOURS, vmin=-has.end, vmax=has.end,
        linewidths=has.lines, annot=texts if size >= LEAST else False, fmt="",
        annot_kws={"fontsize": size}, xticklabels=False, yticklabels=False,
        cbar_kws={"orientation": "horizontal", "extend": "both" if has.beyond else "neither"},
    )  # fmt: skip
    for one in others:
        one.set_visible(True)
    for text in list(ax.texts):
        # Inside its cell: it need not be measured to know how far the drawing reaches.
        text.set_in_layout(False)
        if not text.get_text():
            text.remove()
