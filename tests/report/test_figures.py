import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import t

from swinablate.config import plugins
from swinablate.report.drawing import Figure, files
from swinablate.report.drawing.files import drawn, element, pixels
from swinablate.report.drawing.ink import LOOKS, sheet, wrapped
from swinablate.report.drawing.interval import mean, mean_of_cells
from swinablate.report.drawing.kinds import kind
from swinablate.report.drawing.place import Note, core, label_points, spread
from swinablate.report.figures import cost, curves
from swinablate.report.results import StudyResults
from swinablate.report.tables import whole
from tests.answers import (
    BASELINE,
    QUICKSTART,
    Sketch,
    adaptive,
    confused,
    designed,
    elsewhere,
    levels,
    many,
    nested,
    recalled,
    scaled,
    several,
    study,
    tuned,
)
from tests.report.conftest import Draw

TUNED = ("tuned", "many tuned", "tuned often", "many tuned often")
FIGURES = plugins.names("swinablate.report.figures")
HOSTILE = Sketch(name="<script>alert('x')</script> & \"q\" $x_2$ 窗口 \u202e", mean=96.2)
LOST = (
    Sketch(name="half", statuses=("done", "done", "failed", "diverged", "done")),
    Sketch(name="nothing", statuses=("failed",) * 5),
    Sketch(name="far", mean=12.0, sd=1.0),
)


def table(name: str, answer: StudyResults) -> pd.DataFrame:
    return plugins.load("swinablate.report.figures", name, Figure).table(whole(answer))


CASES: dict[str, Callable[[], StudyResults]] = {
    "quickstart": study,
    "one arm": lambda: study(QUICKSTART[:2]),
    "thirty arms": lambda: many(30),
    "lost": lambda: study([*QUICKSTART, *LOST]),
    "hostile": lambda: study([*QUICKSTART[:2], HOSTILE]),
    "interim": lambda: study([BASELINE, Sketch(name="a", statuses=("done", "done", "waiting"))]),
    "elsewhere": elsewhere,
    "no rope": lambda: study(rope=None),
    "adaptive": adaptive,
    "factorial": lambda: designed("factorial"),
    "fraction": lambda: designed("fraction", 5),
    "path": lambda: designed("path"),
    "tuned": lambda: tuned(study()),
    "many tuned": lambda: tuned(many(9)),
    "tuned often": lambda: tuned(study(), repeats=3),
    "many tuned often": lambda: tuned(many(9), repeats=3),
    "levels": levels,
    "scales": scaled,
    "data sets": several,
    "two data sets": lambda: several(2),
    "classes": recalled,
    "confusion": confused,
    "splits": nested,
}
"""Made when a test asks: every worker of pytest-xdist imports this, and judging takes seconds."""


def own(name: str) -> StudyResults:
    """A study that has the figure."""
    return {
        "sequence": adaptive, "effects": lambda: designed("factorial"),
        "interactions": lambda: designed("factorial"), "waterfall": lambda: designed("path"),
        "tuning": lambda: tuned(study()), "levels": levels, "classes": recalled,
        "scale": scaled, "confusion": confused, "noise": nested,
        "datasets": several, "profile": several,
    }.get(name, study)()  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("case", CASES)
