"""Which parts each arm has, and what that is worth: the ablation table of a paper, as a figure.

A check is a part that is there, a dash one that is switched off; another level is written out. At
the right the difference to the baseline, with the intervals that decide. Arms of other families
are not here: they differ in more than parts.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from swinablate.records.plan import ArmRecord
from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.bars import bar, fold, ground, heads, limits, numbers, shapes
from swinablate.report.drawing.extremes import ROWS, extremes, left_out
from swinablate.report.drawing.heat import WIDE
from swinablate.report.drawing.ink import FAINT, GRID, INK, apart, pt, sheet
from swinablate.report.drawing.kinds import family_of
from swinablate.report.drawing.numbers import share
from swinablate.report.drawing.scale import said, scale_in
from swinablate.report.results import StudyResults
from swinablate.text import flat, named_level

COLUMNS = (
    "arm", "component", "cell", "changed", "delta_pp", "ci_low", "ci_high", "n", "seeds",
    "verdict", "negligible", "rope_pp", "kind", "level", "metric",
)  # fmt: skip
HAS, LACKS = "\N{CHECK MARK}", "\N{EN DASH}"
OFF = (False, None, "none", "off", 0, 0.0)
"""Levels that leave a part out, as switches are written."""
MOST = 12
"""Parts: more columns leave no room for an axis. Those that most arms change come first."""
CELL = 0.42  # inches a column
LEVEL = 7.8  # size of the letters of a level that is written out
BETWEEN = 0.11  # inches between what is written in a cell and the next cell
AXIS = 2.8  # inches


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every arm and part: the baseline first, then the best arms first."""
    judged, base = answer.verdicts, answer.plan.baseline
    arms = {arm.name: arm for arm in answer.plan.arms if _plain(arm, base)}
    parts: dict[str, int] = {}
    for arm in arms.values():
        for path in flat(arm.changes):
            parts[path] = parts.get(path, 0) + 1
    kept = sorted(parts, key=lambda path: -parts[path])[:MOST]
    verdicts = {one["name"]: one for one in judged["arms"] if not one.get("against")}
    first = {"delta_pp": 0.0 if judged["baseline"]["n"] else None, "verdict": "",
             "n": judged["baseline"]["n"]}  # fmt: skip
    planned = answer.wanted
    sign = scale_in(pd.DataFrame([said(judged) or {"metric": ""}])).sign
    known = sorted(
        (name for name in arms if name in verdicts and verdicts[name]["delta_pp"] is not None),
        key=lambda name: -sign * float(verdicts[name]["delta_pp"]),
    )
    rows = []
    was = flat(base.recipe)
    for name in (base.name, *known):
        keys = ("delta_pp", "ci_low", "ci_high", "n", "verdict", "negligible")
        own = {key: (first if name == base.name else verdicts[name]).get(key) for key in keys}
        changes = flat(arms[name].changes) if name != base.name else {}
        rows += [
            {"arm": name, "component": path, "cell": _cell(path, changes, was),
             "changed": path in changes, **own, "seeds": planned.get(name, 0),
             "rope_pp": judged["rope_pp"], "level": 1 - judged["alpha"],
             "kind": "repeated" if judged.get("looks") else "simultaneous",
             "metric": judged["metric"], **said(judged)}
            for path in kept
        ]  # fmt: skip
    columns = [*COLUMNS, *said(judged)]
    return pd.DataFrame(rows if known and len(kept) > 1 else [], columns=columns)


def _plain(arm: ArmRecord, base: ArmRecord) -> bool:
    """Whether an arm is the baseline with parts changed."""
    return family_of(arm) == family_of(base) and "recipe" not in arm.changes


