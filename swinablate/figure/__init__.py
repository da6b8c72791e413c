"""What a figure is: a table that decides every number, and how to draw it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Canvas

__all__ = ["Answer", "Canvas", "Figure", "records"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """All that was recorded of a study, as plain data; figures and reports read nothing else.

    Attributes:
        plan: the recorded plan (`plan.json`).
        trials: a row for every planned trial; accuracies in percent.
        curves: a row for every epoch of every trial that started.
        verdicts: the judged arms (`verdicts.json`); differences in percentage points.
        provenance: commits, versions, machines, hours.
        tuning: a row for every trial of tuning and at a tuned recipe; empty without tuning.
    """

    plan: Mapping[str, Any]
    trials: pd.DataFrame
    curves: pd.DataFrame
    verdicts: Mapping[str, Any]
    provenance: Mapping[str, Any]
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame)


def records(rows: pd.DataFrame) -> list[Any]:
    """The rows as named tuples, whose fields only the table's author knows."""
    return list(rows.itertuples())


def _always(_: Answer) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure; the docstring of its module is its caption.

    Attributes:
        title: what it shows, in a few words.
        table: the rows to draw, saved beside the figure as CSV; empty if there is nothing
            to draw. A column repeats what holds for all rows (the level, the metric).
        draw: rows -> drawing; computes no statistic.
        absent: why the table is empty, when it is.
        applies: whether a study can have such a figure at all; else it is left out.
    """

    title: str
    table: Callable[[Answer], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Canvas]
    absent: str
    applies: Callable[[Answer], bool] = _always
