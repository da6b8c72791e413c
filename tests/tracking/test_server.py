"""MLflow's pages: what is served, what is opened, what is left when we go. A stand-in answers."""

import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import install_opener, urlopen

import pytest

from swinablate.errors import EnvironmentFault
from swinablate.tracking import server, views

STAND_IN = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

if "broken" in os.environ["MLFLOW_BACKEND_STORE_URI"]:
    userinfo = os.environ["MLFLOW_BACKEND_STORE_URI"].rpartition("@")[0]
    sys.exit("no such revision" + userinfo.rpartition(":")[2])


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"argv": sys.argv[1:], "uri": os.environ["MLFLOW_BACKEND_STORE_URI"]})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        tags = [{"key": "study", "value": "a"}]
        self.answer({"experiments": [{"experiment_id": "7", "tags": tags}]})

    def answer(self, found):
        text = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Pages).serve_forever()
"""


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """A package `mlflow` whose server starts at once and says how it was started."""
    package = tmp_path / "path" / "mlflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))


@pytest.fixture
def store(tmp_path):
    def make(name="mlflow.db") -> str:
        path = tmp_path / name
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE t (x)")
        connection.close()
        return f"sqlite:///{path}"

    return make


def refused(base: str) -> bool:
    try:
        with urlopen(f"{base}/health", timeout=5):
            return False
    except OSError:
        return True


def test_pages_are_served_for_this_machine_alone_and_only_while_they_are_wanted(mlflow, store, tmp_path):  # fmt: skip
    uri = store()
    with server.serve(uri, 0, tmp_path / "artifacts") as pages:
        base = pages.base
        assert pages.table("a") == f"{base}/{views.link('7', 'table')}"
        with urlopen(f"{base}/health", timeout=30) as answer:
            told = json.load(answer)
        argv = told["argv"]
        assert argv[argv.index("--host") + 1] == "127.0.0.1"
        assert uri not in argv  # everybody reads arguments
        assert told["uri"] == uri
    assert refused(base)


def test_no_proxy_is_asked_for_this_machine(mlflow, store, monkeypatch, tmp_path):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    install_opener(None)  # the one of earlier tests knows no proxy
    with server.serve(store(), 0, tmp_path / "artifacts") as pages:
        assert pages.table("a").endswith(views.link("7", "table"))
    install_opener(None)


def test_a_server_that_does_not_start_says_why(mlflow, store, tmp_path):
    with (
        pytest.raises(EnvironmentFault, match="MLflow's server does not start: no such revision"),
        server.serve(store("broken.db"), 0, tmp_path),
    ):
        pass


def test_what_a_server_says_is_shown_without_the_secret_of_its_store(
    mlflow, monkeypatch, tmp_path
):
    monkeypatch.setattr(server.stores, "reach", lambda uri: None)  # no such database is there
    uri = "postgresql://me:s3%40cret-broken@db/d"
    with (
        pytest.raises(EnvironmentFault, match=r"does not start: no such revision\*\*\*") as fault,
        server.serve(uri, 0, tmp_path),
    ):
        pass
    assert "cret" not in str(fault.value)


def test_records_that_are_not_there_or_are_none(tmp_path):
    with (
        pytest.raises(EnvironmentFault, match="there are no records yet"),
        server.serve(f"sqlite:///{tmp_path}/none.db", 0, tmp_path),
    ):
        pass
    (tmp_path / "text.db").write_text("no database at all" * 100)
    with (
        pytest.raises(EnvironmentFault, match="the records cannot be read"),
        server.serve(f"sqlite:///{tmp_path}/text.db", 0, tmp_path),
    ):
        pass


def test_a_port_in_use_is_refused(store, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentFault) as fault, server.serve(store(), port, tmp_path):
            pass
    assert str(fault.value) == (
        f"--port: port {port} cannot be used: Address already in use\n\n"
        "hint: choose another, or 0 for any that is free"
    )


TAKER = """
import os, socket, sys, time
port = int(sys.argv[sys.argv.index("--port") + 1])
try:
    socket.socket().bind(("127.0.0.1", port))
except OSError as error:
    sys.exit(f"kept: {error.strerror}")
