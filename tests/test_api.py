"""From Python: what is recorded is judged, and said as it goes."""

import shutil
from pathlib import Path

import pytest

from swinablate import load_study, run
from swinablate.api import Silent
from swinablate.errors import InputError
from swinablate.records.events import Event
from swinablate.records.home import Home
from swinablate.report.answer import gather
from swinablate.study.planner import plan
from tests.conftest import STUDY

GOLDEN = Path(__file__).parent / "golden/home-0.1"


@pytest.fixture
def folder(tmp_path):
    """A study file beside a home in which all its trials are recorded."""
    return shutil.copytree(GOLDEN, tmp_path / "frozen")


def test_what_is_recorded_is_judged_and_not_trained_again(folder):
    said: list[str] = []
    answer = run(folder / "grid.toml", home=folder / "home", say=said.append)
    trials = len(plan(load_study(folder / "grid.toml")).trials)
    assert said == [f"grid: {trials} trials, {trials} recorded, 0 at a time"]
    assert answer.verdicts == gather(Home(folder / "home"), "grid").verdicts
    again = run(load_study(folder / "grid.toml"), home=str(folder / "home"))
    assert again.verdicts == answer.verdicts


def test_a_wrong_study_starts_nothing(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        run(tmp_path / "no.toml", home=tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_endings_are_said_and_nothing_else_that_happens(write):
    said: list[str] = []
    made = plan(load_study(write()))
    watcher = Silent(said.append)
    watcher.begin(made, {}, 2)
    for kind in (
        "started",
        "epoch",
        "checkpoint",
        "stopped",
        "lost",
        "failed",
        "diverged",
        "done",
    ):
        event = Event(trial=made.trials[0].id, attempt=1, kind=kind, at=0)
        watcher.happened(made.trials[0], event)
    watcher.expect(0, 6, 6)
    assert said == [
        "study: 6 trials, 0 recorded, 2 at a time",
        "baseline s0: failed",
        "baseline s0: diverged",
        "baseline s0: done",
    ]
    Silent(None).say("to nobody")


def test_a_study_that_may_grow_says_at_most(write):
    said: list[str] = []
    text = STUDY.replace("seeds = 3\nbaseline_seeds = 3", "")
    Silent(said.append).begin(
        plan(load_study(write(text + "[adaptive]\nlooks = [3, 5]\n"))), {}, 1
    )
    assert said == ["study: at most 15 trials, 0 recorded, 1 at a time"]
