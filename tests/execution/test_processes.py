"""Worker processes: what they find in their environment, how they start and end."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from swinablate.errors import EnvironmentFault
from swinablate.execution import processes
from swinablate.execution.executor import Slot
from swinablate.execution.processes import HELD, Anew, Forked, environment, make_starter

CPU = Slot(index=0, device="cpu")


@pytest.mark.parametrize(("device", "seen"), [("cpu", ""), ("cuda:0", "0"), ("cuda:3", "3")])
def test_a_worker_sees_its_own_gpu_and_no_other(device, seen, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert environment(device)["CUDA_VISIBLE_DEVICES"] == seen


UUID, PART = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"


@pytest.mark.parametrize(
    ("inherited", "seen"),
    [
        ("2,3", ["2", "3"]),
        (" 3 , 1", ["3", "1"]),
        (UUID, [UUID]),
        (f"GPU-1a2b,{UUID}", ["GPU-1a2b", UUID]),
        (PART, [PART]),
        ("MIG-GPU-8932f937/1/2", ["MIG-GPU-8932f937/1/2"]),
        ("", []),
        ("-1", []),
        ("0,2,-1,1", ["0", "2"]),  # CUDA's own example
        ("NoDevFiles", []),  # as SLURM sets it for a job without GPUs
        ("1,,2", ["1"]),
        ("0,1,0", []),
        ("GPU-1a,GPU-1a", []),
    ],
)
def test_workers_take_the_gpus_that_their_user_was_given(inherited, seen, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", inherited)
    asked = range(len(seen) + 2)
    found = [environment(f"cuda:{i}")["CUDA_VISIBLE_DEVICES"] for i in asked]
    assert found == [*seen, "", ""]
    assert environment("cpu")["CUDA_VISIBLE_DEVICES"] == ""


def test_a_worker_of_several_gpus_sees_them_and_no_other(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,4,2")
    assert environment("cuda:0", "cuda:2")["CUDA_VISIBLE_DEVICES"] == "6,2"


def test_one_thread_a_library_whatever_was_set(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert environment("cpu")["OMP_NUM_THREADS"] == "1"


def test_what_the_user_set_for_the_allocator_stays(monkeypatch):
    for name in HELD:
        monkeypatch.delenv(name, raising=False)
    assert HELD.items() <= environment("cpu").items()
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1")
    assert environment("cpu")["MALLOC_MMAP_THRESHOLD_"] == "1"


@pytest.mark.parametrize(
    "name", ["SWINABLATE_STORAGE", "SWINABLATE_TRACKING_URI", "MLFLOW_TRACKING_PASSWORD"]
)
def test_a_worker_gets_nothing_that_opens_a_store(name, monkeypatch):
    monkeypatch.setenv(name, "postgresql://me:s3cret@db")
    assert name not in environment("cpu")


@pytest.fixture
def log(tmp_path):
    with (tmp_path / "worker.log").open("ab") as file:
        yield file


def test_workers_are_forked_only_where_nothing_but_cpus_is_used(tmp_path):
    gpu = Slot(index=1, device="cuda:0")
    assert isinstance(make_starter([CPU, gpu], tmp_path), Anew)
    starter = make_starter([CPU], tmp_path)
    assert isinstance(starter, Forked if sys.platform == "linux" else Anew)
    starter.close()


@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
def test_a_forked_worker_ends_with_its_input_and_its_server_is_replaced(tmp_path, log):
    starter = Forked(tmp_path / "forkserver.log")
    first, second = starter.start(CPU, log), starter.start(CPU, log)
    first.stdin.close()
    assert first.wait() == 0
    second.kill()
    assert second.wait() == -signal.SIGKILL
    starter.close()  # as if it had died
    third = starter.start(CPU, log)
    third.stdin.close()
    assert third.wait() == 0
    starter.close()
    for process in (first, second, third):
        process.stdout.close()
        process.stdin.close()


@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
def test_a_worker_killed_before_it_was_forked_never_is(tmp_path, log):
    """The server still imports torch: it ends, and nobody knows with what the worker did."""
    starter = Forked(tmp_path / "forkserver.log")
    process = starter.start(CPU, log)
    process.kill()
    assert process.wait() is None
    assert process.stdout.read() == b""
    process.stdout.close()
    process.stdin.close()
    starter.close()


@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
def test_the_fork_server_answers_with_process_ids_and_exit_codes_and_ends_with_its_socket(log):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "swinablate.execution.forkserver",
            str(theirs.fileno()),
            str(os.getpid()),
        ],
        pass_fds=[theirs.fileno()],
        env=environment("cpu"),
    )
    theirs.close()
    (read, write), (out, into) = os.pipe(), os.pipe()
    socket.send_fds(ours, [b"{}"], [read, into, log.fileno()])
    pid = json.loads(ours.recv(1 << 10))
    for end in (read, into):
        os.close(end)
    assert os.getpgid(pid) == pid  # a group of its own
    os.close(write)
    assert os.read(out, 1) == b""
    os.close(out)
    ours.send(json.dumps({"wait": pid}).encode())
    assert json.loads(ours.recv(1 << 10)) == 0
    ours.close()
    assert server.wait() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_a_server_that_was_started_early_is_taken_and_writes_to_the_log_of_the_home(tmp_path):
    with processes.started_early("cpu"):
        (server,) = processes._EARLY
        starter = processes.make_starter([Slot(index=0, device="cpu")], tmp_path)
        assert processes._EARLY == []
        with (tmp_path / "worker.log").open("ab") as log:
            worker = starter.start(Slot(index=0, device="cpu"), log)
        worker.stdin.close()
        assert worker.wait() == 0
        worker.stdout.close()
        starter.close()
    assert server._process.returncode == -signal.SIGKILL
    assert (tmp_path / "forkserver.log").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_a_server_that_nobody_took_ends():
    with processes.started_early("cpu"):
        (server,) = processes._EARLY
    assert processes._EARLY == []
    assert server._process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
def test_servers_that_end_before_they_fork_are_not_started_for_ever(tmp_path, log, monkeypatch):
    """As where torch cannot be imported; each is a lost worker first, then it is an error."""
    monkeypatch.setattr(processes.sys, "executable", "/bin/false")
    starter = Forked(tmp_path / "forkserver.log")
    lost = []

    def start():
        while len(lost) <= processes.TRIES:
            lost.append(starter.start(CPU, log))
            assert lost[-1].wait() is None

    with pytest.raises(EnvironmentFault) as fault:
        start()
    assert len(lost) <= processes.TRIES
    assert "ended before it could" in str(fault.value)
    assert str(tmp_path / "forkserver.log") in str(fault.value)
    starter.close()
    for process in lost:
        process.stdout.close()
        process.stdin.close()
