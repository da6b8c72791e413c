"""Every executor: whatever becomes of a job, it ends once, and its slot runs the next.

A new executor is tested by existing. What one cannot do, because it has no processes or needs
another machine, stands in `WAYS`.
"""

import contextlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swinablate.config import plugins
from swinablate.execution.executor import Execution, Executor, Slot
from swinablate.execution.executors.ray import Ray
from swinablate.execution.executors.slurm import Slurm
from swinablate.models.registry import load_family
from swinablate.records.events import ENDINGS, Batch, Event, Job
from swinablate.training.fit import fit
from tests.conformance.conftest import REAL
from tests.execution.jobs import Jobs

NAMES = [
    pytest.param(name, marks=pytest.mark.integration if name in REAL else ())
    for name in plugins.names("swinablate.execution.executors")
]
PATIENCE_S = 120.0
"""A loaded machine of two cores imports torch in 20 s."""


@dataclass(frozen=True)
class Way:
    """What an executor is opened with, and whether batches run while nobody polls.

    Its slots may be free late: a cluster starts workers when it can.
    """

    slots: int = 2
    apart: bool = True


WAYS = {"serial": Way(slots=1, apart=False)}
APART = [name for name in NAMES if WAYS.get(str(name.values[0]), Way()).apart]
LATE = (Slurm, Ray)


def never() -> bool:
    return False


def opened(name: str, logs: Path, stopping: Callable[[], bool] = never, slots: int = 0) -> Execution:  # fmt: skip
    executor = plugins.load("swinablate.execution.executors", name, Executor)
    count = slots or WAYS.get(name, Way()).slots
    execution = executor.open([Slot(index=i, device="cpu") for i in range(count)], logs, stopping)
    regain(execution, count)
    return execution


def regain(execution: Execution, slots: int) -> None:
    """All slots are free, and nothing is told until they are; at once, but on a cluster."""
    waits = isinstance(execution, LATE)
    assert not until(execution, lambda seen: execution.free == slots or not waits)
    assert execution.free == slots


