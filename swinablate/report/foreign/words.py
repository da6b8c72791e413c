"""Cells as numbers, seeds and states: what they say in any program's spelling."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from swinablate.errors import InputError
from swinablate.report.foreign.cells import Cells
from swinablate.study.seeds import BEYOND

NOTHING = frozenset((
    *("", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan"),
    *("<na>", "n/a", "na", "null", "nan", "none", "-"),
))  # fmt: skip
"""What stands for a number that is not known, in small letters: pandas' list, and a dash."""
THOUSANDS = {
    ",": re.compile(r"[+-]?\d{1,3}(?:,\d{3})+\.\d+"),
    ".": re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+"),
}
"""What stands between thousands -> a number that has both marks, and so says which is which."""
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")
"""A number whose commas may stand between thousands."""
SUMMARIES = frozenset((
    *("mean", "average", "avg", "median", "std", "stdev", "stddev", "sd", "sem", "se", "var"),
    *("variance", "min", "max", "minimum", "maximum", "sum", "total", "overall", "ci", "count"),
))  # fmt: skip
"""What a row below a table is called that sums up those above it: no run."""
SPREAD = re.compile(r"±|\+/?-|\d\s*\(")
"""A mean and its spread in one cell: `93.1 ± 0.2`, `93.1 +- 0.2`, `93.1 (0.2)`."""
NUMBERED = re.compile(r"(?P<word>\D*?)[\s_=:#.-]*(?P<number>\d{1,15})")
"""A seed with a word before its number: `seed0`, `s1`, `run 3`."""
STATES = {
    "done": ("done", "finished", "completed", "complete", "success", "succeeded", "ok"),
    "failed": (
        *("failed", "fail", "failure", "crashed", "crash", "error", "killed", "preempted"),
        *("oom", "out of memory", "cuda oom", "timeout", "timed out"),
    ),
    "diverged": ("diverged", "nan"),
    "waiting": ("waiting", "running", "pending", "scheduled", "queued", "preempting"),
}
"""Our state -> what people, W&B (finished, crashed, killed, preempted) and MLflow (FINISHED,
KILLED, SCHEDULED) call it. A killed run is no replicate: its value is that of another training."""
KNOWN = {word: state for state, words in STATES.items() for word in words}


def numbers(cells: Cells, at: int, what: str, *, fractions: bool = True) -> "pd.Series[float]":
    """A column as numbers; NaN where nothing is known.

    Args:
        cells: the table.
        at: which column.
        what: its name, for messages.
        fractions: whether a comma may be a decimal one; a count has none.

    Raises:
        InputError: a cell is no number.
    """
    texts = [text.strip().replace("\N{MINUS SIGN}", "-") for text in cells.column(at)]
    texts = _thousands(ungrouped(texts), cells, what, fractions=fractions)
    if fractions and any(map(DECIMAL_COMMA.fullmatch, texts)):
        pointed = next((i for i, text in enumerate(texts) if "." in text), None)
        if pointed is not None:
            raise InputError(
                f"{what} has decimal commas, and a point in {texts[pointed]!r}",
                at=f"{cells.file}: line {cells.lines[pointed]}",
                hint="write all its numbers with a decimal point",
            )
        texts = [text.replace(",", ".") for text in texts]
    known = pd.Series([None if text.lower() in NOTHING else text for text in texts], dtype=object)
    found = pd.to_numeric(known, errors="coerce").astype(float)
    wrong = (found.isna() & known.notna()).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        hint = "write one number a cell; leave it empty where nothing is known"
        if SPREAD.search(cells.rows[row][at]):
            hint = "a mean and its spread are not enough: write one row for every seed"
        raise InputError(
            f"{what} = {cells.rows[row][at].strip()!r} is no number",
            at=f"{cells.file}: line {cells.lines[row]}",
            hint=hint,
        )
    return found


def _thousands(texts: list[str], cells: Cells, what: str, *, fractions: bool) -> list[str]:
    """Numbers without commas between thousands, where commas can stand nowhere else.

    Raises:
        InputError: they may as well be decimal commas.
    """
    marked = [text for text in texts if "," in text]
    if not marked or not all(map(GROUPED.fullmatch, marked)):
        return texts
    if not fractions or any(text.count(",") > 1 for text in marked):
        return [text.replace(",", "") for text in texts]
    # 1,002 beside 998 is a thousand; beside 1,5 it is not, and beside 1,003 nobody knows.
    if cells.separator == "," or any(text.isdigit() for text in texts):
        at = texts.index(marked[0])
        raise InputError(
            f"{what} = {marked[0]!r}: the comma may stand for thousands or for decimals",
            at=f"{cells.file}: line {cells.lines[at]}",
            hint="write all its numbers with a decimal point, and no marks between thousands",
        )
    return texts


