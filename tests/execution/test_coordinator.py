"""The coordinator, driven in milliseconds through everything that can happen to a study."""

import json
import os
import shutil
import signal
import time
from collections import Counter, namedtuple
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from swinablate.errors import EnvironmentFault, InputError
from swinablate.execution import attempts, fusing
from swinablate.execution import run as running
from swinablate.execution.executor import Slot
from swinablate.execution.run import check_only
from swinablate.execution.stop import GRACE_S, Stop
from swinablate.records.events import Event, event
from swinablate.records.home import Home
from swinablate.scheduling.queue import Ticket
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY
from tests.execution.scripted import Scripted, Stage, Tickets, calm, done, epoch

LOOKS = STUDY.replace("seeds = 3\nbaseline_seeds = 3", "[adaptive]\nlooks = [3, 5]")
TUNED = STUDY + '[tune]\ntrials = 3\nspace = { "train.lr" = [1e-3, 3e-3, 1e-2, 3e-2] }\n'


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """The plan of a study's text, built once for all tests that ask for it."""
    folder, made = tmp_path_factory.mktemp("studies"), {}

    def planned(text=STUDY):
        if text not in made:
            where = folder / str(len(made))
            where.mkdir()
            (where / "base.toml").write_text(RECIPE)
            (where / "study.toml").write_text(text)
            made[text] = plan(load_study(where / "study.toml"))
        return made[text]

    return planned


@pytest.fixture
def stage(tmp_path, datasets, plans):
    def ready(text=STUDY):
        return Stage(tmp_path / "home", datasets, plans(text))

    return ready


def ids(stage):
    return [trial.id for trial in stage.plan.trials]


def lose(_):
    return [("started", {}), ("lost", {"kind": "killed", "message": "the worker ended"})]


def first(times, script, then=calm):
    """The first attempts at every trial go by one script, the rest by another."""
    tries = Counter()

    def scripted(job):
        tries[job.trial] += 1
        return (script if tries[job.trial] <= times else then)(job)

    return scripted


def only(trial, script, others=calm):
    return lambda job: (script if job.trial == trial else others)(job)


def test_a_calm_study_runs_every_trial_once_seeds_outermost(stage):
    on = stage()
    summary = on.run()
    assert on.ran == ids(on)
    assert (summary.exit_code, summary.missing, summary.counts) == (0, 0, {"done": 6})
    assert [on.outcome(t).attempt for t in ids(on)] == [1] * 6
    assert on.tickets.ended == [(t, on.outcome(t).metrics["val/accuracy"], "done") for t in on.ran]
    assert on.shown.of(on.ran[0]) == ["begin", "epochs 1", "epochs 2", "end done"]
    assert [row["epoch"] for row in on.outcome(on.ran[0]).curve] == [1, 2]
    assert on.shown.swept == set(on.ran)
    assert (on.execution.closed, on.shown.within, on.tickets.closed) == (1, None, 1)
    assert (on.heard.begun, on.heard.expected[0], on.heard.expected[-1]) == ((0, 2), (0, 6, 6), (6, 6, 6))  # fmt: skip
    assert on.execution.stops == 0


def test_the_queue_holds_what_the_next_slot_needs_and_no_more(stage):
    on = stage()
    on.run(slots=1)
    assert on.tickets.most == 1


def test_tickets_that_nobody_wants_any_more_end(stage):
    """A run without `--only` left them, or one with another budget."""
    on = stage()
    stale = Ticket("f" * 64, "baseline", 0, 1)
    summary = on.run(waiting=[stale])
    assert on.tickets.ended[0] == (stale.trial, None, "failed")
    assert on.ran == ids(on)
    assert summary.exit_code == 0


def test_what_is_recorded_is_shown_again_and_not_trained_again(stage):
    on = stage()
    on.run()
    lost = on.ran[1]
    shutil.rmtree(on.home.trials / lost)
    summary = on.run()
    assert on.ran == [lost]
    assert summary.exit_code == 0
    assert sorted(t for call, t in on.shown.calls if call == "replay") == sorted(set(ids(on)) - {lost})  # fmt: skip
    assert on.outcome(lost).attempt == 1


