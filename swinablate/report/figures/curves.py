"""What was measured while training: validation accuracy by epoch, or a command's metric.

Thin: single seeds. Thick: mean of the finished seeds.
The band is the pointwise t-interval of that mean (3 seeds or more), for reading, not for verdicts.
Few arms share one plot, and its last third is enlarged where that is a curve; many arms have a
panel each, over the baseline in black, with the last third inset. The last mean stands
beside each line, and the standard deviation over seeds, or over splits of the data where these
are drawn. A dotted line is a seed that failed, diverged or still runs; it is not in the mean.
After a single epoch there are points.
Of more than 50 seeds of an arm, 50 are drawn as lines, evenly spaced in the order of their last
values, the lowest and the highest among them; the mean, its band and the table have all.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.ink import (
    FAINT,
    GRID,
    INK,
    OKABE_ITO,
    apart,
    dark,
    pt,
    root,
    sheet,
)
from swinablate.report.drawing.interval import mean
from swinablate.report.drawing.numbers import PM, mean_sd, plain
from swinablate.report.drawing.panels import Box, clear, epochs, late, panels, reach, whole_steps
from swinablate.report.drawing.place import core, padded, spread
from swinablate.report.drawing.scale import said, scale_in
from swinablate.report.results import StudyResults, over_units
from swinablate.text import two_digits

COLUMNS = (
    "mark", "arm", "baseline", "seed", "status", "epoch", "val_acc", "low", "high", "sd", "n",
    "level",
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
MOST = 50
"""Lines of one arm: more run into one grey patch, and 10,000 of them made a page of 15 MB."""
FEW = 3  # seeds; the interval of two is wider than the plot
CURVE = 6
"""Epochs from which the last third is a curve, and worth enlarging."""
DOTS = 12
"""Epochs up to which every one has a dot: fewer points than that are hardly a line."""
LATE = "#F0F0F0"
"""Behind the epochs that are enlarged."""


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
    done = over_units(answer.plan, points[points.status == "done"], "epoch", "val_acc")
    frames = [points.assign(mark="seed"), _means(done, level)]
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
             "low": found.low, "high": found.high, "sd": found.sd}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _elsewhere(answer: StudyResults) -> dict[str, Any]:
    """What the curves of a study need not say: what was measured, and on what scale."""
    judged = answer.verdicts
    if not judged.get("declared", True):
        return {"metric": judged["metric"], **said(judged)}
    if answer.plan.arms and answer.plan.baseline.commanded:
        return {"metric": judged["metric"], "along": "epoch", **said(judged)}
    return {}


def _words(rows: pd.DataFrame) -> tuple[str, str]:
    """What is called what along both axes."""
    if "metric" not in rows:
        return "epoch", "validation accuracy (%)"
    along = str(rows.along.iloc[0]) if "along" in rows else "step"
    return along, scale_in(rows).axis(str(rows.metric.iloc[0]))


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """All arms in one plot, or a panel for each."""
    few = rows.arm.nunique() <= TOGETHER
    return _together(rows, paper) if few else _panels(rows, paper)


def _together(rows: pd.DataFrame, paper: Paper) -> Canvas:
    (x, y), enlarged = _words(rows), epochs(rows) >= CURVE
    width = paper.across(9.2)
    plots = 2 if enlarged else 1
    across, down = (1, plots) if paper.narrow else (plots, 1)
    tall = 1.75 if paper.narrow else 3.4 * paper.letters  # inches a plot
    whole_height = (tall + 0.45) * down + 0.5
    fig = sheet(width, whole_height)
    # Names stand at the right, about 26 letters wide.
    grid = fig.add_gridspec(
        down, across, left=pt(48) / 72 / width, right=1 - pt(128) / 72 / width, top=0.93,
        bottom=0.5 / whole_height, hspace=0.5, wspace=0.28,
    )  # fmt: skip
    axes = [fig.add_subplot(grid[k]) for k in range(plots)]
    own, until = _by_arm(rows), rows.epoch[rows.epoch <= late(rows, 2 / 3)].max()
    for ax in axes:
        reach(ax, rows, 5)
        for arm, colour in _coloured(rows).items():
            _lines(ax, own[arm] if ax is axes[0] else _since(own[arm], until), colour)
        ax.grid(axis="y", color=GRID, linewidth=0.7)
        ax.set_axisbelow(True)
    whole, zoom = axes[0], axes[-1]
    whole.set_ylim(*scale_in(rows).within(whole.get_ylim()))
    whole.set_ylabel(y)
    zoom.set_xlabel(x)
    if enlarged:
        start, last = late(rows, 2 / 3), float(rows.epoch.max())
        whole.axvspan(start, last, color=LATE, linewidth=0, zorder=0)
        zoom.set_xlim(start, last)
        zoom.xaxis.set_major_locator(MaxNLocator(5, integer=whole_steps(rows)))
        zoom.set_ylim(*_range(rows[rows.epoch >= start]))
        zoom.set_xlabel(f"{x} (shaded part, enlarged)")
        if across == 2:
            whole.set_xlabel(x)
    # Where plots stand above each other, the lower one is the enlarged one, whose ends are apart.
    _ends(zoom, rows)
    _key(whole, rows, {}, paper)
    return fig


def _panels(rows: pd.DataFrame, paper: Paper) -> Canvas:
    others = dict.fromkeys(rows.arm[~rows.baseline])
    finals = rows[rows["mark"] == "mean"].groupby("arm").val_acc.last()
    values = {arm: finals.get(arm, np.nan) for arm in others}
    fig, axes = panels(values, *_words(rows), paper)
    shown = rows[rows.baseline | rows.arm.isin([arm for arm, _ in axes])]
    start, last = late(rows, 2 / 3), float(rows.epoch.max())
    near, means = _range(shown[shown.epoch >= start]), shown[shown["mark"] == "mean"]
    own = _by_arm(shown)
    none = _plain(shown[:0])
    base = own.get(next(iter(rows.arm[rows.baseline]), ""), none)
    base = base[~base.seeds]
    lasts = {str(end.arm): end for end in records(means.groupby("arm", sort=False).tail(1))}
    seeds = shown[(shown["mark"] == "seed") & np.isfinite(shown.val_acc.astype(float))]
    limits = scale_in(rows).within(padded(float(seeds.val_acc.min()), float(seeds.val_acc.max())))
    for arm, ax in axes:
        mine = own.get(arm, none)
        reach(ax, rows, 4)
        _lines(ax, base, INK)
        _lines(ax, mine, OKABE_ITO[1])
        ax.set_ylim(*limits)
        lines, low = [base, mine[~mine.seeds]], scale_in(rows).sign < 0
        ends = lines[1].val_acc[lines[1].epoch > start]
        # Without a mean of the arm's an inset would enlarge nothing.
        worth = epochs(rows) >= CURVE and ends.between(*near).any()
        if worth and (box := clear(ax, lines, low=low)):
            part = _inset(ax, box, near, (start, last))
            _lines(part, base, INK)
            _lines(part, _since(mine, mine.epoch[mine.epoch <= start].max()), OKABE_ITO[1])
        end = _value(lasts[arm], limits) if arm in lasts else ""
        # Above the panel: inside, a curve may run anywhere.
        ax.text(1, 1.01, end or "no finished seed", transform=ax.transAxes,
                ha="right", va="bottom", fontsize=pt(8),
                color=dark(OKABE_ITO[1]) if end else FAINT)  # fmt: skip
        ax.yaxis.set_major_locator(MaxNLocator(4))
        ax.grid(axis="y", color=GRID, linewidth=0.7)
    _key(axes[0][1], rows, {"the arm": OKABE_ITO[1], "baseline": INK}, paper)
    return fig


def _inset(ax: Axes, box: Box, limits: tuple[float, float], ends: tuple[float, float]) -> Axes:
    """The last third, where the curves leave room."""
    part = ax.inset_axes(box)
    part.set_xlim(*ends)
    part.set_ylim(*limits)
    part.tick_params(labelsize=pt(8), length=2, pad=1.5)
    part.xaxis.set_major_locator(MaxNLocator(2, integer=all(end % 1 == 0 for end in ends)))
    part.yaxis.set_major_locator(MaxNLocator(2))
    part.grid(axis="y", color=GRID, linewidth=0.5)
    for spine in part.spines.values():
        spine.set(visible=True, color=FAINT, linewidth=0.5)
    ax.axvspan(*ends, color=LATE, linewidth=0, zorder=0)
    return part


def _coloured(rows: pd.DataFrame) -> dict[str, str]:
    """The others in the palette's order, the baseline in black; drawn last, it stays on top."""
    rest, base = dict.fromkeys(rows.arm[~rows.baseline]), dict.fromkeys(rows.arm[rows.baseline])
    return {**dict(zip(rest, OKABE_ITO, strict=False)), **dict.fromkeys(base, INK)}


