"""Two homes on one store of Optuna's: one runs, the other is told who does."""

import copy
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from swinablate.errors import EnvironmentFault
from swinablate.records.disk import stores
from swinablate.scheduling import owner as owners
from swinablate.scheduling.owner import Owner, owning
from tests.integration.conftest import send, until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture
def pair(study, tmp_path):
    """A study that trains for a minute, and the same study for another home."""
    first = study("Slow")
    second = copy.copy(first)  # whatever it starts is ended with the first's
    second.home = tmp_path / "other"
    return first, second


def store(kind, request, tmp_path):
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/queue.db"
    return request.getfixturevalue("postgres").create("shared")


def states(url):
    """How often the queue has trials of each state."""
    engine = create_engine(stores.sqlalchemy_url(url))
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT state, count(*) FROM trials GROUP BY state")).all()
    engine.dispose()
    return {str(state): count for state, count in rows}


@pytest.mark.parametrize("kind", [pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
def test_a_second_home_is_refused_and_follows_a_killed_first(pair, tmp_path, request, kind):
    first, second = pair
    url = store(kind, request, tmp_path)
    words = ("--slots", "1", "--no-report", "--storage", url)
    process = first.start(*words)
    first.wait_for("epoch")
    send(process.pid, signal.SIGSTOP)  # so that nothing changes, however slow the machine
    before = states(url)
    code, _, err = second.run(*words)
    assert code == 4, err
    assert "another home runs 'study@" in err
    assert f": pid {process.pid} on {socket.gethostname()} since " in err
    assert f"with home {first.home}" in " ".join(err.split())
    assert "s3cret" not in err
    assert not list(second.home.glob("trials/*"))
    assert states(url) == before
    send(process.pid, signal.SIGKILL)
    process.communicate()
    follower = second.start(*words)
    second.wait_for("epoch")
    send(follower.pid, signal.SIGTERM)
    assert follower.wait(60) == 75


def test_a_server_that_is_started_anew_leaves_the_owner_its_queue(postgres, monkeypatch):
    monkeypatch.setattr(owners, "BEAT_S", 0.1)
    url = postgres.create("restarts")
    told = []
    with owning(url, "a@1", Owner(home=Path("/a"), lost=told.append)):
        postgres.stop()
        time.sleep(0.5)
        postgres.start()
        until(lambda: locked(postgres, "restarts"), seconds=20)
        with (
            pytest.raises(EnvironmentFault, match=r"another home runs 'a@1': .* with home /a"),
            owning(url, "a@1", Owner(home=Path("/b"))),
        ):
            pass
    assert told == []
    with owning(url, "a@1", Owner(home=Path("/b"))):
        pass
    assert "owner" not in {thread.name for thread in threading.enumerate()}


def locked(postgres, name):
    connection = postgres.connect(name)
    cursor = connection.cursor()
    cursor.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = %s)",
        (name,),
    )
    (count,) = cursor.fetchone()
    connection.close()
    return count == 1


def test_an_owner_whose_lock_another_got_meanwhile_is_told(postgres, monkeypatch):
    """As after a network that failed for longer than the server waits."""
    url = postgres.create("lost")
    told = []
    monkeypatch.setattr(owners, "BEAT_S", 3.0)
    with owning(url, "a@1", Owner(home=Path("/a"), lost=told.append)):
        connection = postgres.connect("lost")
        connection.autocommit = True
        connection.cursor().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        )
        connection.close()
        with owning(url, "a@1", Owner(home=Path("/b"))):
            until(lambda: told, seconds=20)
    (fault,) = told
    assert fault.problem.endswith("with home /b")
    assert "s3cret" not in str(fault)
