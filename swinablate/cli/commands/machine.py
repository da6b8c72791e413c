"""Commands about this machine: the pages of MLflow, the installation, the statistics' promises."""

import re
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from swinablate.errors import InputError
from swinablate.records.home import Home

if TYPE_CHECKING:
    from swinablate.records.survey import Survey
    from swinablate.stats.planned.planning import Budgeted, Question

commands = typer.Typer()
ASKED = {"difference": "a difference of {:g}", "equivalence": "equivalence within {:g}"}
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


@commands.command(
    epilog="Example: swinablate power --arms 6 --sd 0.8 --rope 0.5 --hours 9 --hours-per-trial 0.1"
)
def power(
    arms: Annotated[int, typer.Option(help="Comparisons with the baseline.", show_default=False)],
    sd: Annotated[
        float, typer.Option(help="Standard deviation over seeds, points.", show_default=False)
    ],
    rope: Annotated[
        float | None, typer.Option(help="Smallest difference that matters, points.")
    ] = None,
    effect: Annotated[
        float | None, typer.Option(help="Difference to find, points.", show_default="the rope")
    ] = None,
    wanted: Annotated[
        float, typer.Option("--power", help="Chance to show it, for one arm.")
    ] = 0.8,
    alpha: Annotated[float, typer.Option(help="Error rate of all comparisons together.")] = 0.05,
    correlation: Annotated[
        float,
        typer.Option(
            "--paired-correlation",
            metavar="R",
            help="How the same seeds of two arms go together: pairing may then show more.",
        ),
    ] = 0.0,
    trials: Annotated[int | None, typer.Option(help="A budget: trials there may be.")] = None,
    hours: Annotated[
        float | None, typer.Option(help="A budget in hours, with --hours-per-trial.")
    ] = None,
    each: Annotated[
        float | None, typer.Option("--hours-per-trial", metavar="HOURS", help="What one takes.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how many seeds a difference or equivalence needs, and the best study of a budget.

    Of the method that judges studies, for arms of equal noise; the baseline has twice the seeds
    of an arm, as in study files.
    """
    from swinablate.stats.planned.planning import Question, best_of

    question = Question(arms=arms, sd=sd, alpha=alpha, power=wanted, correlation=correlation)
    _check_size("--rope", rope)
    _check_size("--effect", effect)
    count = _trials(trials, hours, each)
    best = None if count is None else best_of(question, count)
    sizes = {"difference": rope if effect is None else effect, "equivalence": rope}
    found = {
        "schema": 1,
        "arms": arms,
        "sd": sd,
        "alpha": alpha,
        "power": wanted,
        "correlation": correlation,
        "needed": {what: _needed(question, what, size) for what, size in sizes.items()},
        "shown": _shown(question),
        "budget": None if best is None else vars(best) | {"looks": list(best.looks)},
    }
    print_json(found) if as_json else _show(question, found, best)


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
    """Serve a live page of all studies, and MLflow's pages behind it, on 127.0.0.1 only.

    Ctrl-C ends it. Over SSH, the command is printed that brings both to your own machine.
    """
    from swinablate.cli.pages import serve_pages

    where, name = Home(home), None
    if study is not None:
        asked = asked_of(context, study, settings, "ui", where)
        name = asked.shown() if tracking_uri else asked.recorded()
    serve_pages(where, port, tracking_uri, name)


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


def _check_size(option: str, size: float | None) -> None:
    from swinablate.stats.planned.planning import SIZES

    if size is not None and not SIZES[0] <= size <= SIZES[1]:
        raise InputError(
            f"{size:g} is no size of a difference", at=option, hint="give a positive number: 0.5"
        )


def _trials(trials: int | None, hours: float | None, each: float | None) -> int | None:
    """How many trials the budget is."""
    if hours is None and each is None:
        return trials
    if hours is None or each is None:
        missing = "--hours" if hours is None else "--hours-per-trial"
        raise InputError(
            f"{missing} is missing", hint="a budget is --hours and --hours-per-trial, or --trials"
        )
    if trials is not None:
        raise InputError("--trials and --hours are two budgets", hint="give one of them")
    if not (hours > 0 and each > 0 and isfinite(hours / each)):
        raise InputError(
            f"{hours:g} hours of trials that take {each:g} are no budget",
            at="--hours",
            hint="give positive numbers",
        )
    return int(hours / each + 1e-9)  # not one fewer for a rounding error


def _needed(question: "Question", what: str, size: float | None) -> dict[str, Any] | None:
    """The seeds that show it; None if no size was given, or no number of seeds does."""
    from swinablate.stats.power import baseline_of

    n = None if size is None else question.seeds_for(size, what)
    if n is None:
        return None
    base = baseline_of(n)
    return {
        "size": size,
        "seeds": n,
        "baseline_seeds": base,
        "trials": question.trials(n, base),
    }


def _shown(question: "Question") -> list[dict[str, Any]]:
    """What usual numbers of seeds show."""
    from swinablate.stats.planned.planning import COUNTS
    from swinablate.stats.power import baseline_of

    return [
        {
            "seeds": n,
            "baseline_seeds": baseline_of(n),
            "trials": question.trials(n, baseline_of(n)),
            "difference": round(question.difference(n, baseline_of(n)), 4),
            "equivalence": round(question.margin(n, baseline_of(n)), 4),
        }
        for n in COUNTS
    ]


def _show(question: "Question", found: dict[str, Any], best: "Budgeted | None") -> None:
    for what, need in found["needed"].items():
        if need:
            rest = ", if there is no difference" if what == "equivalence" else ""
            terminal.out.print(
                f"To show {ASKED[what].format(need['size'])}{rest}, with power "
                f"{question.power:g}: {need['seeds']} seeds an arm and {need['baseline_seeds']} "
                f"of the baseline, {need['trials']} trials.",
                markup=False,
                soft_wrap=True,
            )
    terminal.table(
        f"What seeds show with power {question.power:g}: {question.arms} arms, sd {question.sd:g}",
        [">seeds", ">baseline", ">trials", ">difference of", ">equivalence within"],
        [
            [row["seeds"], row["baseline_seeds"], row["trials"],
             f"{row['difference']:.2f}", f"{row['equivalence']:.2f}"]
            for row in found["shown"]
        ],
    )  # fmt: skip
    if best is None:
        return
    share = 100 * best.baseline_seeds / best.trials
    lines = [
        (
            f"Best of {best.trials} trials: seeds = {best.seeds}, baseline_seeds = "
            f"{best.baseline_seeds} ({share:.0f} % of the trials): a difference of "
            f"{best.difference:.2f}, equivalence within {best.margin:.2f}."
        )
    ]
    if best.looks:
        lines.append(
            f"Never more trials, fewer where arms are decided early: [adaptive] looks = "
            f"{list(best.looks)}; its last look alone finds {best.last_look:.2f}."
        )
    for line in lines:
        terminal.out.print(line, markup=False, soft_wrap=True)
