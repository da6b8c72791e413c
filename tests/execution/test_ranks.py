"""A trial on several devices: real processes that train together, on CPUs."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from swinablate.config.family import ModelConfig
from swinablate.config.train import TrainConfig
from swinablate.execution import worker
from swinablate.execution.worker import execute
from swinablate.execution.workers import ranks
from swinablate.models.registry import load_family
from swinablate.records.events import Batch, Event, Job
from swinablate.training import checkpoint
from swinablate.training.fit import read_job
from swinablate.training.fused.stack import why_not
from swinablate.training.ranks import Ranks
from tests.execution.jobs import Jobs

SWIN = {"patch": 2, "width": 8, "depths": (2,), "heads": (2,), "window": 2}


@pytest.fixture
def jobs(datasets, tmp_path) -> Jobs:
    return Jobs(datasets, tmp_path)


def config(**changes) -> ModelConfig:
    return load_family("swin", "").config(**(SWIN | changes))


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def run(job: Job, stop_after: int | None = None) -> list[Event]:
    events, asked = [], 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    execute(Batch(jobs=(job,)), events.append, stopping)
    assert children() == []
    return events


def children() -> list[int]:
    """Processes of other ranks that this one started and that still run."""
    ask = ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())]
    lines = subprocess.run(ask, check=False, capture_output=True, text=True).stdout.splitlines()
    return [int(line.split()[0]) for line in lines if "execution.worker along" in line]


def numbers(events: list[Event]) -> list[dict]:
    """Rows of the curve without times, and the answers at the end."""
    assert events[-1].kind == "done", events[-1].data
    rows = [e.data for e in events if e.kind == "epoch"]
    plain = [{k: row[k] for k in ("epoch", "train/loss", "val/accuracy")} for row in rows]
    return [*plain, dict(events[-1].data["predictions"])]


def weights(job: Job) -> dict[str, torch.Tensor]:
    saved = checkpoint.load_checkpoint([Path(job.folder)], torch.device("cpu"))
    assert saved is not None
    return saved["model"]


@pytest.mark.integration
def test_two_processes_repeat_their_bits_and_differ_from_one_by_rounding(jobs):
    # Not Adam: it makes steps of the usual size of a gradient that is rounding alone.
    plain = {"optimizer": "sgd", "lr": 0.1, "accumulate": 2}
    one, two, again = (jobs.of(config(), world=world, **plain) for world in (1, 2, 2))
    alone, together, repeated = map(run, (one, two, again))
    assert numbers(together) == numbers(repeated)
    first, second, third = map(weights, (one, two, again))
    assert same(second, third)
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-6)
    assert not same(first, second)
    rows, others = numbers(alone), numbers(together)
    assert rows[0]["train/loss"] == pytest.approx(others[0]["train/loss"], abs=1e-5)
    assert together[-1].data["execution"]["world"] == 2
    assert "world" not in alone[-1].data["execution"]


@pytest.mark.slow
@pytest.mark.integration
def test_a_stopped_one_goes_on_to_the_same_bits(jobs):
    settings = {"world": 2, "epochs": 3, "ema": 0.9, "clip": 0.5}
    family = config(norm="batch", drop_path=0.3)
    whole = jobs.of(family, **settings)
    expected = numbers(run(whole))
    half = jobs.of(family, **settings)
    assert run(half, stop_after=7)[-1].kind == "stopped"
    rest = replace(jobs.of(family, resume=(half.folder,), **settings), trial=whole.trial)
    resumed = run(rest)
    assert resumed[1].kind == "resumed"
    assert numbers(resumed)[-2:] == expected[-2:]
    assert same(weights(whole), weights(rest))


@pytest.mark.parametrize(("images", "world"), [(50, 2), (95, 3), (7, 2), (0, 2), (30, 1)])
def test_batches_of_validation_images_are_shared_out_whole(images, world):
    """Each is judged once, beside those that it would be judged beside on one device."""
    shares = [Ranks(rank, world).share(images, 10).split(10) for rank in range(world)]
    found = sorted(part.tolist() for share in shares for part in share if len(part))
    assert found == [part.tolist() for part in torch.arange(images).split(10) if images]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


JUDGES = """
import sys
from pathlib import Path
import torch
from torch import nn
from swinablate.config.data import DataConfig
from swinablate.config.train import TrainConfig
from swinablate.data import batches, load_splits
from swinablate.training.evaluation import predict
from swinablate.training.ranks import Ranks