def test_figure_draws_its_own_table(name: str, case: str, drawn_once: Draw) -> None:
    figure = plugins.load("swinablate.report.figures", name, Figure)
    answer = whole(CASES[case]())
    rows = figure.table(answer)
    wanted = {
        "sequence": {"adaptive"}, "effects": {"factorial", "fraction"},
        "interactions": {"factorial", "fraction"}, "waterfall": {"path"},
        "tuning": {"tuned", "many tuned", "tuned often", "many tuned often"},
        "levels": {"levels"}, "scale": {"scales"}, "classes": {"classes"}, "confusion": {"confusion"},
        "noise": {"splits"}, "datasets": {"data sets", "two data sets"}, "profile": {"data sets"},
        "families": {"quickstart", "lost", "no rope", "adaptive", "levels", "thirty arms",
                     "classes", "confusion", "splits", *TUNED},
        "components": {"quickstart", "lost", "hostile", "no rope", "adaptive", "factorial",
                       "fraction", "path", "tuned", "tuned often", "levels", "classes",
                       "confusion", "scales", "splits", "data sets", "two data sets"},
    }.get(name)  # fmt: skip
    assert figure.applies(answer) == (wanted is None or case in wanted)
    if not figure.applies(answer):
        assert rows.empty
        return
    if rows.empty:
        assert figure.absent
        assert (name, case) in {
            ("cost", "one arm"), ("cost", "interim"), ("cost", "elsewhere"), ("cost", "hostile"),
            ("cost", "scales"), ("cost", "data sets"), ("cost", "two data sets"), ("curves", "elsewhere"), ("cost", "factorial"), ("cost", "path"), ("cost", "fraction"),
        }  # fmt: skip
        return
    svg = drawn_once(figure, rows, name)
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("name", FIGURES)
def test_everything_drawn_is_in_the_saved_table(name: str, drawn_once: Draw) -> None:
    figure = plugins.load("swinablate.report.figures", name, Figure)
    rows = figure.table(whole(own(name)))
    again = pd.read_csv(io.StringIO(rows.to_csv(index=False)), keep_default_na=True)
    again["label"] = again["label"].fillna("") if "label" in again else None
    assert drawn(figure, again, name) == drawn_once(figure, rows, name)


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_table_gives_the_same_bytes(name: str, drawn_once: Draw) -> None:
    figure = plugins.load("swinablate.report.figures", name, Figure)
    rows = figure.table(whole(own(name)))
    anew = drawn(figure, rows, name)  # first, so that the other is never this one
    assert anew == drawn_once(figure, rows, name)


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_done_draws_nothing(name: str) -> None:
    waiting = study([replace(s, statuses=("waiting",) * 3) for s in QUICKSTART])
    assert table(name, waiting).empty


@pytest.mark.parametrize("name", FIGURES)
def test_all_failed_draws_no_number(name: str) -> None:
    failed = study([replace(s, statuses=("failed",) * 3) for s in QUICKSTART])
    rows = table(name, failed)
    assert rows.empty or set(rows["mark"]) == {"seed"}  # the curves of what was lost


@pytest.mark.parametrize("name", FIGURES)
def test_hostile_names_are_text(name: str) -> None:
    answer = whole(study([*QUICKSTART, HOSTILE]))
    figure = plugins.load("swinablate.report.figures", name, Figure)
    if not figure.applies(answer):
        return
    svg = drawn(figure, figure.table(answer), name)
    assert "<script" not in svg
    assert "\u202e" not in svg
    text = "".join(ET.fromstring(svg).itertext())
    if name != "cost":  # which names few arms
        assert "<script>alert('x')" in text
        assert "$x_2$" in text


def test_tries_are_read_from_tuning_alone_and_divergence_counts() -> None:
    answer = tuned(study(QUICKSTART[:2]), 4)
    first, second = (rows for _, rows in table("tuning", answer).groupby("arm", sort=False))
    values = [90.0, 89.5, 89.0, 88.5]
    assert first.expected_best.tolist()[::3] == pytest.approx([np.mean(values), 90.0])
    assert second.expected_best.tolist()[::3] == pytest.approx([(91 + 0 + 90 + 0) / 4, 91.0])
    assert (set(first.own), set(second.ran), set(second.planned)) == ({90.0}, {4}, {4})


def test_of_several_tunings_each_has_a_course_and_their_mean_too() -> None:
    rows = table("tuning", tuned(study(QUICKSTART[:2]), 4, repeats=3))
    first = rows[rows.baseline]
    last = first[first.tries == 4].set_index("repeat").expected_best
    assert last.to_dict() == {"0": 90.0, "1": 88.0, "2": 86.0, "mean": 88.0}
    assert set(first.own[first.repeat == "mean"]) == {88.0}
    alone = table("tuning", tuned(study(QUICKSTART[:2]), 4))
    assert set(alone.repeat) == {"0"}


def test_ids_belong_to_the_figure_and_no_style_leaks() -> None:
    figure = plugins.load("swinablate.report.figures", "forest", Figure)
    svg = drawn(figure, figure.table(study()), "forest")
    root = ET.fromstring(svg)
    ids = [e.attrib["id"] for e in root.iter() if "id" in e.attrib]
    assert ids
    assert all(i.startswith("forest-") for i in ids)
    links = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")]
    assert {link[1:] for link in links} <= set(ids)
    assert "<style" not in svg
    assert "<metadata" not in svg
    assert "<image" not in svg


