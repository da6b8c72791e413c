"""What `ui` serves: the live page of a home's studies, and MLflow's pages behind it."""

import json
import signal
import time
from pathlib import Path

from swinablate.cli import terminal
from swinablate.cli.running import Report
from swinablate.errors import SwinablateError
from swinablate.records.disk import stores
from swinablate.records.home import Home
from swinablate.scheduling.looking.uses import studies_of
from swinablate.scheduling.overview import Overview
from swinablate.tracking.landing import Landing, landing, tunnel
from swinablate.tracking.server import run_of, serve, views_of
from swinablate.tracking.text import headline

WAIT_S = 2.0
"""Between two looks for a store that a study is about to make: importing MLflow takes as long."""


def serve_pages(home: Home, port: int, tracking: str | None, study: str | None) -> None:
    """Serve until Ctrl-C.

    Args:
        home: whose studies are shown.
        port: on 127.0.0.1; 0 takes a free one.
        tracking: MLflow's store; None is the home's.
        study: whose table to name; None is the one changed last.

    Raises:
        EnvironmentFault: no study was run yet, the port is in use, or MLflow does not start.
    """
    uri = tracking or home.mlflow_uri
    shown = Landing(Overview(home).read, lambda name: report_folder(home, name),
                    lambda name: answer_of(home, name))  # fmt: skip
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the servers end too
    with landing(shown, port):
        if studies_of(home):
            _say_where(shown)
            _await_store(uri)
        with serve(uri, 0, home.artifacts, study) as address:
            base, _, table = address.partition("/#")
            shown.remote = uri.startswith(("http://", "https://"))
            server = uri if shown.remote else base
            shown.links = lambda: views_of(server)
            shown.run = lambda *of: run_of(server, *of)
            shown.mlflow = base
            front = base if shown.remote else shown.address
            said = f"MLflow: {front}/#{table}\nCtrl-C ends it"
            terminal.err.print(said, soft_wrap=True, markup=False)
            signal.pause()


def _say_where(shown: Landing) -> None:
    lines = [f"studies: {shown.address}/"]
    if command := tunnel(shown.address):
        lines.append(f"on your own machine, for the same address: {command}")
    terminal.err.print("\n".join(lines), soft_wrap=True, markup=False)


def _await_store(uri: str) -> None:
    """A study that has just begun has no store of MLflow's yet."""
    path = None if uri.startswith("http") else stores.database(stores.sqlalchemy_url(uri))
    while path is not None and not path.exists():
        time.sleep(WAIT_S)


def report_folder(home: Home, name: str) -> Path | None:
    """The folder of a study's report, if it is where `report` writes it and about this study."""
    folder = Report(None).folder(home, name)
    try:
        plan = json.loads((folder / "plan.json").read_bytes())
        mine = plan["declaration"] == home.latest(name)
    except (OSError, ValueError, KeyError, TypeError, SwinablateError):
        return None
    return folder if mine and (folder / "index.html").is_file() else None


def answer_of(home: Home, name: str) -> str:
    """The answer of a finished study in a line."""
    from swinablate.report.answer import gather  # pandas, seconds

    return headline(gather(home, name).verdicts)
