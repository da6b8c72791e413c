"""What an arm takes for what: its confusion of classes less that of its baseline.

Of the test images of a class (a row) the share that is taken for each class (a column), over all
seeds of the arm, less the same share of what it is compared with; percentage points. Blue is
more, red is less. On the diagonal more is better, beside it worse. This describes, without
intervals: verdicts are about the study's metric. Of more than 20 classes the pairs that change
most are drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper
from swinablate.report.drawing.heat import NAME, WIDE, Room, heat, room
from swinablate.report.drawing.ink import against, apart, pt, sheet
from swinablate.report.drawing.numbers import MINUS
from swinablate.report.results import StudyResults

COLUMNS = ("arm", "against", "true_label", "said_label", "delta_pp", "n", "n_against")
CLASSES = 20
"""Of a whole matrix: more are cells narrower than the number of a class beside them."""
NUMBER = 3
"""Letters of a class's number at most; what is longer is a name, and stands upright below."""
PAIRS = 20
"""As many rows as a matrix has at most."""
PANELS = 6
"""Matrices, or columns of pairs: two rows of three; more are a page that nobody compares."""


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every pair of classes of every arm; of many classes, for those that change."""
    base, found = str(answer.verdicts["baseline"]["name"]), answer.confusions
    parts = []
    for arm in answer.plan.arms:
        compared = arm.against or base
        if arm.name == base or arm.name not in found or compared not in found:
            continue
        own, other = found[arm.name], found[compared]
        delta = own.shares() - other.shares()
        kept = np.isfinite(delta)
        if len(delta) > CLASSES:
            kept &= delta != 0
        true, said = np.nonzero(kept)
        names = np.array(answer.class_labels(len(delta)), dtype=object)
        parts.append(
            pd.DataFrame(
                {
                    "arm": arm.name,
                    "against": compared,
                    "true_label": names[true],
                    "said_label": names[said],
                    "delta_pp": delta[kept],
                    "n": own.n,
                    "n_against": other.n,
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw a matrix for each arm, or of very many classes the pairs that change most."""
    rows = rows.astype({"true_label": str, "said_label": str})
    moved = rows.delta_pp.abs().groupby(rows.arm, sort=False).sum()
    kept = set(moved.sort_values(ascending=False, kind="stable").index[:PANELS])
    arms = [str(arm) for arm in moved.index if arm in kept]
    note = ""
    if len(arms) < len(moved):
        note = f"\ndrawn: the {len(arms)} of {len(moved)} arms that change most; the table has all"
    shown = rows[rows.arm.isin(arms)]
    # Of names in the order of the first arm's rows, which is that of the classes.
    classes = sorted(dict.fromkeys([*rows.said_label, *rows.true_label]), key=_order)
    if len(classes) > CLASSES:
        return _pairs(shown, arms, note, paper)
    return _matrices(shown, arms, (classes, note), paper)


def _order(name: str) -> int:
    return int(name) if name.isdecimal() else 10**9


def _room(rows: pd.DataFrame, wide: float) -> Room:
    """Most cells do not change at all, and say nothing of how far colours should go."""
    sizes = rows.delta_pp.abs().to_numpy(float)
    return room(sizes[sizes > 0], wide, 0.4)


