"""Commands about a study: plan, run, status, report, and what a day with one needs."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.elsewhere import called, report_results, show_analysis
from swinablate.cli.options import (
    HOME,
    Address,
    Better,
    CheckpointEvery,
    DataDir,
    Devices,
    Executor,
    Force,
    Fuse,
    GpusPerNode,
    GpusPerTrial,
    Hang,
    HomeFolder,
    Json,
    LatexColumns,
    Method,
    More,
    Nodes,
    NoReport,
    Only,
    OnOom,
    Out,
    PerGpu,
    Probe,
    Sbatch,
    Settings,
    Slots,
    Smoke,
    Storage,
    Study,
    StudyFile,
    TakeOver,
    Time,
    Tracking,
    Unit,
    home_of,
    options_of,
    place_asked,
    refined,
    request,
    sharing,
)
from swinablate.cli.running import (
    Report,
    expected,
    latex_of,
    report_of,
    run_study,
)
from swinablate.cli.terminal import print_json
from swinablate.cli.typed import typed_in
from swinablate.cli.which import asked_of, plan_of, variants
from swinablate.cli.wording.datasets_text import with_set_hours
from swinablate.cli.wording.scale_text import with_hours
from swinablate.config.variants import has_results
from swinablate.errors import InputError
from swinablate.records.events import CHECKPOINT_S
from swinablate.records.home import Home

commands = typer.Typer()


@commands.command(epilog="Example: swinablate run studies/quickstart.toml --slots 2")
def run(
    context: typer.Context,
    study: StudyFile,
    more: More = None,
    slots: Slots = None,
    only: Only = None,
    devices: Devices = "auto",
    per_gpu: PerGpu = None,
    on_oom: OnOom = "fail",
    data_dir: DataDir = None,
    fuse: Fuse = "auto",
    executor: Executor = "local",
    nodes: Nodes = None,
    gpus_per_node: GpusPerNode = 0,
    time: Time = "",
    sbatch: Sbatch = None,
    address: Address = "",
    gpus_per_trial: GpusPerTrial = 0,
    hang_timeout: Hang = None,
    checkpoint_every: CheckpointEvery = CHECKPOINT_S,
    smoke: Smoke = False,
    no_report: NoReport = False,
    out: Out = None,
    force: Force = False,
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    settings: Settings = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Train every trial of a study that is not recorded yet, then report.

    Started again, it goes on: finished trials are reused, interrupted ones continue from
    their checkpoint. With --more, what was undecided gets more seeds in the same home: another
    analysis, whose report names the first and its words (W9).
    """
    from swinablate.execution.executor import fused

    options = options_of(context, slots, devices, executor, only, storage, tracking_uri)
    cluster = request(nodes, gpus_per_node, time, sbatch, address, gpus_per_trial)
    options = refined(options, cluster, hang_timeout, checkpoint_every, take_over=take_over)
    options = sharing(options, per_gpu, on_oom, data_dir)
    options = dataclasses.replace(options, fuse=fused(fuse), more=more)
    terminal.planning(study)
    run_study(
        study,
        home,
        options,
        settings or [],
        smoke=smoke,
        report=Report(out, wanted=not no_report, force=force),
        as_json=as_json,
    )


@commands.command(epilog="Example: swinablate plan studies/quickstart.toml --json")
def plan(
    study: StudyFile,
    probe: Probe = False,
    slots: Slots = None,
    devices: Devices = "auto",
    per_gpu: PerGpu = None,
    executor: Executor = "local",
    nodes: Nodes = None,
    gpus_per_node: GpusPerNode = 0,
    time: Time = "",
    sbatch: Sbatch = None,
    address: Address = "",
    gpus_per_trial: GpusPerTrial = 0,
    home: HomeFolder = HOME,
    settings: Settings = None,
    smoke: Smoke = False,
    as_json: Json = False,
) -> None:
    """Show what a study would run: arms, cost, geometry, refusals, what it can detect.

    Each arm is named on standard error as it is looked at. Time and memory are those of a probe,
    which the home keeps, or of trials that are recorded. A cluster is asked for nothing but with
    --probe, and then for what `run` would ask for.
    """
    cluster = request(nodes, gpus_per_node, time, sbatch, address, gpus_per_trial)
    where = home_of(home, smoke=smoke)
    made = plan_of(study, settings or [], smoke=smoke, aloud=not as_json)
    from swinablate.execution.devices import refused_by_gpu

    place = place_asked(slots, devices, per_gpu, executor, cluster)
    data, cost = expected(made, where, place, probe=probe)
    said = with_set_hours(with_hours(data.to_json(), data, cost), data, cost)
    whole = {**said, "cost": cost.to_json()}
    print_json(whole) if as_json else terminal.show_plan(data, cost)
    for line in refused_by_gpu(made) if executor in {"local", "serial"} else ():
        terminal.err.print(line, markup=False, soft_wrap=True)


@commands.command(epilog="Example: swinablate status studies/quickstart.toml --watch")
def status(
    context: typer.Context,
    study: Study,
    home: HomeFolder = HOME,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every 2 s until it ends.")
    ] = False,
    smoke: Smoke = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Count a study's trials, show what runs and validation curves; reads files only."""
    import time

    from swinablate.scheduling.overview import curves
    from swinablate.scheduling.status import read_status

    where = home_of(home, smoke=smoke)
    asked = asked_of(context, study, settings, "status", where)
    waiting = asked.planned()
    name = asked.name if waiting else asked.recorded()
    while True:
        now = read_status(where, name, waiting, variants(where, name))
        if watch and terminal.out.is_terminal and not as_json:
            terminal.out.clear()
        if as_json:
            print_json(now.to_json(), line=watch)
        else:
            terminal.show_status(now, curves(where, waiting or where.declared(name)))
        if not watch or not now.owner:
            return
        time.sleep(2)