def test_nothing_to_do_opens_nothing(stage):
    on = stage()
    on.run()
    summary = on.run()
    assert (summary.exit_code, on.ran, on.execution.closed) == (0, [], 0)
    assert (on.tickets.reaped, on.shown.calls, on.heard.begun) == (0, [], (6, 0))


def test_a_lost_worker_is_tried_again_from_its_folder(stage):
    on = stage()
    summary = on.run(first(1, lose), slots=1)
    assert on.ran == [t for t in ids(on) for _ in range(2)]  # at once, before the next
    assert summary.exit_code == 0
    again = on.execution.submitted[1]
    assert (again.attempt, again.resume) == (2, (str(on.home.attempt(again.trial, 1)),))
    assert on.heard.lines[0] == "baseline s0: the worker ended; going on"
    assert [s for _, _, s in on.tickets.ended[:2]] == ["failed", "done"]
    assert "stopped" not in on.shown.of(again.trial)


def test_after_three_losses_it_is_a_failure_of_the_trial(stage):
    on = stage()
    bad = ids(on)[2]
    summary = on.run(only(bad, lose))
    assert (summary.exit_code, summary.counts) == (3, {"done": 5, "failed": 1})
    assert on.ran.count(bad) == 1 + attempts.RETRIES == 3
    failed = on.outcome(bad)
    assert (failed.status, failed.attempt, failed.failure["kind"]) == ("failed", 3, "killed")
    assert failed.metrics == {}


@pytest.mark.parametrize(
    ("kind", "data", "status"),
    [
        ("failed", {"kind": "exception", "message": "ValueError", "traceback": "..."}, "failed"),
        ("failed", {"kind": "oom", "message": "out of memory"}, "failed"),
        ("diverged", {"kind": "nan", "message": "the loss is nan"}, "diverged"),
    ],
)
def test_what_would_happen_again_is_not_tried_again(stage, kind, data, status):
    on = stage()
    bad = ids(on)[0]
    summary = on.run(only(bad, lambda _: [("started", {}), (kind, data)]))
    assert on.ran.count(bad) == 1
    assert (summary.exit_code, summary.counts[status]) == (3, 1)
    assert (on.outcome(bad).status, on.outcome(bad).failure) == (status, data)
    assert on.tickets.ended[0] == (bad, None, status)


def test_retry_trains_what_did_not_end_well_and_nothing_else(stage):
    on = stage()
    bad = ids(on)[0]
    on.run(only(bad, lambda _: [("diverged", {"kind": "nan", "message": "nan"})]))
    assert on.run().exit_code == 3
    assert on.ran == []
    summary = on.run(retry=True)
    assert (on.ran, summary.exit_code) == ([bad], 0)


def test_what_would_only_be_repeated_is_not_worth_a_retry(stage):
    """Divergence at once; an exception when it comes again in the same words."""
    on = stage()
    nan, broken = ids(on)[:2]

    def ends(message):
        told = {
            nan: ("diverged", {"kind": "nan", "message": "nan"}),
            broken: ("failed", {"kind": "exception", "message": message}),
        }
        return lambda job: [told[job.trial]] if job.trial in told else calm(job)

    found = on.run(ends("ValueError: 1"))
    assert (found.exit_code, found.settled, found.worth_retrying) == (3, 1, 1)
    found = on.run(ends("ValueError: 2"), retry=True)
    assert (found.settled, found.worth_retrying) == (1, 1)
    found = on.run(ends("ValueError: 2"), retry=True)
    assert (found.settled, found.worth_retrying) == (2, 0)
    found = on.run(retry=True)
    assert (found.exit_code, found.settled) == (0, 0)


def test_who_hangs_is_killed_and_tried_again(stage):
    on = stage()
    bad = ids(on)[0]
    hang = only(bad, first(1, lambda job: [("started", {}), epoch(job, 1)]))
    summary = on.run(hang, slots=1, stalled_s=100.0)
    assert on.execution.cancelled == [0]
    assert on.heard.lines[:2] == [
        "baseline s0: silent for 1000 s",
        "baseline s0: it is gone; going on",
    ]
    assert (summary.exit_code, on.ran.count(bad)) == (0, 2)


