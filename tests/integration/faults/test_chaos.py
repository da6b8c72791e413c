"""Two studies in one home while everything is killed at random: no number changes, nothing is left.

`just chaos` kills 200 times, about twenty minutes, and writes the table that is committed. Seeds
of the killing are printed; what is hit when still depends on the machine.
"""

import contextlib
import json
import os
import platform
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from swinablate.records.disk import locks
from swinablate.records.home import Home
from swinablate.records.survey import survey
from tests.integration.conftest import STUDY, Command, alive, until
from tests.integration.postgres import Postgres
from tests.integration.test_secrets import children

pytestmark = [pytest.mark.integration, pytest.mark.chaos]
KILLS = int(os.environ.get("SWINABLATE_CHAOS_KILLS", "200"))
SEED = int(os.environ.get("SWINABLATE_CHAOS_SEED", "0"))
TABLE = Path(__file__).parents[3] / "benchmarks/results/chaos.md"
PAUSES_S = 0.2, 1.5
"""Between two kills: from the middle of an epoch to the start of a worker."""
A_ROUND = 40
"""Kills after which a round is left to end, so that ends and beginnings are hit, too."""
OFTEN = "0", "0", "1", "30"
"""Seconds between two checkpoints: trials take a few, and with 30 start again after each kill."""
SERVERS_AFTER = 25
"""Kills of processes between two of a server: MLflow's takes half a minute to start again."""
SERVER = """
import signal, sys
from pathlib import Path
from swinablate.tracking.server import serve
with serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])):
    print("ready", flush=True)
    signal.pause()
"""
SECOND = STUDY.replace('"model.shift" = [false]', '"model.width" = [12]')


class Server:
    """MLflow's server on one port, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.database = folder, folder / "mlflow.db"
        sqlite3.connect(self.database).close()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        words = [f"sqlite:///{self.database}", str(self.port), str(self.folder / "artifacts")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *words], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


class Chaos:
    """Two studies that share their baseline, and what is done to them; kills count on."""

    def __init__(
        self,
        folder: Path,
        servers: tuple[Postgres, Server],
        chance: random.Random,
        kills: Counter[str],
    ):
        self.folder, self.chance, self.kills = folder, chance, kills
        self.postgres, self.server = servers
        self.one, self.two = studies(folder)
        self.ends: Counter[str] = Counter()

    def start(self, command: Command, verb: str) -> "subprocess.Popen[str]":
        """Start `run` or `retry`; what it says goes to a file."""
        with (self.folder / f"{command.study.stem}.log").open("a") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "swinablate", verb, str(command.study)),
                    *("--home", str(command.home), "--slots", "2"),
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                env=os.environ
                | self.stores
                | {"SWINABLATE_CHECKPOINT_EVERY": self.chance.choice(OFTEN)},
            )

    @property
    def stores(self) -> dict[str, str]:
        return {
            "SWINABLATE_STORAGE": self.storage,
            "SWINABLATE_TRACKING_URI": self.server.address,
        }

    def round(self, storage: str, most: int) -> None:
        """Run both studies to their end, killing on the way."""
        self.storage = storage
        going = {command: self.start(command, "run") for command in (self.one, self.two)}
        deadline = time.monotonic() + 1800
        while going:
            assert time.monotonic() < deadline, "they do not come to an end"
            time.sleep(self.chance.uniform(*PAUSES_S))
            if self.kills.total() < most:
                self.kill([process.pid for process in going.values()])
            for command, process in list(going.items()):
                if (code := process.poll()) is None:
                    continue
                self.ends[str(code)] += 1
                assert code in {0, 3, 4, -signal.SIGKILL}, (self.folder, command.study, code)
                if code == 0:
                    del going[command]
                else:
                    going[command] = self.start(command, "retry" if code == 3 else "run")

    def kill(self, coordinators: list[int]) -> None:
        """Kill something."""
        if self.kills.total() % SERVERS_AFTER == SERVERS_AFTER - 1:
            self.kill_server()
            return
        found = {pid: children(pid) for pid in coordinators if alive(pid)}
        servers = [
            p for below in found.values() for p, line in below.items() if b"forkserver" in line
        ]
        workers = [p for server in servers for p in below_of(server)]
        kind = self.chance.choices(["worker", "fork server", "coordinator"], [6, 2, 2])[0]
        victims = {"worker": workers, "fork server": servers, "coordinator": list(found)}[kind]
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.chance.choice(victims), signal.SIGKILL)
                self.kills[kind] += 1

    def kill_server(self) -> None:
        """Kill a database or MLflow's server; it comes back a while later."""
        if self.kills["PostgreSQL"] <= self.kills["MLflow's server"]:
            self.kills["PostgreSQL"] += 1
            self.postgres.kill()
            time.sleep(1)
            self.postgres.start()
        else:
            self.kills["MLflow's server"] += 1
            self.server.kill()
            self.server.start()


