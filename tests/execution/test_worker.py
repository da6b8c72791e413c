"""A worker by itself: what it reads, what it writes, and when it ends."""

import re
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from swinablate.execution.executor import Slot
from swinablate.execution.processes import Anew
from swinablate.execution.worker import AFTERWARDS, execute, failure
from swinablate.records.events import Batch, Event
from tests.execution.jobs import Jobs


@pytest.fixture
def jobs(datasets, tmp_path) -> Jobs:
    return Jobs(datasets, tmp_path)


@pytest.fixture
def worker(tmp_path):
    """A new one, in its own process."""
    with (tmp_path / "worker.log").open("ab") as log:
        process = Anew().start(Slot(index=0, device="cpu"), log)
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def send(process, line: str) -> None:
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()


def heard(process, *kinds: str) -> list[Event]:
    """Events up to the first of some kinds."""
    events = [Event.loads(process.stdout.readline().decode())]
    while events[-1].kind not in kinds:
        events.append(Event.loads(process.stdout.readline().decode()))
    return events


def test_batches_are_served_in_turn_until_the_input_ends(worker, jobs):
    for _ in range(2):
        send(worker, Batch(jobs=(jobs.make(),)).dumps())
    first, second = heard(worker, "done"), heard(worker, "done")
    assert first[-1].data["predictions"] == second[-1].data["predictions"]
    assert first[0].data["pid"] == second[0].data["pid"]
    worker.stdin.close()
    assert worker.wait() == 0
    assert worker.stdout.read() == b""


def test_an_operation_without_a_deterministic_form_is_named_with_a_way_out(jobs):
    """Torch itself refuses `put_`, on a CPU too; its own advice is to let it vary."""
    found = []
    assert not execute(Batch(jobs=(jobs.make("other_bits"),)), found.append, lambda: False)
    assert found[-1].data["message"] == (
        "put_ has no deterministic form on this device; put another layer in its place, or run "
        "this study with --devices cpu"
    )


def test_an_input_that_ends_ends_a_batch_that_runs(worker, jobs):
    """Its coordinator is gone: nobody would read what it still wrote."""
    send(worker, Batch(jobs=(jobs.make("sleeps"),)).dumps())
    heard(worker, "started")
    worker.stdin.close()
    assert worker.wait() == 0


def test_ctrl_c_is_for_others_and_stop_is_heard(worker, jobs):
    send(worker, Batch(jobs=(jobs.make("lingers", epochs=100),)).dumps())
    (started,) = heard(worker, "started")
    subprocess.run(["kill", "-INT", str(started.data["pid"])], check=True)
    heard(worker, "epoch")
    send(worker, '{"stop": true}')
    heard(worker, "stopped")


def test_an_error_ends_the_worker(worker, jobs):
    send(worker, Batch(jobs=(jobs.make("raises"),)).dumps())
    heard(worker, "failed")
    assert worker.wait() == 1


