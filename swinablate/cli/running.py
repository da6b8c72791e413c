"""What commands that run or report a study have in common."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from swinablate.cli import terminal
from swinablate.cli.differences import differences, told
from swinablate.cli.more import extended
from swinablate.cli.options import home_of
from swinablate.cli.terminal import print_json
from swinablate.cli.which import declared, plan_of, was_run
from swinablate.config.code.theirs import prints_aside
from swinablate.config.metrics import ACCURACY
from swinablate.errors import SwinablateError
from swinablate.records.home import Home
from swinablate.records.launch import Launch, launch_of
from swinablate.records.plan import PlanRecord
from swinablate.records.report_folder import check_folder, committed, listed, told_changes

if TYPE_CHECKING:
    from swinablate.execution.ahead.where import Where
    from swinablate.execution.run import Options, Summary
    from swinablate.report.results import StudyResults
    from swinablate.scheduling.cost import Cost
    from swinablate.study.plan import Plan


RESUMABLE = {75, 130}
"""Exit codes of a run that was stopped (`execution.stop`, which would import all that runs it)."""


@dataclass(frozen=True)
class Report:
    """The report that a command writes.

    Attributes:
        out: its folder; None is the default of the study.
        wanted: whether there is one.
        force: it may be written over files of others.
        latex: columns of its LaTeX table; empty for the usual ones.
    """

    out: Path | None
    wanted: bool = True
    force: bool = False
    latex: tuple[str, ...] = ()

    def folder(self, home: Home, name: str) -> Path:
        """`reports/STUDY` here, if no other was named; a smoke run's report stays in its home.

        So does one whose place here is taken by an answer that came with a checkout.
        """
        if self.out:
            return self.out
        usual = Path("reports") / name
        apart = home.root.name == "smoke" or committed(usual)
        return home.root / usual if apart else usual


def expected(
    made: "Plan", home: Home, where: "Where", *, probe: bool
) -> "tuple[PlanRecord, Cost]":
    """What a plan promises, and what is left of it costs.

    Args:
        made: the plan.
        home: where it is recorded.
        where: it would run.
        probe: take a few steps of every arm, instead of what is known already.
    """
    from swinablate.execution.ahead.probing import cost_of
    from swinablate.study.noise.expected import expected_noise
    from swinablate.study.plan_record import plan_record, with_images

    recorded = home.outcomes(trial.id for trial in made.trials)
    record = plan_record(made, recorded, expected_noise(made, home))
    record = with_images(record, made, home.datasets)
    tell = terminal.named_probe if probe else None
    return record, cost_of(made, record, home, where, tell)


def run_study(
    study: Path,
    home: Path,
    options: "Options",
    settings: Sequence[str],
    *,
    smoke: bool,
    report: Report,
    as_json: bool,
) -> None:
    """Train what a study lacks, report, and end with the exit code of it."""
    from swinablate.execution.ahead.pictures import lacks_trials
    from swinablate.execution.processes import started_early

    where = home_of(home, smoke=smoke, data=options.data)
    early = options.executor == "local" and lacks_trials(where, study.stem)
    with started_early(options.devices) if early else contextlib.nullcontext():
        _run_study(study, where, options, settings, smoke=smoke, report=report, as_json=as_json)


def _run_study(
    study: Path,
    where: Home,
    options: "Options",
    settings: Sequence[str],
    *,
    smoke: bool,
    report: Report,
    as_json: bool,
) -> None:
    from swinablate.cli.progress import Watch
    from swinablate.execution.ahead.pictures import check_pictures
    from swinablate.execution.run import execute

    made = plan_of(study, settings, smoke=smoke, first=lambda read: check_pictures(read, where))
    name = made.study.name
    if report.wanted:
        check_folder(report.folder(where, name), force=report.force)
    made, options = extended(made, where, options)
    _say_if_another(made, where, options.launch)
    with Watch(terminal.err) as watch, prints_aside():
        summary = execute(made, where, options, watch)
    # Whoever stopped it waits for it to end.
    if report.wanted and summary.exit_code not in RESUMABLE:
        answer, folder = report_of(where, name, report, as_json=as_json)
        if not summary.unreachable:  # else it would be waited for again
            _publish(options.tracking or where.mlflow_uri, where, answer, folder)
    else:
        if summary.counts and not summary.mirrored:
            _publish_trials(options.tracking or where.mlflow_uri, where, name)
        if as_json:
            print_json(_counts(where, name))
    farewell(summary, options.launch)
    raise typer.Exit(summary.exit_code)


def _say_if_another(made: "Plan", home: Home, launch: Launch) -> None:
    """Tell whoever runs a study that its name meant another file's until now."""
    if not was_run(home, made.study.name):
        return
    with contextlib.suppress(SwinablateError):  # damaged: it is declared anew
        was = home.declared(made.study.name)
        ran = launch_of(home, was)
        found = differences(was, declared(made))
        if ran.file not in {"", launch.file} and found:
            terminal.err.print(
                f"{made.study.name} was run from {ran.file} before, and from now on is "
                f"{launch.file}, which differs: {told(found)}",
                soft_wrap=True,
                markup=False,
            )


