"""Where noise comes from: between trainings, between splits of the data, between tunings.

Standard deviations, by restricted maximum likelihood, with intervals that hold for each alone.
Above the line those of arms; below it those of differences on the same splits and seeds, which is
what verdicts are about: what a split does to both arms alike is gone from them.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.bars import fold
from swinablate.report.drawing.extremes import ROWS
from swinablate.report.drawing.ink import FAINT, GRID, INK, OKABE_ITO, pt, sheet, wrapped
from swinablate.report.drawing.scale import said, scale_in
from swinablate.report.results import StudyResults

COLUMNS = (
    "arm", "of", "against", "source", "sd", "low", "high", "splits", "runs", "level", "metric",
)  # fmt: skip
SOURCES = ("training", "split", "tuning", "total")
LOOKS = {"training": ("o", INK, "between trainings"),
         "split": ("D", OKABE_ITO[1], "between splits"),
         "tuning": ("s", OKABE_ITO[2], "between tunings"),
         "total": ("^", OKABE_ITO[0], "together: a draw of each")}  # fmt: skip
"""Of a source: its shape, its colour, and what it is called."""
AXIS = 4.3  # inches
APART = 0.17  # rows: the two sources of one line stand beside each other, not on each other


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every source of every arm, and then of every difference."""
    judged = answer.verdicts
    noise: dict[str, Any] = judged.get("noise") or {"components": [], "level": 0.0}
    rows = [
        {"arm": one["name"], "of": one["of"], "against": one["against"] or "", "source": source,
         **one[source], "splits": one.get("splits"), "runs": one["runs"], "level": noise["level"],
         "metric": judged["metric"], **said(judged)}
        for one in noise["components"]
        for source in _shown(one)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*COLUMNS, *said(judged)])


def _shown(one: dict[str, Any]) -> list[str]:
    """The sources of a line that are known; all together where they cannot be told apart."""
    parts = [source for source in SOURCES[:-1] if one.get(source, {}).get("sd") is not None]
    return parts or (["total"] if one["total"]["sd"] is not None else [])


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw a line for every arm and difference, with a mark for each source."""
    rows = rows.assign(against=rows.against.fillna(""))  # as a saved table has it
    lines = rows.drop_duplicates(["arm", "against"])[["arm", "against"]]
    lines = pd.concat([own.head(ROWS) for _, own in lines.groupby(lines.against != "")])
    lines = lines.reset_index(drop=True)
    first, scale = rows.iloc[0], scale_in(rows)
    names = [_name(line, paper) for line in records(lines)]
    tall = max(name.count("\n") for name in names)
    height = max(len(lines), 2) * pt((0.38, 0.46, 0.58)[min(tall, 2)])
    fig = sheet(paper.across(AXIS + 3), height + 1.1)
    ax = fig.add_axes((0.1, 0.1, AXIS / (AXIS + 3), height / (height + 1.1)))
    ax.set_ylim(len(lines) - 0.5, -0.5)
    places = {(line.arm, line.against): y for y, line in enumerate(records(lines))}
    ax.set_xlim(0, 1.05 * _reach(rows))
    ax.set_axisbelow(True)
    ax.xaxis.grid(visible=True, color=GRID, linewidth=0.7)
    for row in records(rows):
        if (row.arm, row.against) in places:
            _mark(ax, places[row.arm, row.against], row)
    apart = int((lines.against == "").sum())
    if 0 < apart < len(lines):
        ax.axhline(apart - 0.5, color=FAINT, linewidth=0.8)
    ax.set_yticks(range(len(lines)), names, linespacing=1.0)
    ax.tick_params(axis="y", length=0, pad=6)
    ax.spines["left"].set_visible(False)
    unit = scale.of_differences
    text = f"standard deviation of {first.metric}{unit}"
    if paper.narrow:
        text = f"standard deviation{unit}"
    ax.set_xlabel(fold(f"{text}, {100 * first.level:g} % CI", paper))
    _legend(ax, [one for one in SOURCES if one in set(rows.source)], paper)
    return fig


def _name(line: Any, paper: Paper) -> str:
    """An arm, or a difference of two."""
    own = f"{line.arm} - {line.against}" if line.against else str(line.arm)
    return wrapped(own, paper.name)


def _reach(rows: pd.DataFrame) -> float:
    """How far the axis goes: every estimate, and of intervals what is not far beyond them all."""
    top = float(rows.sd.max())
    ends = rows.high.astype(float)
    # With few splits an upper end may be five times its estimate: it leaves the axis, as an arrow.
    return max(top, float(min(ends.max(), 2.5 * top))) or 1.0


def _mark(ax: Axes, y: float, row: Any) -> None:
    marker, colour, _ = LOOKS[row.source]
    at = y + APART * {"training": -1, "total": 0}.get(row.source, 1)
    end = ax.get_xlim()[1]
    ax.plot([row.low, min(row.high, end)], [at, at], color=colour, linewidth=pt(1.3),
            solid_capstyle="butt", zorder=2)  # fmt: skip
    if row.high > end:
        ax.plot(end, at, marker=">", color=colour, markersize=pt(5), clip_on=False, zorder=3)
    ax.plot(row.sd, at, marker=marker, color=colour, markersize=pt(5.5), linestyle="none",
            markeredgecolor="white", markeredgewidth=0.7, clip_on=False, zorder=4)  # fmt: skip


def _legend(ax: Axes, sources: list[str], paper: Paper) -> None:
    """What the shapes are, above the axes."""
    marks = [
        ax.plot([], [], marker=LOOKS[one][0], color=LOOKS[one][1], linewidth=pt(1.3),
                markersize=pt(5.5), label=LOOKS[one][2])[0]
        for one in sources
    ]  # fmt: skip
    ax.legend(handles=marks, loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False,
              ncols=1 if paper.narrow else len(marks), fontsize=pt(8.5),
              borderaxespad=0.2, handlelength=1.8)  # fmt: skip


FIGURE = Figure(
    title="Where noise comes from",
    table=table,
    draw=draw,
    absent="fewer than two trials of an arm have a result yet",
    other="only a study with [noise] sources has it",
    applies=lambda answer: bool(answer.verdicts.get("noise")),
)
