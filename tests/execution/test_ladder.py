"""Memory runs out: tried again in twice as many parts, where that is wanted and is the same arm."""

from dataclasses import replace

import pytest

from swinablate.execution.worker import execute
from swinablate.records.events import Batch
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY
from tests.execution.jobs import Jobs
from tests.execution.scripted import Stage, calm, done, epoch

NORMED = STUDY.replace("[axes]\n", '[axes]\n"model.norm" = ["batch"]\n')


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "base.toml").write_text(RECIPE)
    (folder / "study.toml").write_text(NORMED)
    return plan(load_study(folder / "study.toml"))


@pytest.fixture
def on(tmp_path, datasets, made):
    return Stage(tmp_path / "home", datasets, made)


def holding(images: int, bad: str, then=calm):
    """A worker whose memory holds so many images of a batch of a trial."""

    def script(job):
        parts = job.parts or job.recipe["train"]["accumulate"]
        started = ("started", {"accumulate": job.parts} if job.parts else {})
        if job.trial == bad and job.recipe["train"]["batch"] / parts > images:
            return [started, ("failed", {"kind": "oom", "message": "out of memory"})]
        return [started, *then(job)[1:]]

    return script


def trial(on, arm: str) -> str:
    return next(one.id for one in on.plan.trials if one.arm == arm)


def parts_of(on, bad: str) -> list[int | None]:
    return [job.parts for job in on.execution.submitted if job.trial == bad]


def test_the_same_trial_again_in_twice_as_many_parts_until_memory_suffices(on):
    bad = trial(on, "baseline")
    assert on.plan.arms[0].recipe.train.batch == 32
    summary = on.run(holding(8, bad), on_oom="halve")
    assert summary.exit_code == 0
    assert parts_of(on, bad) == [None, 2, 4]
    assert [line for line in on.heard.lines if "parts" in line] == [
        "baseline s0: out of memory; again in 2 parts; going on",
        "baseline s0: out of memory; again in 4 parts; going on",
    ]
    assert {job.parts for job in on.execution.submitted if job.trial != bad} == {None}
    assert on.outcome(bad).recipe["train"]["accumulate"] == 1  # it is the same trial


def test_not_unless_it_is_asked_for(on):
    bad = trial(on, "baseline")
    assert on.run(holding(8, bad)).exit_code == 3
    assert parts_of(on, bad) == [None]
    assert on.outcome(bad).failure["message"] == "out of memory"
    assert on.run(holding(8, bad), retry=True, on_oom="halve").exit_code == 0
    assert parts_of(on, bad) == [2, 4]  # what failed whole is not tried whole again


def test_down_to_single_images_and_no_further(on):
    bad = trial(on, "shift=false")
    assert on.run(holding(0, bad), on_oom="halve").exit_code == 3
    assert parts_of(on, bad) == [None, 2, 4, 8, 16, 32]
    message = "out of memory; its batch has no more parts"
    assert on.outcome(bad).failure["message"] == message


def test_batch_norm_of_parts_would_be_another_arm(on):
    bad = trial(on, "norm=batch")
    assert on.run(holding(8, bad), on_oom="halve").exit_code == 3
    assert parts_of(on, bad) == [None]
    said = on.outcome(bad).failure["message"]
    assert said.startswith("out of memory; it is not tried in more parts: batch norm (")
    assert said.endswith(") takes its statistics of a part, which would be another arm")


def test_a_trial_that_is_stopped_goes_on_in_as_many_parts(on):
    bad = trial(on, "baseline")

    def lose(job):
        return [("started", {}), epoch(job, 1), ("lost", {"kind": "killed", "message": "gone"})]

    lost = []

    def script(job):
        steps = holding(16, bad)(job)
        if job.trial == bad and job.parts and not lost:
            lost.append(job)
            return [steps[0], *lose(job)[1:]]
        return [steps[0], done(job)] if steps[-1][0] == "done" else steps

    assert on.run(script, on_oom="halve").exit_code == 0
    assert parts_of(on, bad) == [None, 2, 2]


@pytest.fixture
def jobs(datasets, tmp_path) -> Jobs:
    return Jobs(datasets, tmp_path)


def told(job):
    events = []
    execute(Batch(jobs=(job,)), events.append, lambda: False)
    return events


def test_a_network_that_has_room_for_4_images_trains_16_in_4_parts(jobs):
    whole = told(jobs.make("small"))[-1]
    assert (whole.kind, whole.data["kind"]) == ("failed", "oom")
    *_, halved = told(replace(jobs.make("small"), parts=2))
    assert "a batch of 16 images in 2 parts; train.accumulate = 4" in halved.data["message"]
    first, *_, last = told(replace(jobs.make("small"), parts=4))
    assert first.data["accumulate"] == 4
    assert last.kind == "done"
    assert last.data["execution"]["accumulate"] == 4  # another class of execution (W11)
    asked = told(jobs.make("small", accumulate=4))[-1]
    assert "accumulate" not in asked.data["execution"]  # there the recipe says so
    assert asked.data["metrics"]["train/loss"] == last.data["metrics"]["train/loss"]
