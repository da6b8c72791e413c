"""Locks: held, left behind, overruled, and impossible."""

import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys

import pytest

from swinablate.cli.app import main
from swinablate.errors import EnvironmentFault
from swinablate.records.disk.files import write_atomically
from swinablate.records.disk.locks import Taken, alive, holder, lock
from swinablate.records.home import Home
from tests.records.homes import sealed

HOLD = (
    "import sys, time; from pathlib import Path; from swinablate.records.disk.locks import lock\n"
    "with lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def held(tmp_path):
    """A lock that another process holds, and the process."""
    path = tmp_path / "a.lock"
    words = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield path, process
        process.kill()


def test_a_lock_names_its_holder_and_dies_with_it(held):
    path, process = held
    named = f"pid {process.pid} on {socket.gethostname()} since "
    assert holder(path).startswith(named)
    assert alive(holder(path))
    with pytest.raises(Taken, match=named), lock(path):
        pass
    with pytest.raises(Taken, match=named), lock(path, take_over=True):  # it lives
        pass
    process.kill()
    process.wait()
    assert holder(path) == ""
    with lock(path):
        assert holder(path).startswith(f"pid {os.getpid()} on ")
    assert holder(path) == ""


@pytest.mark.parametrize(
    "words", ["pid 1 on elsewhere since 2026", "pid 999999999999 on HOST since", "", "\0"]
)
def test_a_lock_that_nobody_alive_holds_here_can_be_taken_over_once(held, words):
    """As on a network file system that remembers a machine that is gone."""
    path, _ = held
    path.write_text(words.replace("HOST", socket.gethostname()))
    assert not alive(holder(path))
    with (
        pytest.raises(Taken, match=(words.strip("\0") and "pid") or "another process"),
        lock(path),
    ):
        pass
    with lock(path, take_over=True):
        with pytest.raises(Taken, match=f"pid {os.getpid()}"), lock(path, take_over=True):
            pass
        assert holder(path).startswith(f"pid {os.getpid()}")


def test_two_do_not_hold_one_lock_and_the_second_waits(held):
    path, process = held
    process.kill()
    with lock(path, patience_s=30):
        pass


LOOK = (
    "import sys; from pathlib import Path; from swinablate.records.disk.locks import holder\n"
    "print('looks', flush=True)\n"
    "while True: holder(Path(sys.argv[1]))"
)


def test_who_looks_at_a_lock_keeps_nobody_from_it(tmp_path):
    """`status` in a loop, twice, while a study starts whose last coordinator was killed."""
    path = tmp_path / "a.lock"
    words = [sys.executable, "-c", LOOK, str(path)]
    lookers = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for looker in lookers:
            assert looker.stdout.readline() == "looks\n"
        for _ in range(2000):
            path.write_text("pid 7 on elsewhere since 2026-01-01 00:00:00")
            with lock(path):
                pass
        assert [looker.poll() for looker in lookers] == [None, None]
    finally:
        for looker in lookers:
            looker.kill()
            looker.communicate()


def test_a_lock_that_was_let_go_names_nobody(tmp_path):
    with lock(tmp_path / "a.lock"):
        pass
    assert (tmp_path / "a.lock").read_text() == ""
    with lock(tmp_path / "b.lock", passing=True):
        assert holder(tmp_path / "b.lock")
    assert not (tmp_path / "b.lock").exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO])
def test_a_file_system_without_locks_is_named_with_a_remedy(tmp_path, monkeypatch, capsys, code):
    study = sealed(tmp_path)

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for command in ("sync", "retry"):
        assert main([command, str(study.file), "--home", str(study.home.root)]) == 4
        err = capsys.readouterr().err
        assert f"plain.lock: this file system has no locks: {os.strerror(code)}" in err
        assert "hint: without them two runs could spoil each other's records: choose" in err
    assert main(study.words("status")) == 0


def test_a_study_that_is_left_locked_says_how_to_go_on(tmp_path):
    home = Home(tmp_path)
    with home.owned("s"):
        (home.locks / "s.lock").write_text("pid 7 on elsewhere since 2026-01-01 00:00:00")
        with pytest.raises(EnvironmentFault) as caught, home.owned("s"):
            pass
        assert "study 's' is already running: pid 7 on elsewhere since" in str(caught.value)
        assert "`swinablate run STUDY --take-over` goes on without it" in caught.value.hint
        with home.owned("s", take_over=True):
            pass


@pytest.mark.parametrize(("mask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_files_of_a_home_follow_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "a" / "x.json", "{}")
        with lock(tmp_path / "a" / "x.lock"):
            pass
    finally:
        os.umask(before)
    for path in (tmp_path / "a").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_full_disk_is_one_line_with_a_remedy(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFault) as caught:
        write_atomically(tmp_path / "x.json", "{}")
    assert str(caught.value) == (
        f"{tmp_path}/x.json: disk full: No space left on device\n\n"
        "hint: free some space and start the same command again; it goes on where it was"
    )
    assert list(tmp_path.iterdir()) == []