def until(execution: Execution, true: Callable[[list[Event]], Any]) -> list[Event]:
    """Poll until something is true of all events so far."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_S
    while not true(events):
        assert time.monotonic() < deadline, events
        events += execution.poll(0.05)
    return events


def endings(events: Iterable[Event]) -> dict[str, Event]:
    """How each trial ended; every one that did ended once, and nothing came after it."""
    found: dict[str, Event] = {}
    for happened in events:
        assert happened.trial not in found, happened
        if happened.kind in ENDINGS:
            found[happened.trial] = happened
    return found


def ended(execution: Execution, *jobs: Job) -> list[Event]:
    """All events until the last of some jobs has ended; no others come."""
    events = until(execution, lambda seen: len(endings(seen)) == len(jobs))
    assert endings(events + execution.poll(0.05)).keys() == {job.trial for job in jobs}
    attempts = {job.trial: job.attempt for job in jobs}
    assert all(happened.attempt == attempts[happened.trial] for happened in events)
    return events


def run(execution: Execution, *jobs: Job) -> list[Event]:
    execution.submit(Batch(jobs=jobs))
    return ended(execution, *jobs)


def numbers(result: Any) -> dict[str, Any]:
    """What a result says without clocks."""
    kept = {k: v for k, v in result["metrics"].items() if not k.startswith(("time", "memory"))}
    return kept | {"predictions": result["predictions"]}


def curve(events: Iterable[Event]) -> list[dict[str, Any]]:
    rows = [happened.data for happened in events if happened.kind == "epoch"]
    return [{k: row[k] for k in ("epoch", "train/loss", "val/accuracy")} for row in rows]


@pytest.fixture(autouse=True)
def cluster(request) -> None:
    """The real one, for what asks for it."""
    callspec = getattr(request.node, "callspec", None)
    for name in REAL:
        if callspec is not None and name in callspec.params.values():
            request.getfixturevalue(name)


@pytest.fixture(scope="module")
def jobs(datasets, tmp_path_factory) -> Jobs:
    return Jobs(datasets, tmp_path_factory.mktemp("jobs"))


@pytest.fixture(scope="module")
def calm(jobs) -> dict[str, Any]:
    """What an undisturbed job measures, trained by itself in this process."""
    return numbers(fit(jobs.make(), lambda kind, data: None, never))


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Iterator[dict[str, Execution]]:
    """Executions that tests share which leave every slot usable."""
    made: dict[str, Execution] = {}
    yield made
    for execution in made.values():
        execution.close()


@pytest.fixture(params=NAMES)
def shared(request, kept, tmp_path_factory) -> Iterator[Execution]:
    yield from share(request.param, kept, tmp_path_factory)


@pytest.fixture(params=APART)
def apart(request, kept, tmp_path_factory) -> Iterator[Execution]:
    """Of those alone whose batches run by themselves."""
    yield from share(request.param, kept, tmp_path_factory)


def share(name: str, kept: dict[str, Execution], folders: pytest.TempPathFactory):
    """All slots are free before a test and after it, and it leaves no event to others."""
    if name not in kept:
        kept[name] = opened(name, folders.mktemp("logs"))
    slots = WAYS.get(name, Way()).slots
    regain(kept[name], slots)
    yield kept[name]
    regain(kept[name], slots)
    assert kept[name].poll(0.0) == []


def test_a_job_ends_once_after_its_events_in_order(shared, jobs, calm):
    job = jobs.make()
    events = run(shared, job)
    assert [happened.kind for happened in events] == [
        "started", "epoch", "epoch", "done",
    ]  # fmt: skip
    assert [row["epoch"] for row in curve(events)] == [1, 2]
    assert [e.at for e in events] == sorted(e.at for e in events)
    assert events[0].data["device"] == "cpu"
    assert numbers(events[-1].data) == calm


def test_a_slot_is_one_batch_whatever_is_in_it(shared, jobs):
    slots = shared.free
    alone = [jobs.make(seed=seed) for seed in range(slots - 1)]
    pair = jobs.make(), jobs.make(batch=32)
    for batch in [*((job,) for job in alone), pair]:
        before = shared.free
        shared.submit(Batch(jobs=batch))
        assert shared.free == before - 1
    assert shared.free == 0
    events = ended(shared, *alone, *pair)
    regain(shared, slots)
    assert {end.kind for end in endings(events).values()} == {"done"}


def test_a_slot_is_taken_until_the_last_job_of_its_batch_has_ended(apart, jobs):
    pair, slots = (jobs.make(), jobs.make("sleeps")), apart.free
    handle = apart.submit(Batch(jobs=pair))
    first = until(apart, endings)
    assert [*endings(first)] == [pair[0].trial]
    assert apart.free == slots - 1
    apart.cancel(handle)
    until(apart, lambda seen: pair[1].trial in endings(seen))


def test_jobs_that_train_as_one_have_events_and_an_ending_each(shared, jobs):
    config = load_family("swin", "").config(patch=2, width=8, depths=(2,), heads=(2,), window=2)
    pair = [jobs.of(config, seed=seed) for seed in range(2)]
    events = run(shared, *pair)
    of = defaultdict(list)
    for happened in events:
        of[happened.trial].append(happened)
    assert of.keys() == {job.trial for job in pair}
    for some in of.values():
        assert some[0].data["fused"] == [job.trial for job in pair]
        assert [row["epoch"] for row in curve(some)] == [1, 2]
        assert some[-1].kind == "done"
    first, second = (some[-1].data["predictions"]["sha256"] for some in of.values())
    assert first != second


def test_nothing_happens_where_nothing_runs(shared):
    began = time.monotonic()
    assert shared.poll(0.1) == []
    assert 0.05 < time.monotonic() - began < PATIENCE_S


ERRORS = {
    "raises": ("exception", "RuntimeError: out of patience"),
    "missing": ("exception", "FileNotFoundError: [Errno 2] No such file or directory: 'weights.pt'"),
    "disk_full": ("disk", "no space left: checkpoint.pt"),
    "no_memory": ("oom", "MemoryError:  (peak memory "),
    "no_cpu_memory": ("oom", "RuntimeError: [enforce fail at alloc_cpu.cpp"),
    "no_gpu_memory": ("oom", "OutOfMemoryError: tried to allocate 80 GiB (peak memory "),
}  # fmt: skip
"""Mood -> kind, and how the message begins."""


@pytest.mark.parametrize("mood", ERRORS)
def test_an_error_ends_its_job_by_name_and_no_other(shared, jobs, calm, mood):
    events = run(shared, jobs.make(mood))
    assert [happened.kind for happened in events] == ["started", "failed"]
    told = events[-1].data
    kind, words = ERRORS[mood]
    assert told["kind"] == kind
    assert told["message"].startswith(words)
    assert f"in {mood}\n" in told["traceback"]
    assert numbers(run(shared, jobs.make())[-1].data) == calm


def test_what_no_pipe_takes_at_once_arrives_whole(shared, jobs):
    told = run(shared, jobs.make("raises_much"))[-1].data
    assert told["message"] == "RuntimeError: " + "\u00fcber" * 60_000


def test_a_job_behind_an_error_is_lost_and_may_be_tried_again(shared, jobs):
    broken, behind = jobs.make("raises"), jobs.make()
    ends = endings(run(shared, broken, behind))
    assert [ends[job.trial].kind for job in (broken, behind)] == ["failed", "lost"]
    assert ends[behind.trial].data["kind"] == "killed"


def test_divergence_is_no_error(shared, jobs, calm):
    events = run(shared, jobs.make("nan"), jobs.make())
    first, second = endings(events).values()
    assert first.kind == "diverged"
    assert first.data == {
        "kind": "nan",
        "message": "the loss of step 1 in epoch 1 is nan",
        "traceback": "",
    }
    assert numbers(second.data) == calm


def test_what_a_network_prints_is_no_event(shared, jobs, calm):
    events = run(shared, jobs.make("prints"))
    assert [happened.kind for happened in events][-1] == "done"
    assert numbers(events[-1].data) == calm


def test_a_batch_cancelled_at_once_is_lost(shared, jobs, calm):
    pair, slots = (jobs.make("sleeps"), jobs.make()), shared.free
    handle = shared.submit(Batch(jobs=pair))
    shared.cancel(handle)
    shared.cancel(handle)
    events = ended(shared, *pair)
    assert {(end.kind, end.data["kind"]) for end in endings(events).values()} == {("lost", "hung")}
    regain(shared, slots)
    shared.cancel(handle)
    assert numbers(run(shared, jobs.make())[-1].data) == calm


def test_a_batch_cancelled_while_it_hangs_is_lost(apart, jobs, calm):
    job, slots = jobs.make("sleeps"), apart.free
    handle = apart.submit(Batch(jobs=(job,)))
    until(apart, len)
    apart.cancel(handle)
    apart.cancel(handle)
    (lost,) = ended(apart, job)
    assert (lost.kind, lost.data["kind"]) == ("lost", "hung")
    regain(apart, slots)
    assert numbers(run(apart, jobs.make())[-1].data) == calm


@pytest.mark.parametrize("name", NAMES)
def test_cancelling_what_has_ended_leaves_the_next_batch_alone(name, jobs, tmp_path):
    execution = opened(name, tmp_path, slots=1)
    handle = execution.submit(Batch(jobs=(first := jobs.make(),)))
    ended(execution, first)
    execution.cancel(handle)
    execution.submit(Batch(jobs=(second := jobs.make(),)))
    execution.cancel(handle)
    assert ended(execution, second)[-1].kind == "done"
    execution.close()


def test_the_batch_right_after_an_error_has_a_process_that_is_clean(shared, jobs):
    shared.submit(Batch(jobs=(jobs.make("raises"),)))
    until(shared, endings)
    shared.submit(Batch(jobs=(job := jobs.make(),)))
    assert ended(shared, job)[-1].kind == "done"


def test_a_cancel_that_comes_too_late_leaves_the_next_batch_alone(apart, jobs):
    """The batch had ended, but nobody had polled: its process is killed all the same."""
    handle = apart.submit(Batch(jobs=(first := jobs.make(),)))
    until(apart, curve)
    time.sleep(0.5)  # most likely it ends meanwhile
    apart.cancel(handle)
    until(apart, lambda seen: first.trial in endings(seen))
    apart.submit(Batch(jobs=(job := jobs.make(),)))
    assert ended(apart, job)[-1].kind == "done"


@pytest.mark.parametrize(("mood", "how"), [("killed", "signal SIGKILL"), ("exits", "exit code 3")])
def test_a_batch_whose_process_ends_is_lost_and_says_how(apart, jobs, calm, mood, how):
    pair = jobs.make(mood), jobs.make()
    ends = endings(run(apart, *pair))
    for end in ends.values():
        assert (end.kind, end.data["kind"]) == ("lost", "killed")
        assert how in end.data["message"]
    assert numbers(run(apart, jobs.make())[-1].data) == calm


def goes_on(jobs: Jobs, stopped: Job, **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a later attempt measures, and where it began."""
    heard: dict[str, Any] = {}
    job = jobs.make(resume=(stopped.folder,), **changes)
    result = fit(job, heard.setdefault, never)
    return numbers(result), heard["resumed"]


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_before_the_first_step_loses_nothing(name, jobs, calm, tmp_path):
    execution = opened(name, tmp_path, slots=1)
    execution.submit(Batch(jobs=(job := jobs.make("lingers"),)))
    execution.stop()
    assert ended(execution, job)[-1].kind == "stopped"
    execution.close()
    assert goes_on(jobs, job)[0] == calm


