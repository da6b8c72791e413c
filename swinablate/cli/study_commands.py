"""Commands about a study: plan, run, status, report, and what a day with one needs."""

import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swinablate.cli import terminal
from swinablate.cli.options import (
    HOME,
    Devices,
    Executor,
    Fuse,
    HomeFolder,
    Json,
    NoReport,
    Only,
    Out,
    Settings,
    Slots,
    Smoke,
    Storage,
    Study,
    TakeOver,
    Tracking,
    fused,
    home_of,
    options_of,
)
from swinablate.cli.terminal import print_json
from swinablate.errors import SwinablateError
from swinablate.records.home import Home

if TYPE_CHECKING:
    from swinablate.execution.run import Options, Summary
    from swinablate.report.results import StudyResults
    from swinablate.study.plan import Plan

commands = typer.Typer()


RESUMABLE = {75, 130}
"""Exit codes of a run that was stopped (`execution.stop`, which would import all that runs it)."""


@commands.command(epilog="Example: swinablate run studies/quickstart.toml --slots 2")
def run(
    context: typer.Context,
    study: Study,
    slots: Slots = None,
    only: Only = None,
    devices: Devices = "auto",
    fuse: Fuse = "auto",
    executor: Executor = "local",
    smoke: Smoke = False,
    no_report: NoReport = False,
    out: Out = None,
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    settings: Settings = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Train every trial of a study that is not recorded yet, then report.

    Started again, it goes on: finished trials are reused, interrupted ones continue from
    their checkpoint.
    """
    options = options_of(context, slots, devices, executor, only, storage, tracking_uri)
    options = dataclasses.replace(options, fuse=fused(fuse), take_over=take_over)
    _run(
        study,
        home,
        options,
        settings or [],
        smoke=smoke,
        report_to=None if no_report else out,
        silent=no_report,
        as_json=as_json,
    )


@commands.command(epilog="Example: swinablate plan studies/quickstart.toml --json")
def plan(
    study: Study,
    home: HomeFolder = HOME,
    settings: Settings = None,
    smoke: Smoke = False,
    as_json: Json = False,
) -> None:
    """Show what a study would run: arms, cost, geometry, refusals, what it can detect."""
    from swinablate.study.noise import expected_noise
    from swinablate.study.plan_record import plan_record

    where = home_of(home, smoke=smoke)
    made = _plan(study, settings or [], smoke=smoke)
    recorded = where.outcomes(trial.id for trial in made.trials)
    data = plan_record(made, recorded, expected_noise(made, where))
    print_json(data.to_json()) if as_json else terminal.show_plan(data)


@commands.command(epilog="Example: swinablate status studies/quickstart.toml --watch")
def status(
    study: Study,
    home: HomeFolder = HOME,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every 2 s until it ends.")
    ] = False,
    smoke: Smoke = False,
    as_json: Json = False,
) -> None:
    """Count a study's trials and show what runs; reads files only."""
    import time

    from swinablate.scheduling.status import read_status

    while True:
        now = read_status(home_of(home, smoke=smoke), study.stem)
        if watch and terminal.out.is_terminal:
            terminal.out.clear()
        print_json(now.to_json()) if as_json else terminal.show_status(now)
        if not watch or not now.owner:
            return
        time.sleep(2)


@commands.command(epilog="Example: swinablate report studies/quickstart.toml --out report")
def report(
    study: Study,
    out: Out = None,
    home: HomeFolder = HOME,
    smoke: Smoke = False,
    as_json: Json = False,
) -> None:
    """Write plots, tables and verdicts from what is recorded; INTERIM while unfinished."""
    _report(home_of(home, smoke=smoke), study, out, as_json=as_json)


@commands.command(epilog="Example: swinablate analyze results.csv --baseline swin --rope 0.2")
def analyze(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with columns arm, seed, value (percent); "
            "optional status, params, macs, step."
        ),
    ],
    baseline: Annotated[str, typer.Option(help="The arm the others are compared with.")],
    rope: Annotated[
        float | None, typer.Option(help="Percentage points that do not matter.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Error rate of all comparisons together.")] = 0.05,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Judge results trained anywhere: verdicts, tables and figures from one CSV file."""
    from swinablate.report.analyze import analyze

    answer = analyze(file, baseline, rope=rope, alpha=alpha)
    if out is not None or not as_json:
        from swinablate.report import render

        folder = out or Path("reports") / file.stem
        render(answer, folder)
        terminal.err.print(f"report: {folder / 'index.html'}", soft_wrap=True)
    print_json(answer.verdicts) if as_json else terminal.show_verdicts(answer.verdicts)


@commands.command(epilog="Example: swinablate new my_study")
def new(
    name: Annotated[str, typer.Argument(help="Name of the study.", show_default=False)],
    folder: Annotated[
        Path, typer.Option("--in", help="Where studies/ and experiments/ are.")
    ] = Path(),
) -> None:
    """Write a commented study file and its recipe to start from."""
    from swinablate.study.template import write_template

    study, recipe = write_template(name, folder)
    terminal.err.print(f"{study}\n{recipe}\nnext: swinablate plan {study}", soft_wrap=True)


@commands.command(epilog="Example: swinablate retry studies/quickstart.toml")
def retry(
    context: typer.Context,
    study: Study,
    slots: Slots = None,
    devices: Devices = "auto",
    executor: Executor = "local",
    out: Out = None,
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    settings: Settings = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Train failed, diverged and damaged trials again; earlier attempts stay on record."""
    options = options_of(
        context, slots, devices, executor, None, storage, tracking_uri, retry=True
    )
    options = dataclasses.replace(options, take_over=take_over)
    _run(
        study,
        home,
        options,
        settings or [],
        smoke=False,
        report_to=out,
        silent=False,
        as_json=as_json,
    )


