"""Running the real command in real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.postgres import BINARIES, Postgres, started

RECIPE = """\
[model]
family = "swin"
patch = 1
width = 8
depths = [2]
heads = [2]
window = 2
[data]
name = "digits"
[train]
epochs = 6
batch = 32
"""
STUDY = """\
question = "Do crashes change numbers?"
baseline = "base.toml"
seeds = 2
baseline_seeds = 2
[axes]
"model.shift" = [false]
"""
PATIENCE_S = 240.0
"""How long to wait for what takes seconds: a start took 90 s where eight programs wanted a core."""
EVERY_EPOCH = {"SWINABLATE_CHECKPOINT_EVERY": "0"}
"""Trials here take seconds, and are to go on from where they were killed."""
TIMES = (
    "time/epoch_s",
    "time/cpu_s",
    "time/images_per_s",
    "time/train_s",
    "memory/peak_mib",
    "at",
)


class Command:
    """`swinablate` on one study in one home."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.study, self.home = folder, folder / "study.toml", folder / "home"
        (folder / "base.toml").write_text(RECIPE)
        self.study.write_text(STUDY)
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *words: str, command: str = "run", **env: str) -> "subprocess.Popen[str]":
        """Start the command; its output goes to pipes."""
        process = subprocess.Popen(
            [sys.executable, "-m", "swinablate", command, str(self.study), "--home", str(self.home), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, **EVERY_EPOCH, **env},
            start_new_session=True,
        )  # fmt: skip
        self._started.append(process)
        return process

    def run(self, *words: str, command: str = "run", **env: str) -> tuple[int, str, str]:
        """Run the command to its end: exit code, stdout, stderr."""
        process = self.start(*words, command=command, **env)
        out, err = process.communicate(timeout=2 * PATIENCE_S)
        return process.returncode, out, err

    def kill(self) -> None:
        """Leave nothing behind."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def events(self, kind: str) -> list[dict[str, Any]]:
        """All recorded events of a kind, oldest first."""
        logs = self.home.glob("trials/*/attempts/*/events.jsonl")
        lines = [line for log in logs for line in log.read_text().splitlines()]
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return sorted((e for e in events if e["kind"] == kind), key=lambda e: e["at"])

    def wait_for(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many events of a kind are recorded."""

        def enough() -> list[dict[str, Any]] | None:
            found = self.events(kind)
            return found if len(found) >= count else None

        return until(enough)

    def results(self) -> dict[str, dict[str, Any]]:
        """trial -> recorded outcome."""
        return {
            p.parent.name: json.loads(p.read_text())
            for p in self.home.glob("trials/*/result.json")
        }

    def numbers(self) -> dict[str, Any]:
        """trial -> everything that must not depend on crashes."""
        return {
            trial: {
                "status": found["status"],
                "metrics": {k: v for k, v in found["metrics"].items() if k not in TIMES},
                "curve": [
                    {k: v for k, v in row.items() if k not in TIMES} for row in found["curve"]
                ],
                "predictions": found["predictions"],
            }
            for trial, found in self.results().items()
        }


def until(ready: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """Wait for something, and fail if it does not come."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.02)
    pytest.fail("it did not happen in time")


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal."""
    os.kill(pid, number)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """A study to run, with nothing left running afterwards."""
    made = Command(tmp_path)
    yield made
    made.kill()


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The numbers of an undisturbed run of the same study."""
    made = Command(tmp_path_factory.mktemp("calm"))
    code, _, err = made.run("--no-report")
    assert code == 0, err
    return made.numbers()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that asks nobody but some for a password."""
    if not (BINARIES / "initdb").exists():
        pytest.skip(f"no PostgreSQL server in {BINARIES}")
    with started() as server:
        yield server