def _by_arm(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The plain rows of every arm."""
    arms = rows.arm.to_numpy(object)
    return {str(arm): own for arm, own in _plain(rows).groupby(arms, sort=False)}


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as numbers, and what is a seed, and is done: to choose among words takes longer."""
    numbers = rows[["seed", "epoch", "val_acc", "low", "high", "n"]].astype(float)
    return numbers.assign(
        seeds=np.asarray(rows["mark"] == "seed", bool),
        done=np.asarray(rows.status == "done", bool),
    )


def _lines(ax: Axes, rows: pd.DataFrame, colour: str) -> None:
    seeds, means = rows[rows.seeds], rows[~rows.seeds]
    done = seeds.done
    known = means[means.n >= FEW]
    if len(set(rows.epoch)) <= 1:
        _points(ax, seeds[done], means, colour)
        return
    for every, style in ((seeds[done], DONE), (seeds[~done], LOST)):
        # One artist: matplotlib takes a millisecond for each, and a study may have 10,000 seeds.
        if len(every):
            some = _sample(every).sort_values(["seed", "epoch"])
            begins = np.flatnonzero(np.diff(some.seed.to_numpy(float))) + 1
            lines = np.split(some[["epoch", "val_acc"]].to_numpy(), begins)
            ax.add_collection(LineCollection(lines, color=colour, zorder=2, **style))
    ax.fill_between(known.epoch, known.low, known.high, color=colour, alpha=0.16, linewidth=0)
    dots = "o" if len(means) <= DOTS else None
    ax.plot(
        means.epoch, means.val_acc, color=colour, linewidth=pt(1.9), marker=dots,
        markersize=pt(3.5),
    )  # fmt: skip


def _since(rows: pd.DataFrame, until: float) -> pd.DataFrame:
    """The rows of an arm without what seeds did before the last epoch that is not enlarged."""
    return rows[~rows.seeds | ~(rows.epoch < until)]


def _sample(seeds: pd.DataFrame) -> pd.DataFrame:
    """The rows of at most `MOST` seeds, evenly spaced in the order of their last values."""
    if seeds.seed.nunique() <= MOST:
        return seeds
    order = seeds.sort_values("epoch").groupby("seed").val_acc.last().sort_values(kind="stable")
    kept = order.index[np.linspace(0, len(order) - 1, MOST).round().astype(int)]
    return seeds[seeds.seed.isin(kept)]


def _points(ax: Axes, seeds: pd.DataFrame, means: pd.DataFrame, colour: str) -> None:
    """What one epoch has: a dot a seed, the mean and its interval; beside those of other arms."""
    at = float(seeds.epoch.iloc[0] if len(seeds) else means.epoch.iloc[0] if len(means) else 0.0)
    left, right = ax.get_xlim()
    at += 0.09 * (right - left) * (sum(line.get_marker() == "D" for line in ax.lines) - 1.5)
    beside = at + 0.03 * (right - left)
    ax.plot(np.full(len(seeds), at), seeds.val_acc, "o", color=colour, alpha=0.5,
            markersize=pt(3.5), markeredgewidth=0)  # fmt: skip
    for point in records(means):
        ax.plot(beside, point.val_acc, marker="D", color=colour, markersize=pt(5))
        if point.n >= FEW:
            ax.plot([beside] * 2, [point.low, point.high], color=colour, linewidth=pt(1.6))


def _key(ax: Axes, rows: pd.DataFrame, colours: Mapping[str, str], paper: Paper) -> None:
    """What thick, thin, dotted and shaded mean, above the first plot."""
    one = epochs(rows) == 1
    handles: list[Any] = [
        Line2D([], [], color=colour, linewidth=pt(1.9), label=name)
        for name, colour in colours.items()
    ]
    style: dict[str, Any] = {"color": FAINT}
    if one:
        handles += [
            Line2D([], [], marker="o", linestyle="none", markersize=pt(3.5), label="a seed",
                   alpha=0.5, **style),
            Line2D([], [], marker="D", linestyle="none", markersize=pt(5), label="mean", **style),
        ]  # fmt: skip
    else:
        handles += [
            Line2D([], [], linewidth=pt(1.9), label="mean", **style),
            Line2D([], [], linewidth=0.8, alpha=0.6, label="a seed", **style),
        ]
    if (rows.n >= FEW).any():
        level = f"{100 * rows.level.iloc[0]:g} % interval"
        handles.append(
            Line2D([], [], linewidth=pt(1.6), label=level, **style) if one
            else Patch(alpha=0.25, label=level, linewidth=0, **style)
        )  # fmt: skip
    if not one and (rows[rows["mark"] == "seed"].status != "done").any():
        handles.append(
            Line2D([], [], label="lost or running", linestyle=":", linewidth=1.0, **style)
        )
    fig, top = root(ax), ax.get_position().y1
    beside = [one for one in fig.axes if abs(one.get_position().y1 - top) < 1e-6]
    title = max((one.get_title(loc="left") for one in beside), key=lambda text: text.count("\n"))
    # A panel has its value and its title, of a line or two, below the key.
    lift = pt(18 + 11 * (title.count("\n") + 1)) if title else pt(20)
    fig.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0 + lift / 72 /
        ax.get_position().height / fig.get_figheight()), bbox_transform=ax.transAxes,
        ncol=3 if paper.narrow else len(handles), fontsize=pt(8), frameon=False,
        borderaxespad=0, columnspacing=1.2, handlelength=1.6, handletextpad=0.5,
    )  # fmt: skip


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
    for name, arm in zip(apart(lasts.arm, 24, 2), records(lasts), strict=True):
        texts.append((f"{name}\n{_value(arm, (low, high))}", arm.arm))
        ends.append(float(np.clip(arm.val_acc, low, high)))
    tallest = max((text.count("\n") + 1 for text, _ in texts), default=1)
    # In points, 72 to the inch, of pixels, 100 to the inch; a line of text takes 11.5 of them.
    height = ax.get_window_extent().height * 72 / 100
    gap = pt(tallest * 11.5 + 3) * (high - low) / height
    for (text, arm), end, at in zip(texts, ends, spread(ends, gap), strict=True):
        style = {"arrowstyle": "-", "color": colours[arm], "linewidth": 0.7, "shrinkA": 0}
        ax.annotate(
            text, (1, end), (1.06, at), xycoords=ax.get_yaxis_transform(), va="center",
            textcoords=ax.get_yaxis_transform(), color=dark(colours[arm]), fontsize=pt(8.5),
            linespacing=1.1, arrowprops=style, annotation_clip=False,
        )  # fmt: skip


def _value(end: Any, limits: tuple[float, float]) -> str:
    """The last mean in words, with the standard deviation over seeds."""
    places = 1 if getattr(end, "unit", "pp") == "pp" else int(end.places)
    told = plain(end.val_acc, places)
    if end.n > 1:
        hundreds = end.sd > 0 and two_digits(end.sd) < 0
        told = mean_sd(end.val_acc, end.sd) if hundreds else f"{told} {PM} {plain(end.sd, places)}"
    low, high = limits
    where = " (below)" if end.val_acc < low else " (above)" if end.val_acc > high else ""
    return f"{told}, n = {int(end.n)}{where}"


FIGURE = Figure(
    title="Learning curves",
    table=table,
    draw=draw,
    absent="no curve was recorded",
)