def test_what_goes_on_record_of_an_error_has_no_secret(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hunter2/")
    try:
        int("of http://me:s3cret@h: hunter2%2F")
    except ValueError as error:
        found = failure(error, Batch(jobs=()))
    assert found["message"].endswith("with base 10: 'of http://me:***@h: ***'")
    assert "ValueError: invalid literal" in found["traceback"]
    assert not any(secret in str(found) for secret in ("s3cret", "hunter2"))


def test_killing_takes_it_at_once(worker):
    worker.kill()
    assert worker.wait() == -signal.SIGKILL


def test_a_worker_imports_none_of_the_heavy_libraries():
    code = "import sys, swinablate.execution.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"mlflow", "optuna", "pandas", "matplotlib", "torchvision", "sklearn"}
    assert heavy.isdisjoint(done.stdout.split())


def test_a_probe_times_what_is_open_and_trains_nothing(jobs):
    events: list[Event] = []
    job = jobs.make(kind="probe", matmul="auto")
    assert execute(Batch(jobs=(job,)), events.append, lambda: False)
    assert [happened.kind for happened in events] == ["started", "done"]
    rows = events[-1].data["measured"]
    assert [row["matmul"] for row in rows] == ["highest", "medium"]
    assert all(row["step_s"] > 0 for row in rows)


def test_what_cannot_train_as_one_says_why_and_trains_one_after_the_other(jobs):
    events: list[Event] = []
    pair = jobs.make(), jobs.make(ema=0.5)
    assert execute(Batch(jobs=pair), events.append, lambda: False)
    started = [happened for happened in events if happened.kind == "started"]
    assert [happened.trial for happened in started] == [job.trial for job in pair]
    assert all(happened.data["alone"] for happened in started)
    assert [e.trial for e in events if e.kind == "done"] == [job.trial for job in pair]


def test_a_process_is_clean_after_every_ending_but_an_error(jobs):
    events: list[Event] = []
    assert execute(Batch(jobs=(jobs.make("nan"),)), events.append, lambda: False)
    assert execute(Batch(jobs=(jobs.make(),)), events.append, lambda: True)
    assert [e.kind for e in events] == ["started", "diverged", "started", "stopped"]
    events.clear()
    assert not execute(
        Batch(jobs=(jobs.make("raises"), jobs.make())), events.append, lambda: False
    )
    assert events[-1].data == {"kind": "killed", "message": AFTERWARDS}


def test_trials_that_train_as_one_diverge_each_by_itself(jobs):
    events: list[Event] = []
    pair = jobs.make(clip=0.0), jobs.make(clip=0.0, lr=1e38)
    assert execute(Batch(jobs=pair), events.append, lambda: False)
    assert [e.data.get("fused") for e in events[:2]] == [[job.trial for job in pair]] * 2
    ends = {e.trial: e.kind for e in events}
    assert [ends[job.trial] for job in pair] == ["done", "diverged"]


def test_trials_that_train_as_one_fail_as_one(jobs, tmp_path):
    events: list[Event] = []
    pair = [replace(jobs.make(seed=seed), data=str(tmp_path / "none")) for seed in range(2)]
    assert not execute(Batch(jobs=tuple(pair)), events.append, lambda: False)
    assert [(e.trial, e.kind, e.data["kind"]) for e in events] == [
        (job.trial, "failed", "data") for job in pair
    ]


def test_trials_that_train_as_one_stop_as_one(jobs):
    events: list[Event] = []
    pair = tuple(jobs.make(seed=seed) for seed in range(2))
    assert execute(Batch(jobs=pair), events.append, lambda: True)
    assert [e.kind for e in events[-2:]] == ["stopped", "stopped"]


def told(error: Exception, batch: Batch) -> tuple[str, str]:
    found = failure(error, batch)
    return found["kind"], found["message"]


def test_too_little_memory_of_a_cpu_is_named_with_what_took_it(jobs):
    """F6: torch has an error class for GPUs alone."""
    with pytest.raises(RuntimeError) as error:
        torch.empty(1 << 50)
    kind, message = told(error.value, Batch(jobs=(jobs.make(batch=48),)))
    assert kind == "oom"
    assert "can't allocate memory: you tried to allocate 4503599627370496 bytes" in message
    assert re.search(
        r"\(peak memory \d{2,} MiB, a batch of 48 images; "
        r"train.accumulate = 2 or a smaller batch needs less\)$",
        message,
    )


def test_the_hint_at_memory_follows_what_is_in_use_already(jobs):
    parts = Batch(jobs=(jobs.make(accumulate=4),))
    assert "16 images in 4 parts; train.accumulate = 8 or" in told(MemoryError(), parts)[1]
    pair = Batch(jobs=(jobs.make(), jobs.make(seed=1)))
    assert "16 images for each of 2 trials that train as one; --fuse off" in told(
        MemoryError(), pair
    )[1]  # fmt: skip


def test_a_runtime_error_of_another_cause_is_no_want_of_memory(jobs):
    assert told(RuntimeError("memory"), Batch(jobs=(jobs.make(),))) == (
        "exception", "RuntimeError: memory",
    )  # fmt: skip
