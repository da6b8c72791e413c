"""The effect of every arm on each data set, and over them.

Thin: one data set, with the interval that decides its verdict. Thick: the mean over data sets,
of which those that are known better weigh more (random effects), with an interval that holds for
all arms; its shape is its verdict's. Dashed: where the true effect on a new data set like these
lies, for one arm alone, so that it may be shorter; a line that ends in an arrow goes on beyond the
axis. Shaded: differences too small to matter. Of two data sets there is a mean and no more.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.bars import (
    DELTA,
    INTERVAL,
    NEAR,
    beside,
    fold,
    ground,
    shapes,
    titled,
)
from swinablate.report.drawing.extremes import PANELS, extremes, left_out
from swinablate.report.drawing.ink import (
    FAINT,
    GRID,
    INK,
    LOOKS,
    PAPER,
    Look,
    beside_others,
    mark,
    pt,
    root,
    sheet,
    wrapped,
)
from swinablate.report.drawing.kinds import MORE, KindLook
from swinablate.report.drawing.numbers import interval, signed
from swinablate.report.drawing.place import padded
from swinablate.report.drawing.scale import Scale, said, scale_in
from swinablate.report.families.datasets import effect_rows
from swinablate.report.results import StudyResults

JOINT = "thick: for all arms together; dashed: a new data set, for one arm alone"
"""What may make a prediction shorter than the interval of a mean."""
AXIS = 4.3
"""Inches; names and numbers beside it fill a page's width."""
STEP, MEAN, NEW = 0.135, 0.19, 0.15
"""Inches from one line of an arm to the next: of data sets, of the mean, of a new data set."""
REACH = 0.6
"""Of the width of all else, how much more a prediction may take: of three data sets it is so wide
that nothing else could be seen."""
NONE = Look("o", INK)
"""Of a mean without a word."""
VERDICT = 174
"""Points right of the axis, of the verdict's shape."""


