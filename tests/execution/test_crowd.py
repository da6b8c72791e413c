"""GPUs whose trials are let in by measured memory: a fake GPU, then real workers."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch

from swinablate.execution import worker
from swinablate.execution.executor import Slot
from swinablate.execution.executors import local
from swinablate.execution.worker import STEPS, execute
from swinablate.execution.workers.crowd import CONTEXT_MIB, GROWTH, Crowd, Gpu
from swinablate.records.events import ENDINGS, Batch, Event, Job, event
from swinablate.training import machine
from swinablate.training.graphs import SETTLED
from tests.conformance.test_executors import until
from tests.execution.jobs import Jobs


class Card:
    """A GPU of so many MiB, on which every process takes what its trial needs."""

    def __init__(self, mib: float) -> None:
        self.mib = mib
        self.held: dict[int, float] = {}  # slot -> MiB, kept by an idle process too

    @property
    def free(self) -> float:
        return self.mib - sum(CONTEXT_MIB + held for held in self.held.values())


class FakePool:
    """Processes on the cards: each batch takes a step at every poll, and ends when told."""

    def __init__(self, cards: dict[str, Card]) -> None:
        self.cards = cards
        self.workers: list[Any] = []
        self.needs: dict[str, float] = {}
        self.ending: set[str] = set()
        self.sent: list[Batch] = []

    def start(self, slot: Slot) -> Any:
        worker = type("Worker", (), {"slot": slot, "batch": None})()
        self.workers.append(worker)
        return worker

    def give(self, worker: Any, batch: Batch) -> Batch:
        worker.batch, worker.steps = batch, 0
        self.sent.append(batch)
        return batch

    def hear(self, timeout: float) -> list[Event]:
        return [found for worker in list(self.workers) for found in self._hear(worker)]

    def _hear(self, worker: Any) -> list[Event]:
        if worker.batch is None:
            return []
        (job,), card = worker.batch.jobs, self.cards[worker.slot.device]
        held, need = card.held, self.needs[job.trial]
        held[worker.slot.index] = max(held.get(worker.slot.index, 0.0), need)
        if card.free < 0:
            self.workers.remove(worker)
            del held[worker.slot.index]
            return [event(job, "failed", {"kind": "oom", "message": "out of memory"})]
        worker.steps += 1
        if job.trial in self.ending:
            worker.batch = None
            return [event(job, "done", {})]
        if worker.steps == 1:
            told = {"free_mib": card.free, "held_mib": held[worker.slot.index]}
            return [event(job, "stepped", told)]
        return []


@pytest.fixture
def machine_of(monkeypatch, tmp_path):
    """An executor on cards, with slots as `--per-gpu auto` makes them."""

    def make(*mib: float, slots: int = 8):
        cards = {f"cuda:{i}": Card(size) for i, size in enumerate(mib)}
        pool = FakePool(cards)
        monkeypatch.setattr(local, "Pool", lambda *_: pool)
        monkeypatch.setattr(local, "Guard", lambda: None)
        devices = [device for _ in range(slots) for device in cards]
        made = [Slot(index=i, device=d, measured=True) for i, d in enumerate(devices)]
        return local.Local(made, tmp_path, lambda: False), pool

    return make


def job(name: str) -> Job:
    return Job(
        trial=name, attempt=1, recipe={}, image={}, seed=0, kind="final", folder="", resume=(),
        data="",
    )  # fmt: skip


def start(execution, pool, name: str, need: float) -> None:
    pool.needs[name] = need
    execution.submit(Batch(jobs=(job(name),)))


def grown(execution, pool, need: float) -> int:
    """How many trials train at a time once nothing more is let in."""
    count = 0
    while execution.free:
        assert execution.free <= len(pool.cards)
        for _ in range(execution.free):
            start(execution, pool, f"t{count}", need)
            count += 1
        assert execution.free == 0  # the ones before have not stepped
        assert {e.kind for e in execution.poll(0.1)} == {"stepped"}
    return count


def test_one_more_when_the_one_before_has_stepped_and_memory_is_left(machine_of):
    """Of 10,000 MiB each takes 512 + 2,000; a fourth of 512 + 2,500 does not fit in 2,464."""
    execution, pool = machine_of(10_000.0)
    assert execution.free == 1
    assert grown(execution, pool, 2000.0) == 3
    assert all(one.jobs[0].measured for one in pool.sent)
    pool.ending = {"t1"}
    execution.poll(0.1)
    assert execution.free == 1  # three were held, so a third is let in where one has ended
    start(execution, pool, "t3", 2000.0)
    assert len(pool.workers) == 3  # by the worker that was there


def test_never_more_than_there_are_slots_and_each_gpu_by_itself(machine_of):
    execution, pool = machine_of(1e6, 4000.0, slots=4)
    assert grown(execution, pool, 1000.0) == 4 + 2
    running = Counter(worker.slot.device for worker in pool.workers)
    assert running == {"cuda:0": 4, "cuda:1": 2}


def test_where_memory_runs_out_among_several_fewer_are_tried_and_no_arm_is_blamed(machine_of):
    execution, pool = machine_of(10_000.0)
    start(execution, pool, "small", 1000.0)
    execution.poll(0.1)
    start(execution, pool, "small too", 1000.0)
    execution.poll(0.1)
    start(execution, pool, "large", 6000.0)  # 512 + 6,000 of 6,976 fits
    execution.poll(0.1)
    assert execution.free == 0
    pool.ending = {"small"}
    execution.poll(0.1)
    start(execution, pool, "large too", 5000.0)  # in place of a small one
    (failed,) = execution.poll(0.1)
    assert failed.data["excused"]
    assert failed.data["message"] == ("out of memory; 3 processes held cuda:0, now at most 2 do")
    assert execution.free == 0  # two others train
    pool.ending |= {"large"}
    execution.poll(0.1)
    assert execution.free == 1
    start(execution, pool, "large too", 5000.0)
    assert [e.kind for e in execution.poll(0.1)] == ["stepped"]
    assert execution.free == 0


def test_what_runs_out_of_memory_alone_is_the_arms_own_failure(machine_of):
    execution, pool = machine_of(4000.0)
    start(execution, pool, "t", 5000.0)
    (failed,) = execution.poll(0.1)
    assert "excused" not in failed.data
    assert failed.data["message"] == "out of memory"
    assert execution.free == 1


def test_an_idle_process_holds_memory_too_and_counts(machine_of):
    """Until the large trial has the GPU for itself, in the last process that is left."""
    execution, pool = machine_of(6000.0)
    assert grown(execution, pool, 1000.0) == 3
    pool.ending = {"t0", "t1", "t2"}
    execution.poll(0.1)
    for left in (2, 1):
        assert len(pool.workers) == left + 1
        start(execution, pool, "large", 4600.0)
        (failed,) = execution.poll(0.1)
        assert failed.data["message"].endswith(f"now at most {left} do")
        assert failed.data["excused"]
    start(execution, pool, "large", 4600.0)
    assert [e.kind for e in execution.poll(0.1)] == ["stepped"]
    assert execution.free == 0
    assert len(pool.workers) == 1


def test_a_trial_says_what_share_of_a_gpu_it_had():
    """Alone for 10 s, with another for 20 s: 10 + 20/2 of 30 s."""
    now = [0.0]
    slots = [Slot(index=i, device="cuda:0", measured=True) for i in range(2)]
    crowd = Crowd(slots, lambda: now[0])
    crowd.begin(slots[0], Batch(jobs=(job("a"),)))
    now[0] = 10.0
    crowd.begin(slots[1], Batch(jobs=(job("b"),)))
    now[0] = 30.0
    first, second = crowd.heard([event(job("a"), "done"), event(job("b"), "done")], slots)
    assert (first.data["gpus"], second.data["gpus"]) == (round(20 / 30, 4), 0.5)


def test_a_trial_that_ends_before_it_could_tell_lets_the_next_one_in():
    gpu = Gpu(most=8)
    gpu.begin(0, 0.0)
    assert not gpu.admits
    gpu.end(0)
    assert gpu.admits
    gpu.begin(0, 1.0)
    gpu.stepped(0, {"free_mib": CONTEXT_MIB + GROWTH * 100.0, "held_mib": 100.0})
    assert not gpu.admits  # not a MiB is left
    gpu.stepped(0, {"free_mib": CONTEXT_MIB + GROWTH * 100.0 + 1, "held_mib": 100.0})
    assert gpu.admits


@pytest.fixture(scope="module")
def jobs(datasets, tmp_path_factory) -> Jobs:
    return Jobs(datasets, tmp_path_factory.mktemp("jobs"))


def test_a_worker_tells_once_what_is_free_of_its_device(jobs, monkeypatch):
    asked: list[torch.device] = []

    def fake(device):
        asked.append(device)
        return {"free_mib": 7.0, "held_mib": 5.0}

    monkeypatch.setattr("swinablate.execution.worker.gpu_memory", fake)
    told: list[Event] = []
    plain = jobs.make()
    assert execute(Batch(jobs=(plain,)), told.append, lambda: False)
    assert "stepped" not in [one.kind for one in told]
    told.clear()
    made = Job(**{**vars(jobs.make()), "measured": True})
    assert execute(Batch(jobs=(made,)), told.append, lambda: False)
    kinds = [one.kind for one in told]
    assert kinds.count("stepped") == 1
    assert kinds.index("started") < kinds.index("stepped") < kinds.index("epoch")
    assert told[kinds.index("stepped")].data == {"free_mib": 7.0, "held_mib": 5.0}
    assert asked == [torch.device("cpu")]
    assert STEPS < 96 * 0.9 // 16  # of the first epoch


def test_a_gpu_is_asked_when_steps_have_been_recorded(monkeypatch):
    """A graph has memory of its own, and the next trial is let in by what is free."""
    monkeypatch.setattr(worker, "gpu_memory", lambda _: {"free_mib": 7.0, "held_mib": 5.0})
    for device, steps in (("cpu", STEPS), ("cuda:0", SETTLED)):
        told: list[Event] = []
        one = replace(job("t"), measured=True, device=device)
        asked = worker._measured(Batch(jobs=(one,)), told.append, lambda: False)
        for step in range(steps + 2):
            asked()
            assert len(told) == (step >= steps)


def test_what_a_gpu_has_free_is_asked_of_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 << 30, 8 << 30))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 1 << 30)
    told = machine.gpu_memory(torch.device("cuda"))
    assert told == {"free_mib": 3072.0, "held_mib": 1024.0}


@pytest.mark.integration
def test_real_workers_begin_one_after_the_other(jobs, tmp_path):
    """On CPUs, whose free memory stands in for a GPU's."""
    slots = [Slot(index=i, device="cpu", measured=True) for i in range(2)]
    execution = local.EXECUTOR.open(slots, tmp_path, lambda: False)
    try:
        made = [jobs.make("lingers", epochs=20), jobs.make("lingers", epochs=20)]
        execution.submit(Batch(jobs=(made[0],)))
        assert execution.free == 0
        first = until(execution, lambda seen: execution.free)
        assert first[-1].kind in {"stepped", "done"}  # done where memory is short
        execution.submit(Batch(jobs=(made[1],)))
        ended = until(execution, lambda seen: sum(e.kind in ENDINGS for e in first + seen) == 2)
    finally:
        execution.close()
    kinds = Counter((one.trial, one.kind) for one in first + ended)
    assert all(kinds[one.trial, kind] == 1 for one in made for kind in ("stepped", "done"))
