"""F9: a disk that is full, or becomes so; a real one, in memory. One line, exit code 4, no loss."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
FULL = os.strerror(28)


class Disk:
    """A file system of a few MiB."""

    def __init__(self, at: Path) -> None:
        self.at, self._ballast = at, at / "ballast"

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 12))
            except OSError:
                pass

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    at = tmp_path / "disk"
    at.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", str(at)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("only root may mount a small file system")
    yield Disk(at)
    subprocess.run(["umount", "-l", str(at)], check=True)


def only_line(err: str) -> str:
    """What is said of the error, before the hint; the hint helps."""
    assert "Traceback" not in err
    assert "This is a bug" not in err
    assert "Exception ignored" not in err
    said, _, hint = err.partition("error: ")[2].partition("\n\nhint: ")
    assert hint.startswith("free some space and start the same command again")
    (line,) = said.splitlines()
    return line


@pytest.mark.parametrize("disk", [4], indirect=True)
def test_f9_a_full_disk_at_the_start(command, disk):
    command.home = disk.at / "home"
    for _ in range(2):  # of a new home, and of one that is there
        disk.fill()
        code, _, err = command.run()
        assert (code, only_line(err)) == (4, f"{command.home}: disk full: {FULL}")
        disk.free()
        command.home.mkdir(exist_ok=True)
    code, _, err = command.run()  # too small for a checkpoint
    assert code == 4
    assert "MiB are free, 100 are needed" in only_line(err)


@pytest.mark.slow
@pytest.mark.parametrize("disk", [160], indirect=True)
def test_f9_a_disk_that_fills_while_trials_run_costs_no_trial(command, disk, calm):
    command.home = disk.at / "home"
    process = command.start("--slots", "2", "--no-report")
    command.wait_for("epoch", 2)
    disk.fill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 4, err
    assert "disk" in only_line(err)
    assert "failed:" not in err  # no trial has
    disk.free()
    code, _, err = command.run("--slots", "2", "--no-report")
    assert code == 0, err
    assert command.numbers() == calm


@pytest.mark.parametrize("disk", [4], indirect=True)
def test_f9_a_disk_that_is_full_for_the_report_alone(command, disk):
    disk.fill()
    out = disk.at / "report"
    words = ["--set", "train.epochs=1", "--slots", "2", "--out", str(out)]
    code, _, err = command.run(*words)
    assert code == 4
    assert only_line(err).startswith(f"{out}")
    assert only_line(err).endswith(f"disk full: {FULL}")
    assert len(command.results()) == 4
    disk.free()
    code, _, err = command.run(*words)
    assert code == 0, err
    assert (out / "index.html").exists()


@pytest.mark.parametrize("disk", [4], indirect=True)
@pytest.mark.parametrize(
    "words",
    [
        ["new", "mine", "--in", "{disk}/new"],
        ["demo", "--home", "{disk}/home"],
        ["analyze", "results.csv", "--baseline", "a", "--out", "{disk}/report"],
    ],
)
def test_f9_other_commands_on_a_full_disk(tmp_path, disk, words):
    rows = [f"{arm},{seed},{90 + seed}" for arm in "ab" for seed in range(3)]
    (tmp_path / "results.csv").write_text("\n".join(["arm,seed,value", *rows]))
    disk.fill()
    done = subprocess.run(
        [sys.executable, "-m", "swinablate", *(word.format(disk=disk.at) for word in words)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert only_line(done.stderr).startswith(str(disk.at))


@pytest.mark.parametrize("disk", [40], indirect=True)
@pytest.mark.parametrize(
    "verb", ["run", *(pytest.param(verb, marks=pytest.mark.slow) for verb in ("retry", "sync"))]
)
def test_m21_a_home_that_became_read_only(command, disk, verb):
    command.home = disk.at / "home"
    command.run("--no-report")  # too little space for a trial, enough to declare the study
    subprocess.run(["mount", "-o", "remount,ro", str(disk.at)], check=True)
    code, _, err = command.run(command=verb)
    assert code == 4
    assert f"cannot write: {os.strerror(30)}\n\nhint: is the disk there" in err
    assert "Traceback" not in err
    code, _, err = command.run(command="status")
    assert code == 0, err