def test_an_epoch_may_take_as_long_as_it_always_did(stage):
    """20 times the longest silence, where that is more than a quarter of an hour."""
    on = stage()

    def later(seconds):
        def wait(_):
            on.clock.now += seconds

        return wait

    def slow(job):
        return [
            ("started", {}),
            later(800),
            epoch(job, 1),
            later(15_000),
            epoch(job, 2),
            done(job),
        ]

    on.run(slow, slots=1)
    assert on.execution.cancelled == []

    def stuck(job):
        return [
            ("started", {}),
            later(800),
            epoch(job, 1),
            later(16_100),
            epoch(job, 2),
            done(job),
        ]

    shutil.rmtree(on.home.trials)
    on.home.create()
    on.run(first(1, stuck), slots=1)
    assert len(on.execution.cancelled) == 6


def test_words_about_another_attempt_are_not_believed(stage):
    """A worker that outlived its coordinator goes on telling of an attempt that is over."""
    on = stage()

    def old(job):
        return event(replace(job, attempt=job.attempt - 1), "done", done(job)[1] | {"metrics": {"val/accuracy": 1.0, "test/accuracy": 1.0}})  # fmt: skip

    def ghost(job):
        return Event(trial="f" * 64, attempt=1, kind="done", at=1, data={})

    def script(job):
        return [("started", {}), old, ghost, done(job)]

    summary = on.run(first(1, lose, script), slots=1)
    assert summary.exit_code == 0
    assert all(on.outcome(t).metrics["val/accuracy"] > 50 for t in ids(on))
    assert {on.outcome(t).attempt for t in ids(on)} == {2}
    log = (on.home.attempt(ids(on)[0], 1) / "events.jsonl").read_text()
    assert "done" not in log


def test_a_resumed_trial_has_the_curve_of_all_its_attempts(stage):
    on = stage()

    def resumed(job):
        return [("resumed", {"curve": [epoch(job, 1)[1]], "step": 4}), epoch(job, 2), done(job)]

    def broken(job):
        return [("started", {}), epoch(job, 1), *lose(job)[1:]]

    on.run(first(1, broken, resumed), slots=1)
    trial = on.ran[0]
    assert [row["epoch"] for row in on.outcome(trial).curve] == [1, 2]
    assert on.shown.of(trial) == ["begin", "epochs 1", "begin", "epochs 1", "epochs 2", "end done"]


def kill(number):
    def now(_):
        os.kill(os.getpid(), number)

    return now


def test_every_job_says_how_long_it_may_train_without_a_checkpoint(stage):
    on = stage()
    on.run(checkpoint_every=7.0)
    assert {job.checkpoint_s for job in on.execution.submitted} == {7.0}


@pytest.mark.parametrize(
    ("number", "code", "within"),
    [(signal.SIGTERM, 75, 5.0), (signal.SIGHUP, 75, 5.0), (signal.SIGINT, 130, None)],
)
def test_a_signal_lets_all_write_their_checkpoints(stage, number, code, within):
    on = stage()
    target = ids(on)[2]
    before = signal.getsignal(number)
    summary = on.run(only(target, lambda job: [("started", {}), kill(number), *calm(job)]))
    assert (summary.exit_code, summary.missing) == (code, 4)
    assert on.execution.stops == 1
    assert on.ran == ids(on)[:4]  # two were done, two ran
    assert [s for _, _, s in on.tickets.ended] == ["done", "done", "failed", "failed"]
    assert on.shown.of(target)[-1] == "stopped"
    assert on.home.outcome(target) is None
    assert on.heard.lines == [
        "stopping: 2 trials write their checkpoints; Ctrl-C again kills them"
    ]
    assert signal.getsignal(number) is before
    assert on.shown.within == within
    assert on.run().exit_code == 0
    assert target in on.ran


