"""What the command line says when a disk, or standard output, takes no more."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swinablate.cli.app import main

AGAIN = "\n\nhint: free some space and start the same command again; it goes on where it was\n"


def test_an_error_of_a_disk_that_nobody_has_told_is_one_line(monkeypatch, capsys, tmp_path):
    def broken(home):
        raise OSError(errno.EIO, "Input/output error", str(tmp_path / "disk"))

    monkeypatch.setattr("swinablate.cli.doctor.examine", broken)
    assert main(["doctor", "--home", str(tmp_path)]) == 4
    said = capsys.readouterr().err
    assert said == (
        f"error: {tmp_path}/disk: Input/output error\n\n"
        "hint: is the disk there, and may you read and write there?\n"
    )


def test_an_error_of_ours_is_still_a_bug(monkeypatch, capsys, tmp_path):
    def broken(home):
        raise OSError(errno.ENOENT, "No such file or directory", "x")

    monkeypatch.setattr("swinablate.cli.doctor.examine", broken)
    assert main(["doctor", "--home", str(tmp_path)]) == 1
    assert "This is a bug in swinablate" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [["--version"], ["schema", "study"]])
def test_standard_output_on_a_full_disk_is_an_error(words):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "swinablate", *words],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    said = f"error: standard output: disk full: {os.strerror(errno.ENOSPC)}"
    assert (done.returncode, done.stderr) == (4, said + AGAIN)


def test_a_reader_that_has_enough_is_no_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "swinablate", "schema", "study"],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits")
def test_a_file_that_may_not_grow_is_named(tmp_path):
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64));"
        "from swinablate.cli import main; sys.exit(main(['new', 'mine', '--in', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", limited, str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    at = tmp_path / "experiments" / "mine.toml"
    said = f"error: {at}: disk full: {os.strerror(errno.EFBIG)}"
    assert done.returncode == 4
    assert done.stderr.startswith(said + AGAIN)  # a measured run then cannot write what it counted
    assert "This is a bug" not in done.stderr
    assert not at.exists()
