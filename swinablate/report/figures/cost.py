"""Results against multiply-accumulates of one forward pass, on a logarithmic axis.

Shape and colour give the kind of network, area the parameters. Every mark is where its numbers
are; names move aside, and where there are too many, marks have numbers and the names are below. A
black edge is the baseline. Bars are t-intervals of each mean, often smaller than the mark. The
dashed line is the best mean that any arm reaches at that cost or less. A triangle at the edge
stands for a mean far outside the axis.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import Bbox

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.extremes import ROWS
from swinablate.report.drawing.ink import (
    FAINT,
    GRID,
    INK,
    LETTER,
    apart,
    printable,
    pt,
    root,
    sheet,
)
from swinablate.report.drawing.interval import mean
from swinablate.report.drawing.kinds import KINDS, family_of, kind
from swinablate.report.drawing.numbers import count
from swinablate.report.drawing.place import Note, core, filled, label_points, padded
from swinablate.report.drawing.scale import said, scale_in, scale_of
from swinablate.report.results import StudyResults

COLUMNS = (
    "mark", "arm", "baseline", "family", "kind", "by", "x", "params", "macs", "seconds", "mean",
    "low", "high", "n", "front", "first", "level", "metric",
)  # fmt: skip
COSTS: Mapping[str, str] = {
    "macs": "multiply-accumulates of one image, forward",
    "params": "parameters",
    "seconds": "seconds of training, mean over seeds",
}
"""What results may be drawn against, and what the axis says."""
SAME_COST = 0.02
"""Costs that differ by a smaller share are one: marks at one place say nothing about cost."""
NAMES, FEW_NAMES = 9, 5
"""With more names than this the plot is text; on paper of one column with more than five."""
FRONT: dict[str, Any] = {"color": "#8A8A8A", "linewidth": 1.1, "linestyle": (0, (4, 3))}
"""Thin, grey and dashed: no arm, and behind all of them; the legend draws it alike."""
KEY = 30  # letters of a name in the key; two columns of them fit on a page


def table(answer: StudyResults, by: str = "macs") -> pd.DataFrame:
    """A row for every arm with a mean and a cost, cheapest first; `x` is where its mark is.

    Args:
        answer: of a study.
        by: the cost along the axis, a key of `COSTS`.
    """
    level = 1 - answer.verdicts["alpha"]
    every = answer.trials.assign(value=answer.values)
    done = every[every.status == "done"]
    values = answer.observed
    costs_of, rows = _costs(every, done), []
    families = {arm.name: family_of(arm) for arm in answer.plan.arms}
    base, added = answer.verdicts["baseline"]["name"], said(answer.verdicts)
    for arm, costs in costs_of.items():
        found = mean(values.get(str(arm), []), level)
        if found.n and costs[by]:
            rows.append(
                {"arm": arm, "baseline": arm == base,
                 "family": families.get(str(arm), ""), "kind": kind(families.get(str(arm), "")),
                 "by": by, "x": costs[by], **costs,
                 "mean": found.mean, "low": found.low, "high": found.high, "n": found.n,
                 "level": level, "metric": answer.verdicts["metric"], **added}
            )  # fmt: skip
    columns = [*COLUMNS, *added]
    if len({row["x"] for row in rows}) < 2 or _spread(rows) < 1 + SAME_COST:
        return pd.DataFrame(columns=columns)
    found_rows = pd.DataFrame(rows, columns=columns)
    sign = scale_of(answer.verdicts).sign
    # Ties in cost: the better first, or the front would get a false vertical step.
    found_rows = found_rows.sort_values(
        ["x", "mean"], ascending=[True, sign < 0], ignore_index=True
    )
    good = sign * found_rows["mean"]
    front = good > good.cummax().shift(fill_value=-np.inf)
    best = good.groupby(found_rows.kind).rank(ascending=False, method="first") == 1
    return found_rows.assign(
        mark=range(1, len(rows) + 1), front=front, first=found_rows.baseline | front | best
    )


def _costs(every: pd.DataFrame, done: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """What each arm costs, in the order in which arms come; None where nobody knows."""
    timed = {arm: own.dropna() for arm, own in done.train_s.astype(float).groupby(done.arm)}
    found: dict[str, dict[str, float | None]] = {
        str(arm): {"seconds": None, "params": None, "macs": None} for arm in every.arm
    }
    for arm, seconds in timed.items():
        if len(seconds):
            found[str(arm)]["seconds"] = float(seconds.mean())
    for name in ("params", "macs"):
        known = every[name].notna()
        firsts = every[known].drop_duplicates("arm")
        for arm, size in zip(firsts.arm, firsts[name], strict=True):
            found[str(arm)][name] = float(size)
    return found


def _spread(rows: list[dict[str, Any]]) -> float:
    costs = [row["x"] for row in rows]
    return float(max(costs) / min(costs))


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw marks, intervals, the front, and names that do not cover each other."""
    width = paper.across(7.6)
    height = 2.5 if paper.narrow else 4.3 * paper.letters
    fig = sheet(width, height + 1)
    ax = fig.add_axes((0.1, 0.2, 0.86, height / (height + 1)))
    # Final before texts are placed, for they are placed in pixels.
    inches = width - pt(52) / 72
    ax.set_position((pt(46) / 72 / width, 0.2, inches / width, height / (height + 1)))
    ax.set_xscale("log")
    # Twice as much at the right, where most names stand.
    room = max(0.12 * math.log10(rows.x.max() / rows.x.min()), 0.02)
    ax.set_xlim(rows.x.min() / 10**room, rows.x.max() * 10 ** (2 * room))
    low, high = filled(rows.low, rows["mean"]), filled(rows.high, rows["mean"])
    shown = core(low.tolist(), high.tolist(), float(rows["mean"].median()))
    scale = scale_in(rows)
    ax.set_ylim(*scale.within(padded(*shown, 0.1, scale.least(1.0))))
    _axis(ax, 3 if paper.narrow else 4)
    by = str(rows.by.iloc[0])
    area = "macs" if by == "params" else "params"
    sizes = _sizes(rows[area])
    blocked = _front(ax, rows[rows.front])
    labels = _labels(rows, FEW_NAMES if paper.narrow else NAMES)
    # The baseline first, whose edge shows, then large ones: they lie below.
    order = rows.assign(size=-sizes).sort_values(["baseline", "size"], ascending=[False, True])
    for row in records(order):
        blocked += _point(ax, row, sizes[row.Index], named=labels[row.Index] is not None)
    _names(ax, rows, labels, blocked)
    _legend(ax, rows, sizes, area, paper)
    ax.set_xlabel(f"{COSTS[by]} (log)")
    ax.set_ylabel(scale.axis(rows.metric.iloc[0]))
    _key(ax, rows, labels, inches)
    return fig


