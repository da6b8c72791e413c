"""Commands about this machine: the pages of MLflow, the installation, the statistics' promises."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.options import (
    HOME,
    HomeFolder,
    Json,
    Settings,
    Tracking,
)
from swinablate.cli.terminal import print_json
from swinablate.cli.which import asked_of
from swinablate.records.home import Home

if TYPE_CHECKING:
    from swinablate.records.survey import Survey

commands = typer.Typer()
SHOWN = 40
"""Findings in a home that are printed: about a screen."""


statistics = typer.Typer(help="What the statistics promise, for your own numbers.")
commands.add_typer(statistics, name="stats")


@statistics.callback()
def stats() -> None:
    """What the statistics promise, for your own numbers."""


@statistics.command(epilog="Example: swinablate stats selftest --arms 6 --seeds 5 --sd 0.4")
def selftest(
    arms: Annotated[int, typer.Option(help="Comparisons with the baseline.")] = 6,
    seeds: Annotated[
        int, typer.Option(help="Seeds of an arm; the baseline has twice as many.")
    ] = 5,
    sd: Annotated[float, typer.Option(help="Standard deviation over seeds, points.")] = 0.4,
    effect: Annotated[
        float | None,
        typer.Option(help="Difference to find, points.", show_default="the detectable one"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate studies like yours: error rate and power of every method, in seconds."""
    from swinablate.stats import selftest

    rows = selftest(arms, seeds, sd, effect_pp=effect)
    if as_json:
        print_json({"schema": 1, "methods": [vars(row) for row in rows]})
        return
    terminal.table(
        f"{arms} arms, {seeds} seeds, sd {sd:g}: 4000 simulated studies",
        ["method", ">false verdict in a study", ">effect found", ">half-width, points"],
        [[r.method, f"{r.error:.3f}", f"{r.power:.2f}", f"{r.half_pp:.2f}"] for r in rows],
    )


@commands.command(epilog="Example: swinablate ui studies/quickstart.toml --port 5000")
def ui(
    context: typer.Context,
    study: Annotated[
        Path | None, typer.Argument(help="Open at this study: its file, or its name.")
    ] = None,
    # MLflow's own port, so that bookmarks stay right.
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 is any that is free.", min=0, max=65535)
    ] = 5000,
    home: HomeFolder = HOME,
    tracking_uri: Tracking = None,
    settings: Settings = None,
) -> None:
    """Serve the MLflow UI on the records, on 127.0.0.1 only; Ctrl-C ends it."""
    import signal

    from swinablate.tracking.server import serve

    where, name = Home(home), None
    if study is not None:
        asked = asked_of(context, study, settings, "ui", where)
        name = asked.shown() if tracking_uri else asked.recorded()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the server ends too
    with serve(tracking_uri or where.mlflow_uri, port, where.artifacts, name) as address:
        terminal.err.print(f"{address}\nCtrl-C ends it", soft_wrap=True)
        signal.pause()


@commands.command(epilog="Example: swinablate doctor --home .swinablate")
def doctor(home: HomeFolder = HOME, as_json: Json = False) -> None:
    """Check the installation and a whole home: every record, log, checkpoint. Repairs nothing."""
    from swinablate.cli.doctor import examine, told
    from swinablate.records.survey import survey

    where = Home(home)
    checks = examine(where)
    pace = terminal.patience("reading trial")
    found = survey(where, lambda number, of: pace(number, f"of {of}"))
    checks.append(told(found))
    if as_json:
        findings = [{**vars(one), "path": str(one.path)} for one in found.findings]
        print_json({
            "schema": 1,
            "checks": [vars(check) for check in checks],
            "home": {
                "path": str(where.root), "studies": found.studies, "trials": found.trials,
                "findings": findings,
            },
        })  # fmt: skip
    else:
        terminal.table(
            "Installation",
            ["check", "", "found", "remedy"],
            [[c.name, "ok" if c.ok else "PROBLEM", c.found, c.hint] for c in checks],
        )
        _findings(where, found)
    if not all(check.ok for check in checks):
        raise typer.Exit(4)


def _findings(home: Home, found: "Survey") -> None:
    """What was found in a home, damage first; a home of version 0.1 has one a plan."""
    if not found.findings:
        return
    terminal.out.print()
    worst = sorted(found.findings, key=lambda one: not one.damaged)
    terminal.table(
        f"In {home.root}",
        ["", "file", "what", "remedy"],
        [
            [
                "DAMAGED" if one.damaged else "",
                _inside(one.path, home), one.problem, one.hint,
            ]
            for one in worst[:SHOWN]
        ],
    )  # fmt: skip
    if len(worst) > SHOWN:
        terminal.err.print(f"and {len(worst) - SHOWN:,} more: --json has them all")


def _inside(path: Path, home: Home) -> str:
    """A file's name within its home, digests cut as everywhere."""
    name = str(path.relative_to(home.root) if path.is_relative_to(home.root) else path)
    return re.sub("([0-9a-f]{12})[0-9a-f]{52}", r"\1", name)
