"""The page that `ui` opens: the studies of a home, live, and MLflow's pages behind it on one port.

`/` and what stands under `/studies`, `/report` and `/run` is ours; everything else is MLflow's,
whose own front page is `/mlflow`. One port is one tunnel over SSH, and one origin, so that our
page can tell MLflow's list of experiments to open runs: it opens an empty page of GenAI traces by
default.
"""

import http.client
import json
import mimetypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from swinablate.errors import EnvironmentFault, SwinablateError
from swinablate.tracking.links import Addresses, Links
from swinablate.tracking.server import HOST, free_port

OURS = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What our page may do: nothing but to ask us again."""
REPORT = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline' 'self'; "
    "img-src data: 'self'; font-src data:; base-uri 'none'; form-action 'none'; sandbox "
    "allow-scripts allow-popups allow-downloads"
)
"""What a report may do: it cannot speak to MLflow's server on this port."""
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "origin"}
"""Headers that are between two neighbours, and no part of what passes through us."""
WAIT_S = 300.0
"""For an answer of MLflow's: its first search on a loaded machine has taken 18 s."""
CHUNK = 1 << 16
"""Bytes of an answer that pass through us at a time."""


class Landing:
    """What is served; `mlflow` is empty until MLflow's pages are there.

    Attributes:
        address: of the page.
        mlflow: address of MLflow's server, ours or somebody's.
        missing: why its pages are not there, where that is known.
        run: study, "trial" or "arm", its id or name -> address of its run there, or nothing.
    """

    def __init__(
        self,
        read: Callable[[], dict[str, Any]],
        reports: Callable[[str], Path | None],
        headline: Callable[[str], str],
    ) -> None:
        """Serve by `landing`.

        Args:
            read: the studies, as `scheduling.overview` has them.
            reports: study -> folder of its report, if it is known.
            headline: finished study -> its answer in a line.
        """
        self.address = self.mlflow = self.missing = ""
        self.remote = False
        self._links = Links(dict)
        self.run: Callable[[str, str, str], str] = lambda *_: ""
        self.reports = reports
        self._read, self._headline = read, headline
        self._said: dict[tuple[str, str], str] = {}
        self._judging = threading.Lock()

    def opened(
        self,
        mlflow: str,
        links: Callable[[], Addresses],
        run: Callable[[str, str, str], str],
        *,
        remote: bool = False,
    ) -> None:
        """MLflow's pages are there.

        Args:
            mlflow: address of its server.
            links: study -> title -> address of its views there.
            run: as the attribute.
            remote: whether the server is somebody else's.
        """
        self._links, self.run, self.remote = Links(links), run, remote
        self.mlflow, self.missing = mlflow, ""

    def closed(self, why: str) -> None:
        """MLflow's pages are not there."""
        self.mlflow, self.missing = "", why

    def state(self) -> dict[str, Any]:
        """What the page shows now; MLflow is not waited for, and what cannot be read is told."""
        try:
            found = self._read()
        except (SwinablateError, OSError) as error:
            found = {"home": "", "studies": [], "problem": str(error)}
        links, silent = self._links.now() if self.mlflow else ({}, "")
        studies = [
            {
                **one,
                "headline": self._judged(one) if one.get("finished") else "",
                "report": bool(self.reports(one["study"])),
                "views": self._views(links.get(one["study"], {})),
            }
            for one in found["studies"]
        ]
        front, missing = (self.front, silent) if self.mlflow else ("", self.missing)
        return found | {"studies": studies, "mlflow": front, "missing": missing}

    @property
    def front(self) -> str:
        """Where MLflow's pages begin, as this page's links have it."""
        return f"{self.mlflow}/" if self.remote else "/mlflow"

    def _views(self, links: Mapping[str, str]) -> dict[str, str]:
        return {title: f"{self.front}{link}" for title, link in links.items()}

    def _judged(self, one: Mapping[str, Any]) -> str:
        """The answer of a finished study; judging takes seconds, so another thread does it."""
        key = (str(one["study"]), f"{one['declaration']} {one['done']} {one['planned']}")
        if key not in self._said:
            self._said[key] = ""
            threading.Thread(target=self._judge, args=(key,), daemon=True).start()
        return self._said[key]

    def _judge(self, key: tuple[str, str]) -> None:
        with self._judging:  # one after another: they import the same libraries
            try:
                self._said[key] = self._headline(key[0])
            except (SwinablateError, OSError) as error:
                self._said[key] = str(error)


@contextmanager
def landing(shown: Landing, port: int) -> Iterator[Landing]:
    """Serve the page on 127.0.0.1 while the context lasts.

    Raises:
        EnvironmentFault: the port cannot be used; another one is named that is free.
    """
    try:
        server = _Server((HOST, port), shown)
    except (OSError, OverflowError) as error:
        raise EnvironmentFault(
            f"port {port} cannot be used: {getattr(error, 'strerror', None) or error}",
            at="--port",
            hint=f"--port {free_port(0)} is free; --port 0 takes any",
        ) from None
    shown.address = f"http://{HOST}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, name="landing", daemon=True)
    thread.start()
    try:
        yield shown
    finally:
        server.shutdown()
        server.server_close()


def led(page: bytes, study: str) -> bytes:
    """A report whose arms and trials lead to their runs: here alone there is something to lead to.

    As a file the page has their names without addresses, and says where they would lead. Text in
    it cannot pose as one: its quotes are escaped.

    Args:
        page: the report.
        study: its name, as it stands in addresses.
    """
    page = page.replace(b' data-run="', f' href="/run/{study}/'.encode())
    return page.replace(b"<html ", b'<html data-served="yes" ', 1)


