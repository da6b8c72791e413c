"""The queue and MLflow on the stores of production: PostgreSQL, and a tracking server."""

import contextlib
import hashlib
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from swinablate.errors import EnvironmentFault
from swinablate.records.disk import stores
from swinablate.records.launch import Launch
from swinablate.scheduling.queue import Queue, Ticket
from swinablate.tracking.server import serve
from swinablate.tracking.tracker import StudyCard, Tracker, TrialCard

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]
STUDY = StudyCard(
    name="quickstart",
    dataset="digits",
    declaration="0" * 64,
    question="?",
    commit=None,
    varied=("model.shift",),
    launch=Launch(
        study="studies/quickstart.toml", command="swinablate run studies/quickstart.toml"
    ),
)
START = 1_700_000_000_000


def tickets(count):
    return [Ticket(f"{seed:064x}", "baseline", seed, 1) for seed in range(count)]


def drain(queue):
    taken = []
    while (now := queue.pop()) is not None:
        taken.append(now)
        queue.done(now, 50.0, "done")
    return taken


def card(seed=0):
    return TrialCard(
        trial=hashlib.sha256(bytes([seed])).hexdigest(),
        arm="baseline",
        seed=seed,
        kind="final",
        changes={},
        recipe={"model": {"shift": True}},
        geometry=[{"grid": 8}],
        params=34710,
        macs=10**6,
        reused=False,
    )


def tell(tracker, seed=0, **changes):
    now = replace(card(seed), **changes)
    rows = tuple(
        {"epoch": e, "at": START + e, "train/loss": 1 / e, "val/accuracy": 0.1 + e}
        for e in (1, 2, 3)
    )
    tracker.begin(now)
    tracker.epochs(now.trial, rows)
    end = {"status": "done", "metrics": {"test/accuracy": 100 / 3}, "curve": rows}
    times = {"started_at": START, "finished_at": START + 9}
    tracker.end(now.trial, end | times | {"provenance": {"data": "ab" * 32}})


ANSWER = {
    "baseline": {"name": "baseline", "n": 2, "mean": 100 / 3, "sd": 0.0},
    "arms": [],
}


def test_the_queue_on_postgresql(postgres):
    url = postgres.create("queue")
    queue, other = Queue.open(url, "a@1", ["baseline"]), Queue.open(url, "b@1", ["baseline"])
    for _ in range(4):
        queue.put(tickets(5))
        assert other.put(tickets(3)) in {0, 3}
    first = queue.pop()
    assert queue.reap() == 1
    assert queue.put([first]) == 1
    assert drain(queue) == [*tickets(5)[1:], first]
    assert queue.pop() is None
    assert queue.counts() == {"done": 5, "failed": 1}
    assert other.counts() == {"waiting": 3}
    queue.close()
    other.close()


@pytest.fixture
def restarted(postgres):
    """A queue on a server that tests stop and start, with its address."""
    url = postgres.create("restarted")
    queue = Queue.open(url, "a@1", ["baseline"])
    yield queue
    queue.close()
    with contextlib.closing(postgres.connect("postgres")) as connection:
        connection.autocommit = True
        connection.cursor().execute("DROP DATABASE restarted WITH (FORCE)")


def test_a_server_that_stays_away_is_named_and_nothing_is_lost(postgres, restarted, monkeypatch):
    monkeypatch.setattr(stores, "PATIENCE_S", 1.0)
    restarted.put(tickets(2))
    first = restarted.pop()
    postgres.stop()
    with pytest.raises(EnvironmentFault) as caught:
        restarted.done(first, 50.0, "done")
    assert "s3cret" not in str(caught.value)
    assert str(caught.value).endswith("hint: is the server running, and the address right?")
    postgres.start()
    restarted.done(first, 50.0, "done")
    assert drain(restarted) == tickets(2)[1:]
    assert restarted.counts() == {"done": 2}


def test_a_server_that_restarts_is_waited_for(postgres, restarted, caplog):
    restarted.put(tickets(3))
    for act in (
        restarted.pop,
        lambda: restarted.done(tickets(1)[0], 50.0, "done"),
        lambda: restarted.done(tickets(4)[3], 50.0, "done"),  # never popped, as `sync` tells it
        restarted.counts,
    ):
        postgres.kill()
        later = threading.Timer(0.5, postgres.start)
        later.start()
        act()
        later.join()
    assert drain(restarted) == tickets(3)[1:]
    assert restarted.counts() == {"done": 4}
    said = [line for line in caplog.messages if "does not answer" in line]
    assert len(said) >= 2  # to make a trial Optuna tries for some seconds by itself
    assert "waiting for it for up to 60 s, while trials train on" in said[0]
    assert "s3cret" not in caplog.text


