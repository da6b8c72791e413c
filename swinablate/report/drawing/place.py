"""Where things go: ranges that one outlier cannot ruin, labels that do not overlap."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from swinablate.report.drawing.ink import pt, root

NARROW = 1e-9
"""Of the farthest, what is no width at all."""
FAR = 8.0
"""An interval this many times longer than the next shorter one would flatten all others."""


ROOF = 101.0
"""Just above 100 %, so that a mark there is whole."""


def filled(ends: "pd.Series[float]", by: "pd.Series[float]") -> "pd.Series[float]":
    """Ends of intervals; where there is none, the value itself.

    As numbers: a column that holds none is one of objects, which pandas 2 fills with a warning.
    """
    return ends.astype(float).fillna(by.astype(float))


def core(lows: Sequence[float], highs: Sequence[float], centre: float) -> tuple[float, float]:
    """The range to show: everything, unless a few far intervals would flatten the rest.

    Args:
        lows: lower ends, one for each row.
        highs: upper ends.
        centre: a value that is always shown, from which distance is measured.

    Returns:
        Lower and upper limit without margin. Rows outside are drawn as arrows.
    """
    low, high = np.asarray(lows, float), np.asarray(highs, float)
    reach = np.maximum(abs(low - centre), abs(high - centre))
    order = np.argsort(reach)
    keep = len(order)
    for i in range((len(order) + 1) // 2, len(order)):
        # Behind a row without any width all others would be far.
        if reach[order[i]] > FAR * max(reach[order[i - 1]], NARROW * reach[order[-1]]):
            keep = i
            break
    shown = order[:keep]
    if not len(shown):
        return centre, centre
    return min(centre, float(low[shown].min())), max(centre, float(high[shown].max()))


def padded(
    low: float, high: float, share: float = 0.06, least: float = 0.5
) -> tuple[float, float]:
    """The range with a margin on both sides, never narrower than `least`."""
    room = max((high - low) * share, (least - (high - low)) / 2)
    # An axis without any width cannot be drawn: a millionth of what is there, or of 1.
    room = room or 1e-6 * (max(abs(low), abs(high)) or 1.0)
    return low - room, high + room


def within(limits: tuple[float, float]) -> tuple[float, float]:
    """Limits for percentages: no axis promises more than 100 %."""
    return limits[0], min(limits[1], ROOF)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Positions as near as possible to those wanted, at least `gap` apart, in the same order.

    Pool adjacent violators: labels that would overlap form a block around their mean.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[list[int]] = []
    for i in order:
        blocks.append([i])
        while len(blocks) > 1 and _top(blocks[-2], wanted, gap) > _foot(blocks[-1], wanted, gap):
            last = blocks.pop()
            blocks[-1] += last
    placed = [0.0] * len(wanted)
    for block in blocks:
        start = _foot(block, wanted, gap) + gap / 2
        for k, i in enumerate(block):
            placed[i] = start + k * gap
    return placed


def _foot(block: Sequence[int], wanted: Sequence[float], gap: float) -> float:
    return sum(wanted[i] for i in block) / len(block) - gap * len(block) / 2


def _top(block: Sequence[int], wanted: Sequence[float], gap: float) -> float:
    return _foot(block, wanted, gap) + gap * len(block)


class Note(NamedTuple):
    """A text that belongs beside a point: data coordinates, moved right by some points."""

    x: float
    y: float
    aside: float
    text: str
    colour: str


TURNS = ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1))
"""Right of a point first, where a name is looked for; above and below last, where bars are."""
# Which edge of a text is at its place: the one that faces the point, in both directions.
ACROSS: Mapping[int, Literal["left", "center", "right"]] = {1: "left", 0: "center", -1: "right"}
UP: Mapping[int, Literal["bottom", "center", "top"]] = {1: "bottom", 0: "center", -1: "top"}
"""The same, upwards."""
LINE_FROM = 20  # points; a text further away than this gets a line to its point


def label_points(ax: Axes, notes: Sequence[Note], blocked: Sequence[Bbox]) -> None:
    """Write each text where it covers no other text, mark or edge.

    Tries eight directions at growing distances.

    Args:
        ax: limits must be final.
        notes: in order of importance.
        blocked: pixels that are taken, such as marks and error bars.
    """
    inside, taken = ax.get_window_extent(), np.array([box.extents for box in blocked])
    for note in notes:
        text = ax.annotate(
            note.text, (note.x, note.y), (0, 0), textcoords="offset points",
            color=note.colour, fontsize=pt(8.5), linespacing=1.1,
        )  # fmt: skip
        _move(text, note, 0, (1, 1))
        free, dot = text.get_window_extent(), root(ax).dpi / 72
        options = []
        # Points: from just off a mark to as far as a line still leads back. Covering less than a
        # pixel is good enough; among the bad places a near one is better.
        for distance, turn in product((9, 13, 20, 30, 44, 60), TURNS):
            box = _turned(free, distance * dot, turn)
            options.append((_cost(box, taken, inside) + distance / 50, distance, turn, box))
            if options[-1][0] < 1.5:
                break
        _, distance, turn, box = min(options, key=lambda option: option[0])
        _move(text, note, distance, turn)
        taken = np.vstack([taken.reshape(-1, 4), box.extents])
        if distance > LINE_FROM:
            _line(ax, note, distance, turn)


def _turned(free: Bbox, distance: float, turn: tuple[int, int]) -> Bbox:
    """Where a text lies that is moved; `free` is where it lies up and right of its point."""
    x = free.x0 + turn[0] * distance - (1 - turn[0]) / 2 * free.width
    y = free.y0 + turn[1] * distance - (1 - turn[1]) / 2 * free.height
    return Bbox.from_bounds(x, y, free.width, free.height)


def _move(text: Annotation, note: Note, distance: float, turn: tuple[int, int]) -> None:
    text.set_position((note.aside + turn[0] * distance, turn[1] * distance))
    text.set_horizontalalignment(ACROSS[turn[0]])
    text.set_verticalalignment(UP[turn[1]])


def _line(ax: Axes, note: Note, distance: float, turn: tuple[int, int]) -> None:
    """Join a far text to its mark, from just outside the mark."""
    ax.annotate(
        "", (note.x, note.y), (note.aside + turn[0] * distance, turn[1] * distance),
        textcoords="offset points",
        arrowprops={"arrowstyle": "-", "color": note.colour, "linewidth": 0.6, "shrinkA": 0,
                    "shrinkB": 5},
    )  # fmt: skip


def _cost(box: Bbox, taken: np.ndarray, inside: Bbox) -> float:
    """Pixels of the box that lie on something else, or outside; `taken` are corners (n, 4)."""
    left, low, right, high = taken.reshape(-1, 4).T
    width = np.minimum(box.x1, right) - np.maximum(box.x0, left)
    height = np.minimum(box.y1, high) - np.maximum(box.y0, low)
    touched = (width >= 0) & (height >= 0)
    lost = float((width * height + 1)[touched].sum())
    shown = Bbox.intersection(box, inside)
    area = box.width * box.height
    # What is cut off cannot be read at all: it counts fourfold.
    return lost + 4 * (area - (shown.width * shown.height if shown else 0.0))
