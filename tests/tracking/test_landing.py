"""The page of `ui` over real sockets: what is ours, what is handed on, what is refused."""

import contextlib
import http.client
import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from swinablate.errors import EnvironmentFault
from swinablate.tracking.landing import Landing, landing, tunnel

STUDY = {"study": "quick", "finished": True, "declaration": "d", "done": 2, "planned": 2}
PATIENCE_S = 10
"""A thread that has not answered by then never will."""


class Mlflow(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        said = {
            "method": self.command, "path": self.path, "host": self.headers["Host"],
            "origin": self.headers["Origin"], "body": self.rfile.read(length).decode(),
        }  # fmt: skip
        self.send_response(200)
        self.send_header("X-Kept", "yes")
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    do_POST = do_GET  # noqa: N815  its name above

    def log_message(self, *args):
        pass


@pytest.fixture
def mlflow():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mlflow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def report(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("<h1>answer</h1>")
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "report"


@pytest.fixture
def shown(report):
    page = Landing(
        lambda: {"studies": [dict(STUDY)]},
        lambda name: report if name == "quick" else None,
        lambda name: f"the answer of {name}",
    )
    with landing(page, 0):
        yield page


def ask(page, path, method="GET", body=None, **headers):
    place = urlsplit(page.address)
    with contextlib.closing(http.client.HTTPConnection(place.hostname, place.port)) as line:
        line.request(method, path, body, headers)
        answer = line.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


def test_the_page_asks_nobody_but_us(shown):
    status, headers, text = ask(shown, "/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_nobody_waits_while_a_finished_study_is_judged():
    judged, asked = threading.Event(), []

    def slow(name):
        asked.append(name)
        judged.wait(PATIENCE_S)
        return "the answer"

    page = Landing(lambda: {"studies": [STUDY]}, lambda _: None, slow)
    assert page.state()["studies"][0]["headline"] == ""
    assert page.state()["studies"][0]["headline"] == ""
    judged.set()
    deadline = time.monotonic() + PATIENCE_S
    while not page.state()["studies"][0]["headline"] and time.monotonic() < deadline:
        pass
    assert page.state()["studies"][0]["headline"] == "the answer"
    assert asked == ["quick"]


def test_the_answer_of_a_finished_study_is_shown(shown):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        (one,) = json.loads(ask(shown, "/studies.json")[2])["studies"]
        if one["headline"]:
            break
    assert one["headline"] == "the answer of quick"


def test_what_runs_is_not_judged(report):
    page = Landing(
        lambda: {"studies": [STUDY | {"finished": False}]}, lambda _: None, lambda _: "too early"
    )
    page.state()
    assert page.state()["studies"][0]["headline"] == ""


def test_links_lead_to_mlflow_on_the_same_port_when_it_is_there(shown, mlflow):
    assert shown.state()["studies"][0]["views"] == {}
    assert shown.state()["mlflow"] == ""
    assert ask(shown, "/mlflow")[0] == 503
    links = {"quick": {"1 Ablation table": "#/experiments/7"}}
    shown.opened(f"http://{mlflow}", lambda: links, lambda *_: "")
    assert shown.state()["studies"][0]["views"] == {"1 Ablation table": "/mlflow#/experiments/7"}
    shown.remote = True
    assert shown.state()["mlflow"] == f"http://{mlflow}/"


def test_a_server_that_hangs_holds_nobody_and_its_links_are_gone_when_that_is_known(shown, mlflow):
    asked, hung = [], threading.Event()

    def links():
        asked.append(time.monotonic())
        hung.wait(PATIENCE_S)
        raise EnvironmentFault("it hangs", at="there")

    shown.opened(f"http://{mlflow}", links, lambda *_: "")
    began = time.monotonic()
    for _ in range(5):
        state = json.loads(ask(shown, "/studies.json")[2])
        assert (state["studies"][0]["views"], state["missing"]) == ({}, "")
    assert time.monotonic() - began < PATIENCE_S / 2
    hung.set()
    while not shown.state()["missing"]:
        pass
    state = shown.state()
    assert (state["missing"], state["mlflow"]) == ("there: it hangs", "/mlflow")
    assert len(asked) == 1  # and remembered for a while


def test_links_that_were_known_stay_while_mlflow_is_asked_again(shown, mlflow, monkeypatch):
    monkeypatch.setattr("swinablate.tracking.links.KEPT_S", 0.0)
    answers = [{"quick": {"Table": "#/1"}}, {"quick": {"Table": "#/2"}}]
    slow = threading.Event()

    def links():
        if len(answers) < 2:
            slow.wait(PATIENCE_S)
        return answers.pop(0)

    shown.opened(f"http://{mlflow}", links, lambda *_: "")
    views = [shown.state()["studies"][0]["views"]["Table"] for _ in range(2)]
    assert views == ["/mlflow#/1"] * 2
    slow.set()
    while shown.state()["studies"][0]["views"]["Table"] != "/mlflow#/2":
        answers = answers or [{"quick": {"Table": "#/2"}}]


def test_where_mlflow_does_not_start_the_reports_are_served_and_it_is_said(shown, mlflow):
    shown.closed("<b> is locked")
    state = shown.state()
    assert (state["mlflow"], state["missing"]) == ("", "<b> is locked")
    status, headers, text = ask(shown, "/mlflow")
    assert (status, text, headers["Refresh"]) == (503, "<b> is locked", "2")
    assert headers["Content-Type"].startswith("text/plain")
    assert ask(shown, "/report/quick/index.html")[0] == 200
    shown.opened(f"http://{mlflow}", dict, lambda *_: "")
    state = shown.state()
    assert (state["mlflow"], state["missing"]) == ("/mlflow", "")


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), EnvironmentFault("cannot read", at="h")]
)
def test_a_home_that_cannot_be_read_is_told_on_the_page(error, capfd):
    def read():
        raise error

    page = Landing(read, lambda _: None, str)
    with landing(page, 0):
        state = json.loads(ask(page, "/studies.json")[2])
    assert (state["studies"], state["problem"]) == ([], str(error))
    assert capfd.readouterr().err == ""


