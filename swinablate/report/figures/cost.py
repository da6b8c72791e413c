"""Results against multiply-accumulates of one forward pass, on a logarithmic axis.

Shape and colour give the kind of network, area the parameters. Bars are t-intervals of each mean,
often smaller than the mark. The dashed line is the best mean that any arm reaches at that cost or
less. Small hollow marks are the other arms of a family at that cost, without name and interval;
named marks of equal cost stand side by side.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import Bbox, ScaledTranslation

from swinablate.records.plan import ArmRecord
from swinablate.report.drawing import Canvas, Figure, records
from swinablate.report.drawing.ink import FAINT, GRID, INK, root, sheet, wrapped
from swinablate.report.drawing.interval import mean
from swinablate.report.drawing.numbers import count
from swinablate.report.drawing.place import Note, core, label_points, padded
from swinablate.report.drawing.scale import said, scale_in, scale_of
from swinablate.report.results import StudyResults

COLUMNS = (
    "arm", "baseline", "family", "kind", "params", "macs", "mean", "low", "high", "n", "front",
    "label", "level", "metric",
)  # fmt: skip
KINDS: Mapping[str, tuple[str, str, str]] = {
    "Swin": ("o", "#0072B2", "#0072B2"),
    "ViT": ("D", "#E69F00", "#8A5A00"),
    "CNN": ("s", "#009E73", "#00734F"),
    "other": ("h", "#CC79A7", "#9C3F74"),
}
"""Kind -> shape, colour of the mark, colour of its name (dark enough for text)."""
CNN = ("resnet", "vgg", "nin", "googlenet", "convnext", "lenet", "alexnet", "densenet",
       "mobilenet", "efficientnet", "cnn")  # fmt: skip
SAME_COST = 0.02
"""Costs that differ by a smaller share are one: their marks would cover each other."""
NAMES = 9
"""With more names than this the plot is text."""
BESIDE = 13  # points between named marks of equal cost
FRONT: dict[str, Any] = {"color": "#8A8A8A", "linewidth": 1.1, "linestyle": (0, (4, 3))}
"""Thin, grey and dashed: no arm, and behind all of them; the legend draws it alike."""


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every arm with a mean and a cost, cheapest first."""
    level = 1 - answer.verdicts["alpha"]
    measured = answer.trials.assign(value=answer.values)
    values = measured[measured.status == "done"].groupby("arm")["value"]
    rows = []
    families = {arm.name: _family(arm) for arm in answer.plan.arms}
    for arm, trials in answer.trials.groupby("arm", sort=False):
        macs, params = trials.macs.dropna(), trials.params.dropna()
        found = mean(
            values.get_group(arm).dropna().tolist() if arm in values.groups else [], level
        )
        if found.n and len(macs):
            rows.append(
                {"arm": arm, "baseline": arm == answer.verdicts["baseline"]["name"],
                 "family": families.get(str(arm), ""), "kind": kind(families.get(str(arm), "")),
                 "params": params.iloc[0] if len(params) else None, "macs": macs.iloc[0],
                 "mean": found.mean, "low": found.low, "high": found.high, "n": found.n,
                 "level": level, "metric": answer.verdicts["metric"], **said(answer.verdicts)}
            )  # fmt: skip
    if len({row["macs"] for row in rows}) < 2 or _spread(rows) < 1 + SAME_COST:
        return pd.DataFrame(columns=list(COLUMNS))
    found_rows = pd.DataFrame(rows, columns=[*COLUMNS, *said(answer.verdicts)])
    sign = scale_of(answer.verdicts).sign
    # Ties in cost: the better first, or the front would get a false vertical step.
    found_rows = found_rows.sort_values(
        ["macs", "mean"], ascending=[True, sign < 0], ignore_index=True
    )
    good = sign * found_rows["mean"]
    found_rows["front"] = good > good.cummax().shift(fill_value=-np.inf)
    return found_rows.assign(label=_labels(found_rows))


def kind(family: str) -> str:
    """Swin, ViT, CNN, or other, from the name of a family."""
    name = family.rpartition(":")[2].lower()
    if "swin" in name:
        return "Swin"
    if "vit" in name or "deit" in name:
        return "ViT"
    return "CNN" if any(word in name for word in CNN) else "other"