def test_connections_broken_by_the_server_are_made_anew(postgres, restarted):
    restarted.put(tickets(2))
    first = restarted.pop()
    with contextlib.closing(postgres.connect("postgres")) as connection:
        connection.cursor().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'restarted'"
        )
    restarted.done(first, 50.0, "done")
    assert drain(restarted) == tickets(2)[1:]


def test_of_a_machine_that_is_off_a_connection_waits_a_minute(restarted):
    with restarted._storage.engine.connect() as connection:
        asked = connection.connection.dbapi_connection.get_dsn_parameters()
    assert {name: int(asked[name]) for name in stores.KEPT_ALIVE} == stores.KEPT_ALIVE


RACER = """
import sys
from pathlib import Path
from swinablate.scheduling.queue import Queue, Ticket
from swinablate.tracking.tracker import StudyCard, Tracker
url, name = sys.argv[1:]
queue = Queue.open(url, name, ["baseline"])
queue.put([Ticket("0" * 64, "baseline", 0, 1)])
assert queue.pop() == Ticket("0" * 64, "baseline", 0, 1)
queue.close()
card = StudyCard(name=name, dataset="digits", declaration="0" * 64, question="?", commit=None,
                 varied=())
Tracker.open(url.replace("/queues", "/runs"), None, card).close()
"""


def test_two_machines_may_meet_a_fresh_postgresql(postgres):
    queues, runs = postgres.create("queues"), postgres.create("runs")
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, queues, name], stderr=subprocess.PIPE)
        for name in ("one", "two")
    ]
    for racer in racers:
        _, said = racer.communicate()
        assert racer.returncode == 0, said.decode()
    found = {
        experiment.name
        for experiment in MlflowClient(stores.sqlalchemy_url(runs)).search_experiments()
    }
    assert found == {"one @ digits", "two @ digits", "Default"}


TABLES = ("runs", "metrics", "params", "tags", "inputs")


def test_mlflow_on_postgresql(postgres, tmp_path):
    uri = postgres.create("mlflow")
    counts = []
    for reused in (True, False, True):
        tracker = Tracker.open(uri, tmp_path / "artifacts", STUDY)
        tell(tracker, 0, reused=reused)
        tell(tracker, 1, reused=reused)
        tracker.summaries(ANSWER)
        tracker.close()
        counts.append([postgres.count("mlflow", table) for table in TABLES])
    # Two trials, an arm, and the report, whose run is there from the start.
    assert counts[0][:2] == [4, 2 * (2 * 3 + 1 + 2) + 4]
    assert counts[1] == counts[2] == counts[0]
    with contextlib.closing(postgres.connect("mlflow")) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT start_time, end_time FROM runs WHERE name LIKE '% s_'")
        assert cursor.fetchall() == 2 * [(START, START + 9)]


def test_mlflow_on_a_server(tmp_path, capfd):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    Tracker.open(uri, tmp_path / "artifacts", replace(STUDY, name="other")).close()
    counts = []
    with serve(uri, 0, tmp_path / "artifacts") as pages:
        base = pages.base
        for reused in (True, False, True):
            tracker = Tracker.open(base, tmp_path / "elsewhere", STUDY)
            tell(tracker, reused=reused)
            tracker.summaries(ANSWER)
            tracker.close()
            with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
                asked = [f"SELECT count(*) FROM {table}" for table in TABLES]
                counts.append([database.execute(ask).fetchone()[0] for ask in asked])
        (run,) = MlflowClient(base).search_runs([tracker.experiment], "tags.kind = 'trial'")
        assert run.data.metrics["test/accuracy"] == 100 / 3
        assert (run.info.status, run.info.end_time) == ("FINISHED", START + 9)
    assert counts[1] == counts[2] == counts[0]
    assert capfd.readouterr().out == ""  # standard output is for data
    assert not (tmp_path / "elsewhere").exists()  # a server keeps files itself
    with pytest.raises(EnvironmentFault, match="MLflow cannot be written"):
        tracker.begin(card(1))


def test_mlflow_waits_for_a_locked_file(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tracker = Tracker.open(uri, tmp_path / "artifacts", STUDY)
    ready = threading.Event()

    def hold(seconds):
        with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as other:
            other.isolation_level = None
            other.execute("BEGIN EXCLUSIVE")
            ready.set()
            time.sleep(seconds)
            other.execute("ROLLBACK")

    holder = threading.Thread(target=hold, args=(3,))
    holder.start()
    ready.wait()
    start = time.monotonic()
    tell(tracker)
    assert time.monotonic() - start > 2.5
    holder.join()
    (run,) = MlflowClient(uri).search_runs([tracker.experiment], "tags.kind = 'trial'")
    assert run.info.status == "FINISHED"
