"""Figures as a paper takes them: places of marks, widths, formats, names, watermarks."""

import io
import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

from swinablate.config import plugins
from swinablate.errors import InputError
from swinablate.report.analyze import Question, analyze
from swinablate.report.drawing import PAGE, Canvas, Figure, Paper
from swinablate.report.drawing.files import canvas
from swinablate.report.drawing.ink import apart
from swinablate.report.drawing.numbers import share
from swinablate.report.drawing.paper import COLUMN, WHOLE
from swinablate.report.figures import curves
from swinablate.report.foreign.measure import Measure
from swinablate.report.plots import canvas_of, file_of, lacking, paper_of, plots, relabelled
from swinablate.report.results import StudyResults
from swinablate.report.tables import whole
from swinablate.study.arms.labels import check_labels
from tests.answers import (
    BASELINE,
    QUICKSTART,
    Sketch,
    confused,
    designed,
    levels,
    many,
    recalled,
    scaled,
    several,
    study,
)

WIDTHS = (COLUMN, WHOLE)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def quick() -> StudyResults:
    return study()


def stretched(answer: StudyResults, epochs: int) -> StudyResults:
    """The same study, trained for so many epochs."""
    ends = answer.curves.groupby(["arm", "seed"], sort=False).tail(1)
    many_epochs = np.arange(1, epochs + 1)
    rows = [
        row._replace(epoch=int(e), val_acc=row.val_acc - 80 * np.exp(-(e - 1) / 20))
        for row in ends.itertuples(index=False)
        for e in many_epochs
    ]
    return replace(answer, curves=pd.DataFrame(rows, columns=list(answer.curves)))


