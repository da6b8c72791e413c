"""Change of every class's recall, an arm a row: its mean less that of what it is compared with.

In percentage points: blue is more, red is less, no colour no change. A frame marks a change that
the spread of the seeds does not explain: its interval, simultaneous over all cells (Welch's, with
Bonferroni's bound), excludes 0. That is no verdict: verdicts are about the study's metric. Of very
many classes those that change most are drawn.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.extremes import ROWS, extremes, left_out
from swinablate.report.drawing.heat import LEAN, NAME, WIDE, Room, heat, room
from swinablate.report.drawing.ink import INK, PAPER, against, apart, pt, sheet
from swinablate.report.drawing.interval import Mean, mean
from swinablate.report.drawing.numbers import signed
from swinablate.report.results import StudyResults, over_units
from swinablate.stats.critical import bonferroni

COLUMNS = (
    "arm", "against", "class_label", "delta_pp", "ci_low", "ci_high", "marked", "n", "n_against",
    "level",
)  # fmt: skip
HALO = [withStroke(linewidth=2.4, foreground=PAPER)]
"""Round a frame: black on the darkest red was no frame."""
CLASSES = 20
"""Columns: more are narrower than a number, and than its tick."""


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every class of every arm that is compared."""
    values: dict[tuple[str, int], list[float]] = {}
    if answer.recalls.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    recalls = over_units(answer.plan, answer.recalls, "class_number", "recall")
    columns = (recalls[name].tolist() for name in ("arm", "class_number", "recall"))
    for arm, number, recall in zip(*columns, strict=True):
        values.setdefault((arm, number), []).append(recall)
    level = 1 - answer.verdicts["alpha"]
    found = {key: mean(own, level) for key, own in values.items()}
    numbers = sorted({number for _, number in found})
    names = answer.class_labels(1 + max(numbers, default=0))
    base = str(answer.verdicts["baseline"]["name"])
    cells = [
        (arm.name, arm.against or base, number)
        for arm in answer.plan.arms
        if arm.name != base
        for number in numbers
        if (arm.name, number) in found and (arm.against or base, number) in found
    ]
    rows = []
    for arm, compared, number in cells:
        own, other = found[arm, number], found[compared, number]
        half = _half(own, other, len(cells), answer.verdicts["alpha"])
        delta = own.mean - other.mean
        rows.append(
            {"arm": arm, "against": compared, "class_label": names[number], "delta_pp": delta,
             "ci_low": delta - half, "ci_high": delta + half, "marked": abs(delta) > half,
             "n": own.n, "n_against": other.n, "level": level}
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _half(own: Mean, other: Mean, cells: int, alpha: float) -> float:
    """Half of Welch's interval of a difference, simultaneous over cells; NaN without a spread."""
    if min(own.n, other.n) < 2:
        return math.nan
    parts = own.sd**2 / own.n, other.sd**2 / other.n
    whole = sum(parts)
    if not whole > 0:
        return math.nan
    df = whole**2 / (parts[0] ** 2 / (own.n - 1) + parts[1] ** 2 / (other.n - 1))
    return float(bonferroni(cells, df, alpha)) * math.sqrt(whole)


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw arms down, classes across, and a bar of colours."""
    order: dict[Any, int] = {name: k for k, name in enumerate(dict.fromkeys(rows.class_label))}
    most = rows.delta_pp.abs().groupby(rows.class_label).max().sort_values(ascending=False)
    classes = sorted(most.index[:CLASSES], key=lambda name: order[name])
    arms = extremes(rows.groupby("arm", sort=False).delta_pp.mean().to_dict(), ROWS)
    shown = rows[rows.arm.isin(arms) & rows.class_label.isin(classes)]
    grid = shown.pivot_table(index="arm", columns="class_label", values="delta_pp", sort=False)
    grid = grid.reindex(index=arms, columns=classes)
    others = dict(zip(rows.arm, rows.against, strict=True))
    names = [against(str(arm), str(others[arm]), set(others), paper.name) for arm in arms]
    tall = pt((0.28, 0.36, 0.46)[max(name.count("\n") for name in names)])
    width = paper.across(2.6 + 0.5 * max(len(classes), 6))
    what = (
        f"\ndrawn: the {len(classes)} of {len(most)} classes that change most; the table has all"
    )
    said = left_out(len(arms), rows.arm.nunique(), ROWS)
    longest = max(len(str(name)) for name in classes)
    leaning = pt(WIDE * 8 * (longest + 0.3)) > 72 * width * 0.7 / len(classes)
    below = "class" + (what if len(classes) < len(most) else "") + said
    names_of = apart(classes, NAME, 1)
    deep = pt(8 * WIDE * max(map(len, names_of)) / 72 * LEAN) if leaning else 0.0
    under = pt(0.8 + 0.15 * (below.count("\n") + 1)) + deep  # inches: labels, then the bar
    height = len(arms) * tall + under + 0.1
    fig = sheet(width, height)
    # Names take about six hundredths of an inch a letter.
    left = min(0.02 + pt(max(len(part) for name in names for part in name.split("\n"))) * 0.075
               / width, 0.5)  # fmt: skip
    ax = fig.add_axes((left, under / height, 0.97 - left, len(arms) * tall / height))
    bar = fig.add_axes((left, pt(0.34) / height, 0.97 - left, pt(0.09) / height))
    sizes = np.abs(grid.to_numpy(float))
    _cells(
        ax,
        bar,
        grid,
        shown,
        room(sizes[np.isfinite(sizes)], 72 * width * (0.97 - left) / len(classes), 0.6),
    )
    ax.set_yticks(np.arange(len(arms)) + 0.5, names, linespacing=1.0, rotation=0)
    ax.set_xticks(np.arange(len(classes)) + 0.5, names_of, rotation=40 if leaning else 0)
    if leaning:
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    ax.set_xlabel(below)
    bar.set_xlabel("difference of recall (pp)", fontsize=pt(8.5), labelpad=1)
    bar.tick_params(labelsize=pt(8), length=2)
    return fig


def _cells(
    ax: Axes,
    bar: Axes,
    grid: pd.DataFrame,
    shown: pd.DataFrame,
    has: Room,
) -> None:
    texts = grid.map(lambda value: signed(value, 1) if pd.notna(value) else "")
    heat(ax, bar, grid, texts, has)
    ax.set_ylabel("")
    across, down = list(grid.columns), list(grid.index)
    for cell in records(shown[shown.marked.astype(bool)]):
        x, y = across.index(cell.class_label), down.index(cell.arm)
        ax.add_patch(
            Rectangle((x + 0.05, y + 0.07), 0.9, 0.86, fill=False, edgecolor=INK,
                      linewidth=pt(1.2), zorder=4, path_effects=HALO)
        )  # fmt: skip


FIGURE = Figure(
    title="Change of every class",
    table=table,
    draw=draw,
    absent="no arm and what it is compared with both have recalls of classes",
    other="no recall of classes was recorded",
    applies=lambda answer: len(answer.recalls) > 0,
)
