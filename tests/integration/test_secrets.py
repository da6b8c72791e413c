"""A study whose stores have passwords: they work, and nobody else gets to read them."""

import contextlib
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from swinablate.records.launch import Launch
from swinablate.records.secrets import STORES
from swinablate.tracking.server import serve
from swinablate.tracking.tracker import StudyCard, Tracker
from tests.encodings import encodings
from tests.integration.conftest import Command

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]
QUEUE = "p@ss:w/rd?#%41 \N{LATIN SMALL LETTER E WITH ACUTE}'x"
SERVER = "h:nter2/@+ %40"
FORMS = tuple(form for secret in (QUEUE, SERVER) for form in encodings(secret))


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in STORES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def queue(postgres) -> str:
    """The address of a database whose user has to give a password."""
    postgres.create_for("ablator", QUEUE, "tickets")
    return f"postgresql://ablator:{quote(QUEUE, safe='')}@127.0.0.1:{postgres.port}/tickets"


@contextlib.contextmanager
def tracking(folder: Path) -> Iterator[tuple[str, Path]]:
    """MLflow's server, its address with a user and password, and its database."""
    database = folder / "mlflow.db"
    sqlite3.connect(database).close()
    with serve(f"sqlite:///{database}", 0, folder / "artifacts") as pages:
        yield pages.base.replace("//", f"//bob:{quote(SERVER, safe='')}@"), database


def held(text: str | bytes) -> list[str]:
    """The encodings of secrets in it."""
    data = text.encode() if isinstance(text, str) else text
    return [form for form in FORMS if form.encode() in data]


def files(folder: Path) -> dict[str, list[str]]:
    """Files below a folder that hold a secret."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert paths
    return {str(path): found for path in paths if (found := held(path.read_bytes()))}


def children(pid: int) -> dict[int, bytes]:
    """Command lines of what a process started, and of what that started.

    A child that has forked and not yet become another program has its parent's: what the user
    typed is not looked at.
    """
    parents, lines = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(stat[1])
            lines[int(folder.name)] = (folder / "cmdline").read_bytes()
    below = {pid}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    started = {child: lines[child] for child in below - {pid} if child in lines}
    return {child: line for child, line in started.items() if line != lines.get(pid)}


def watched(process: "subprocess.Popen[str]") -> tuple[str, set[bytes]]:
    """What a command says, and every command line that was seen below it."""
    seen: set[bytes] = set()
    while process.poll() is None:
        seen |= set(children(process.pid).values())
        time.sleep(0.05)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out + err, seen


def test_a_study_with_secrets_leaves_them_nowhere(queue, postgres, command: Command, tmp_path_factory):  # fmt: skip
    """One in an option, the other in a variable."""
    place = tmp_path_factory.mktemp("server")
    with tracking(place) as (server, database):
        variables = {"SWINABLATE_TRACKING_URI": server}
        process = command.start("--storage", queue, "--slots=2", **variables)
        said, seen = watched(process)
        with contextlib.closing(sqlite3.connect(database)) as store:
            asked = "SELECT value FROM tags WHERE key = 'mlflow.note.content'"
            notes = [note for (note,) in store.execute(asked)]

    assert len(command.results()) == 4
    assert "did not reach MLflow" not in said
    tickets = postgres.dump("tickets")
    assert all(trial in tickets for trial in command.results())
    needs = "with SWINABLATE_STORAGE and SWINABLATE_TRACKING_URI set"
    assert sum(needs in note for note in notes) == 4 + 1  # trials and the study's report
    words = f"{command.study} --home {command.home} --slots=2`, {needs}"
    assert any(note.endswith(f"swinablate run {words}") for note in notes)
    assert said.count("warning: --") == 1
    assert any(b"forkserver" in line for line in seen)

    assert held(said) == []
    assert [line for line in seen if held(line)] == []
    assert held(tickets) == []
    assert held("\n".join(notes)) == []
    assert files(command.folder) == {}
    assert files(place) == {}


def test_a_wrong_password_is_not_told_and_nothing_is_trained(queue, command: Command):
    wrong = queue.replace("ablator:", "ablator:x")
    code, out, err = command.run(SWINABLATE_STORAGE=wrong)
    assert code == 4, err
    assert "password authentication failed" in err
    assert "postgresql+psycopg2://ablator:***@127.0.0.1" in err
    assert held(out + err) == []
    assert files(command.folder) == {}
    assert command.results() == {}


def test_the_pages_of_a_database_with_a_password(queue, postgres, command: Command, tmp_path):
    postgres.create_for("keeper", QUEUE, "runs")
    uri = queue.replace("ablator:", "keeper:").replace("/tickets", "/runs")
    card = StudyCard(name="study", dataset="digits", declaration="0" * 64, question="?",
                     commit=None, varied=(), launch=Launch(command="swinablate run study.toml"))  # fmt: skip
    Tracker.open(uri, tmp_path / "artifacts", card).close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    process = command.start("--port", port, command="ui", SWINABLATE_TRACKING_URI=uri)
    assert process.stderr is not None
    said = ""
    while "Ctrl-C" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    seen = set(children(process.pid).values())
    process.terminate()
    process.wait()
    assert f"http://127.0.0.1:{port}/#/experiments/" in said
    assert any(b"mlflow" in line and b"server" in line for line in seen)
    assert held(said) == []
    assert [line for line in seen if held(line)] == []
    assert held(postgres.dump("runs")) == []
    assert files(command.folder) == {}
