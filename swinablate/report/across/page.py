"""Several studies side by side as files: a page, Markdown, a table, a figure, data."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from swinablate.records.report_folder import publish
from swinablate.report.across.answers import Across
from swinablate.report.drawing import Figure, beside, numbers
from swinablate.report.drawing.files import drawn, pixels
from swinablate.report.page import breakable, icon, md
from swinablate.report.tables import csv, interim
from swinablate.stats.comparisons.datasets import OverDatasets
from swinablate.text import after_difference, after_value

OVER_HEAD = [
    "arm",
    "mean effect",
    "verdict",
    "on a new data set like these",
    "between data sets (sd)",
    "same sign",
]
OVER = (
    "Every data set counts as one, however many seeds it has. The mean's interval is Hartung and "
    "Knapp's, and holds for all arms at once (Bonferroni); beside it the interval in which the "
    "true effect on another data set like these lies, for one arm. Of two data sets there is a "
    "mean and no word: how far data sets differ cannot be told from two."
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
    svg = drawn(figure, rows, "compare")
    said = context(found)
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("swinablate.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {"icon": icon, "breakable": breakable}
    env.globals["figure"] = Markup(svg)  # noqa: S704  our own drawing, names escaped by matplotlib
    page = env.get_template("compare.html").render(said)
    data = json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    return {
        "figures/compare.png": pixels(figure, rows),
        "figures/compare.svg": svg.encode(),
        "tables/compare.csv": csv(table).encode(),
        "compare.json": f"{data}\n".encode(),
        "report.md": markdown(said).encode(),
        "index.html": page.encode(),
    }


def context(found: Across) -> dict[str, Any]:
    """What page and Markdown show."""
    first, places = found.first, found.places
    unit = str(found.to_json()["unit"])
    return {
        "title": " | ".join(found.names),
        "metric": first["metric"],
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
        "over": [
            {"arm": arm, **_over(one, found.word(one), places)}
            for arm, one in found.over().items()
        ],
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
             row["signs"]]
            for row in said["over"]
        ])  # fmt: skip
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


def _over(one: OverDatasets, verdict: str, places: int) -> dict[str, Any]:
    """An effect over data sets, in words."""
    mean = numbers.signed(one.mean_pp, places)
    if one.ci_low is None or one.ci_high is None or one.new_low is None or one.new_high is None:
        return {"mean": mean, "verdict": "", "new": numbers.DASH, "tau": numbers.DASH,
                "signs": f"{one.same_sign} of {one.k}"}  # fmt: skip
    heterogeneity = f"{one.tau_pp:.{places}f} ({one.i2:.0f} % of the variation)"
    return {
        "mean": f"{mean} {numbers.interval(one.ci_low, one.ci_high, places)}",
        "verdict": verdict,
        "new": numbers.interval(one.new_low, one.new_high, places),
        "tau": heterogeneity,
        "signs": f"{one.same_sign} of {one.k}",
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


def shown_over(found: Across) -> list[list[str]]:
    """Rows for a terminal: every arm over the data sets, where each study has its own."""
    said = context(found)["over"]
    keys = ("arm", "mean", "verdict", "new", "tau", "signs")
    return [[_plain(row[key]) or "-" for key in keys] for row in said]


def _plain(text: str) -> str:
    """Without the signs that some terminals cannot show."""
    return text.replace(numbers.MINUS, "-").replace(numbers.DASH, "-")
