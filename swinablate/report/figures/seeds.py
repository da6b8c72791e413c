"""The result of every trial: one dot a seed, one row an arm.

The bar is the mean with its t-interval, for this arm alone; it is not the interval of the verdict.
Where splits of the data are drawn, mean, standard deviation and interval are over their means. A
cross in the left margin is a trial that failed or diverged. An arrow stands for what lies outside
the axis; its numbers are at the right.
"""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.bars import MONO, fitting, fold, roomy
from swinablate.report.drawing.extremes import ROWS, extremes, left_out
from swinablate.report.drawing.ink import FAINT, GRID, INK, OKABE_ITO, apart, pt, sheet
from swinablate.report.drawing.interval import mean
from swinablate.report.drawing.numbers import mean_sd, share
from swinablate.report.drawing.place import core, filled, padded
from swinablate.report.drawing.scale import said, scale_in, scale_of
from swinablate.report.results import StudyResults

COLUMNS = (
    "mark", "arm", "baseline", "seed", "status", "value", "low", "high", "sd", "n", "seeds",
    "level", "metric",
)  # fmt: skip
AXIS = 5.0  # inches; a little more than the forest's, for fewer numbers stand beside it
STEP, STACK = 0.1, 0.6
"""Of a row: what a dot moves up, and how high dots may stand, lest they reach the row above."""
MEAN, COUNT = 12, 102  # points right of the axis
LOST = ("failed", "diverged")


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every arm (`mean`), best first, and one for every trial that ended (`seed`)."""
    judged = answer.verdicts
    units = {"of": "splits"} if answer.plan.units else {}
    same = {"level": 1 - judged["alpha"], "metric": judged["metric"], **units, **said(judged)}
    sign = scale_of(judged).sign
    arms = []
    # Lists: a frame for each arm takes pandas milliseconds, and a study may have 1,000 arms.
    each: dict[str, list[tuple[Any, str, float]]] = {}
    observed, planned = answer.observed, answer.wanted
    measured = answer.trials[["arm", "seed", "status"]].assign(value=answer.values)
    columns = (measured[name].tolist() for name in measured)
    for arm, seed, status, value in zip(*columns, strict=True):
        each.setdefault(arm, []).append((seed, status, value))
    for name, own in each.items():
        found = mean(observed.get(name, []), same["level"])
        first = name == answer.verdicts["baseline"]["name"]
        shared = {
            "arm": name,
            "baseline": first,
            "n": found.n,
            "seeds": planned[name],
            "sd": found.sd,
            **same,
        }
        row = {"mark": "mean", "value": found.mean, "low": found.low, "high": found.high}
        dots = [_dot(shared, *trial) for trial in own if trial[1] in {"done", *LOST}]
        arms.append([{**shared, **row}, *dots])
    arms.sort(key=lambda rows: -sign * rows[0]["value"] if rows[0]["n"] else float("inf"))
    rows = [row for arm in arms for row in arm]
    some = any(row["n"] for row in rows)
    return pd.DataFrame(rows if some else [], columns=[*COLUMNS, *units, *said(judged)])


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw one line for every arm."""
    every = rows[rows.mark == "mean"]
    base = every.baseline.astype(bool)
    kept = extremes(every.value.where(every.n > 0)[~base].to_dict(), ROWS)
    arms = every[base | every.index.isin(kept)].reset_index(drop=True)
    names = apart(arms.arm, paper.name)
    # Inches a row: names of three lines need more.
    tall = max(name.count("\n") for name in names) >= 2
    height = max(len(arms), 2) * pt(0.46 if tall else 0.34)
    fig = sheet(paper.across(AXIS + 4), height + 0.9)
    ax = fig.add_axes((0.1, 0.1, AXIS / (AXIS + 4), height / (height + 0.9)))
    ax.set_ylim(len(arms) - 0.5, -0.75)  # room for the highest stack of dots
    ax.set_xlim(*_limits(rows[rows.arm.isin(arms.arm)], arms))
    roomy(ax)
    own = rows[rows.mark == "seed"].groupby("arm")
    for y, arm in enumerate(records(arms)):
        _row(ax, y, arm, own.get_group(arm.arm) if arm.arm in own.groups else rows[:0])
    ax.set_yticks(range(len(arms)), names, linespacing=1.0)
    ax.tick_params(axis="y", length=0, pad=pt(26))
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
    count = str(arms.of[0]) if "of" in arms else "n"
    for x, head, align in ((MEAN, "mean \u00b1 sd", "left"), (COUNT, count, "right")):
        ax.annotate(
            head, (1, 1), (pt(x), pt(6)), xycoords="axes fraction", textcoords="offset points",
            ha=align, color=FAINT, fontsize=pt(8.5),
        )  # fmt: skip
    note = left_out(len(kept), int((~base).sum()), ROWS)
    ax.set_xlabel(fold(scale_in(rows).axis(arms.metric[0]) + note, paper))
    return fig


