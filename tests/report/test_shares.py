"""What a report says of the parts of a path; that other designs have none."""

from dataclasses import replace

import numpy as np
import pytest

from swinablate.report import contents
from swinablate.report.families.shares import labels_of, shares_of
from swinablate.report.results import StudyResults
from swinablate.study.declared import declaration
from tests.answers import designed


@pytest.fixture
def answer() -> StudyResults:
    return designed("path")


def block(answer, trials=None):
    rows = answer.trials if trials is None else trials
    return shares_of(answer.plan, declaration(answer.plan, rows), rows)


def test_the_parts_of_a_path_add_up_to_what_all_changes_make(answer):
    found = block(answer)["shares"]
    assert [row["change"] for row in found["rows"]] == [
        "shift=false", "position_bias=none", "norm=batch",
    ]  # fmt: skip
    assert sum(row["effect"] for row in found["rows"]) == pytest.approx(found["effect"])
    means = answer.trials[answer.trials.seed < 5].groupby("arm").test_acc.mean()
    shift, norm = found["rows"][0], found["rows"][2]
    both = "shift=false, position_bias=none"
    assert shift["first"] == pytest.approx(means["shift=false"] - means["baseline"])
    assert shift["last"] == pytest.approx(
        means[f"{both}, norm=batch"] - means["position_bias=none, norm=batch"]
    )
    assert norm["first"] == pytest.approx(means[f"{both}, norm=batch"] - means[both])
    assert norm["last"] == pytest.approx(means["norm=batch"] - means["baseline"])
    assert found["n"] == found["planned"] == 5


def test_the_sentence_names_the_whole_and_the_largest_share_first(answer):
    rows = answer.trials.copy()
    rows.loc[rows.arm != "baseline", "test_acc"] -= 20 * rows.arm.str.count("=")
    found = block(answer, rows)["shares"]
    assert not found["why"]
    ranked = sorted(found["rows"], key=lambda row: -row["share"])
    said = found["sentence"]
    assert said.startswith("All changes together: -6")
    places = [said.index(row["change"] + " ") for row in ranked]
    assert places == sorted(places)
    assert sum(row["share"] for row in ranked) == pytest.approx(1)


def test_arms_of_a_path_are_called_by_the_last_of_their_changes(answer):
    """And as the study says, where it does; arms of one change have its name."""
    labels = {"position_bias=none": "no bias", "shift=false": "no shift"}
    plan = answer.plan.model_copy(update={"labels": labels})
    assert labels_of(plan) == {
        **labels,
        "shift=false, position_bias=none": "forward, up to no bias",
        "position_bias=none, norm=batch": "reverse, up to no bias",
        "shift=false, position_bias=none, norm=batch": "the whole path",
    }
    assert labels_of(designed("one_at_a_time").plan) == {}
    text = contents(answer)["report.md"].decode()
    assert "| the whole path | " in text
    assert r"forward, up to position\_bias=none lowers test accuracy" in text
    assert "shift=false, position" not in text


def shown(answer, found):
    """The table of shares in the Markdown, and whether the page has it."""
    files = contents(replace(answer, verdicts=answer.verdicts | found))
    page, text = (files[name].decode() for name in ("index.html", "report.md"))
    assert "Shares of the path" in page
    return text[text.index("## Shares of the path") :].partition("\n## ")[0], page


def test_page_and_text_have_the_table(answer):
    table, page = shown(answer, block(answer))
    assert table.count("\n| ") == 1 + 3
    assert "| share (%), 95 % CI |" in table
    assert "share (%), 95 % CI" in page
    assert "; of it, as the mean of both orders: " in table


def test_a_whole_that_may_be_nothing_has_parts_and_no_shares(answer):
    rows = answer.trials.copy()
    rows["test_acc"] = 96 + 0.3 * np.random.default_rng(0).standard_normal(len(rows))
    table, page = shown(answer, block(answer, rows))
    assert table.count("\n| ") == 1 + 3
    assert "share (%)" not in table + page
    assert "there is nothing to share out" in table


def test_nothing_is_told_while_trials_are_missing(answer):
    rows = answer.trials.copy()
    rows.loc[rows.index[-1], "status"] = "waiting"
    found = block(answer, rows)["shares"]
    assert (found["rows"], found["why"]) == ([], "pending: 1 trial missing")


def test_a_seed_that_one_arm_lost_is_left_out(answer):
    rows = answer.trials.copy()
    last = rows[rows.arm != "baseline"].index[0]
    rows.loc[last, "status"] = "diverged"
    found = block(answer, rows)["shares"]
    assert (found["n"], found["planned"]) == (4, 5)


def test_a_path_that_lost_a_step_has_no_shares(answer):
    gone = answer.plan.arms[1].name
    arms = tuple(arm for arm in answer.plan.arms if arm.name != gone)
    plan = answer.plan.model_copy(update={"arms": arms})
    rows = answer.trials[answer.trials.arm != gone]
    found = shares_of(plan, declaration(plan, rows), rows)["shares"]
    assert found["sentence"] == "No shares: steps of the path cannot be told."


@pytest.mark.parametrize("design", ["one_at_a_time", "factorial"])
def test_other_designs_have_none(design):
    assert block(designed(design)) == {}
