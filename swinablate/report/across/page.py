"""Several studies side by side as files: a page, Markdown, a table, a figure, data."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from swinablate.records.report_folder import publish
from swinablate.report.across.answers import Across
from swinablate.report.drawing import Figure, beside, numbers
from swinablate.report.drawing.files import drawn, pixels
from swinablate.report.drawing.scale import said as scaled
from swinablate.report.drawing.words import metric as called
from swinablate.report.drawing.words import worded
from swinablate.report.families.datasets import effect_rows, profile_rows
from swinablate.report.figures.datasets import FIGURE as EFFECTS
from swinablate.report.figures.profile import FIGURE as PROFILES
from swinablate.report.page import breakable, icon, md
from swinablate.report.tables import csv, interim
from swinablate.text import after_difference, after_value

OVER_HEAD = [
    "arm",
    "mean effect",
    "verdict",
    "on a new data set like these",
    "between data sets (sd)",
    "same sign",
    "middle half",
]
OVER = (
    "Every data set has one effect, and those that are known better weigh more (random effects). "
    "The mean's interval is Hartung and Knapp's, and holds for all arms at once (Bonferroni); "
    "beside it the interval in which the true effect on another data set like these lies, for one "
    "arm alone, so that it may be shorter. Of two data sets there is a "
    "mean and no word: how far data sets differ cannot be told from two. The middle half is the "
    "mean of the effects without a quarter at either end, from five data sets on; it decides "
    "nothing."
)
CAPTION = " ".join((beside.__doc__ or "").split())


def write(found: Across, out: Path, *, force: bool = False) -> None:
    """Write the report of several studies into a folder, `index.html` last.

    Raises:
        InputError: the folder holds files of others.
        EnvironmentFault: it cannot be written.
    """
    publish(contents(found), out, force=force)


def contents(found: Across) -> dict[str, bytes]:
    """Every file of the report."""
    table = found.table()
    rows = table.assign(
        metric=found.first["metric"],
        unit=found.to_json()["unit"],
        rope_pp=found.first.get("rope_pp"),
    )
    figure = Figure(title="Effects", table=lambda _: rows, draw=beside.draw, absent="")
    rows = worded(rows, {})
    svg = drawn(figure, rows, "compare")
    more = _more(found)
    said = context(found) | {"drawn": [(name, figure.title) for name, figure, *_ in more]}
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("swinablate.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {"icon": icon, "breakable": breakable}
    env.globals["figure"] = Markup(svg)  # noqa: S704  our own drawing, names escaped by matplotlib
    env.globals["more"] = [
        (figure.title, _caption(figure), Markup(element))  # noqa: S704  as above
        for _, figure, element, *_ in more
    ]
    page = env.get_template("compare.html").render(said)
    data = json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    return {
        "figures/compare.png": pixels(figure, rows),
        "figures/compare.svg": svg.encode(),
        "tables/compare.csv": csv(table).encode(),
        **{f"figures/{name}.svg": element.encode() for name, _, element, _ in more},
        **{f"tables/{name}.csv": csv(rows).encode() for name, *_, rows in more},
        "compare.json": f"{data}\n".encode(),
        "report.md": markdown(said).encode(),
        "index.html": page.encode(),
    }


def _more(found: Across) -> list[tuple[str, Figure, str, pd.DataFrame]]:
    """Name, figure, `<svg>` and table of what is drawn over data sets."""
    if not found.over:
        return []
    tables = {
        "datasets": (EFFECTS, effect_rows(found.over, found.first)),
        "profile": (PROFILES, profile_rows(dict(zip(found.sets, found.answers, strict=True)))),
    }
    drawings = []
    for name, (figure, rows) in tables.items():
        if len(rows):
            own = rows.assign(**scaled(found.first))
            drawings.append((name, figure, drawn(figure, worded(own, {}), name), own))
    return drawings


def _caption(figure: Figure) -> str:
    """The docstring of a figure's module."""
    return " ".join((sys.modules[figure.draw.__module__].__doc__ or "").split())


def context(found: Across) -> dict[str, Any]:
    """What page and Markdown show."""
    first, places = found.first, found.places
    unit = str(found.to_json()["unit"])
    return {
        "title": found.title or " | ".join(found.names),
        "metric": called(first["metric"]),
        "after": after_difference(unit),
        "level": f"{100 * (1 - first['alpha']):g} %",
        "rope": first.get("rope_pp"),
        "method": first["method"],
        "caption": CAPTION,
        "over_note": OVER,
        "over_head": OVER_HEAD,
        "studies": [
            {
                "name": answer.plan.study,
                "question": answer.plan.question,
                "interim": interim(answer),
                "baseline": _mean(answer.verdicts["baseline"], unit),
                "n": answer.verdicts["baseline"]["n"],
            }
            for answer in found.answers
        ],
        "differs": found.differs,
        "over": [{"arm": one["arm"], **_over(one, places)} for one in found.over],
        "rows": [
            {
                "arm": arm,
                "cells": [_cell(found.cell(i, arm), places) for i in range(len(found.answers))],
            }
            for arm in found.arms
        ],
    }


