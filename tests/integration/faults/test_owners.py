"""Who trains what, where two coordinators meet: M3 of the faults, in real processes."""

import json
import signal
import subprocess
import sys

import pytest

from swinablate.records.home import Home
from tests.integration.conftest import Command, alive, send, until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
STATUS = """
import contextlib, io, sys
from swinablate.cli.app import main
while True:
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["status", *sys.argv[1:]]) == 0
    print("looked", flush=True)
"""


@pytest.fixture
def pair(study, tmp_path):
    """Two studies with the same baseline, in one home; nothing runs afterwards."""
    second, first = Command(tmp_path), study("Slow", epochs=3)  # the last writes the files
    second.study = tmp_path / "other.toml"
    second.study.write_text(first.study.read_text().replace("0.01", "0.02"))
    yield first, second
    second.kill()


def trials(command):
    """Those of a study's plan."""
    (path,) = command.home.glob(f"studies/{command.study.stem}/*/plan.json")
    return {trial for arm in json.loads(path.read_text())["arms"] for trial in arm["trials"]}


def shared(*commands):
    return set.intersection(*map(trials, commands))


def attempts(command, trial):
    """Numbers of all attempts at a trial, and of those that ended with a record."""
    folders = list((command.home / "trials" / trial / "attempts").iterdir())
    ended = [int(f.name) for f in folders if (f / "result.json").exists()]
    return sorted(int(folder.name) for folder in folders), sorted(ended)


@pytest.mark.slow
def test_m3_two_studies_that_start_together_train_what_they_share_once(pair):
    running = [command.start("--slots", "1", "--no-report") for command in pair]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert len(shared(*pair)) == 2
    assert len(pair[0].results()) == 6
    for trial in pair[0].results():
        assert attempts(pair[0], trial) == ([1], [1])
    assert list(pair[0].home.glob("locks/trials/*")) == []


def test_m3_what_a_killed_study_trained_is_taken_over_by_the_one_that_waits(pair):
    first, second = pair
    process = first.start("--slots", "2", "--no-report")
    begun = first.wait_for("started", 2)  # seed 0 of the baseline is one of them
    send(process.pid, signal.SIGSTOP)  # it records no more; its workers write checkpoints
    other = second.start("--slots", "2", "--no-report")
    line = next(line for line in other.stderr if "another study trains it" in line)
    assert f"(pid {process.pid} on " in line
    (trial,) = {event["trial"] for event in begun} & shared(*pair)
    until(lambda: second.results().keys() == trials(second) - {trial})  # all else goes first
    left = first.home / "trials" / trial / ".result.json-0.tmp"
    left.write_text("half")
    send(process.pid, signal.SIGKILL)
    process.communicate()
    _, err = other.communicate(timeout=60)
    assert other.returncode == 0, err
    assert attempts(second, trial) == ([1, 2], [2])
    assert {event["trial"] for event in second.events("resumed")} == {trial}
    assert not left.exists()
    workers = {event["data"]["pid"] for event in begun}
    until(lambda: not any(map(alive, workers)), seconds=4)


@pytest.mark.slow
def test_status_in_a_loop_keeps_no_study_from_starting(pair):
    first, _ = pair
    assert first.run("--slots", "2", "--no-report")[0] == 0
    words = [sys.executable, "-c", STATUS, str(first.study), "--home", str(first.home)]
    lookers = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for looker in lookers:
            assert looker.stdout.readline() == "looked\n"
        home = Home(first.home)
        left = home.locks / "study.lock"
        for _ in range(100):
            left.write_text("pid 7 on elsewhere since 2026-01-01 00:00:00")  # it was killed
            with home.owned("study"):
                pass
        left.write_text("pid 7 on elsewhere since 2026-01-01 00:00:00")
        code, _, err = first.run("--no-report")
        assert code == 0, err
        assert [looker.poll() for looker in lookers] == [None, None]
    finally:
        for looker in lookers:
            looker.kill()
            looker.communicate()