def _dot(shared: dict[str, Any], seed: Any, status: str, value: float) -> dict[str, Any]:
    known = value if status == "done" else None
    return {**shared, "mark": "seed", "seed": seed, "status": status, "value": known}


def _limits(rows: pd.DataFrame, arms: pd.DataFrame) -> tuple[float, float]:
    known = arms[arms.n > 0]
    seeds = rows[(rows.mark == "seed") & rows.value.notna()].groupby("arm").value
    lows = filled(known.low, known.value).clip(upper=known.arm.map(seeds.min()))
    highs = filled(known.high, known.value).clip(lower=known.arm.map(seeds.max()))
    limits = core(lows.tolist(), highs.tolist(), float(known.value.median()))
    scale = scale_in(rows)
    return scale.within(padded(*limits, least=scale.least(0.5)))


def _row(ax: Axes, y: int, arm: Any, trials: pd.DataFrame) -> None:
    left, right = ax.get_xlim()
    ax.axhline(y, color=GRID, linewidth=0.7, zorder=0)
    colour = INK if arm.baseline else OKABE_ITO[0]
    ends = [value for value in (arm.low, arm.value, arm.high) if pd.notna(value)]
    if ends and (max(ends) < left or min(ends) > right):
        edge, step, align = (left, 1, "left") if max(ends) < left else (right, -1, "right")
        ax.annotate(
            "outside the axis", (edge, y), (pt(26) * step, 0), textcoords="offset points",
            va="center", ha=align, fontsize=pt(8.5), color=colour,
            arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 2, "shrinkB": 0},
        )  # fmt: skip
    else:
        values = trials.value.dropna().sort_values().to_numpy(float)
        shown = values[(values >= left) & (values <= right)]
        # 1.6 % of the axis is a little more than a dot.
        steps = np.asarray(_steps(shown.tolist(), (right - left) * 0.016))
        rise = min(STEP, STACK / steps.max(initial=1))
        # One artist: matplotlib takes a millisecond for each, and a study may have 10,000 seeds.
        ax.plot(
            shown, y - 0.08 - rise * steps, "o", markersize=pt(4.6), color=colour, alpha=0.55,
            markeredgewidth=0,
        )  # fmt: skip
        for beyond, edge, tip in ((values < left, left, "<"), (values > right, right, ">")):
            if beyond.any():
                ax.plot(edge, y, marker=tip, color=colour, markersize=pt(5), clip_on=False)
        if pd.notna(arm.low):
            ax.plot([arm.low, arm.high], [y + 0.2] * 2, color=colour, linewidth=pt(1.6))
        if arm.n:
            ax.plot(arm.value, y + 0.2, "|", color=colour, markersize=pt(9), markeredgewidth=pt(2))
    _margin(ax, y, arm, int(trials.status.isin(LOST).sum()))


def _steps(values: list[float], reach: float) -> list[int]:
    """How far each dot moves up so that it does not hide its neighbour; values ascend."""
    steps: list[int] = []
    first = 0  # of those before that are near
    for i, value in enumerate(values):
        while first < i and value - values[first] >= reach:
            first += 1
        near = set(steps[first:])
        steps.append(next(s for s in itertools.count() if s not in near))
    return steps


def _margin(ax: Axes, y: int, arm: Any, lost: int) -> None:
    """The crosses of lost trials at the left, the numbers at the right."""
    where: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points"}
    if lost:
        text = "\u00d7" * lost if lost <= 2 else f"{lost}\u00d7"
        ax.annotate(text, (0, y), (-4, 0), ha="right", va="center", color="#B34700",
                    fontsize=pt(11), weight="bold", **where)  # fmt: skip
    mono: dict[str, Any] = {"va": "center", "family": "monospace", **where}
    told, count = mean_sd(arm.value, arm.sd), share(arm.n, arm.seeds)
    size = fitting(told, COUNT - MEAN - MONO * 8.5 * len(count) - 2)
    ax.annotate(told, (1, y), (pt(MEAN), 0), fontsize=size, **mono)
    ax.annotate(count, (1, y), (pt(COUNT), 0), ha="right", fontsize=pt(8.5), **mono)


FIGURE = Figure(
    title="Every seed",
    table=table,
    draw=draw,
    absent="no trial has ended with a result yet",
)