def markdown(said: Mapping[str, Any]) -> str:
    """The same as Markdown, with a link to the figure beside it."""
    names = [one["name"] for one in said["studies"]]
    lines = [f"# {md(said['title'])}", ""]
    lines += [
        f"- {'INTERIM: ' if one['interim'] else ''}**{md(one['name'])}**: {md(one['question'])} "
        f"Baseline {md(one['baseline'])} (n = {one['n']})."
        for one in said["studies"]
    ]
    lines += [
        "",
        _how(said),
        "",
        "![Effects](figures/compare.svg)",
        "",
        f"*{md(said['caption'])}*",
    ]
    lines += ["", *_rows(["arm", *names], [
        [row["arm"], *(cell["text"] if cell else numbers.DASH for cell in row["cells"])]
        for row in said["rows"]
    ])]  # fmt: skip
    if said["over"]:
        lines += ["", "## Over the data sets", "", md(OVER), ""]
        lines += _rows(OVER_HEAD, [
            [row["arm"], row["mean"], row["verdict"] or numbers.DASH, row["new"], row["tau"],
             row["signs"], row["middle"]]
            for row in said["over"]
        ])  # fmt: skip
        for name, title in said["drawn"]:
            lines += ["", f"![{title}](figures/{name}.svg)"]
    if said["differs"]:
        lines += ["", "## What differs between the studies", ""]
        lines += _rows(["", *names], [
            [path, *(values[name] for name in names)] for path, values in said["differs"].items()
        ])  # fmt: skip
    return "\n".join(lines) + "\n"


def _how(said: Mapping[str, Any]) -> str:
    rope = "none" if said["rope"] is None else f"{said['rope']:g}{said['after']}"
    return md(
        f"Differences in {said['metric']}, each to its own study's baseline, with {said['level']} "
        f"intervals that hold for all arms of one study at once; rope {rope}; "
        f"method {said['method']}. Runs are never pooled over studies."
    )


def _rows(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [
        f"| {' | '.join(one if one == '---' else md(one) for one in line)} |" for line in lines
    ]


def _over(one: Mapping[str, Any], places: int) -> dict[str, Any]:
    """An effect over data sets, in words."""
    mean, signs = numbers.signed(one["mean_pp"], places), f"{one['same_sign']} of {one['k']}"
    if one["ci_low"] is None:
        blank = dict.fromkeys(("new", "tau", "middle"), numbers.DASH)
        return {"mean": mean, "verdict": "", "signs": signs, **blank}
    middle = numbers.signed(one["iqm_pp"], places)
    if one["iqm_pp"] is not None:
        middle += f" {numbers.interval(one['iqm_low'], one['iqm_high'], places)}"
    return {
        "mean": f"{mean} {numbers.interval(one['ci_low'], one['ci_high'], places)}",
        "verdict": one["verdict"],
        "new": numbers.interval(one["new_low"], one["new_high"], places),
        "tau": f"{one['tau_pp']:.{places}f} ({one['i2']:.0f} % of the variation)",
        "signs": signs,
        "middle": middle,
    }


def _mean(base: Mapping[str, Any], unit: str) -> str:
    return f"{numbers.mean_sd(base['mean'], base['sd'])}{after_value(unit)}"


def _cell(arm: Mapping[str, Any] | None, places: int) -> dict[str, Any] | None:
    if arm is None:
        return None
    delta = numbers.signed(arm["delta_pp"], places)
    ends = numbers.interval(arm["ci_low"], arm["ci_high"], places)
    against = f" against {arm['against']}" if arm.get("against") else ""
    word = arm["verdict"] + (" (negligible)" if arm.get("negligible") else "")
    return {
        "delta": delta,
        "interval": ends,
        "n": arm["n"],
        "verdict": arm["verdict"],
        "negligible": bool(arm.get("negligible")),
        "against": against,
        "text": f"{delta} {ends} {word}{against}, n = {arm['n']}",
    }


def shown(found: Across) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table for a terminal."""
    said = context(found)
    names = [("INTERIM " if s["interim"] else "") + s["name"] for s in said["studies"]]
    rows = [
        [row["arm"], *(_plain(cell["text"]) if cell else "-" for cell in row["cells"])]
        for row in said["rows"]
    ]
    return ["arm", *names], rows


def _plain(text: str) -> str:
    """Without the signs that some terminals cannot show."""
    return text.replace(numbers.MINUS, "-").replace(numbers.DASH, "-")
