"""Metric rows of a trial, as MLflow keeps them. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from swinablate.text import known
from swinablate.tracking.cards import TrialCard
from swinablate.tracking.runs import Known, Row
from swinablate.tracking.text import key

RECALLS = 20
"""Classes whose recalls are shown, a line a class of a page that lists every metric; the record
has all of them."""


def curve(rows: Iterable[Mapping[str, Any]]) -> set[Row]:
    """The rows of a learning curve."""
    return {
        (key(name), float(value), int(row.get("at", 0)), int(row["epoch"]))
        for row in rows
        for name, value in row.items()
        if name not in {"epoch", "at"} and known(value)
    }


def final(outcome: Mapping[str, Any], curve: Sequence[Mapping[str, Any]], at: int) -> set[Row]:
    """What was measured once, at the end; the curve's own metrics stay the curve's."""
    metrics = outcome.get("metrics", {})
    shown = {name for row in curve for name in row}
    recalls = [name for name in metrics if name.startswith("test/recall/")]
    shown |= set(recalls) if len(recalls) > RECALLS else set()
    step = max((int(row["epoch"]) for row in curve), default=0)
    return {
        (key(name), float(value), at, step)
        for name, value in metrics.items()
        if name not in shown and known(value)
    }


def sizes(card: TrialCard, run: Known) -> set[Row]:
    """What is known before a trial starts."""
    sizes = {"model/params": card.params, "model/macs": card.macs}
    return {(k, float(v), run.started, 0) for k, v in sizes.items() if v is not None}


def digest(outcome: Mapping[str, Any]) -> str:
    """Of how a trial ended: equal ones need not be told again."""
    text = json.dumps(outcome, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
