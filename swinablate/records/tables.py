"""What was measured, as tidy tables: a row a trial, and a row an epoch."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord, Row
from swinablate.records.secrets import redact, secrets_here
from swinablate.text import first_line

MEASURED = {
    "test_loss": "test/loss",
    "test_balanced_acc": "test/balanced_accuracy",
    "test_f1_macro": "test/f1_macro",
    "test_ece": "test/ece",
    "test_top5": "test/top5",
    "train_eval_acc": "train/eval_accuracy",
    "train_eval_loss": "train/eval_loss",
}
"""Column -> what a final trial measures once besides its accuracy; older records lack it."""
TRIALS = (
    *("arm", "seed", "trial", "status", "kind", "test_acc", "val_acc", "train_loss", "params"),
    *("macs", "train_s", "images_per_s", "peak_mib", "epochs", "attempts", "device", "execution"),
    *("predictions", "correct", "test_images", *MEASURED, "failure"),
    "message",
)
"""Columns of the table of trials, in the order of its file; a table of no rows has them too."""
WORDS = 200
"""Characters of a failed trial's message: a line or two of a page."""
TUNING = (*TRIALS, "number")
CURVES = ("arm", "seed", "trial", "epoch", "train_loss", "val_acc", "epoch_s", "images_per_s")


def trials_table(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> pd.DataFrame:
    """One row for every planned trial, recorded or not; accuracies in percent.

    Args:
        plan: a recorded plan (`plan.json`).
        recorded: trial id -> outcome.
    """
    rows = [_row(row, recorded.get(row.trial)) for row in plan.rows()]
    return pd.DataFrame(rows, columns=list(TRIALS))


def tabulated(rows: Iterable[Row], recorded: Mapping[str, Outcome]) -> pd.DataFrame:
    """A row for every trial of tuning or at a tuned recipe, as `tuning` lists them."""
    found = [{**_row(row, recorded.get(row.trial)), "number": row.number} for row in rows]
    return pd.DataFrame(found, columns=list(TUNING))


def curves_table(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> pd.DataFrame:
    """One row for every epoch of every recorded trial."""
    rows = [
        {
            "arm": row.arm.name,
            "seed": row.seed,
            "trial": row.trial,
            "epoch": point["epoch"],
            "train_loss": point.get("train/loss"),
            "val_acc": point.get("val/accuracy"),
            "epoch_s": point.get("time/epoch_s"),
            "images_per_s": point.get("time/images_per_s"),
        }
        for row in plan.rows()
        if row.trial in recorded
        for point in recorded[row.trial].curve
    ]
    return pd.DataFrame(rows, columns=list(CURVES))


def _row(row: Row, found: Outcome | None) -> dict[str, Any]:
    metrics = found.metrics if found else {}
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
        "images_per_s": metrics.get("time/images_per_s"),
        "peak_mib": metrics.get("memory/peak_mib"),
        "epochs": metrics.get("epochs"),
        "attempts": found.attempt if found else 0,
        "device": execution.get("device"),
        "execution": " ".join(f"{k}={v}" for k, v in sorted(execution.items())) or None,
        "predictions": predictions.get("sha256"),
        "correct": predictions.get("correct"),
        "test_images": predictions.get("images"),
        **{column: metrics.get(key) for column, key in MEASURED.items()},
        "failure": found.failure.get("kind") if found and found.failure else None,
        "message": _said(found.failure) if found and found.failure else None,
    }


def _said(failure: Mapping[str, str]) -> str | None:
    """The first line of what a failed trial said, without secrets; the log has the rest."""
    return first_line(redact(failure.get("message", ""), secrets_here()), WORDS) or None
