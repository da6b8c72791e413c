"""One look for all figures: colours, marks, type. Colour never carries meaning alone."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import Transform

from swinablate.report.drawing.numbers import count
from swinablate.report.drawing.paper import Shown

INK, FAINT, RULE, PAPER = "#1A1A1A", "#595959", "#BDBDBD", "#FFFFFF"
"""FAINT has a contrast of 7 on white: small text in it can be read."""
BAND, GRID = "#DCE9F5", "#EAEAEA"
"""Lighter than anything that is drawn on them."""

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette for all kinds of colour vision; yellow is too faint for lines."""

LETTER = 0.56  # of the size of type: the mean width of a letter of DejaVu Sans
BASE = 9.0
"""Points of the page's letters."""

STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
        "font.monospace": ["DejaVu Sans Mono", "Menlo", "Consolas", "monospace"],
        "font.size": BASE,
        "axes.labelsize": 9.5,
        "axes.titlesize": 9.5,
        "axes.titley": 1.0,
        # TrueType: journals refuse Type 3, which is matplotlib's own choice.
        "pdf.fonttype": 42,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "xtick.color": INK,
        "ytick.color": INK,
        "text.color": INK,
        # A name may hold any character; "$" must not start a formula.
        "text.parse_math": False,
        "text.usetex": False,
        "svg.fonttype": "none",
        "path.simplify": True,
        "savefig.facecolor": PAPER,
        "figure.facecolor": PAPER,
    }
)
"""Letters of 8 to 9.5 points, as in a paper's captions; text stays text in the SVG."""


@dataclass(frozen=True)
class Look:
    """How a verdict is drawn: a shape and a word first, then a colour that is legible as text."""

    marker: str
    colour: str
    filled: bool = True


LOOKS: Mapping[str, Look] = MappingProxyType(
    {
        "better": Look("^", "#00734F"),
        "worse": Look("v", "#B34700"),
        "equivalent": Look("s", "#0072B2"),
        "fails to train": Look("X", "#B00020"),
        "undecided": Look("o", FAINT),
        "pending": Look("D", "#767676", filled=False),
        "not tested": Look("D", "#767676", filled=False),
    }
)
"""Okabe and Ito's green, vermilion and blue, the first two darker: as text they have a contrast of
5.9, 5.5 and 5.2 on white, where 4.5 is asked for; #767676 just reaches that. Red is for what fails
to train, as on the page, with 7.3."""


def printable(name: str) -> str:
    """The name without control and direction characters, which no font can show."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def wrapped(name: str, width: int = 32, lines: int = 3) -> str:
    """The name on at most `lines` lines; what does not fit ends in an ellipsis.

    Breaks after spaces and the punctuation of switch paths, else anywhere.
    """
    rows = [""]
    for part in re.findall(r"(?:\d+\.\d+|[^ ._=,/-])*[ ._=,/-]?", printable(name)):
        pieces = [part[i : i + width] for i in range(0, len(part), width)] or [""]
        if len(rows[-1] + pieces[0].rstrip()) > width:
            rows.append("")
        rows[-1] += pieces[0]
        rows += pieces[1:]
    rows = [row.strip() for row in rows if row.strip()] or [""]
    if len(rows) > lines:
        rows = [*rows[: lines - 1], rows[lines - 1][: width - 1] + "\N{HORIZONTAL ELLIPSIS}"]
    return "\n".join(rows)


WORD = 8
"""Letters before the first that differs, at most: they say which word it is of."""


def apart(names: Iterable[str], width: int = 32, lines: int = 3) -> list[str]:
    """Each name as `wrapped` has it; where two would look alike, with what tells them apart.

    Of such names the middle is left out, so that their beginnings stand before what differs.
    """
    every = list(map(str, names))
    found = {name: wrapped(name, width, lines) for name in every}
    for shown in [look for look, twins in Counter(found.values()).items() if twins > 1]:
        alike = [name for name, look in found.items() if look == shown]
        found |= _told_apart({name: _differs(name, alike) for name in alike}, width, lines)
    return [found[name] for name in every]


def _told_apart(differ: Mapping[str, int], width: int, lines: int) -> dict[str, str]:
    """Names with as much of their beginnings as leaves room for what differs.

    All of it, if there is a way; nothing where there is none.
    """
    ways = []
    for kept in range(width * lines, -1, -1):
        short = {name: _without(name, kept, at) for name, at in differ.items()}
        looks = {name: wrapped(text, width, lines) for name, text in short.items()}
        if len({*looks.values()}) == len(differ):
            ways.append(looks)
    cut = ("\N{HORIZONTAL ELLIPSIS}",)
    return min(ways, key=lambda looks: sum(x.endswith(cut) for x in looks.values()), default={})


def _differs(name: str, alike: Iterable[str]) -> int:
    """Where a name differs from that which shares most with it; with the word's beginning."""
    shared = max(
        sum(name.startswith(other[:n]) for n in range(1, len(other) + 1))
        for other in alike
        if other != name
    )
    begins = max(found.end() for found in re.finditer(r"^|[ ._=,/-]", name[:shared]))
    return max(begins, shared - WORD)


