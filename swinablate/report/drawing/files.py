"""A drawing as SVG and PNG: the same bytes every time, fit to stand inside a page."""

import io
import re
import warnings
from typing import Any

import matplotlib as mpl
import pandas as pd

from swinablate.report.drawing import Figure
from swinablate.report.drawing.ink import STYLE

DPI = 160
"""A figure of nine inches is 1,440 pixels wide: sharp in a README; for print there is the SVG."""
GLYPH = "Glyph .* missing from font"
"""The SVG keeps the character and the reader's browser has more fonts than matplotlib."""


def drawn(figure: Figure, rows: pd.DataFrame, name: str) -> tuple[str, bytes]:
    """Draw a figure once, in both formats.

    Args:
        figure: what to draw.
        rows: its table, not empty.
        name: the figure's; every id in the SVG starts with it, so that several may stand
            in one page.

    Returns:
        The `<svg>` element, and a PNG of 160 dots per inch.
    """
    style: dict[Any, Any] = {**STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=GLYPH)
        canvas = figure.draw(rows)
        raster, vector = io.BytesIO(), io.StringIO()
        tight: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.06}
        # No date and no version: they would make every file a new one.
        canvas.savefig(raster, format="png", dpi=DPI, metadata={"Software": None}, **tight)
        canvas.savefig(vector, format="svg", metadata={"Date": None, "Creator": None}, **tight)
    return element(vector.getvalue(), name), raster.getvalue()


def element(svg: str, name: str) -> str:
    """The `<svg>` element alone, without metadata and style sheet, its ids made unique."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # matplotlib's sheet styles "*", which inside a page means the page.
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg ", '<svg style="stroke-linejoin:round;stroke-linecap:butt" ', 1)
    return re.sub(r"<[^>]*>", lambda tag: _renamed(tag.group(), name), svg)


def _renamed(tag: str, name: str) -> str:
    tag = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', tag)
    tag = re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', tag)
    return re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", tag)
