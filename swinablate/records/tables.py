"""What was measured, as tidy tables: a row a trial, and a row an epoch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord, Row
from swinablate.records.secrets import redact, secrets_here
from swinablate.text import LOG_ODDS, column_of, first_line

if TYPE_CHECKING:
    import pandas as pd

MEASURED = (
    *("test/loss", "test/balanced_accuracy", "test/f1_macro", "test/ece", "test/top5"),
    *("train/eval_accuracy", "train/eval_loss"),
)
"""What a final trial measures once besides its accuracy; older records lack it."""
NAMED = ("test/recall/", "test/translated/", "command/")
"""Begin the names of metrics that are columns only where a study asks for them."""
TRIALS = (
    *("arm", "seed", "trial", "status", "kind", "test_acc", "val_acc", "train_loss", "params"),
    *("macs", "train_s", "cpu_s", "images_per_s", "peak_mib", "epochs", "attempts", "device"),
    "execution",
    *("predictions", "correct", "test_images", *map(column_of, MEASURED), "failure"),
    "message",
)
"""Columns of the table of trials, in the order of its file; a table of no rows has them too."""
UNTIDY = ("kind", "execution", "predictions", "correct", "test_images", "message")
"""Columns that are no measurement: how a trial ran, its answers packed, a message of lines."""
WORDS = 200
"""Characters of a failed trial's message: a line or two of a page."""
Counts = np.ndarray[tuple[Any, ...], np.dtype[np.int64]]
Shares = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
TUNING = (*TRIALS, "number", "repeat")
RECALL = "test/recall/"
RECALLS = ("arm", "seed", "class_number", "recall")
CURVES = ("arm", "seed", "trial", "epoch", "train_loss", "val_acc", "epoch_s", "images_per_s")


def valued(trials: "pd.DataFrame", metric: str, unit: str = "") -> "pd.DataFrame":
    """The table as the statistics read it: `value` is the metric.

    A trial that was recorded without it is one that waits: it neither failed nor counts.

    Args:
        trials: a row a trial.
        metric: its name.
        unit: of its differences; log odds are made of percentages and the size of the test set.
    """
    value = trials[column_of(metric)]
    if unit == LOG_ODDS:
        value = log_odds(value.astype(float), trials.test_images.astype(float))
    status = trials.status.mask(unrecorded(trials, metric), "waiting")
    return trials.assign(value=value, status=status)


def log_odds(percent: Any, images: Any) -> Any:
    """The empirical logit of a percentage of images: of k right ones, (k + 1/2) / (n - k + 1/2).

    The halves keep 100 % finite, and take away most of the bias that the logarithm has.

    Source: Haldane 1956, Annals of Human Genetics 20; Agresti, Categorical Data Analysis (2013),
    sec. 6.
    """
    right = np.round(percent * images / 100)
    return np.log((right + 0.5) / (images - right + 0.5))


def unrecorded(trials: "pd.DataFrame", metric: str) -> "pd.Series[bool]":
    """Which trials are done without a record of the metric; every one records its accuracy."""
    lacks = trials[column_of(metric)].isna() & (metric != "test/accuracy")
    return lacks & (trials.status == "done")


