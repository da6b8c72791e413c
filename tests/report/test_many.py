"""Figures of many seeds and of many arms: what grows, and what is drawn."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from swinablate.config import plugins
from swinablate.report import contents, page
from swinablate.report.drawing import Canvas, Figure
from swinablate.report.drawing.extremes import PANELS, ROWS, extremes, left_out
from swinablate.report.figures import curves, interactions
from swinablate.report.tables import csv, whole
from tests.answers import BASELINE, QUICKSTART, Sketch, adaptive, designed, many, study, tuned

FIGURES = ("forest", "cost", "curves", "seeds")
"""What every study has."""


def canvas(name: str, answer) -> Canvas:
    figure = plugins.load("swinablate.report.figures", name, Figure)
    return figure.draw(figure.table(whole(answer)))


def of_seeds(arms: int, seeds: int):
    """Arms whose accuracies fall on few values, so that some seeds are equal."""
    names = ["baseline", *(f"arm {k}" for k in range(1, arms))]
    return study([Sketch(name=name, statuses=("done",) * seeds) for name in names])


def words(fig: Canvas) -> str:
    """All notes under panels."""
    return " ".join(text.get_text() for axes in fig.axes for text in axes.texts)


def ticks(axes: Axes) -> np.ndarray:
    """Where the ticks of a forest's only arm are: one path of upright strokes with gaps."""
    (line,) = (line for line in axes.lines if line.get_color() == "#7A7A7A")
    x, y = (np.asarray(of, float).reshape(-1, 3) for of in line.get_data())
    assert np.isfinite(y).tolist() == [[True, True, False]] * len(y)
    assert (y[:, 0] < y[:, 1]).all()
    assert (x == x[:, :1]).all()
    return x[:, 0]


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
    left, right = axes.get_xlim()
    rows = plugins.load("swinablate.report.figures", "forest", Figure).table(whole(answer))
    inside = rows.delta_pp[rows["mark"] == "seed"].between(left, right).sum()
    assert len(ticks(axes)) == inside > 20  # arrows stand for those beyond the axis
    (axes,) = canvas("seeds", answer).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [40, 40]
    whole_axes = canvas("curves", answer).axes[0]
    lines = [c for c in whole_axes.collections if type(c).__name__ == "LineCollection"]
    assert [len(c.get_paths()) for c in lines] == [40, 40]


def test_of_very_many_seeds_some_lines_are_drawn_and_all_are_averaged():
    """The lowest and the highest among them; lines that nobody can tell apart made a page large."""
    answer = of_seeds(2, 120)
    rows = plugins.load("swinablate.report.figures", "curves", Figure).table(whole(answer))
    axes = canvas("curves", answer).axes
    lines = [c for c in axes[0].collections if type(c).__name__ == "LineCollection"]
    assert [len(c.get_paths()) for c in lines] == [curves.MOST, curves.MOST]
    last = rows[rows.epoch == rows.epoch.max()]
    for arm, drawn in zip(["arm 1", "baseline"], lines, strict=True):
        seeds = last[(last.arm == arm) & (last["mark"] == "seed")].val_acc
        ends = [path.vertices[-1, 1] for path in drawn.get_paths()]
        assert (min(ends), max(ends)) == (seeds.min(), seeds.max())
    assert set(rows[rows["mark"] == "mean"].n) == {120}
    # What is enlarged is drawn from where it begins.
    late = [c for c in axes[1].collections if type(c).__name__ == "LineCollection"]
    begins = [path.vertices[0, 0] for c in late for path in c.get_paths()]
    assert min(begins) == axes[1].get_xlim()[0] > rows.epoch.min()


def test_the_last_mean_of_a_curve_stands_with_the_spread_over_seeds():
    answer = of_seeds(2, 20)
    texts = [text.get_text() for text in canvas("curves", answer).axes[1].texts]
    last = answer.curves[answer.curves.epoch == answer.curves.epoch.max()]
    own = last[last.arm == "arm 1"].val_acc
    said = f"{own.mean():.1f} \u00b1 {own.std(ddof=1):.1f}, n = 20"
    assert any(text.endswith(said) for text in texts)


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
    x = ticks(axes).tolist()
    assert len(set(x)) == 200
    assert max(x) - min(x) < 0.06 * (right - left)


