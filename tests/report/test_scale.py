"""What a report says of effects over scales; that nothing else sees the other rungs."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest

from swinablate.records.plan import at_home
from swinablate.report import contents
from swinablate.report.families.total import families
from swinablate.report.families.trends import trends
from swinablate.report.figures.scale import table
from swinablate.report.results import StudyResults
from swinablate.report.tables import every_trial, interim, open_parts
from swinablate.study.declared import declaration
from tests.answers import scaled


@pytest.fixture
def answer() -> StudyResults:
    return scaled()


def again(answer: StudyResults, rows: pd.DataFrame) -> list[dict[str, object]]:
    """The block, judged from other trials."""
    asked = declaration(answer.plan, answer.trials)
    return trends(answer.planned, rows, asked)["scale"]


def test_every_arm_has_an_answer_its_numbers_and_a_sentence(answer):
    shift, norm, window = answer.verdicts["scale"]
    assert [one["arm"] for one in (shift, norm, window)] == [
        "shift=false", 'norm="batch"', "window=4",
    ]  # fmt: skip
    assert [one["answer"] for one in (shift, norm, window)] == ["grows", "reverses", "holds"]
    assert (shift["by"], shift["against"], shift["n"], shift["planned"]) == (
        "params", "baseline", 5, 5,
    )  # fmt: skip
    assert shift["ci_low"] < shift["slope"] < shift["ci_high"] < 0
    assert shift["predicted_low"] < shift["predicted"] < shift["predicted_high"]
    assert re.fullmatch(
        r"grows: -0\.\d\d pp per doubling of params \(95 % simultaneous CI -0\.\d\d to -0\.\d\d; "
        r"5 seeds at 4 rungs, width=16 to width=48\); at width=64 -\d\.\d\d pp is predicted "
        r"\(95 % prediction interval -\d\.\d\d to -\d\.\d\d\)\.",
        shift["sentence"],
    )


def test_a_seed_that_is_lost_at_one_rung_is_left_out_of_that_arm_alone(answer):
    rows = every_trial(answer).copy()
    gone = (rows.arm == "shift=false at width=32") & (rows.seed == 2)
    rows.loc[gone, ["status", "test_acc"]] = ["diverged", None]
    shift, norm, _ = again(answer, rows)
    assert (shift["n"], shift["planned"], norm["n"]) == (4, 5, 5)
    few = rows[~((rows.arm == "shift=false at width=32") & (rows.seed > 1))]
    assert again(answer, few)[0]["why"] == "fewer than 3 seeds ended at every rung"
    assert again(answer, few)[0]["sentence"].startswith("cannot tell: fewer than 3 seeds")


def test_an_arm_that_is_refused_at_a_rung_has_the_others(answer):
    scale = answer.planned.scale
    assert scale is not None
    first = scale.rungs[1]
    arms = {name: own for name, own in first.arms.items() if name != "shift=false"}
    rungs = (scale.rungs[0], first.model_copy(update={"arms": arms}), *scale.rungs[2:])
    ladder = answer.planned.model_copy(update={"scale": scale.model_copy(update={"rungs": rungs})})
    asked = declaration(answer.plan, answer.trials)
    shift, norm, _ = trends(ladder, every_trial(answer), asked)["scale"]
    assert [rung["rung"] for rung in shift["rungs"]] == ["width=16", "width=32", "width=48"]
    assert (shift["predicted"], len(norm["rungs"])) == (None, 4)
    alone = scale.model_copy(update={"rungs": scale.rungs[:1]})
    (one, *_) = trends(
        answer.planned.model_copy(update={"scale": alone}), every_trial(answer), asked
    )["scale"]
    assert one["why"] == "it is trained at fewer than 2 rungs"


def test_while_trials_are_missing_there_is_no_answer(answer):
    away = answer.away.copy()
    away.loc[0, ["status", "test_acc"]] = ["waiting", None]
    waits = replace(answer, away=away)
    assert open_parts(waits) == ["scale"]
    assert interim(waits)
    assert not interim(answer)
    found = again(waits, every_trial(waits))
    assert {(one["answer"], one["why"]) for one in found} == {
        ("cannot tell", "pending: 1 trial missing")
    }
    page = contents(replace(waits, verdicts=waits.verdicts | {"scale": found}))["index.html"]
    assert "waits for them" in page.decode()


def test_the_page_and_the_tables_have_all_rungs_where_they_are_told(answer):
    files = {name: data.decode() for name, data in contents(answer).items()}
    page = files["index.html"].replace("<wbr>", "")
    section = page[page.index('<h2 id="scale">') : page.index('<h2 id="arms">')]
    assert "Everything else on this page is about width=16." in section
    assert section.count("per doubling of params") == 4
    assert "<small>reverses</small>" in section
    assert section.count("<td>a doubling</td>") == 3
    assert "## Scale" in files["report.md"]
    assert "per doubling of params.\n\n- **shift=false**: grows" in files["report.md"]
    assert "at width=64" in files["report.md"]
    assert len(pd.read_csv(io_of(files["tables/trials.csv"]))) == 80
    assert list(pd.read_csv(io_of(files["tables/arms.csv"])).arm) == [
        "baseline", "shift=false", 'norm="batch"', "window=4",
    ]  # fmt: skip
    plan = json.loads(files["plan.json"])
    assert (len(plan["arms"]), len(plan["scale"]["rungs"])) == (16, 4)
    for name in ("seeds", "forest"):
        assert "width=48" not in files[f"tables/{name}.csv"]


def io_of(text: str):
    from io import StringIO

    return StringIO(text)


def test_the_figure_has_what_was_judged_and_its_families_are_counted(answer):
    rows = table(answer)
    assert list(rows[rows.arm == "shift=false"].point) == [
        *["measured"] * 4, *["line"] * 2, "predicted",
    ]  # fmt: skip
    assert "the slopes over scales" in families(answer.verdicts)
    bare = {key: value for key, value in answer.verdicts.items() if key != "scale"}
    assert "the slopes over scales" not in families(bare)


def test_the_frame_has_the_trials_of_all_rungs(answer):
    assert set(answer.frame().arm) == {arm.name for arm in answer.planned.arms}
    assert {arm.name for arm in answer.plan.arms} == set(answer.trials.arm)
    assert at_home(answer.planned) == answer.plan
