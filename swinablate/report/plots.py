"""The figures of a study: drawn where there is something to draw, else a reason."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from swinablate.config import plugins
from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
from swinablate.report.drawing import PAGE, Canvas, Figure, Paper
from swinablate.report.drawing.files import Format, canvas, drawn, pixels, saved
from swinablate.report.drawing.words import worded
from swinablate.report.families.shares import labels_of
from swinablate.report.results import StudyResults
from swinablate.report.tables import interim, whole
from swinablate.study.arms.labels import check_labels

ORDER = ("forest", "cost", "curves", "seeds")
"""What every study has, the answer first and what it is made of last; others follow by name."""
OTHER = "only studies of another design have it"
WIDTHS = 2.0, 20.0
"""Inches: less leaves no room for a name and an axis, more is no paper."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One figure of the report.

    Attributes:
        name: of its file.
        title: a few words.
        caption: the docstring of its module.
        rows: its table.
        svg: an `<svg>` element; empty if there is nothing to draw.
        absent: why there is nothing to draw.
    """

    name: str
    title: str
    caption: str
    rows: pd.DataFrame
    svg: str
    absent: str


def plots(answer: StudyResults) -> list[Plot]:
    """Draw every figure that applies, those the page knows first."""
    return [
        _plot(answer, name, figure) for name, figure in figures().items() if figure.applies(answer)
    ]


def figures() -> dict[str, Figure]:
    """Every figure there is, those of every study first."""
    found = {
        name: plugins.load("swinablate.report.figures", name, Figure)
        for name in plugins.names("swinablate.report.figures")
    }
    known = [name for name in ORDER if name in found]
    return {name: found[name] for name in [*known, *(n for n in found if n not in known)]}


def stamp(answer: StudyResults) -> str:
    """What is written across figures that are not of a finished study; else nothing."""
    return "SMOKE" if answer.plan.smoke else "INTERIM" if interim(answer) else ""


def lacking(answer: StudyResults) -> dict[str, str]:
    """Every figure and why this study lacks it: an empty text where it has it."""
    answer, found = whole(answer), {}
    for name, figure in figures().items():
        applies = figure.applies(answer)
        some = applies and len(figure.table(answer))
        found[name] = "" if some else figure.absent if applies else figure.other or OTHER
    return found


def file_of(
    answer: StudyResults, name: str, kind: Format, paper: Paper = PAGE, by: str = ""
) -> bytes:
    """One figure of a study as a file.

    Args:
        answer: of the study.
        name: of the figure.
        kind: of file.
        paper: what it is drawn for.
        by: of a figure that can be drawn in several ways, which.

    Raises:
        InputError: the study has no such figure, or it cannot be drawn so.
    """
    figure, rows = _asked(answer, name, by)
    return saved(figure, rows, name, kind, paper, stamp=stamp(answer))


def canvas_of(answer: StudyResults, name: str, paper: Paper = PAGE, by: str = "") -> Canvas:
    """One figure of a study, as matplotlib has it; for arguments and errors see `file_of`."""
    figure, rows = _asked(answer, name, by)
    return canvas(figure, rows, paper, stamp(answer))


def pixels_of(answer: StudyResults, name: str) -> bytes:
    """One figure as the page has it, in pixels; for arguments and errors see `file_of`."""
    figure, rows = _asked(answer, name, "")
    return pixels(figure, rows, stamp(answer))


def relabelled(answer: StudyResults, labels: Mapping[str, str], at: str) -> StudyResults:
    """The answer with other labels than were recorded.

    Args:
        answer: of a study.
        labels: name -> how it is called.
        at: where they are written.

    Raises:
        InputError: a name is none of the study's, or a label cannot be one.
    """
    check_labels(labels, answer.plan, at)
    plan = answer.plan.model_copy(update={"labels": dict(labels)})
    return replace(answer, plan=plan)


def paper_of(width: float | None) -> Paper:
    """The paper of a width in inches; None is the report's page.

    Raises:
        InputError: nothing can be drawn so wide.
    """
    if width is not None and not WIDTHS[0] <= width <= WIDTHS[1]:
        raise InputError(
            f"{width:g} inches is no width of a figure",
            at="--width",
            hint=f"from {WIDTHS[0]:g} to {WIDTHS[1]:g}; a column is 3.25, a page 6.75",
        )
    return Paper(width)


def _asked(answer: StudyResults, name: str, by: str) -> tuple[Figure, pd.DataFrame]:
    answer, every = whole(answer), figures()
    if name not in every:
        raise _unknown(answer, f"no figure is called {name!r}", name)
    figure = every[name]
    others = dict(figure.by)
    if by and by not in others:
        known = ", ".join(others) or "nothing else"
        raise InputError(f"{name} cannot be drawn by {by!r}", at="--by", hint=f"by {known}")
    if not figure.applies(answer):
        raise _unknown(answer, f"this study has no {name}: {figure.other or OTHER}")
    tables: Mapping[str, Callable[[StudyResults], pd.DataFrame]] = {"": figure.table, **others}
    rows = tables[by](answer)
    if not len(rows):
        raise _unknown(answer, f"this study has no {name}: {figure.absent}")
    return figure, worded(rows, labels_of(answer.plan))


def _unknown(answer: StudyResults, problem: str, name: str = "") -> InputError:
    reasons = lacking(answer)
    has = ", ".join(one for one, reason in reasons.items() if not reason) or "none yet"
    lacks = "; ".join(f"{one}: {reason}" for one, reason in reasons.items() if reason)
    near = did_you_mean(name, list(reasons)) if name else ""
    near = f"{near}\n" if near.startswith("did you mean") else ""
    return InputError(
        problem,
        at=answer.plan.study,
        hint=f"{near}it has: {has}" + (f"\nit has not: {lacks}" if lacks else ""),
    )


def _plot(answer: StudyResults, name: str, figure: Figure) -> Plot:
    rows, svg = figure.table(answer), ""
    if len(rows):
        svg = drawn(figure, worded(rows, labels_of(answer.plan)), name, stamp(answer))
    caption = inspect.cleandoc(sys.modules[f"swinablate.report.figures.{name}"].__doc__ or "")
    return Plot(
        name=name,
        title=figure.title,
        caption=" ".join(caption.split()),
        rows=rows,
        svg=svg,
        absent=figure.absent,
    )
