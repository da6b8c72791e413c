"""What a figure is drawn for: the report's page, or a column of a paper of a given width.

On the page a figure is as wide as it needs. On paper its width is given, its letters are smaller,
and `fit` gives what names and numbers leave to the axes.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.transforms import Bbox, BboxBase

COLUMN, WHOLE = 3.25, 6.75
"""Inches: one of two columns, and both, of a page of ICML's; NeurIPS and CVPR differ little."""
NARROW = 5.0
"""Inches; below, a figure stacks what it else sets side by side."""
EDGE = 0.03  # inches round a figure on paper: a line at the edge is whole
PASSES = 4  # as texts move, ticks may change and with them the room they take
STILL = 1e-9
"""Inches, or shares of the sheet, that a pass moved at most which came to what stood there: mostly
the second, and each measures every text."""
TRUE = 300
"""Dots an inch at which letters are as wide as on paper: on a screen they are fitted to dots, and
a long name is up to a tenth of an inch wider or narrower."""
LEAST = 0.5  # inches of an axis; one that is narrower shows nothing

SCREEN = 110  # dots an inch in a notebook: letters of 8 points are as large as those around them


class Shown(Canvas):
    """A drawing that a notebook shows without being told how, though nobody imports pyplot."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=SCREEN, bbox_inches="tight")
        return file.getvalue()


@dataclass(frozen=True)
class Paper:
    """What a figure is drawn for.

    Attributes:
        width: inches; None is as wide as the figure needs.
    """

    width: float | None = None

    @property
    def narrow(self) -> bool:
        """Whether things stand below each other that else stand side by side."""
        return self.width is not None and self.width < NARROW

    @property
    def letters(self) -> float:
        """Size of all letters, as a share of the page's: 8 points become 6.2 in a column."""
        return 1.0 if self.width is None else 0.78 if self.narrow else 0.85

    @property
    def name(self) -> int:
        """Letters on a line of a name beside an axis."""
        return 32 if self.width is None else 17 if self.narrow else 26

    def across(self, natural: float) -> float:
        """Width of the drawing: as given, or what it needs, inches."""
        return natural if self.width is None else self.width


PAGE = Paper()


def fit(canvas: Canvas, width: float) -> None:
    """Stretch the axes until the drawing with all its texts is so wide, and its sheet as high.

    Heights of axes stay as they are. Inner gaps are stretched as the axes are.

    Args:
        canvas: what was drawn.
        width: inches.
    """
    measuring = [
        RendererAgg(1, 1, dots)  # type: ignore[no-untyped-call]
        for dots in (TRUE, canvas.get_dpi())
    ]
    for _ in range(PASSES):
        across, high = canvas.get_size_inches()
        box = _reached(canvas, measuring)
        places = [ax.get_position() for ax in canvas.axes]
        left = across * min(place.x0 for place in places)
        right = across * max(place.x1 for place in places)
        start = left - box.x0 + EDGE
        room = max(width - start - (box.x1 - right) - EDGE, LEAST)
        stretch = room / (right - left)
        tall = box.height + 2 * EDGE
        canvas.set_size_inches(width, tall)
        moved = max(abs(width - across), abs(tall - high))
        for ax, place in zip(canvas.axes, places, strict=True):
            x0 = (start + (place.x0 * across - left) * stretch) / width
            y0 = (place.y0 * high - box.y0 + EDGE) / tall
            now = (x0, y0, place.width * across * stretch / width, place.height * high / tall)
            ax.set_position(now)
            moved = max(moved, *(abs(a - b) for a, b in zip(now, place.bounds, strict=True)))
        if moved < STILL:
            break


def _reached(canvas: Canvas, measuring: Sequence[RendererAgg]) -> Bbox:
    """What the drawing takes, on a screen and on paper, inches.

    Args:
        canvas: what was drawn.
        measuring: of each density, the drawing's own last. What a renderer has measured of a
            text, it does not measure again.
    """
    boxes = list[BboxBase]()
    for renderer in measuring:
        canvas.set_dpi(renderer.dpi)
        boxes.append(canvas.get_tightbbox(renderer))
    return Bbox.union(boxes)
