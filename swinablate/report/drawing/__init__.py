"""What a figure is: a table that decides every number, and how to draw it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure as Canvas

from swinablate.report.drawing.paper import PAGE, Paper
from swinablate.report.results import StudyResults

__all__ = ["PAGE", "Canvas", "Figure", "Paper", "StudyResults", "records"]


def records(rows: pd.DataFrame) -> list[Any]:
    """The rows as named tuples, whose fields only the table's author knows."""
    return list(rows.itertuples())


def _always(_: StudyResults) -> bool:
    return True


class Draw(Protocol):
    """How a table is drawn."""

    def __call__(self, rows: pd.DataFrame, paper: Paper = PAGE) -> Canvas:
        """Draw the rows for some paper; computes no statistic."""
        ...


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure; the docstring of its module is its caption.

    Attributes:
        title: what it shows, in a few words.
        table: the rows to draw, saved beside the figure as CSV; empty if there is nothing
            to draw. A column repeats what holds for all rows (the level, the metric).
        draw: rows and paper -> drawing; computes no statistic.
        absent: why the table is empty, when it is.
        applies: whether a study can have such a figure at all; else it is left out.
        other: why a study has no such figure, where it does not apply.
        by: words that ask for other tables, which can be drawn alike, and these.
    """

    title: str
    table: Callable[[StudyResults], pd.DataFrame]
    draw: Draw
    absent: str
    applies: Callable[[StudyResults], bool] = _always
    other: str = ""
    by: tuple[tuple[str, Callable[[StudyResults], pd.DataFrame]], ...] = ()