def test_element_renames_in_tags_only() -> None:
    svg = element(
        '<?xml?><svg width="1"><g id="a"/><text>id="b"</text><use href="#a"/></svg>', "f"
    )
    assert svg == (
        '<svg style="stroke-linejoin:round;stroke-linecap:butt" width="1"><g id="f-a"/>'
        '<text>id="b"</text><use href="#f-a"/></svg>'
    )


def test_forest_has_every_number_of_the_verdicts_and_every_seed() -> None:
    answer = study([*QUICKSTART, *LOST])
    rows = table("forest", answer)
    intervals = rows[rows["mark"] == "interval"].set_index("arm")
    for arm in answer.verdicts["arms"]:
        mine = intervals.loc[arm["name"]]
        for key in ("n", "delta_pp", "ci_low", "ci_high", "verdict"):
            assert mine[key] == arm[key] or (pd.isna(mine[key]) and arm[key] is None)
    deltas = intervals.delta_pp.dropna()
    assert deltas.is_monotonic_decreasing
    assert intervals.index[-1] == "nothing"
    assert intervals.loc["half", ["n", "seeds"]].tolist() == [3, 5]
    seeds = rows[(rows["mark"] == "seed") & (rows.arm == "half")]
    mine = answer.trials[(answer.trials.arm == "half") & (answer.trials.status == "done")]
    expected = mine.test_acc - answer.verdicts["baseline"]["mean"]
    np.testing.assert_allclose(seeds.delta_pp.astype(float), expected)


def test_seeds_shows_every_trial_and_marks_the_lost() -> None:
    rows = table("seeds", study([BASELINE, *LOST]))
    half = rows[(rows.arm == "half") & (rows["mark"] == "seed")]
    assert half.status.tolist() == ["done", "done", "failed", "diverged", "done"]
    assert half.value.notna().tolist() == [True, True, False, False, True]
    means = rows[rows["mark"] == "mean"].set_index("arm")
    assert means.n.to_dict() == {"baseline": 10, "half": 3, "far": 5, "nothing": 0}


def test_cost_front_is_the_running_best() -> None:
    rows = table("cost", study())
    assert rows.macs.is_monotonic_increasing
    best = -np.inf
    for row in rows.itertuples():
        assert row.front == (row.mean > best)
        best = max(best, row.mean)
    assert rows["first"][rows.baseline].tolist() == [True]


def test_cost_front_has_no_false_vertical_step() -> None:
    same = [Sketch(name=f"a{i}", mean=90.0 + i, macs=1_000_000) for i in range(3)]
    rows = table("cost", study([replace(BASELINE, mean=99.0), *same]))
    assert rows.arm[rows.front].tolist() == ["a2", "baseline"]


def test_cost_names_few_of_many() -> None:
    rows = table("cost", many(30))
    labels = cost._labels(rows, 9)
    numbers = [label for label in labels if label is not None and label.isdigit()]
    assert 2 <= len(labels) - len(numbers) <= 9
    # A number is that of the mark's row, so that the key below and the table agree.
    assert all(label == str(mark) for label, mark in zip(labels, rows.mark, strict=True)
               if label in numbers)  # fmt: skip
    assert None not in labels


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("swin", "Swin"), ("vit", "ViT"), ("resnet", "CNN"), ("nin", "CNN"),
        ("mypackage.nets:MySwin", "Swin"), ("mixer", "other"), ("", "other"),
    ],
)  # fmt: skip
def test_kind_of_family(family: str, expected: str) -> None:
    assert kind(family) == expected


def test_curves_average_finished_seeds_only() -> None:
    answer = study([BASELINE, *LOST])
    rows = table("curves", answer)
    last = rows[(rows.arm == "half") & (rows["mark"] == "mean")]
    assert set(last.n) == {3}
    done = answer.trials[(answer.trials.arm == "half") & (answer.trials.status == "done")].seed
    points = answer.curves[(answer.curves.arm == "half") & answer.curves.seed.isin(done)]
    expected = points.groupby("epoch").val_acc.mean()
    np.testing.assert_allclose(last.set_index("epoch").val_acc, expected)
    assert "nothing" not in set(rows.arm[rows["mark"] == "mean"])