@commands.command(epilog="Example: swinablate sync studies/quickstart.toml")
def sync(
    study: Study,
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Rebuild the Optuna and MLflow stores of a study from its records; restore damaged ones."""
    from swinablate.execution.sync import sync

    say = terminal.err.print
    where = Home(home)
    count = sync(where, study.stem, storage, tracking_uri, take_over=take_over, say=say)
    if as_json:
        print_json({"schema": 1, "trials": count})
    else:
        terminal.err.print(f"{count} trials are in Optuna and MLflow again")


@commands.command(epilog="Example: swinablate demo")
def demo(
    context: typer.Context,
    slots: Slots = None,
    out: Out = None,
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    smoke: Smoke = False,
    as_json: Json = False,
) -> None:
    """Run the quick start: which parts of Swin matter on 8x8 digits? Five minutes, two cores."""
    from swinablate.models.catalogue import examples

    study = examples() / "studies" / "quickstart.toml"
    options = options_of(context, slots, "auto", "local", None, storage, tracking_uri)
    _run(study, home, options, [], smoke=smoke, report_to=out, silent=False, as_json=as_json)


def _plan(study: Path, settings: Sequence[str], *, smoke: bool) -> "Plan":
    from swinablate.study import files
    from swinablate.study.planner import plan

    with contextlib.redirect_stdout(sys.stderr):  # somebody's network may print
        loaded = files.load_study(study, settings, smoke=smoke)
        return plan(files.smoke(loaded) if smoke else loaded)


def _run(
    study: Path,
    home: Path,
    options: "Options",
    settings: Sequence[str],
    *,
    smoke: bool,
    report_to: Path | None,
    silent: bool,
    as_json: bool,
) -> None:
    from swinablate.cli.progress import Watch
    from swinablate.execution.run import execute

    made = _plan(study, settings, smoke=smoke)
    where = home_of(home, smoke=smoke)
    with Watch(terminal.err) as watch:
        summary = execute(made, where, options, watch)
    if summary.exit_code in RESUMABLE:
        silent = True  # whoever stopped it waits for it to end
    if not silent:
        answer, folder = _report(where, study, report_to, as_json=as_json)
        _publish(options.tracking or where.mlflow_uri, where, answer, folder)
    elif as_json:
        print_json(_counts(where, study.stem))
    _farewell(summary, study)
    raise typer.Exit(summary.exit_code)


def _report(
    home: Home, study: Path, out: Path | None, *, as_json: bool
) -> "tuple[StudyResults, Path]":
    from swinablate.report import render
    from swinablate.report.answer import gather

    folder = out or _reports(home, study)
    answer = gather(home, study.stem)
    render(answer, folder)
    if as_json:
        print_json(answer.verdicts)
    else:
        terminal.show_verdicts(answer.verdicts)
    terminal.err.print(f"report: {folder / 'index.html'}", soft_wrap=True)
    return answer, folder


def _publish(uri: str, home: Home, answer: "StudyResults", folder: Path) -> None:
    """Show the verdicts in MLflow too; the report stands whether or not that works."""
    from swinablate.tracking.mirror import publish

    try:
        publish(uri, home, answer, folder)
    except SwinablateError as error:
        terminal.err.print(f"not in MLflow: {error}", soft_wrap=True, markup=False)


def _reports(home: Home, study: Path) -> Path:
    """`reports/STUDY` here; a smoke run's report stays in its home."""
    return (home.root if home.root.name == "smoke" else Path()) / "reports" / study.stem


def _counts(home: Home, name: str) -> dict[str, Any]:
    from swinablate.scheduling.status import read_status

    return read_status(home, name).to_json()


def _farewell(summary: "Summary", study: Path) -> None:
    counts = (
        ", ".join(f"{n} {status}" for status, n in sorted(summary.counts.items()))
        or "nothing done"
    )
    left = f", {summary.missing} missing" if summary.missing else ""
    terminal.err.print(f"{counts}{left}")
    if summary.unmirrored:
        terminal.err.print(
            f"{summary.unmirrored} records did not reach MLflow: swinablate sync {study}",
            soft_wrap=True,
        )
    if summary.spent:
        terminal.err.print("the budget is met: a larger [budget] goes on", markup=False)
    elif summary.missing:
        terminal.err.print(f"to go on: swinablate run {study}", soft_wrap=True)
    elif summary.exit_code == 3:
        terminal.err.print(f"to train them again: swinablate retry {study}", soft_wrap=True)