def latex_of(columns: str) -> tuple[str, ...]:
    """What `--latex-columns` names; nothing where it was not given."""
    if not columns:
        return ()
    from swinablate.report.latex import check_columns

    return check_columns(columns)


def report_of(
    home: Home, name: str, report: Report, *, as_json: bool
) -> "tuple[StudyResults, Path]":
    """Judge what is recorded of a study, write its report, and show the verdicts."""
    from swinablate.report import render
    from swinablate.report.answer import gather
    from swinablate.report.tables import interim
    from swinablate.scheduling.looking.headline import keep_strongest

    folder = report.folder(home, name)
    measure_lacking(home, name)
    answer = gather(home, name)
    before = listed(folder)
    render(answer, folder, force=report.force, latex=report.latex)
    if not interim(answer):
        keep_strongest(home, answer.planned, answer.verdicts)
    if as_json:
        print_json(answer.verdicts)
    else:
        terminal.show_verdicts(answer.verdicts)
    told = told_changes(before, listed(folder))
    terminal.err.print(f"report: {folder / 'index.html'}{told}", soft_wrap=True, markup=False)
    return answer, folder


def measure_lacking(home: Home, name: str) -> None:
    """Measure what trials of an earlier version lack of what a study asks for."""
    plan = home.declared(name)
    if plan.metrics == (ACCURACY,) or plan.baseline.commanded:
        return  # nothing lacks, and torch takes seconds to import
    from swinablate.training.measure import measure

    folder = str(Path(launch_of(home, plan).file).parent)
    with prints_aside():
        lacking = measure(home, plan, (folder,))
    for line in lacking:
        terminal.err.print(f"not recorded, {line}", soft_wrap=True, markup=False)


def _publish(uri: str, home: Home, answer: "StudyResults", folder: Path) -> None:
    """Show the verdicts in MLflow too; the report stands whether or not that works."""
    from swinablate.execution.sync import recorded
    from swinablate.tracking.mirror import publish

    try:
        publish(uri, home, answer, folder, lambda: recorded(home, answer.planned))
    except SwinablateError as error:
        terminal.err.print(f"not in MLflow: {error}", soft_wrap=True, markup=False)


def _publish_trials(uri: str, home: Home, name: str) -> None:
    """Show trials that were all recorded before in MLflow, where it lacks them."""
    from swinablate.execution.sync import recorded
    from swinablate.tracking.mirror import publish_trials

    plan = home.declared(name)
    try:
        publish_trials(uri, home, plan, lambda: recorded(home, plan))
    except SwinablateError as error:
        terminal.err.print(f"not in MLflow: {error}", soft_wrap=True, markup=False)


def _counts(home: Home, name: str) -> dict[str, Any]:
    from swinablate.scheduling.status import read_status

    return read_status(home, name).to_json()


def farewell(summary: "Summary", launch: Launch) -> None:
    """Count how trials ended, and name the commands that make sense now."""
    counts = (
        ", ".join(f"{n} {status}" for status, n in sorted(summary.counts.items()))
        or "nothing done"
    )
    left = f", {summary.missing} missing" if summary.missing else ""
    terminal.err.print(f"{counts}{left}")
    if summary.unmirrored:
        _hint(
            f"{summary.unmirrored} records did not reach MLflow",
            launch.says("sync") + launch.needs,
        )
    if summary.spent:
        terminal.err.print("the budget is met: a larger [budget] goes on", markup=False)
    elif summary.missing:
        _hint("to go on", launch.again + launch.needs)
    elif summary.exit_code == 3:
        if summary.settled:
            terminal.err.print(
                f"{summary.settled} would end the same way again: change the recipe or the network"
            )
        if summary.worth_retrying and launch.says("retry"):
            _hint("to train them again", launch.says("retry") + launch.needs)


def _hint(what: str, command: str) -> None:
    terminal.err.print(f"{what}: {command}", soft_wrap=True, markup=False)