@pytest.mark.parametrize(("epochs", "plots"), [(1, 1), (2, 1), (5, 1), (6, 2), (9, 2)])
def test_a_last_third_that_is_no_curve_is_not_enlarged(epochs: int, plots: int) -> None:
    answer = study(QUICKSTART[:2])
    short = replace(answer, curves=answer.curves[answer.curves.epoch <= epochs])
    drawn = curves.draw(table("curves", short))
    assert len(drawn.axes) == plots
    assert all(ax.lines and ax.get_xlim()[0] < ax.get_xlim()[1] for ax in drawn.axes)


def test_a_result_that_is_no_number_is_a_failure() -> None:
    answer = study(QUICKSTART[:2])
    trials = answer.trials.copy()
    trials.loc[trials.arm == "shift=false", "test_acc"] = [np.nan, np.inf, 96.0, 97.0, 98.0]
    rows = table("seeds", replace(answer, trials=trials))
    arm = rows[(rows.arm == "shift=false") & (rows["mark"] == "mean")].iloc[0]
    assert (arm.n, arm.seeds, arm.value) == (3, 5, 97.0)
    assert rows[rows.arm == "shift=false"].status.tolist()[1:3] == ["failed", "failed"]


def test_mean_interval_is_students() -> None:
    found = mean([1.0, 2.0, 3.0, 4.0, 5.0], 0.95)
    assert found.n == 5
    assert found.mean == 3.0
    assert found.sd == pytest.approx(np.sqrt(2.5))
    # t(0.975, 4) = 2.7764 (any table)
    assert found.high - 3.0 == pytest.approx(2.7764 * np.sqrt(0.5), abs=1e-4)
    assert np.isnan(mean([1.0], 0.95).low)
    assert mean([np.nan, np.inf], 0.95).n == 0


def test_a_mean_of_cells_counts_each_cell_alike() -> None:
    found = mean_of_cells([[1.0, 2.0, 3.0], [10.0, 12.0]], 0.95)
    # se^2 = (1/3 + 2/2) / 4; Satterthwaite: (1/12 + 1/4)^2 / ((1/12)^2 / 2 + (1/4)^2 / 1)
    assert (found.n, found.mean) == (5, 6.5)
    assert found.sd == pytest.approx(np.sqrt(1 / 3))
    freedom = (1 / 3) ** 2 / ((1 / 12) ** 2 / 2 + 1 / 16)
    assert found.high - 6.5 == pytest.approx(t.ppf(0.975, freedom) * np.sqrt(1 / 3))
    assert np.isnan(mean_of_cells([[1.0], [2.0]], 0.95).low)
    assert mean_of_cells([], 0.95).n == 0


def test_core_drops_what_would_flatten_the_rest() -> None:
    lows, highs = [-1.0, -0.5, -84.0], [0.5, 0.9, -80.0]
    assert core(lows, highs, 0.0) == (-1.0, 0.9)
    # A steady progression has no outlier, and a majority is never dropped.
    assert core([-1.0, -6.0, -36.0], [0.0, -5.0, -35.0], 0.0) == (-36.0, 0.0)
    assert core([-0.1, -80.0, -81.0], [0.1, -79.0, -80.0], 0.0)[0] == -81.0


def test_spread_keeps_order_and_distance() -> None:
    wanted = [1.0, 1.1, 5.0, 0.95]
    placed = spread(wanted, 1.0)
    assert [sorted(placed).index(p) for p in placed] == [1, 2, 3, 0]
    assert min(np.diff(sorted(placed))) >= 1.0 - 1e-9
    assert placed[2] == 5.0
    assert spread([3.0], 1.0) == [3.0]


def test_labels_do_not_cover_each_other() -> None:
    ax = sheet(6, 4).add_axes((0.1, 0.1, 0.8, 0.8))
    notes = [Note(0.5 + 0.01 * i, 0.5, 0, f"label number {i}", "black") for i in range(6)]
    label_points(ax, notes, [])
    boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
    assert len(boxes) == 6
    inside = ax.get_window_extent()
    for i, box in enumerate(boxes):
        assert inside.x0 <= box.x0 <= box.x1 <= inside.x1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_wrapped_breaks_switch_paths_and_ends_long_names() -> None:
    assert wrapped("shift=false") == "shift=false"
    assert wrapped("model.stage.attention.window=8", 16) == "model.stage.\nattention.\nwindow=8"
    assert wrapped("x" * 50, 10, 2) == "xxxxxxxxxx\nxxxxxxxxx\N{HORIZONTAL ELLIPSIS}"
    assert wrapped("a\x00b\u202ec") == "a\ufffdb\ufffdc"
    assert wrapped("") == ""


