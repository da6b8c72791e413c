"""What a researcher sees first in MLflow's pages: saved views, and links that open them.

A view is an experiment tag `mlflow.sharedViewState.<key>`: JSON around a deflated state of
the page. The format is MLflow's own and undocumented (read in its 3.17 pages), so
`tests/integration/test_ui.py` opens every view in a browser.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

LIMIT = 8000
"""MLflow cuts a tag at so many characters."""
TITLES = {"table": "1 Ablation table", "curves": "2 Curves", "failed": "3 Failed"}
"""Numbered in the order in which to look at them."""
_NAME, _CREATED, _NOTE = "attributes.`Run Name`", "runDateAndNestInfo", "attributes.`Description`"
_WIDTHS = {
    _NAME: 165,
    _CREATED: 44,  # its mark says how the run ended; the age is of no interest
    _NOTE: 420,
    "duration": 80,
    "metrics.`delta_pp`": 88,
    "metrics.`acc_mean`": 90,
    "metrics.`acc_std`": 78,
    "metrics.`metric_mean`": 105,
    "metrics.`metric_std`": 95,
    "metrics.`n`": 50,
    "tags.`done`": 75,
    "tags.`interval`": 135,
    "tags.`verdict`": 135,
    "tags.`hypothesis`": 170,
    "tags.`message`": 420,
}
"""Pixels that show a column's usual content whole, and of a text its first words."""
SWITCHES = 8
"""More columns would push the note far to the right; the runs have all of them."""
_CHARTS = ("val/accuracy", "train/loss", "time/epoch_s", "memory/peak_mib")