def trials_table(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> "pd.DataFrame":
    """One row for every planned trial, recorded or not; accuracies in percent.

    A class's recall and accuracy under translation are columns where the plan asks for them.

    Args:
        plan: a recorded plan (`plan.json`).
        recorded: trial id -> outcome.
    """
    more = _named(plan)
    rows = [_row(row, recorded.get(row.trial), more) for row in plan.rows()]
    import pandas as pd

    return pd.DataFrame(rows, columns=[*TRIALS, *more])


def tidy(trials: "pd.DataFrame") -> "pd.DataFrame":
    """The table for people: arm, seed, then how it ended and what was measured."""
    return trials.drop(columns=list(UNTIDY)).reset_index(drop=True)


def tabulated(
    plan: PlanRecord, rows: Iterable[Row], recorded: Mapping[str, Outcome]
) -> "pd.DataFrame":
    """A row for every trial of tuning or at a tuned recipe, as `tuning` lists them."""
    more = _named(plan)
    found = [
        {**_row(row, recorded.get(row.trial), more), "number": row.number, "repeat": row.repeat}
        for row in rows
    ]
    import pandas as pd

    return pd.DataFrame(found, columns=[*TUNING, *more])


def _named(plan: PlanRecord) -> dict[str, str]:
    """Column -> key in a record, of metrics that are columns only because the plan names them."""
    named = [name for name in (*plan.metrics, *plan.own) if name.startswith(NAMED)]
    return {column_of(name): name.partition(":")[0] for name in named}


def curves_table(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> "pd.DataFrame":
    """One row for every epoch of every recorded trial.

    Of a command `val_acc` is what is compared, and every metric that it records is a column.
    """
    own = {column_of(name): name.partition(":")[0] for name in plan.own}
    commanded = bool(plan.arms) and plan.baseline.commanded
    # Of an arm of the other kind it would be another quantity under one name.
    validated = plan.compare.metric.partition(":")[0] if commanded else "val/accuracy"
    rows = [
        {
            "arm": row.arm.name,
            "seed": row.seed,
            "trial": row.trial,
            "epoch": point["epoch"],
            "train_loss": point.get("train/loss"),
            "val_acc": point.get(validated) if row.arm.commanded == commanded else None,
            "epoch_s": point.get("time/epoch_s"),
            "images_per_s": point.get("time/images_per_s"),
            **{column: point.get(key) for column, key in own.items()},
        }
        for row in plan.rows()
        if row.trial in recorded
        for point in recorded[row.trial].curve
    ]
    import pandas as pd

    return pd.DataFrame(rows, columns=[*CURVES, *own])


def recalls_table(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> "pd.DataFrame":
    """One row for every class of every finished final trial; percent. Older records have none."""
    rows = [
        (row.arm.name, row.seed, int(name.removeprefix(RECALL)), value)
        for row in plan.rows()
        if row.trial in recorded and recorded[row.trial].status == "done"
        for name, value in recorded[row.trial].metrics.items()
        if name.startswith(RECALL)
    ]
    import pandas as pd

    return pd.DataFrame(rows, columns=list(RECALLS))


@dataclass(frozen=True)
class Confusion:
    """What an arm takes for what.

    Attributes:
        n: seeds that recorded it.
        counts: test images of each class (a row) that are taken for each (a column), of them all.
    """

    n: int
    counts: Counts

    def shares(self) -> Shares:
        """Percent of the images of a class; not a number where it has none."""
        whole = self.counts.sum(axis=1, keepdims=True)
        return 100 * self.counts / np.where(whole > 0, whole, np.nan)


def confusions(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> dict[str, Confusion]:
    """What each arm takes for what; older records, and those of very many classes, do not say."""
    found: dict[str, list[Counts]] = {}
    for row in plan.rows():
        outcome = recorded.get(row.trial)
        if outcome and outcome.status == "done" and "confusion" in outcome.predictions:
            found.setdefault(row.arm.name, []).append(np.array(outcome.predictions["confusion"]))
    return {
        arm: Confusion(len(own), np.sum(own, axis=0))
        for arm, own in found.items()
        if len({one.shape for one in own}) == 1
    }


def _row(row: Row, found: Outcome | None, more: Mapping[str, str]) -> dict[str, Any]:
    metrics = dict(found.metrics) if found else {}
    for asked, own in row.arm.measures.items():
        if (key := own.partition(":")[0]) in metrics:
            metrics[asked.partition(":")[0]] = metrics[key]
    execution = found.execution if found else {}
    predictions = found.predictions if found else {}
    return {
        "arm": row.arm.name,
        "seed": row.seed,
        "trial": row.trial,
        "status": found.status if found else "waiting",
        "kind": row.kind,
        "test_acc": metrics.get("test/accuracy"),
        "val_acc": metrics.get("val/accuracy"),
        "train_loss": metrics.get("train/loss"),
        "params": row.arm.params,
        "macs": row.arm.macs,
        "train_s": metrics.get("time/train_s"),
        "cpu_s": metrics.get("time/cpu_s"),
        "images_per_s": metrics.get("time/images_per_s"),
        "peak_mib": metrics.get("memory/peak_mib"),
        "epochs": metrics.get("epochs"),
        "attempts": found.attempt if found else 0,
        "device": execution.get("device"),
        "execution": " ".join(f"{k}={v}" for k, v in sorted(execution.items())) or None,
        "predictions": predictions.get("sha256"),
        "correct": predictions.get("correct"),
        "test_images": predictions.get("images"),
        **{column_of(key): metrics.get(key) for key in (*MEASURED, *more.values())},
        "failure": found.failure.get("kind") if found and found.failure else None,
        "message": _said(found.failure) if found and found.failure else None,
    }


def _said(failure: Mapping[str, str]) -> str | None:
    """The first line of what a failed trial said, without secrets; the log has the rest."""
    return first_line(redact(failure.get("message", ""), secrets_here()), WORDS) or None
