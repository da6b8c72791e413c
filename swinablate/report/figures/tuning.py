"""Best validation accuracy that so many tries may be expected to find, for every arm.

Each point is the mean, over all choices of so many of the tries that ran, of the best among them,
so that arms that tried more are not favoured. The cross is the arm's own recipe, the fixed one. A
recipe that diverged counts as 0 %. What lies far below the rest is cut off. A curve that still
rises at its end would have gained from more tries; where curves cross, which arm is better depends
on the budget of tuning. Arms that were tuned several times have a thin line for each tuning, and
a thick one for their mean. Few arms share one plot; many have a panel each, over the baseline in
black.
"""

from statistics import fmean
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.ink import GRID, INK, OKABE_ITO, apart, dark, pt, sheet
from swinablate.report.drawing.numbers import plain
from swinablate.report.drawing.panels import panels
from swinablate.report.drawing.place import core, padded, spread, within
from swinablate.report.results import StudyResults
from swinablate.stats.budget import expected_best

COLUMNS = ("arm", "baseline", "repeat", "tries", "expected_best", "own", "ran", "planned")
MEAN = "mean"
"""In place of the number of a tuning: what its arm reaches on average over its tunings."""
TOGETHER = 4
"""More lines than this in one plot cannot be told apart."""
WORST = 0.0  # as the sampler was told (`ledger.WORST`), so that the curve is of what it saw
LATE = 0.25
"""Share of the tries whose values the axis need not show: the first ones may lie far below."""


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every tuning and number of tries; `own` is what the arm's own recipe reached.

    An arm of several tunings also has rows of their mean, over those that tried as many.
    """
    if not answer.verdicts.get("tuning"):
        return pd.DataFrame(columns=list(COLUMNS))
    planned = answer.verdicts["tuning"]["trials"]
    base = answer.verdicts["baseline"]["name"]
    rows = []
    for arm in [arm.name for arm in answer.plan.arms]:
        same = {"arm": arm, "baseline": arm == base, "planned": planned}
        mine = [
            [same | {"repeat": str(repeat)} | row for row in _course(trials)]
            for repeat, trials in answer.tuning[answer.tuning.arm == arm].groupby("repeat")
        ]
        rows += [row for course in mine for row in course]
        rows += [same | {"repeat": MEAN} | row for row in _averaged(mine)] if len(mine) > 1 else []
    return pd.DataFrame(rows, columns=list(COLUMNS))


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """All arms in one plot, or a panel for each."""
    few = rows.arm.nunique() <= TOGETHER
    return _together(rows, paper) if few else _panels(rows, paper)


def _course(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of one tuning."""
    reached = _reached(trials)
    best = expected_best(list(reached.values()))
    same = {"own": reached.get(0), "ran": len(reached)}
    return [{**same, "tries": k, "expected_best": v} for k, v in enumerate(best, 1)]


