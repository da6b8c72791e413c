"""What was measured while training: in a study, validation accuracy after every epoch.

Thin: single seeds. Thick: mean of the finished seeds.
The band is the pointwise t-interval of that mean (3 seeds or more), for reading, not for verdicts.
Few arms share one plot, with its last third enlarged at the right, where that is a curve; many
arms have a panel each, over the baseline in black, without the first third. The last mean stands
beside each line, with half the width of its interval. A dotted line is a seed that failed,
diverged or still runs; it is not in the mean.
"""

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from swinablate.report.drawing import Canvas, Figure, records
from swinablate.report.drawing.ink import FAINT, GRID, INK, OKABE_ITO, dark, sheet, wrapped
from swinablate.report.drawing.interval import mean
from swinablate.report.drawing.numbers import PM, plain
from swinablate.report.drawing.panels import panels
from swinablate.report.drawing.place import core, padded, spread
from swinablate.report.drawing.scale import said, scale_in
from swinablate.report.results import StudyResults

COLUMNS = (
    "mark", "arm", "baseline", "seed", "status", "epoch", "val_acc", "low", "high", "n", "level"
)  # fmt: skip
TOGETHER = 4
"""More lines than this in one plot cannot be told apart."""
# Thin and pale, for there are many; as seaborn's lineplot draws them.
DONE: dict[str, Any] = {
    "linewidth": 0.6,
    "alpha": 0.4,
    "capstyle": "projecting",
    "joinstyle": "round",
}
# Few, and to be seen.
LOST: dict[str, Any] = {"linewidth": 1.0, "alpha": 0.9, "linestyle": ":", "joinstyle": "round"}
FEW = 3  # seeds; the interval of two is wider than the plot


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every epoch of every trial (`seed`) and of every arm's mean (`mean`)."""
    if answer.curves.empty or not answer.curves.val_acc.notna().any():
        return pd.DataFrame(columns=list(COLUMNS))
    level = 1 - answer.verdicts["alpha"]
    status = answer.trials.set_index(["arm", "seed"]).status
    points = answer.curves[["arm", "seed", "epoch", "val_acc"]].join(status, on=["arm", "seed"])
    points = points[np.isfinite(points.val_acc.astype(float))]
    place = {name: k for k, name in enumerate(dict.fromkeys(a.name for a in answer.plan.arms))}
    points = points[points.arm.isin(place)]
    frames = [points.assign(mark="seed"), _means(points[points.status == "done"], level)]
    # One frame of all arms: pandas takes milliseconds for each, and a study may have 1,000 arms.
    found = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    found["baseline"] = found.arm == answer.verdicts["baseline"]["name"]
    found["level"] = level
    order = found.arm.map(place) + 0.5 * (found["mark"] == "mean")
    found = found.iloc[np.argsort(order.to_numpy(), kind="stable")].reset_index(drop=True)
    return pd.DataFrame(found, columns=list(COLUMNS)).assign(**_elsewhere(answer))


def _means(done: pd.DataFrame, level: float) -> pd.DataFrame:
    """A row for every epoch of every arm's mean."""
    values: defaultdict[tuple[str, Any], list[float]] = defaultdict(list)
    for arm, epoch, value in zip(done.arm, done.epoch, done.val_acc, strict=True):
        values[arm, epoch].append(value)
    rows = []
    for arm, epoch in sorted(values):
        found = mean(values[arm, epoch], level)
        rows.append(
            {"mark": "mean", "arm": arm, "epoch": epoch, "n": found.n, "val_acc": found.mean,
             "low": found.low, "high": found.high}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _elsewhere(answer: StudyResults) -> dict[str, Any]:
    """What the curves of a study need not say: what was measured, and on what scale."""
    judged = answer.verdicts
    return {} if judged.get("declared", True) else {"metric": judged["metric"], **said(judged)}


def _words(rows: pd.DataFrame) -> tuple[str, str]:
    """What is called what along both axes."""
    if "metric" not in rows:
        return "epoch", "validation accuracy (%)"
    return "step", scale_in(rows).axis(str(rows.metric.iloc[0]))


def draw(rows: pd.DataFrame) -> Canvas:
    """All arms in one plot, or a panel for each."""
    return _together(rows) if rows.arm.nunique() <= TOGETHER else _panels(rows)


def _together(rows: pd.DataFrame) -> Canvas:
    fig = sheet(9.2, 4.0)
    last, (x, y) = int(rows.epoch.max()), _words(rows)
    start = _late(rows, 2 / 3)
    short = start == last  # its last third is one epoch: there is nothing to enlarge
    whole = fig.add_axes((0.07, 0.14, 0.73 if short else 0.36, 0.82))
    zoom = whole if short else fig.add_axes((0.51, 0.14, 0.29, 0.82))
    for ax in dict.fromkeys((whole, zoom)):
        for arm, colour in _coloured(rows).items():
            _lines(ax, rows[rows.arm == arm], colour)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y", color=GRID, linewidth=0.7)
        ax.set_axisbelow(True)
    whole.set_xlim(rows.epoch.min(), max(last, int(rows.epoch.min()) + 1))
    whole.set_ylim(*scale_in(rows).within(whole.get_ylim()))
    whole.set_xlabel(x)
    whole.set_ylabel(y)
    if not short:
        whole.axvspan(start, last, color="#F0F0F0", linewidth=0, zorder=0)
        zoom.set_ylabel("")
        zoom.set_xlim(start, last)
        zoom.set_ylim(*_range(rows[rows.epoch >= start]))
        zoom.set_xlabel(f"{x} (shaded part, enlarged)")
    _ends(zoom, rows)
    return fig


def _panels(rows: pd.DataFrame) -> Canvas:
    others = dict.fromkeys(rows.arm[~rows.baseline])
    means = rows[rows["mark"] == "mean"]
    lasts = means.groupby("arm").val_acc.last()
    fig, axes = panels({arm: lasts.get(arm, np.nan) for arm in others}, *_words(rows))
    late = rows[rows.epoch >= _late(rows, 1 / 3)]
    limits = _range(late[late.baseline | late.arm.isin([arm for arm, _ in axes])])
    base = late[late.baseline & (late["mark"] == "mean")]
    own = late.groupby("arm")
    for arm, ax in axes:
        mine = own.get_group(arm) if arm in own.groups else late[:0]
        _lines(ax, base, INK)
        _lines(ax, mine, OKABE_ITO[1])
        ax.set_xlim(late.epoch.min(), max(late.epoch.max(), late.epoch.min() + 1))
        ax.set_ylim(*limits)
        ends = [_value(end, limits) for end in records(mine[mine["mark"] == "mean"].tail(1))]
        ax.text(0.98, 0.05, ends[0] if ends else "no finished seed", transform=ax.transAxes,
                ha="right", fontsize=8, color=dark(OKABE_ITO[1]) if ends else FAINT)  # fmt: skip
        ax.set(xlabel="", ylabel="")
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(4))
        ax.grid(axis="y", color=GRID, linewidth=0.7)
    return fig


