"""Differences as bars with their numbers beside them: what the forest and the effects share."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from swinablate.report.drawing.ink import (
    BAND,
    FAINT,
    GRID,
    INK,
    LETTER,
    LOOKS,
    Look,
    mark,
    pt,
    root,
)
from swinablate.report.drawing.numbers import interval, signed
from swinablate.report.drawing.paper import PAGE, Paper
from swinablate.report.drawing.place import core, filled, padded
from swinablate.report.drawing.scale import Scale
from swinablate.text import after_difference

JUDGED = ("better", "worse", "equivalent", "fails to train", "undecided")
STUDY = Scale()
TWINS = 10
"""So many equal seeds take 5 % of the axis."""
DELTA, INTERVAL, COUNT, SHAPE, VERDICT = 44, 54, 174, 192, 201  # points right of the axis
NEAR = 56  # the same, of the shape where no interval is written
MONO = 0.602  # of its size, the width of a letter of DejaVu Sans Mono
USUAL = 4  # letters of a number along an axis: of percentages it is no longer
LINE = 42  # letters of an axis label under a drawing of one column


def limits(
    bars: pd.DataFrame, seeds: "pd.Series[float]", rope: float | None, least: float = 1.0
) -> tuple[float, float]:
    """Where the intervals are, and every seed that is not half as far again."""
    known = bars.dropna(subset=["delta_pp"])
    lows, highs = filled(known.ci_low, known.delta_pp), filled(known.ci_high, known.delta_pp)
    low, high = core(lows.tolist(), highs.tolist(), 0.0)
    near = seeds[(seeds >= low - (high - low) / 2) & (seeds <= high + (high - low) / 2)]
    low, high = min(low, near.min()), max(high, near.max())  # NaN, of no seeds, changes nothing
    edge = 0.0 if rope is None or pd.isna(rope) else float(rope)
    return padded(min(low, -edge), max(high, edge), least=least)


def ground(ax: Axes, rope: float | None, unit: str = "pp") -> None:
    """Draw zero, the grid, and the differences that are too small to matter."""
    if rope is not None and pd.notna(rope):
        ax.axvspan(-rope, rope, color=BAND, linewidth=0, zorder=0)
        ax.annotate(
            f"\u00b1{rope:g}{after_difference(unit)}", (0, 1), (0, pt(6)), ha="center",
            xycoords=("data", "axes fraction"), textcoords="offset points",
            fontsize=pt(8.5), color=LOOKS["equivalent"].colour,
        )  # fmt: skip
    ax.axvline(0, color=INK, linewidth=1.0, zorder=1)
    roomy(ax)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def bar(ax: Axes, y: float, arm: Any, seeds: Sequence[float] = (), scale: Scale = STUDY) -> None:
    """Draw one interval, its verdict's shape, and a tick for every seed."""
    look, (left, right) = LOOKS[arm.verdict], ax.get_xlim()
    if pd.isna(arm.delta_pp):
        return
    low = arm.delta_pp if pd.isna(arm.ci_low) else arm.ci_low
    high = arm.delta_pp if pd.isna(arm.ci_high) else arm.ci_high
    if high < left or low > right:
        _arrow(ax, y, arm.delta_pp, look, scale)
        return
    _ticks(ax, y, seeds)
    ax.plot([low, high], [y, y], color=look.colour, linewidth=pt(2.6), solid_capstyle="butt")
    for beyond, edge, tip in ((low < left, left, "<"), (high > right, right, ">")):
        if beyond:
            ax.plot(edge, y, marker=tip, color=look.colour, markersize=pt(7), clip_on=False)
    if left <= arm.delta_pp <= right:
        mark(ax, arm.delta_pp, y, look if pd.notna(arm.ci_low) else replace(look, filled=False))


def _ticks(ax: Axes, y: float, seeds: Sequence[float]) -> None:
    """One tick for every seed; equal seeds stand side by side."""
    left, right = ax.get_xlim()
    values, counts = np.unique(np.asarray(seeds, float), return_counts=True)
    for beyond, edge, tip in ((values < left, left, "<"), (values > right, right, ">")):
        if beyond.any():
            ax.plot(edge, y + 0.29, marker=tip, color="#8A8A8A", markersize=pt(3.5), clip_on=False)
    inside = (values >= left) & (values <= right)
    at: list[float] = []
    for value, twins in zip(values[inside], counts[inside], strict=True):
        # A tick's width apart, and a gap as wide; many twins stand closer, or they would seem to
        # have values that nobody measured.
        apart = 0.0055 * (right - left) * min(1.0, TWINS / twins)
        at += [value + (k - (twins - 1) / 2) * apart for k in range(twins)]
    # One path: of 10,000 seeds each as its own were a second's work and most of the page.
    x = np.repeat(np.asarray(at, float), 3)
    height = np.tile([y + 0.21, y + 0.37, np.nan], len(at))
    ax.plot(
        x, height, color="#7A7A7A", linewidth=0.8, zorder=2, solid_capstyle="projecting", snap=True
    )


