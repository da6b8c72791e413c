"""Differences as a heat map: colours that end where most can be told, numbers where they fit."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from swinablate.report.drawing.ink import PAPER, pt, root

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
DARK = ".15"
"""Grey of a number on a light cell: nearly black, as ink is."""
TURN = 0.408
"""Luminance of a cell above which its number is dark: where seaborn turns, too."""


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
    cells = np.ma.masked_invalid(grid.to_numpy(float))
    ax.spines[:].set_visible(False)
    colours = ax.pcolormesh(
        cells, cmap=COLOURS, vmin=-has.end, vmax=has.end, linewidths=has.lines, edgecolor=PAPER
    )
    down, across = grid.shape
    ax.set(xlim=(0, across), ylim=(down, 0))  # the first row is the highest
    if bar is not None:
        extend = "both" if has.beyond else "neither"
        key = root(ax).colorbar(colours, bar, ax, orientation="horizontal", extend=extend)
        key.outline.set_linewidth(0)
    longest = max(has.letters, *(len(text) for row in texts.to_numpy().tolist() for text in row))
    size = min(pt(8), has.wide / (WIDE * (longest + 0.6)))
    if size >= LEAST:
        _written(ax, texts, colours.to_rgba(cells), size)


def _written(ax: Axes, texts: pd.DataFrame, shades: NDArray[np.float64], size: float) -> None:
    """Write in the cells what is not empty, dark on light or light on dark."""
    # Relative luminance, as WCAG 2 defines it.
    rgb = shades[..., :3]
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    bright = linear @ [0.2126, 0.7152, 0.0722]
    for (y, x), text in np.ndenumerate(texts.to_numpy(object)):
        if text:
            ink = DARK if bright[y, x] > TURN else PAPER
            # Inside its cell: it need not be measured to know how far the drawing reaches.
            ax.text(x + 0.5, y + 0.5, text, color=ink, ha="center", va="center", fontsize=size,
                    in_layout=False)  # fmt: skip
