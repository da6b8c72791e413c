"""What was measured, as tidy tables: a row a trial, and a row an epoch."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from swinablate.records.home import planned
from swinablate.records.outcome import Outcome

TRIALS = (
    *("arm", "seed", "trial", "status", "kind", "test_acc", "val_acc", "train_loss", "params"),
    *("macs", "train_s", "images_per_s", "peak_mib", "epochs", "attempts", "device", "execution"),
    *("predictions", "correct", "test_images", "failure"),
)
TUNING = (*TRIALS, "number")
CURVES = ("arm", "seed", "trial", "epoch", "train_loss", "val_acc", "epoch_s", "images_per_s")


def trials_table(plan: Mapping[str, Any], recorded: Mapping[str, Outcome]) -> pd.DataFrame:
    """One row for every planned trial, recorded or not; accuracies in percent.

    Args:
        plan: a recorded plan (`plan.json`).
        recorded: trial id -> outcome.
    """
    rows = [_row(arm, seed, trial, recorded.get(trial)) for arm, seed, trial in planned(plan)]
    return pd.DataFrame(rows, columns=list(TRIALS))


def tabulated(
    rows: Iterable[tuple[Mapping[str, Any], int, str]], recorded: Mapping[str, Outcome]
) -> pd.DataFrame:
    """A row for every trial of tuning or at a tuned recipe, as `tuning` lists them."""
    found = [
        {**_row(arm, seed, trial, recorded.get(trial)), "number": arm["number"]}
        for arm, seed, trial in rows
    ]
    return pd.DataFrame(found, columns=list(TUNING))


def curves_table(plan: Mapping[str, Any], recorded: Mapping[str, Outcome]) -> pd.DataFrame:
    """One row for every epoch of every recorded trial."""
    rows = [
        {
            "arm": arm["name"],
            "seed": seed,
            "trial": trial,
            "epoch": row["epoch"],
            "train_loss": row["train/loss"],
            "val_acc": row["val/accuracy"],
            "epoch_s": row["time/epoch_s"],
            "images_per_s": row["time/images_per_s"],
        }
        for arm, seed, trial in planned(plan)
        if trial in recorded
        for row in recorded[trial].curve
    ]
    return pd.DataFrame(rows, columns=list(CURVES))


def _row(arm: Mapping[str, Any], seed: int, trial: str, found: Outcome | None) -> dict[str, Any]:
    metrics = found.metrics if found else {}
    execution = found.execution if found else {}
    predictions = found.predictions if found else {}
    return {
        "arm": arm["name"],
        "seed": seed,
        "trial": trial,
        "status": found.status if found else "waiting",
        "kind": "tune" if arm.get("kind") == "tune" else "final",
        "test_acc": metrics.get("test/accuracy"),
        "val_acc": metrics.get("val/accuracy"),
        "train_loss": metrics.get("train/loss"),
        "params": arm["params"],
        "macs": arm["macs"],
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
        "failure": found.failure["kind"] if found and found.failure else None,
    }