def _matrices(
    rows: pd.DataFrame, arms: Sequence[str], said: tuple[list[str], str], paper: Paper
) -> Canvas:
    classes, note = said
    across = min(len(arms), 2 if paper.narrow else 3)
    down = -(-len(arms) // across)
    width = paper.across(0.4 + 3.1 * across)
    titles = _titles(rows, arms, paper.name)
    above = pt(0.16 * max(title.count("\n") + 1 for title in titles) + 0.06)
    longest = max(map(len, apart(classes, NAME, 1)))
    deep = pt(7.7 * 0.9 * WIDE * longest / 72) if longest > NUMBER else 0.0
    # Inches: labels, between panels, the axis.
    left, gap, under = pt(0.42) + deep, pt(0.3), pt(0.3) + deep
    below = pt(0.5)
    # A lone matrix does not fill a page: cells are at most as large as those of three in a row.
    side = min((width - left - (across - 1) * gap - 0.05) / across, pt(3.2))
    height = down * (side + above + under) + below
    fig = sheet(width, height)
    letters = max(len(_whole(value)) for value in rows.delta_pp)
    has = replace(_room(rows, 72 * side / len(classes)), letters=letters)
    bar = fig.add_axes((left / width, pt(0.34) / height,
                        (across * (side + gap) - gap) / width, pt(0.09) / height))  # fmt: skip
    for i, (arm, title) in enumerate(zip(arms, titles, strict=True)):
        x = left + (i % across) * (side + gap)
        y = height - (i // across + 1) * (side + above + under) + under
        ax = fig.add_axes((x / width, y / height, side / width, side / height))
        mine = rows[rows.arm == arm]
        grid = mine.pivot_table(index="true_label", columns="said_label", values="delta_pp")
        grid = grid.reindex(index=classes, columns=classes)
        heat(ax, bar if i == 0 else None, grid, grid.map(_whole), has)
        ax.set_title(title, fontsize=pt(8.5), loc="left", pad=pt(3), linespacing=1.0)
        _named(ax, classes, 72 * side / len(classes), beside=i % across == 0)
        ax.set_ylabel("class of the image" if i % across == 0 else "", fontsize=pt(8.5))
        ax.set_xlabel("taken for" if i + across >= len(arms) else "", fontsize=pt(8.5))
    bar.set_xlabel(f"difference of the share (pp){note}", fontsize=pt(8.5), labelpad=1)
    bar.tick_params(labelsize=pt(8), length=2)
    return fig


def _titles(rows: pd.DataFrame, arms: Sequence[str], letters: int) -> list[str]:
    others = dict(zip(rows.arm, rows.against, strict=True))
    return [against(arm, str(others[arm]), set(others), letters) for arm in arms]


def _pairs(rows: pd.DataFrame, arms: Sequence[str], note: str, paper: Paper) -> Canvas:
    """Pairs down, arms across."""
    pair = rows.true_label + " as " + rows.said_label
    most = rows.delta_pp.abs().groupby(pair).max().sort_values(ascending=False, kind="stable")
    pairs = [str(one) for one in most.index[:PAIRS]]
    grid = rows.assign(pair=pair).pivot_table(index="pair", columns="arm", values="delta_pp")
    grid = grid.reindex(index=pairs, columns=list(arms)).fillna(0.0)
    tall = pt(0.2)
    width = paper.across(1.5 + 1.15 * max(len(arms), 3))
    longest = max(map(len, pairs))
    left = pt(max(0.95, 8 * WIDE * longest / 72 + 0.25))
    each = (width - left - 0.05) / len(arms)
    letters = max(int(each * 72 / (WIDE * pt(8))), 6)
    names = _titles(rows, arms, letters)
    above = pt(0.15 * max(name.count("\n") + 1 for name in names) + 0.08)
    note = f"\ndrawn: the {len(pairs)} of {len(most):,} pairs that change most{note}"
    below = pt(0.72 + 0.15 * note.count("\n"))
    height = above + len(pairs) * tall + below
    fig = sheet(width, height)
    across = (width - left - 0.05) / width
    ax = fig.add_axes((left / width, below / height, across, len(pairs) * tall / height))
    bar = fig.add_axes((left / width, (below - pt(0.22)) / height, across, pt(0.09) / height))
    heat(ax, bar, grid, grid.map(_whole), _room(rows, 72 * each))
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(len(arms)) + 0.5, names, rotation=0, fontsize=pt(8), linespacing=1.0)
    ax.set_yticks(np.arange(len(pairs)) + 0.5, pairs, rotation=0, fontsize=pt(8))
    ax.tick_params(length=0)
    ax.set_ylabel("class, and what it is taken for", fontsize=pt(8.5))
    ax.set_xlabel("")
    bar.set_xlabel(f"difference of the share (pp){note}", fontsize=pt(8.5), labelpad=1)
    bar.tick_params(labelsize=pt(8), length=2)
    return fig


def _named(ax: Axes, classes: Sequence[str], wide: float, *, beside: bool) -> None:
    """Name every class, or every second or third where their numbers would touch.

    Names stand upright below; at the left they stand once in a row of matrices.
    """
    size = pt(7.7)
    names = apart(classes, NAME, 1)
    upright = max(map(len, names)) > NUMBER
    step = math.ceil(size * (1.2 if upright else WIDE * max(map(len, names)) + 0.3) / wide)
    at = range(0, len(classes), step)
    shown = [names[k] for k in at]
    ax.set_xticks(np.array(at) + 0.5, shown, rotation=90 if upright else 0, fontsize=size)
    blank = [""] * len(shown) if upright and not beside else shown
    ax.set_yticks(np.array(at) + 0.5, blank, rotation=0, fontsize=size)
    ax.tick_params(length=0, pad=pt(2))


def _whole(value: float) -> str:
    """Whole points; what rounds to none is no number to read."""
    if not np.isfinite(value) or round(value) == 0:
        return ""
    return f"{round(value):+d}".replace("-", MINUS)


FIGURE = Figure(
    title="What is taken for what",
    table=table,
    draw=draw,
    absent="no arm and what it is compared with both have a record of what was taken for what",
    other="no trial recorded what was taken for what: earlier versions did not, and no trial does "
    "of more than 100 classes",
    applies=lambda answer: len(answer.confusions) > 0,
)
