"""A drawing as SVG, PNG and PDF: the same bytes every time, fit to stand inside a page."""

import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
from matplotlib.transforms import Bbox

from swinablate.report.drawing import PAGE, Canvas, Figure, Paper
from swinablate.report.drawing.ink import FAINT, STYLE
from swinablate.report.drawing.paper import fit

Format = Literal["pdf", "svg", "png"]
DPI, PRINT = 160, 300
"""A figure of nine inches on the page is 1,440 pixels wide: sharp in a README. Journals ask for
300 dots per inch where they take pixels at all."""
EDGE = 0.06
"""Inches round what is drawn: a line at the edge is whole."""
PATH, NUMBER = re.compile(r'(?<= d=")[^"]*'), re.compile(r"-?\d+\.\d{3,}")
"""Outlines in an SVG, whose six places after the point are a third of a file of many lines; two
are a 7,200th of an inch."""
GLYPH = "Glyph .* missing from font"
"""The SVG keeps the character and the reader's browser has more fonts than matplotlib."""
STAMP: dict[str, Any] = {"color": FAINT, "alpha": 0.16, "weight": "bold", "rotation": 24}
"""Of a figure that is not of a finished study: seen at once, and read through."""


@contextmanager
def style(paper: Paper, name: str = "") -> Iterator[None]:
    """The look of all figures while one is drawn and saved.

    Args:
        paper: whose letters they are.
        name: the figure's, from which the ids in its SVG are made.
    """
    sizes = {
        key: size * paper.letters for key, size in STYLE.items() if key.endswith(("size", "width"))
    }
    given: dict[Any, Any] = {**STYLE, **sizes, "svg.hashsalt": name}
    with mpl.rc_context(given), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=GLYPH)
        yield


def canvas(figure: Figure, rows: pd.DataFrame, paper: Paper = PAGE, stamp: str = "") -> Canvas:
    """A drawing.

    Args:
        figure: what to draw.
        rows: its table, not empty.
        paper: what for.
        stamp: a word across it; mostly empty.
    """
    with style(paper):
        return _drawing(figure, rows, paper, stamp)


def drawn(figure: Figure, rows: pd.DataFrame, name: str, stamp: str = "") -> str:
    """Draw a figure for the report's page.

    Args:
        figure: what to draw.
        rows: its table, not empty.
        name: the figure's; every id in the SVG starts with it, so that several may stand
            in one page.
        stamp: a word across it; mostly empty.

    Returns:
        The `<svg>` element.
    """
    with style(PAGE, name):
        made, vector = _drawing(figure, rows, PAGE, stamp), io.StringIO()
        # No date and no version: they would make every file a new one.
        made.savefig(
            vector,
            format="svg",
            bbox_inches=_taken(made),
            metadata={"Date": None, "Creator": None},
        )
    return element(vector.getvalue(), name)


def pixels(figure: Figure, rows: pd.DataFrame, stamp: str = "") -> bytes:
    """Draw a figure of the report as a PNG of 160 dots per inch; for arguments see `drawn`."""
    with style(PAGE):
        made, raster = _drawing(figure, rows, PAGE, stamp), io.BytesIO()
        box = _taken(made)
        made.savefig(raster, format="png", dpi=DPI, bbox_inches=box, metadata={"Software": None})
    return raster.getvalue()


def saved(
    figure: Figure, rows: pd.DataFrame, name: str, kind: Format, paper: Paper, *, stamp: str = ""
) -> bytes:
    """One file of a figure, as wide as the paper says; a PNG has 300 dots per inch.

    Args:
        figure: what to draw.
        rows: its table, not empty.
        name: the figure's.
        kind: of file.
        paper: what for.
        stamp: a word across it; mostly empty.
    """
    nothing: dict[Format, dict[str, None]] = {
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "svg": {"Date": None, "Creator": None},
        "png": {"Software": None},
    }
    tight: dict[str, Any] = (
        {"bbox_inches": "tight", "pad_inches": EDGE} if paper.width is None else {}
    )
    with style(paper, name):
        made, file = _drawing(figure, rows, paper, stamp), io.BytesIO()
        made.savefig(file, format=kind, dpi=PRINT, metadata=nothing[kind], **tight)
    return file.getvalue()


def _drawing(figure: Figure, rows: pd.DataFrame, paper: Paper, stamp: str) -> Canvas:
    made = figure.draw(rows, paper)
    _settle(made)
    if paper.width is not None:
        fit(made, paper.width)
    if stamp:
        # The middle of what is drawn, not of its sheet, which is cut to it.
        (across, high), box = made.get_size_inches(), made.get_tightbbox()
        # As long as half the diagonal: a letter is about 0.7 of its size wide, 72 points an inch.
        size = 36 * (box.width**2 + box.height**2) ** 0.5 / (0.7 * len(stamp))
        # And no higher than a low figure, which would grow: its length, turned, and its letters.
        turned = math.radians(STAMP["rotation"])
        rise = 0.7 * len(stamp) * math.sin(turned) + math.cos(turned)
        size = min(size, 72 * 0.9 * box.height / rise)
        x, y = (box.x0 + box.x1) / 2 / across, (box.y0 + box.y1) / 2 / high
        made.text(x, y, stamp, ha="center", va="center", fontsize=size, zorder=9, **STAMP)
    return made


def _taken(made: Canvas) -> Bbox:
    """What a drawing takes of its sheet, inches: "tight" would draw all of it to find it out."""
    made.set_dpi(DPI)
    return made.get_tightbbox().padded(EDGE)


def _settle(made: Canvas) -> None:
    """Give labels that are empty a place: else all ticks are measured to find one, each time."""
    for plot in [one for ax in made.axes for one in (ax, *ax.child_axes)]:
        for axis in (plot.xaxis, plot.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0, 0)


def element(svg: str, name: str) -> str:
    """The `<svg>` element alone, without metadata and style sheet, short, its ids made unique."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # matplotlib's sheet styles "*", which inside a page means the page.
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg ", '<svg style="stroke-linejoin:round;stroke-linecap:butt" ', 1)
    svg = PATH.sub(lambda path: NUMBER.sub(_shorter, path.group()), svg)
    return re.sub(r"<[^>]*>", lambda tag: _renamed(tag.group(), name), svg)


def _shorter(number: re.Match[str]) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")


def _renamed(tag: str, name: str) -> str:
    if 'id="' not in tag and "#" not in tag:
        return tag
    tag = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', tag)
    tag = re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', tag)
    return re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", tag)