def test_what_is_no_name_of_a_file_is_not_found(shown, report, capfd):
    (report / "round").symlink_to("round")
    for path in ("quick/%00", "quick/round", "quick/" + 300 * "a", "quick/%ff"):
        assert ask(shown, f"/report/{path}")[0] == 404
    assert capfd.readouterr().err == ""


def test_everything_else_is_handed_to_mlflow_as_it_is(shown, mlflow):
    shown.mlflow = f"http://{mlflow}"
    own = shown.address
    status, headers, text = ask(shown, "/api/x?y=%20z", "POST", b"{}", Origin=own)
    assert (status, headers["X-Kept"]) == (200, "yes")
    assert json.loads(text) == {
        "method": "POST", "path": "/api/x?y=%20z", "host": mlflow, "origin": None, "body": "{}"
    }  # fmt: skip
    assert json.loads(ask(shown, "/mlflow?a=1")[2])["path"] == "/?a=1"


@pytest.mark.parametrize(
    "path", ["/", "/studies.json", "/report/quick/index.html", "/run/quick/arm/a", "/api/x"]
)
def test_other_hosts_and_pages_are_refused(shown, mlflow, path):
    shown.mlflow = f"http://{mlflow}"
    assert ask(shown, path, Host="evil.example")[0] == 403
    assert ask(shown, path, Origin="http://evil.example")[0] == 403


def test_a_report_is_served_and_nothing_beside_it(shown):
    status, headers, text = ask(shown, "/report/quick/index.html")
    assert (status, text) == (200, "<h1>answer</h1>")
    assert "sandbox" in headers["Content-Security-Policy"]
    assert ask(shown, "/report/quick/")[1]["Location"] == "/report/quick/index.html"
    for path in ("quick/../secret", "quick/%2e%2e/secret", "other/index.html", "quick/none", ""):
        assert ask(shown, f"/report/{path}")[0] == 404


