"""How every two changes act together: lines run beside each other where their effects add up.

Each point is the mean over all cells of the design that have or lack the two changes, with its
own t-interval. Above each panel stands the interaction, by how much the second change alters the
effect of the first, with the interval that gives its verdict; the largest come first. Shape and
colour say whether the second change is made.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from swinablate.records.plan import ArmRecord
from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.ink import GRID, INK, LOOKS, OKABE_ITO, pt, sheet, wrapped
from swinablate.report.drawing.interval import mean_of_cells
from swinablate.report.drawing.numbers import interval, signed
from swinablate.report.drawing.place import padded
from swinablate.report.drawing.scale import said, scale_in
from swinablate.report.results import StudyResults
from swinablate.text import named_level

COLUMNS = (
    "first", "second", "with_first", "with_second", "mean", "low", "high", "n", "delta_pp",
    "ci_low", "ci_high", "verdict", "level", "metric",
)  # fmt: skip
MOST = 24
"""Panels: eight rows of three fill a page. A study may have hundreds of pairs."""
LINES = ((False, INK, "o", "-"), (True, OKABE_ITO[1], "D", "--"))
"""Without the second change and with it: colour, shape and line, so that no one alone counts."""


def table(answer: StudyResults) -> pd.DataFrame:
    """Four rows for every interaction that could be estimated, the largest first."""
    judged, level = answer.verdicts, 1 - answer.verdicts["alpha"]
    values = answer.observed
    cells = {arm.name: _changes(arm) for arm in answer.plan.arms if arm.name in values}
    found = [
        one
        for one in judged["contrasts"]
        if one["kind"] == "interaction" and one["delta_pp"] is not None
    ]
    rows = []
    for one in sorted(found, key=lambda one: -abs(one["delta_pp"])):
        first, _, second = one["name"].partition(" x ")
        same = {key: one[key] for key in ("delta_pp", "ci_low", "ci_high", "verdict")}
        for with_first, with_second in (
            (False, False),
            (True, False),
            (False, True),
            (True, True),
        ):
            own = [
                values[arm]
                for arm, changes in cells.items()
                if (first in changes, second in changes) == (with_first, with_second)
                and not _other(changes, first, second)
            ]
            point = mean_of_cells(own, level)
            rows.append(
                {"first": first, "second": second, "with_first": with_first,
                 "with_second": with_second, "mean": point.mean, "low": point.low,
                 "high": point.high, "n": point.n, **same, "level": level,
                 "metric": judged["metric"], **said(judged)}
            )  # fmt: skip
    return pd.DataFrame(rows, columns=[*COLUMNS, *said(judged)])


def _changes(arm: ArmRecord) -> set[str]:
    """What a cell changes, each level by its short name and its whole one."""
    paths = ((path.rpartition(".")[2], path) for path in arm.changes)
    levels = map(named_level, arm.changes.values())
    return {f"{p}={lv}" for both, lv in zip(paths, levels, strict=True) for p in both}


def _other(changes: set[str], first: str, second: str) -> bool:
    """Whether a cell has a third level of one of the two switches, and is of another panel."""
    return any(
        change.partition("=")[0] == one.partition("=")[0] and change != one
        for change in changes
        for one in (first, second)
    )


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw a panel for every pair, all on one scale."""
    scale = scale_in(rows)
    pairs = list(rows.groupby(["first", "second"], sort=False))
    shown = pairs[:MOST]
    across = min(2 if paper.narrow else 3, len(shown))
    down = -(-len(shown) // across)
    tall, gap = (1.2, 0.75) if paper.narrow else (pt(1.7), pt(0.9))
    width = paper.across(1.0 + 2.7 * across)
    height = down * (tall + gap) + 0.5
    fig = sheet(width, height)
    grid = fig.add_gridspec(
        down, across, left=pt(48) / 72 / width, right=0.98, top=1 - gap / height, wspace=0.12,
        hspace=gap / tall, bottom=0.3 / height,
    )  # fmt: skip
    ends = pd.concat([rows["mean"], rows.low, rows.high]).dropna().astype(float)
    limits = scale.within(padded(float(ends.min()), float(ends.max()), least=scale.least(1.0)))
    for i, (_, own) in enumerate(shown):
        ax = fig.add_subplot(grid[i // across, i % across])
        ax.set_ylim(*limits)
        _panel(ax, own, scale.places, 17 if paper.narrow else 26)
        ax.tick_params(labelleft=i % across == 0)
        if i % across == 0:
            ax.set_ylabel(scale.axis(rows.metric.iloc[0]).replace(" (", "\n("), fontsize=pt(9))
    if len(pairs) > len(shown):
        fig.axes[-across if len(shown) % across == 0 else -(len(shown) % across)].annotate(
            f"drawn: the {MOST} largest of {len(pairs)} interactions; the table has all",
            (0, 0), (0, -pt(30)), xycoords="axes fraction", textcoords="offset points",
            va="top", fontsize=pt(8),
        )  # fmt: skip
    return fig


def _panel(ax: Axes, own: pd.DataFrame, places: int, letters: int) -> None:
    for with_second, colour, marker, line in LINES:
        mine = own[own.with_second == with_second].sort_values("with_first")
        # A little apart, or the intervals would cover each other.
        at = mine.with_first.astype(float) + (0.03 if with_second else -0.03)
        name = str(own.second.iloc[0]) if with_second else "without it"
        ax.plot(
            at, mine["mean"].astype(float), line, color=colour, marker=marker,
            markersize=pt(4.5), linewidth=pt(1.5), label=wrapped(name, letters, 1),
        )  # fmt: skip
        ax.vlines(
            at, mine.low.astype(float), mine.high.astype(float), color=colour, linewidth=pt(1.3)
        )
    one: Any = records(own)[0]
    look = LOOKS[one.verdict]
    numbers = f"{signed(one.delta_pp, places)} {interval(one.ci_low, one.ci_high, places)}"
    ax.set_title(numbers, fontsize=pt(8.5), loc="left", color=look.colour, pad=pt(26))
    ax.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), fontsize=pt(8), frameon=False,
        borderaxespad=0, handlelength=1.8, handletextpad=0.4, labelspacing=0.15,
    )  # fmt: skip
    first = wrapped(str(one.first), letters - 5, 2)
    ax.set_xticks([0, 1], ["without", first], fontsize=pt(8))
    ax.set_xlim(-0.35, 1.35)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.grid(axis="y", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


FIGURE = Figure(
    title="Interactions",
    table=table,
    draw=draw,
    absent="no interaction could be estimated",
    other="only a factorial design or a fraction of one has it",
    applies=lambda answer: answer.plan.design in {"factorial", "fraction"},
)
