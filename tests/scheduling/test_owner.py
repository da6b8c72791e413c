"""One owner of a queue: refused by name, found dead, taken over, and told so."""

import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from swinablate.errors import EnvironmentFault
from swinablate.scheduling import owner as owners
from swinablate.scheduling.owner import Entry, Owner, machine, owning, started

OWN = """
import sys, time
from pathlib import Path
from swinablate.scheduling.owner import Owner, owning
with owning(sys.argv[1], "a@1", Owner(home=Path("/first"))):
    print("owned", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/queue.db"


@pytest.fixture
def other(url):
    """A process that owns the queue a@1."""
    words = [sys.executable, "-c", OWN, url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "owned\n"
        yield process
        process.kill()


@pytest.fixture
def quick(monkeypatch):
    """Signs of life by the hundredth of a second."""
    monkeypatch.setattr(owners, "BEAT_S", 0.02)
    monkeypatch.setattr(owners, "WATCH_S", 0.2)
    monkeypatch.setattr(owners, "LOOK_S", 0.01)


def rows(url):
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT * FROM swinablate_owners")).mappings().all()
    engine.dispose()
    return found


def change(url, **values):
    engine = create_engine(url)
    with engine.begin() as connection:
        for name, value in values.items():
            asked = text(f"UPDATE swinablate_owners SET {name} = :value")
            assert connection.execute(asked, {"value": value}).rowcount == 1
    engine.dispose()


def until(ready):
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def elsewhere(url, home="/far", **values):
    """Leave the row of an owner on another machine, as a power cut does."""
    with owning(url, "a@1", Owner(home=Path(home))):
        (row,) = rows(url)
    kept = {"machine": "another", "host": "far", "pid": 7, **values}
    engine = create_engine(url)
    with engine.begin() as connection:
        names = ", ".join(row)
        asked = f"INSERT INTO swinablate_owners VALUES ({', '.join(f':{n}' for n in row)})"
        assert names.startswith("queue")
        connection.execute(text(asked), {**row, **kept})
    engine.dispose()


def test_a_second_owner_is_told_who_the_first_is_and_where(url, other):
    with pytest.raises(EnvironmentFault) as caught, owning(url, "a@1", Owner(home=Path("/b"))):
        pass
    assert caught.value.exit_code == 4
    assert caught.value.at == url
    problem = f"another home runs 'a@1': pid {other.pid} on {socket.gethostname()} since "
    assert caught.value.problem.startswith(problem)
    assert caught.value.problem.endswith(" UTC, with home /first")
    assert "--take-over" in caught.value.hint


def test_a_living_process_of_this_machine_cannot_be_taken_over_however_silent(url, other):
    change(url, at=0.0)
    taker = Owner(home=Path("/b"), take_over=True)
    with pytest.raises(EnvironmentFault, match="another home runs"), owning(url, "a@1", taker):
        pass


def test_other_studies_of_the_store_are_owned_by_others(url, other):
    with owning(url, "a@2", Owner(home=Path("/b"))):
        assert {row["queue"]: row["home"] for row in rows(url)} == {"a@1": "/first", "a@2": "/b"}
    assert [row["queue"] for row in rows(url)] == ["a@1"]


def test_a_killed_owner_of_this_machine_is_followed_at_once(url, other, monkeypatch):
    monkeypatch.setattr(owners, "WATCH_S", 600.0)
    other.kill()
    until(lambda: not started(other.pid))  # it is a zombie: nobody has asked how it ended
    began = time.monotonic()
    with owning(url, "a@1", Owner(home=Path("/b"))):
        assert time.monotonic() - began < 60  # it is not watched
        (row,) = rows(url)
        assert (row["pid"], row["home"], row["beats"]) == (os.getpid(), "/b", 0)
    assert rows(url) == []


def test_another_users_process_that_nobody_may_see_is_believed_by_its_signs(url, monkeypatch):
    """/proc of many clusters (hidepid) shows one's own processes alone."""

    def refused(_pid, _number):
        raise PermissionError

    monkeypatch.setattr(owners.os, "kill", refused)
    nobody = 2**22 + 1  # above the largest number that Linux gives
    elsewhere(url, machine=machine(), pid=nobody, at=time.time())
    with (
        pytest.raises(EnvironmentFault, match="another home runs"),
        owning(url, "a@1", Owner(home=Path("/b"))),
    ):
        pass
    change(url, at=0.0)
    monkeypatch.setattr(owners, "WATCH_S", 0.1)
    with owning(url, "a@1", Owner(home=Path("/b"))):
        assert rows(url)[0]["home"] == "/b"


def test_a_process_that_got_the_number_of_a_dead_owner_is_not_taken_for_it(url):
    elsewhere(url, machine=machine(), pid=os.getpid(), started="1")
    with owning(url, "a@1", Owner(home=Path("/b"))):
        assert rows(url)[0]["home"] == "/b"