def test_the_ends_are_the_best_and_the_worst_in_the_order_given():
    values = {"a": 3.0, "b": 1.0, "c": float("nan"), "d": 5.0, "e": 2.0, "f": 4.0}
    assert extremes(values, 6) == list(values)
    assert extremes(values, 4) == ["b", "d", "e", "f"]
    assert extremes({**values, "c": 2.5}, 2) == ["b", "d"]


def test_a_drawing_says_what_it_leaves_out():
    assert left_out(6, 6, 4) == ""
    assert left_out(4, 6, 4) == "\ndrawn: the 2 best and the 2 worst of 6 arms; the table has all"
    assert "the 3 of 6 arms that have a result" in left_out(3, 6, 4)
    assert "the 2 worst of 6 steps" in left_out(4, 6, 4, "steps")


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
    assert "the 20 best and the 20 worst of 150 arms" in words(fig)


def test_looks_at_few_arms_are_all_drawn():
    fig = canvas("sequence", adaptive())
    assert len(fig.axes) == len(QUICKSTART) - 1
    assert {axes.get_xlabel() for axes in fig.axes} <= {"", "seeds of an arm"}
    assert "drawn:" not in words(fig)


def test_a_seed_without_epochs_in_common_has_a_line_of_its_own():
    """Two seeds of an arm, whose rows are mixed: a line is one seed's, in the order of epochs."""
    rows = pd.DataFrame(
        {"mark": "seed", "arm": "a", "baseline": False, "seed": [1, 0, 1, 0, 0],
         "status": "done", "epoch": [2, 1, 1, 3, 2], "val_acc": [12.0, 1.0, 11.0, 3.0, 2.0],
         "low": np.nan, "high": np.nan, "sd": 1.0, "n": 2, "level": 0.95}
    )  # fmt: skip
    more = rows.assign(mark="mean", seed=np.nan)
    figure = plugins.load("swinablate.report.figures", "curves", Figure)
    first = figure.draw(pd.concat([rows, more], ignore_index=True)).axes[0]
    (lines,) = (c for c in first.collections if type(c).__name__ == "LineCollection")
    assert [path.vertices[:, 1].tolist() for path in lines.get_paths()] == [[1, 2, 3], [11, 12]]


def rows_of(name: str, design: str) -> pd.DataFrame:
    return plugins.load("swinablate.report.figures", name, Figure).table(designed(design))


def drawing(name: str, rows: pd.DataFrame) -> Canvas:
    return plugins.load("swinablate.report.figures", name, Figure).draw(rows)


def test_of_very_many_effects_each_family_has_its_ends_and_the_axis_says_so():
    rows = rows_of("effects", "factorial")
    plenty = rows[rows.family == rows.family.iloc[-1]].head(1)
    more = pd.concat([rows, *[plenty] * 300], ignore_index=True)
    more.loc[len(rows) :, "delta_pp"] = np.arange(300) / 100
    more.loc[len(rows) :, "effect"] = [f"a x {k}" for k in range(300)]
    (axes,) = drawing("effects", more).axes
    first, last = rows.family.iloc[0], rows.family.iloc[-1]
    assert len(axes.get_yticks()) == 2 + (rows.family == first).sum() + ROWS
    of = 300 + (rows.family == last).sum()
    said = f"\n{last}, drawn: the 32 best and the 32 worst of {of} effects; the table has all"
    assert axes.get_xlabel().endswith(said)
    assert "drawn" not in drawing("effects", rows).axes[0].get_xlabel()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert {"a x 299", "a x 270"} <= set(labels)
    assert "a x 150" not in labels


def test_of_very_many_interactions_the_largest_are_drawn_and_a_note_says_so():
    row = rows_of("interactions", "factorial").iloc[0].to_dict()
    every = pd.DataFrame(
        {**row, "first": f"a{i}", "second": f"b{k}", "delta_pp": i + k / 100}
        for i in range(30)
        for k in range(25)
    )
    fig = drawing("interactions", every)
    assert len(fig.axes) == interactions.MOST
    assert f"drawn: the {interactions.MOST} largest of 750 interactions" in words(fig)
    few = every[every["first"].isin(["a1"]) & every.second.isin(["b1", "b2", "b3"])]
    assert "drawn:" not in words(drawing("interactions", few))


