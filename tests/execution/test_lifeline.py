"""Processes that end with others: by the kernel, by a guard, and in groups."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swinablate.execution.workers import lifeline
from swinablate.execution.workers.lifeline import Guard, keep_watch, reap


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def group():
    """A process that leads a group, and one that it started."""
    code = (
        "import subprocess, time;"
        "print(subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL).pid, flush=True);"
        "time.sleep(600)"
    )
    leader = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert leader.stdout is not None
    yield leader, int(leader.stdout.readline())
    lifeline.kill_group(leader.pid)
    leader.wait()
    leader.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux's")
def test_who_holds_pythons_lock_dies_with_its_parent():
    child = (
        "import ctypes, os, sys; from swinablate.execution.workers import lifeline;"
        "lifeline.die_with_parent(int(sys.argv[1]));"
        "print(os.getpid(), flush=True); ctypes.PyDLL(None).sleep(600)"
    )
    parent = (
        "import os, subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-c', {child!r}, str(os.getpid())]); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert lives(pid)
    process.kill()
    process.wait()
    until(lambda: not lives(pid))
    process.stdout.close()


def test_who_comes_too_late_to_ask_ends_at_once():
    code = "from swinablate.execution.workers import lifeline; lifeline.die_with_parent(1); print('on')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


def test_reaping_a_leader_takes_what_it_started_along(group):
    leader, child = group
    os.kill(leader.pid, signal.SIGTERM)
    leader.returncode = reap(leader.pid)
    assert leader.returncode == -signal.SIGTERM
    until(lambda: not lives(child))


def test_a_guard_kills_the_groups_it_watches_when_its_owner_ends(group):
    leader, child = group
    guard = Guard()
    guard.watch(leader.pid)
    guard.close()
    assert leader.wait(30) == -signal.SIGKILL
    until(lambda: not lives(child))


def test_a_guard_spares_what_it_was_told_to_forget(group):
    leader, child = group
    guard = Guard()
    guard.watch(leader.pid)
    guard.forget(leader.pid)
    guard.close()
    assert lives(leader.pid)
    assert lives(child)


def test_a_guard_that_was_killed_is_no_error(group):
    guard = Guard()
    guard._process.kill()
    guard._process.wait()
    guard.watch(group[0].pid)
    guard.close()
    assert lives(group[0].pid)


def test_the_guard_reads_numbers_to_watch_and_to_forget(group, monkeypatch):
    killed = []
    monkeypatch.setattr(lifeline, "kill_group", killed.append)
    keep_watch(["12\n", "13\n", "-12\n", "14\n"])
    assert sorted(killed) == [13, 14]


def test_signals_for_all_processes_of_a_job_are_left_to_the_coordinator():
    """What it forks has the defaults again, and so has what it starts."""
    code = """
import os, signal, subprocess, sys
from swinablate.execution.workers import lifeline
lifeline.leave_signals_to_coordinator()
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    os.kill(os.getpid(), number)
started = subprocess.run(["sh", "-c", "kill -TERM $$"])
child = os.fork()
if not child:
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(0)
print(started.returncode, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "-15 -15\n"), done.stderr


def test_the_signal_by_which_a_worker_takes_others_along_is_no_wish_to_leave():
    """It is told of one that comes from elsewhere; slow to end, both would be."""
    code = """
import os, signal, sys, time
from swinablate.execution.workers import lifeline
gone = os._exit
os._exit = lambda code: (time.sleep(0.5), gone(code))
os.setpgid(0, 0)
lifeline.on_wish_to_leave(lambda: os.write(1, b"leaving"))
if sys.argv[1:]:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.5)
lifeline.end_with_group(3)
"""
    for words, said in (([], ""), (["asked"], "leaving")):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (3, said), done.stderr
