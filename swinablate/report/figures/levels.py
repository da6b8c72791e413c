"""Accuracy and effect against every numeric level, a line a family, on the levels' own axis.

Arms on a line differ in that one setting alone (and in what was matched to it). Above: the mean of
each arm, the band its t-interval. Below: the difference to what the arm is compared with, with the
intervals that decide; hollow, at zero, is that arm, and a line joins what is compared with one and
the same; shaded: too small to matter. The axis is logarithmic where levels are at least fourfold.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from swinablate.records.plan import ArmRecord
from swinablate.report.drawing import PAGE, Canvas, Figure, Paper, records
from swinablate.report.drawing.heat import WIDE
from swinablate.report.drawing.ink import BAND, INK, apart, pt, sheet, ticks
from swinablate.report.drawing.interval import mean
from swinablate.report.drawing.kinds import KindLook, family_of, looks
from swinablate.report.drawing.scale import Scale, said, scale_in
from swinablate.report.families.compared import beside
from swinablate.report.results import StudyResults
from swinablate.text import flat

COLUMNS = (
    "setting", "setting_label", "line", "family", "arm", "against", "x", "log", "mean", "low",
    "high", "n", "delta_pp", "ci_low", "ci_high", "verdict", "rope_pp", "level", "metric",
)  # fmt: skip
FOURFOLD = 4.0
"""From such a ratio of the largest level to the smallest on, levels are ratios and not steps."""
FOLLOWS = ("heads", "width")
"""Lists of a model that have as many numbers as its depths have, and move with them."""
MOST = 6
"""Settings that are drawn; more fill no page."""
SAME = "model.depths"
WORDS: Mapping[str, str] = {
    "data.train_fraction": "training share", "train.epochs": "epochs",
    "model.window": "window", "model.patch": "patch", "model.width": "width",
    "model.depth": "depth", "model.depths": "blocks, all stages together",
    "train.lr": "learning rate", "train.batch": "batch",
}  # fmt: skip
"""What an axis is called; other settings by the last key of their path."""


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every arm on a line of two levels or more."""
    level, judged = 1 - answer.verdicts["alpha"], answer.verdicts
    done = answer.observed
    verdicts = {arm["name"]: arm for arm in judged["arms"]}
    rows = []
    for setting, line, arms in _lines(answer.plan.arms):
        for x, arm in sorted(arms.items()):
            found, said_of = mean(done.get(arm.name, []), level), verdicts.get(arm.name, {})
            keys = ("delta_pp", "ci_low", "ci_high", "verdict")
            if found.n:
                rows.append(
                    {"setting": setting, "setting_label": setting, "line": line,
                     "family": family_of(arm), "arm": arm.name,
                     "against": beside(said_of) if said_of else "", "x": x,
                     "mean": found.mean, "low": found.low, "high": found.high, "n": found.n,
                     **{k: said_of.get(k) for k in keys},
                     "rope_pp": judged["rope_pp"], "level": level, "metric": judged["metric"],
                     **said(judged)}
                )  # fmt: skip
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *said(judged)])
    sizes = frame.groupby(["setting", "line"]).arm.transform("size")
    frame = frame[sizes > 1].reset_index(drop=True)
    ends = frame.groupby("setting").x.agg(["min", "max"])
    wide = {s for s, lo, hi in ends.itertuples() if lo > 0 and hi / lo >= FOURFOLD}
    return frame.assign(log=frame.setting.isin(wide))


def _lines(arms: tuple[ArmRecord, ...]) -> Iterator[tuple[str, str, dict[float, ArmRecord]]]:
    """Settings, names of lines, and level -> arm of each."""
    recipes = {arm.name: flat(arm.recipe) for arm in arms if arm.recipe}
    known = {arm.name: arm for arm in arms}
    seen: defaultdict[str, set[float]] = defaultdict(set)
    for recipe in recipes.values():
        for path, value in recipe.items():
            if (x := _number(value)) is not None:
                seen[path].add(x)
    for setting in [path for path, values in seen.items() if len(values) > 1]:
        groups: defaultdict[tuple[Any, ...], dict[float, ArmRecord]] = defaultdict(dict)
        for name, recipe in recipes.items():
            x = _number(recipe.get(setting))
            if x is not None:
                groups[_rest(recipe, setting, known[name])].setdefault(x, known[name])
        found = [group for group in groups.values() if len(group) > 1]
        families = [family_of(next(iter(group.values()))) for group in found]
        for group, family in zip(found, families, strict=True):
            # Of several lines of a family each is called after its first arm.
            first = next(iter(group.values()))
            alone = families.count(family) == 1
            yield setting, family if alone else f"{family}: {first.name}", group


