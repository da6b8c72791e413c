"""MLflow's pages on one's own records, for one's own machine only.

The server is a child that cannot outlive us: a watchdog between us and it reads a pipe
that the kernel closes when we die, however we die, and then ends its process group.
"""

import base64
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from sqlalchemy.exc import SQLAlchemyError

from swinablate.errors import EnvironmentFault
from swinablate.records.disk import stores
from swinablate.records.secrets import redact, secrets_here
from swinablate.tracking import views

HOST = "127.0.0.1"
"""For this machine alone: MLflow asks nobody who they are."""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""No proxy leads back to this machine."""
BESIDE = ("(Background on this error", "[SQL:", "[parameters:")
"""Lines that SQLAlchemy puts behind an error."""
START_S = 180.0
"""A loaded machine of two cores needs 45 s to import MLflow's server; this is four times that."""
FIRST_S = 60.0
"""The first search of a fresh server has taken 18 s on a loaded machine; this is thrice that."""
LOOK_S = 20.0
"""For the links of the page: they come late rather than not at all, and nobody waits for them."""


@dataclass(frozen=True, kw_only=True)
class Pages:
    """MLflow's pages, while they are served.

    Attributes:
        base: their address, without a secret.
        credentials: headers with it.
        child: the server, where it is ours.
    """

    base: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    child: "subprocess.Popen[bytes] | None" = None

    def table(self, study: str | None = None) -> str:
        """The address of a study's ablation table; MLflow's front page if there is none.

        Args:
            study: whose table; without it, the one changed last.

        Raises:
            EnvironmentFault: the server does not answer.
        """
        for tags, experiment in _experiments(self.base, self.credentials):
            if study in {None, tags["study"]}:
                return f"{self.base}/{views.link(experiment, 'table')}"
        return f"{self.base}/#/experiments"

    def wait(self) -> None:
        """Wait until our server ends; for ever, where it is somebody else's."""
        if self.child is None:
            signal.pause()
        else:
            self.child.wait()


END_S = 3.0
"""What was asked to end gets so long to do it by itself; what hangs is killed."""


@contextmanager
def serve(uri: str, port: int, artifacts: Path) -> Iterator[Pages]:
    """Run MLflow's pages while the context lasts.

    Args:
        uri: the store; of a server that runs already, only the address is built.
        port: on 127.0.0.1; 0 takes a free one.
        artifacts: where files of studies are.

    Raises:
        EnvironmentFault: no study was run yet, the port is in use, or MLflow does not start.
    """
    if uri.startswith(("http://", "https://")):
        base, credentials = _opened(uri)
        yield Pages(base=base, credentials=credentials)
        return
    uri = stores.sqlalchemy_url(uri)
    path = stores.database(uri)
    if path is not None and not path.exists():
        raise EnvironmentFault(
            "there are no records yet",
            at=str(path),
            hint="run a study first: `swinablate run studies/quickstart.toml`",
        )
    try:
        stores.reach(uri)
    except (SQLAlchemyError, ImportError) as error:
        raise stores.fault(error, uri, "the records cannot be read") from None
    with tempfile.TemporaryFile() as log:
        with _reserved(port) as kept:
            base = f"http://{HOST}:{kept}"
            child = _start(uri, kept, artifacts, log)
            try:
                _wait(child, base, uri, log)
            except BaseException:
                _stop(child)
                raise
        try:
            yield Pages(base=base, child=child)
        finally:
            _stop(child)


def _start(uri: str, port: int, artifacts: Path, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port)),
        # One worker, and no jobs below: MLflow's own settings take three times the memory (1.4 GB)
        # and twice as long to start.
        *("--workers", "1", "--no-serve-artifacts"),
        *("--default-artifact-root", artifacts.absolute().as_uri()),
        *("--allowed-hosts", f"{HOST}:{port},localhost:{port}"),
    ]
    settings = {
        "MLFLOW_BACKEND_STORE_URI": uri,  # not an argument: everybody reads those
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "swinablate.tracking.server", *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env={**os.environ, **settings},
        start_new_session=True,
    )


def _stop(child: "subprocess.Popen[bytes]") -> None:
    assert child.stdin is not None
    child.stdin.close()
    child.wait()


def free_port(port: int) -> int:
    """The port, if nobody listens there; for 0 any that is free.

    Raises:
        EnvironmentFault: it cannot be used.
    """
    with _reserved(port) as found:
        return found


@contextmanager
def _reserved(port: int) -> Iterator[int]:
    """Keep a port for a server that starts: it takes half a minute until it listens there.

    Nobody else is given a port that is bound. On Linux a server binds it all the same: as long as
    nobody listens, it is shared by those who say that it may be used again, as servers do. Other
    systems do not share it, and it is let go.
    """
    with socket.socket() as held:
        # A port that was served a moment ago is free, whatever the kernel still waits for.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise EnvironmentFault(
                f"port {port} cannot be used: {getattr(error, 'strerror', None) or error}",
                at="--port",
                hint="choose another, or 0 for any that is free",
            ) from None
        found = int(held.getsockname()[1])
        if sys.platform != "linux":
            held.close()
        yield found