def test_an_owner_that_was_heard_of_lately_on_another_machine_is_believed(url):
    elsewhere(url, at=time.time() - owners.DEAD_S + 30)
    with pytest.raises(EnvironmentFault, match=r"pid 7 on far since .* home /far"), owning(
        url, "a@1", Owner(home=Path("/b"))
    ):  # fmt: skip
        pass


@pytest.mark.parametrize(("age", "take_over"), [(owners.DEAD_S + 1, False), (1.0, True)])
def test_an_owner_that_looks_dead_is_watched_and_then_followed(url, quick, age, take_over):
    elsewhere(url, at=time.time() - age)
    said = []
    taker = Owner(home=Path("/b"), take_over=take_over, say=said.append)
    with owning(url, "a@1", taker):
        assert rows(url)[0]["home"] == "/b"
    (line,) = said
    assert line.startswith("a@1: pid 7 on far since ")
    assert line.endswith(f"gave no sign of life for {age:.0f} s; watching it")


def test_one_that_lives_after_all_is_left_alone(url, quick):
    """Clocks of two machines may differ by more than the longest silence."""
    elsewhere(url, at=0.0)
    change_later = threading.Timer(0.05, lambda: change(url, beats=1))
    change_later.start()
    with pytest.raises(EnvironmentFault, match="another home runs"), owning(
        url, "a@1", Owner(home=Path("/b"))
    ):  # fmt: skip
        pass
    change_later.join()
    assert rows(url)[0]["home"] == "/far"


def test_a_wish_to_stop_ends_the_watching(url, monkeypatch):
    elsewhere(url, at=0.0)
    monkeypatch.setattr(owners, "WATCH_S", 600.0)
    began = time.monotonic()
    with pytest.raises(EnvironmentFault), owning(
        url, "a@1", Owner(home=Path("/b"), stopping=lambda: True)
    ):  # fmt: skip
        pass
    assert time.monotonic() - began < 60  # of ten minutes


def test_an_owner_gives_signs_of_life_and_none_when_it_is_none_any_more(url, quick):
    with owning(url, "a@1", Owner(home=Path("/b"))):
        until(lambda: rows(url)[0]["beats"] > 2)
        assert time.time() - rows(url)[0]["at"] < 10
    assert rows(url) == []
    assert "owner" not in {thread.name for thread in threading.enumerate()}


def test_who_was_taken_over_is_told_once_and_leaves_the_others_row(url, quick):
    told = []
    with owning(url, "a@1", Owner(home=Path("/b"), lost=told.append)):
        change(url, token="another", home="/c")
        until(lambda: told)
        time.sleep(0.1)
    (fault,) = told
    assert fault.exit_code == 4
    assert fault.problem.startswith("another home took over 'a@1': pid ")
    assert fault.problem.endswith("with home /c")
    assert rows(url)[0]["home"] == "/c"


def test_a_store_that_is_locked_for_a_while_costs_no_ownership(url, quick, monkeypatch):
    monkeypatch.setattr(owners, "SHORT_S", 0.05)
    told = []
    with owning(url, "a@1", Owner(home=Path("/b"), lost=told.append)):
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.execute(text("BEGIN EXCLUSIVE"))
            time.sleep(0.3)
        engine.dispose()
        before = rows(url)[0]["beats"]
        until(lambda: rows(url)[0]["beats"] > before)
    assert told == []


def test_of_two_that_follow_a_dead_owner_one_does(url):
    elsewhere(url, machine=machine(), started="1")
    dead = Entry(**{name: value for name, value in rows(url)[0].items() if name != "queue"})
    first, second = (owners.Row(url, "a@1", Entry.mine(Path(home))) for home in "bc")
    assert first.take(dead)
    assert not second.take(dead)
    assert not second.take(None)
    assert rows(url)[0]["home"] == "b"


def test_a_secret_in_the_path_of_a_home_is_not_told(tmp_path):
    row = owners.Row(
        "postgresql+psycopg2://me:hunter2@db/d", "a@1", Entry.mine(tmp_path / "hunter2")
    )
    refused = row.refusal(replace(row.mine, host="h"), "another home runs", "")
    assert "hunter2" not in str(refused)
    assert "/***" in str(refused)


def test_a_store_out_of_reach_is_an_environment_fault(tmp_path):
    url = f"sqlite:///{tmp_path}"
    with pytest.raises(EnvironmentFault, match="the queue cannot be owned"), owning(
        url, "a@1", Owner(home=Path("/b"))
    ):  # fmt: skip
        pass


def test_where_processes_cannot_be_told_apart_only_signs_of_life_count(url, monkeypatch, quick):
    monkeypatch.setattr(owners, "machine", lambda: "")
    elsewhere(url, machine="", started="")
    with pytest.raises(EnvironmentFault), owning(url, "a@1", Owner(home=Path("/b"))):
        pass