@pytest.mark.parametrize(
    ("number", "cancelled"),
    [(signal.SIGTERM, True), (signal.SIGHUP, True), (signal.SIGINT, False)],
)
def test_who_writes_no_checkpoint_in_time_is_killed_where_somebody_waits(stage, monkeypatch, number, cancelled):  # fmt: skip
    """M11: a worker in a call that never returns. After Ctrl-C it is the user's to decide."""
    on = stage()
    monkeypatch.setattr(Scripted, "stop", lambda self: None)  # nobody hears of it
    stopping = Stop(on.clock)
    monkeypatch.setattr(running, "Stop", lambda: stopping)
    target = ids(on)[0]
    moments = []

    def later(_):
        on.clock.now += GRACE_S / 2
        moments.append((on.clock.now, len(on.execution.cancelled)))

    def hangs(job):
        return [("started", {}), kill(number), later, later, later, later, *calm(job)]

    summary = on.run(only(target, hangs), slots=1)
    assert bool(on.execution.cancelled) == cancelled
    if cancelled:
        assert moments == [(5.0, 0), (10.0, 0), (15.0, 0)]
        assert on.home.outcome(target) is None
        assert summary.exit_code == 75
    else:
        assert len(moments) == 4


def test_a_hangup_that_is_ignored_stays_so(stage):
    """Under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        on = stage()
        target = ids(on)[0]
        summary = on.run(only(target, lambda job: [kill(signal.SIGHUP), *calm(job)]))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (summary.exit_code, summary.missing) == (0, 0)


def test_who_hangs_is_killed_after_the_time_that_was_set(stage):
    on = stage()
    bad, hang = ids(on)[0], lambda job: [("started", {}), epoch(job, 1)]
    summary = on.run(only(bad, first(1, hang)), slots=1, stalled_s=10.0, hang_timeout=30.0)
    assert on.heard.lines[0] == "baseline s0: silent for 40 s"
    assert summary.exit_code == 0


def test_a_wall_clock_that_is_set_changes_no_duration(stage, monkeypatch):
    """F17, m25: it jumps back by an hour while a trial runs."""
    on = stage()
    target = ids(on)[0]

    def passes(_):
        on.clock.now += 7.25
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 3600)

    summary = on.run(only(target, lambda job: [("started", {}), passes, *calm(job)]), slots=1)
    found = on.outcome(target)
    assert summary.exit_code == 0
    assert found.finished_at < found.started_at
    assert (found.elapsed_s, found.seconds) == (7.25, 7.25)


def test_records_from_before_durations_were_measured_fall_back_to_the_wall_clock(stage):
    on = stage()
    on.run()
    found = replace(on.outcome(ids(on)[0]), started_at=1000, finished_at=4000, elapsed_s=None)
    assert found.seconds == 3.0
    assert replace(found, finished_at=0).seconds == 0.0
    assert replace(found, execution={"fused": 2}).seconds == 1.5


def test_the_first_word_may_take_longer_than_was_set(stage):
    """A worker that imports torch says nothing."""
    on = stage()
    bad, dumb = ids(on)[0], lambda job: []
    on.run(only(bad, first(1, dumb)), slots=1, stalled_s=10.0, hang_timeout=30.0)
    assert on.heard.lines[0] == "baseline s0: silent for 130 s"


def unforked(_):
    data = {"kind": "killed", "message": "the process that forked it ended", "excused": True}
    return [("started", {}), ("lost", data)]


def test_a_study_waits_for_workers_that_queue_and_takes_the_first_that_is_ready(
    stage, monkeypatch
):
    looks, ready = count(), Scripted.free.fget
    late = property(lambda execution: 0 if next(looks) < 20 else ready(execution))
    monkeypatch.setattr(Scripted, "free", late)
    stage = stage()
    summary = stage.run()
    assert (summary.counts, summary.missing) == ({"done": 6}, 0)
    assert next(looks) > 20


def test_who_had_to_leave_goes_on_elsewhere_however_often_and_nothing_is_held_against_it(stage):
    """By a time limit or a preemption; two losses beside it are still forgiven."""
    stage, told = stage(), Counter()

    def leaves(job):
        told[job.trial] += 1
        if told[job.trial] <= 4:
            return [("started", {}), ("stopped", {})]
        return lose(job) if told[job.trial] <= 6 else calm(job)

    summary = stage.run(leaves)
    assert (summary.counts, summary.exit_code) == ({"done": 6}, 0)
    assert set(told.values()) == {7}


def test_the_end_of_the_process_that_forks_costs_no_attempt(stage):
    on = stage()
    bad = ids(on)[0]
    summary = on.run(only(bad, first(5, unforked)), slots=1)
    assert (summary.exit_code, on.ran.count(bad)) == (0, 6)


def test_but_not_for_ever(stage):
    on = stage()
    bad = ids(on)[0]
    summary = on.run(only(bad, unforked), slots=1)
    assert summary.counts == {"done": 5, "failed": 1}
    assert on.ran.count(bad) == attempts.EXCUSED + 1 + attempts.RETRIES


def test_optuna_is_open_before_mlflow_has_a_thread(stage):
    """M2: both map tables with SQLAlchemy, whose configuration of all maps is no two threads'."""
    on = stage()
    order = []
    on.opening = order.append
    on.run()
    assert order == ["execution", "queue", "owner", "reaped", "copy"]