def _wait(child: "subprocess.Popen[bytes]", base: str, uri: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            # It answers at once or is not there yet; one that hangs is asked again.
            with DIRECT.open(f"{base}/health", timeout=5):
                return
        except (OSError, HTTPException):
            pass
        if child.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()
            said = [line for line in lines if line and not line.startswith(BESIDE)]
            last = redact(said[-1] if said else "it says nothing", secrets_here(uri))
            raise EnvironmentFault(
                f"MLflow's server does not start: {last}",
                at=base,
                hint="`swinablate doctor` looks at the installation and the stores",
            )
        time.sleep(0.2)


def _opened(uri: str) -> tuple[str, dict[str, str]]:
    """A server's address without a secret, and headers with it: as MLflow's client sends them."""
    parts = urlsplit(uri)
    userinfo, _, host = parts.netloc.rpartition("@")
    base = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    user, _, password = map(unquote, userinfo.partition(":"))
    if not userinfo:
        user = os.environ.get("MLFLOW_TRACKING_USERNAME", "")
        password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if userinfo or (user and password):
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        return base, {"Authorization": f"Basic {pair}"}
    return base, {"Authorization": f"Bearer {token}"} if token else {}


def views_of(uri: str) -> dict[str, dict[str, str]]:
    """Study -> title -> address of its views, relative to that of the pages.

    Args:
        uri: of a server.

    Raises:
        EnvironmentFault: it does not answer.
    """
    base, credentials = _opened(uri)
    # Of one name, the one changed last counts.
    found = reversed(_experiments(base, credentials, LOOK_S))
    return {tags["study"]: views.links(experiment) for tags, experiment in found}


def run_of(uri: str, study: str, kind: str, name: str) -> str:
    """The address of a run, relative to that of the pages; empty where there is none.

    Args:
        uri: of a server.
        study: whose newest declaration is meant.
        kind: "trial" or "arm".
        name: a trial's id, or an arm's name.

    Raises:
        EnvironmentFault: it does not answer.
    """
    base, credentials = _opened(uri)
    for tags, experiment in _experiments(base, credentials):
        if tags["study"] != study:
            continue
        if kind == "trial" and name.isalnum():  # quoted below
            search, tag = f"tags.kind = 'trial' and tags.trial = '{name}'", "trial"
        elif kind == "arm" and (declaration := tags.get("declaration", "")).isalnum():
            search = f"tags.kind = 'summary' and tags.declaration = '{declaration}'"
            tag = "summarizes"  # compared here: names of arms may hold quotes
        else:
            return ""
        asked = {"experiment_ids": [experiment], "filter": search}
        for run in _search(base, credentials, "runs", asked):
            if _tags(run["data"]).get(tag) == name:
                return views.run_link(experiment, str(run["info"]["run_id"]))
    return ""


def _experiments(
    base: str, credentials: Mapping[str, str], patience_s: float = FIRST_S
) -> list[tuple[dict[str, str], str]]:
    """Tags and id of every experiment of ours, the one changed last first."""
    asked = {"order_by": ["last_update_time DESC"]}
    found = _search(base, credentials, "experiments", asked, patience_s)
    tagged = [(_tags(one), str(one["experiment_id"])) for one in found]
    return [(tags, experiment) for tags, experiment in tagged if "study" in tags]


def _tags(of: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in of.get("tags", ())}


def _search(
    base: str,
    credentials: Mapping[str, str],
    what: str,
    asked: Mapping[str, Any],
    patience_s: float = FIRST_S,
) -> list[dict[str, Any]]:
    """All experiments, or runs, that a search finds."""
    token, found = "", list[dict[str, Any]]()
    opener = DIRECT if urlsplit(base).hostname == HOST else urllib.request.build_opener()
    while True:
        # Pages of 1,000 make it one search in all but the largest stores.
        request = urllib.request.Request(  # noqa: S310  http(s) only: checked by the caller
            f"{base}/api/2.0/mlflow/{what}/search",
            data=json.dumps({**asked, "max_results": 1000, "page_token": token}).encode(),
            headers={"Content-Type": "application/json"},
        )
        for name, value in credentials.items():
            request.add_unredirected_header(name, value)  # not for wherever it sends us
        try:
            with opener.open(request, timeout=patience_s) as answer:
                page = json.load(answer)
            found += page.get(what, [])
            token = page.get("next_page_token", "")
        except (OSError, ValueError, AttributeError, HTTPException) as error:
            raise stores.fault(error, base, "MLflow's server does not answer") from None
        if not token:
            return found


def _watch(command: list[str]) -> None:
    """Run `command` until it ends or our parent does; leave nothing of it."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the group's, meant for the server
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Our parent's end wakes us at once; the server's own end is seen within the fifth of a second.
    while server.poll() is None and not select.select([sys.stdin], [], [], 0.2)[0]:
        pass
    os.killpg(0, signal.SIGTERM)
    deadline = time.monotonic() + END_S
    while server.poll() is None and _busy(server.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(0, signal.SIGKILL)  # us too


def _busy(pid: int) -> bool:
    """Whether MLflow's command may still have a server below it; alone it only tidies its memory.

    Which takes it two seconds, and everybody who ends `ui` would wait for them.
    """
    try:
        return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    except OSError:
        return True


if __name__ == "__main__":
    _watch(sys.argv[1:])