@commands.command(epilog="Example: swinablate report studies/quickstart.toml --out report")
def report(
    context: typer.Context,
    study: Study,
    out: Out = None,
    force: Force = False,
    latex_columns: LatexColumns = "",
    home: HomeFolder = HOME,
    smoke: Smoke = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Write plots, tables and verdicts from what is recorded; INTERIM while unfinished."""
    told = Report(out, force=force, latex=latex_of(latex_columns))
    if has_results(study):
        given = {"--smoke": smoke, "--set": bool(settings)}
        report_results(study, told, given, as_json=as_json)
        return
    where = home_of(home, smoke=smoke)
    name = asked_of(context, study, settings, "report", where).recorded()
    report_of(where, name, told, as_json=as_json)


@commands.command(epilog="Example: swinablate analyze results.csv --baseline swin --rope 0.2")
def analyze(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with columns arm, seed, value (percent); "
            "optional status, params, macs, step, dataset, metric. Or a folder of TensorBoard's "
            "events (ARM/seed0); with --tracking-uri an experiment of MLflow."
        ),
    ],
    baseline: Annotated[
        str,
        typer.Option(
            help="The arm the others are compared with.", show_default="ask: names the arms"
        ),
    ] = "",
    rope: Annotated[
        float | None,
        typer.Option(
            help="Difference that does not matter, in percentage points; "
            "with --unit none as the values."
        ),
    ] = None,
    alpha: Annotated[float, typer.Option(help="Error rate of all comparisons together.")] = 0.05,
    unit: Unit = None,
    better: Better = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="What the values are called; of several metrics, the one to judge.",
            show_default="test/accuracy",
        ),
    ] = None,
    arm: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The column of arms; several, where arms are combinations: lr,depth.",
            show_default="arm",
        ),
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column of seeds.", show_default="seed"),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column of results.", show_default="value"),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The column of data sets: each is judged by itself, then all together.",
            show_default="dataset",
        ),
    ] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="Compare arms within seeds: --method paired.")
    ] = False,
    method: Method = None,
    tracking_uri: Annotated[
        str, typer.Option(help="MLflow's; FILE is an experiment then.", show_default="none")
    ] = "",
    out: Out = None,
    force: Force = False,
    latex_columns: LatexColumns = "",
    as_json: Json = False,
) -> None:
    """Judge results trained anywhere: from a CSV file, MLflow, TensorBoard, or a study of them."""
    from swinablate.report.analyze import Question, analyze
    from swinablate.report.foreign.columns import Columns
    from swinablate.report.foreign.measure import Measure

    if paired and method not in (None, "paired"):
        raise InputError(
            f"--paired contradicts --method {method}",
            at="--paired",
            hint="give one of them; --method auto pairs where it pays",
        )
    told = Report(out, force=force, latex=latex_of(latex_columns))
    if not tracking_uri and has_results(file):
        said = ("baseline", "rope", "alpha", "unit", "better", "metric", "arm", "seed", "value",
                "dataset", "paired", "method")  # fmt: skip
        given = {f"--{name}": typed_in(context, name) for name in said}
        report_results(file, told, given, as_json=as_json)
        return
    question = Question(
        baseline=baseline,
        rope=rope,
        alpha=alpha,
        columns=Columns(arm=arm, seed=seed, value=value, dataset=dataset, metric=metric),
        measure=Measure(metric=metric, unit=unit, better=better),
        method="paired" if paired else method or "auto",
        tracking=tracking_uri,
    )
    show_analysis(analyze(file, question), called(file), told, as_json=as_json)


@commands.command(epilog="Example: swinablate retry studies/quickstart.toml")
def retry(
    context: typer.Context,
    study: Study,
    slots: Slots = None,
    devices: Devices = "auto",
    per_gpu: PerGpu = None,
    on_oom: OnOom = "fail",
    data_dir: DataDir = None,
    executor: Executor = "local",
    nodes: Nodes = None,
    gpus_per_node: GpusPerNode = 0,
    time: Time = "",
    sbatch: Sbatch = None,
    address: Address = "",
    gpus_per_trial: GpusPerTrial = 0,
    hang_timeout: Hang = None,
    checkpoint_every: CheckpointEvery = CHECKPOINT_S,
    out: Out = None,
    force: Force = False,
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
    cluster = request(nodes, gpus_per_node, time, sbatch, address, gpus_per_trial)
    options = refined(options, cluster, hang_timeout, checkpoint_every, take_over=take_over)
    options = sharing(options, per_gpu, on_oom, data_dir)
    file, levels, ran = asked_of(context, study, settings, "retry", Home(home)).runnable()
    run_study(
        file,
        home,
        dataclasses.replace(options, launch=ran or options.launch),
        levels,
        smoke=False,
        report=Report(out, force=force),
        as_json=as_json,
    )


@commands.command(epilog="Example: swinablate sync studies/quickstart.toml")
def sync(
    context: typer.Context,
    study: Study,
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    settings: Settings = None,
    take_over: TakeOver = False,
    as_json: Json = False,
) -> None:
    """Rebuild the Optuna and MLflow stores of a study from its records; restore damaged ones."""
    from swinablate.api import show
    from swinablate.execution.sync import sync
    from swinablate.report.answer import gather

    say, where = terminal.err.print, Home(home)
    name = asked_of(context, study, settings, "sync", where).recorded()
    count = sync(where, name, storage, tracking_uri, take_over=take_over, say=say)
    show(gather(where, name), where, tracking_uri or where.mlflow_uri)
    if as_json:
        print_json({"schema": 1, "trials": count})
    else:
        terminal.err.print(f"{count} trials are in Optuna and MLflow again")