def test_names_in_a_report_lead_to_runs_where_it_is_served(shown, report):
    page = '<html lang="en"><a data-run="arm/a%3D1">a=1</a> <b>&#34; data-run=&#34;x</b></html>'
    (report / "index.html").write_text(page)
    (report / "other.html").write_text(page)
    assert ask(shown, "/report/quick/index.html")[2] == (
        '<html data-served="yes" lang="en"><a href="/run/quick/arm/a%3D1">a=1</a> '
        "<b>&#34; data-run=&#34;x</b></html>"
    )
    assert ask(shown, "/report/quick/other.html")[2] == page
    asked = []
    shown.run = lambda *of: asked.append(of) or ("#/run" if of[2] == "a=1" else "")
    assert ask(shown, "/run/quick/arm/a%3D1")[:1] == (503,)  # MLflow is not there yet
    assert asked == []
    shown.mlflow = "http://127.0.0.1:9"
    status, headers, _ = ask(shown, "/run/quick/arm/a%3D1")
    assert (status, headers["Location"]) == (302, "/mlflow#/run")
    status, _, text = ask(shown, "/run/quick/trial/b")
    assert (status, "MLflow has no run of this trial" in text) == (404, True)
    assert asked == [("quick", "arm", "a=1"), ("quick", "trial", "b")]
    shown.remote = True
    assert ask(shown, "/run/quick/arm/a%3D1")[1]["Location"] == "http://127.0.0.1:9/#/run"


def test_a_server_that_does_not_answer_is_told(shown):
    def run(*_):
        raise EnvironmentFault("it is gone", at="there", hint="start it")

    shown.mlflow, shown.run = "http://127.0.0.1:9", run
    status, _, text = ask(shown, "/run/quick/arm/a")
    assert (status, "it is gone" in text) == (502, True)


def test_a_link_out_of_a_report_is_not_followed(shown, report):
    (report / "link").symlink_to(report.parent / "secret")
    assert ask(shown, "/report/quick/link")[0] == 404


def test_a_port_in_use_names_one_that_is_free(shown):
    port = urlsplit(shown.address).port
    other = Landing(dict, lambda _: None, str)
    with pytest.raises(EnvironmentFault) as caught, landing(other, port):
        pass
    assert f"port {port} cannot be used: Address already in use" in str(caught.value)
    free = int(str(caught.value).partition("hint: --port ")[2].split()[0])
    assert free not in {0, port}
    with landing(other, free):
        assert ask(other, "/")[0] == 200


@pytest.mark.parametrize(
    ("connection", "command"),
    [
        ("10.0.0.1 5000 10.0.0.9 22", "ssh -N -L 7:127.0.0.1:7 me@10.0.0.9"),
        ("10.0.0.1 5000 10.0.0.9 2222", "ssh -N -p 2222 -L 7:127.0.0.1:7 me@10.0.0.9"),
        ("", ""),
    ],
)
def test_over_ssh_the_tunnel_is_named(monkeypatch, connection, command):
    monkeypatch.setenv("SSH_CONNECTION", connection)
    monkeypatch.setenv("USER", "me")
    assert tunnel("http://127.0.0.1:7") == command


def test_who_hangs_up_in_the_middle_is_no_error(shown, capfd):
    place = urlsplit(shown.address)
    for said in (b"GET /", b"GET /studies.json HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection((place.hostname, place.port)) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.sendall(said)
            time.sleep(0.2)
    assert ask(shown, "/")[0] == 200
    assert capfd.readouterr().err == ""


def test_what_cannot_be_handed_on_is_told(shown, capfd):
    shown.mlflow = "http://127.0.0.1:9"
    assert ask(shown, "/ajax-api", "POST", **{"Content-Length": "x"})[0] == 400
    status, _, text = ask(shown, "/mlflow")
    assert (status, text) == (502, "MLflow's server does not answer: start ui again")
    assert capfd.readouterr().err == ""
