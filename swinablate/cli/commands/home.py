"""Commands about what a home holds: its studies, one trial or arm, a log."""

from typing import Annotated, Any

import typer

from swinablate.cli import terminal
from swinablate.cli.commands.verbs import shown
from swinablate.cli.options import HOME, HomeFolder, Json
from swinablate.cli.terminal import print_json
from swinablate.cli.typed import home_as_typed, studies_like, trials_like
from swinablate.errors import InputError
from swinablate.records.home import Home

commands = typer.Typer()
Trial = Annotated[
    str,
    typer.Argument(
        help="A trial by its id, or the first digits of it.",
        show_default=False,
        autocompletion=trials_like,
    ),
]


@commands.command("list", epilog="Example: swinablate list --json")
def list_studies(home: HomeFolder = HOME, as_json: Json = False) -> None:
    """List the studies of a home: state, trials, age, size, and the strongest verdict."""
    from swinablate.scheduling.looking import studies

    where = Home(home)
    rows: list[dict[str, Any]] = []
    for one in studies.studies(where):
        found = _headline(where, one) if one.declaration else None
        rows.append({**one.to_json(), "headline": found})
    if as_json:
        print_json({"schema": studies.SCHEMA, "home": str(where.root), "studies": rows})
        return
    shown.list_studies(rows, where.root)


@commands.command(epilog="Example: swinablate show baseline")
def show(
    context: typer.Context,
    which: Annotated[
        str,
        typer.Argument(
            metavar="TRIAL|ARM",
            help="A trial by its id or the first digits of it, or an arm by its name.",
            show_default=False,
            autocompletion=trials_like,
        ),
    ],
    study: Annotated[
        str,
        typer.Option(
            help="Show the arm in this study only.",
            show_default="all that have it",
            autocompletion=studies_like,
        ),
    ] = "",
    home: HomeFolder = HOME,
    as_json: Json = False,
) -> None:
    """Show a trial (what differs, curve, attempts, metrics, recipe) or the trials of an arm."""
    from swinablate.scheduling.looking import trial as looking
    from swinablate.scheduling.looking.uses import found, uses_of

    where = Home(home)
    uses = uses_of(where)
    _say_unread(uses.unread)
    if study and study not in {use.plan.study for every in uses.of.values() for use in every}:
        hint = "`swinablate list` shows the studies of a home"
        raise InputError(f"study {study!r} has not been run in {where.root}", hint=hint)
    if places := uses.arms(which, study):
        arm = looking.arm_shown(where, places)
        print_json(arm) if as_json else shown.show_arm(arm)
        return
    if study:
        from swinablate.config.plugins import did_you_mean

        hint = did_you_mean(which, uses.names(study))
        raise InputError(f"no arm is called {which!r}", at=study, hint=hint)
    one = looking.trial_shown(where, uses, found(where, uses, which))
    if as_json:
        print_json(one)
        return
    typed = home_as_typed(context)
    again = shown.command("reproduce", one["trial"][: shown.DIGITS], home=typed)
    logs = shown.command("logs", one["trial"][: shown.DIGITS], home=typed)
    shown.show_trial(one, again if one["status"] in {"done", "diverged"} else "", logs)


@commands.command(epilog="Example: swinablate logs a9d2b305782b --attempt 1")
def logs(
    trial: Trial,
    attempt: Annotated[
        int | None, typer.Option(help="This attempt only.", min=1, show_default="all")
    ] = None,
    home: HomeFolder = HOME,
    as_json: Json = False,
) -> None:
    """Print what happened in a trial's attempts and what its workers printed, newest last."""
    from swinablate.scheduling.looking.attempts import attempts_of, printed
    from swinablate.scheduling.looking.uses import found, uses_of

    where = Home(home)
    uses = uses_of(where)
    _say_unread(uses.unread)
    one = found(where, uses, trial)
    every = attempts_of(where, one)
    if not every:
        raise InputError(
            f"trial {one[: shown.DIGITS]} has not begun: there is no log yet",
            at=str(where.trials / one),
            hint="`swinablate run STUDY` trains it; `swinablate list` shows the studies",
        )
    if attempt is not None and attempt not in {now.number for now in every}:
        numbers = ", ".join(str(now.number) for now in every)
        raise InputError(
            f"trial {one[: shown.DIGITS]} has no attempt {attempt}",
            at="--attempt",
            hint=f"its attempts: {numbers}",
        )
    wanted = [now for now in every if attempt in {None, now.number}]
    texts = [(now, printed(where, one, now.number)) for now in wanted]
    if as_json:
        attempts = [
            {
                **now.to_json(),
                "events": [vars(happened) for happened in now.events],
                "printed": [{"file": str(t.file), "lines": t.lines} for t in files],
            }
            for now, files in texts
        ]
        print_json({"schema": 1, "trial": one, "attempts": attempts})
        return
    shown.show_logs(texts)
    for now, files in texts:
        if not now.events:
            _say(
                f"attempt {now.number} has no events: {now.log} is missing or empty; it was "
                "killed before it began, or the file was removed"
            )
        elif not files:
            _say(
                f"attempt {now.number}: what its workers printed is not in {where.logs}: it was "
                "removed, or an earlier version or --executor serial trained it"
            )


def _headline(home: Home, one: Any) -> dict[str, Any] | None:
    """The strongest verdict on a study that is done; None if there is none."""
    from swinablate.errors import SwinablateError
    from swinablate.scheduling.looking.headline import strongest

    if one.interim or one.smoke:
        return None  # what is unfinished has no verdicts
    try:
        return strongest(home, home.declared(one.name))
    except SwinablateError:
        return None  # a list names studies; `report` tells what is wrong with one


def _say_unread(unread: dict[str, str]) -> None:
    for study, why in unread.items():
        _say(f"warning: study {study!r} is passed over: {why}")


def _say(text: str) -> None:
    terminal.err.print(text, markup=False, soft_wrap=True)