def _averaged(courses: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rows of the mean of several tunings; `ran` is how far the furthest has come."""
    longest = max(map(len, courses))
    owns = [course[0]["own"] for course in courses if course and course[0]["own"] is not None]
    return [
        {
            "own": fmean(owns) if owns else None,
            "ran": longest,
            "tries": k + 1,
            "expected_best": fmean(c[k]["expected_best"] for c in courses if len(c) > k),
        }
        for k in range(longest)
    ]


def _reached(trials: pd.DataFrame) -> dict[int, float]:
    """Validation accuracy of every try that ended, mean over its seeds."""
    found: dict[int, float] = {}
    for number, mine in trials[trials.kind == "tune"].groupby("number"):
        ended = set(mine.status)
        if ended == {"done"}:
            found[int(str(number))] = float(mine.val_acc.astype(float).mean())
        elif ended <= {"done", "diverged"}:
            found[int(str(number))] = WORST
    return found


def _together(rows: pd.DataFrame, paper: Paper) -> Canvas:
    fig = sheet(paper.across(8.2), 2.2 if paper.narrow else pt(3.6))
    ax = fig.add_axes((0.08, 0.15, 0.6, 0.8))
    others = dict.fromkeys(rows.arm[~rows.baseline])
    colours = {**dict(zip(others, OKABE_ITO, strict=False)), rows.arm[rows.baseline].iloc[0]: INK}
    for arm, colour in colours.items():
        _line(ax, rows[rows.arm == arm], colour)
    _frame(ax, rows)
    ax.set_xlabel("tries")
    ax.set_ylabel("expected best\nvalidation accuracy (%)")
    lasts = records(_main(rows).groupby("arm", sort=False).tail(1))
    low, high = ax.get_ylim()
    names = apart([one.arm for one in lasts], paper.name, 2)
    texts = [f"{name}\n{_end(one)}" for name, one in zip(names, lasts, strict=True)]
    tallest = max(text.count("\n") + 1 for text in texts)
    # A line of text takes 11.5 points; of 100 pixels to the inch, 72 points are.
    gap = pt(tallest * 11.5 + 3) * (high - low) / (ax.get_window_extent().height * 72 / 100)
    ends = [min(max(one.expected_best, low), high) for one in lasts]
    for text, one, end, at in zip(texts, lasts, ends, spread(ends, gap), strict=True):
        colour = colours[one.arm]
        ax.annotate(
            text, (one.tries, end), (1.05, at), xycoords="data", va="center", fontsize=pt(8.5),
            textcoords=ax.get_yaxis_transform(), color=dark(colour), linespacing=1.1,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 0},
            annotation_clip=False,
        )  # fmt: skip
    return fig


def _panels(rows: pd.DataFrame, paper: Paper) -> Canvas:
    best = rows[~rows.baseline].groupby("arm", sort=False).expected_best.last()
    values = {str(arm): value for arm, value in best.items()}
    fig, axes = panels(values, "tries", "expected best\nvalidation accuracy (%)", paper)
    for arm, ax in axes:
        _line(ax, rows[rows.baseline], INK)
        _line(ax, rows[rows.arm == arm], OKABE_ITO[1])
        _frame(ax, rows)
        (last,) = records(_main(rows[rows.arm == arm]).tail(1))
        ax.text(1, 1.01, _end(last), transform=ax.transAxes, ha="right", va="bottom",
                fontsize=pt(8),
                color=dark(OKABE_ITO[1]))  # fmt: skip
    return fig


def _main(rows: pd.DataFrame) -> pd.DataFrame:
    """What is drawn thick: of an arm of several tunings their mean."""
    several = rows.arm.isin(rows.arm[rows.repeat == MEAN])
    return rows[~several | (rows.repeat == MEAN)]


def _line(ax: Axes, every: pd.DataFrame, colour: str) -> None:
    mine = _main(every)
    for _, one in every[~every.index.isin(mine.index)].groupby("repeat"):
        ax.plot(one.tries, one.expected_best, color=colour, linewidth=0.7, alpha=0.45)
    ax.plot(
        mine.tries,
        mine.expected_best,
        color=colour,
        linewidth=pt(1.7),
        marker="o",
        markersize=pt(3),
    )
    own = mine.own.dropna()
    if len(own):
        ax.plot([1], own.iloc[:1], color=colour, marker="x", markersize=pt(7), markeredgewidth=1.6)


def _frame(ax: Axes, rows: pd.DataFrame) -> None:
    late = rows[rows.tries > LATE * rows.planned]
    ends = (late if len(late) else rows).groupby("arm").expected_best.agg(["min", "max"])
    low, high = core(ends["min"].tolist(), ends["max"].tolist(), float(ends["max"].median()))
    ax.set_ylim(*within(padded(low, high, 0.25, 2.0)))
    ax.set_xlim(0.5, float(rows.planned.iloc[0]) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.grid(axis="y", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)


def _end(last: Any) -> str:
    short = "" if last.ran == last.planned else f" of {last.planned}"
    return f"{plain(last.expected_best, 1)} with {last.ran}{short}"


FIGURE = Figure(
    title="Tries of tuning",
    table=table,
    draw=draw,
    absent="no try has ended yet",
    other="only a study with [tune] has it",
    applies=lambda answer: bool(answer.verdicts.get("tuning")),
)
