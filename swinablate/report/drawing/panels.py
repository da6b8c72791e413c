"""Many arms in one figure: a panel for each."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swinablate.report.drawing.ends import PANELS, ends, left_out
from swinablate.report.drawing.ink import sheet, wrapped


def panels(values: Mapping[str, float], x: str, y: str) -> tuple[Figure, list[tuple[str, Axes]]]:
    """An empty panel for each arm, in reading order; values are named at the left edge alone.

    Args:
        values: what orders the arms where they are too many to draw all; their names are titles.
        x: what runs to the right in all of them.
        y: what runs up.
    """
    arms = ends(values, PANELS)
    across = 3 if len(arms) <= 6 else 4  # two rows of wide panels, else more of narrow ones
    down = -(-len(arms) // across)
    titles = [wrapped(arm, 32, 2) for arm in arms]
    fig = sheet(9.6, 1.75 * down + 0.55)
    grid = fig.add_gridspec(
        down, across, left=0.07, right=0.99, wspace=0.1,
        hspace=0.65 if any("\n" in title for title in titles) else 0.45,
        bottom=0.45 / fig.get_figheight(), top=1 - 0.35 / fig.get_figheight(),
    )  # fmt: skip
    axes = [fig.add_subplot(grid[i // across, i % across]) for i in range(len(arms))]
    for i, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        ax.set_title(title, fontsize=8.5, loc="left", pad=4, linespacing=1.0)
        ax.tick_params(labelsize=8, labelleft=i % across == 0)
    fig.supxlabel(x + left_out(len(arms), len(values), PANELS), fontsize=9.5, y=0)
    fig.supylabel(y, fontsize=9.5, x=0.01)
    return fig, list(zip(arms, axes, strict=True))