def places(svg: str) -> dict[int, tuple[float, float]]:
    """Number of a mark -> where it is drawn, in units of the SVG."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        number = re.fullmatch(r"(?:.*-)?mark-(\d+)", group.attrib.get("id", ""))
        if number:
            (use,) = group.iter(f"{SVG}use")
            found[int(number[1])] = (float(use.attrib["x"]), float(use.attrib["y"]))
    return found


@pytest.mark.parametrize("by", ["macs", "params", "seconds"])
@pytest.mark.parametrize("width", [None, *WIDTHS])
def test_marks_of_cost_are_where_their_numbers_are(quick, by, width):
    from swinablate.report.figures.cost import table

    rows = table(whole(quick), by)
    found = places(file_of(quick, "cost", "svg", Paper(width), by).decode())
    assert sorted(found) == rows["mark"].tolist() == list(range(1, len(rows) + 1))
    drawn = np.array([found[mark] for mark in rows["mark"]])
    for values, at in ((np.log(rows.x), drawn[:, 0]), (rows["mean"], drawn[:, 1])):
        slope, start = np.polyfit(values, at, 1)
        np.testing.assert_allclose(start + slope * values, at, atol=1e-3)
    costs = {arm.name: getattr(arm, by, None) for arm in quick.plan.arms}
    if by != "seconds":
        assert rows.x.tolist() == [costs[arm] for arm in rows.arm]


@pytest.mark.parametrize("answer", [study, lambda: many(30)], ids=["few", "many"])
def test_every_mark_of_cost_has_a_name_or_a_number_with_a_name(answer):
    fig = canvas_of(answer(), "cost", Paper(COLUMN))
    texts = "\n".join(text.get_text() for text in fig.findobj(Text))
    flat = re.sub(r"\s+", "", texts)
    for arm in answer().plan.arms:
        name = re.sub(r"\s+", "", arm.name)
        short = (
            re.escape(name[:6]) + ".{0,20}\N{HORIZONTAL ELLIPSIS}.{0,20}" + re.escape(name[-4:])
        )
        assert name in flat or re.search(short, flat), name


@pytest.mark.parametrize("epochs", [1, 2, 300])
def test_curves_begin_with_the_first_epoch_and_have_a_key(epochs):
    answer = stretched(study(QUICKSTART[:3]), epochs)
    for paper in (PAGE, Paper(COLUMN)):
        fig = canvas_of(answer, "curves", paper)
        left, right = fig.axes[0].get_xlim()
        assert left <= 1
        assert right >= epochs
        low, high = fig.axes[0].get_ylim()
        first = answer.curves.val_acc[answer.curves.epoch == 1]
        assert low < first.min()
        assert first.max() < high
        words = [text.get_text() for legend in fig.legends for text in legend.get_texts()]
        assert words == ["a seed", "mean", "95 % interval"] or words[:2] == ["mean", "a seed"]
    points = [line for line in fig.axes[0].lines if line.get_marker() in {"o", "D"}]
    assert bool(points) == (epochs < 300)
    if epochs == 1:
        assert fig.axes[0].get_xticks().tolist() == [1]


def test_panels_of_curves_show_the_first_epoch_too():
    answer = stretched(study(), 300)
    rows = curves.FIGURE.table(whole(answer))
    for ax in curves.draw(rows).axes:
        assert ax.get_xlim() == (1, 300)
        assert ax.get_ylim()[0] < rows.val_acc.min() < 20
        assert ax.child_axes[0].get_xlim()[0] > 150


STUDIES = {"study": study, "factorial": lambda: designed("factorial"), "levels": levels,
           "path": lambda: designed("path"), "many": lambda: many(12),
           "scales": scaled}  # fmt: skip
NARROW = [(name, COLUMN) for name in STUDIES]
"""A column is where room is short; the whole width is asked of what differs most."""


@pytest.mark.parametrize(("name", "width"), [*NARROW, ("study", WHOLE), ("many", WHOLE)])
def test_nothing_of_a_figure_is_outside_its_width_and_letters_can_be_read(name, width):
    answer = STUDIES[name]()
    for figure in [one for one, reason in lacking(answer).items() if not reason]:
        fig = canvas_of(answer, figure, Paper(width))
        assert fig.get_figwidth() == pytest.approx(width)
        box = fig.get_tightbbox()
        assert box.x0 > -0.02, figure
        assert box.x1 < width + 0.02, figure
        assert box.height < fig.get_figheight() + 0.02
        assert smallest(fig) >= 6, figure


def smallest(fig: Canvas) -> float:
    return min(
        text.get_fontsize() for text in fig.findobj(Text) if text.get_visible() and text.get_text()
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_files_are_as_wide_as_asked_for_and_without_type_3(quick, width):
    paper = Paper(width)
    picture = Image.open(io.BytesIO(file_of(quick, "forest", "png", paper)))
    assert picture.width == pytest.approx(300 * width, abs=1)
    assert picture.info["dpi"][0] == pytest.approx(300, abs=1)
    pdf = file_of(quick, "forest", "pdf", paper)
    assert pdf.startswith(b"%PDF")
    assert b"Type3" not in pdf
    assert b"/CIDFontType2" in pdf
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ", pdf)
    assert float(box[1]) == pytest.approx(72 * width, abs=0.1)
    assert file_of(quick, "forest", "pdf", paper) == pdf


def test_labels_are_drawn_and_the_tables_keep_the_names(quick):
    labels = {"shift=false": "no shift", "baseline": "Swin (ours)", "model.norm": "normalisation"}
    answer = relabelled(quick, labels, "study.toml")
    texts = [t.get_text() for t in canvas_of(answer, "forest").findobj(Text)]
    assert "no shift" in texts
    assert "shift=false" not in texts
    assert not any("test/accuracy" in text for text in texts)
    assert any("difference in test accuracy" in text for text in texts)
    assert any("normalisation" in t.get_text()
               for t in canvas_of(answer, "components").findobj(Text))  # fmt: skip
    (forest,) = [plot for plot in plots(answer) if plot.name == "forest"]
    assert "shift=false" in set(forest.rows.arm)
    assert "no shift" in forest.svg


def test_labels_name_the_parts_of_interactions():
    answer = designed("factorial")
    named = relabelled(answer, {"shift=false": "no shift"}, "study.toml")
    texts = [t.get_text() for t in canvas_of(named, "effects").findobj(Text)]
    assert any(text.startswith("no shift x") for text in texts)


@pytest.mark.parametrize(
    ("labels", "problem", "hint"),
    [
        ({"shift=flase": "no shift"}, "no arm, level or switch", "did you mean 'shift=false'?"),
        ({"shift=false": " "}, "cannot be a label", "1 to 80 letters"),
        ({"shift=false": "a", "ResNet": "a"}, "is called 'a', too", "one name"),
        ({"shift=false": "ResNet"}, "is another one's name", "nothing has"),
    ],
)
def test_labels_that_cannot_be_are_refused(quick, labels, problem, hint):
    with pytest.raises(InputError, match=r"study\.toml: labels") as error:
        check_labels(labels, quick.plan, "study.toml")
    assert problem in error.value.problem
    assert hint in error.value.hint


def test_figures_of_unfinished_and_smoke_studies_say_so(quick):
    def stamped(answer: StudyResults) -> list[str]:
        return [text.get_text() for text in canvas_of(answer, "forest").texts]

    open_ = study([BASELINE, Sketch(name="a", statuses=("done", "done", "done", "waiting"))])
    assert stamped(open_) == ["INTERIM"]
    assert "INTERIM" in plots(open_)[0].svg
    assert stamped(quick) == []
    smoke = replace(quick, plan=quick.plan.model_copy(update={"smoke": True}))
    assert stamped(smoke) == ["SMOKE"]


def test_an_unknown_figure_lists_what_there_is_and_why_others_are_missing(quick):
    with pytest.raises(InputError) as error:
        file_of(quick, "forrest", "pdf")
    said = str(error.value)
    assert "did you mean 'forest'?" in said
    assert "it has: forest, cost, curves, seeds, components, families" in said
    assert "levels: no numeric axis" in said
    with pytest.raises(InputError, match="this study has no levels: no numeric axis"):
        file_of(quick, "levels", "pdf")
    with pytest.raises(InputError, match="cannot be drawn by 'macs'"):
        file_of(quick, "forest", "pdf", by="macs")
    with pytest.raises(InputError, match=r"0\.5 inches is no width"):
        paper_of(0.5)


def test_a_line_joins_arms_that_differ_in_one_number_alone():
    from swinablate.report.figures.levels import table

    answer = levels()
    rows = table(whole(answer))
    lines = rows.groupby(["setting", "line"]).x.apply(list).to_dict()
    assert lines == {
        ("model.window", "swin"): [2, 4, 8],
        ("data.train_fraction", "swin"): [0.1, 1.0],
        ("data.train_fraction", "resnet"): [0.1, 1.0],
    }
    assert rows.set_index("setting")["log"].to_dict() == {
        "model.window": True, "data.train_fraction": True,
    }  # fmt: skip
    deltas = {arm["name"]: arm["delta_pp"] for arm in answer.verdicts["arms"]}
    own = rows.dropna(subset="delta_pp")
    assert own.delta_pp.tolist() == [deltas[arm] for arm in own.arm]


def test_families_have_their_costs_and_their_own_ablations_below(quick):
    from swinablate.report.figures.families import table

    rows = table(whole(quick))
    assert rows.family.drop_duplicates().tolist() == ["swin", "vit", "resnet"]
    assert rows.arm[rows["head"]].tolist() == ["baseline", "ViT, same parameters", "ResNet"]
    own = quick.trials[quick.trials.arm == "ResNet"]
    mine = rows.set_index("arm").loc["ResNet"]
    assert (mine.params, mine.macs) == (33_900, 1_210_000)
    assert mine.train_s == pytest.approx(own.train_s.mean())
    assert mine.images_per_s == pytest.approx(own.images_per_s.median())
    assert mine["mean"] == pytest.approx(own.test_acc.mean())
    warned = [*quick.verdicts["warnings"], {"code": "W28", "text": "busy"}]
    busy = table(whole(replace(quick, verdicts={**quick.verdicts, "warnings": warned})))
    assert busy[["images_per_s", "train_s"]].isna().all(axis=None)
    assert busy.peak_mib.notna().all()


def test_components_are_checked_as_arms_have_them(quick):
    from swinablate.report.figures.components import table

    rows = table(whole(quick))
    cells = rows.pivot_table(index="arm", columns="component", values="cell", aggfunc="first")
    assert cells.loc["no shift, no bias", "model.shift"] == "\N{EN DASH}"
    assert cells.loc["no shift, no bias", "model.position_bias"] == "\N{EN DASH}"
    assert cells.loc["no shift, no bias", "model.norm"] == "\N{CHECK MARK}"
    assert cells.loc['norm="batch"', "model.norm"] == "batch"
    assert set(cells.loc["baseline"]) == {"\N{CHECK MARK}"}
    assert "ResNet" not in cells.index


def test_lines_of_interactions_are_means_of_cells():
    from swinablate.report.figures.interactions import table

    answer = designed("factorial")
    rows = table(whole(answer))
    for (first, second), own in rows.groupby(["first", "second"], sort=False):
        means = own.set_index(["with_first", "with_second"])["mean"]
        together = means[True, True] - means[False, True] - means[True, False]
        interaction = together + means[False, False]
        # In a complete design the four means are all that the interaction is made of.
        assert interaction == pytest.approx(own.delta_pp.iloc[0]), (first, second)


LONG = "position=sincos1d, softmax_over=keys, attention_scale=root, share_layers=false"


@pytest.mark.parametrize("width", [3.25, 6.75])
@pytest.mark.parametrize(
    "names", [["a"], ["norm=batch_ffn, batch=16"] * 9, [LONG, "b"], [LONG] * 3]
)
def test_a_key_of_levels_leaves_the_axes_their_room(names, width):
    """It is part of the figure, and as wide as its names were: axes shrank to a tenth."""
    figure = plugins.load("swinablate.report.figures", "levels", Figure)
    rows = figure.table(whole(levels()))
    own = rows[rows.line == rows.line.iloc[0]]
    lines = [own.assign(line=f"{k} {name}") for k, name in enumerate(names)]
    made = canvas(figure, pd.concat(lines, ignore_index=True), Paper(width))
    assert sum(ax.get_position().width for ax in made.axes[::2]) > 0.5
    inside(made, width)


@pytest.mark.parametrize("width", [3.25, 6.75])
@pytest.mark.parametrize("name", ["families", "forest", "components", "seeds"])
def test_no_name_is_cut_off_at_the_edge_where_letters_are_as_on_paper(name, width):
    figure = plugins.load("swinablate.report.figures", name, Figure)
    arms = [replace(arm, name=f"not so {arm.name}, same parameters") for arm in QUICKSTART[1:]]
    rows = figure.table(whole(study([QUICKSTART[0], *arms])))
    inside(canvas(figure, rows, Paper(width)), width)


def inside(made: Canvas, width: float) -> None:
    """At the dots of a file of pixels, nothing is beyond the sheet."""
    made.set_dpi(300)
    box = made.get_tightbbox()
    assert box.x0 > 0
    assert box.x1 < width


def test_bands_of_levels_end_at_all_of_the_images():
    figure = plugins.load("swinablate.report.figures", "levels", Figure)
    rows = figure.table(whole(levels()))
    made = canvas(figure, rows.assign(high=rows["mean"] + 30, low=rows["mean"] - 99), Paper(6.75))
    bands = [band.get_datalim(ax.transData) for ax in made.axes[::2] for band in ax.collections]
    assert {round(band.y1, 6) for band in bands} == {100.0}
    assert min(band.y0 for band in bands) == 0.0
    assert all(ax.get_ylim()[1] <= 101 for ax in made.axes[::2])


def test_a_line_of_differences_joins_what_is_compared_with_the_same_arm():
    """One arm at -80 to the baseline and the next at +38 to it are no slope."""
    figure = plugins.load("swinablate.report.figures", "levels", Figure)
    rows = figure.table(whole(levels()))
    assert set(rows.against) == {""}
    rows = rows[rows.family == "resnet"].copy()
    own = rows.set_index("arm").delta_pp
    drawn = {}
    for other in ("", "ResNet"):
        rows.loc[rows.arm == "ResNet, 10 %", "against"] = other
        (_, lower) = canvas(figure, rows, Paper(6.75)).axes
        drawn[other] = {
            tuple(zip(line.get_xdata(), np.round(line.get_ydata(), 6).tolist(), strict=True))
            for line in lower.lines
            if line.get_linewidth() < 1.2 and len(set(line.get_xdata())) == 2
        }
    small, large = (round(own[name], 6) for name in ("ResNet, 10 %", "ResNet"))
    frame = ((0, 0), (1, 0))
    assert drawn[""] - {frame} == {((0.1, small), (1.0, large))}
    assert drawn["ResNet"] - {frame} == {((0.1, small), (1.0, 0.0))}


def test_of_more_lines_than_looks_no_two_look_alike():
    figure = plugins.load("swinablate.report.figures", "levels", Figure)
    rows = figure.table(whole(levels()))
    own = rows[rows.line == rows.line.iloc[0]]
    many_lines = pd.concat([own.assign(line=f"line {k}") for k in range(12)], ignore_index=True)
    (upper, *_) = canvas(figure, many_lines, Paper(6.75)).axes
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in upper.lines}
    assert len(looks) == 12


@pytest.mark.parametrize("width", [None, *WIDTHS])
def test_a_level_that_is_written_out_touches_no_mark_beside_it(width):
    changes = {
        "model.shift_mask": "post000",
        "model.absolute_position": "learned",
        "model.shift": False,
    }
    arms = [
        Sketch(name=f"{path}={level}", mean=96.0, changes={path: level})
        for path, level in changes.items()
    ]
    figure = plugins.load("swinablate.report.figures", "components", Figure)
    rows = figure.table(whole(study([BASELINE, *arms])))
    made = canvas(figure, rows, Paper(width) if width else PAGE)
    made.draw_without_rendering()
    cells = [text.get_window_extent() for text in made.axes[0].texts]
    cells.sort(key=lambda box: (round(box.y0 + box.y1), box.x0))
    for one, other in itertools.pairwise(cells):
        if abs((one.y0 + one.y1) - (other.y0 + other.y1)) < 2:
            assert one.x1 + 0.02 * made.dpi < other.x0


@pytest.mark.parametrize(
    ("names", "width", "lines", "shown"),
    [
        (["one name", "another"], 14, 2, ["one name", "another"]),
        (["alpha beta gamma delta one a", "alpha beta gamma delta one b"], 12, 1,
         ["alpha beta…a", "alpha beta…b"]),
        (["alpha beta gamma one a", "alpha beta gamma one b", "alpha beta gamma two"], 12, 1,
         ["alpha be…a", "alpha be…b", "alpha be…two"]),
        (["x" * 30 + "1", "x" * 30 + "2"], 14, 1, ["xxxx…xxxxxxxx1", "xxxx…xxxxxxxx2"]),
        (["twice " * 9, "twice " * 9], 14, 1, ["twice twice…"] * 2),
    ],
)  # fmt: skip
def test_names_that_are_cut_are_told_apart(names, width, lines, shown):
    found = apart(names, width, lines)
    assert [name.replace("\n", "|") for name in found] == shown


@pytest.mark.parametrize("width", [None, *WIDTHS])
@pytest.mark.parametrize("name", ["components", "forest", "seeds"])
def test_no_two_arms_of_long_names_are_called_the_same(name, width):
    long = "without the bias table of relative positions, and of its windows, in every stage: "
    arms = [
        Sketch(name=f"{long}{end}", mean=96 - k / 9,
               changes={"model.position_bias": f"long_level_{end}", "model.shift": False})
        for k, end in enumerate(("the first", "the second", "all"))
    ]  # fmt: skip
    figure = plugins.load("swinablate.report.figures", name, Figure)
    rows = figure.table(whole(study([BASELINE, *arms])))
    made = canvas(figure, rows, Paper(width) if width else PAGE)
    said = [text.get_text() for text in made.findobj(Text)]
    texts = {text for text in said if text.startswith("without")}
    assert len(texts) == 3, said
    if name == "components":
        assert len({text for text in said if text.startswith("long")}) == 3


def test_in_a_column_what_is_outside_the_axis_is_said_in_a_word(quick):
    """The whole sentence ran over the numbers at the right."""
    figure = plugins.load("swinablate.report.figures", "components", Figure)
    rows = figure.table(whole(quick))
    first = next(name for name in rows.arm.unique() if name != "baseline")
    rows = rows[rows.arm.isin(["baseline", first])].assign(rope_pp=0.5)
    far = {"delta_pp": -9.4, "ci_low": -14.8, "ci_high": -4.0}
    rows.loc[rows.arm == first, list(far)] = list(far.values())
    said = {}
    for width in WIDTHS:
        made = canvas(figure, rows, Paper(width))
        said[width] = {text.get_text() for ax in made.axes for text in ax.texts}
    assert "outside" in said[COLUMN]
    assert any(text.endswith(", outside the axis") for text in said[WHOLE])


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_no_inset_of_curves_hides_a_mean(tmp_path, better):
    """Also of arms that end far off: pixels of every mean, against those of the inset."""
    ends = {"base": 92, "x": 91, "low": 40, "mid": 55, "high": 75, "z": 93}
    rows = [
        f"{arm},{seed},{epoch},{value if better == 'higher' else 100 - value}"
        for arm, end in ends.items()
        for seed in range(3)
        for epoch in range(1, 31)
        for value in [end * (1 - 0.78**epoch) + 0.1 * seed]
    ]
    path = tmp_path / "r.csv"
    path.write_text("\n".join(["arm,seed,epoch,value", *rows]) + "\n")
    asked = Question(baseline="base", measure=Measure(better=better))
    canvas = canvas_of(analyze(path, asked).only, "curves")
    insets = 0
    for ax in canvas.axes:
        box = [part.get_window_extent() for part in ax.child_axes]
        means = [line for line in ax.lines if len(line.get_xdata()) == 30]
        assert len(means) == 2
        for line in means if box else []:
            fine = np.linspace(1, 30, 500)
            known = np.interp(fine, line.get_xdata(), line.get_ydata())
            assert not any(
                box[0].contains(*at) for at in ax.transData.transform(np.c_[fine, known])
            )
        insets += len(box)
    assert insets >= 4


def of_epochs(tmp_path, epochs):
    """A table of arms with so many epochs each, the first of them the baseline."""
    rows = [
        f"{arm},{seed},{epoch},{90 * (1 - 0.6**epoch) + seed / 7}"
        for arm, most in epochs.items()
        for seed in range(3)
        for epoch in range(1, most + 1)
    ]
    path = tmp_path / "r.csv"
    path.write_text("\n".join(["arm,seed,epoch,value", *rows]) + "\n")
    return pd.read_csv(path)


@pytest.mark.parametrize("most", [2, 32])
def test_arms_of_a_single_epoch_are_seen_beside_those_of_more(tmp_path, most):
    """The baseline's mark lay left of the axis, the arms' on its line, and insets were empty."""
    arms = {"baseline": 1, "a": 1, "b": 1, "c": 1, "long": most, "d": 1}
    frame = of_epochs(tmp_path, arms)
    seeds = frame.assign(mark="seed", status="done", val_acc=frame.value)
    means = frame.groupby(["arm", "epoch"], as_index=False, sort=False).value.mean()
    means = means.assign(mark="mean", n=3, val_acc=means.value, low=means.value - 1,
                         high=means.value + 1, sd=0.2)  # fmt: skip
    rows = pd.concat([seeds, means], ignore_index=True)
    rows = rows.assign(baseline=rows.arm == "baseline", level=0.95)
    for few in (rows, rows[rows.arm.isin(["baseline", "a", "long"])]):
        made = curves.draw(few)
        for ax in made.axes:
            left, right = ax.get_xlim()
            marks = [line for line in ax.lines if line.get_marker() == "D"]
            if left <= 1:
                assert all(left < line.get_xdata()[0] < right for line in marks)
                assert len(marks) >= 1
            assert min(ax.get_xticks()) >= 1 or left >= 1
    insets = {ax.get_title(loc="left"): len(ax.child_axes) for ax in curves.draw(rows).axes}
    assert insets == {name: int(name == "long" and most > 6) for name in list(arms)[1:]}


def test_the_key_of_curves_is_above_every_title_of_its_row():
    names = ("a", "forward, up to position_bias=table of all blocks", "b", "c", "d")
    arms = [BASELINE, *(Sketch(name=name) for name in names)]
    fig = curves.draw(curves.FIGURE.table(whole(study(arms))))
    fig.draw_without_rendering()
    (key,) = fig.legends
    titles = [ax._left_title.get_window_extent() for ax in fig.axes]
    assert max(box.y1 for box in titles) < key.get_window_extent().y0


@pytest.mark.parametrize("settings", [1, 2])
def test_a_key_of_levels_is_no_wider_than_its_plots_on_the_page(settings):
    figure = plugins.load("swinablate.report.figures", "levels", Figure)
    rows = figure.table(whole(levels()))
    rows = rows[rows.setting.isin(list(dict.fromkeys(rows.setting))[:settings])]
    own = rows[rows.line == rows.line.iloc[0]]
    lines = [own.assign(line=f"vit: stem=conv_pool_{k}") for k in range(4)]
    made = canvas(figure, pd.concat(lines, ignore_index=True), PAGE)
    key = made.axes[0].get_legend().get_window_extent()
    assert key.x1 <= made.get_figwidth() * made.dpi


def test_what_an_arm_is_compared_with_stands_below_its_name_where_that_is_no_baseline():
    for name, make in (("classes", recalled), ("confusion", confused)):
        figure = plugins.load("swinablate.report.figures", name, Figure)
        rows = figure.table(whole(make()))
        one, other, *_ = dict.fromkeys(rows.arm)
        rows["against"] = rows.against.where(rows.arm != other, one)
        made = figure.draw(rows)
        said = [text.get_text() for ax in made.axes for text in (*ax.get_yticklabels(), ax.title)]
        said += [ax.get_title(loc="left") for ax in made.axes]
        found = [text for text in said if "against" in text]
        assert len(found) == 1, name
        assert f"against {one}" in found[0]


def test_no_two_lines_of_a_profile_are_one_in_grey():
    figure = plugins.load("swinablate.report.figures", "profile", Figure)
    made = figure.draw(figure.table(whole(several())))
    looks = [line.get_linestyle() for line in made.axes[0].lines]
    assert len(set(looks)) == len(looks) >= 4


def test_counts_are_whole_numbers_where_contrasts_stand_among_arms():
    assert share(0.0, 5.0) == "0/5"
    assert share(5.0, 5.0) == "5"
