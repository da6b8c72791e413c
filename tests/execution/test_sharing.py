"""A trial that two studies of one home share: trained by one, waited for by the other."""

import os
import shutil
import signal
import time
from dataclasses import replace

import pytest

from swinablate.errors import InputError
from swinablate.records.disk import locks
from swinablate.scheduling.claims import Claims
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY
from tests.execution.scripted import Scripted, Stage, calm


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "base.toml").write_text(RECIPE)
    (folder / "study.toml").write_text(STUDY)
    return plan(load_study(folder / "study.toml"))


@pytest.fixture
def on(tmp_path, datasets, made):
    return Stage(tmp_path / "home", datasets, made)


@pytest.fixture
def other(on):
    """What another study of the home claims."""
    claims = Claims(on.home)
    yield claims
    claims.close()


@pytest.fixture
def at_poll(monkeypatch):
    """Does something whenever events are waited for."""
    real = Scripted.poll

    def set_to(happens):
        def poll(self, timeout):
            time.sleep(0.02)
            happens()
            return real(self, timeout)

        monkeypatch.setattr(Scripted, "poll", poll)

    return set_to


def ids(on):
    return [trial.id for trial in on.plan.trials]


def outcomes(on):
    """Of all trials, of which nothing is recorded afterwards."""
    on.run()
    found = on.home.outcomes(ids(on))
    shutil.rmtree(on.home.trials)
    on.home.create()
    return found


def record(on, outcome):
    assert on.home.begin(outcome.trial) == outcome.attempt
    on.home.commit(outcome)


def test_what_another_study_trains_is_waited_for_and_all_else_goes_first(on, other, at_poll):
    shared, found = ids(on)[0], outcomes(on)
    other.take(shared)

    def ends():
        if len(on.tickets.ended) == 5 and on.home.outcome(shared) is None:
            record(on, found[shared])
            other.release(shared)

    at_poll(ends)
    summary = on.run()
    assert on.ran == ids(on)[1:]
    assert (summary.exit_code, summary.counts, summary.missing) == (0, {"done": 6}, 0)
    assert on.outcome(shared) == found[shared]
    assert on.shown.of(shared) == ["replay"]
    assert on.heard.expected[-1] == (6, 6, 6)
    (waits, ended) = on.heard.lines
    assert waits.startswith(f"baseline s0: another study trains it (pid {os.getpid()} on ")
    assert waits.endswith("); waiting for what it shares with this one")
    assert ended == "baseline s0: recorded by another study"


def test_what_a_dead_study_left_is_taken_over_from_its_checkpoints(on, other, at_poll):
    left = ids(on)[:2]
    for trial in left:
        other.take(trial)
        on.home.begin(trial)
    half = on.home.attempt(left[0], 1) / ".checkpoint-1.pt.7.tmp"
    half.write_text("")
    at_poll(lambda: len(on.tickets.ended) == 4 and other.close())
    summary = on.run()
    assert on.ran == [*ids(on)[2:], *left]
    assert summary.exit_code == 0
    assert [on.outcome(trial).attempt for trial in ids(on)] == [2, 2, 1, 1, 1, 1]
    last = on.execution.submitted[-1]
    assert last.resume == (str(on.home.attempt(last.trial, 1)),)
    assert not half.exists()
    assert len(on.heard.lines) == 1  # one other study, named once


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_who_waits_stops_at_once(on, other, at_poll, number, code):
    for trial in ids(on):
        other.take(trial)
    at_poll(lambda: os.kill(os.getpid(), number))
    before = time.monotonic()
    summary = on.run()
    assert (summary.exit_code, on.ran) == (code, [])
    assert time.monotonic() - before < 60  # it would wait for ever