def draw(rows: pd.DataFrame) -> Canvas:
    """Draw marks, intervals, the front, and names that do not cover each other."""
    fig = sheet(7.6, 4.6)
    ax = fig.add_axes((0.1, 0.13, 0.86, 0.78))
    ax.set_xscale("log")
    # Twice as much at the right, where most names stand.
    room = 0.12 * math.log10(rows.macs.max() / rows.macs.min())
    ax.set_xlim(rows.macs.min() / 10**room, rows.macs.max() * 10 ** (2 * room))
    low, high = rows.low.fillna(rows["mean"]), rows.high.fillna(rows["mean"])
    shown = core(low.tolist(), high.tolist(), float(rows["mean"].median()))
    scale = scale_in(rows)
    ax.set_ylim(*scale.within(padded(*shown, 0.1, scale.least(1.0))))
    _axis(ax)
    sizes = _sizes(rows.params)
    blocked = _front(ax, rows[rows.front])
    for row in records(rows[rows.label == ""]):
        blocked += _point(ax, row, 4.5, 0)
    named = rows[rows.label != ""]
    aside = _aside(named)
    for row in records(named):
        blocked += _point(ax, row, sizes[row.Index], aside[row.Index])
    notes = [
        Note(row.macs, np.clip(row.mean, *ax.get_ylim()), aside[row.Index], row.label,
             KINDS[row.kind][2])
        for row in records(named)
    ]  # fmt: skip
    label_points(ax, notes, blocked)
    _legend(ax, rows, sizes)
    ax.set_xlabel("multiply-accumulates of one image, forward (log scale)")
    ax.set_ylabel(scale.axis(rows.metric[0]))
    return fig


def _family(arm: ArmRecord) -> str:
    return str(arm.recipe["model"]["family"]) if arm.recipe else ""


def _spread(rows: list[dict[str, Any]]) -> float:
    costs = [row["macs"] for row in rows]
    return float(max(costs) / min(costs))


def _labels(rows: pd.DataFrame) -> list[str]:
    """Who gets a name: the baseline, the front, the best of each family at each cost."""
    group = (np.log(rows.macs).diff().abs() > SAME_COST).cumsum().astype(str) + rows.family
    size = rows.groupby(group).arm.transform("size")
    alone = (
        rows.groupby(group)["mean"].rank(ascending=scale_in(rows).sign < 0, method="first") == 1
    )
    champion = (
        rows.groupby("kind")["mean"].rank(ascending=scale_in(rows).sign < 0, method="first") == 1
    )
    first = rows.baseline | rows.front | champion
    named = first | alone | (size <= 3)
    for fewer in (first | alone, first):  # until the names have room
        named = named if named.sum() <= NAMES else fewer
    return [
        wrapped(name, 24, 2) if some else "" for name, some in zip(rows.arm, named, strict=True)
    ]


