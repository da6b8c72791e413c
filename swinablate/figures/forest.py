"""Difference to the baseline in percentage points, with simultaneous confidence intervals.

Shape and word give the verdict, which is read from the interval alone. Each tick under a bar is
one seed minus the baseline's mean. Shaded: differences declared too small to matter. Hollow: no
interval, or not judged. An arrow stands for what lies outside the axis; its numbers are at the
right.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from swinablate.figure import Answer, Canvas, Figure, records
from swinablate.figure.ink import BAND, FAINT, GRID, INK, LOOKS, Look, mark, root, sheet, wrapped
from swinablate.figure.numbers import interval, share, signed
from swinablate.figure.place import core, padded

COLUMNS = (
    "mark", "arm", "seed", "delta_pp", "ci_low", "ci_high", "n", "seeds", "verdict",
    "negligible", "baseline_mean", "baseline_n", "rope_pp", "level", "metric",
)  # fmt: skip
JUDGED = ("better", "worse", "equivalent", "undecided")
AXIS = 4.3  # inches
DELTA, INTERVAL, COUNT, SHAPE, VERDICT = 44, 54, 174, 192, 201  # points right of the axis


def table(answer: Answer) -> pd.DataFrame:
    """A row for every arm (`interval`), best first, and one for every seed (`seed`)."""
    judged = answer.verdicts
    base = judged["baseline"]
    planned = answer.trials.groupby("arm").size()
    done = answer.trials[(answer.trials.status == "done") & answer.trials.test_acc.notna()]
    same = {
        "baseline_mean": base["mean"],
        "baseline_n": base["n"],
        "rope_pp": judged["rope_pp"],
        "level": 1 - judged["alpha"],
        "metric": judged["metric"],
    }
    rows: list[dict[str, Any]] = []
    for arm in sorted(judged["arms"], key=_order):
        shared = {"arm": arm["name"], "seeds": int(planned.get(arm["name"], arm["n"])), **same}
        keys = ("n", "delta_pp", "ci_low", "ci_high", "verdict", "negligible")
        rows.append({"mark": "interval", **shared, **{key: arm[key] for key in keys}})
        if base["mean"] is not None:
            rows += [
                {**shared, "mark": "seed", "seed": seed, "delta_pp": value - base["mean"]}
                for seed, value in zip(*_values(done, arm["name"]), strict=True)
            ]
    known = any(row["mark"] == "interval" and row["delta_pp"] is not None for row in rows)
    return pd.DataFrame(rows if known else [], columns=list(COLUMNS))


def draw(rows: pd.DataFrame) -> Canvas:
    """Draw one line for every arm, and its numbers beside it."""
    arms = rows[rows.mark == "interval"].reset_index(drop=True)
    seeds = rows[rows.mark == "seed"]
    first = arms.iloc[0]
    names = [wrapped(name) for name in arms.arm]
    height = max(len(arms), 2) * (0.37 if max(name.count("\n") for name in names) < 2 else 0.48)
    fig = sheet(AXIS + 5, height + 0.9)
    ax = fig.add_axes((0.1, 0.1, AXIS / (AXIS + 5), height / (height + 0.9)))
    ax.set_ylim(len(arms) - 0.5, -0.5)
    ax.set_xlim(*_limits(arms, seeds.delta_pp, first.rope_pp))
    _ground(ax, first)
    for y, arm in enumerate(records(arms)):
        _bar(ax, y, arm, seeds.delta_pp[seeds.arm == arm.arm].tolist())
        _numbers(ax, y, arm)
    _heads(ax, first.level)
    ax.set_yticks(range(len(arms)), names, linespacing=1.0)
    for label, verdict in zip(ax.get_yticklabels(), arms.verdict, strict=True):
        label.set_color(INK if verdict in JUDGED else FAINT)
    ax.tick_params(axis="y", length=0, pad=8)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(
        f"difference in {first.metric}, percentage points\n"
        f"(baseline {first.baseline_mean:.2f} %, n = {first.baseline_n})"
    )
    return fig


def _order(arm: Mapping[str, Any]) -> tuple[bool, float]:
    """Best first; arms without a number last."""
    delta = arm["delta_pp"]
    return delta is None, 0.0 if delta is None else -delta


def _values(done: pd.DataFrame, arm: str) -> tuple[list[int], list[float]]:
    mine = done[done.arm == arm]
    return mine.seed.tolist(), mine.test_acc.tolist()


def _limits(
    arms: pd.DataFrame, seeds: "pd.Series[float]", rope: float | None
) -> tuple[float, float]:
    """Where the intervals are, and every seed that is not half as far again."""
    known = arms.dropna(subset=["delta_pp"])
    lows, highs = known.ci_low.fillna(known.delta_pp), known.ci_high.fillna(known.delta_pp)
    low, high = core(lows.tolist(), highs.tolist(), 0.0)
    near = seeds[(seeds >= low - (high - low) / 2) & (seeds <= high + (high - low) / 2)]
    low, high = min(low, near.min()), max(high, near.max())  # NaN, of no seeds, changes nothing
    edge = 0.0 if rope is None or pd.isna(rope) else float(rope)
    return padded(min(low, -edge), max(high, edge), least=1.0)


def _ground(ax: Axes, first: Any) -> None:
    if pd.notna(first.rope_pp):
        rope = float(first.rope_pp)
        ax.axvspan(-rope, rope, color=BAND, linewidth=0, zorder=0)
        ax.annotate(
            f"\u00b1{rope:g} pp", (0, 1), (0, 6), xycoords=("data", "axes fraction"), ha="center",
            textcoords="offset points", fontsize=8.5, color=LOOKS["equivalent"].colour,
        )  # fmt: skip
    ax.axvline(0, color=INK, linewidth=1.0, zorder=1)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def _bar(ax: Axes, y: int, arm: Any, seeds: list[float]) -> None:
    look, (left, right) = LOOKS[arm.verdict], ax.get_xlim()
    if pd.isna(arm.delta_pp):
        return
    low = arm.delta_pp if pd.isna(arm.ci_low) else arm.ci_low
    high = arm.delta_pp if pd.isna(arm.ci_high) else arm.ci_high
    if high < left or low > right:
        _arrow(ax, y, arm.delta_pp, look)
        return
    _ticks(ax, y, seeds)
    ax.plot([low, high], [y, y], color=look.colour, linewidth=2.6, solid_capstyle="butt")
    for beyond, edge, tip in ((low < left, left, "<"), (high > right, right, ">")):
        if beyond:
            ax.plot(edge, y, marker=tip, color=look.colour, markersize=7, clip_on=False)
    if left <= arm.delta_pp <= right:
        mark(ax, arm.delta_pp, y, look if pd.notna(arm.ci_low) else replace(look, filled=False))


def _ticks(ax: Axes, y: int, seeds: list[float]) -> None:
    """One tick for every seed; equal seeds stand side by side."""
    left, right = ax.get_xlim()
    for value in sorted(set(seeds)):
        if not left <= value <= right:
            edge, tip = (left, "<") if value < left else (right, ">")
            ax.plot(edge, y + 0.29, marker=tip, color="#8A8A8A", markersize=3.5, clip_on=False)
            continue
        twins = seeds.count(value)
        for k in range(twins):
            x = value + (k - (twins - 1) / 2) * 0.0055 * (right - left)
            ax.plot([x, x], [y + 0.21, y + 0.37], color="#7A7A7A", linewidth=0.8)


def _arrow(ax: Axes, y: int, delta: float, look: Look) -> None:
    """Stand in for an interval that lies outside the axis."""
    left, right = ax.get_xlim()
    edge, side, align = (left, 1, "left") if delta < left else (right, -1, "right")
    ax.annotate(
        f"{signed(delta, 1)} pp, outside the axis", (edge, y), (30 * side, 0),
        textcoords="offset points", ha=align, va="center", fontsize=8.5, color=look.colour,
        arrowprops={"arrowstyle": "-|>", "color": look.colour, "linewidth": 2.2, "shrinkA": 2,
                    "shrinkB": 0},
    )  # fmt: skip


def _numbers(ax: Axes, y: int, arm: Any) -> None:
    look = LOOKS[arm.verdict]
    judged = arm.verdict in JUDGED
    figures = {"color": INK if judged else FAINT, "fontsize": 8.5, "family": "monospace"}
    _beside(ax, y, DELTA, signed(arm.delta_pp), ha="right", **figures)
    _beside(ax, y, INTERVAL, interval(arm.ci_low, arm.ci_high), **figures)
    _beside(ax, y, COUNT, share(arm.n, arm.seeds), ha="right", **figures)
    word = f"{arm.verdict} (negligible)" if arm.negligible is True else str(arm.verdict)
    weight = "bold" if judged else "normal"
    _beside(ax, y, VERDICT, word, color=look.colour, fontsize=9, weight=weight)
    offset = ScaledTranslation(SHAPE / 72, 0, root(ax).dpi_scale_trans)
    mark(ax, 1, y, look, ax.get_yaxis_transform() + offset)


def _heads(ax: Axes, level: float) -> None:
    for x, text, align in (
        (DELTA, "\u0394", "right"),
        (INTERVAL, f"{100 * level:g} % CI, simultaneous", "left"),
        (COUNT, "n", "right"),
        (SHAPE - 4, "verdict", "left"),
    ):
        ax.annotate(
            text, (1, 1), (x, 6), xycoords="axes fraction", textcoords="offset points",
            ha=align, fontsize=8.5, color=FAINT,
        )  # fmt: skip


def _beside(ax: Axes, y: int, x: float, text: str, **style: Any) -> None:
    """Write in a column right of the axis."""
    ax.annotate(
        text, (1, y), (x, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points",
        va="center", **style,
    )  # fmt: skip


FIGURE = Figure(
    title="Effect of each change",
    table=table,
    draw=draw,
    absent="no arm has a result to compare with the baseline yet",
)
