"""Difference to the baseline, with the intervals that decide.

Shape and word give the verdict, which is read from the interval alone. Each tick under a bar is
one seed minus the mean of what its arm is compared with; where arms are judged within seeds, minus
the same seed of that (of splits, their means), and the line below the axis says so. Shaded:
differences too small to matter. Hollow: no interval, or not judged. An arrow stands for what lies
outside the axis; its numbers are at the right.
"""

from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import pandas as pd

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
from swinablate.report.drawing.ink import FAINT, INK, beside_others, pt, sheet
from swinablate.report.drawing.numbers import share
from swinablate.report.drawing.scale import said, scale_in, scale_of
from swinablate.report.families.compared import beside, declared
from swinablate.report.results import StudyResults
from swinablate.text import number

COLUMNS = (
    "mark", "arm", "against", "within", "seed", "delta_pp", "ci_low", "ci_high", "n", "seeds",
    "verdict", "negligible", "baseline_mean", "baseline_n", "rope_pp", "level", "kind", "metric",
)  # fmt: skip
AXIS = 4.3  # inches; names and numbers beside it fill a page's width

OUT = "\nequivalent: by the shorter interval of the two one-sided tests"
"""Where a bar leaves the band, and its word says that it is inside."""
BELOW = "\nbelow the line: declared contrasts, a family of their own"
ALONE = "seeds less a mean"
"""What ticks are where arms are compared by their means."""


def table(answer: StudyResults) -> pd.DataFrame:
    """A row for every arm (`interval`), best first, for every seed (`seed`), for every contrast.

    Arms that are compared with another one, and then declared contrasts (`contrast`), follow those
    that are compared with the baseline; `against` says what is subtracted from what.
    """
    judged = answer.verdicts
    base = judged["baseline"]
    planned = answer.wanted
    trials = answer.trials.assign(value=answer.values)
    ended = trials[(trials.status == "done") & trials.value.notna()]
    done = {str(arm): _values(own) for arm, own in ended.groupby("arm")}
    unit = "split" if answer.plan.units else "seed"
    same = {
        "baseline_mean": base["mean"],
        "baseline_n": base["n"],
        "rope_pp": judged["rope_pp"],
        "level": 1 - judged["alpha"],
        "kind": "repeated" if judged.get("looks") else "simultaneous",
        "metric": judged["metric"],
        **said(judged),
    }
    sign = scale_of(judged).sign
    rows: list[dict[str, Any]] = []
    means = {arm["name"]: arm["mean"] for arm in (base, *judged["arms"])}
    keys = ("delta_pp", "ci_low", "ci_high", "verdict", "negligible")
    for arm in sorted(judged["arms"], key=lambda arm: (beside(arm) != "", *_order(arm, sign))):
        shared = {"arm": arm["name"], "seeds": planned.get(arm["name"], arm["n"]), **same}
        other, paired = beside(arm) or base["name"], arm.get("pairs") is not None
        shared |= {"against": beside(arm), "within": unit if paired else ""}
        rows.append({"mark": "interval", **shared, **{key: arm[key] for key in ("n", *keys)}})
        own = done.get(arm["name"], {})
        gaps = _beyond(own, means.get(other))
        if paired:
            gaps = _within(own, done.get(other, {}), answer.plan.units)
        for seed, gap in gaps.items():
            rows.append({**shared, "mark": "seed", "seed": seed, "delta_pp": gap})
    for one in declared(answer):
        if one["kind"] != "arm":
            row = {"mark": "contrast", "arm": one["name"], "against": one["of"], **same}
            rows.append({**row, **{key: one[key] for key in keys}})
    known = any(row["mark"] != "seed" and row["delta_pp"] is not None for row in rows)
    some = {c for c in ("against", "within") if any(row.get(c) for row in rows)}
    columns = [c for c in COLUMNS if c not in {"against", "within"} or c in some]
    return pd.DataFrame(rows if known else [], columns=[*columns, *said(judged)])


