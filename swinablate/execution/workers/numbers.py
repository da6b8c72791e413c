"""The result of a command: found in a file or in what it printed, and never made up."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from swinablate.config.commands import boards
from swinablate.config.commands.schema import MetricConfig
from swinablate.config.written import read_text
from swinablate.errors import MOST, Diverged, EnvironmentFault, TrialError

LARGEST = 64 << 20
"""Bytes of a file of results: a row an iteration of a long training takes less."""
WHOLE = 100.0
"""Percent, and how many of them a fraction of 1 is."""
STEPS = ("epoch", "step")
"""Keys and columns that say of which epoch a number is; the first that does counts."""
COUNTED = 2.0**53
"""No epoch or step is above it: there floats are no longer every whole number."""
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


class Point(NamedTuple):
    """A number of a curve, and of which epoch or step it is; None where nothing says so."""

    value: float
    step: int | None = None


def from_file(metric: MetricConfig, out: Path) -> list[Point]:
    """The numbers in a file; the last one is the result, and all of them are its curve.

    Args:
        metric: which file and key, or which tag.
        out: the trial's folder of results.

    Raises:
        Incomplete: there is no such file, key or number.
        CommandFailed: a number that is not what the recipe says.
        Diverged: it is no finite number.
    """
    if metric.tag:
        return _scalars(metric, out)
    path = out / metric.file
    try:
        text = read_text(path, LARGEST)
    except FileNotFoundError:
        raise Incomplete(f"there is no {metric.file} in {{out}}{_instead(out)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Incomplete(f"{metric.file} cannot be read: {error}") from None
    values, steps = _READ[path.suffix](text, metric)
    where = f"{metric.key} in {metric.file}"
    return _points(metric, where, zip(values, _counted(steps, len(values)), strict=True))


def _points(
    metric: MetricConfig, where: str, pairs: Iterable[tuple[object, int | None]]
) -> list[Point]:
    """The last value, which has to be a number of its unit, behind those before it that are.

    Of an epoch before it was measured, some write NaN.
    """
    *before, (said, step) = pairs
    found = list[Point]()
    for one, at in before:
        with suppress(CommandFailed, Diverged):
            found.append(Point(number(one, metric, where), at))
    return [*found, Point(number(said, metric, where), step)]


def partly(
    metric: MetricConfig, taken: str, whole: str, what: str = "the last number"
) -> Diverged | Incomplete:
    """What is wrong where a pattern does not take all of the number that stands there.

    Args:
        metric: with the pattern.
        taken: what it takes of it; may be nothing.
        whole: the number, as the line has it.
        what: it is, in words.
    """
    value = _float(whole)
    if value is not None and not math.isfinite(value):
        return Diverged(f"the number of the last line is {whole}")
    part = f"{taken!r} of it" if taken else "nothing of it"
    way = (
        "write numbers with a point, or where the comma ends it put one behind the group"
        if "," in whole
        else "let its group take all of one: ([-+.0-9eE]+)"
    )
    said = f"{what} is {whole!r}, and {metric.pattern!r} takes {part}; {way}"
    return Incomplete(said)


def slow(metric: MetricConfig, lines: str) -> Incomplete:
    """What is wrong where lines took a pattern too long.

    Args:
        metric: with the pattern.
        lines: which, in words.
    """
    return Incomplete(
        f"{metric.pattern!r} took longer than a second for {lines}; begin it with ^, or with a "
        "word that its lines have, and repeat nothing that repeats"
    )


def printed(metric: MetricConfig, matches: int, last: str, whole: str, passed: int) -> float:
    """The last number that a line held.

    Args:
        metric: with the pattern.
        matches: lines that hold one.
        last: what the pattern takes of the last.
        whole: the number that stands there, where that is another; else empty.
        passed: lines behind it that took too long to look at, and may hold another.

    Raises:
        Incomplete: there is none, or the pattern takes a part of it, or it may not be the last.
        CommandFailed: it is not what the recipe says.
        Diverged: it is no finite number.
    """
    if passed:
        lines = "a line" if passed == 1 else f"{passed} lines"
        raise slow(metric, f"{lines}, and no number came after")
    if not matches:
        raise Incomplete(f"no line of standard output matches {metric.pattern!r}")
    if matches > 1 and metric.twice == "fail":
        many = f"{matches} lines of standard output match {metric.pattern!r}"
        raise CommandFailed("twice", f'{many}, and twice = "fail"')
    if whole:
        raise partly(metric, last, whole)
    return number(last, metric, "the last line that matches")


def _instead(out: Path) -> str:
    there = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    return f"; there are {', '.join(there[:5])}" if there else ", which is empty"


def _scalars(metric: MetricConfig, out: Path) -> list[Point]:
    """The scalars of a tag, in the one folder of events that has it."""
    try:
        found = boards.scalars(out / metric.file)
    except EnvironmentFault as error:
        raise CommandFailed("library", str(error)) from None
    having = {folder: tags[metric.tag] for folder, tags in found.items() if metric.tag in tags}
    if not having:
        tags = sorted({tag for tags in found.values() for tag in tags})
        if not tags:
            where = f"{{out}}/{metric.file}".rstrip("/")
            raise Incomplete(f"no events of TensorBoard are in {where}{_instead(out)}")
        raise Incomplete(f"no event has the tag {metric.tag!r}; there are {', '.join(tags)[:200]}")
    if len(having) > 1:
        several = ", ".join(sorted(map(str, having)))
        raise CommandFailed(
            "twice",
            f"{metric.tag!r} is in {len(having)} folders of events: {several[:200]}; "
            'say which: file = "FOLDER"',
        )
    ((folder, scalars),) = having.items()
    try:
        boards.check_whole(out / metric.file / folder)
    except boards.Torn as error:
        why = "its last value is not known; was the disk full, or the writer not closed?"
        raise Incomplete(f"{error.problem}: {why}") from None
    except EnvironmentFault as error:
        raise CommandFailed("library", str(error)) from None
    where = f"the tag {metric.tag!r}"
    if len(scalars) > 1 and metric.twice == "fail":
        raise CommandFailed("twice", f'{where} has {len(scalars)} values, and twice = "fail"')
    return _points(metric, where, ((one.value, one.step) for one in scalars))


def whole(said: object) -> int | None:
    """The number of an epoch or step, if it is one: 3, 3.0 or "3"."""
    value = _float(said)
    if value is None or not 0 <= value <= COUNTED or value != int(value):
        return None
    return int(value)


def _counted(steps: Sequence[Sequence[object]], count: int) -> Sequence[int | None]:
    """The first column of steps that are whole and rise; nothing where there is none."""
    for column in steps:
        known = [whole(one) for one in column]
        rising = [step for step in known if step is not None]
        if len(rising) == count and all(a < b for a, b in pairwise(rising)):
            return rising
    return [None] * count


def number(said: object, metric: MetricConfig, where: str) -> float:
    """A value as it is recorded; fractions in percent.

    Args:
        said: a number, or the text of one.
        metric: what it is.
        where: it was found, for messages.

    Raises:
        Incomplete: it is no number.
        CommandFailed: it is no percentage, or seems to be a fraction of 1.
        Diverged: it is NaN, infinite, or larger than anything that is measured.
    """
    value = _float(said)
    if value is None:
        raise Incomplete(f"{where} is {str(said)[:80]!r}, and no number")
    if not math.isfinite(value):
        raise Diverged(f"{where} is {said}")
    if abs(value) > MOST:
        raise Diverged(f"{where} is {value:g}, and nothing measured is larger than {MOST:g}")
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


Found = tuple[list[object], list[list[object]]]
"""Numbers, and columns of steps beside them."""


def _json(text: str, metric: MetricConfig) -> Found:
    return [_keyed(_loaded(text, metric), metric)], []


def _lines(text: str, metric: MetricConfig) -> Found:
    """A key of lines of JSON; those that have others alone are passed over."""
    # By line feeds alone: text in JSON may hold what else ends lines.
    rows = [_loaded(line, metric) for line in text.split("\n") if line.strip()]
    first = metric.key.partition(".")[0]
    # Where no line has the key, what those with its first part have in its place is told.
    own = [row for row in rows if _holds(row, metric.key)]
    own = own or [row for row in rows if _has(row, first)]
    found = [_keyed(row, metric) for row in own]
    steps = [[row.get(name) for row in own if isinstance(row, Mapping)] for name in STEPS]
    return _several(found, f"line with {metric.key!r}", metric), steps


def _loaded(text: str, metric: MetricConfig) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Incomplete(f"{metric.file} is not valid JSON: {error}") from None


def _keyed(found: Any, metric: MetricConfig) -> object:
    for part in _parts(found, metric.key):
        if not _has(found, part):
            keys = ", ".join(map(str, found)) if isinstance(found, Mapping) else "no keys"
            raise Incomplete(f"{metric.file} has no {metric.key!r}; it has {keys[:200] or 'none'}")
        found = found[part]
    return found


def _holds(found: Any, key: str) -> bool:
    """Whether a key stands there as it is, or leads from one to the next."""
    for part in _parts(found, key):
        if not _has(found, part):
            return False
        found = found[part]
    return True


def _parts(found: object, key: str) -> list[str]:
    """A key that stands there as it is, or the way from one to the next."""
    return [key] if _has(found, key) else key.split(".")


def _has(found: object, key: str) -> bool:
    return isinstance(found, Mapping) and key in found


def _rows(text: str, metric: MetricConfig) -> Found:
    """A column of a CSV; rows that have nothing there are passed over."""
    try:
        table = csv.DictReader(io.StringIO(text, newline=None), strict=True)
        columns = [name.strip() for name in table.fieldnames or ()]
        if columns.count(metric.key) != 1:
            named = ", ".join(columns) or "none"
            many = "several columns" if metric.key in columns else "no column"
            raise Incomplete(f"{metric.file} has {many} {metric.key!r}; it has {named[:200]}")
        table.fieldnames = columns
        rows = [row for row in table if (row.get(metric.key) or "").strip()]
    except csv.Error as error:
        raise Incomplete(f"{metric.file} is not valid CSV: {error}") from None
    if longer := next((row for row in rows if any(_beyond(row))), None):
        said = ",".join([*(str(longer[name]) for name in columns), *_beyond(longer)])
        raise Incomplete(
            f"{metric.file} has a row of more cells than columns: {said[:80]!r}; "
            "write numbers with a point, not with a comma"
        )
    cells = [row[metric.key].strip() for row in rows]
    steps = [[row.get(name) for row in rows] for name in STEPS]
    return _several(cells, f"row with {metric.key!r}", metric), steps


def _beyond(row: Mapping[Any, Any]) -> list[str]:
    """The cells of a row that no column has."""
    return [cell.strip() for cell in row.get(None) or ()]


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
