"""The figure of what is taken for what."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from swinablate.errors import InputError
from swinablate.records.plan import ImagesRecord
from swinablate.records.tables import Confusion
from swinablate.report.drawing import Paper
from swinablate.report.drawing.files import canvas
from swinablate.report.figures.confusion import FIGURE, PANELS
from swinablate.report.plots import file_of, lacking
from swinablate.report.tables import whole
from tests.answers import confused, study


def cells(rows: pd.DataFrame, arm: str) -> pd.Series:
    return rows[rows.arm == arm].set_index(["true_label", "said_label"]).delta_pp


def test_a_cell_is_the_difference_of_shares_of_a_class() -> None:
    answer = confused()
    base, changed = answer.plan.arms[0].name, answer.plan.arms[2].name
    found = cells(FIGURE.table(whole(answer)), changed)
    own, other = (answer.confusions[name].counts for name in (changed, base))
    for true in range(10):
        for said in range(10):
            share = [m[true, said] / m[true].sum() for m in (own, other)]
            assert found[str(true), str(said)] == pytest.approx(100 * (share[0] - share[1]))
    assert found["3", "5"] > 40  # ten of twenty images, less what chance does to both
    assert found["3"].sum() == pytest.approx(0)


def test_a_class_without_test_images_has_no_row() -> None:
    answer = confused()
    for found in answer.confusions.values():
        found.counts[4] = 0
    rows = FIGURE.table(whole(answer))
    assert "4" not in set(rows.true_label)
    assert "4" in set(rows.said_label)
    assert len(FIGURE.draw(rows).axes) == PANELS + 1  # and the bar


def test_of_very_many_classes_the_pairs_that_change_most_are_drawn() -> None:
    answer = confused(30)
    rows = FIGURE.table(whole(answer))
    assert (rows.delta_pp != 0).all()
    axes = FIGURE.draw(rows).axes
    labels = [label.get_text() for label in axes[0].get_yticklabels()]
    assert len(labels) == 20
    largest = rows.loc[rows.delta_pp.abs().idxmax()]
    assert labels[0] == f"{largest.true_label} as {largest.said_label}"
    assert "3 as 5" in labels
    assert "drawn: the 20 of" in axes[1].get_xlabel()


def test_of_very_many_arms_those_that_change_most_are_drawn() -> None:
    answer = confused()
    one = answer.plan.arms[1]
    more = [one.model_copy(update={"name": f"more {k}"}) for k in range(9)]
    plan = answer.plan.model_copy(update={"arms": (*answer.plan.arms, *more)})
    same = {arm.name: answer.confusions[one.name] for arm in more}
    rows = FIGURE.table(whole(replace(answer, plan=plan, confusions=answer.confusions | same)))
    figure = FIGURE.draw(rows)
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert len(titles) == PANELS
    assert answer.plan.arms[2].name in titles
    assert any("drawn: the 6 of" in ax.get_xlabel() for ax in figure.axes)


def test_arms_without_a_record_of_it_are_left_out() -> None:
    answer = confused()
    base, first = answer.plan.arms[0].name, answer.plan.arms[1].name
    some = {name: found for name, found in answer.confusions.items() if name in (base, first)}
    assert set(FIGURE.table(whole(replace(answer, confusions=some))).arm) == {first}
    nobody = replace(answer, confusions={first: some[first]})
    assert FIGURE.table(whole(nobody)).empty
    assert lacking(nobody)["confusion"] == FIGURE.absent


def test_of_an_older_study_one_error_says_what_is_missing() -> None:
    with pytest.raises(InputError, match="this study has no confusion: no trial recorded what"):
        file_of(study(), "confusion", "svg")


@pytest.mark.parametrize("width", [3.25, 6.75])
@pytest.mark.parametrize("classes", [10, 20, 30])
def test_no_words_lie_on_each_other_on_paper(width: float, classes: int) -> None:
    answer, paper = whole(confused(classes)), Paper(width)
    made = canvas(FIGURE, FIGURE.table(answer), paper)
    for ax in made.axes:
        for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
            boxes = [one.get_window_extent() for one in labels if one.get_text()]
            assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_counts_that_change_nothing_make_a_white_figure() -> None:
    answer = confused()
    same = Confusion(5, np.eye(10, dtype=int) * 20)
    rows = FIGURE.table(whole(replace(answer, confusions=dict.fromkeys(answer.confusions, same))))
    assert (rows.delta_pp == 0).all()
    assert len(FIGURE.draw(rows).axes) == PANELS + 1


def test_classes_are_called_by_their_names_in_their_order_and_matrices_are_written_alike() -> None:
    answer = confused()
    names = ("top", *(f"name {k}" for k in range(1, 9)), "a name as long as a line")
    one = ImagesRecord(arms=("baseline",), data="own", size="8x8x1", classes=names)
    named = replace(answer, plan=answer.plan.model_copy(update={"images": (one,)}))
    plain, rows = (FIGURE.table(whole(each)) for each in (answer, named))
    assert list(rows.true_label) == [names[int(k)] for k in plain.true_label]
    assert list(rows.said_label) == [names[int(k)] for k in plain.said_label]
    axes = FIGURE.draw(rows).axes
    shown = [label.get_text() for label in axes[1].get_xticklabels()]
    assert shown == [*names[:9], "a name as lon\N{HORIZONTAL ELLIPSIS}"]
    sizes = {text.get_fontsize() for ax in axes for text in ax.texts}
    assert len(sizes) == 1
    two = replace(
        named,
        plan=named.plan.model_copy(
            update={"images": (one, one.model_copy(update={"classes": names[::-1]}))}
        ),
    )
    assert set(FIGURE.table(whole(two)).true_label) == set(map(str, range(10)))
