"""Trials from before a meaning was mended: said, kept, and never taken for new ones."""

from dataclasses import replace

from swinablate.execution.attempts import superseded
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE
from tests.execution.scripted import Stage

ARMS = """\
question = "Which pixels?"
baseline = "base.toml"
seeds = 3
baseline_seeds = 3

[axes]
"data.normalisation" = ["half"]
"""


def test_a_trial_of_an_older_meaning_is_said_and_its_place_is_trained_anew(
    tmp_path, datasets, write
):
    made = plan(load_study(write(ARMS, RECIPE)))
    stage = Stage(tmp_path / "home", datasets, made)
    stage.run()
    assert [*superseded(made, stage.home)] == []
    mended = [trial for trial in made.trials if trial.revised]
    assert {trial.arm for trial in mended} == {"normalisation=half"}
    for trial in mended[:2]:  # as 0.1 recorded it
        outcome = stage.home.outcome(trial.id)
        stage.home.begin(trial.first_id)
        stage.home.commit(replace(outcome, trial=trial.first_id))
    (line,) = superseded(made, stage.home)
    assert line == (
        "2 trials on record were trained when data.normalisation meant something else "
        "(CHANGELOG.md): they stay there, and new ones take their places"
    )
