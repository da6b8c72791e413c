"""What `ui` serves: the live page of a home's studies, and MLflow's pages behind it."""

import json
import time
from pathlib import Path

from swinablate.cli import terminal
from swinablate.cli.running import Report
from swinablate.errors import EnvironmentFault, SwinablateError
from swinablate.records.disk import stores
from swinablate.records.disk.files import refusal
from swinablate.records.home import Home
from swinablate.scheduling.looking.uses import studies_of
from swinablate.scheduling.overview import Overview
from swinablate.tracking.landing import Landing, landing, tunnel
from swinablate.tracking.server import Pages, run_of, serve, views_of
from swinablate.tracking.text import headline

WAIT_S = 2.0
"""Between two looks for a store that a study is about to make: importing MLflow takes as long."""
PAUSES_S = 5.0, 60.0
"""Before MLflow's server is started again, doubled each time: a locked database is soon free, and
a start takes a core for half a minute."""
WELL_S = 60.0
"""A server that was there so long ended for a reason of its own: the pauses begin anew."""


def serve_pages(home: Home, port: int, tracking: str | None, study: str | None) -> None:
    """Serve until Ctrl-C; where MLflow does not start or ends, say so and try again.

    Args:
        home: whose studies are shown.
        port: on 127.0.0.1; 0 takes a free one.
        tracking: MLflow's store; None is the home's.
        study: whose table to name; None is the one changed last.

    Raises:
        EnvironmentFault: the port is in use; or no study was run yet, so that there are MLflow's
            pages alone, and they cannot be served.
    """
    uri = tracking or home.mlflow_uri
    shown = Landing(Overview(home).read, lambda name: report_folder(home, name),
                    lambda name: answer_of(home, name))  # fmt: skip
    with landing(shown, port):
        if studies_of(home):
            _say_where(shown)
        pause, told = PAUSES_S[0], ""
        while True:
            began = time.monotonic()
            try:
                _serve_behind(shown, home, uri, study)
            except (EnvironmentFault, OSError) as error:
                if not studies_of(home):
                    raise
                why = str(refusal(error) or error)
            pause = PAUSES_S[0] if time.monotonic() - began > WELL_S else pause
            shown.closed(why)
            if why != told:
                _say(f"warning: no pages of MLflow, which is tried again: {why}")
                told = why
            time.sleep(pause)
            pause = min(2 * pause, PAUSES_S[1])


def _serve_behind(shown: Landing, home: Home, uri: str, study: str | None) -> None:
    """Serve MLflow's pages.

    Raises:
        EnvironmentFault: their server does not start, or has ended.
    """
    if studies_of(home):
        _await_store(shown, uri)
    with serve(uri, 0, home.artifacts) as pages:
        remote = pages.child is None
        server = uri if remote else pages.base
        shown.opened(
            pages.base,
            lambda: views_of(server),
            lambda *of: run_of(server, *of),
            remote=remote,
        )
        front = pages.base if remote else shown.address
        table = _table(pages, home, study).partition("/#")[2]
        _say(f"MLflow: {front}/#{table}\nCtrl-C ends it")
        pages.wait()
    raise EnvironmentFault("MLflow's server has ended", hint="is there memory left?")


def _table(pages: Pages, home: Home, study: str | None) -> str:
    """The table to begin with; the list of experiments where MLflow does not tell it."""
    try:
        return pages.table(study)
    except EnvironmentFault as error:
        if not studies_of(home):
            raise
        _say(f"warning: {error}")  # as the page does, as long as it lasts
        return f"{pages.base}/#/experiments"


def _say_where(shown: Landing) -> None:
    lines = [f"studies: {shown.address}/"]
    if command := tunnel(shown.address):
        lines.append(f"on your own machine, for the same address: {command}")
    _say("\n".join(lines))


def _say(text: str) -> None:
    terminal.err.print(text, soft_wrap=True, markup=False)


def _await_store(shown: Landing, uri: str) -> None:
    """A study that has just begun has no store of MLflow's yet, or an empty file."""
    path = None if uri.startswith("http") else stores.database(stores.sqlalchemy_url(uri))
    while path is not None and not (path.exists() and path.stat().st_size):
        shown.closed(
            f"{path}: it is not there yet; a run makes it, or `swinablate sync STUDY` from the "
            "records"
        )
        time.sleep(WAIT_S)


def report_folder(home: Home, name: str) -> Path | None:
    """The folder of a study's report, if it is where `report` writes it and about this study."""
    try:
        folder = Report(None).folder(home, name)
        plan = json.loads((folder / "plan.json").read_bytes())
        mine = plan["declaration"] == home.latest(name)
    except (OSError, ValueError, KeyError, TypeError, SwinablateError):
        return None
    return folder if mine and (folder / "index.html").is_file() else None


def answer_of(home: Home, name: str) -> str:
    """The answer of a finished study in a line."""
    from swinablate.report.answer import gather  # pandas, seconds

    return headline(gather(home, name).verdicts)
