"""SIGTERM and SIGHUP outside of training: exit code 75, a line, and an end even of what hangs."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from swinablate.cli import ending

PROGRAM = """
import os, signal, sys, time
from swinablate.cli import ending
ending.LAST_S = 0.3
with ending.ended_by_signals():
    {body}
print("went on")
"""
ITSELF = "os.kill(os.getpid(), signal.{})"


def run(body: str, **options) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        capture_output=True, text=True, timeout=60, check=False, **options,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_with_75_and_says_how_to_go_on(name):
    done = run(ITSELF.format(name) + "; time.sleep(30)")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr == f"stopped by {name}; the same command, started again, goes on\n"


def test_who_swallows_the_end_is_ended_all_the_same():
    body = f"""
    try:
        {ITSELF.format("SIGTERM")}
        time.sleep(30)
    except BaseException:
        time.sleep(30)
"""
    done = run(body)
    assert done.returncode == 75
    assert done.stderr.endswith("ended after 0 s, in the middle of something\n")


def test_what_breaks_because_it_was_ended_is_no_bug():
    """A library swallows the end while it is imported, and what is half there fails later."""
    program = f"""
import contextlib, os, signal, sys, time
from swinablate.cli import app, main

def broken(**_):
    with contextlib.suppress(SystemExit):
        {ITSELF.format("SIGTERM")}
        time.sleep(1)
    raise RecursionError("numpy.dtypes")

app._command = lambda: broken
sys.exit(main(["plan", "study.toml"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 75
    assert done.stderr == "stopped by SIGTERM; the same command, started again, goes on\n"


def test_nothing_ends_what_was_not_signalled_and_the_old_handlers_come_back():
    done = run("time.sleep(0.5)")
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    with ending.ended_by_signals():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)] == before


def test_under_nohup_a_hangup_ends_nothing():
    done = run(
        ITSELF.format("SIGHUP"),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_writing_to_a_terminal_that_was_closed_is_no_error(tmp_path):
    ours, theirs = pty.openpty()
    body = f"""
    print("hello", flush=True)
    while not os.path.exists({str(tmp_path / "closed")!r}):
        time.sleep(0.01)
    print("nobody reads this", flush=True)
    os._exit(7)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)], stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    assert os.read(ours, 5) == b"hello"
    os.close(ours)
    (tmp_path / "closed").touch()
    assert process.wait(60) == 7