@pytest.mark.parametrize("name", NAMES)
def test_a_later_attempt_goes_on_where_a_stop_came(name, jobs, tmp_path):
    asked, epochs = 0, 50  # of 5 steps; far more than pass before a stop is heard

    def soon() -> bool:
        nonlocal asked
        asked += 1
        return asked > 7

    execution = opened(name, tmp_path, soon, slots=1)
    execution.submit(Batch(jobs=(job := jobs.make("lingers", epochs=epochs),)))
    events: list[Event] = []
    if WAYS.get(name, Way()).apart:
        events = until(execution, curve)
        execution.stop()
    events += ended(execution, job)
    assert events[-1].kind == "stopped"
    execution.close()
    found, at = goes_on(jobs, job, epochs=epochs)
    assert (1, 0) <= (at["epoch"], at["step"]) < (epochs, 0)
    assert found == numbers(fit(jobs.make(epochs=epochs), lambda kind, data: None, never))


def files() -> dict[str, str]:
    """Open descriptors of this process, and what they are."""
    found = {}
    for file in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found[file.name] = str(file.readlink())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", APART)
def test_closing_ends_all_that_runs_and_lets_go_of_every_file(name, jobs, calm, tmp_path):
    """A child of the network holds one end of a pipe: it is closed when the child is gone."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    before = files()
    execution = opened(name, tmp_path, slots=2)
    run(execution, jobs.make())
    for job in (jobs.make("has_a_child", fifo=str(fifo)), jobs.make("sleeps")):
        execution.submit(Batch(jobs=(job,)))
    events = until(execution, lambda seen: len(seen) == 2)
    pids = [happened.data["pid"] for happened in events]
    eventually(lambda: held(end))
    execution.close()
    eventually(lambda: not held(end))
    eventually(lambda: not any(map(lives, pids)))
    assert files() == before
    assert execution.poll(0.0) == []
    execution.close()
    os.close(end)


@pytest.mark.parametrize("name", NAMES)
def test_there_are_no_events_after_closing(name, jobs, tmp_path):
    execution = opened(name, tmp_path)
    execution.submit(Batch(jobs=(jobs.make(),)))
    execution.close()
    assert execution.poll(0.0) == []
    execution.close()
    assert execution.poll(0.0) == []


def held(end: int) -> bool:
    """Whether anybody has the other end of a pipe open."""
    try:
        return bool(os.read(end, 1))
    except BlockingIOError:
        return True


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody waits for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
