"""Effects of the design's switches, averaged over the levels of all others, and how they interact.

A main effect is what a level changes against the baseline's level. An interaction is by how much
the second change alters the effect of the first: 0 if the two add up. Each of the two families has
an error rate of its own; the interval gives the verdict. Shaded: too small to matter.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.bars import (
    JUDGED,
    bar,
    fold,
    ground,
    heads,
    limits,
    numbers,
    shapes,
)
from swinablate.report.drawing.extremes import ROWS, extremes, left_out
from swinablate.report.drawing.ink import FAINT, INK, apart, pt, sheet
from swinablate.report.drawing.scale import Scale, said, scale_in
from swinablate.report.results import StudyResults

COLUMNS = (
    "family", "effect", "delta_pp", "ci_low", "ci_high", "p_holm", "verdict", "negligible",
    "rope_pp", "level", "metric",
)  # fmt: skip
KINDS = ("main effect", "interaction")
AXIS = 4.3  # inches; names and numbers beside it fill a page's width


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every effect that could be estimated, a family at a time, largest first."""
    judged = answer.verdicts
    same = {
        "rope_pp": judged["rope_pp"], "level": 1 - judged["alpha"], "metric": judged["metric"],
        **said(judged),
    }  # fmt: skip
    keys = ("family", "delta_pp", "ci_low", "ci_high", "p_holm", "verdict", "negligible")
    rows = [
        {"effect": found["name"], **{key: found[key] for key in keys}, **same}
        for kind in KINDS
        for found in sorted(_of(answer, kind), key=lambda found: -abs(found["delta_pp"] or 0.0))
    ]
    known = any(row["delta_pp"] is not None for row in rows)
    return pd.DataFrame(rows if known else [], columns=[*COLUMNS, *said(judged)])


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw one line for every effect, the families one below the other."""
    every, first, scale = rows, rows.iloc[0], scale_in(rows)
    families = list(dict.fromkeys(rows.family))
    rows = _drawn(rows)
    lines = len(rows) + len(families)
    names = apart(rows.effect, paper.name + 4)
    named = dict(zip(rows.effect, names, strict=True))
    # Inches a row: names of two lines need more.
    height = lines * pt((0.34, 0.4, 0.48)[min(max(name.count("\n") for name in names), 2)])
    fig = sheet(paper.across(AXIS + 5), height + 0.9)
    ax = fig.add_axes((0.1, 0.1, AXIS / (AXIS + 5), height / (height + 0.9)))
    ax.set_ylim(lines - 0.5, -0.5)
    ax.set_xlim(*limits(rows, pd.Series(dtype=float), first.rope_pp, scale.least(1.0)))
    ground(ax, first.rope_pp, scale.unit)
    at, labels, inks, notes = [], [], [], ""
    for k, family in enumerate(families):
        start = int((rows.family != family).to_numpy().argmin()) + k
        at.append(start)
        mine = rows[rows.family == family]
        labels.append(family)
        if note := left_out(len(mine), int((every.family == family).sum()), ROWS, "effects"):
            notes += f"\n{family}, {note.strip()}"
        inks.append(FAINT)
        for y, effect in enumerate(records(mine), start + 1):
            bar(ax, y, effect, scale=scale)
            numbers(ax, y, effect, "", places=scale.places, paper=paper)
            at.append(y)
            labels.append(named[effect.effect])
            inks.append(INK if effect.verdict in JUDGED else FAINT)
    heads(ax, first.level, "simultaneous", "", paper)
    ax.set_yticks(at, labels, linespacing=1.0)
    for label, ink in zip(ax.get_yticklabels(), inks, strict=True):
        label.set_color(ink)
    ax.tick_params(axis="y", length=0, pad=8)
    ax.spines["left"].set_visible(False)
    _below(ax, rows, scale, notes, paper)
    return fig


def _below(ax: Axes, rows: pd.DataFrame, scale: Scale, notes: str, paper: Paper) -> None:
    """Name the axis, and in a column of a paper what else has no room beside it."""
    first = rows.iloc[0]
    bars = f"\nbars: {100 * first.level:g} % CI, simultaneous" if paper.narrow else ""
    unit = scale.of_differences if paper.narrow else scale.in_words
    said = fold(f"effect on {first.metric}{unit}{bars}{notes}", paper)
    ax.set_xlabel(said)
    if paper.narrow:
        shapes(ax, rows.verdict, 34 + 11 * (said.count("\n") + 1))


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows to draw, of each family as many at most."""
    families = rows.groupby("family", sort=False).delta_pp
    kept = [i for _, own in families for i in extremes(own.astype(float).to_dict(), ROWS)]
    return rows.loc[kept].reset_index(drop=True)


def _of(answer: StudyResults, kind: str) -> list[Any]:
    return [found for found in answer.verdicts["contrasts"] if found["kind"] == kind]


FIGURE = Figure(
    title="Effects of the switches",
    table=table,
    draw=draw,
    absent="no cell has a result yet",
    other="only a factorial design or a fraction of one has it",
    applies=lambda answer: answer.plan.design in {"factorial", "fraction"},
)
