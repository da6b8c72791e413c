"""How every two changes act together: 0 if their effects add up.

Blue: together they are better than the sum of what each does alone. Hatched: the interval
holds 0. Intervals and verdicts are with the effects.
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.patches import Rectangle

from swinablate.report.drawing import Canvas, Figure, records
from swinablate.report.drawing.ink import FAINT, sheet, wrapped
from swinablate.report.drawing.numbers import signed
from swinablate.report.drawing.scale import said, scale_in
from swinablate.report.results import StudyResults

COLUMNS = ("first", "second", "delta_pp", "ci_low", "ci_high", "verdict", "metric")
SEVERAL = 3
"""Fewer interactions are read faster as a list."""
SIDE = 20
"""Changes along either side: two pages wide. A study may have 900, wider than a PNG may be."""
CELL = 0.72  # inches: a signed number of two places, with room around it


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every interaction that could be estimated."""
    rows = []
    for found in answer.verdicts["contrasts"]:
        if found["kind"] == "interaction" and found["delta_pp"] is not None:
            first, _, second = found["name"].partition(" x ")
            keys = ("delta_pp", "ci_low", "ci_high", "verdict")
            rows.append({"first": first, "second": second, **{k: found[k] for k in keys}})
    same = {"metric": answer.verdicts["metric"], **said(answer.verdicts)}
    known = [{**row, **same} for row in rows]
    columns = [*COLUMNS, *said(answer.verdicts)]
    return pd.DataFrame(known if len(rows) >= SEVERAL else [], columns=columns)


def draw(rows: pd.DataFrame) -> Canvas:
    """Draw the lower triangle of all pairs."""
    every, rows = rows, _drawn(rows)
    scale = scale_in(rows)
    names = list(dict.fromkeys([*rows["first"], *rows.second]))
    across = [name for name in names if name in set(rows["first"])]
    down = [name for name in names if name in set(rows.second)]
    grid = pd.DataFrame(np.nan, index=down, columns=across)
    for cell in records(rows):
        grid.loc[cell.second, cell.first] = cell.delta_pp
    words = grid.map(lambda value: "" if pd.isna(value) else signed(value, scale.places))
    width, height = CELL * len(across) * 1.25, CELL * len(down) * 0.8
    fig = sheet(width + 3.6, height + 1.6)
    ax = fig.add_axes(
        (2.4 / (width + 3.6), 1.3 / (height + 1.6), width / (width + 3.6), height / (height + 1.6))
    )
    # At least the smallest number that is shown, lest zeros alone have no scale.
    most = max(float(np.nanmax(np.abs(grid.to_numpy()))), 10.0**-scale.places)
    # Not seaborn's `center`, which is deprecated inside: the limits are symmetric.
    sns.heatmap(
        grid, ax=ax, vmin=-most, vmax=most, cmap="vlag_r" if scale.sign > 0 else "vlag",
        annot=words, fmt="", linewidths=1.5, annot_kws={"fontsize": 9},
        cbar_kws={"label": f"interaction{scale.of_differences}"},
    )  # fmt: skip
    for cell in records(rows):
        if pd.isna(cell.ci_low) or cell.ci_low <= 0 <= cell.ci_high:
            corner = (across.index(cell.first), down.index(cell.second))
            ax.add_patch(
                Rectangle(
                    corner, 1, 1, fill=False, hatch="///", edgecolor=FAINT, linewidth=0, alpha=0.35
                )
            )
    ax.set_xticks(
        np.arange(len(across)) + 0.5, [wrapped(n, 22) for n in across], rotation=35, ha="right"
    )
    ax.set_yticks(np.arange(len(down)) + 0.5, [wrapped(n, 30) for n in down], rotation=0)
    ax.tick_params(length=0)
    ax.set(xlabel=_left_out(len(rows), len(every)), ylabel="")
    return fig


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    """The pairs to draw: all, or those of the changes with the largest interactions."""
    sizes = rows.delta_pp.astype(float).abs()
    kept = pd.Series(data=True, index=rows.index)
    for side in ("first", "second"):
        largest = sizes.groupby(rows[side]).max().nlargest(SIDE).index
        kept &= rows[side].isin(largest)
    return rows[kept]


def _left_out(shown: int, of: int) -> str:
    if shown == of:
        return ""
    most = f"the {SIDE} changes of either side with the largest interactions"
    return f"drawn: {shown} of {of} interactions, between {most}; the table has all"


FIGURE = Figure(
    title="Interactions",
    table=table,
    draw=draw,
    absent="fewer than three interactions could be estimated",
    applies=lambda answer: answer.plan.design in {"factorial", "fraction"},
)
