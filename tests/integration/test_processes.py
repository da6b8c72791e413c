"""Workers that are forked: how they end, what they hold, and what happens without their server."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from swinablate.execution.executor import Slot
from swinablate.execution.processes import Anew, Forked, Process, make_starter

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only"),
]
SLOT = Slot(index=0, device="cpu")


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    starter = Forked(tmp_path_factory.mktemp("logs") / "forkserver.log")
    yield starter
    starter.close()


@pytest.fixture
def log(tmp_path):
    with (tmp_path / "worker.log").open("ab") as file:
        yield file


def send(process: Process, line: str) -> None:
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()


def pid_of(process: Process) -> int:
    """Asked of the worker itself: a batch of a job that fails says who started it."""
    send(process, json.dumps({"jobs": [BROKEN]}))
    return json.loads(process.stdout.readline())["data"]["pid"]


def files_of(pid: int) -> list[str]:
    """Kinds of a process's open files, in order."""
    files = sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda path: int(path.name))
    links = [str(file.readlink()) for file in files]
    return [link.partition(":")[0] if ":" in link else link.rpartition(".")[2] for link in links]


def end_of(process: Process) -> int | None:
    """Read what is left, wait, close."""
    process.stdout.read()
    code = process.wait()
    process.stdout.close()
    process.stdin.close()
    return code


BROKEN = {
    "trial": "t",
    "attempt": 1,
    "kind": "final",
    "recipe": {"model": {"family": "nothing"}},
    "image": {},
    "seed": 0,
    "device": "cpu",
    "folder": "",
    "data": "",
    "resume": [],
    "folders": [],
    "choices": {},
}


def test_the_way_of_starting_follows_the_devices(tmp_path):
    gpu = Slot(index=1, device="cuda:0")
    assert isinstance(make_starter([SLOT, gpu], tmp_path), Anew)
    starter = make_starter([SLOT], tmp_path)
    assert isinstance(starter, Forked)
    starter.close()


def test_a_worker_ends_with_its_input(forked, log):
    process = forked.start(SLOT, log)
    process.stdin.close()
    assert end_of(process) == 0


def test_a_failure_ends_the_worker_and_its_code_is_known(forked, log):
    process = forked.start(SLOT, log)
    pid_of(process)
    assert json.loads(process.stdout.readline())["kind"] == "failed"
    assert end_of(process) == 1


def test_killing_takes_the_group_along(forked, log):
    process = forked.start(SLOT, log)
    process.kill()
    assert end_of(process) == -signal.SIGKILL


def test_workers_share_nothing_but_memory(forked, log, tmp_path):
    """Each leads a group of its own; no pipe of another and no socket is open."""
    with (tmp_path / "other.log").open("ab") as other:
        first, second = forked.start(SLOT, log), forked.start(SLOT, other)
        server = forked._servers[-1]
        assert server._known(server._asked - 1, None)
        pids = server._answers[-2:]
        for pid in pids:
            assert os.getpgid(pid) == pid
            expected, until = ["log", "log", "pipe", "pipe"], time.monotonic() + 10
            while sorted(files_of(pid)) != expected and time.monotonic() < until:
                time.sleep(0.01)  # it is still settling in
            assert sorted(files_of(pid)) == expected
        assert len(list(Path(f"/proc/{server._process.pid}/task").iterdir())) == 1
        for process in (first, second):
            process.kill()
            assert end_of(process) == -signal.SIGKILL


def test_a_server_that_died_is_replaced_and_its_workers_died_with_it(tmp_path, log):
    starter = Forked(tmp_path / "forkserver.log")
    old = starter.start(SLOT, log)
    server = starter._servers[-1]
    assert server._known(0, None)
    server._process.kill()
    server._process.wait()
    assert old.stdout.read() == b""  # though nothing ended its input
    new = starter.start(SLOT, log)
    assert end_of(old) is None
    new.stdin.close()
    assert end_of(new) == 0
    starter.close()


def test_what_is_killed_before_it_was_forked_never_runs(tmp_path, log):
    starter = Forked(tmp_path / "forkserver.log")
    began = time.monotonic()
    process = starter.start(SLOT, log)
    process.kill()  # the server is importing torch
    assert end_of(process) is None
    starter.close()
    assert time.monotonic() - began < 3


def test_the_server_ends_with_the_coordinator(tmp_path, log):
    starter = Forked(tmp_path / "forkserver.log")
    process = starter.start(SLOT, log)
    server = starter._servers[-1]
    assert server._known(0, None)
    server._socket.close()
    assert server._process.wait(10) == 0
    process.stdin.close()
    assert end_of(process) is None
    starter.close()
