"""Which column of a table is what, and a row for every run or step of it."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
from swinablate.report.foreign.cells import Cells, one_line, read_cells
from swinablate.report.foreign.logged import of_boards, of_mlflow
from swinablate.report.foreign.suggest import missing
from swinablate.report.foreign.wide import unfolded
from swinablate.report.foreign.words import (
    KNOWN,
    NOTHING,
    broken,
    lost,
    numbers,
    percent_signs,
    seeds,
    states,
    summary,
    ungrouped,
)

NAMES = {
    **{name: (name,) for name in ("arm", "seed", "value", "params", "macs", "metric")},
    "status": ("status", "state"),
    "step": ("step", "_step", "epoch"),
    "dataset": ("dataset", "data_set", "data set", "task", "benchmark"),
}
"""What is read -> names of its column, in small letters, the first that is there."""
GROUP = re.compile(r"(?:params|metrics|config|summary|tags)[./](?=.)")
"""What MLflow and W&B put before names of columns."""
MEASURED = re.compile(r"(?:metrics|summary)[./]", re.IGNORECASE)
BOOKS = frozenset((
    *("id", "run_id", "run id", "run", "experiment_id", "experiment id", "created", "runtime"),
    *("_runtime", "_timestamp", "start time", "start_time", "end time", "end_time", "duration"),
    *("user", "notes", "tags", "name", "run name", "source type", "source name", "version"),
    *("sweep", "hostname", "group", "job type", "updated", "artifact_uri", ""),
))  # fmt: skip
"""Columns in which W&B, MLflow and pandas keep books: no results, though some are numbers."""
FEW = 20
"""Words of a column: more than so many are notes or times, not data sets."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of columns; None looks for the usual ones. `metric` also picks rows or a column."""

    arm: str | None = None
    seed: str | None = None
    value: str | None = None
    dataset: str | None = None
    metric: str | None = None


@dataclass(frozen=True, kw_only=True)
class Results:
    """What was read.

    Attributes:
        file: where.
        rows: `dataset`, `arm`, `seed`, `value`, `status`, `params`, `macs`, `step`, `label` (a
            seed as written, where it is no number) and `line`; a row for every run and step.
        metric: what the values are called there; "" where nothing says it.
        percent: whether they carry percent signs.
    """

    file: Path
    rows: pd.DataFrame
    metric: str
    percent: bool


def read_results(
    file: Path, columns: Columns | None = None, baseline: str = "", tracking: str = ""
) -> Results:
    """Read and check a table; every optional column is there afterwards.

    Args:
        file: the table, or a folder of TensorBoard's events.
        columns: what its columns are called.
        baseline: an arm; a column of this name makes every column an arm.
        tracking: MLflow's tracking URI; then `file` is the name of an experiment there.

    Raises:
        InputError: no such file, not a table, a column is missing or not numeric, a row has
            no arm or no seed, or stands there twice.
    """
    asked = columns or Columns()
    cells = _joined(_cells(file, asked, tracking), asked.arm)
    cells = unfolded(cells, baseline, asked.arm, asked.seed)
    at = {role: _find(cells, role, getattr(asked, role, None)) for role in NAMES}
    metric = ""
    if at["metric"] is not None:
        cells, metric = _one_metric(cells, at["metric"], asked.metric)
    value = at["value"]
    could = [value] if value is not None else _values(cells, at, asked.metric)
    if len(could) != 1 or at["arm"] is None or at["seed"] is None:
        at["value"] = could[0] if len(could) == 1 else None
        raise missing(cells, at, could, baseline)
    if value is None or asked.value is not None:
        metric = metric or GROUP.sub("", cells.header[could[0]])
    value = at["value"] = could[0]
    cells, ended = lost(cells, value)
    cells, percent = percent_signs(cells, value)
    rows = _rows(cells, at)
    rows["status"] = [said or row for said, row in zip(ended, rows.status, strict=True)]
    _check(rows, file)
    _twice(rows, cells, at)
    _varies(rows, cells, at)
    return Results(file=file, rows=rows.astype({"seed": "int64"}), metric=metric, percent=percent)


def _cells(file: Path, asked: Columns, tracking: str) -> Cells:
    if tracking:
        return of_mlflow(tracking, str(file))
    return of_boards(file, asked.metric) if is_folder(file) else read_cells(file)


