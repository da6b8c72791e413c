"""A study whose stores have passwords: they work, and nobody else gets to read them."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from swinablate.records.launch import Launch
from swinablate.records.secrets import STORES
from swinablate.tracking.tracker import StudyCard, Tracker
from tests.encodings import encodings
from tests.integration.conftest import RECIPE, Command

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


@dataclass(frozen=True)
class Ui:
    """`ui` on a database of MLflow's whose user has to give a password.

    Attributes:
        folder: where it was started.
        port: of its page, and of MLflow's behind it.
        said: what it printed.
        seen: command lines of what it started.
    """

    folder: Path
    port: str
    said: str
    seen: set[bytes]


@pytest.fixture(scope="module")
def ui(queue, postgres, tmp_path_factory) -> Iterator[Ui]:
    """It serves for the whole file: a start takes ten seconds of a core."""
    folder = tmp_path_factory.mktemp("ui")
    postgres.create_for("keeper", QUEUE, "runs")
    uri = queue.replace("ablator:", "keeper:").replace("/tickets", "/runs")
    card = StudyCard(name="study", dataset="digits", declaration="0" * 64, question="?",
                     commit=None, varied=(), launch=Launch(command="swinablate run study.toml"))  # fmt: skip
    Tracker.open(uri, folder / "artifacts", card).close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = Command(folder)
    process = command.start("--port", port, command="ui", SWINABLATE_TRACKING_URI=uri)
    assert process.stderr is not None
    said = ""
    while "Ctrl-C" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    yield Ui(folder, port, said, set(children(process.pid).values()))
    process.terminate()
    process.communicate()


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


def test_a_study_with_secrets_leaves_them_nowhere(queue, postgres, command: Command, ui):
    """One in an option, the other in a variable."""
    (command.folder / "base.toml").write_text(RECIPE.replace("epochs = 6", "epochs = 1"))
    server = f"http://bob:{quote(SERVER, safe='')}@127.0.0.1:{ui.port}"
    process = command.start("--storage", queue, "--slots=2", SWINABLATE_TRACKING_URI=server)
    said, seen = watched(process)
    with contextlib.closing(postgres.connect("runs")) as store, store.cursor() as asked:
        asked.execute("SELECT value FROM tags WHERE key = 'mlflow.note.content'")
        notes = [note for (note,) in asked.fetchall()]

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
    assert files(ui.folder) == {}


def test_a_wrong_password_is_not_told_and_nothing_is_trained(queue, command: Command):
    wrong = queue.replace("ablator:", "ablator:x")
    code, out, err = command.run(SWINABLATE_STORAGE=wrong)
    assert code == 4, err
    assert "password authentication failed" in err
    assert "postgresql+psycopg2://ablator:***@127.0.0.1" in err
    assert held(out + err) == []
    assert files(command.folder) == {}
    assert command.results() == {}


def test_the_pages_of_a_database_with_a_password(postgres, ui):
    assert f"http://127.0.0.1:{ui.port}/#/experiments/" in ui.said
    assert any(b"mlflow" in line and b"server" in line for line in ui.seen)
    assert held(ui.said) == []
    assert [line for line in ui.seen if held(line)] == []
    assert held(postgres.dump("runs")) == []
    assert files(ui.folder) == {}
