"""Commands about this machine: the pages of MLflow, the installation, the statistics' promises."""

from pathlib import Path
from typing import Annotated

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

commands = typer.Typer()


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
        typer.Option(help="Difference to find, points [default: the detectable one]."),
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
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000,
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


@commands.command(epilog="Example: swinablate doctor --json")
def doctor(home: HomeFolder = HOME, as_json: Json = False) -> None:
    """Check the installation: versions, devices, disk, stores."""
    from swinablate.cli.doctor import examine

    checks = examine(Home(home))
    if as_json:
        print_json({"schema": 1, "checks": [vars(check) for check in checks]})
    else:
        terminal.table(
            "Installation",
            ["check", "", "found", "remedy"],
            [[c.name, "ok" if c.ok else "PROBLEM", c.found, c.hint] for c in checks],
        )
    if not all(check.ok for check in checks):
        raise typer.Exit(4)