def test_verdict_colours_are_legible_as_text() -> None:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for look in LOOKS.values():
        assert 1.05 / (light(look.colour) + 0.05) >= 4.5  # WCAG 2.2, 1.4.3
    judged = [LOOKS[word].marker for word in ("better", "worse", "equivalent", "undecided")]
    assert len(set(judged)) == 4


def test_no_figure_stays_open(drawn_once: Draw) -> None:
    from matplotlib import pyplot

    for name in FIGURES:
        figure = plugins.load("swinablate.report.figures", name, Figure)
        drawn_once(figure, figure.table(whole(own(name))), name)
    assert pyplot.get_fignums() == []


def test_the_looks_are_drawn_with_the_boundary_they_had_to_cross() -> None:
    answer = adaptive()
    rows = table("sequence", answer).set_index(["arm", "look"])
    assert len(rows) == len(answer.verdicts["trace"])
    for step in answer.verdicts["trace"]:
        row = rows.loc[(step["arm"], step["look"])]
        assert row.boundary_pp == pytest.approx((step["ci_high"] - step["ci_low"]) / 2)
        assert (abs(row.delta_pp) > row.boundary_pp) == (row.verdict in {"better", "worse"})
    last = dict(rows.index.tolist())
    assert last == {arm["name"]: arm["look"] for arm in answer.verdicts["arms"]}


def test_a_path_is_drawn_from_mean_to_mean() -> None:
    answer = designed("path")
    rows = table("waterfall", answer)
    assert [f"{r.direction} {r.step}" for r in rows.itertuples()] == [
        "forward 1", "forward 2", "forward 3", "reverse 1", "reverse 2", "reverse 3"
    ]  # fmt: skip
    assert (rows.mean_after - rows.mean_before).tolist() == pytest.approx(rows.delta_pp.tolist())
    forward = rows[rows.direction == "forward"]
    assert forward.mean_after.tolist()[:-1] == forward.mean_before.tolist()[1:]
    assert forward.change.tolist() == ["shift=false", "position_bias=none", "norm=batch"]


def test_interactions_are_those_of_the_verdicts() -> None:
    answer = designed("fraction", 5)
    rows = table("interactions", answer)
    found = {
        c["name"]: c["delta_pp"]
        for c in answer.verdicts["contrasts"]
        if c["kind"] == "interaction"
    }
    assert {f"{r.first} x {r.second}": r.delta_pp for r in rows.itertuples()} == found
    assert len(found) == 10
    effects = table("effects", answer)
    assert effects.family.tolist() == ["main effects"] * 5 + ["interactions"] * 10


def test_an_empty_label_is_not_looked_for_and_nothing_moves(monkeypatch):
    """Each drawing measured all ticks for the place of every label, empty ones too."""
    figure = plugins.load("swinablate.report.figures", "curves", Figure)
    rows = figure.table(whole(many(6)))
    made = []
    settled = drawn(plugins.load("swinablate.report.figures", "curves", Figure), rows, "c")
    monkeypatch.setattr(files, "_settle", made.append)
    assert drawn(figure, rows, "c") == settled
    labels = [axis.get_label_text() for ax in made[0].axes for axis in (ax.xaxis, ax.yaxis)]
    assert "" in labels


def test_pixels_are_those_of_the_page() -> None:
    figure = plugins.load("swinablate.report.figures", "forest", Figure)
    rows = figure.table(whole(study()))
    root = ET.fromstring(drawn(figure, rows, "forest"))
    picture = Image.open(io.BytesIO(pixels(figure, rows)))
    points = [float(root.attrib[side].removesuffix("pt")) for side in ("width", "height")]
    assert picture.size == tuple(pytest.approx(160 * length / 72, abs=1) for length in points)
    assert len(picture.convert("RGB").getcolors(10**6)) > 100  # strokes and their edges
