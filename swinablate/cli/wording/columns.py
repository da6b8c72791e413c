"""A table as lines of text, as narrow as a terminal is: no word is torn, no number is split."""

import re
from collections.abc import Callable, Sequence

GAP = 2
"""Blanks between columns: one does not part words of two columns."""
TALL = 4
"""Lines of a cell. What is longer is read more easily below its row."""
LONG = 24
"""Letters from which a column is a text that may stand below; shorter ones are told by their place
in the line."""
BELOW = "  "
"""Before what belongs to the line above."""
WORD = re.compile(r"(?: *)(?:\[[^][]*\]\S*|n = \d+|\S+)")
"""What is not torn, with the blanks before it: a word, an interval, a number of seeds."""

Size = Callable[[str], int]
Cell = Sequence[str]
"""Its lines."""


def laid(
    columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, size: Size = len
) -> tuple[list[str], list[str]]:
    """The lines of the head, and those of the rows.

    Where columns do not fit, text is wrapped at spaces; text that would then be tall stands below
    its row; at last the first column stands above the others, or all of them below it.

    Args:
        columns: names; those that start with `>` are aligned to the right, and never wrapped.
        rows: cells, which may have several lines.
        width: of the terminal.
        size: columns of a terminal that a text takes.
    """
    table = _Table(columns, rows, width, size)
    every = [*range(len(columns))]
    if widths := table.natural_widths(every, width):
        return table.drawn(every, widths, [])
    told = [c for c in every if c == 0 or not table.empty(c)]
    texts = sorted((c for c in told[1:] if not table.right[c]), key=table.natural)
    long = [c for c in texts if table.long(c)]
    for k in range(len(long) + 1):  # the longest first
        below = sorted(long[len(long) - k :])
        beside = [c for c in told if c not in below]
        if widths := table.widths(beside, width):
            return table.drawn(beside, widths, below)
    for k in range(len(long), len(texts) + 1):
        below = sorted(texts[len(texts) - k :])
        beside = [c for c in told[1:] if c not in below]
        if beside and (widths := table.widths(beside, width - len(BELOW))):
            return table.under(beside, widths, below)
    return [], table.listed()


