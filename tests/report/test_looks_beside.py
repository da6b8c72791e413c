"""A study with looks that reports other metrics and declared contrasts: what is shown of both."""

import csv
import json

import numpy as np
import pytest

from swinablate.records.home import Home
from swinablate.records.outcome import EVERY, Outcome
from swinablate.report import render
from swinablate.report.answer import gather
from swinablate.scheduling.due import State, due
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import STUDY

TEXT = STUDY.replace("seeds = 3\nbaseline_seeds = 3", "[adaptive]\nlooks = [3, 5, 8]")
TEXT += """\
"model.norm" = ["batch"]
[compare]
rope = 0.5
secondary = ["test/loss"]
[[contrasts]]
name = "gap"
of = { "shift=false" = 1, "norm=batch" = -1 }
[[hypotheses]]
arm = "shift=false"
expect = "worse"
by = 500
quantity = "train_s"
"""
ACCURACY = {"baseline": 90.0, "shift=false": 70.0, "norm=batch": 90.1}
LOSS = {"baseline": 1.0, "shift=false": 3.0, "norm=batch": 0.2}


def ended(row):
    """How a trial ends: accuracy and loss each with noise of their own."""
    rng = np.random.default_rng([row.seed, len(row.arm.name)])
    accuracy, loss = rng.normal(0, 0.4), rng.normal(0, 0.02)
    return Outcome(
        trial=row.trial, seed=row.seed, kind="final", attempt=1, status="done",
        recipe=dict(row.arm.recipe), image={},
        metrics={
            "test/accuracy": ACCURACY[row.arm.name] + accuracy, "val/accuracy": 80.0,
            "test/loss": LOSS[row.arm.name] + loss, EVERY: 80.0, "time/train_s": 9.0 + accuracy,
        },
        predictions={"sha256": row.trial, "images": 540}, failure=None,
        started_at=0, finished_at=1000,
    )  # fmt: skip


@pytest.fixture
def answer(write, tmp_path):
    made = plan(load_study(write(TEXT)))
    record = plan_record(made, {}, Noise(None, ""))
    home = Home(tmp_path / "home")
    home.create()
    home.declare(record)
    state = State.of(record, {})
    while rows := list(due(state).upcoming()):
        for row in rows:
            home.begin(row.trial)
            home.commit(ended(row))
            state = state.add(ended(row))
    return gather(home, "study")


def test_another_metric_is_judged_at_the_looks_that_the_first_took(answer):
    first = {arm["name"]: arm for arm in answer.verdicts["arms"]}
    assert (first["shift=false"]["verdict"], first["shift=false"]["look"]) == ("worse", 3)
    stop = first["norm=batch"]["look"]
    (loss,) = answer.verdicts["secondary"]
    arms = {arm["name"]: arm for arm in loss["arms"]}
    assert {name: arm["look"] for name, arm in arms.items()} == {
        "shift=false": 3, "norm=batch": stop,
    }  # fmt: skip
    assert {name: arm["verdict"] for name, arm in arms.items()} == {
        "shift=false": "worse", "norm=batch": "better",  # less is better
    }  # fmt: skip
    assert arms["norm=batch"]["n"] == first["norm=batch"]["n"]
    assert {c["name"] for c in loss["contrasts"]} == {"shift=false", "norm=batch", "gap"}
    assert "repeated intervals" in loss["method"]
    assert loss["methods"].startswith("How many seeds an arm has was decided by test accuracy.")


def test_what_a_change_costs_is_judged_so_too(answer):
    (time,) = answer.verdicts["quantities"]
    (shifted, _) = time["arms"]
    assert shifted["look"] == 3
    assert shifted["reason"] is None
    assert shifted["hypotheses"][0]["answer"] == "contradicted"  # by far less than 500 s


def test_looks_show_declared_contrasts_as_they_show_arms(answer, tmp_path):
    (gap,) = [c for c in answer.verdicts["contrasts"] if c["name"] == "gap"]
    steps = [step for step in answer.verdicts["trace"] if step["arm"] == "gap"]
    assert [step["look"] for step in steps] == [3]
    assert (steps[0]["delta_pp"], steps[0]["verdict"]) == (gap["delta_pp"], gap["verdict"])
    render(answer, tmp_path / "report")
    (path,) = (tmp_path / "report").rglob("sequence.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert list(dict.fromkeys(row["arm"] for row in rows)) == ["shift=false", "norm=batch", "gap"]
    verdicts = json.loads((tmp_path / "report/verdicts.json").read_text())
    assert {step["arm"] for step in verdicts["trace"]} == {"shift=false", "norm=batch", "gap"}


def test_the_page_says_which_metric_chose_the_seeds(answer, tmp_path):
    render(answer, tmp_path / "report")
    said = "How many seeds an arm has was decided by test"
    assert said in (tmp_path / "report/index.html").read_text()
    assert said in (tmp_path / "report/report.md").read_text()
