"""`ui` where MLflow's server does not start, ends, or is not asked for: the page goes on."""

import contextlib

import pytest

from swinablate.cli import pages
from swinablate.cli.pages import serve_pages
from swinablate.errors import EnvironmentFault
from swinablate.records.home import Home


class Enough(Exception):
    """The test has seen what it wants."""


@pytest.fixture
def home(tmp_path):
    """A home with a study and MLflow's store."""
    made = Home(tmp_path / "home")
    made.create()
    (made.studies / "a").mkdir()
    (made.studies / "a" / "latest").write_text("f" * 64)
    (made.root / "mlflow.db").write_bytes(b"tables")
    return made


class Server:
    """Of the pages that `ui` asks for: what they do at each start, in order."""

    child = "ours"

    def __init__(self, monkeypatch, *does):
        self.does = list(does)
        self.states = []
        self.base = "http://127.0.0.1:9"
        monkeypatch.setattr(pages, "serve", self.serve)
        monkeypatch.setattr(pages, "landing", self.landing)
        monkeypatch.setattr(pages, "PAUSES_S", (0.0, 0.0))

    @contextlib.contextmanager
    def landing(self, shown, port):
        shown.address = "http://127.0.0.1:8"
        self.shown = shown
        yield shown

    @contextlib.contextmanager
    def serve(self, uri, port, artifacts):
        assert port == 0
        state = self.shown.state()
        self.states.append((state["mlflow"], state["missing"].partition("\n")[0]))
        now = self.does.pop(0)
        if isinstance(now, Exception):
            raise now
        yield self

    def table(self, study):
        raise EnvironmentFault("it does not answer")

    def wait(self):
        state = self.shown.state()
        self.states.append((state["mlflow"], ""))


LOCKED = EnvironmentFault("the records cannot be read: database is locked", at="db", hint="wait")


def test_the_page_goes_on_and_mlflow_is_tried_again(home, monkeypatch, capsys):
    faults = [LOCKED, LOCKED, OSError(24, "Too many open files")]
    server = Server(monkeypatch, *faults, "starts", Enough())
    with pytest.raises(Enough):
        serve_pages(home, 0, None, None)
    locked = "db: the records cannot be read: database is locked"
    ended = "MLflow's server has ended"
    assert server.states == [
        ("", ""), ("", locked), ("", locked), ("", "Too many open files"), ("/mlflow", ""),
        ("", ended),
    ]  # fmt: skip
    err = capsys.readouterr().err
    assert err.count(locked) == 1  # said once
    assert "studies: http://127.0.0.1:8/" in err
    assert "MLflow: http://127.0.0.1:8/#/experiments\n" in err  # where no table is told


def test_where_nothing_was_run_and_mlflow_cannot_be_served_it_ends(tmp_path, monkeypatch):
    Server(monkeypatch, LOCKED)
    with pytest.raises(EnvironmentFault, match="database is locked"):
        serve_pages(Home(tmp_path), 0, "postgresql://me@db/d", None)


def test_a_store_that_is_not_there_yet_is_waited_for(home, monkeypatch):
    (home.root / "mlflow.db").write_bytes(b"")  # who makes the tables has looked for them
    server = Server(monkeypatch, Enough())
    waited = []

    def sleep(seconds):
        waited.append(server.shown.state()["missing"])
        (home.root / "mlflow.db").write_bytes(b"tables")

    monkeypatch.setattr(pages.time, "sleep", sleep)
    with pytest.raises(Enough):
        serve_pages(home, 0, None, None)
    (why,) = waited
    assert why.startswith(f"{home.root}/mlflow.db: it is not there yet")
    assert "swinablate sync" in why