def test_a_queue_that_another_home_owns_is_left_alone(stage):
    on = stage()

    def refuse(what):
        if what == "owner":
            raise EnvironmentFault("another home runs 'study@1': pid 7 on far")

    on.opening = refuse
    with pytest.raises(EnvironmentFault, match="another home runs"):
        on.run(waiting=[Ticket("f" * 64, "baseline", 0, 1)])
    assert (on.ran, on.tickets.reaped, len(on.tickets.waiting)) == ([], 0, 1)
    assert (on.tickets.closed, on.execution.closed) == (1, 1)


def test_a_study_that_is_taken_over_stops_with_its_checkpoints(stage):
    on = stage()
    target = ids(on)[0]

    def taken_over(_):
        on.owner.lost(EnvironmentFault("another home took over 'study@1': pid 7 on far"))

    script = only(target, lambda job: [("started", {}), epoch(job, 1), taken_over])
    with pytest.raises(EnvironmentFault, match="took over 'study@1': pid 7 on far"):
        on.run(script, slots=1, take_over=True)
    assert (on.execution.stops, on.ran) == (1, [target])
    assert on.shown.of(target) == ["begin", "epochs 1", "stopped"]
    assert (on.owner.home, on.owner.take_over) == (on.home.root, True)
    assert on.owner.stopping()
    assert on.run().exit_code == 0


def test_a_copy_that_answers_no_more_is_told(stage):
    on = stage()
    on.gone = True
    assert on.run().unreachable


def test_a_second_ctrl_c_waits_for_nothing(stage):
    on = stage()
    target = ids(on)[0]
    with pytest.raises(KeyboardInterrupt):
        on.run(only(target, lambda _: [twice]), slots=1)
    assert (on.execution.closed, on.shown.within) == (1, 0)
    assert on.home.outcome(target) is None
    assert on.run().exit_code == 0


def twice(_):
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


Usage = namedtuple("Usage", "total used free")


def test_with_a_full_disk_nothing_is_started(stage, monkeypatch):
    on = stage()
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1 << 40, 1 << 40, 99 << 20))
    with pytest.raises(EnvironmentFault) as caught:
        on.run()
    assert caught.value.problem == "disk full: 99 MiB are free, 100 are needed (99 MiB free)"
    assert caught.value.exit_code == 4
    assert on.ran == []
    assert {s for _, _, s in on.tickets.ended} == {"failed"}
    assert (on.execution.closed, on.shown.within) == (1, None)


def test_a_home_that_was_moved_meanwhile_is_told_and_not_made_again(stage):
    on = stage()
    away = on.home.root.with_name("moved")
    moved = [epoch, lambda job: on.home.root.rename(away) and None, done]

    def scripted(job):
        return [
            step(job, 1) if step is epoch else step(job) if step is done else step
            for step in moved
        ]

    with pytest.raises(EnvironmentFault, match="cannot write: No such file") as told:
        on.run(scripted, slots=1)
    assert told.value.exit_code == 4
    assert not (on.home.root / "trials").exists()


