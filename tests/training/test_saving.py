"""Checkpoints by time, written beside the training: nothing lost, nothing torn, nothing late."""

import errno
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from swinablate.execution import worker
from swinablate.records.events import CHECKPOINT_S, Batch
from swinablate.training import checkpoint, fit, saving
from swinablate.training.saving import Saver
from tests.training.test_checkpoint import CPU, state
from tests.training.test_fit import equal, make_job


class Clock:
    """Seconds that pass when somebody says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def disk(monkeypatch):
    """A disk that writes when it is let go, and what it has begun to write."""

    class Disk:
        def __init__(self) -> None:
            self.go, self.begun, self.fault = threading.Event(), [], None

        def save(self, folder, step, state):
            self.begun.append(step)
            assert self.go.wait(30)
            if self.fault:
                raise self.fault
            return real(folder, step, state)

    real, found = checkpoint.save, Disk()
    monkeypatch.setattr(checkpoint, "save", found.save)
    return found


def steps(folder: Path) -> set[int]:
    return checkpoint.steps([folder])


def test_a_checkpoint_is_due_when_the_last_state_is_old_enough(tmp_path):
    clock = Clock()
    with Saver(30.0, clock) as saver:
        for now, due in ((0, False), (29, False), (30, True), (50, True)):
            clock.now = now
            assert saver.due is due
        saver.save([(tmp_path, 1, state(1))])
        assert not saver.due
        clock.now = 80
        assert saver.due


def test_training_goes_on_while_the_state_of_then_is_written(tmp_path, disk):
    told, kept = [], state(1)
    shared = kept["progress"]["curve"] = [{"epoch": 1}]
    with Saver(0.0) as saver:
        saver.save([(tmp_path, 1, kept)], lambda: told.append(1))
        kept["model"]["weights"].fill_(7.0)
        shared.append({"epoch": 2})
        saver.look()
        assert (told, steps(tmp_path)) == ([], set())
        disk.go.set()
    assert told == [1]
    found = checkpoint.load_checkpoint([tmp_path], CPU)
    assert found["model"]["weights"].tolist() == [1.0] * 3
    assert found["progress"]["curve"] == [{"epoch": 1}]


def test_a_second_waits_for_the_first_and_both_are_written(tmp_path, disk):
    with Saver(0.0) as saver:
        saver.save([(tmp_path, 1, state(1))])
        threading.Timer(0.2, disk.go.set).start()
        saver.save([(tmp_path, 2, state(2))])
        assert disk.begun[0] == 1
        assert 1 in steps(tmp_path)
    assert steps(tmp_path) == {1, 2}


@pytest.mark.parametrize("ask", ["look", "wait", "save", "end"])
def test_what_a_write_raises_the_run_raises_when_it_next_asks(tmp_path, disk, ask):
    disk.fault = OSError(errno.ENOSPC, "No space left on device")
    disk.go.set()

    late = []

    def run():
        with Saver(0.0) as saver:
            saver.save([(tmp_path, 1, state(1))], lambda: pytest.fail("it was not written"))
            while ask == "look":  # nothing happens until the write has ended
                saver.look()
            if ask == "save":
                saver.save([(tmp_path, 2, state(2))])
            elif ask == "wait":
                saver.wait()
            late.append(ask)

    with pytest.raises(OSError, match="No space left"):
        run()
    assert disk.begun == [1]
    assert late == ["end"] * (ask == "end")


def test_another_error_ends_the_run_when_the_write_has_ended_and_is_the_one_told(
    tmp_path, disk, caplog
):
    disk.fault = OSError(errno.ENOSPC, "No space left on device")
    threading.Timer(0.2, disk.go.set).start()

    def run():
        with Saver(0.0) as saver:
            saver.save([(tmp_path, 1, state(1))])
            raise ValueError("of the training")

    with pytest.raises(ValueError, match="of the training"):
        run()
    assert disk.go.is_set()
    assert "no checkpoint was written: [Errno 28] No space left" in caplog.text


def test_a_copy_keeps_what_is_shared_laid_out_and_said_of_layers():
    layer = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    tied = torch.nn.ModuleDict({"a": layer, "b": layer, "norm": torch.nn.BatchNorm2d(4)})
    row = torch.zeros(1000)[:2]
    given = {"model": tied.state_dict(), "row": row, "empty": [torch.ones(0), torch.ones(0, 2)]}
    found = saving.on_host(given)
    assert equal(found, given)
    weights = found["model"]
    assert weights["a.weight"].data_ptr() == weights["b.weight"].data_ptr()
    assert weights["a.weight"].data_ptr() != layer.weight.data_ptr()
    assert weights["a.weight"].stride() == layer.weight.stride()
    assert weights._metadata["norm"] == {"version": 2}
    assert found["row"].untyped_storage().nbytes() == 8  # not the thousand it was cut from


def test_by_default_a_short_run_writes_its_end_alone(datasets, tmp_path):
    told = []
    job = replace(make_job(datasets, tmp_path / "run"), checkpoint_s=CHECKPOINT_S)
    fit.fit(job, lambda kind, _: told.append(kind), lambda: False)
    assert told == ["epoch"] * 3
    assert steps(tmp_path / "run") == {18}


def test_a_stop_writes_what_is_due_at_once_however_new_the_last_is(datasets, tmp_path):
    job = replace(make_job(datasets, tmp_path / "run"), checkpoint_s=CHECKPOINT_S)
    asked = iter([False] * 8)
    with pytest.raises(fit.Stopped):
        fit.fit(job, lambda *_: None, lambda: next(asked, True))
    assert steps(tmp_path / "run") == {8}


@pytest.mark.parametrize("together", [False, True])
def test_a_full_disk_is_the_failure_of_the_trial_whose_state_was_not_written(
    datasets, tmp_path, disk, together
):
    disk.fault = OSError(errno.ENOSPC, "No space left on device", "a file")
    disk.go.set()
    jobs = [
        replace(make_job(datasets, tmp_path / str(seed), seed=seed), trial=f"t{seed}")
        for seed in range(1 + together)
    ]
    happened = []
    assert not worker.execute(Batch(jobs=tuple(jobs)), happened.append, lambda: False)
    last = {event.trial: event for event in happened}
    assert {event.kind for event in last.values()} == {"failed"}
    assert {event.data["kind"] for event in last.values()} == {"disk"}
    assert {event.data["message"] for event in last.values()} == {"no space left: a file"}


def test_what_has_no_memory_as_one_says_how_many_it_was(datasets, tmp_path, monkeypatch):
    def fit_fused(*_):
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")

    monkeypatch.setattr(worker, "fit_fused", fit_fused)
    jobs = [
        replace(make_job(datasets, tmp_path / str(seed), seed=seed), trial=f"t{seed}")
        for seed in range(2)
    ]
    happened = []
    assert not worker.execute(Batch(jobs=tuple(jobs)), happened.append, lambda: False)
    assert [(event.trial, event.kind) for event in happened[2:]] == [
        ("t0", "failed"),
        ("t1", "failed"),
    ]
    assert all(
        event.data["kind"] == "oom" and event.data["together"] == 2 for event in happened[2:]
    )


@pytest.mark.parametrize("together", [False, True])
def test_a_trial_is_done_after_its_last_checkpoint_was_told(datasets, tmp_path, together):
    jobs = [
        replace(make_job(datasets, tmp_path / str(seed), seed=seed), trial=f"t{seed}")
        for seed in range(1 + together)
    ]
    happened = []
    assert worker.execute(Batch(jobs=tuple(jobs)), happened.append, lambda: False)
    for job in jobs:
        own = [event for event in happened if event.trial == job.trial]
        told = [event.data["epoch"] for event in own if event.kind == "checkpoint"]
        assert told == [1, 2, 3]
        assert own[-1].kind == "done"