def _labels(rows: pd.DataFrame, most: int) -> list[str | None]:
    """What stands beside each mark: its name or its number; of very many the last have neither."""
    if len(rows) <= most:
        return list[str | None](apart(rows.arm, 24, 2))
    # The most important by name, as many as have room; the others by number.
    order = rows.sort_values(["baseline", "front", "first"], ascending=False, kind="stable")
    named = set(order.index[: min(most // 2 + 1, int(rows["first"].sum()))])
    numbered = [i for i in order.index if i not in named][:ROWS]
    numbers = dict(zip(sorted(numbered), rows.mark[sorted(numbered)], strict=True))
    names = dict(zip(rows.index, apart(rows.arm, 24, 2), strict=True))
    return [
        names[row.Index] if row.Index in named else
        str(numbers[row.Index]) if row.Index in numbers else None
        for row in records(rows)
    ]  # fmt: skip


def _names(
    ax: Axes, rows: pd.DataFrame, labels: Sequence[str | None], blocked: Sequence[Bbox]
) -> None:
    words = list(zip(records(rows), labels, strict=True))
    notes = [
        Note(row.x, np.clip(row.mean, *ax.get_ylim()), 0, label, KINDS[row.kind].text)
        for row, label in sorted(words, key=lambda word: str(word[1]).isdigit())
        if label is not None
    ]
    label_points(ax, notes, blocked)


def _key(ax: Axes, rows: pd.DataFrame, labels: Sequence[str | None], inches: float) -> None:
    """The names of numbered marks, below the axis, in as many columns as have room."""
    numbered = [
        f"{label} {_short(row.arm)}"
        for row, label in zip(records(rows), labels, strict=True)
        if label is not None and label.isdigit()
    ]
    left = sum(label is None for label in labels)
    more = [f"{left} hollow marks have no number; the table has all"] if left else []
    if not numbered:
        return
    widest = max(map(len, numbered)) * LETTER * pt(8) / 72 + 0.12
    across = max(1, int((inches + 0.3) / widest))
    down = -(-len(numbered) // across)
    for k in range(across):
        text = "\n".join([*numbered[k * down : (k + 1) * down], *(more if k == 0 else [])])
        ax.annotate(
            text, (0, 0), (-pt(30) + k * widest * 72, -pt(36)), xycoords="axes fraction",
            textcoords="offset points", va="top", fontsize=pt(8), color=FAINT, linespacing=1.25,
        )  # fmt: skip


def _short(name: str) -> str:
    """A name without its middle, for many begin alike."""
    name, start = printable(name), KEY // 3
    dots = "\N{HORIZONTAL ELLIPSIS}"
    return name if len(name) <= KEY else name[:start] + dots + name[len(name) - KEY + start + 1 :]


def _axis(ax: Axes, least: int) -> None:
    left, right = ax.get_xlim()
    # The roundest numbers that make enough ticks; a power of ten has too few in most studies.
    for steps in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
        *((tuple(range(10, 100, step))) for step in (5, 2, 1)),
    ):
        whole = [s / (10 if s >= 10 else 1) for s in steps]
        # From a thousandth, of seconds, on.
        ticks = [s * 10.0**e for e in range(-3, 15) for s in whole]
        ticks = [tick for tick in ticks if left <= tick <= right]
        if len(ticks) >= least:
            break
    ax.xaxis.set_major_locator(FixedLocator(ticks[:: -(-len(ticks) // (2 * least))]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    ax.grid(color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def _front(ax: Axes, front: pd.DataFrame) -> list[Bbox]:
    """Draw the step line; give the pixels it takes."""
    x = np.repeat([*front.x, ax.get_xlim()[1]], 2)[1:-1]
    y = np.repeat(front["mean"].to_numpy(), 2)[: len(x)]
    ax.plot(x, y, zorder=1, **FRONT)
    corners = ax.transData.transform(np.column_stack([x, y]))
    return [
        Bbox.from_extents(*np.minimum(a, b) - 1.5, *np.maximum(a, b) + 1.5)
        for a, b in itertools.pairwise(corners)
    ]


def _sizes(areas: "pd.Series[float]") -> "pd.Series[float]":
    """Diameters in points: areas are proportional, except the very small."""
    # Within a factor of 1.5 areas look alike, and would only make readers compare them.
    if areas.isna().any() or areas.max() < 1.5 * areas.min():
        return pd.Series(pt(8.0), index=areas.index)
    share = areas.astype(float) / float(areas.max())
    # From 18 points for the largest to 5, which still have a shape.
    return pd.Series(pt(1) * np.maximum(18 * np.sqrt(share.to_numpy()), 5.0), index=areas.index)


def _point(ax: Axes, row: Any, size: float, *, named: bool) -> list[Bbox]:
    """Draw a mark and its interval where they are; give the pixels they take."""
    look = KINDS[row.kind]
    floor, roof = ax.get_ylim()
    shape, y = look.marker, row.mean
    if not floor <= y <= roof:
        shape, y = ("v", floor) if y < floor else ("^", roof)
    ax.plot(
        row.x, y, marker=shape, markersize=size, zorder=3 if named else 2, clip_on=False,
        markerfacecolor=look.colour if named else "white", gid=f"mark-{row.mark}",
        markeredgewidth=1.3 if row.baseline else 0.8, alpha=0.85,
        markeredgecolor=INK if row.baseline else "white" if named else look.colour,
    )  # fmt: skip
    x, middle = ax.transData.transform((row.x, y))
    reach = size / 2 * float(root(ax).dpi / 72)
    taken = [Bbox.from_extents(x - reach, middle - reach, x + reach, middle + reach)]
    if named and pd.notna(row.low) and floor <= row.mean <= roof:
        ax.plot([row.x] * 2, [row.low, row.high], color=INK, linewidth=pt(1.0), zorder=4)
        ends = [ax.transData.transform((row.x, end))[1] for end in (row.low, row.high)]
        taken.append(Bbox.from_extents(x - 2, ends[0], x + 2, ends[1]))
    return taken


def _legend(
    ax: Axes, rows: pd.DataFrame, sizes: "pd.Series[float]", area: str, paper: Paper
) -> None:
    """Shapes and sizes above the axes; proxies, for a legend's handles are the live marks."""
    handles = [
        Line2D([], [], marker=look.marker, color=look.colour, linestyle="none", label=name,
               markersize=pt(7))
        for name, look in KINDS.items()
        if name in set(rows.kind) and set(rows.kind) != {"other"}
    ]  # fmt: skip
    if sizes.max() > sizes.min():
        word = "parameters" if area == "params" else "MACs"
        handles += [
            Line2D([], [], marker="o", markersize=sizes.iloc[i], linestyle="none",
                   markerfacecolor="none", color=FAINT,
                   label=f"area: {count(rows[area].iloc[i])} {word}")
            for i in (int(rows[area].argmin()), int(rows[area].argmax()))
        ]  # fmt: skip
    handles.append(Line2D([], [], label="best at this cost or less", **FRONT))
    ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.01),
        ncol=3 if paper.narrow else len(handles),
        fontsize=pt(8), frameon=False, borderaxespad=0, columnspacing=1.3, handletextpad=0.4,
        handlelength=1.5,
    )  # fmt: skip


FIGURE = Figure(
    title="Results against cost",
    table=table,
    draw=draw,
    absent="the arms with results all cost the same, or their cost was not recorded",
    by=tuple((by, partial(table, by=by)) for by in COSTS),
)
