"""Checkpoints of workers that do not see the home: what travels, and what is not believed."""

import base64
import json
import os
from dataclasses import replace

import pytest
import torch

from swinablate.execution.workers import courier
from swinablate.execution.workers.courier import Apart, Inbox, given, pieces
from swinablate.records.events import Batch, event
from swinablate.training import checkpoint
from tests.execution.jobs import Jobs


@pytest.fixture
def job(datasets, tmp_path):
    (tmp_path / "home").mkdir()
    made = Jobs(datasets, tmp_path / "home").make()
    return replace(made, folder=str(tmp_path / "home/attempt"), resume=())


def state(number, size=20_000):
    """A checkpoint of several lines."""
    weights = {"w": torch.full((size,), float(number))}
    return {"model": weights, "optimizer": {"x": 1}, "progress": {"best": {}, "epoch": number}}


def lines_of(trial, path, left=()):
    return [json.loads(line)["kept"] for line in pieces(trial, 1, path, list(left))]


class Both:
    """A worker apart and the coordinator's inbox, with nothing but lines between."""

    def __init__(self, job, monkeypatch, tmp_path):
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr(courier.tempfile, "tempdir", None)
        self.lines, self.inbox, self.job = [], Inbox(), job
        self.home = tmp_path / "home/attempt"
        self.apart = Apart(self.lines.append)
        (self.here,) = self.apart.moved(Batch(jobs=(job,))).jobs
        self.folder = courier.Path(self.here.folder)

    def happened(self, kind):
        self.apart.hear(event(self.here, kind))
        while self.lines:
            self.inbox.take(json.loads(self.lines.pop(0))["kept"], self.home)

    def names(self):
        return sorted(path.name for path in self.home.glob("*"))


@pytest.fixture
def both(job, monkeypatch, tmp_path):
    made = Both(job, monkeypatch, tmp_path)
    yield made
    made.apart.close()


def test_what_a_worker_writes_lies_in_the_home_as_if_it_wrote_there(both):
    assert not both.folder.is_relative_to(both.home.parent)
    for number in (1, 2, 3):
        checkpoint.save(both.folder, number, state(number))
        both.happened("epoch")
        assert len(both.names()) == min(number - 1, 2)
        both.happened("checkpoint")
    theirs, ours = sorted(both.folder.iterdir()), sorted(both.home.iterdir())
    assert [path.name for path in theirs] == both.names()
    assert [path.read_bytes() for path in theirs] == [path.read_bytes() for path in ours]
    assert len(ours) == checkpoint.KEPT
    both.happened("checkpoint")  # nothing was written since
    assert not both.lines


def test_the_end_leaves_the_weights_at_home_and_nothing_on_the_worker(both):
    checkpoint.save(both.folder, 4, state(4))
    both.happened("checkpoint")
    checkpoint.finish(both.folder, 4, state(4))  # the same name, other bytes
    both.happened("done")
    (kept,) = both.home.iterdir()
    loaded = checkpoint.load_checkpoint([both.home], torch.device("cpu"))
    assert checkpoint.finished(loaded)
    assert kept.name == "checkpoint-000000000004.pt"
    assert not both.folder.exists()


def test_the_next_attempt_has_the_newest_that_arrived(both, job, tmp_path):
    for number in (1, 2, 3):
        checkpoint.save(both.folder, number, state(number))
        both.happened("checkpoint")
    again = replace(job, attempt=2, folder=str(tmp_path / "home/2"), resume=(job.folder,))
    other = Apart(lambda _: None)
    for line in given(Batch(jobs=(again,))):
        other.take(line)
    (here,) = other.moved(Batch(jobs=(again,))).jobs
    folders = [courier.Path(folder) for folder in (here.folder, *here.resume)]
    loaded = checkpoint.load_checkpoint(folders, torch.device("cpu"))
    assert loaded["progress"]["epoch"] == 3
    assert len(list(folders[1].iterdir())) == courier.NEWEST
    other.close()
    assert not folders[1].exists()


def test_a_transfer_that_broke_off_is_no_checkpoint_and_spoils_none(both):
    path = checkpoint.save(both.folder, 1, state(1))
    whole = lines_of(both.job.trial, path, [path.name])
    assert len(whole) > 2
    for told in whole[:-1]:
        both.inbox.take(told, both.home)
    assert not both.home.exists()
    for told in whole[1:]:  # a begin is missing
        Inbox().take(told, both.home)
    assert not both.home.exists()
    for told in whole:
        both.inbox.take(told, both.home)
    assert both.names() == [path.name]


@pytest.mark.parametrize("name", ["../result.json", "checkpoint-1.pt", "/etc/passwd"])
def test_no_other_file_is_written_on_a_workers_word(both, name):
    content = b"0" * 64 + b"\n"
    told = {"trial": "t", "attempt": 1, "name": name, "part": 0, "left": []}
    both.inbox.take(told | {"data": base64.b64encode(content).decode()}, both.home)
    assert not both.home.exists()


def test_what_came_damaged_is_not_written_over_what_is_whole(both, caplog):
    path = checkpoint.save(both.folder, 1, state(1))
    both.happened("checkpoint")
    before = (both.home / path.name).read_bytes()
    path.write_bytes(before[:-1])
    os.utime(path, ns=(1, 1))
    both.happened("checkpoint")
    assert (both.home / path.name).read_bytes() == before
    assert "came damaged" in caplog.text


def test_one_that_is_too_large_is_told_of_and_stays(both, monkeypatch):
    monkeypatch.setattr(courier, "MOST_MIB", 0)
    path = checkpoint.save(both.folder, 1, state(1))
    (told,) = lines_of(both.job.trial, path)
    assert "data" not in told
    assert told["mib"] == 0


def test_a_line_with_its_part_is_read_at_once(both):
    path = checkpoint.save(both.folder, 1, state(1))
    assert max(map(len, pieces("f" * 64, 10, path, [path.name] * 2))) < 1 << 16


def test_a_job_that_keeps_nothing_is_not_moved(both, job):
    probe = replace(job, folder="", kind="timing")
    assert both.apart.moved(Batch(jobs=(probe,))).jobs == (probe,)
