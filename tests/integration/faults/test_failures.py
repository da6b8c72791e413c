"""Failures of trials and stores in real processes, each named for what it is (F6 to F22)."""

import contextlib
import json
import math
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.integration.conftest import send, until

pytestmark = pytest.mark.integration
LOCKED_S = 20.0
"""How long a store is locked: longer than SQLite's own patience of 5 s."""


def varied(study, *does: str, epochs: int = 2):
    """A study whose arms do what they are called, at rates of their own: equal arms are refused."""
    command = study("Varied", epochs=epochs)
    arms = [
        f'[[arms]]\nname = "{what}"\nchanges = {{ "model.does" = "{what}", "train.lr" = 0.0{at} }}\n'
        for at, what in enumerate(does, 2)
    ]
    command.study.write_text(command.study.read_text().partition("[axes]")[0] + "".join(arms))
    return command


def by_arm(command) -> dict[str, list[dict]]:
    """What an arm does -> its recorded outcomes."""
    found: dict[str, list[dict]] = {}
    for outcome in command.results().values():
        found.setdefault(outcome["recipe"]["model"].get("does", "well"), []).append(outcome)
    return found


def numbers(value) -> list[float]:
    """Every number in plain data."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [value] if isinstance(value, float) else []


@contextlib.contextmanager
def locked(database: Path):
    """Hold a SQLite file so that nobody else may read or write it."""
    with contextlib.closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as store:
        store.execute("BEGIN EXCLUSIVE")
        yield
        store.execute("ROLLBACK")


def states(command) -> list[str]:
    """How MLflow says that trials ended; of none while its store is being made."""
    file = command.home / "mlflow.db"
    if not file.exists():  # to connect would make it
        return []
    made = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('runs', 'tags')"
    asked = (
        "SELECT status FROM runs JOIN tags USING (run_uuid) "
        "WHERE tags.key = 'kind' AND tags.value = 'trial' AND lifecycle_stage = 'active'"
    )
    with contextlib.closing(sqlite3.connect(file)) as store:
        if store.execute(made).fetchone() != (2,):  # the file is there before its tables are
            return []
        return sorted(state for (state,) in store.execute(asked))


def test_f6_f7_f8_each_failure_is_named_and_costs_no_other_trial(study):
    command = varied(study, "oom", "nan", "wrong", "killed")
    code, out, err = command.run("--json")
    assert code == 3, err
    found = by_arm(command)
    assert {arm: {one["status"] for one in ones} for arm, ones in found.items()} == {
        "well": {"done"},
        "oom": {"failed"},
        "nan": {"diverged"},
        "wrong": {"failed"},
        "killed": {"failed"},
    }
    assert {arm: {len(ones), ones[0]["attempt"]} for arm, ones in found.items()} == {
        "well": {2, 1}, "oom": {2, 1}, "nan": {2, 1}, "wrong": {2, 1}, "killed": {2, 3},
    }  # fmt: skip

    (memory,) = {one["failure"]["kind"] for one in found["oom"]}
    message = found["oom"][0]["failure"]["message"]
    assert memory == "oom"
    assert (
        "MiB, a batch of 32 images; train.accumulate = 2 or a smaller batch needs less" in message
    )
    assert all("step 5" in one["failure"]["message"] for one in found["nan"])
    assert "ValueError: it is wrong every time" in found["wrong"][0]["failure"]["message"]
    assert "signal SIGKILL" in found["killed"][0]["failure"]["message"]
    assert all(map(math.isfinite, numbers(json.loads(out))))

    code, out, _ = command.run("--json", command="status")
    assert code == 0
    told = json.loads(out)
    assert (told["done"], told["failed"], told["diverged"]) == (2, 6, 2)
    report = (command.folder / "reports/study/report.md").read_text()
    assert "it is wrong every time" in report

    assert command.run(command="retry")[0] == 3
    again = by_arm(command)
    assert {one["attempt"] for one in again["well"]} == {1}
    assert {one["attempt"] for one in again["wrong"]} == {2}


@pytest.mark.parametrize("store", ["optuna.db", pytest.param("mlflow.db", marks=pytest.mark.slow)])
def test_f12_f13_a_store_that_is_locked_for_seconds_costs_nothing(study, store):
    command = study("Net", epochs=12)
    process = command.start("--slots", "2", "--no-report")
    command.wait_for("epoch")
    with locked(command.home / store):
        time.sleep(LOCKED_S)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert len(command.results()) == 4
    assert {one["attempt"] for one in command.results().values()} == {1}
    if "records did not reach MLflow: swinablate sync" in err:  # locked before it was opened
        assert store == "mlflow.db"
        assert command.run(command="sync")[0] == 0
    assert states(command) == ["FINISHED"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("how", ["deleted", "garbled"])
def test_f13_f22_stores_that_are_lost_in_the_middle_come_back_by_sync(study, how):
    command = study("Net", epochs=12)
    process = command.start("--slots", "1", "--no-report")
    command.wait_for("done")
    if how == "deleted":
        (command.home / "mlflow.db").unlink()
    else:
        (command.home / "mlflow.db").write_bytes(b"no database" * 4000)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert len(command.results()) == 4

    (command.home / "optuna.db").unlink()
    (command.home / "mlflow.db").unlink(missing_ok=True)
    for _ in range(2):  # the second changes nothing
        code, _, err = command.run(command="sync")
        assert code == 0, err
        assert states(command) == ["FINISHED"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.1, 0.3])
def test_f13_killed_while_mlflows_tables_are_made_the_next_start_makes_them(study, after_s):
    command = study("Net", epochs=60)  # trials outlast the tables, whatever the processor
    process = command.start("--no-report")
    made = [command.home / "mlflow.db", command.home / ".mlflow.db.tmp"]
    until(lambda: any(path.exists() and path.stat().st_size for path in made), seconds=60)
    time.sleep(after_s)
    send(process.pid, signal.SIGKILL)
    process.communicate()
    code, _, err = command.run("--no-report")
    assert code == 0, err
    assert "did not reach MLflow" not in err
    assert states(command) == ["FINISHED"] * 4
    assert not made[1].exists()


def test_f21_what_a_killed_coordinator_left_running_is_closed(study):
    command = study("Net", epochs=12)
    process = command.start("--slots", "2")
    command.wait_for("epoch", 4)
    until(lambda: "RUNNING" in states(command), seconds=60)
    send(process.pid, signal.SIGKILL)
    process.communicate()
    code, _, err = command.run("--no-report")
    assert code == 0, err
    assert states(command) == ["FINISHED"] * 4


def test_f20_only_what_an_edited_study_adds_is_trained(study):
    command = study("Net", epochs=1)
    assert command.run("--no-report")[0] == 0
    before = set(command.results())
    command.study.write_text(command.study.read_text().replace("[0.01]", "[0.01, 0.02]"))
    code, out, err = command.run("--json", command="plan")
    assert code == 0, err
    told = json.loads(out)
    assert (told["reused"], told["trials"]["max"]) == (4, 6)
    code, _, err = command.run("--no-report")
    assert code == 0, err
    assert before < set(command.results())
    assert {one["attempt"] for one in command.results().values()} == {1}