def _cell(path: str, changes: Mapping[str, Any], was: Mapping[str, Any]) -> str:
    if path not in changes:
        return LACKS if path in was and was[path] in OFF else HAS
    level = changes[path]
    return HAS if level is True else LACKS if level in OFF else named_level(level)


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw the cells, and beside them a forest of the same arms."""
    parts = list(dict.fromkeys(rows.component))
    arms = rows.drop_duplicates("arm").reset_index(drop=True)
    kept = extremes({i: float(d) for i, d in enumerate(arms.delta_pp)}, ROWS)
    note = left_out(len(kept), len(arms), ROWS)
    arms = arms[(arms.index == 0) | arms.index.isin(kept)].reset_index(drop=True)
    names = apart(arms.arm, paper.name - 3, 2)
    height = len(arms) * pt(0.34)
    cell = _across(rows, paper)
    width = paper.across(AXIS + 5 + cell * len(parts))
    fig = sheet(width, height + 1.4)
    wide = cell * len(parts)
    cells = fig.add_axes((0.15, 0.2, wide / width, height / (height + 1.4)))
    ax = fig.add_axes((0.15 + (wide + 0.15) / width, 0.2, 0.3, height / (height + 1.4)))
    _cells(cells, rows, arms.arm.tolist(), parts)
    cells.set_yticks(range(len(arms)), names, linespacing=1.0)
    first, scale = arms.iloc[0], scale_in(rows)
    ax.set_ylim(len(arms) - 0.5, -0.5)
    ax.set_xlim(*limits(arms, pd.Series(dtype=float), first.rope_pp, scale.least(1.0)))
    ground(ax, first.rope_pp, scale.unit)
    for y, arm in enumerate(records(arms)):
        if isinstance(arm.verdict, str) and arm.verdict:
            bar(ax, y, arm, scale=scale)
            numbers(ax, y, arm, share(arm.n, arm.seeds), places=scale.places, paper=paper)
    heads(ax, first.level, first.kind, "n", paper)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    unit = scale.of_differences
    text = f"difference in {first.metric}{unit}"
    if paper.narrow:
        text = f"difference{unit}\n{100 * first.level:g} % CI, {first.kind}"
    label = fold(text + note, paper)
    ax.set_xlabel(label)
    if paper.narrow:
        shapes(ax, arms.verdict.dropna(), 34 + 11 * (label.count("\n") + 1))
    return fig


def _across(rows: pd.DataFrame, paper: Paper) -> float:
    """Inches of a column: a level that is written out touches nothing beside it."""
    lines = [line for cell in _written(rows) for line in cell.splitlines()]
    letters = max(len(line) + line.count("\N{HORIZONTAL ELLIPSIS}") for line in lines)  # as two
    written = letters * WIDE * pt(LEVEL) / 72 + BETWEEN
    return max(pt(CELL) * (0.75 if paper.narrow else 1.0), written)


def _written(rows: pd.DataFrame) -> "pd.Series[str]":
    """What stands in each cell: levels of one part are told apart."""
    return rows.groupby("component", sort=False).cell.transform(lambda own: apart(own, 7, 2))


def _cells(ax: Axes, rows: pd.DataFrame, arms: list[str], parts: list[str]) -> None:
    ax.set_xlim(-0.5, len(parts) - 0.5)
    ax.set_ylim(len(arms) - 0.5, -0.5)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for y in range(len(arms)):
        ax.axhline(y + 0.5, color=GRID, linewidth=0.7)
    places = {name: y for y, name in enumerate(arms)}
    for cell in records(rows.assign(written=_written(rows))[rows.arm.isin(arms)]):
        ax.text(
            parts.index(cell.component), places[cell.arm], cell.written,
            ha="center", va="center", fontsize=pt(10 if cell.cell in {HAS, LACKS} else LEVEL),
            color=INK if cell.changed else FAINT, weight="bold" if cell.changed else "normal",
        )  # fmt: skip
    ax.set_xticks(range(len(parts)), apart(map(_short, parts), 20, 1), rotation=50, ha="left",
                  rotation_mode="anchor", fontsize=pt(8))  # fmt: skip
    ax.tick_params(length=0, labeltop=True, labelbottom=False)


def _short(part: str) -> str:
    """The last key of a switch, as long as it is one; a label stays as it is written."""
    return part.rpartition(".")[2].replace("_", " ") if "." in part else part


FIGURE = Figure(
    title="Parts of each arm",
    table=table,
    draw=draw,
    absent="no two parts were changed, or no arm has a result yet",
    other="fewer than two parts were changed",
    applies=lambda answer: (
        len({p for arm in answer.plan.arms if _plain(arm, answer.plan.baseline)
             for p in flat(arm.changes)}) > 1
    ),
)  # fmt: skip
