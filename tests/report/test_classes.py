"""The heat map of classes, labels of levels, and stamps."""

from dataclasses import replace

import pandas as pd
import pytest
from scipy.stats import ttest_ind

from swinablate.config import plugins
from swinablate.records.plan import ImagesRecord
from swinablate.report.drawing import Figure
from swinablate.report.drawing.files import canvas
from swinablate.report.drawing.words import worded
from swinablate.report.results import StudyResults
from swinablate.report.tables import whole
from tests.answers import BASELINE, Sketch, levels, recalled, study


def table(name: str, answer: StudyResults) -> pd.DataFrame:
    return plugins.load("swinablate.report.figures", name, Figure).table(whole(answer))


def test_a_class_is_framed_where_its_seeds_do_not_explain_its_change() -> None:
    """Against Welch's test with Bonferroni's bound, as scipy computes it."""
    answer = recalled()
    rows = table("classes", answer)
    values = answer.recalls.groupby(["arm", "class_number"]).recall.apply(list)
    for row in rows.itertuples():
        own = values[row.arm, int(row.class_label)]
        base = values["baseline", int(row.class_label)]
        found = ttest_ind(own, base, equal_var=False)
        low, high = found.confidence_interval(1 - 0.05 / len(rows))
        assert (row.ci_low, row.ci_high) == pytest.approx((low, high))
        assert row.marked == (found.pvalue * len(rows) < 0.05)
    drawn = plugins.load("swinablate.report.figures", "classes", Figure).draw(rows)
    assert len(drawn.axes[0].patches) == rows.marked.sum() > 0


def test_of_very_many_classes_those_that_change_most_are_drawn() -> None:
    rows = table("classes", recalled(30))
    axes = plugins.load("swinablate.report.figures", "classes", Figure).draw(rows).axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(labels) == 20
    assert "3" in labels
    assert "drawn: the 20 of 30 classes" in axes.get_xlabel()


def test_labels_reach_the_axis_of_a_level() -> None:
    rows = table("levels", levels())
    figure = plugins.load("swinablate.report.figures", "levels", Figure)
    labelled = worded(rows, {"model.window": "side of a window"})
    names = {ax.get_xlabel() for ax in figure.draw(labelled).axes}
    assert "side of a window" in names
    assert "window" in {ax.get_xlabel() for ax in figure.draw(rows).axes}


def test_a_stamp_makes_a_low_figure_no_larger() -> None:
    answer = whole(study([BASELINE, Sketch(name="a", statuses=("done", "done", "waiting"))]))
    figure = plugins.load("swinablate.report.figures", "forest", Figure)
    rows = figure.table(answer)
    plain, stamped = (
        canvas(figure, rows, stamp=stamp).get_tightbbox() for stamp in ("", "INTERIM")
    )
    assert stamped.bounds == pytest.approx(plain.bounds)


def test_classes_are_called_by_their_names() -> None:
    answer = recalled()
    count = 1 + int(answer.recalls.class_number.max())
    names = tuple(f"kind {k}" for k in range(count))
    one = ImagesRecord(arms=("baseline",), data="own", size="8x8x1", classes=names)
    named = replace(answer, plan=answer.plan.model_copy(update={"images": (one,)}))
    rows = table("classes", named)
    assert list(rows.class_label) == [names[int(k)] for k in table("classes", answer).class_label]
    axes = plugins.load("swinablate.report.figures", "classes", Figure).draw(rows).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(names)