def is_folder(path: Path) -> bool:
    """Whether it is one; what no file can be called is none, and is refused where it is read."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _joined(cells: Cells, asked: str | None) -> Cells:
    """The table with a column for arms that several columns tell apart: `--arm lr,depth`.

    Its cells read `lr=0.1, depth=2`; it is called as it was asked for.
    """
    if asked is None or "," not in asked or _is_there(cells, asked):
        return cells
    at = [_find(cells, "arm", name) for name in asked.split(",")]
    named = [(GROUP.sub("", cells.header[i]), i) for i in at if i is not None]
    rows = [
        [*row, ", ".join(f"{name}={row[i].strip()}" for name, i in named)] for row in cells.rows
    ]
    return replace(cells, header=(*cells.header, asked), rows=rows)


def _plain(name: str) -> str:
    return name.strip().casefold()


def _find(cells: Cells, role: str, asked: str | None) -> int | None:
    """The column of a role; None if there is none.

    Raises:
        InputError: the one that was asked for is not there, or two columns are meant.
    """
    plain = [_plain(name) for name in cells.header]
    bare = [GROUP.sub("", name) for name in plain]
    if asked is None or role == "metric":
        wanted: Sequence[str] = NAMES[role]
        tries = [(names, name) for names in (plain, bare) for name in wanted]
    else:
        tries = [
            (list(cells.header), asked.strip()),
            (plain, _plain(asked)),
            (bare, _plain(asked)),
        ]
    for names, name in tries:
        found = [i for i, each in enumerate(names) if each == name]
        if len(found) > 1:
            both = " and ".join(repr(cells.header[i]) for i in found[:2])
            raise InputError(
                f"two columns could be {role!r}: {both}",
                at=str(cells.file),
                hint="rename one of them"
                + (f", or say which: --{role} COLUMN" if role in Columns.__annotations__ else ""),
            )
        if found:
            return found[0]
    if asked is not None and role != "metric":
        raise InputError(
            f"no column is called {asked!r}",
            at=f"{cells.file}: --{role}",
            hint=did_you_mean(asked, [name for name in cells.header if name]),
        )
    return None


def _one_metric(cells: Cells, at: int, asked: str | None) -> tuple[Cells, str]:
    """The rows of one metric, and its name.

    Raises:
        InputError: there are several, and none was asked for.
    """
    found = [text.strip() for text in cells.column(at)]
    names = list(dict.fromkeys(found))
    if len(names) == 1 and asked is None:
        return cells, names[0]
    if asked in names:
        kept = [i for i, name in enumerate(found) if name == asked]
        rows, lines = [cells.rows[i] for i in kept], [cells.lines[i] for i in kept]
        return replace(cells, rows=rows, lines=lines), asked or ""
    if len(names) == 1:
        return cells, names[0]
    raise InputError(
        f"{len(names)} metrics in column {cells.header[at]!r}: {', '.join(names[:FEW])}",
        at=str(cells.file),
        hint=f"say which: --metric {names[0]}",
    )


def _values(cells: Cells, at: dict[str, int | None], metric: str | None) -> list[int]:
    """The columns that can hold results, where none is called so; one, if a metric names it."""
    if metric is not None:
        named = _find(cells, "value", metric) if _is_there(cells, metric) else None
        if named is not None:
            return [named]
    free = [i for i in range(len(cells.header)) if i not in at.values()]
    free = [i for i in free if _plain(cells.header[i]) not in BOOKS and _numeric(cells, i)]
    measured = [i for i in free if MEASURED.match(cells.header[i])]
    return measured or free


def _is_there(cells: Cells, name: str) -> bool:
    plain = [_plain(each) for each in cells.header]
    return _plain(name) in {*plain, *(GROUP.sub("", each) for each in plain)}


def _numeric(cells: Cells, at: int) -> bool:
    """Whether a column has numbers, and nothing else but words for lost runs."""
    no_number = {*NOTHING, *KNOWN}
    known = [text for text in map(str.strip, cells.column(at)) if text.lower() not in no_number]
    known = ungrouped(known)
    texts = pd.Series([text.removesuffix("%").replace(",", ".") for text in known], dtype=object)
    return bool(known) and bool(pd.to_numeric(texts, errors="coerce").notna().all())


def _rows(cells: Cells, at: dict[str, int | None]) -> pd.DataFrame:
    """The columns that are known, as what they say; those that are not there, as unknown."""

    def texts(role: str) -> list[str]:
        place = at[role]
        return [""] * len(cells.rows) if place is None else cells.column(place)

    numbered, labels = seeds(texts("seed"))
    columns: dict[str, object] = {
        "dataset": [one_line(text) for text in texts("dataset")],
        "arm": [one_line(text) for text in texts("arm")],
        "seed": numbered,
        "status": states(texts("status")),
        "label": [text.strip() if labels else None for text in texts("seed")],
        "line": cells.lines,
    }
    for role in ("value", "params", "macs", "step"):
        place = at[role]
        unknown = 0.0 if role == "step" else np.nan
        columns[role] = (
            pd.Series(unknown, index=range(len(cells.rows)))
            if place is None
            else numbers(cells, place, cells.header[place], fractions=role == "value")
        )
    return pd.DataFrame(columns)


def _check(rows: pd.DataFrame, file: Path) -> None:
    """Refuse a row that is no result of one seed of one arm.

    Raises:
        InputError: there is one.
    """
    _refuse(
        rows,
        ((rows.arm == "") | rows.seed.isna()).to_numpy(),
        ("a row has no arm or no seed", "fill it in"),
        file,
    )
    summed = rows.label.map(summary).to_numpy(dtype=bool)
    if summed.any():
        name = rows.label[int(summed.argmax())]
        hint = "leave such rows out: means and spreads are computed from the runs"
        _refuse(rows, summed, (f"a row called {name!r} sums up others and is no run", hint), file)
    hint = "number the runs 0, 1, 2, or call them by words"
    seed = "the seed is no whole number below 2**53"
    _refuse(rows, broken(rows.seed), (seed, hint), file, "seed")
    if (rows.dataset != "").any():
        missing = ("a row has no data set, others have one", "fill it in")
        _refuse(rows, (rows.dataset == "").to_numpy(), missing, file)
    for column in ("params", "macs", "step"):
        endless = rows[column].notna() & ~np.isfinite(rows[column])
        hint = "leave the cell empty where it is unknown"
        _refuse(rows, endless.to_numpy(), (f"{column} has no end", hint), file)
    for column in ("params", "macs"):
        size = rows[column]
        broken_off = size.notna() & ((size % 1 != 0) | (size < 0))
        hint = "write it out: 28300000, not 28.3; leave the cell empty where it is unknown"
        says = (f"{column} is no whole number", hint)
        _refuse(rows, broken_off.to_numpy(), says, file, column)


def _refuse(
    rows: pd.DataFrame, wrong: np.ndarray, says: tuple[str, str], file: Path, column: str = ""
) -> None:
    if wrong.any():
        row = rows.iloc[int(wrong.argmax())]
        problem, hint = says
        what = f": {row[column]:g}" if column else ""
        raise InputError(problem + what, at=f"{file}: line {row.line}", hint=hint)


def _twice(rows: pd.DataFrame, cells: Cells, at: dict[str, int | None]) -> None:
    """Refuse two results of one seed, and name the columns in which they differ.

    Raises:
        InputError: there are two.
    """
    key = ["dataset", "arm", "seed", "step"]
    wrong = rows.duplicated(key).to_numpy()
    if not wrong.any():
        return
    second = int(wrong.argmax())
    same = (rows[key] == rows.loc[second, key]).all(axis=1).to_numpy()
    first = int(same.argmax())
    used = {place for place in at.values() if place is not None}
    others = [
        i
        for i, name in enumerate(cells.header)
        if i not in used
        and _plain(name) not in BOOKS
        and cells.rows[first][i].strip() != cells.rows[second][i].strip()
    ]
    other = [
        f"{cells.header[i]!r} ({cells.rows[first][i].strip()}, {cells.rows[second][i].strip()})"
        for i in others
    ]
    found = rows.iloc[second]
    hint = "one row a seed; for curves, number them in a column 'step'"
    if other:
        arms = ",".join(cells.header[i] for i in (at["arm"], *others) if i is not None)
        hint = f"they differ in {', '.join(other)}: keep one kind, or, if these are data sets, "
        hint += f"say so: --dataset COLUMN; if they are arms: --arm {shlex.quote(arms)}"
    raise InputError(
        f"this arm and seed stand there twice: {found.arm}, {found.label or int(found.seed)} "
        f"(first in line {rows.line[first]})",
        at=f"{cells.file}: line {found.line}",
        hint=hint,
    )


def _varies(rows: pd.DataFrame, cells: Cells, at: dict[str, int | None]) -> None:
    """Refuse a column of words that changes within runs: the rows are not one curve.

    Raises:
        InputError: there is one.
    """
    runs = rows.groupby(["dataset", "arm", "seed"], sort=False).ngroup()
    if runs.nunique() == len(rows):
        return
    used = {place for place in at.values() if place is not None}
    for i, name in enumerate(cells.header):
        if i in used or _plain(name) in BOOKS or _numeric(cells, i):
            continue
        words = pd.Series([text.strip() for text in cells.column(i)])
        each = list(dict.fromkeys(words))
        shared = max(runs[words == word].nunique() for word in each[:FEW])
        if words.groupby(runs).nunique().max() > 1 and len(each) <= FEW and shared > 1:
            found = ", ".join(each)
            raise InputError(
                f"column {name!r} changes within runs: {found}",
                at=str(cells.file),
                hint=f"if these are data sets, say so: --dataset {name!r}; "
                "else keep the rows of one kind",
            )
