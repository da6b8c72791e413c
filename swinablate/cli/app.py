"""The command line: parse, call one function, print.

torch, mlflow, optuna, pandas and matplotlib take seconds to import, so a command imports what
it needs when it runs.
"""

import contextlib
import dataclasses
import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swinablate.cli import terminal
from swinablate.errors import InputError, SwinablateError
from swinablate.records.home import Home

if TYPE_CHECKING:
    from swinablate.execution.coordinator import Options, Summary
    from swinablate.report.results import StudyResults
    from swinablate.study.plan import Plan

app = typer.Typer(
    help="Ablation studies of vision models: plan, run, record, report.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Study = Annotated[Path, typer.Argument(help="Study file (TOML).", show_default=False)]
HomeFolder = Annotated[
    Path, typer.Option("--home", envvar="SWINABLATE_HOME", help="Folder of everything recorded.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change the baseline (train.epochs=3) or the study (study.seeds=3); repeatable.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print data for programs on stdout.")]
Storage = Annotated[
    str | None, typer.Option(help="Optuna storage URL [default: SQLite in the home].")
]
Tracking = Annotated[
    str | None,
    typer.Option("--tracking-uri", help="MLflow tracking URI [default: SQLite in the home]."),
]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="Two steps on a few images, one seed, no verdicts.")
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder of the report [default: reports/STUDY].")
]
Slots = Annotated[
    int | None, typer.Option(help="Trials at a time [default: one a GPU, or one a core].")
]
Devices = Annotated[str, typer.Option(help="auto, cpu, or cuda:0,cuda:1,...")]
Fuse = Annotated[
    str,
    typer.Option(
        help="Trials of one arm that train as one graph: auto (on a GPU, where it pays), off, "
        "or a number."
    ),
]
Executor = Annotated[str, typer.Option("--executor", help="local or serial.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="ARM", help="Run this arm only; repeatable.")
]
NoReport = Annotated[
    bool, typer.Option("--no-report", help="Train and record, but write no report.")
]
HOME = Path(".swinablate")
RESUMABLE = {75, 130}


@app.command(epilog="Example: swinablate run studies/quickstart.toml --slots 2")
def run(
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
    as_json: Json = False,
) -> None:
    """Train every trial of a study that is not recorded yet, then report.

    Started again, it goes on: finished trials are reused, interrupted ones continue from
    their checkpoint.
    """
    options = _options(slots, devices, executor, only, storage, tracking_uri)
    options = dataclasses.replace(options, fuse=_fuse(fuse))
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


@app.command(epilog="Example: swinablate plan studies/quickstart.toml --json")
def plan(
    study: Study,
    home: HomeFolder = HOME,
    settings: Settings = None,
    smoke: Smoke = False,
    as_json: Json = False,
) -> None:
    """Show what a study would run: arms, cost, geometry, refusals, what it can detect."""
    from swinablate.study.plan_json import expected_noise, plan_json

    where = _home(home, smoke=smoke)
    made = _plan(study, settings or [], smoke=smoke)
    recorded = where.outcomes(trial.id for trial in made.trials)
    data = plan_json(made, recorded, expected_noise(made, where))
    _print_json(data) if as_json else terminal.show_plan(data)


@app.command(epilog="Example: swinablate status studies/quickstart.toml --watch")
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
        now = read_status(_home(home, smoke=smoke), study.stem)
        if watch and terminal.out.is_terminal:
            terminal.out.clear()
        _print_json(now.to_json()) if as_json else terminal.show_status(now)
        if not watch or not now.owner:
            return
        time.sleep(2)


@app.command(epilog="Example: swinablate report studies/quickstart.toml --out report")
def report(
    study: Study,
    out: Out = None,
    home: HomeFolder = HOME,
    smoke: Smoke = False,
    as_json: Json = False,
) -> None:
    """Write plots, tables and verdicts from what is recorded; INTERIM while unfinished."""
    _report(_home(home, smoke=smoke), study, out, as_json=as_json)


@app.command(epilog="Example: swinablate analyze results.csv --baseline swin --rope 0.2")
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
    _print_json(answer.verdicts) if as_json else terminal.show_verdicts(answer.verdicts)


statistics = typer.Typer(help="What the statistics promise, for your own numbers.")
app.add_typer(statistics, name="stats")


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
        _print_json({"schema": 1, "methods": [vars(row) for row in rows]})
        return
    terminal.table(
        f"{arms} arms, {seeds} seeds, sd {sd:g}: 4000 simulated studies",
        ["method", ">false verdict in a study", ">effect found", ">half-width, points"],
        [[r.method, f"{r.error:.3f}", f"{r.power:.2f}", f"{r.half_pp:.2f}"] for r in rows],
    )


@app.command(epilog="Example: swinablate new my_study")
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


@app.command(epilog="Example: swinablate retry studies/quickstart.toml")
def retry(
    study: Study,
    slots: Slots = None,
    devices: Devices = "auto",
    executor: Executor = "local",
    out: Out = None,
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Train failed and diverged trials again; earlier attempts stay on record."""
    options = _options(slots, devices, executor, None, storage, tracking_uri, retry=True)
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


@app.command(epilog="Example: swinablate sync studies/quickstart.toml")
def sync(
    study: Study,
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """Rebuild the Optuna and MLflow stores of a study from its recorded trials."""
    from swinablate.execution.sync import sync

    count = sync(Home(home), study.stem, storage, tracking_uri)
    if as_json:
        _print_json({"schema": 1, "trials": count})
    else:
        terminal.err.print(f"{count} trials are in Optuna and MLflow again")


@app.command(epilog="Example: swinablate weights studies/quickstart.toml baseline start.pt")
def weights(
    study: Study,
    arm: Annotated[str, typer.Argument(help="An arm of it.")],
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="The file to write; with {seed} in it, one a seed."),
    ],
    seed: Annotated[
        int | None,
        typer.Option(
            help="Which of the arm's trials; without it 0, or all where FILE has {seed} in it.",
            min=0,
        ),
    ] = None,
    home: HomeFolder = HOME,
    as_json: Json = False,
) -> None:
    """Write the final weights of trained trials to files, for `start.weights` of a recipe.

    With {seed} in FILE, as in "start-{seed}.pt", every recorded seed gets a file of its own, and
    none is written over.
    """
    from swinablate.api import keep_weights
    from swinablate.config.recipe import EACH

    if EACH in str(path):
        _keep_each(Home(home), study.stem, arm, path, seed, as_json=as_json)
        return
    seed = seed or 0
    trial = keep_weights(Home(home), study.stem, arm, seed, path)
    if as_json:
        _print_json({"schema": 1, "trial": trial, "file": str(path)})
    else:
        terminal.err.print(f"{path}: weights of {arm} s{seed}", soft_wrap=True)


@app.command(epilog="Example: swinablate ui studies/quickstart.toml --port 5000")
def ui(
    study: Annotated[Path | None, typer.Argument(help="Open at this study.")] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000,
    home: HomeFolder = HOME,
    tracking_uri: Tracking = None,
) -> None:
    """Serve the MLflow UI on the records, on 127.0.0.1 only; Ctrl-C ends it."""
    import signal

    from swinablate.tracking.server import serve

    where = Home(home)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the server ends too
    name = study.stem if study else None
    with serve(tracking_uri or where.mlflow_uri, port, where.artifacts, name) as address:
        terminal.err.print(f"{address}\nCtrl-C ends it", soft_wrap=True)
        signal.pause()


@app.command(epilog="Example: swinablate switches swin")
def switches(
    family: Annotated[
        str | None,
        typer.Argument(
            help="A model family, mypackage.nets:MyNet, timm:NAME or torchvision:NAME.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List what can be ablated: switch, levels, what it does, and its source."""
    from swinablate.models.catalogue import catalogue

    with contextlib.redirect_stdout(sys.stderr):  # a module may print when it is imported
        found = catalogue(family)
    if as_json:
        _print_json({"schema": 1, "switches": found})
        return
    terminal.table(
        "Switches",
        ["family", "switch", "default", "levels", "what", "source"],
        [
            [s["family"], s["switch"], s["default"], s["levels"], s["what"], s["source"]]
            for s in found
        ],
    )


@app.command(epilog="Example: swinablate check mypackage.nets:MyNet --image 32x32x3 --classes 10")
def check(
    family: Annotated[
        str,
        typer.Argument(
            help="mypackage.nets:MyNet, timm:NAME, torchvision:NAME, or a built-in family.",
            show_default=False,
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set an argument (depth=4); repeatable."),
    ] = None,
    image: Annotated[str, typer.Option(help="Height x width x channels.")] = "32x32x3",
    classes: Annotated[int, typer.Option(help="Number of classes.", min=2)] = 10,
    as_json: Json = False,
) -> None:
    """Check that a network can be ablated: switches, gradients, seeds, saving, training."""
    from dataclasses import asdict

    from swinablate.models.conformance import case_of, examine

    with contextlib.redirect_stdout(sys.stderr):
        case = case_of(family, settings or [], image, classes)
    findings = []
    for one in examine(case):
        findings.append(one)
        if not as_json:
            terminal.show_finding(one)
    if as_json:
        _print_json({"schema": 1, "family": family, "checks": [asdict(f) for f in findings]})
    if any(one.status == "failed" for one in findings):
        raise typer.Exit(3)


@app.command(epilog="Example: swinablate schema study > study.schema.json")
def schema(kind: Annotated[str, typer.Argument(help="study or recipe")]) -> None:
    """Print the JSON Schema of study or recipe files, for editors."""
    from pydantic import BaseModel

    from swinablate.study.files import RecipeFile, StudyFile

    kinds: dict[str, type[BaseModel]] = {"study": StudyFile, "recipe": RecipeFile}
    if kind not in kinds:
        raise InputError(f"no schema is called {kind!r}", hint="known: study, recipe")
    _print_json(kinds[kind].model_json_schema())


@app.command(epilog="Example: swinablate demo")
def demo(
    slots: Slots = None,
    out: Out = None,
    home: HomeFolder = HOME,
    smoke: Smoke = False,
    as_json: Json = False,
) -> None:
    """Run the quick start: which parts of Swin matter on 8x8 digits? Five minutes, two cores."""
    from swinablate.models.catalogue import examples

    study = examples() / "studies" / "quickstart.toml"
    options = _options(slots, "auto", "local", None, None, None)
    _run(study, home, options, [], smoke=smoke, report_to=out, silent=False, as_json=as_json)


@app.command(epilog="Example: swinablate doctor --json")
def doctor(home: HomeFolder = HOME, as_json: Json = False) -> None:
    """Check the installation: versions, devices, disk, stores."""
    from swinablate.cli.doctor import examine

    checks = examine(Home(home))
    if as_json:
        _print_json({"schema": 1, "checks": [vars(check) for check in checks]})
    else:
        terminal.table(
            "Installation",
            ["check", "", "found", "remedy"],
            [[c.name, "ok" if c.ok else "PROBLEM", c.found, c.hint] for c in checks],
        )
    if not all(check.ok for check in checks):
        raise typer.Exit(4)


@app.command(
    "verify-fusion", epilog="Example: swinablate verify-fusion experiments/swin_digits.toml"
)
def verify_fusion(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (TOML).", show_default=False)],
    replicas: Annotated[int, typer.Option(min=2, max=64, help="Runs in one graph.")] = 4,
    steps: Annotated[int, typer.Option(min=1, max=10_000, help="Optimizer steps.")] = 40,
    device: Annotated[str, typer.Option(help="cpu or cuda:0.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Compare runs trained as one graph with the same runs alone; exit 3 if they differ.

    The measure is the largest difference of a training loss, in units of what rounding that
    falls otherwise changes. Trains on noise of the data's shape.
    """
    from swinablate.execution.devices import find_devices
    from swinablate.study.files import load_recipe
    from swinablate.training.fused.verify import verify

    (where,) = find_devices(device)[:1]
    found = verify(load_recipe(recipe), replicas, steps, where)
    if as_json:
        _print_json(found.to_json())
    else:
        terminal.out.print(
            f"{recipe}: {replicas} replicas, {steps} steps, {found.precision}, {where}: "
            f"losses differ from those alone by at most {found.fused:.1e}; other rounding "
            f"changes those by {found.floor:.1e}: "
            f"{'within' if found.ok else 'NOT within'} {found.gate:g} times that.",
            soft_wrap=True,
        )
    if not found.ok:
        raise typer.Exit(3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (ARCHITECTURE: 0, 1, 2, 3, 4, 75, 130)."""
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr
    )
    try:
        code = app(args=arguments, standalone_mode=False)
    except SwinablateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001  the last resort: what is left is a bug
        if hasattr(error, "format_message"):  # typer's own: wrong usage
            print(f"error: {error.format_message()}\n\nhint: add --help", file=sys.stderr)
            return 2
        traceback.print_exc()
        print(
            "\nThis is a bug in swinablate. Please report it with the lines above.",
            file=sys.stderr,
        )
        return 1
    return code if isinstance(code, int) else 0  # what typer.Exit was given


def _options(
    slots: int | None,
    devices: str,
    executor: str,
    only: Sequence[str] | None,
    storage: str | None,
    tracking: str | None,
    *,
    retry: bool = False,
) -> "Options":
    from swinablate.execution.coordinator import Options

    return Options(
        slots=slots,
        devices=devices,
        executor=executor,
        only=tuple(only or ()),
        storage=storage,
        tracking=tracking,
        retry=retry,
        command="swinablate " + " ".join(sys.argv[1:]),
    )


def _fuse(text: str) -> int | None:
    if text == "auto":
        return None
    count = 1 if text == "off" else int(text) if text.isdecimal() else 0
    if count < 1:
        raise InputError(
            f"expected auto, off or a number, got {text!r}",
            at="--fuse",
            hint="--fuse 8 trains up to 8 seeds of an arm as one graph",
        )
    return count


def _home(home: Path, *, smoke: bool) -> Home:
    return Home(home / "smoke" if smoke else home)


def _plan(study: Path, settings: Sequence[str], *, smoke: bool) -> "Plan":
    from swinablate.study import files
    from swinablate.study.plan import plan

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
    from swinablate.execution.coordinator import execute

    made = _plan(study, settings, smoke=smoke)
    where = _home(home, smoke=smoke)
    with Watch(terminal.err) as watch:
        summary = execute(made, where, options, watch)
    if summary.exit_code in RESUMABLE:
        silent = True  # whoever stopped it waits for it to end
    if not silent:
        answer, folder = _report(where, study, report_to, as_json=as_json)
        _publish(options.tracking or where.mlflow_uri, where, answer, folder)
    elif as_json:
        _print_json(_counts(where, study.stem))
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
        _print_json(answer.verdicts)
    else:
        terminal.show_verdicts(answer.verdicts)
    terminal.err.print(f"report: {folder / 'index.html'}", soft_wrap=True)
    return answer, folder


def _keep_each(
    home: Home, study: str, arm: str, path: Path, seed: int | None, *, as_json: bool
) -> None:
    from swinablate.api import keep_each

    words = {
        "written": "weights of",
        "there": "already there, weights of",
        "unfinished": "not written, no result of",
    }
    found = []
    for one in keep_each(home, study, arm, path, seed):
        found.append(
            {"seed": one.seed, "status": one.status, "trial": one.trial, "file": str(one.file)}
        )
        if not as_json:
            terminal.err.print(
                f"{one.file}: {words[one.status]} {arm} s{one.seed}", soft_wrap=True
            )
    if as_json:
        _print_json({"schema": 1, "files": found})


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


def _print_json(data: Any) -> None:
    sys.stdout.write(json.dumps(data, indent=2, allow_nan=False) + os.linesep)