def draw(rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
    """Draw one line for every arm, and its numbers beside it."""
    every = rows[rows.mark != "seed"].reset_index(drop=True)
    arms = _drawn(every)
    note = left_out(len(arms), len(every), ROWS)
    seeds = rows[(rows.mark == "seed") & rows.arm.isin(arms.arm)]
    first, scale = arms.iloc[0], scale_in(rows)
    others = arms.against if "against" in arms else [""] * len(arms)
    # A contrast's arms are many.
    named = ["" if m == "contrast" else o for m, o in zip(arms["mark"], others, strict=True)]
    names = beside_others(arms.arm, named, paper.name)
    # Inches a row: names of three lines need more.
    tall = max(name.count("\n") for name in names) >= 2
    height = max(len(arms), 2) * pt(0.48 if tall else 0.37)
    width = paper.across(AXIS + 5)
    fig = sheet(width, height + 0.9)
    ax = fig.add_axes((0.1, 0.1, AXIS / (AXIS + 5), height / (height + 0.9)))
    ax.set_ylim(len(arms) - 0.5, -0.5)
    ax.set_xlim(*limits(arms, seeds.delta_pp, first.rope_pp, scale.least(1.0)))
    ground(ax, first.rope_pp, scale.unit)
    own = seeds.groupby("arm").delta_pp
    for y, arm in enumerate(records(arms)):
        ticks = own.get_group(arm.arm).tolist() if arm.arm in own.groups else []
        bar(ax, y, arm, ticks, scale)
        count = share(arm.n, arm.seeds) if arm.mark == "interval" else ""
        numbers(ax, y, arm, count, places=scale.places, paper=paper)
    apart = [y for y in range(1, len(arms)) if bool(others[y]) != bool(others[y - 1])]
    for y in apart:
        ax.axhline(y - 0.5, color=FAINT, linewidth=0.8)
    if note:
        ax.axhline(ROWS // 2 - 0.5, color=FAINT, linewidth=0.8, linestyle=":")
    heads(ax, first.level, first.kind, "n", paper)
    ax.set_yticks(range(len(arms)), names, linespacing=1.0)
    for label, verdict in zip(ax.get_yticklabels(), arms.verdict, strict=True):
        label.set_color(INK if verdict in JUDGED else FAINT)
    ax.tick_params(axis="y", length=0, pad=8)
    ax.spines["left"].set_visible(False)
    said = (
        f"difference in {first.metric}"
        f"{scale.of_differences if paper.narrow else scale.in_words}\n"
        f"(baseline {number(first.baseline_mean, scale.places)}{scale.after}, "
        f"n = {first.baseline_n}{' splits' if 'split' in set(arms.get('within', ())) else ''})"
        + (f"\nbars: {100 * first.level:g} % CI, {first.kind}" if paper.narrow else "")
        + (OUT if _out(arms, first.rope_pp) else "")
        + (BELOW if apart else "")
        + _ticks(arms)
        + note
    )
    label = ax.set_xlabel(fold(said, paper))
    if paper.narrow:
        shapes(ax, arms.verdict, 34 + 11 * (label.get_text().count("\n") + 1))
    return fig


def _out(arms: pd.DataFrame, rope: float | None) -> bool:
    """Whether the interval of something that is equivalent leaves the margin."""
    own = arms[arms.verdict == "equivalent"]
    return bool(
        (own[["ci_low", "ci_high"]].astype(float).abs() >= float(rope or 0.0)).any(axis=None)
    )


def _ticks(arms: pd.DataFrame) -> str:
    """What the ticks are, where some are differences within seeds; families may differ in it."""
    judged = arms[arms["mark"] == "interval"].reindex(columns=["against", "within"])
    judged = judged.astype(object).fillna("")
    words = {part: f"differences within {part}s" if part else ALONE for part in judged.within}
    if not any(words):
        return ""
    below = judged.against != ""
    said = [words[part] for part in dict.fromkeys([*judged.within[~below], *judged.within[below]])]
    return f"\nticks: {'; below the line '.join(said)}"


def _drawn(arms: pd.DataFrame) -> pd.DataFrame:
    """The rows to draw; what is compared with another arm was asked for by name, and stays."""
    plain = (arms["mark"] == "interval") & (arms.against == "" if "against" in arms else True)
    kept = extremes(arms.delta_pp[plain].astype(float).to_dict(), ROWS)
    return arms[~plain | arms.index.isin(kept)].reset_index(drop=True)


def _order(arm: Mapping[str, Any], sign: int) -> tuple[bool, float]:
    """Best first; arms without a number last."""
    delta = arm["delta_pp"]
    return delta is None, 0.0 if delta is None else -sign * delta


def _values(done: pd.DataFrame) -> dict[int, float]:
    """Seed and result of an arm's trials."""
    return dict(zip(done.seed.tolist(), done.value.tolist(), strict=True))


def _beyond(own: Mapping[int, float], mean: float | None) -> dict[int, float]:
    """How far each seed is from the mean of the others."""
    return {} if mean is None else {seed: value - mean for seed, value in own.items()}


def _within(
    own: Mapping[int, float], other: Mapping[int, float], units: Mapping[int, int]
) -> dict[int, float]:
    """The differences that an interval within seeds is made of: of splits, of their means."""
    ours, theirs = _means(own, units), _means(other, units)
    return {at: value - theirs[at] for at, value in ours.items() if at in theirs}


def _means(values: Mapping[int, float], units: Mapping[int, int]) -> dict[int, float]:
    """The results of seeds, or of every split the mean of its own, where splits were drawn."""
    found: defaultdict[int, list[float]] = defaultdict(list)
    for seed, value in values.items():
        found[units.get(int(seed), seed)].append(value)
    return {at: fmean(each) for at, each in found.items()}


FIGURE = Figure(
    title="Effect of each change",
    table=table,
    draw=draw,
    absent="no arm has a result to compare with the baseline yet",
)