def table(answer: StudyResults) -> pd.DataFrame:
    """For every arm a row for each data set, and one of the mean over them."""
    found = effect_rows(answer.verdicts.get("datasets", ()), answer.verdicts)
    return found.assign(**said(answer.verdicts))


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw a block for every arm, all on one axis."""
    scale, first = scale_in(rows), rows.iloc[0]
    sets = list(dict.fromkeys(rows.dataset[rows.point == "dataset"]))
    looks = dict(zip(sets, map(_look, range(len(sets))), strict=True))
    known = {str(arm): _mean(own) for arm, own in rows.groupby("arm", sort=False)}
    arms = extremes(known, PANELS)
    block = pt(STEP) * (len(sets) + 1) + pt(MEAN + NEW)
    height = max(len(arms) * block, 1.0)
    fig = sheet(paper.across(AXIS + 5), height + 0.9)
    ax = fig.add_axes((0.1, 0.1, AXIS / (AXIS + 5), height / (height + 0.9)))
    ax.set_ylim(len(arms) * block, 0)  # inches, downwards
    ax.set_xlim(*_limits(rows[rows.arm.isin(arms)], scale))
    ground(ax, first.rope_pp, scale.unit)
    others = rows.drop_duplicates("arm").set_index("arm").against
    names = beside_others(arms, others[list(arms)], paper.name)
    for i, arm in enumerate(arms):
        own = rows[rows.arm == arm]
        if i:
            ax.axhline(i * block, color=GRID, linewidth=0.8)
        _arm(ax, i * block, own, looks, paper)
    ax.set_yticks([(i + 0.5) * block for i in range(len(arms))], names, linespacing=1.0)
    ax.tick_params(axis="y", length=0, pad=8)
    ax.spines["left"].set_visible(False)
    _heads(ax, float(first.level), paper)
    _key(ax, looks, paper)
    note = left_out(len(arms), len(known), PANELS)
    label = ax.set_xlabel(fold(_said(rows, scale, paper) + note, paper))
    words = [word for word in rows.verdict[rows.point == "mean"] if word in LOOKS]
    if paper.narrow and words:
        shapes(ax, words, 34 + 11 * (label.get_text().count("\n") + 1))
    return fig


def _said(rows: pd.DataFrame, scale: Scale, paper: Paper) -> str:
    """Under the axis; in a column also what the lines are, for there are no heads."""
    first = rows.iloc[0]
    text = (
        f"difference in {first.metric}{scale.of_differences if paper.narrow else scale.in_words}"
    )
    known = rows.low[rows.point == "mean"].notna().any()
    if not paper.narrow:
        return text + (f"\n{JOINT}" if known else "")
    if known:
        return f"{text}\nthick: mean, {100 * first.level:g} % CI\n{JOINT}"
    return f"{text}\ndot: the mean of two data sets, no word"


def _arm(
    ax: Axes, top: float, own: pd.DataFrame, looks: dict[str, KindLook], paper: Paper
) -> None:
    """The lines of one arm, from `top` downwards."""
    for point in records(own[own.point == "dataset"]):
        line = list(looks).index(point.dataset) + 0.9
        _dataset(ax, top + pt(STEP) * line, point, looks[point.dataset])
    for point in records(own[own.point == "mean"]):
        y, scale = top + pt(STEP) * len(looks) + pt(MEAN), scale_in(own)
        look = LOOKS.get(point.verdict, NONE)
        if pd.notna(point.low):
            ax.plot([point.low, point.high], [y, y], color=look.colour, linewidth=pt(3), zorder=3,
                    solid_capstyle="butt")  # fmt: skip
        mark(ax, point.effect, y, look)
        _numbers(ax, y, point, scale, paper)
        if pd.notna(point.new_low):
            _new(ax, y + pt(NEW), point, scale, paper)


def _look(i: int) -> KindLook:
    """Of a data set: of more than there are looks, the shapes come again in other colours."""
    again, first = divmod(i, len(MORE))
    other = MORE[(first + again) % len(MORE)]
    return MORE[first]._replace(colour=other.colour, text=other.text)


def _mean(own: pd.DataFrame) -> float:
    means = own.effect[own.point == "mean"]
    return float(means.iloc[0]) if len(means) else float("nan")


def _limits(rows: pd.DataFrame, scale: Scale) -> tuple[float, float]:
    """Whole intervals of data sets and means, and of predictions what fits."""
    rope = rows.rope_pp.iloc[0]
    edge = float(rope) if pd.notna(rope) else 0.0
    inner = [*rows.effect, *rows.low.dropna(), *rows.high.dropna(), -edge, edge]
    low, high = float(min(inner)), float(max(inner))
    more = REACH * (high - low)
    low = max(low - more, min([low, *rows.new_low.dropna()]))
    high = min(high + more, max([high, *rows.new_high.dropna()]))
    return padded(low, high, least=scale.least(1.0))


def _dataset(ax: Axes, y: float, point: Any, look: KindLook) -> None:
    if pd.notna(point.low):
        ax.plot([point.low, point.high], [y, y], color=look.colour, linewidth=pt(0.9), zorder=2)
    ax.plot(point.effect, y, marker=look.marker, color=look.colour, markersize=pt(4), zorder=3,
            markeredgewidth=0)  # fmt: skip


def _new(ax: Axes, y: float, point: Any, scale: Scale, paper: Paper) -> None:
    """What a new data set may show."""
    left, right = ax.get_xlim()
    low, high = point.new_low, point.new_high
    ax.plot([max(low, left), min(high, right)], [y, y], color=INK, linewidth=pt(1.1),
            linestyle=(0, (4, 2.5)))  # fmt: skip
    for beyond, at, tip in ((low < left, left, "<"), (high > right, right, ">")):
        if beyond:
            ax.plot(at, y, marker=tip, color=INK, markersize=pt(5), clip_on=False)
    if not paper.narrow:
        text = f"new {interval(low, high, scale.places)}"
        style = {"fontsize": pt(7.5), "family": "monospace", "color": FAINT}
        beside(ax, y, INTERVAL, text, **style)


def _numbers(ax: Axes, y: float, point: Any, scale: Scale, paper: Paper) -> None:
    """The mean right of the axis; in a column without its interval and the word."""
    style = {"fontsize": pt(8.5), "family": "monospace", "color": INK}
    beside(ax, y, DELTA, signed(point.effect, scale.places), ha="right", **style)
    look = LOOKS.get(point.verdict, NONE)
    if look is not NONE:
        _shape(ax, y, NEAR if paper.narrow else VERDICT, look)
    if paper.narrow:
        return
    beside(ax, y, INTERVAL, interval(point.low, point.high, scale.places), **style)
    if look is not NONE:
        beside(ax, y, VERDICT + 9, point.verdict, color=look.colour, fontsize=pt(9), weight="bold")
    else:
        beside(ax, y, VERDICT - 4, f"{point.k} data sets: no word", fontsize=pt(9))


def _shape(ax: Axes, y: float, x: float, look: Look) -> None:
    """A verdict's shape in a column right of the axis."""
    offset = ScaledTranslation(pt(x) / 72, 0, root(ax).dpi_scale_trans)
    mark(ax, 1, y, look, ax.get_yaxis_transform() + offset)


def _heads(ax: Axes, level: float, paper: Paper) -> None:
    every = (
        (DELTA, "mean \N{GREEK CAPITAL LETTER DELTA}", "right"),
        (INTERVAL, f"{100 * level:g} % CI", "left"),
        (VERDICT - 4, "verdict", "left"),
    )
    titled(ax, every, paper)


def _key(ax: Axes, looks: dict[str, KindLook], paper: Paper) -> None:
    """Which mark is which data set, above the axes."""
    handles = [
        Line2D([], [], marker=look.marker, color=look.colour, linewidth=pt(0.9),
               markersize=pt(4.5), markeredgewidth=0, markerfacecolor=look.colour,
               label=wrapped(name, 18, 1), markeredgecolor=PAPER)
        for name, look in looks.items()
    ]  # fmt: skip
    root(ax).legend(
        handles=handles, loc="lower left", frameon=False, fontsize=pt(8), borderaxespad=0,
        bbox_to_anchor=(0, 1 + pt(22) / 72 / ax.get_window_extent().height * root(ax).dpi),
        bbox_transform=ax.transAxes, ncol=min(len(handles), 2 if paper.narrow else 4),
        handlelength=1.8, columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip


FIGURE = Figure(
    title="Effects over the data sets",
    table=table,
    draw=draw,
    absent="no arm has an effect on two data sets yet",
    applies=lambda answer: bool(answer.verdicts.get("datasets")),
    other="only studies of several data sets have it",
)
