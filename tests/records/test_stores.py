"""Addresses of stores, their secrets, and what their errors tell the user."""

import contextlib
import os
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk import stores
from swinablate.records.disk.locks import lock


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("postgres://me@h/d", "postgresql+psycopg2://me@h/d"),
        ("postgresql://me@h/d", "postgresql+psycopg2://me@h/d"),
        ("postgresql+psycopg://me@h/d", "postgresql+psycopg://me@h/d"),
        ("sqlite:////a.db", "sqlite:////a.db"),
        ("https://mlflow", "https://mlflow"),
    ],
)
def test_postgres_has_the_driver_that_we_install(given, made):
    assert stores.sqlalchemy_url(given) == made


def test_the_file_of_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert stores.database("sqlite:////a/b.db") == Path("/a/b.db")
    assert stores.database("sqlite:///b.db") == tmp_path / "b.db"
    assert stores.database("postgresql://me@h/d") is None
    assert stores.database("http://mlflow:5000") is None


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_memory_forgets(url):
    with pytest.raises(InputError, match="a store in memory forgets everything"):
        stores.database(url)


def test_what_is_no_address_is_refused():
    with pytest.raises(InputError) as refusal:
        stores.database("results.db")
    assert str(refusal.value).splitlines()[0] == "results.db: not the address of a store"


class Said(Exception):
    """What a driver raises: psycopg2 says `pgcode`, psycopg `sqlstate`."""

    def __init__(self, text, **codes):
        super().__init__(text)
        self.__dict__.update(codes)


@pytest.mark.parametrize(
    ("kind", "said", "away"),
    [
        (OperationalError, Said("server closed the connection", pgcode=None), True),
        (OperationalError, Said("terminating connection", pgcode="57P01"), True),
        (OperationalError, Said("terminating connection", sqlstate="57P02"), True),
        (OperationalError, Said("the database system is starting up"), True),
        (OperationalError, Said("too many clients", pgcode="53300"), True),
        (InterfaceError, Said("connection already closed"), True),
        (OperationalError, Said("no space left on device", pgcode="53100"), False),
        (OperationalError, Said("canceling statement", pgcode="57014"), False),
        (OperationalError, Said("password authentication failed"), False),
        (DatabaseError, Said("server closed the connection"), False),
    ],
)
def test_a_server_may_be_back_soon_or_says_no(kind, said, away):
    error = RuntimeError("as a library wraps it")
    error.__cause__ = kind("SELECT 1", {}, said)
    error.__cause__.__cause__ = said
    assert stores.away(error, "postgresql://me@h/d") is away
    assert not stores.away(error, "sqlite:////a/b.db")
    assert not stores.away(RuntimeError("another"), "postgresql://me@h/d")


def test_what_an_address_says_of_its_connection_stays():
    url = "postgresql+psycopg2://me@h/d?connect_timeout=3"
    assert stores.kept_alive(url) == {
        name: value for name, value in stores.KEPT_ALIVE.items() if name != "connect_timeout"
    }
    assert stores.kept_alive("postgresql+pg8000://me@h/d") == {}
    assert stores.kept_alive("sqlite:////a/b.db") == {}


def test_a_password_is_never_shown(monkeypatch):
    url = "postgresql://me:s3%40cret@host/name"
    monkeypatch.setenv("PGPASSWORD", "hunter2hunter2")
    error = ValueError("connection to me:s3@cret (s3%40cret, hunter2hunter2) failed\nmore")
    assert stores.cause(error, url) == "connection to me:*** (***, ***) failed"
    assert str(stores.fault(error, url, "no store")).startswith(
        "postgresql://me:***@host/name: no store: connection to me:*** (***, ***) failed\n"
    )


def test_the_first_cause_is_told():
    error = ValueError("later")
    error.__cause__ = KeyError()
    assert stores.cause(error, "") == "KeyError"


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("database is locked", "another program holds it: close what has it open and start again"),
        (
            "file is not a database",
            "move the file away and run `swinablate sync",
        ),
        ("No module named 'psycopg2'", "pip install 'swinablate[postgres]'"),
        ("database or disk is full", "free some space and start the same command again"),
        (
            "The run e must be in the 'active' state. Current state is deleted.",
            "somebody removed it from MLflow meanwhile: run `swinablate sync STUDY`",
        ),
        ("disk I/O error", "is the disk full, or the folder not yours?"),
        ("attempt to write a readonly database", "is the file another user's (`chmod g+w` "),
        ("connection refused", "is the server running, and the address right?"),
    ],
)
def test_every_cause_has_its_remedy(said, hint):
    fault = stores.fault(ValueError(said), "sqlite:////a.db", "no store")
    assert str(fault).startswith(f"sqlite:////a.db: no store: {said}\n\nhint: {hint}")


@pytest.mark.parametrize(
    ("said", "waits"),
    [("database is locked", True), ("Deadlock found", True), ("disk I/O error", False)],
)
def test_waiting_helps_where_somebody_else_holds_the_store(said, waits):
    assert stores.locked(ValueError(said)) == waits