def test_without_a_home_nothing_is_started(stage, monkeypatch):
    on = stage()

    def gone(_):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("shutil.disk_usage", gone)
    with pytest.raises(EnvironmentFault, match="cannot write: No such file"):
        on.run()
    assert on.ran == []


def test_a_disk_that_fills_in_a_worker_stops_the_study_and_loses_nothing(stage):
    on = stage()
    bad = ids(on)[1]
    full = [("started", {}), ("failed", {"kind": "disk", "message": "No space left on device"})]
    with pytest.raises(EnvironmentFault, match="disk full: No space left on device"):
        on.run(only(bad, lambda _: full))
    assert on.home.outcome(bad) is None
    assert on.execution.stops == 1
    assert on.shown.of(bad)[-1] == "stopped"
    assert len(on.ran) == 2
    assert on.run().exit_code == 0


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (("failed", {"kind": "disk", "message": "No space left"}), "disk full: No space left"),
        (("lost", {"message": "gone"}), "the queue cannot be used"),
    ],
)
def test_a_queue_on_a_full_disk_does_not_hide_that_it_is_full(stage, monkeypatch, last, told):
    on = stage()
    bad, ended = ids(on)[1], Tickets.done

    def done(tickets, ticket, value, state):
        if ticket.trial == bad:
            raise EnvironmentFault("the queue cannot be used: database or disk is full")
        ended(tickets, ticket, value, state)

    monkeypatch.setattr(Tickets, "done", done)
    with pytest.raises(EnvironmentFault, match=told):
        on.run(only(bad, lambda _: [("started", {}), last]))


def test_one_loss_in_a_fused_batch_costs_its_trial_alone(stage):
    on = stage()
    bad = ids(on)[2]  # seed 1 of the baseline
    summary = on.run(only(bad, first(1, lose)), fuse=3, slots=1)
    sizes = [len(batch.jobs) for batch in on.execution.batches]
    assert sizes[0] == 3
    assert {job.seed for job in on.execution.batches[0].jobs} == {0, 1, 2}
    assert (summary.exit_code, on.ran.count(bad)) == (0, 2)
    assert len(on.ran) == 7
    assert {on.outcome(t).attempt for t in ids(on) if t != bad} == {1}


def test_who_trains_with_others_is_alive_as_long_as_they_are(stage):
    on = stage()
    quiet = ids(on)[0]

    def wait(_):
        on.clock.now += 250  # three that talk take it one after the other

    def talks(job):
        return [epoch(job, 1), wait, epoch(job, 2), wait, epoch(job, 3), wait, done(job)]

    def silent(job):
        return [lambda _: None] * 6 + [done(job)]  # 1500 s without a word

    on.run(only(quiet, silent, talks), fuse=3, slots=1)
    assert on.execution.cancelled == []


def test_why_a_trial_went_on_alone_is_said(stage):
    on = stage()
    on.run(lambda job: [("started", {"alone": "another step"}), done(job)], slots=1)
    assert on.heard.lines[0] == "baseline s0: not fused: another step"


def test_a_budget_that_is_spent_ends_the_study(stage):
    on = stage(STUDY + "[budget]\ntrials = 4\n")
    summary = on.run()
    assert on.ran == ids(on)[:4]
    assert (summary.spent, summary.missing, summary.exit_code) == (True, 2, 3)
    assert on.run().spent
    assert on.ran == []


