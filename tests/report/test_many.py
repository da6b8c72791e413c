"""Figures of many seeds and of many arms: what grows, and what is drawn."""

import numpy as np
import pandas as pd
import pytest

from swinablate.config import plugins
from swinablate.report.drawing import Canvas, Figure
from swinablate.report.drawing.ends import PANELS, ROWS, ends, left_out
from swinablate.report.tables import whole
from tests.answers import BASELINE, QUICKSTART, Sketch, adaptive, many, study, tuned

FIGURES = ("forest", "cost", "curves", "seeds")
"""What every study has."""


def canvas(name: str, answer) -> Canvas:
    figure = plugins.load("swinablate.report.figures", name, Figure)
    return figure.draw(figure.table(whole(answer)))


def of_seeds(arms: int, seeds: int):
    """Arms whose accuracies fall on few values, so that some seeds are equal."""
    names = ["baseline", *(f"arm {k}" for k in range(1, arms))]
    return study([Sketch(name=name, statuses=("done",) * seeds) for name in names])


def artists(fig: Canvas) -> int:
    return len(fig.findobj())


@pytest.mark.parametrize("arms", [3, 7])
@pytest.mark.parametrize("name", ["forest", "curves", "seeds"])
def test_artists_grow_with_arms_and_not_with_seeds(name, arms):
    few, several = (artists(canvas(name, of_seeds(arms, seeds))) for seeds in (6, 60))
    # Ticks of an axis differ with its range; one artist a seed would be 54 more an arm.
    assert several < few + 54
    assert artists(canvas(name, of_seeds(arms + 6, 6))) > few


def test_every_seed_is_drawn():
    answer = of_seeds(2, 40)
    (axes,) = canvas("forest", answer).axes
    (ticks,) = axes.collections
    left, right = axes.get_xlim()
    rows = plugins.load("swinablate.report.figures", "forest", Figure).table(whole(answer))
    inside = rows.delta_pp[rows["mark"] == "seed"].between(left, right).sum()
    assert len(ticks.get_paths()) == inside > 20  # arrows stand for those beyond the axis
    (axes,) = canvas("seeds", answer).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [40, 40]
    whole_axes = canvas("curves", answer).axes[0]
    lines = [c for c in whole_axes.collections if type(c).__name__ == "LineCollection"]
    assert [len(c.get_paths()) for c in lines] == [40, 40]


def test_stacks_of_dots_stay_in_their_row():
    (axes,) = canvas("seeds", of_seeds(2, 300)).axes
    for row, line in enumerate(line for line in axes.lines if line.get_marker() == "o"):
        heights = row - np.asarray(line.get_ydata())
        assert heights.min() == pytest.approx(0.08)
        assert heights.max() < 0.7


def test_many_equal_seeds_do_not_seem_to_have_other_values():
    equal = study([BASELINE, Sketch(name="a", mean=96, sd=0.0, statuses=("done",) * 200)])
    (axes,) = canvas("forest", equal).axes
    left, right = axes.get_xlim()
    (ticks,) = axes.collections
    x = [path.vertices[0, 0] for path in ticks.get_paths()]
    assert len(set(x)) == 200
    assert max(x) - min(x) < 0.06 * (right - left)


def test_the_ends_are_the_best_and_the_worst_in_the_order_given():
    values = {"a": 3.0, "b": 1.0, "c": float("nan"), "d": 5.0, "e": 2.0, "f": 4.0}
    assert ends(values, 6) == list(values)
    assert ends(values, 4) == ["b", "d", "e", "f"]
    assert ends({**values, "c": 2.5}, 2) == ["b", "d"]


def test_a_drawing_says_what_it_leaves_out():
    assert left_out(6, 6, 4) == ""
    assert left_out(4, 6, 4) == "\ndrawn: the 2 best and the 2 worst of 6 arms; the table has all"
    assert "the 3 of 6 arms that have a result" in left_out(3, 6, 4)


@pytest.fixture(scope="module")
def crowd():
    return many(150)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_very_many_arms_is_no_longer_than_one_of_many(name, crowd):
    figure = plugins.load("swinablate.report.figures", name, Figure)
    rows = figure.table(whole(crowd))
    assert rows.arm.nunique() >= 150
    assert figure.draw(rows).get_figheight() < 40


def test_a_forest_of_very_many_arms_has_the_ends_alone_and_says_so(crowd):
    fig = canvas("forest", crowd)
    (axes,) = fig.axes
    assert len(axes.get_yticks()) == ROWS
    assert "the 32 best and the 32 worst of 150 arms" in axes.get_xlabel()
    deltas = [arm["delta_pp"] for arm in crowd.verdicts["arms"]]
    left, right = axes.get_xlim()
    assert left <= min(deltas)
    assert max(deltas) <= right


def test_the_baseline_is_among_the_seeds_whatever_its_place(crowd):
    (axes,) = canvas("seeds", crowd).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == ROWS + 1
    assert "baseline" in names
    assert "of 150 arms" in axes.get_xlabel()


@pytest.mark.parametrize("name", ["curves", "tuning"])
def test_panels_of_very_many_arms_are_those_of_the_ends(name, crowd):
    fig = canvas(name, tuned(crowd) if name == "tuning" else crowd)
    assert len(fig.axes) == PANELS
    assert "the 20 best and the 20 worst of 150 arms" in fig.get_supxlabel()


def test_looks_at_few_arms_are_all_drawn():
    fig = canvas("sequence", adaptive())
    assert len(fig.axes) == len(QUICKSTART) - 1
    assert fig.get_supxlabel() == "seeds of an arm"


def test_a_seed_without_epochs_in_common_has_a_line_of_its_own():
    """Two seeds of an arm, whose rows are mixed: a line is one seed's, in the order of epochs."""
    rows = pd.DataFrame(
        {"mark": "seed", "arm": "a", "baseline": False, "seed": [1, 0, 1, 0, 0],
         "status": "done", "epoch": [2, 1, 1, 3, 2], "val_acc": [12.0, 1.0, 11.0, 3.0, 2.0],
         "low": np.nan, "high": np.nan, "n": 2, "level": 0.95}
    )  # fmt: skip
    more = rows.assign(mark="mean", seed=np.nan)
    figure = plugins.load("swinablate.report.figures", "curves", Figure)
    first = figure.draw(pd.concat([rows, more], ignore_index=True)).axes[0]
    (lines,) = (c for c in first.collections if type(c).__name__ == "LineCollection")
    assert [path.vertices[:, 1].tolist() for path in lines.get_paths()] == [[1, 2, 3], [11, 12]]
