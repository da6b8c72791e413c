"""From the bytes of a table to its cells: encoding, separator, quotes; nothing more."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from swinablate.config.written import encoding_hint, read_bytes
from swinablate.errors import InputError

LARGEST = 256 << 20
"""Bytes of a table: a thousand trials with a thousand epochs each take a tenth of it."""
SEPARATORS = (",", ";", "\t")
"""What programs put between cells; where two fit a header equally well, the first is meant."""
BREAK = re.compile(r"\s*[\n\r\v\f\x85\u2028\u2029]\s*")
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as the mark of UTF-16 does: it comes first
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order mark -> encoding."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A table as text.

    Attributes:
        file: where it was read from, for messages.
        header: names of the columns, as written but for spaces around them.
        rows: every row as long as the header.
        lines: where each row ends in the file, from 1.
        separator: what stood between cells.
    """

    file: Path
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    separator: str

    def column(self, at: int) -> list[str]:
        """The cells of one column."""
        return [row[at] for row in self.rows]


def read_cells(file: Path) -> Cells:
    """Read a file of separated values.

    Raises:
        InputError: no such file, no text, no table, or a row with more cells than names.
    """
    text = _text(file)
    try:
        return _cells(file, text)
    except csv.Error as error:
        raise InputError(
            f"not a CSV table: {error}", at=str(file), hint="save it as CSV"
        ) from None


def _text(file: Path) -> str:
    try:
        data = read_bytes(file, LARGEST)
    except FileNotFoundError:
        raise InputError("no such file", at=str(file), hint="check the path") from None
    except OSError as error:
        raise InputError(
            f"not a CSV table: {error}", at=str(file), hint="save it as CSV"
        ) from None
    mark, encoding = next((m for m in MARKS if data.startswith(m[0])), (b"", _unmarked(data)))
    try:
        return data.removeprefix(mark).decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"not {encoding.upper()} text: {error.reason} at byte {error.start}",
            at=str(file),
            hint=encoding_hint(error),
        ) from None


def _unmarked(data: bytes) -> str:
    """The encoding of text without a mark: of ASCII in UTF-16, every other byte is 0."""
    start = data[:64]
    if start and not any(start[1::2]):
        return "utf-16-le"
    return "utf-16-be" if start and not any(start[::2]) else "utf-8"


def _cells(file: Path, text: str) -> Cells:
    lines = text.splitlines(keepends=True)
    skipped = 0  # "sep=;" is for a spreadsheet, "# ..." for people
    while skipped < len(lines) and _aside(lines[skipped]):
        skipped += 1
    if skipped == len(lines):
        raise InputError("not a CSV table: it is empty", at=str(file), hint="save it as CSV")
    separator = max(SEPARATORS, key=lambda one: len(_first(lines[skipped], one)))
    # As written, for a line break inside quotes belongs to its cell.
    table = io.StringIO("".join(lines[skipped:]), newline="")
    reader = csv.reader(table, delimiter=separator, strict=True)  # no quote swallows the rest
    header = tuple(one_line(name) for name in next(reader))
    while header and not header[-1]:
        header = header[:-1]
    rows, ends = [], []
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue  # a blank line, or what a spreadsheet leaves below a table
        line = reader.line_num + skipped
        if any(cell.strip() for cell in row[len(header) :]):
            raise InputError(
                f"{len(row)} cells in a row of {len(header)} columns",
                at=f"{file}: line {line}",
                hint="put cells that hold the separator into quotes; with decimal commas, "
                "separate cells by semicolons or tabs",
            )
        rows.append((row + [""] * len(header))[: len(header)])
        ends.append(line)
    if not rows:
        raise InputError(
            "the table has no rows below its header", at=str(file), hint="one row a run"
        )
    return Cells(file=file, header=header, rows=rows, lines=ends, separator=separator)


def one_line(text: str) -> str:
    """A name without the line breaks that a spreadsheet puts into a cell."""
    return BREAK.sub(" ", text).strip()


def _aside(line: str) -> bool:
    line = line.strip()
    return not line or line.startswith("# ") or (line.lower().startswith("sep=") and len(line) < 7)


def _first(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])