def test_of_a_very_long_path_the_ends_are_drawn_and_steps_apart_are_not_joined():
    row = rows_of("waterfall", "path").iloc[0].to_dict()
    steps = pd.DataFrame(
        {**row, "direction": way, "step": k, "change": f"c{k}", "delta_pp": float(k),
         "mean_before": 50.0 + (k == 1), "mean_after": 50.0 + k}
        for way in ("forward", "backward") for k in range(1, 101)
    )  # fmt: skip
    fig = drawing("waterfall", steps)
    assert fig.get_figheight() < 60
    which = "drawn: the 32 best and the 32 worst of 100 steps; the table has all"
    assert fig.axes[1].get_xlabel().endswith(f"cut\nforward, {which}\nbackward, {which}")
    for axes in fig.axes:
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == ["baseline", *(f"+ c{k}" for k in [*range(1, 33), *range(69, 101)])]
        joins = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"]
        assert joins == [*range(32), 33 - 0.31, *range(33, 64)]
        assert axes.lines[0].get_xdata() == [51.0]


def test_a_path_whose_first_steps_are_not_drawn_begins_at_its_baseline_all_the_same():
    row = rows_of("waterfall", "path").iloc[0].to_dict()
    steps = pd.DataFrame(
        {**row, "step": k, "change": f"c{k}", "delta_pp": 0.0 if k == 1 else float(k - 50),
         "mean_before": 50.0 + k, "mean_after": 51.0 + k}
        for k in range(1, 101)
    )  # fmt: skip
    (axes,) = drawing("waterfall", steps).axes
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["baseline", "+ c2"]
    assert axes.lines[0].get_xdata() == [51.0]
    joins = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert joins[:2] == [1 - 0.31, 1]


@pytest.fixture
def small(monkeypatch):
    """A page that holds little, so that a small study is too large for it."""
    monkeypatch.setattr(page, "HELD", 4000)
    monkeypatch.setattr(page, "FIRST", 20)
    return contents(study())


def test_a_page_lists_the_first_trials_of_very_many_and_says_so(small, monkeypatch):
    text = small["index.html"].decode()
    trials = pd.read_csv(io.BytesIO(small["tables/trials.csv"]))
    listed = text[text.index('<section aria-labelledby="trials"') :]
    assert f"The first 20 of {len(trials)} trials, one a row; the CSV has all" in listed
    assert listed.count('<th scope="row">') == 20
    monkeypatch.setattr(page, "FIRST", len(trials))
    every = contents(study())["index.html"].decode()
    assert f"<summary>{len(trials)} trials, one a row</summary>" in every


def test_a_large_table_stands_beside_the_page_and_a_small_one_inside(small):
    text = small["index.html"].decode()
    links = dict(re.findall(r'download="(\w+)\.csv" href="([^"]*)"', text))
    assert {"trials", "forest", "cost"} <= links.keys()
    held = set()
    for name, href in links.items():
        data = small[f"tables/{name}.csv"]
        if len(data) <= 4000:
            assert base64.b64decode(href.removeprefix("data:text/csv;base64,")) == data
            held.add(name)
        else:
            assert href == f"tables/{name}.csv"
            assert f"({href} beside this page, {len(data) / 1e6:.1f} MB)" in text
    assert 0 < len(held) < len(links)


def test_a_table_is_written_as_pandas_writes_it():
    frame = pd.DataFrame(
        {
            "name": ["a, b", 'say "so"', None, "two\nlines"],
            "float": [0.1, np.nan, 1e-7, 1e22],
            "whole": [1, 2, 3, -4],
            "some": pd.array([1, None, 3, 4], dtype="Int64"),
            "yes": [True, False, True, False],
            "any": [1.5, None, "x", True],
        }
    )
    assert csv(frame) == frame.to_csv(index=False, lineterminator="\n")
    assert csv(frame[:0]) == frame[:0].to_csv(index=False, lineterminator="\n")