def _without(name: str, kept: int, at: int) -> str:
    """A name without what stands between its beginning and a place."""
    return f"{name[:kept].rstrip()}\N{HORIZONTAL ELLIPSIS}{name[at:]}" if kept < at else name


def beside_others(names: Iterable[str], others: Iterable[object], width: int) -> list[str]:
    """Each name as `apart` has it; where it is compared with another arm, that stands below."""
    every = list(map(str, names))
    alone, above = apart(every, width), apart(every, width, 2)
    return [
        f"{two}\n{wrapped(f'against {other}', width, 1)}"
        if isinstance(other, str) and other
        else three
        for three, two, other in zip(alone, above, others, strict=True)
    ]


def against(arm: str, other: str, arms: Collection[str], width: int, lines: int = 2) -> str:
    """An arm's name, and below it what it is compared with where that is one of the arms."""
    name = wrapped(arm, width, lines)
    return f"{name}\n{wrapped(f'against {other}', width, 1)}" if other in arms else name


def pt(size: float) -> float:
    """A length as it is on the report's page, scaled as the letters of this drawing are.

    Letters, marks and what is counted in lines of text grow together; `files.style` says how much.
    """
    return size * float(mpl.rcParams["font.size"]) / BASE


def dark(colour: str) -> str:
    """A colour of the palette, dark enough for text on white."""
    return {"#D55E00": "#B34700", "#009E73": "#00734F", "#CC79A7": "#9C3F74",
            "#E69F00": "#8A5A00", "#56B4E9": "#1F78B4"}.get(colour, colour)  # fmt: skip


def sheet(width: float, height: float) -> Canvas:
    """An empty drawing that can measure its texts; inches."""
    canvas = Shown(figsize=(width, height))
    FigureCanvasAgg(canvas)
    return canvas


def root(ax: Axes) -> Canvas:
    """The drawing that holds the axes."""
    canvas = ax.get_figure(root=True)
    assert canvas is not None
    return canvas


def mark(ax: Axes, x: float, y: float, look: Look, transform: Transform | None = None) -> None:
    """Draw a verdict's shape at a point, in data coordinates unless told otherwise."""
    ax.plot(
        x,
        y,
        marker=look.marker,
        markersize=pt(5.5 if look.marker == "D" else 7.5),
        linestyle="none",
        zorder=4,
        markerfacecolor=look.colour if look.filled else PAPER,
        markeredgecolor=PAPER if look.filled else look.colour,
        markeredgewidth=0.8 if look.filled else 1.3,
        transform=transform or ax.transData,
        clip_on=False,
    )


def ticks(ax: Axes, levels: Sequence[float]) -> None:
    """Numbers at these levels alone, and lines across at a few values."""
    ax.xaxis.set_major_locator(FixedLocator(levels))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.grid(axis="y", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
