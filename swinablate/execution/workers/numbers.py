"""The result of a command: found in a file or in what it printed, and never made up."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swinablate.config.commands.schema import MetricConfig
from swinablate.config.written import read_text
from swinablate.errors import Diverged, TrialError

LARGEST = 64 << 20
"""Bytes of a file of results: a row an iteration of a long training takes less."""
WHOLE = 100.0
"""Percent, and how many of them a fraction of 1 is."""
EXACT = 10
"""Digits that a fraction keeps in percent: as far as a float of this size is exact."""


class CommandFailed(TrialError):
    """A command that gave no number, and the kind of failure that this is."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(problem)
        self.kind = kind


class Incomplete(CommandFailed):
    """There is no result, or no whole one."""

    def __init__(self, problem: str) -> None:
        super().__init__("no result", problem)


def from_file(metric: MetricConfig, out: Path) -> tuple[float, list[float]]:
    """The result in a file, and those before it: of a JSON file there are none.

    Args:
        metric: which file and key.
        out: the trial's folder of results.

    Raises:
        Incomplete: there is no such file, key or number.
        CommandFailed: a number that is not what the recipe says.
        Diverged: it is no finite number.
    """
    path = out / metric.file
    try:
        text = read_text(path, LARGEST)
    except FileNotFoundError:
        there = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
        others = f"; there are {', '.join(there[:5])}" if there else ", which is empty"
        raise Incomplete(f"there is no {metric.file} in {{out}}{others}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Incomplete(f"{metric.file} cannot be read: {error}") from None
    values = _READ[path.suffix](text, metric)
    numbers = [number(one, metric, f"{metric.key} in {metric.file}") for one in values]
    return numbers[-1], numbers[:-1]


def number(said: object, metric: MetricConfig, where: str) -> float:
    """A value as it is recorded; fractions in percent.

    Args:
        said: a number, or the text of one.
        metric: what it is.
        where: it was found, for messages.

    Raises:
        Incomplete: it is no number.
        CommandFailed: it is no percentage, or seems to be a fraction of 1.
        Diverged: it is NaN or infinite.
    """
    value = _float(said)
    if value is None:
        raise Incomplete(f"{where} is {str(said)[:80]!r}, and no number")
    if not math.isfinite(value):
        raise Diverged(f"{where} is {said}")
    if not metric.percent:
        return value
    most = 1.0 if metric.unit == "fraction" else WHOLE
    if not 0 <= value <= most:
        unit = "a fraction of 1" if most < WHOLE else "a percentage"
        raise CommandFailed(
            "unit",
            f'{where} is {value:g}, and not {unit}; of a loss or a score write unit = "nats"',
        )
    if metric.unit is None and 0 < value <= 1:
        raise CommandFailed(
            "unit",
            f'{where} is {value:g}: write unit = "fraction" if 1 is all right, or '
            'unit = "percent" if it is percent',
        )
    return round(WHOLE * value, EXACT) if metric.unit == "fraction" else value


def _float(said: object) -> float | None:
    """A number, or the text of one; None of anything else, true and false among it."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        return float(said)
    except (ValueError, OverflowError):
        return None


def _json(text: str, metric: MetricConfig) -> list[object]:
    return [_keyed(_loaded(text, metric), metric)]


def _lines(text: str, metric: MetricConfig) -> list[object]:
    """A key of lines of JSON; those that have others alone are passed over."""
    rows = [_loaded(line, metric) for line in text.splitlines() if line.strip()]
    first = metric.key.partition(".")[0]
    found = [_keyed(row, metric) for row in rows if _has(row, metric.key) or _has(row, first)]
    return _several(found, f"line with {metric.key!r}", metric)


def _loaded(text: str, metric: MetricConfig) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Incomplete(f"{metric.file} is not valid JSON: {error}") from None


def _keyed(found: Any, metric: MetricConfig) -> object:
    for part in [metric.key] if _has(found, metric.key) else metric.key.split("."):
        if not _has(found, part):
            keys = ", ".join(map(str, found)) if isinstance(found, Mapping) else "no keys"
            raise Incomplete(f"{metric.file} has no {metric.key!r}; it has {keys[:200] or 'none'}")
        found = found[part]
    return found


def _has(found: object, key: str) -> bool:
    return isinstance(found, Mapping) and key in found


def _rows(text: str, metric: MetricConfig) -> list[object]:
    """A column of a CSV; rows that have nothing there are passed over."""
    try:
        table = csv.DictReader(text.splitlines(), strict=True)
        columns = [name.strip() for name in table.fieldnames or ()]
        if metric.key not in columns:
            named = ", ".join(columns) or "none"
            raise Incomplete(f"{metric.file} has no column {metric.key!r}; it has {named[:200]}")
        table.fieldnames = columns
        cells = [(row.get(metric.key) or "").strip() for row in table]
    except csv.Error as error:
        raise Incomplete(f"{metric.file} is not valid CSV: {error}") from None
    return _several([cell for cell in cells if cell], f"row with {metric.key!r}", metric)


def _several(found: list[Any], what: str, metric: MetricConfig) -> list[object]:
    """What was found, if it is something, and not more than was wanted."""
    if not found:
        raise Incomplete(f"{metric.file} has no {what}")
    if len(found) > 1 and metric.twice == "fail":
        many = f"{metric.file} has {len(found)} times a {what}"
        raise CommandFailed("twice", f'{many}, and twice = "fail"')
    return found


_READ = {".csv": _rows, ".json": _json, ".jsonl": _lines}
"""How the files of each kind are read."""