sys.exit("another program has it")
"""


def test_where_a_bound_port_is_not_shared_it_is_let_go(monkeypatch):
    monkeypatch.setattr(server.sys, "platform", "darwin")
    with server._reserved(0) as port, socket.socket() as its:
        its.bind((server.HOST, port))


def test_nobody_is_given_the_port_while_a_server_starts(mlflow, store, tmp_path):
    """It takes half a minute; any program that wants a port, or a line out, could have got it."""
    (tmp_path / "path" / "mlflow" / "__main__.py").write_text(TAKER)
    with (
        pytest.raises(EnvironmentFault, match="does not start: kept: Address already in use"),
        server.serve(store(), 0, tmp_path),
    ):
        pass


def test_what_answers_and_is_no_mlflow_is_told(tmp_path):
    """No words of HTTP, and JSON that is none of MLflow's: neither is a bug of ours."""
    for said in (b"SSH-2.0-x\r\n", b"HTTP/1.0 200 OK\r\n\r\n[1]"):
        with socket.create_server(("127.0.0.1", 0)) as other:
            threading.Thread(target=answer_once, args=(other, said), daemon=True).start()
            base = f"http://127.0.0.1:{other.getsockname()[1]}"
            with pytest.raises(EnvironmentFault, match="MLflow's server does not answer: "):
                server.views_of(base)


def answer_once(other: socket.socket, said: bytes) -> None:
    line, _ = other.accept()
    with line:
        line.recv(1 << 16)
        line.sendall(said)
        line.shutdown(socket.SHUT_WR)
        while line.recv(1 << 16):
            pass


def test_our_servers_end_is_waited_for(mlflow, store, tmp_path):
    with server.serve(store(), 0, tmp_path) as pages:
        threading.Timer(0.3, pages.child.stdin.close).start()
        pages.wait()
    assert refused(pages.base)


@pytest.fixture
def remote():
    """A server of somebody else, with two pages of experiments; it hears who asks."""
    asked = []

    class Pages(BaseHTTPRequestHandler):
        def do_POST(self):
            wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(wanted | {"who": self.headers["Authorization"]})
            first = {"experiments": [row("1"), row("2", "a")], "next_page_token": "more"}
            text = json.dumps({"experiments": [row("3", "b")]} if wanted["page_token"] else first)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    def row(number, *studies):
        tags = [{"key": "study", "value": name} for name in studies]
        return {"experiment_id": number, "tags": tags}

    pages = HTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=pages.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{pages.server_port}", asked
    pages.shutdown()
    pages.server_close()
    thread.join()


@pytest.mark.parametrize(("study", "number"), [(None, "2"), ("a", "2"), ("b", "3")])
def test_of_a_server_that_runs_the_table_of_a_study_is_found(remote, tmp_path, study, number):
    base, asked = remote
    with server.serve(base + "/", 0, tmp_path) as pages:
        assert pages.table(study) == f"{base}/{views.link(number, 'table')}"
    assert [one["page_token"] for one in asked] == ["", "more"]


def test_without_such_a_study_mlflows_front_page_is_opened(remote, tmp_path):
    with server.serve(remote[0], 0, tmp_path) as pages:
        assert pages.table("c") == f"{remote[0]}/#/experiments"


BASIC = "Basic " + b64encode(b"bob:s3@cret").decode()


@pytest.mark.parametrize(
    ("userinfo", "variables", "who"),
    [
        ("", {}, None),
        ("bob:s3%40cret@", {"MLFLOW_TRACKING_TOKEN": "abc"}, BASIC),
        ("", {"MLFLOW_TRACKING_USERNAME": "bob", "MLFLOW_TRACKING_PASSWORD": "s3@cret"}, BASIC),
        ("", {"MLFLOW_TRACKING_USERNAME": "bob", "MLFLOW_TRACKING_TOKEN": "abc"}, "Bearer abc"),
        ("abc@", {}, "Basic " + b64encode(b"abc:").decode()),
    ],
)
def test_a_server_is_asked_by_name_and_the_address_that_is_shown_has_no_secret(
    *, remote, userinfo, variables, who, monkeypatch, tmp_path
):
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    base, asked = remote
    with server.serve(base.replace("//", f"//{userinfo}"), 0, tmp_path) as pages:
        assert pages.table("a") == f"{base}/{views.link('2', 'table')}"
    assert {one["who"] for one in asked} == {who}


def test_a_server_that_does_not_answer_is_named(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{free.getsockname()[1]}"
    with (
        server.serve(base, 0, tmp_path) as pages,
        pytest.raises(EnvironmentFault, match="MLflow's server does not answer"),
    ):
        pages.table()


@pytest.mark.parametrize("stubborn", [False, True])
def test_the_watchdog_ends_the_server_when_its_parent_is_gone(tmp_path, stubborn):
    """One that ignores the request to end is killed; a pipe that it holds tells."""
    heed = "signal.signal(signal.SIGTERM, signal.SIG_IGN); " if stubborn else ""
    code = f"import signal, sys, time; {heed}print('up', flush=True); time.sleep(600)"
    child = subprocess.Popen(
        [sys.executable, "-m", "swinablate.tracking.server", sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == b"up\n"
    began = time.monotonic()
    child.stdin.close()
    assert child.stdout.read() == b""  # nobody holds its other end
    assert child.wait() < 0
    assert time.monotonic() - began < 20
    child.stdout.close()