def _rest(recipe: Mapping[str, Any], setting: str, arm: ArmRecord) -> tuple[Any, ...]:
    """Everything else of a recipe, without what was matched to it or follows it."""
    off = {setting, *(arm.match.solved if arm.match else ())}
    if setting == SAME:
        off |= {f"model.{key}" for key in FOLLOWS}
    return tuple(sorted((path, repr(value)) for path, value in recipe.items() if path not in off))


def _number(value: object) -> float | None:
    """A level as a number; of a list of them, as depths are, their sum."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, list | tuple) and value:
        parts = [_number(each) for each in value]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None
    return None


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw two plots for every setting, means above and differences below."""
    settings = list(dict.fromkeys(rows.setting))[:MOST]
    across = min(2 if paper.narrow else 3, len(settings))
    blocks = -(-len(settings) // across)
    tall = 1.25 if paper.narrow else pt(1.75)
    width = paper.across(1.1 + 2.8 * across)
    height = blocks * (2 * tall + 0.85) + 0.3
    fig = sheet(width, height)
    styles = looks(rows.line.tolist())
    scale = scale_in(rows)
    for k, setting in enumerate(settings):
        own = rows[rows.setting == setting]
        left = (pt(50) / 72 + k % across * (width - pt(50) / 72) / across) / width
        wide = ((width - pt(50) / 72) / across - pt(36) / 72) / width
        top = height - 0.3 - (k // across) * (2 * tall + 0.85)
        upper = fig.add_axes((left, (top - tall) / height, wide, tall / height))
        lower = fig.add_axes((left, (top - 2 * tall - 0.12) / height, wide, tall / height))
        _means(upper, own, styles, scale)
        _effects(lower, own, styles)
        for ax in (upper, lower):
            _axis(ax, own, 4 if paper.narrow else 6)
        upper.tick_params(labelbottom=False)
        lower.set_xlabel(_called(setting, str(own.setting_label.iloc[0])))
        if k % across == 0:
            upper.set_ylabel(scale.axis(rows.metric.iloc[0]).replace(" (", "\n("))
            lower.set_ylabel(f"difference{scale.of_differences}".replace(" (", "\n("))
    _legend(fig, paper)
    return fig


def _legend(fig: Canvas, paper: Paper) -> None:
    """Name every line of every plot once, above the first of them."""
    handles, labels = fig.axes[0].get_legend_handles_labels()
    for ax in fig.axes[2::2]:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            if label not in labels:
                handles, labels = [*handles, handle], [*labels, label]
    columns, named = _key(labels, paper)
    while columns:
        key = fig.axes[0].legend(
            handles, named, loc="lower left", bbox_to_anchor=(-0.02, 1.02), frameon=False,
            ncol=columns, fontsize=pt(8), borderaxespad=0, handlelength=2.4,
            columnspacing=1.2,
        )  # fmt: skip
        # On the page, too, a key is no wider than the plots that it is of.
        if paper.width or key.get_window_extent().x1 <= fig.get_figwidth() * fig.dpi:
            break
        columns -= 1


def _key(labels: list[str], paper: Paper) -> tuple[int, list[str]]:
    """In how many columns lines are named, and their names: on paper a key is no wider than it."""
    if paper.width is None:
        return 4, labels
    longest = max(map(len, labels))
    for columns in (2,) if paper.narrow else (4, 3, 2):
        if longest <= _letters(paper.width, columns):
            return columns, labels
    return 1, apart(labels, _letters(paper.width, 1))


def _letters(width: float, columns: int) -> int:
    """How many letters a name may have: right of the axes' numbers, beside the line it names."""
    return int(((72 * width - pt(50)) / columns - pt(26)) / (WIDE * pt(8)))


def _called(setting: str, label: str) -> str:
    """What an axis is called: as the study labels it, else in words."""
    words = WORDS.get(setting, setting.rpartition(".")[2].replace("_", " "))
    return words if label == setting else label


def _means(ax: Axes, own: pd.DataFrame, styles: Mapping[str, KindLook], scale: Scale) -> None:
    # A t-interval does not know that there is no more than all: the band ends there, the table's
    # numbers do not.
    least, most = (0.0, 100.0) if scale.percent else (-np.inf, np.inf)
    for line, some in own.groupby("line", sort=False):
        look, x = styles[str(line)], some.x.astype(float)
        low, high = (end.astype(float).clip(least, most) for end in (some.low, some.high))
        ax.fill_between(x, low, high, color=look.colour, alpha=0.16, linewidth=0)
        ax.plot(x, some["mean"], _dash(str(line), styles), color=look.colour, marker=look.marker,
                markersize=pt(5), linewidth=pt(1.6), label=str(line))  # fmt: skip
    ax.set_ylim(*scale.within(ax.get_ylim()))


def _dash(line: str, styles: Mapping[str, KindLook]) -> str:
    """Solid; of lines that share a look with one before them, broken."""
    names = list(styles)
    return "--" if styles[line] in [styles[name] for name in names[: names.index(line)]] else "-"


def _effects(ax: Axes, own: pd.DataFrame, styles: Mapping[str, KindLook]) -> None:
    rope = own.rope_pp.iloc[0]
    if pd.notna(rope):
        ax.axhspan(-rope, rope, color=BAND, linewidth=0, zorder=0)
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1)
    known = own.against.astype(object)
    own = own.assign(against=known.where(known.notna(), ""))  # read from a file, nothing is NaN
    for line, every in own.groupby("line", sort=False):
        for other in dict.fromkeys(["", *every.against]):
            # Hollow, at zero: the arm that the others are compared with.
            base = every.delta_pp.isna() & every.verdict.isna()
            zero = every[every.arm == other if other else base]
            some = every[every.against == other].dropna(subset="delta_pp")
            _joined(ax, some, zero, styles[str(line)], _dash(str(line), styles))


def _joined(ax: Axes, some: pd.DataFrame, zero: pd.DataFrame, look: KindLook, dash: str) -> None:
    """Differences to one arm of the line, which is at zero, or to one that is not on it."""
    ax.plot(zero.x.astype(float), [0.0] * len(zero), look.marker, markersize=pt(5),
            markerfacecolor="white", markeredgecolor=look.colour, zorder=3)  # fmt: skip
    for point in records(some):
        if pd.notna(point.ci_low):
            ax.plot([point.x] * 2, [point.ci_low, point.ci_high], color=look.colour,
                    linewidth=pt(1.6))  # fmt: skip
    joined = pd.concat([some, zero.assign(delta_pp=0.0)]).sort_values("x")
    ax.plot(joined.x.astype(float), joined.delta_pp.astype(float), dash, color=look.colour,
            linewidth=pt(0.9))  # fmt: skip
    ax.plot(some.x.astype(float), some.delta_pp.astype(float), look.marker, color=look.colour,
            markersize=pt(5))  # fmt: skip


def _axis(ax: Axes, own: pd.DataFrame, most: int) -> None:
    levels = np.unique(own.x.to_numpy(float))
    if bool(own.log.iloc[0]):
        ax.set_xscale("log")
    # Both plots reach as far; the arm that others are compared with is not in the lower one.
    low, high = float(levels[0]), float(levels[-1])
    room = (high / low) ** 0.08 if own.log.iloc[0] else 0.08 * (high - low)
    ax.set_xlim((low / room, high * room) if own.log.iloc[0] else (low - room, high + room))
    shown = levels[:: -(-len(levels) // most)]
    ticks(ax, shown.tolist())


FIGURE = Figure(
    title="Results against levels",
    table=table,
    draw=draw,
    absent="no numeric axis: no two arms differ in one number alone",
    other="no numeric axis: no two arms differ in one number alone",
    applies=lambda answer: next(_lines(answer.plan.arms), None) is not None,
)