def summary(text: object) -> bool:
    """Whether a seed's name is that of a row which sums up others."""
    return isinstance(text, str) and text.casefold().strip(" .:") in SUMMARIES


def ungrouped(texts: list[str]) -> list[str]:
    """Numbers without marks between their thousands, where some number says which mark that is."""
    for mark, both in THOUSANDS.items():
        point = "." if mark == "," else ","
        if any(map(both.fullmatch, texts)):
            group = re.compile(rf"[+-]?\d{{1,3}}(?:[{mark}]\d{{3}})*(?:[{point}]\d+)?")
            if all(group.fullmatch(text) or text.lower() in NOTHING for text in texts):
                return [text.replace(mark, "").replace(point, ".") for text in texts]
    return texts


def lost(cells: Cells, at: int) -> tuple[Cells, list[str | None]]:
    """The table without words for a lost run in one column, and for each row its state.

    `OOM` or `diverged` where a result should stand says how the run ended; None says nothing.
    """
    words = [KNOWN.get(text.strip().lower()) for text in cells.column(at)]
    found = [
        state if text.strip().lower() not in NOTHING and state != "done" else None
        for state, text in zip(words, cells.column(at), strict=True)
    ]
    if not any(found):
        return cells, found
    rows = [
        row if state is None else [*row[:at], "", *row[at + 1 :]]
        for row, state in zip(cells.rows, found, strict=True)
    ]
    return replace(cells, rows=rows), found


def percent_signs(cells: Cells, at: int) -> tuple[Cells, bool]:
    """The table without percent signs in one column, and whether it had them.

    Raises:
        InputError: some numbers of the column have one, and others do not.
    """
    texts = [text.strip() for text in cells.column(at)]
    signed = [text.endswith("%") for text in texts]
    if not any(signed):
        return cells, False
    for i, (text, has) in enumerate(zip(texts, signed, strict=True)):
        if not has and text.lower() not in NOTHING:
            raise InputError(
                f"{text!r} has no percent sign, others of its column have one",
                at=f"{cells.file}: line {cells.lines[i]}",
                hint="write all values in one unit",
            )
    rows = [
        [*row[:at], text.removesuffix("%"), *row[at + 1 :]]
        for row, text in zip(cells.rows, texts, strict=True)
    ]
    return replace(cells, rows=rows), True


def seeds(texts: Sequence[str]) -> tuple["pd.Series[float]", bool]:
    """Whole numbers for seeds, and whether these are only labels.

    Text becomes a number: its own where every text is one word and a number (`seed0`), else
    its place among all that occur. A number stays itself, whole or not: who asks refuses it.
    """
    plain = [text.strip() for text in texts]
    known = pd.Series([None if text.lower() in NOTHING else text for text in plain], dtype=object)
    found = pd.to_numeric(known, errors="coerce").astype(float)
    if (found.isna() == known.isna()).all():
        return found, False
    parts = [NUMBERED.fullmatch(text) for text in known.dropna()]
    words = {part["word"].lower() for part in parts if part}
    if all(parts) and len(words) == 1:
        pairs = zip(known.dropna(), parts, strict=True)
        numbered = {text: int(part["number"]) for text, part in pairs if part}
        return known.map(numbered).astype(float), True
    places = {text: i for i, text in enumerate(dict.fromkeys(known.dropna()))}
    return known.map(places).astype(float), True


def broken(found: "pd.Series[float]") -> np.ndarray:
    """Where a number is no seed: not whole, or too large to be told from its neighbour."""
    return ~((found % 1 == 0) & (found.abs() < BEYOND)).to_numpy()


def states(texts: Sequence[str]) -> list[str]:
    """Our words for how runs ended; an empty cell is a run that came to its end.

    What nobody calls a state stays as it is.
    """
    plain = [text.strip() for text in texts]
    return [KNOWN.get(text.lower(), text) if text else "done" for text in plain]