class _Table:
    """Cells, each a list of lines, and how wide they are."""

    def __init__(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], width: int, size: Size
    ) -> None:
        self.names = [name.lstrip(">") for name in columns]
        self.right = [name.startswith(">") for name in columns]
        self.rows: list[list[Cell]] = [[cell.split("\n") for cell in row] for row in rows]
        self.width = width
        self.size = size

    def natural(self, column: int) -> int:
        """As wide as a column is where there is room."""
        lines = [line for row in self.rows for line in row[column]]
        return max(map(self.size, [self.names[column], *lines]))

    def least(self, column: int) -> int:
        """Its longest word; of numbers and of short texts, the longest cell."""
        words, whole = self.names[column].split(), self.right[column] or not self.long(column)
        for row in self.rows:
            for line in row[column]:
                words += [line] if whole else map(str.lstrip, WORD.findall(line))
        return max(map(self.size, words), default=0)

    def long(self, column: int) -> bool:
        """Whether some cell is more than a word or two."""
        return any(self.size(line) >= LONG for row in self.rows for line in row[column])

    def empty(self, column: int) -> bool:
        """Whether no row has anything in it."""
        return not any(line for row in self.rows for line in row[column])

    def natural_widths(self, columns: Sequence[int], room: int) -> dict[int, int] | None:
        """How wide columns are that need no wrapping; None where they do not fit."""
        wanted = {c: self.natural(c) for c in columns}
        whole = sum(wanted.values()) + GAP * (len(columns) - 1)
        return wanted if whole <= room else None

    def widths(self, columns: Sequence[int], room: int) -> dict[int, int] | None:
        """How wide each is; None where they do not fit, or a cell would be tall."""
        if wanted := self.natural_widths(columns, room):
            return wanted
        room -= GAP * (len(columns) - 1)
        wanted = {c: self.natural(c) for c in columns}
        given = {c: min(wanted[c], self.least(c) + len(self.hang(c))) for c in columns}
        spare = room - sum(given.values())
        waiting = sorted(columns, key=lambda c: wanted[c] - given[c])
        if spare < 0:
            return None
        for k, c in enumerate(waiting):  # those that lack least get all they lack
            more = min(wanted[c] - given[c], spare // (len(waiting) - k))
            given[c] += more
            spare -= more
        cells = [(c, line) for row in self.rows for c in columns for line in row[c]]
        tall = any(len(self.wrapped(line, given[c], self.hang(c))) > TALL for c, line in cells)
        return None if tall else given

    def wrapped(self, line: str, width: int, hang: str = "") -> list[str]:
        """The line in parts that fit, torn between words alone; `hang` is before all but one."""
        if self.size(line) <= width:
            return [line]
        parts = list[str]()
        for word in WORD.findall(line):
            if parts and self.size(parts[-1] + word) <= width:
                parts[-1] += word
            else:
                parts.append((hang if parts else "") + word.lstrip())
        return parts or [""]

    def hang(self, column: int) -> str:
        """What is before the second line of a cell: a name is told from the next row's."""
        return "" if column else BELOW

    def drawn(
        self, beside: Sequence[int], widths: dict[int, int], below: Sequence[int]
    ) -> tuple[list[str], list[str]]:
        """Columns side by side, and below each row what is too long for one."""
        named = any(self.names[c] for c in beside)  # pairs of a name and a value need no head
        head = self._lines([[self.names[c]] for c in beside], beside, widths) if named else []
        body = list[str]()
        for row in self.rows:
            body += self._lines([row[c] for c in beside], beside, widths)
            body += self._texts(row, below)
        return head, body

    def under(
        self, others: Sequence[int], widths: dict[int, int], below: Sequence[int]
    ) -> tuple[list[str], list[str]]:
        """The first column on a line of its own, the others under it."""
        head = self._lines([[self.names[c]] for c in others], others, widths)
        body = list[str]()
        for row in self.rows:
            body += self._name(row)
            body += [
                BELOW + line for line in self._lines([row[c] for c in others], others, widths)
            ]
            body += self._texts(row, below)
        return [self.names[0], *(BELOW + line for line in head)], body

    def listed(self) -> list[str]:
        """Every cell on a line of its own, with its column's name before it."""
        lines = list[str]()
        for first, *others in self.rows:
            lines += self._name([first])
            lines += self._texts([first, *others], range(1, len(self.names)))
        return lines

    def _name(self, row: Sequence[Cell]) -> list[str]:
        """The first cell on lines of its own."""
        return [part for line in row[0] for part in self.wrapped(line, self.width, BELOW)]

    def _texts(self, row: Sequence[Cell], columns: Sequence[int]) -> list[str]:
        """Cells below their row, each with its name; what says nothing is left out."""
        lines = list[str]()
        for c in columns:
            name = f"{self.names[c]}: " if self.names[c] else ""
            text = " ".join(filter(None, row[c]))
            if text not in {"", "-"}:
                parts = self.wrapped(name + text, self.width - len(BELOW), BELOW)
                lines += [BELOW + part for part in parts]
        return lines

    def _lines(
        self, cells: Sequence[Cell], columns: Sequence[int], widths: dict[int, int]
    ) -> list[str]:
        """The lines of one row."""
        parts = {
            c: [part for line in cell for part in self.wrapped(line, widths[c], self.hang(c))]
            for c, cell in zip(columns, cells, strict=True)
        }
        tall = max(map(len, parts.values()), default=0)
        lines = list[str]()
        for k in range(tall):
            told = [
                self._aligned(parts[c][k] if k < len(parts[c]) else "", c, widths[c])
                for c in columns
            ]
            lines.append((" " * GAP).join(told).rstrip())
        return lines

    def _aligned(self, text: str, column: int, width: int) -> str:
        blank = " " * (width - self.size(text))
        return blank + text if self.right[column] else text + blank