def _arrow(ax: Axes, y: float, delta: float, look: Look, scale: Scale) -> None:
    """Stand in for an interval that lies outside the axis."""
    left, right = ax.get_xlim()
    edge, side, align = (left, 1, "left") if delta < left else (right, -1, "right")
    shown = f"{signed(delta, 1 if scale.percent else scale.places)}{after_difference(scale.unit)}"
    shown += ", outside the axis"
    room = 72 * ax.get_window_extent().width / root(ax).dpi - pt(30)
    if len(shown) * LETTER * pt(8.5) > room:  # in a column; the number stands right of the axis
        shown = "outside"
    ax.annotate(
        shown, (edge, y), (pt(30) * side, 0),
        textcoords="offset points", ha=align, va="center", fontsize=pt(8.5), color=look.colour,
        arrowprops={"arrowstyle": "-|>", "color": look.colour, "linewidth": 2.2, "shrinkA": 2,
                    "shrinkB": 0},
    )  # fmt: skip


def numbers(
    ax: Axes, y: float, arm: Any, count: str, *, places: int = 2, paper: Paper = PAGE
) -> None:
    """Write a bar's numbers, its count and its verdict right of the axis.

    In a column of a paper the difference and the verdict's shape have to do; `shapes` names them.
    """
    look = LOOKS[arm.verdict]
    judged = arm.verdict in JUDGED
    figures = {"color": INK if judged else FAINT, "family": "monospace"}
    delta, both = signed(arm.delta_pp, places), interval(arm.ci_low, arm.ci_high, places)
    beside(ax, y, DELTA, delta, ha="right", fontsize=fitting(delta, DELTA), **figures)
    if paper.narrow:
        _shape(ax, y, NEAR, look)
        return
    room = COUNT - INTERVAL - MONO * 8.5 * len(count) - 2
    beside(ax, y, INTERVAL, both, fontsize=fitting(both, room), **figures)
    beside(ax, y, COUNT, count, ha="right", fontsize=pt(8.5), **figures)
    word = f"{arm.verdict} (negligible)" if arm.negligible is True else str(arm.verdict)
    weight = "bold" if judged else "normal"
    beside(ax, y, VERDICT, word, color=look.colour, fontsize=pt(9), weight=weight)
    _shape(ax, y, SHAPE, look)


def fitting(text: str, room: float) -> float:
    """The size of numbers in a column: a long one is written smaller, not over the next one."""
    return pt(min(8.5, room / (MONO * max(len(text), 1))))


def roomy(ax: Axes) -> None:
    """Write fewer numbers along an axis where they are long; its limits must be final."""
    longest = len(f"{max(map(abs, ax.get_xlim())):.0f}") + 1  # and a sign
    if longest > USUAL:
        room = 72 * ax.get_window_extent().width / root(ax).dpi
        most = max(2, int(room / (LETTER * pt(10) * (longest + 2))))
        ax.xaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))


def _shape(ax: Axes, y: float, x: float, look: Look) -> None:
    offset = ScaledTranslation(pt(x) / 72, 0, root(ax).dpi_scale_trans)
    mark(ax, 1, y, look, ax.get_yaxis_transform() + offset)


def shapes(ax: Axes, verdicts: Iterable[str], below: float) -> None:
    """Say what each verdict's shape is called, some points below the axis."""
    found = set(verdicts)
    handles = [
        Line2D([], [], marker=look.marker, linestyle="none", label=word, markersize=pt(6.5),
               markerfacecolor=look.colour if look.filled else "none", color=look.colour)
        for word, look in LOOKS.items()
        if word in found
    ]  # fmt: skip
    figure = root(ax)
    down = ScaledTranslation(0, -pt(below) / 72, figure.dpi_scale_trans)
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), frameon=False,
        bbox_transform=ax.transAxes + down, ncol=min(len(handles), 3), fontsize=pt(8),
        handletextpad=0.1, columnspacing=0.8, borderaxespad=0,
    )  # fmt: skip


def fold(text: str, paper: Paper) -> str:
    """The label of an axis, each of its lines short enough for a column of a paper."""
    if not paper.narrow:
        return text
    return "\n".join(part for line in text.split("\n") for part in wrap(line, LINE) or [""])


def heads(ax: Axes, level: float, kind: str, count: str, paper: Paper = PAGE) -> None:
    """Write what stands in each column."""
    every = (
        (DELTA, "\u0394", "right"),
        (INTERVAL, f"{100 * level:g} % CI, {kind}", "left"),
        (COUNT, count, "right"),
        (SHAPE - 4, "verdict", "left"),
    )
    titled(ax, every, paper)


def titled(ax: Axes, every: Sequence[tuple[float, str, str]], paper: Paper) -> None:
    """Write over columns right of the axis, each with its place and side; if narrow, the first."""
    for x, text, align in every[:1] if paper.narrow else every:
        ax.annotate(
            text, (1, 1), (pt(x), pt(6)), xycoords="axes fraction", textcoords="offset points",
            ha=align, fontsize=pt(8.5), color=FAINT,
        )  # fmt: skip


def beside(ax: Axes, y: float, x: float, text: str, **style: Any) -> None:
    """Write in a column right of the axis."""
    ax.annotate(
        text, (1, y), (pt(x), 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points",
        va="center", **style,
    )  # fmt: skip
