"""Results that were trained elsewhere, judged: a table, or a study file that names one."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from swinablate.cli import terminal
from swinablate.cli.running import Report
from swinablate.cli.terminal import print_json
from swinablate.errors import InputError
from swinablate.records.launch import program
from swinablate.text import places_of

if TYPE_CHECKING:
    from swinablate.report.analyze import Analysis
COLUMNS = ("arm", "seed", "value", "dataset", "unit", "better")
"""Options of `analyze` that stand in [results]."""
OPTION = re.compile(
    r"--(?P<name>arm|seed|value|dataset|unit|better|metric|rope|alpha|method|baseline)\b"
    r"(?: (?P<value>'[^']*'|[^\s,;]+))?"
)
"""An option of `analyze` in a message, and its value if one stands behind it."""

SAID = "--metric, --unit, --better"
"""Options that say what values are."""


def report_results(
    study: Path, report: Report, given: Mapping[str, bool], *, as_json: bool
) -> None:
    """Judge the results that a study file names, and write the report.

    Args:
        study: its file.
        report: where, and how.
        given: option -> whether it was given; none of them means anything here.
        as_json: print verdicts.json.

    Raises:
        InputError: the file, or its results, cannot be what is meant.
        EnvironmentFault: they cannot be read.
    """
    from swinablate.report.analyze import Asked, Question, analyze
    from swinablate.report.foreign.columns import Columns
    from swinablate.report.foreign.declared import load_results
    from swinablate.report.foreign.measure import Measure

    if wrong := [option for option, was in given.items() if was]:
        raise InputError(
            "a study with [results] says all of it in its file",
            at=wrong[0],
            hint="write it into the study file, and leave the option out",
        )
    said, place, tracking = load_results(study)
    columns = said.results
    metric = said.compare.metric
    question = Question(
        baseline=said.baseline,
        rope=said.compare.rope,
        alpha=said.compare.alpha,
        columns=Columns(
            arm=columns.arm,
            seed=columns.seed,
            value=columns.value,
            dataset=columns.dataset,
            metric=metric,
        ),
        measure=Measure(metric=metric, unit=columns.unit, better=columns.better),
        method=said.compare.method,
        tracking=tracking,
        asked=Asked(
            study=study,
            question=said.question,
            hypotheses=said.hypotheses,
            labels=said.labels,
            command=shlex.join([*program(), "report", str(study)]),
        ),
    )
    try:
        found = analyze(place, question)
    except InputError as error:
        hint, at = map(_as_keys, (error.hint or "", error.at or ""))
        raise InputError(error.problem, at=f"{study}: {at}", hint=hint) from None
    show_analysis(found, study.stem, report, as_json=as_json, said=_as_keys(SAID))


def _as_keys(text: str) -> str:
    """What is said of options of `analyze`, as keys of a study file."""
    return OPTION.sub(_key, text)


def _key(found: re.Match[str]) -> str:
    name, value = found["name"], (found["value"] or "").strip("'")
    table = "" if name == "baseline" else "results." if name in COLUMNS else "compare."
    return f"{table}{name}" + (f" = {json.dumps(value)}" if value else "")


def show_analysis(
    found: "Analysis", name: str, report: Report, *, as_json: bool, said: str = SAID
) -> None:
    """Write and print an analysis; as JSON alone, where no folder was asked for.

    Args:
        found: the answers.
        name: of the folder below reports/, where none was given.
        report: where, and how.
        as_json: print verdicts.json.
        said: what says what the values are.
    """
    if found.taken:
        told = f"nothing says what was measured: took {found.taken} ({said} say it)"
        terminal.err.print(told, soft_wrap=True, markup=False)
    if report.out is not None or not as_json:
        from swinablate.report import render

        out = report.out or Path("reports") / name
        for data, folder in found.folders(out).items():
            render(found.answers[data], folder, force=report.force, latex=report.latex)
            _told(folder)
        if len(found.answers) > 1:
            from swinablate.report.across.answers import Across
            from swinablate.report.across.page import write
            from swinablate.report.analyze import OVER

            sets = found.answers
            title = f"{name}: over {len(sets)} data sets"
            beside = Across(answers=tuple(sets.values()), named=tuple(sets), title=title)
            write(beside, out / OVER, force=report.force)
            _told(out / OVER)
    if as_json:
        print_json(found.to_json())
        return
    for data, answer in found.answers.items():
        terminal.show_verdicts(answer.verdicts, data)
    places = max(places_of(answer.verdicts) for answer in found.answers.values())
    terminal.show_over(found.to_json().get("over", ()), places)


def called(file: Path) -> str:
    """What the report of results is called: a file without its ending; else all of a name.

    A folder or an experiment `lr0.1` is not `lr0`.
    """
    return file.stem if file.is_file() else file.absolute().resolve().name


def _told(folder: Path) -> None:
    """Say where a report is."""
    said = f"report: {folder / 'index.html'}"
    terminal.err.print(said, soft_wrap=True, markup=False)
