"""The figures of a report: drawn where there is something to draw, else a reason."""

import inspect
import sys
from dataclasses import dataclass

import pandas as pd

from swinablate.config import plugins
from swinablate.report.drawing import Figure
from swinablate.report.drawing.files import drawn
from swinablate.report.results import StudyResults

ORDER = ("forest", "cost", "curves", "seeds")
"""What every study has, the answer first and what it is made of last; others follow by name."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One figure of the report.

    Attributes:
        name: of its file.
        title: a few words.
        caption: the docstring of its module.
        rows: its table.
        svg: an `<svg>` element; empty if there is nothing to draw.
        png: the same, 160 dots per inch.
        absent: why there is nothing to draw.
    """

    name: str
    title: str
    caption: str
    rows: pd.DataFrame
    svg: str
    png: bytes
    absent: str


def plots(answer: StudyResults) -> list[Plot]:
    """Draw every figure that applies, those the page knows first."""
    figures = {
        name: plugins.load("swinablate.report.figures", name, Figure)
        for name in plugins.names("swinablate.report.figures")
    }
    known = [name for name in ORDER if name in figures]
    names = [*known, *(name for name in figures if name not in known)]
    return [_plot(answer, name, figures[name]) for name in names if figures[name].applies(answer)]


def _plot(answer: StudyResults, name: str, figure: Figure) -> Plot:
    rows = figure.table(answer)
    svg, png = drawn(figure, rows, name) if len(rows) else ("", b"")
    caption = inspect.cleandoc(sys.modules[f"swinablate.report.figures.{name}"].__doc__ or "")
    return Plot(
        name=name,
        title=figure.title,
        caption=" ".join(caption.split()),
        rows=rows,
        svg=svg,
        png=png,
        absent=figure.absent,
    )