def test_a_trial_is_claimed_while_it_runs_and_no_longer(on, monkeypatch):
    held, files = [], on.home.locks / "trials"

    def look(job):
        held.extend((locks.holder(path)[:4], path.stem) for path in files.iterdir())

    committed, commit = [], on.home.commit

    def committing(outcome):
        commit(outcome)
        committed.append(locks.holder(files / f"{outcome.trial}.lock")[:4])

    monkeypatch.setattr(on.home, "commit", committing)
    on.run(lambda job: [look, *calm(job)], slots=1)
    assert held == [("pid ", trial) for trial in ids(on)]
    assert committed == ["pid "] * 6
    assert list(files.iterdir()) == []


def test_what_was_recorded_just_before_it_was_claimed_is_not_trained(on, at_poll):
    late, found = ids(on)[3], outcomes(on)
    at_poll(lambda: on.home.outcome(late) or record(on, found[late]))
    on.run(slots=1)
    assert on.ran == [trial for trial in ids(on) if trial != late]
    assert on.heard.lines == ["shift=false s1: recorded by another study"]


def test_a_fused_batch_goes_without_what_another_study_trains(on, other, at_poll):
    shared = ids(on)[2]  # seed 1 of the baseline
    other.take(shared)
    at_poll(lambda: len(on.tickets.ended) == 5 and other.close())
    on.run(fuse=3, slots=1)
    sizes = [[job.seed for job in batch.jobs] for batch in on.execution.batches]
    assert sizes == [[0, 2], [0, 1, 2], [1]]


def test_images_other_than_those_here_are_refused_where_another_study_recorded_with_them(on, at_poll):  # fmt: skip
    late, found = ids(on)[3], outcomes(on)
    other = replace(found[late], provenance={"data": "0" * 64})
    at_poll(lambda: on.home.outcome(late) or record(on, other))
    with pytest.raises(InputError, match="the images of 'digits' are not those"):
        on.run(slots=1)
    assert list((on.home.locks / "trials").iterdir()) == []


def test_half_written_files_go_where_this_study_alone_may_write(on, other, at_poll):
    on.run(only=("baseline",))
    study = on.home.studies / on.plan.study.name
    recorded, taken = ids(on)[0], ids(on)[1]
    other.take(taken)
    theirs = [on.home.trials / recorded / ".result.json-1.tmp", on.home.trials / taken / ".x.tmp"]
    ours = [study / ".latest-1.tmp", study / on.plan.declaration / ".plan.json-1.tmp"]
    for path in [*theirs, *ours]:
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")

    left = []

    def later():
        left.append([path.exists() for path in [*theirs, *ours]])
        other.close()

    at_poll(later)
    assert on.run().exit_code == 0
    assert left[0] == [True, True, False, False]
    assert left[-1] == [True, False, False, False]


def fails(trial):
    broken = [("failed", {"kind": "exception", "message": "ValueError"})]
    return lambda job: broken if job.trial == trial else calm(job)


def test_what_another_study_tries_again_is_not_made_to_wait_a_second_time(on, other, at_poll):
    bad = ids(on)[1]
    found = outcomes(on)
    on.run(fails(bad))
    other.take(bad)
    on.home.reopen(bad)

    def ends():
        if on.home.outcome(bad) is None:
            record(on, replace(found[bad], attempt=2))
        other.release(bad)

    at_poll(ends)
    summary = on.run(retry=True)
    assert (summary.exit_code, on.ran) == (0, [])
    assert not (on.home.attempt(bad, 2) / "reopened").exists()


def test_what_another_study_tried_again_with_success_stays(on, monkeypatch):
    bad = ids(on)[1]
    found = outcomes(on)
    on.run(fails(bad))
    real = on.home.outcomes

    def reads(trials):
        before = real(trials)
        on.home.reopen(bad)
        record(on, replace(found[bad], attempt=2))
        return before

    monkeypatch.setattr(on.home, "outcomes", reads)
    assert on.run(retry=True).exit_code == 0
    assert on.ran == []
    assert on.outcome(bad).attempt == 2
