"""The same statistics and figures for results trained anywhere: a CSV file in, an answer out."""

import hashlib
import io
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swinablate.config.plugins import did_you_mean
from swinablate.config.written import encoding_hint, read_text
from swinablate.errors import InputError
from swinablate.records.plan import ArmRecord, CompareRecord, PlanRecord
from swinablate.records.provenance import provenance
from swinablate.records.tables import CURVES, TRIALS
from swinablate.report.results import StudyResults
from swinablate.stats import Declaration, verdicts

NEEDED = ("arm", "seed", "value")
OPTIONAL = ("status", "params", "macs", "step")
NOTHING = [
    *("", " ", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"),
    *("1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
]
"""What stands for a number that is not known: pandas' own list. An arm may have such a name."""
BEYOND = 1 << 53
"""From here on, neighbouring whole numbers are one number to readers that know floats only."""
LARGEST = 256 << 20
"""Bytes of a table: a thousand trials with a thousand epochs each take a tenth of it."""


def analyze(file: Path, baseline: str, *, rope: float | None, alpha: float) -> StudyResults:
    """Judge a table of results.

    Args:
        file: CSV with columns arm, seed, value (percent); optional status, params, macs, and
            step (the last one of each arm and seed is the result, all are its curve).
        baseline: the arm the others are compared with.
        rope: percentage points; None calls nothing equivalent.
        alpha: error rate of all comparisons together.

    Raises:
        InputError: the file cannot be read as such a table.
    """
    table = read_results(file)
    if baseline not in set(table.arm):
        hint = did_you_mean(baseline, sorted(set(table.arm)))
        raise InputError(f"no arm is called {baseline!r}", at=f"{file}: --baseline", hint=hint)
    last = table.sort_values("step", kind="stable").groupby(["arm", "seed"], sort=False).tail(1)
    last = last.sort_index()
    try:
        judged = verdicts(
            last, Declaration(alpha=alpha, rope_pp=rope, baseline=baseline), complete=True
        )
    except InputError as error:
        raise InputError(error.problem, at=str(file), hint=error.hint) from None
    arms = [baseline, *(name for name in dict.fromkeys(table.arm) if name != baseline)]
    return StudyResults(
        plan=_plan(file, arms, last, rope=rope, alpha=alpha),
        trials=_trials(last),
        curves=_curves(table),
        verdicts=judged.to_json(),
        provenance={
            "report": provenance(),
            "file": file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "command": _command(file, baseline, rope=rope, alpha=alpha),
        },
    )


def _command(file: Path, baseline: str, *, rope: float | None, alpha: float) -> str:
    """What gives the same answer again."""
    margin = [] if rope is None else ["--rope", str(rope)]
    words = ["swinablate", "analyze", str(file), "--baseline", baseline, *margin]
    return shlex.join([*words, "--alpha", str(alpha)])


def read_results(file: Path) -> pd.DataFrame:
    """Read and check the table; every optional column is there afterwards.

    Raises:
        InputError: no such file, not a table, a column is missing or not numeric, a row has
            no arm or no seed, or stands there twice.
    """
    try:
        text = read_text(file, LARGEST)
        nothing = dict.fromkeys((*NEEDED[1:], *OPTIONAL), NOTHING)
        table = pd.read_csv(
            io.StringIO(text),
            dtype={"arm": str, "status": str},
            keep_default_na=False,
            na_values=nothing,
        )
    except FileNotFoundError:
        raise InputError("no such file", at=str(file), hint="check the path") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 text: {error.reason} at byte {error.start}",
            at=str(file),
            hint=encoding_hint(error),
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"not a CSV table: {error}", at=str(file), hint="save it as CSV"
        ) from None
    for column in NEEDED:
        if column not in table:
            hint = f"columns: {', '.join(NEEDED)}; optional: {', '.join(OPTIONAL)}"
            raise InputError(f"column {column!r} is missing", at=str(file), hint=hint)
    defaults: dict[str, Any] = {"status": "done", "params": None, "macs": None, "step": 0}
    for column in defaults.keys() - set(table.columns):
        table[column] = defaults[column]
    for column in ("seed", "value", "params", "macs", "step"):
        table[column] = _numbers(table, column, file)
    _check_rows(table, file)
    table["status"] = table.status.fillna("done")
    return table.astype({"seed": "int64"})


def _check_rows(table: pd.DataFrame, file: Path) -> None:
    """Refuse a row that is no result of one seed of one arm.

    Raises:
        InputError: there is one.
    """
    _refuse(
        table.arm.isna() | (table.arm.str.strip() == "") | table.seed.isna(),
        "a row has no arm or no seed",
        "fill it in",
        file,
    )
    whole = (table.seed % 1 == 0) & (table.seed.abs() < BEYOND)
    _refuse(~whole, "the seed is no whole number below 2**53", "number the runs 0, 1, 2", file)
    for column in ("params", "macs", "step"):
        endless = table[column].notna() & ~np.isfinite(table[column].astype(float))
        _refuse(endless, f"{column} has no end", "leave the cell empty where it is unknown", file)
    twice = table.duplicated(["arm", "seed", "step"])
    hint = "one row a seed; for curves, number them in a column 'step'"
    _refuse(twice, "this arm and seed stand there twice", hint, file)


def _refuse(wrong: "pd.Series[bool]", problem: str, hint: str, file: Path) -> None:
    if wrong.any():
        line = (
            int(wrong.to_numpy().argmax()) + 2
        )  # lines count from 1, and the first has the names
        raise InputError(problem, at=f"{file}: line {line}", hint=hint)


def _numbers(table: pd.DataFrame, column: str, file: Path) -> "pd.Series[float]":
    found = pd.to_numeric(table[column], errors="coerce")
    wrong = (found.isna() & table[column].notna()).to_numpy()
    if wrong.any():
        line = int(wrong.argmax())
        raise InputError(
            f"{column} = {table[column].iloc[line]!r} is no number",
            at=f"{file}: line {line + 2}",
            hint="write accuracies in percent, with a decimal point",
        )
    return found


def _plan(
    file: Path, arms: list[str], last: pd.DataFrame, *, rope: float | None, alpha: float
) -> PlanRecord:
    """The little that is known of a study that ran elsewhere."""

    def arm(name: str) -> ArmRecord:
        rows = last[last.arm == name]
        sizes = {key: rows[key].dropna() for key in ("params", "macs")}
        known = {key: int(found.iloc[0]) for key, found in sizes.items() if len(found)}
        return ArmRecord(name=name, seeds=tuple(int(seed) for seed in rows.seed), **known)

    return PlanRecord(
        study=file.name,
        compare=CompareRecord(metric="value", rope=rope, alpha=alpha),
        arms=tuple(arm(name) for name in arms),
    )


def _trials(last: pd.DataFrame) -> pd.DataFrame:
    columns = {"arm": last.arm, "seed": last.seed, "status": last.status, "test_acc": last.value}
    sizes = {"params": last.params, "macs": last.macs}
    return pd.DataFrame(columns | sizes, columns=list(TRIALS)).reset_index(drop=True)


def _curves(table: pd.DataFrame) -> pd.DataFrame:
    counts = table.groupby(["arm", "seed"]).step.nunique()
    if counts.max() < 2:
        return pd.DataFrame(columns=list(CURVES))
    columns = {"arm": table.arm, "seed": table.seed, "epoch": table.step, "val_acc": table.value}
    return pd.DataFrame(columns, columns=list(CURVES))
