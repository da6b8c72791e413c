"""What a worker process finds in its environment."""

import pytest

from swinablate.execution.processes import HELD, environment


@pytest.mark.parametrize(("device", "seen"), [("cpu", ""), ("cuda:0", "0"), ("cuda:3", "3")])
def test_a_worker_sees_its_own_gpu_and_no_other(device, seen):
    assert environment(device)["CUDA_VISIBLE_DEVICES"] == seen


def test_one_thread_a_library_whatever_was_set(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert environment("cpu")["OMP_NUM_THREADS"] == "1"


def test_what_the_user_set_for_the_allocator_stays(monkeypatch):
    for name in HELD:
        monkeypatch.delenv(name, raising=False)
    assert HELD.items() <= environment("cpu").items()
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1")
    assert environment("cpu")["MALLOC_MMAP_THRESHOLD_"] == "1"