COMING = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>No report yet</title>
<p>This study has no report yet. It comes here when the study has ended, or is brought by
the command <code>sync</code>.</p></html>
"""
"""In a report's place until there is one: links lead to it from the first trial on."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the tables show of a study.

    Attributes:
        metric: of a trial, what the arms are compared in.
        summary: of an arm, that metric's mean and standard deviation over seeds.
        varied: short names of the varied switches; as many as fit become columns.
    """

    metric: str
    summary: tuple[str, str]
    varied: Sequence[str]


def links(experiment: str) -> dict[str, str]:
    """Title -> address of each view, relative to the address of the pages."""
    return {title: link(experiment, key) for key, title in TITLES.items()}


def link(experiment: str, view: str) -> str:
    """The address of one saved view."""
    chart = "&compareRunsMode=CHART" if view == "curves" else ""
    return (
        f"#/experiments/{quote(experiment)}/runs?viewStateShareKey={view}"
        f"&workflowType=machine_learning{chart}"
    )


def run_link(experiment: str, run: str, path: str = "") -> str:
    """The address of one run, or of a file among its artifacts."""
    tail = f"/artifacts/{quote(path)}" if path else ""
    mode = "?workflowType=machine_learning"
    return f"#/experiments/{quote(experiment)}/runs/{quote(run)}{tail}{mode}"


def arm_link(experiment: str, declaration: str, arm: str) -> str:
    """The address of an arm's summary, by a search: the run is made anew where trials are newer.

    Empty where the arm's name cannot stand in a search: it has both kinds of quotes.
    """
    quotes = [mark for mark in "'\"" if mark not in arm]
    if not quotes:
        return ""
    search = (
        f"tags.kind = 'summary' and tags.declaration = '{declaration}' "
        f"and tags.summarizes = {quotes[0]}{arm}{quotes[0]}"
    )
    return (
        f"#/experiments/{quote(experiment)}/runs?searchFilter={quote(search, safe='')}"
        "&workflowType=machine_learning"
    )


def tags(declaration: str, columns: Columns, arms: Sequence[str], created: int) -> dict[str, str]:
    """The experiment tags that make the views.

    Args:
        declaration: only runs of this declaration are shown.
        columns: what the tables show.
        arms: their seeds are folded into one row and one mean curve.
        created: Unix time, milliseconds.
    """
    mine = f"tags.declaration LIKE '{declaration[:12]}%'"
    mean, sd = columns.summary
    summary = [f"metrics.`{name}`" for name in ("delta_pp", mean, sd, "n")]
    summary[1:1] = ["tags.`interval`", "tags.`verdict`"]
    sizes = ["metrics.`model/params`", "metrics.`model/macs`"]
    switches = [f"params.`{name}`" for name in columns.varied][:SWITCHES]
    shown = dict.fromkeys((columns.metric, "val/accuracy"))
    states = {
        "table": _state(
            f"tags.kind = 'summary' and {mine}",
            order="metrics.`delta_pp`",
            columns=[*summary, "tags.`done`", "tags.`hypothesis`", *switches, *sizes, _NOTE],
        ),
        "curves": _state(
            f"tags.kind = 'trial' and tags.purpose = 'final' and {mine}",
            order="attributes.`Created`",
            columns=[*(f"metrics.`{name}`" for name in shown), *switches],
        )
        | _grouped("arm", arms),
        "failed": _state(
            f"attributes.status = 'FAILED' and tags.kind = 'trial' and {mine}",
            order="attributes.`Created`",
            columns=["tags.`failure`", "tags.`message`", "tags.`attempts`"],
        ),
    }
    for key in ("table", "failed"):
        states[key]["compareRunCharts"] = [_chart("delta_pp"), _chart(mean)]
    return {f"mlflow.sharedViewState.{key}": _tag(key, states[key], created) for key in states}


def _state(search: str, *, order: str, columns: Sequence[str]) -> dict[str, Any]:
    shown = [_NAME, _CREATED, *columns, "duration"]
    return {
        "searchFilter": search,
        "orderByKey": order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(columns),
        "columnOrder": shown,
        "columnWidths": {name: _WIDTHS.get(name, 100) for name in shown},
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": None,
        "compareRunCharts": [],
        "compareRunSections": _section("Arms"),
    }


def _grouped(tag: str, values: Sequence[str]) -> dict[str, Any]:
    """Rows and curves are means over the runs of one value; the rows start folded."""
    return {
        "orderByAsc": True,
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": tag}],
        },
        "groupsExpanded": {f"tag.{tag}.{value}": False for value in values},
        "useGroupedValuesInCharts": True,
        "compareRunCharts": [_chart(key) for key in _CHARTS],
        "compareRunSections": _section("Curves"),
    }


def _section(title: str) -> list[dict[str, Any]]:
    size = {"columns": 2, "cardHeight": 340}  # pixels: four charts in a square of 700
    return [{"uuid": "all", "name": title, "display": True, "isReordered": False} | size]


def _chart(metric: str) -> dict[str, Any]:
    line = "/" in metric
    chart: dict[str, Any] = {
        "type": "LINE" if line else "BAR",
        "uuid": metric,
        "metricKey": metric,
        "runsCountToCompare": 100,  # MLflow's own 10 would draw part of a study as all of it
        "metricSectionId": "all",
        "deleted": False,
        "isGenerated": False,
    }
    if line:
        chart |= {
            "selectedMetricKeys": [metric],
            "scaleType": "linear",
            "xAxisKey": "step",
            "xAxisScaleType": "linear",
            "lineSmoothness": 0,
            "useGlobalLineSmoothing": True,
            "useGlobalXaxisKey": True,
            "selectedXAxisMetricKey": "",
            "selectedYAxisMetricKey": "",
        }
    return chart


def _tag(key: str, state: Mapping[str, Any], created: int) -> str:
    text = _packed(key, state, created)
    if len(text) > LIMIT:  # hundreds of arms: they start unfolded
        text = _packed(key, {**state, "groupsExpanded": {}}, created)
    return text


def _packed(key: str, state: Mapping[str, Any], created: int) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    view = {
        "name": TITLES[key],
        "createdAt": created,
        "updatedAt": created,
        "state": f"deflate;{packed}",
    }
    return json.dumps(view)