def tunnel(address: str) -> str:
    """Over SSH, the command that brings the page to the machine one sits at; else nothing."""
    connection = os.environ.get("SSH_CONNECTION", "").split()
    if len(connection) != 4:
        return ""
    port, host, ssh = urlsplit(address).port, connection[2], connection[3]
    extra = "" if ssh == "22" else f"-p {ssh} "
    return f"ssh -N {extra}-L {port}:{HOST}:{port} {os.environ.get('USER', 'USER')}@{host}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, place: tuple[str, int], shown: Landing) -> None:
        self.shown = shown
        super().__init__(place, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that is gone in the middle of a word."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name above
        """Nobody reads it."""

    def do_GET(self) -> None:
        """Ours, or MLflow's."""
        if not self._allowed():
            return
        path = urlsplit(self.path).path
        if path == "/":
            page = files("swinablate.tracking").joinpath("landing.html").read_bytes()
            self._answer(200, "text/html; charset=utf-8", page, OURS)
        elif path == "/studies.json":
            state = json.dumps(self.server.shown.state()).encode()
            self._answer(200, "application/json", state, OURS)
        elif path.startswith("/report/"):
            self._report(path.removeprefix("/report/"))
        elif path.startswith("/run/"):
            self._run(path.removeprefix("/run/"))
        else:
            self._pass()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def _allowed(self) -> bool:
        """Whether the request is for this machine, and not from another's page."""
        port = self.server.server_address[1]
        own = {f"{HOST}:{port}", f"localhost:{port}"}
        origin = self.headers.get("Origin", "")
        foreign = origin and urlsplit(origin).netloc not in own
        if self.headers.get("Host") in own and not foreign:
            return True
        self.close_connection = True
        self._answer(403, "text/plain", b"for this machine only", OURS)
        return False

    def _report(self, rest: str) -> None:
        """A file of a study's report; of no other folder."""
        name, _, inside = rest.partition("/")
        folder = self.server.shown.reports(unquote(name))
        if folder is not None and not inside:
            self.send_response(302)
            self.send_header("Location", f"/report/{name}/index.html")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        file, content = Path(), None
        with suppress(OSError, ValueError, RuntimeError):  # no name at all; links in a circle
            file = (folder / unquote(inside)).resolve() if folder else file
            if folder and file.is_relative_to(folder.resolve()):
                content = file.read_bytes()
        if content is None:
            self._answer(404, "text/plain", b"no such file", OURS)
            return
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        kind += "; charset=utf-8" if kind.startswith("text/") else ""
        if file.name == "index.html":
            content = led(content, name)
        self._answer(200, kind, content, REPORT)

    def _run(self, rest: str) -> None:
        """Lead to the run of a trial or an arm: STUDY/trial/ID, or STUDY/arm/NAME."""
        shown = self.server.shown
        study, _, inside = rest.partition("/")
        kind, _, name = map(unquote, inside.partition("/"))
        if not shown.mlflow:
            self._not_yet()
            return
        try:
            link = shown.run(unquote(study), kind, name)
        except SwinablateError as error:
            self._answer(502, "text/plain; charset=utf-8", str(error).encode(), OURS)
            return
        if not link:
            text = f"MLflow has no run of this {kind}. Where its trials have ended, "
            text += "`swinablate sync STUDY` copies them again from the records."
            self._answer(404, "text/plain; charset=utf-8", text.encode(), OURS)
            return
        to = {"Location": f"{shown.front}{link}"}
        self._answer(302, "text/plain", b"", OURS, to)

    def _pass(self) -> None:
        """Hand a request to MLflow's server, and its answer back."""
        shown = self.server.shown
        said = self.headers.get("Content-Length") or "0"
        if not said.isdecimal():
            self.close_connection = True
            self._answer(400, "text/plain", b"no length", OURS)
            return
        body = self.rfile.read(int(said)) if int(said) else None
        if not shown.mlflow or shown.remote:
            self._not_yet()
            return
        place = urlsplit(shown.mlflow)
        sent = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
        path = self.path.replace("/mlflow", "/", 1) if self._front() else self.path
        line = http.client.HTTPConnection(place.hostname or HOST, place.port, timeout=WAIT_S)
        try:
            line.request(self.command, path, body, {**sent, "Host": place.netloc})
            answer = line.getresponse()
        except (OSError, http.client.HTTPException):
            line.close()
            self._answer(
                502, "text/plain", b"MLflow's server does not answer: start ui again", OURS
            )
            return
        try:
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP | {"server", "date"}:
                    self.send_header(name, value)
            self.send_header("Connection", "close")  # and with it the end of the answer
            self.end_headers()
            while part := answer.read1(CHUNK):
                self.wfile.write(part)
        except (OSError, http.client.HTTPException):
            pass  # one of the two is gone; the other is told by the end of the line
        finally:
            self.close_connection = True
            line.close()

    def _not_yet(self) -> None:
        """MLflow's pages are not there: the browser asks again by itself."""
        why = (self.server.shown.missing or "MLflow is starting.").encode(errors="replace")
        self._answer(503, "text/plain; charset=utf-8", why, OURS, {"Refresh": "2"})

    def _front(self) -> bool:
        return urlsplit(self.path).path == "/mlflow"

    def _answer(
        self,
        status: int,
        kind: str,
        content: bytes,
        policy: str,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            **(more or {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):  # whoever asked is gone
                self.wfile.write(content)