def test_gpu_hours_that_are_spent_end_the_study(stage, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    on = stage(STUDY + "[budget]\ngpu_hours = 2.0\n")

    def an_hour(_):
        on.clock.now += 3600

    # Two trials on one GPU, two hours each: half of it is one's.
    summary = on.run(lambda job: [("started", {}), an_hour, done(job)], fuse=1, hang_timeout=1e6)
    assert on.ran == ids(on)[:2]
    assert [on.outcome(trial).provenance["gpus"] for trial in on.ran] == [0.5, 0.5]
    assert (summary.spent, summary.missing, summary.exit_code) == (True, 4, 3)


def test_looks_ask_for_more_seeds_only_where_they_have_to(stage):
    on = stage(LOOKS)
    summary = on.run()
    seeds = Counter((t.arm, t.seed < 3 if t.arm != "baseline" else t.seed < 6) for t in on.plan.trials if t.id in on.ran)  # fmt: skip
    assert seeds == {("baseline", True): 6, ("shift=false", True): 3}  # 10 points: one look
    assert (summary.exit_code, summary.missing) == (0, 0)
    assert on.heard.expected[0] == (0, 9, 15)
    assert on.heard.expected[-1] == (9, 9, 9)


def test_what_tuning_tries_is_written_down_before_it_runs(stage):
    on = stage(TUNED)
    unknown = []

    def script(job):
        ledger = on.home.ledger(on.plan.study.name, on.plan.declaration)
        known = {t for arm in ledger.arms.values() for e in arm for t in (*e.trials, *e.finals)}
        unknown.extend({job.trial} - known - set(ids(on)))
        return calm(job)

    summary = on.run(script)
    assert unknown == []
    kinds = Counter(job.kind for job in on.execution.submitted)
    assert kinds["tune"] == 2 * 3
    assert summary.exit_code == 0
    assert all("test/accuracy" not in on.outcome(j.trial).metrics for j in on.execution.submitted if j.kind == "tune")  # fmt: skip
    assert on.run().exit_code == 0
    assert on.ran == []


def test_a_recipe_that_diverges_in_tuning_is_no_failure_of_the_study(stage):
    on = stage(TUNED)
    nan = [("diverged", {"kind": "nan", "message": "nan"})]
    summary = on.run(lambda job: nan if job.kind == "tune" and job.recipe["train"]["lr"] > 0.004 else calm(job))  # fmt: skip
    assert summary.exit_code == 0


def test_only_one_arm_runs_where_only_one_is_asked_for(stage):
    on = stage()
    summary = on.run(only=("shift=false",))
    assert [t.arm for t in on.plan.trials if t.id in on.ran] == ["shift=false"] * 3
    assert (summary.exit_code, summary.counts, summary.missing) == (0, {"done": 3}, 0)
    assert on.heard.expected[0] == (0, 3, 3)


NODES = [Slot(index=i, device="cuda:0", host=f"n{i}") for i in range(2)]


def test_from_a_login_node_without_a_gpu_trials_train_alone_and_that_is_said(stage, monkeypatch):
    """Nobody there knows the memory of the nodes' GPUs, and the study runs all the same."""
    on = stage()
    monkeypatch.setattr(fusing, "ASK", "raise SystemExit('no GPU here')")
    summary = on.run(elsewhere=lambda: NODES)
    assert (summary.exit_code, summary.counts) == (0, {"done": 6})
    assert all(len(batch.jobs) == 1 for batch in on.execution.batches)
    (line,) = on.heard.lines
    assert line == (
        "trials train alone, not fused: the memory of cuda:0 is not known: no GPU here; "
        "--fuse 8 needs not know it"
    )


@pytest.mark.parametrize(("fuse", "sizes"), [(None, [3, 3]), (1, [1] * 6), (2, [2, 2, 1, 1])])
def test_from_a_node_with_a_gpu_they_are_fused_as_anywhere(stage, monkeypatch, fuse, sizes):
    fusing.memory.cache_clear()
    monkeypatch.setattr(fusing, "ASK", "print(1 << 40, 1 << 41)")
    on = stage()
    on.run(elsewhere=lambda: NODES, fuse=fuse)
    assert [len(batch.jobs) for batch in on.execution.batches] == sizes
    fusing.memory.cache_clear()


@pytest.mark.parametrize(
    ("slots", "fuse", "sizes"),
    [(1, None, [3]), (2, None, [2, 1]), (4, None, [1, 1, 1]), (4, 3, [3])],
)
def test_no_gpu_is_idle_for_what_others_train_as_one(stage, monkeypatch, slots, fuse, sizes):
    """Three seeds are left: on two GPUs they are sooner done as two and one than as three."""
    fusing.memory.cache_clear()
    monkeypatch.setattr(fusing, "ASK", "print(1 << 40, 1 << 41)")
    on = stage()
    nodes = [replace(NODES[0], index=i) for i in range(slots)]
    on.run(elsewhere=lambda: nodes, slots=slots, fuse=fuse, only=("baseline",))
    assert [len(batch.jobs) for batch in on.execution.batches] == sizes
    fusing.memory.cache_clear()


@pytest.mark.parametrize("on_oom", ["fail", "halve"])
def test_what_has_no_memory_as_one_is_tried_with_fewer_and_nobody_is_blamed(stage, on_oom):
    """Three, then one by one, in whole batches: that is what their study asks for."""
    on = stage()

    def script(job):
        batch = on.execution.batches[-1].jobs
        told = {"kind": "oom", "message": "no memory", "together": len(batch)}
        started = ("started", {"fused": [each.trial for each in batch]})  # as a worker tells it
        return [started, ("failed", told)] if len(batch) > 1 else calm(job)

    summary = on.run(script, fuse=3, slots=1, only=("baseline",), on_oom=on_oom)
    assert (summary.exit_code, summary.counts) == (0, {"done": 3})
    assert [len(batch.jobs) for batch in on.execution.batches] == [3, 1, 1, 1]
    assert [job.parts for job in on.execution.submitted] == [None] * 6
    assert on.heard.lines == [
        f"baseline s{seed}: no memory; 3 trained as one, now at most 1 do; going on"
        for seed in range(3)
    ]


def test_an_arm_that_does_not_exist_is_refused(stage):
    with pytest.raises(InputError) as caught:
        check_only(stage().plan, ["shift=flase"])
    assert (caught.value.at, caught.value.hint) == ("--only", "did you mean 'shift=false'?")


def test_other_images_than_those_recorded_are_refused(stage, monkeypatch):
    on = stage()
    on.run(only=("baseline",))
    real = on.home.outcomes
    monkeypatch.setattr(on.home, "outcomes", lambda trials: {t: replace(o, provenance={"data": "0" * 64}) for t, o in real(trials).items()})  # fmt: skip
    with pytest.raises(InputError, match="the images of 'digits' are not those"):
        on.run()
    assert on.ran == []


def test_a_record_is_read_before_its_trial_is_trained_and_when_a_study_starts(stage, monkeypatch):
    on = stage()
    real, reads = on.home.outcome, []
    monkeypatch.setattr(on.home, "outcome", lambda trial: (reads.append(trial), real(trial))[1])
    on.run()
    assert sorted(reads) == sorted(ids(on))
    reads.clear()
    on.run()
    assert sorted(reads) == sorted(ids(on))


def test_one_coordinator_at_a_time(stage):
    on = stage()
    with on.home.owned("study"), pytest.raises(EnvironmentFault, match="is already running"):
        on.run()
    assert on.ran == []


@pytest.mark.parametrize(
    ("kind", "data", "stopping", "fate"),
    [
        ("done", {}, True, "recorded"),
        ("diverged", {}, True, "recorded"),
        ("failed", {"kind": "exception"}, True, "recorded"),
        ("failed", {"kind": "disk"}, False, "disk full"),
        ("stopped", {}, True, "later"),
        ("lost", {"kind": "killed"}, True, "later"),
        ("lost", {"kind": "killed"}, False, "again"),
    ],
)
def test_what_becomes_of_a_trial_by_how_its_attempt_ended(kind, data, stopping, fate):
    """A worker that dies while the study stops is no failure of its trial: it goes on later."""
    last = Event(trial="t", attempt=1, kind=kind, at=1, data=data)
    assert attempts.Attempts().fate(last, stopping=stopping) == fate


def test_images_are_read_from_a_folder_of_their_own(tmp_path, datasets, plans):
    """And where they are is noted, for workers elsewhere to look there."""
    on = Stage(tmp_path / "home", datasets, plans())
    (tmp_path / "home" / "datasets").unlink()
    on.home = Home(tmp_path / "home", datasets)
    assert on.run().exit_code == 0
    assert {job.data for job in on.execution.submitted} == {str(datasets)}
    assert not (tmp_path / "home" / "datasets").exists()
    (folder,) = json.loads((on.home.logs / "data-study.json").read_text())
    assert Path(folder).is_relative_to(datasets)
    assert (Path(folder) / "manifest.json").exists()