def below_of(pid: int) -> list[int]:
    """Children of a process."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    with contextlib.suppress(OSError):
        return [int(word) for word in path.read_text().split()]
    return []


def left_in(folder: Path) -> list[str]:
    """Processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def server(tmp_path_factory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    yield made
    made.kill()


def studies(folder: Path) -> tuple[Command, Command]:
    """Two studies in one home with the same baseline, each trial long enough to be hit."""
    made = Command(folder), Command(folder)
    base = folder / "base.toml"
    base.write_text(base.read_text().replace("epochs = 6", "epochs = 20"))
    for command, name, text in zip(made, ("first", "second"), (STUDY, SECOND), strict=True):
        command.study = folder / f"{name}.toml"
        command.study.write_text(text.replace("seeds = 2", "seeds = 3"))
    return made


def calm_numbers(folder: Path) -> dict[str, Any]:
    """Of both studies, one after the other, with nobody killing."""
    folder.mkdir()
    for command in studies(folder):
        code, _, err = command.run("--no-report")
        assert code == 0, err
    return command.numbers()


@pytest.mark.timeout(5400)
def test_f23_two_studies_killed_at_random_lose_nothing_and_leave_nothing(
    tmp_path, postgres, server
):
    calm = calm_numbers(tmp_path / "calm")
    chance = random.Random(SEED)
    kills: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    trials = began = rounds = 0
    at = time.monotonic()
    while kills.total() < KILLS:
        rounds += 1
        folder = tmp_path / f"round-{rounds}"
        folder.mkdir()
        chaos = Chaos(folder, (postgres, server), chance, kills)
        most = min(kills.total() + A_ROUND, KILLS)
        chaos.round(postgres.create(f"round{rounds}"), most)
        ends += chaos.ends
        trials += len(calm)
        began += check(chaos, calm)
        print(f"round {rounds}: {dict(kills)}", file=sys.stderr, flush=True)
    minutes = (time.monotonic() - at) / 60
    ran = f"{rounds} rounds, {trials} trials, {began} attempts, {minutes:.0f} min"
    write(kills, ends, ran)


def check(chaos: Chaos, calm: dict[str, Any]) -> int:
    """Nothing is lost, nothing trained twice, nothing left, and no number is another.

    Returns:
        How many attempts it took.
    """
    home = chaos.one.home
    assert chaos.one.numbers() == calm
    endings = {
        trial: [json.loads(path.read_text())["status"] for path in paths]
        for trial in calm
        if (paths := list(home.glob(f"trials/{trial}/attempts/*/result.json")))
    }
    assert {trial: found.count("done") for trial, found in endings.items()} == dict.fromkeys(
        calm, 1
    )

    until(lambda: not left_in(chaos.folder), seconds=30)
    assert [path for path in home.rglob("*.lock") if locks.holder(path)] == []
    assert list(home.rglob("*.tmp")) == []
    found = survey(Home(home))
    assert found.whole
    assert set(found.trials.values()) == {"whole"}

    for command in (chaos.one, chaos.two):
        code, _, err = command.run(command="sync", **chaos.stores)
        assert code == 0, err
    check_stores(chaos, calm)
    return len(list(home.glob("trials/*/attempts/*/")))


def check_stores(chaos: Chaos, calm: dict[str, Any]) -> None:
    """Optuna has every trial complete once a study, MLflow has it once and nothing running."""
    with contextlib.closing(psycopg2.connect(chaos.storage)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT study_id, count(*) FROM trials WHERE state = 'COMPLETE' GROUP BY 1")
        assert sorted(count for _, count in cursor.fetchall()) == [6, 6]
        cursor.execute("SELECT count(*) FROM trials WHERE state IN ('RUNNING', 'WAITING')")
        assert cursor.fetchone() == (0,)
    active = (
        "SELECT status, experiment_id, tags.value FROM runs JOIN tags USING (run_uuid) "
        "WHERE lifecycle_stage = 'active' AND tags.key = 'trial'"
    )
    with contextlib.closing(sqlite3.connect(chaos.server.database)) as store:
        found = [row for row in store.execute(active) if row[2] in calm]
    assert {status for status, *_ in found} == {"FINISHED"}
    assert len(found) == len(set(found)) >= 12  # earlier rounds have the same trials


def write(kills: Counter[str], ends: Counter[str], ran: str) -> None:
    """The table that is committed, when enough was killed."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False,
        cwd=TABLE.parent,
    ).stdout.strip()  # fmt: skip
    hit = ", ".join(f"{count} {kind}" for kind, count in kills.most_common())
    exits = ", ".join(f"{code}: {count}" for code, count in sorted(ends.items()))
    line = (
        f"| {time.strftime('%Y-%m-%d')} | {commit} | {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, seed {SEED} | {kills.total()}: {hit} | {ran} | {exits} | 0 | 0 | all equal |"
    )
    print(line)
    if kills.total() >= 200:
        TABLE.write_text(TABLE.read_text() + line + "\n")