def _coloured(rows: pd.DataFrame) -> dict[str, str]:
    """The others in the palette's order, the baseline in black; drawn last, it stays on top."""
    rest, base = dict.fromkeys(rows.arm[~rows.baseline]), dict.fromkeys(rows.arm[rows.baseline])
    return {**dict(zip(rest, OKABE_ITO, strict=False)), **dict.fromkeys(base, INK)}


def _lines(ax: Axes, rows: pd.DataFrame, colour: str) -> None:
    seeds, means = rows[rows["mark"] == "seed"], rows[rows["mark"] == "mean"]
    done = seeds.status == "done"
    for every, style in ((seeds[done], DONE), (seeds[~done], LOST)):
        # One artist: matplotlib takes a millisecond for each, and a study may have 10,000 seeds.
        if len(every):
            some = every.sort_values(["seed", "epoch"])
            begins = np.flatnonzero(np.diff(some.seed.to_numpy(float))) + 1
            lines = np.split(some[["epoch", "val_acc"]].to_numpy(float), begins)
            ax.add_collection(LineCollection(lines, color=colour, zorder=2, **style))
    known = means[means.n >= FEW]
    ax.fill_between(
        known.epoch.astype(float), known.low.astype(float), known.high.astype(float),
        color=colour, alpha=0.16, linewidth=0,
    )  # fmt: skip
    alone = "o" if len(means) == 1 else None  # a line through one point is none
    ax.plot(means.epoch, means.val_acc, color=colour, linewidth=1.9, marker=alone)


def _late(rows: pd.DataFrame, share: float) -> int:
    first, last = int(rows.epoch.min()), int(rows.epoch.max())
    return first + round((last - first) * share)


def _range(rows: pd.DataFrame) -> tuple[float, float]:
    """The values to show, without arms so far off that they would flatten the others."""
    seeds = rows[rows["mark"] == "seed"]
    done = seeds[seeds.status == "done"]
    shown = done if len(done) else seeds
    ends = shown.groupby("arm").val_acc.agg(["min", "max"])
    low, high = core(ends["min"].tolist(), ends["max"].tolist(), float(ends["max"].median()))
    scale = scale_in(rows)
    return scale.within(padded(low, high, 0.12, scale.least(2.0)))


def _ends(ax: Axes, rows: pd.DataFrame) -> None:
    """Name each line at its right end; names that would overlap move apart."""
    colours, (low, high) = _coloured(rows), ax.get_ylim()
    lasts = rows[rows["mark"] == "mean"].sort_values("epoch").groupby("arm", sort=False).tail(1)
    texts, ends = [], []
    for arm in records(lasts):
        texts.append((f"{wrapped(arm.arm, 26, 2)}\n{_value(arm, (low, high))}", arm.arm))
        ends.append(float(np.clip(arm.val_acc, low, high)))
    tallest = max((text.count("\n") + 1 for text, _ in texts), default=1)
    # In points, 72 to the inch, of pixels, 100 to the inch; a line of text takes 11.5 of them.
    height = ax.get_window_extent().height * 72 / 100
    gap = (tallest * 11.5 + 3) * (high - low) / height
    for (text, arm), end, at in zip(texts, ends, spread(ends, gap), strict=True):
        style = {"arrowstyle": "-", "color": colours[arm], "linewidth": 0.7, "shrinkA": 0}
        ax.annotate(
            text, (1, end), (1.06, at), xycoords=ax.get_yaxis_transform(), va="center",
            textcoords=ax.get_yaxis_transform(), color=dark(colours[arm]), fontsize=8.5,
            linespacing=1.1, arrowprops=style, annotation_clip=False,
        )  # fmt: skip


def _value(end: Any, limits: tuple[float, float]) -> str:
    """The last mean in words, with its interval from three seeds on."""
    places = 1 if getattr(end, "unit", "pp") == "pp" else int(end.places)
    width = f" {PM} {plain((end.high - end.low) / 2, places)}" if end.n >= FEW else ""
    low, high = limits
    where = " (below)" if end.val_acc < low else " (above)" if end.val_acc > high else ""
    return f"{plain(end.val_acc, places)}{width}, n = {int(end.n)}{where}"


FIGURE = Figure(
    title="Learning curves",
    table=table,
    draw=draw,
    absent="no curve was recorded",
)