def test_what_is_no_database_is_seen_before_anything_is_written(tmp_path):
    path = tmp_path / "a.db"
    path.write_text("no database at all" * 100)
    with pytest.raises(DatabaseError):
        stores.reach(f"sqlite:///{path}")
    with pytest.raises(OperationalError):
        stores.reach(f"sqlite:///{tmp_path}/none/a.db")
    sqlite3.connect(tmp_path / "b.db").close()
    stores.reach(f"sqlite:///{tmp_path}/b.db")
    stores.reach("http://127.0.0.1:1")  # asked when it is used


def test_one_at_a_time_creates_a_store(tmp_path, monkeypatch):
    url, inside, most = f"sqlite:///{tmp_path}/new/a.db", [], []

    def create() -> None:
        with stores.creation(url):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.02)
            inside.pop()

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]

    monkeypatch.setattr(stores, "PATIENCE_S", 0.1)
    with lock(tmp_path / "new/.a.db.lock"), pytest.raises(EnvironmentFault) as fault:
        create()
    assert "another process has been creating the store for 0 s" in str(fault.value)


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o077, 0o600)])
def test_a_group_may_write_a_store_where_it_may_write_any_file(tmp_path, umask, mode):
    """SQLite itself makes files that their owner alone may write."""
    url = f"sqlite:///{tmp_path}/a.db"
    before = os.umask(umask)
    try:
        with stores.creation(url):
            table(url)
        with stores.made_whole(f"sqlite:///{tmp_path}/b.db") as draft:
            table(draft)
    finally:
        os.umask(before)
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("a.db", "b.db")}
    assert modes == {"a.db": mode, "b.db": mode}
    (tmp_path / "a.db").chmod(0o640)
    with stores.creation(url):
        pass
    assert (tmp_path / "a.db").stat().st_mode & 0o777 == 0o640  # what somebody chose stays


def table(url):
    with contextlib.closing(sqlite3.connect(stores.database(url))) as connection:
        connection.execute("CREATE TABLE t (x)")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(EnvironmentFault, match="cannot write: "),
        stores.creation(f"sqlite:///{tmp_path}/file/a.db"),
    ):
        pass


def test_a_server_out_of_reach_is_named_and_others_need_no_lock():
    with (
        pytest.raises(EnvironmentFault, match="the store cannot be opened") as fault,
        stores.creation("postgresql+psycopg2://me:s3cret@127.0.0.1:1/d"),
    ):
        pass
    assert "s3cret" not in str(fault.value)
    with stores.creation("https://mlflow"):
        pass


@pytest.mark.parametrize(
    "said",
    [
        "Can't locate revision identified by 'v3.2.0.a'",
        "Detected out-of-date database schema (found version ffff, but expected dc11)",
    ],
)
def test_a_store_of_another_version_is_no_question_of_its_address(said):
    text = str(stores.fault(RuntimeError(said), "sqlite:////home/mlflow.db", "it cannot be used"))
    assert "hint: another version of that library made it: move the file away" in text


def test_a_store_that_was_left_half_made_is_named():
    said = RuntimeError("(sqlite3.OperationalError) table datasets already exists")
    text = str(stores.fault(said, "sqlite:////home/mlflow.db", "MLflow cannot be written"))
    assert "hint: it was left half made: move the file away and run `swinablate sync" in text


def test_a_new_store_gets_its_name_when_it_is_whole(tmp_path):
    file = tmp_path / "a b#c.db"
    file.touch()  # whoever looked at a store that is not there yet has made an empty file
    with stores.made_whole(f"sqlite:///{file}") as draft:
        assert draft is not None
        made = stores.database(draft)
        assert made.parent == tmp_path
        made.write_bytes(b"tables")
        assert file.read_bytes() == b""
    assert file.read_bytes() == b"tables"
    assert not made.exists()


def test_a_store_that_is_there_is_not_made_and_a_kill_leaves_nothing_that_is_used(tmp_path):
    file = tmp_path / "store.db"

    def killed_halfway() -> None:
        with stores.made_whole(f"sqlite:///{file}") as draft:
            stores.database(draft).write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed_halfway()
    assert not file.exists()
    with stores.made_whole(f"sqlite:///{file}") as draft:
        assert stores.database(draft).read_bytes() == b""  # without what the kill left
        stores.database(draft).write_bytes(b"whole")
    with stores.made_whole(f"sqlite:///{file}") as draft:
        assert draft is None
    with stores.made_whole("postgresql://127.0.0.1/x") as draft:
        assert draft is None
    assert file.read_bytes() == b"whole"


@pytest.mark.parametrize(
    "said",
    [
        'FATAL:  password authentication failed for user "u"',
        "permission denied for table studies",
        "cannot execute INSERT in a read-only transaction",
    ],
)
def test_a_role_that_may_not_is_not_told_to_start_the_server(said):
    text = str(stores.fault(RuntimeError(said), "postgresql://u@h/d", "it cannot be used"))
    assert text.endswith("hint: may this user write there, and is the password right?")