def _axis(ax: Axes) -> None:
    left, right = ax.get_xlim()
    # The roundest numbers that make four ticks; a power of ten has too few in most studies.
    for steps in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
        *((tuple(range(10, 100, step))) for step in (5, 2)),
    ):
        whole = [s / (10 if s >= 10 else 1) for s in steps]
        ticks = [s * 10.0**e for e in range(15) for s in whole if left <= s * 10.0**e <= right]
        if len(ticks) >= 4:
            break
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    ax.grid(color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def _aside(named: pd.DataFrame) -> dict[Any, float]:
    """Points that each named mark moves sideways, so that equal costs do not hide each other."""
    moved: dict[Any, float] = {}
    for _, same in named.groupby((np.log(named.macs).diff() > SAME_COST).cumsum()):
        order = same.sort_values("mean", ascending=False).index
        moved |= {i: BESIDE * (k - (len(order) - 1) / 2) for k, i in enumerate(order)}
    return moved


def _front(ax: Axes, front: pd.DataFrame) -> list[Bbox]:
    """Draw the step line; give the pixels it takes."""
    x = np.repeat([*front.macs, ax.get_xlim()[1]], 2)[1:-1]
    y = np.repeat(front["mean"].to_numpy(), 2)[: len(x)]
    ax.plot(x, y, zorder=1, **FRONT)
    corners = ax.transData.transform(np.column_stack([x, y]))
    return [
        Bbox.from_extents(*np.minimum(a, b) - 1.5, *np.maximum(a, b) + 1.5)
        for a, b in itertools.pairwise(corners)
    ]


def _sizes(params: "pd.Series[float]") -> "pd.Series[float]":
    """Diameters in points: areas are proportional to the parameters, except the very small."""
    # Within a factor of 1.5 areas look alike, and would only make readers compare them.
    if params.isna().any() or params.max() < 1.5 * params.min():
        return pd.Series(8.0, index=params.index)
    share = params.astype(float) / float(params.max())
    # From 18 points for the largest to 5, which still have a shape.
    return pd.Series(np.maximum(18 * np.sqrt(share.to_numpy()), 5.0), index=params.index)


def _pixel(ax: Axes, x: float, y: float, aside: float) -> tuple[float, float]:
    low, high = ax.get_ylim()
    across, up = ax.transData.transform((x, min(max(y, low), high)))
    return across + aside * _scale(ax), up


def _scale(ax: Axes) -> float:
    """Pixels in a point."""
    return float(root(ax).dpi / 72)


def _point(ax: Axes, row: Any, size: float, aside: float) -> list[Bbox]:
    """Draw a mark and its interval; give the pixels they take."""
    shape, colour, _ = KINDS[row.kind]
    floor, roof = ax.get_ylim()
    named, y = row.label != "", row.mean
    if not floor <= y <= roof:
        shape, y = ("v", floor) if y < floor else ("^", roof)
    scale = _scale(ax)
    moved = ax.transData + ScaledTranslation(aside / 72, 0, root(ax).dpi_scale_trans)
    ax.plot(
        row.macs, y, marker=shape, markersize=size, zorder=3 if named else 2, clip_on=False,
        markerfacecolor=colour if named else "white", markeredgewidth=0.8 if named else 1.0,
        markeredgecolor="white" if named else colour, transform=moved,
    )  # fmt: skip
    x, middle = _pixel(ax, row.macs, y, aside)
    reach = size / 2 * scale
    taken = [Bbox.from_extents(x - reach, middle - reach, x + reach, middle + reach)]
    if named and pd.notna(row.low) and floor <= row.mean <= roof:
        ax.plot([row.macs] * 2, [row.low, row.high], color=INK, linewidth=1.0, zorder=4,
                transform=moved)  # fmt: skip
        ends = [_pixel(ax, row.macs, end, aside)[1] for end in (row.low, row.high)]
        taken.append(Bbox.from_extents(x - 2, ends[0], x + 2, ends[1]))
    return taken


def _legend(ax: Axes, rows: pd.DataFrame, sizes: "pd.Series[float]") -> None:
    """Shapes and sizes above the axes; proxies, for a legend's handles are the live marks."""
    handles = [
        Line2D([], [], marker=shape, color=colour, linestyle="none", label=name)
        for name, (shape, colour, _) in KINDS.items()
        if name in set(rows.kind) and set(rows.kind) != {"other"}
    ]
    if sizes.max() > sizes.min():
        ends = (int(rows.params.argmin()), int(rows.params.argmax()))
        handles += [
            Line2D([], [], marker="o", markersize=sizes.iloc[i], linestyle="none",
                   markerfacecolor="none", color=FAINT,
                   label=f"{count(rows.params.iloc[i])} parameters")
            for i in ends
        ]  # fmt: skip
    handles.append(Line2D([], [], label="best at this cost or less", **FRONT))
    ax.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1.01), ncol=len(handles),
        fontsize=8.5, frameon=False, borderaxespad=0, columnspacing=1.6, handletextpad=0.5,
    )  # fmt: skip


FIGURE = Figure(
    title="Results against cost",
    table=table,
    draw=draw,
    absent="the arms with results all cost the same, or their cost was not recorded",
)