rank, meeting, root = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
batches.EVAL_VALUES = 25 * 64
cpu = torch.device("cpu")
val = load_splits(DataConfig(name="digits", limit=900), root, 0, "main", cpu).val
torch.manual_seed(0)
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10)).eval()
calls = []
model[0].register_forward_hook(lambda *_: calls.append(rank))
alone = predict(model, val, TrainConfig())
counts = [len(calls)]
model[2].running_mean += 5 * rank * torch.randn(10)  # of its own part of every batch
calls.clear()
ranks = Ranks(rank, 2)
ranks.join(cpu, meeting)
together = predict(model, val, TrainConfig(), ranks)
ranks.leave()
print(torch.equal(together, alone), together.unique().numel() > 3, *counts, len(calls))
"""


@pytest.mark.integration
def test_processes_judge_validation_images_together_as_the_first_would_alone(datasets, tmp_path):
    """With its statistics of batch norm; each looks at its own batches only."""
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", JUDGES, str(rank), str(tmp_path / "meeting"), str(datasets)],
            stdout=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=300)[0].split() for process in starting]
    (*judged, batches, first), (*also, _, second) = said
    assert judged == also == ["True", "True"]
    assert (batches, first, second) == ("6", "3", "3")


@pytest.mark.integration
def test_a_process_that_is_killed_costs_an_attempt_and_not_the_trial(jobs):
    job, events = jobs.of(config(), world=2, epochs=500), []
    thread = threading.Thread(
        target=execute, args=(Batch(jobs=(job,)), events.append, lambda: False)
    )
    # The kernel ends what a thread started when the thread does, so this one waits for it.
    thread.start()
    while not any(e.kind == "epoch" for e in events):
        assert thread.is_alive()
        time.sleep(0.05)
    (found,) = children()
    os.kill(found, signal.SIGKILL)
    thread.join(timeout=ranks.GRACE_S)
    assert not thread.is_alive()
    assert events[-1].kind == "lost"
    assert events[-1].data == {
        "kind": "killed",
        "message": "process 1 of the trial was ended by SIGKILL",
    }


@pytest.mark.slow
@pytest.mark.integration
def test_what_goes_wrong_in_another_process_is_said_by_the_first(jobs, monkeypatch):
    job = jobs.of(config(), world=2)
    real = subprocess.Popen

    def failing(command, **options):
        ours = "along" in command
        return real(["python", "-c", FAILS, *command[4:]] if ours else command, **options)

    monkeypatch.setattr(ranks.subprocess, "Popen", failing)
    (_, failed) = run(job)
    assert failed.kind == "failed"
    assert failed.data["kind"] == "oom"
    assert "process 1 of the trial: MemoryError: none left" in failed.data["message"]


FAILS = """
import sys
from swinablate.execution.worker import failure
from swinablate.execution.workers import ranks
def fit(job, report, stopping, team):
    raise MemoryError("none left")
ranks.fit = fit
ranks.follow(int(sys.argv[1]), failure)
"""


@pytest.mark.parametrize(
    ("code", "report", "expected"),
    [
        (
            1,
            '{"kind": "oom", "message": "none"}',
            ("failed", "oom", "process 1 of the trial: none"),
        ),
        (-9, "", ("lost", "killed", "process 1 of the trial was ended by SIGKILL")),
        (1, "", None),
    ],
)
def test_what_this_process_cannot_notice_is_said_before_it_ends(
    jobs, monkeypatch, code, report, expected
):
    """On a GPU it would wait for the other one for ever, and nobody knew what became of that."""
    monkeypatch.setattr(ranks, "GRACE_S", 0.01)
    ended, told, job = [], [], jobs.of(config(), world=2)
    monkeypatch.setattr(ranks.os, "_exit", ended.append)
    folder = Path(job.folder)
    if report:
        (folder / "rank-1.json").write_text(report)
    other = SimpleNamespace(poll=lambda: code)
    ranks._watch(
        [other], threading.Event(), folder, lambda error: told.append(worker._lost(job, error))
    )
    assert ended == [1]
    found = [(one.kind, one.data["kind"], one.data["message"]) for one in told]
    if expected is None:
        assert found == []
        return
    ((kind, why, message),) = found
    assert (kind, why) == expected[:2]
    assert expected[2] in message


@pytest.mark.slow
@pytest.mark.integration
def test_a_diverged_one_is_said_once(jobs):
    events = run(jobs.of(config(), world=2, lr=1e12, clip=0.0, epochs=20))
    assert [e.kind for e in events if e.kind in {"diverged", "failed", "lost", "done"}] == [
        "diverged"
    ]


def test_what_several_devices_cannot_do_is_refused():
    with pytest.raises(ValueError, match="a batch of 2 has no 4 parts"):
        TrainConfig(batch=2, world=4)
    with pytest.raises(ValueError, match="compile = false"):
        TrainConfig(compile=True, world=2)


def test_they_do_not_train_as_one_graph(jobs):
    recipe, _ = read_job(jobs.of(config(), world=2))
    assert "train.world" in (why_not([recipe, recipe]) or "")
