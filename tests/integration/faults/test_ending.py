"""How a study ends when somebody ends it: rows F2, F3, F5 and F16 of the faults, and M11, m1, m18."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.conftest import alive, send, until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
PROMISED_S = 20.0


def workers(command, count: int = 2) -> set[int]:
    return {event["data"]["pid"] for event in command.wait_for("started", count)}


def ended(process, within: float = PROMISED_S) -> tuple[int, str]:
    """Exit code and standard error of a process that ends in time."""
    began = time.monotonic()
    _, err = process.communicate(timeout=within + 60)
    assert time.monotonic() - began < within, err
    return process.returncode, err


def named(words: str) -> list[int]:
    """Processes whose command line holds some words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if words in path.read_bytes().replace(b"\0", b" ").decode():
                found.append(int(path.parent.name))
    return [pid for pid in found if alive(pid)]


def of_group(pid: int) -> list[int]:
    """What a worker started, itself not."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(int(path.name)) == pid != int(path.name) and alive(int(path.name)):
                found.append(int(path.name))
    return found


def test_f2_who_holds_pythons_lock_in_a_call_dies_with_a_killed_coordinator(study):
    command = study("Holds")
    process = command.start("--slots", "2", "--no-report")
    found = workers(command)
    time.sleep(1)  # both are in their call
    send(process.pid, signal.SIGKILL)
    process.communicate()
    until(lambda: not any(map(alive, found)), seconds=4)


def test_f2_what_a_worker_started_dies_with_a_killed_coordinator(study):
    command = study("Parent")
    process = command.start("--slots", "2", "--no-report")
    found = workers(command)
    children = until(lambda: (s := [c for w in found for c in of_group(w)]) and len(s) == 2 and s)
    send(process.pid, signal.SIGKILL)
    process.communicate()
    until(lambda: not any(map(alive, [*found, *children])), seconds=4)


def test_f1_what_a_killed_worker_started_dies_with_it(study):
    command = study("Parent")
    process = command.start("--slots", "1", "--no-report")
    (worker,) = workers(command, 1)
    children = until(lambda: of_group(worker))
    send(worker, signal.SIGKILL)
    until(lambda: not any(map(alive, children)), seconds=10)
    send(process.pid, signal.SIGTERM)
    assert ended(process)[0] == 75


def test_f2_the_process_that_forks_dies_with_a_killed_coordinator_while_it_imports(study):
    """m16: it lived until it had imported torch."""
    command = study("Slow")
    process = command.start("--slots", "1", "--no-report")
    server = until(lambda: servers(process.pid))
    send(process.pid, signal.SIGKILL)
    process.communicate()
    until(lambda: not any(map(alive, server)), seconds=4)


def servers(parent: int) -> list[int]:
    return [pid for pid in named("swinablate.execution.forkserver") if pid in children_of(parent)]


def children_of(parent: int) -> set[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return set(map(int, text.split()))


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)]
)
def test_f3_a_worker_that_never_returns_does_not_hold_up_a_stop(study, number):
    command = study("Holds")
    process = command.start("--slots", "2")
    found = workers(command)
    time.sleep(1)
    send(process.pid, number)
    code, err = ended(process)
    assert code == 75, err
    assert "to go on: swinablate run" in err
    assert not any(map(alive, found))
    log = (command.home / "logs" / "worker-0.log").read_text()
    assert "in misbehave" in log  # where it was, for whoever asks why


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_f3_a_signal_while_a_command_imports_ends_it_with_75(study, number):
    command = study("Slow")
    for wait in (0.4, 1.5):
        process = command.start("--no-report")
        time.sleep(wait)
        send(process.pid, number)
        code, err = ended(process)
        assert code == 75, err
        assert err.startswith(
            f"stopped by {number.name}; the same command, started again, goes on"
        )


def test_f3_a_signal_to_all_processes_of_the_job_costs_no_checkpoint(study):
    """Slurm sends it to every process of a step."""
    command = study("Slow")
    process = command.start("--slots", "2", "--no-report")
    found = workers(command)
    command.wait_for("epoch", 2)
    for pid in (*found, *servers(process.pid), process.pid):
        send(pid, signal.SIGTERM)
    code, err = ended(process)
    assert code == 75, err
    assert len(command.events("stopped")) == 2
    assert not command.events("lost")


def test_f3_a_terminal_that_is_closed_stops_the_study_with_its_checkpoints(study):
    command = study("Slow")
    ours, theirs = pty.openpty()
    code = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        "os.execv(sys.executable, [sys.executable, '-m', 'swinablate', *sys.argv[1:]])"
    )
    words = ["run", str(command.study), "--home", str(command.home), "--slots", "2"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=command.folder, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.set_blocking(ours, False)

    def trained() -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(ours, 1 << 16)  # nobody may wait for us to read
        return len(command.events("epoch")) > 2

    until(trained)
    began = time.monotonic()
    os.close(ours)
    assert process.wait(60) == 75
    assert time.monotonic() - began < PROMISED_S
    assert len(command.events("stopped")) == 2


def test_f5_a_tracking_server_that_never_answers_delays_the_end_for_seconds(study, silent):
    command = study("Slow")
    process = command.start("--slots", "1", "--tracking-uri", silent)
    command.wait_for("epoch")
    send(process.pid, signal.SIGTERM)
    code, err = ended(process, within=12)
    assert code == 75, err
    assert "records did not reach MLflow: swinablate sync" in err


@pytest.mark.slow
def test_f13_with_such_a_server_a_study_ends_well(study, silent):
    command = study("Net", epochs=1)
    process = command.start("--tracking-uri", silent)
    until(lambda: len(command.results()) == 4)
    code, err = ended(process, within=40)  # the report is written, with two cores for all
    assert code == 0, err
    assert "records did not reach MLflow: swinablate sync" in err


def test_f16_a_worker_that_hangs_leaves_its_stack_and_is_tried_again(study):
    command = study("Holds")
    process = command.start("--slots", "1", "--no-report", "--hang-timeout", "3")
    until(lambda: len(command.events("lost")) >= 1, seconds=120)
    send(process.pid, signal.SIGTERM)
    code, err = ended(process)
    assert code == 75, err
    (lost,) = command.events("lost")[:1]
    assert lost["data"]["kind"] == "hung"
    assert lost["data"]["message"].endswith(f"its stack is in {command.home}/logs/worker-0.log")
    log = (command.home / "logs" / "worker-0.log").read_text()
    assert 'nets.py", line' in log
    assert "in misbehave" in log


def test_the_process_that_forks_may_be_killed_and_no_trial_pays(study):
    command = study("Net", epochs=8)
    process = command.start("--slots", "2", "--no-report")
    for count in (2, 4, 6, 8):
        command.wait_for("started", count)
        (server,) = servers(process.pid)
        send(server, signal.SIGKILL)
    code, err = ended(process, within=200)
    assert code == 0, err
    assert len(command.results()) == 4
    assert "the process that forked it" in err
