"""Removing a study from a home."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.commands.verbs import shown
from swinablate.cli.options import HOME, HomeFolder, Json, Storage, Tracking
from swinablate.cli.terminal import print_json
from swinablate.cli.typed import studies_like
from swinablate.cli.which import named
from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.home import Home
from swinablate.text import counted

if TYPE_CHECKING:
    from swinablate.cli.commands.verbs.removal import Removal

commands = typer.Typer()


@commands.command("rm", epilog="Example: swinablate rm quickstart")
def rm(
    study: Annotated[
        str,
        typer.Argument(
            help="The name of a study that was run, or its file.",
            show_default=False,
            autocompletion=studies_like,
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """Remove a study: its plan, the trials that no other study uses, its rows in the stores.

    Says first what goes and what stays, and asks. Trials that other studies of the home use stay,
    and so do reports, data sets and study files.
    """
    from swinablate.cli.commands.verbs import removal

    where = Home(home)
    name = named(study, where, edited=True)
    if removal.unfinished(where, name):
        _say(f"{name}: an interrupted removal is finished")
        if as_json:
            print_json({"schema": 1, "study": name, "finished": True})
        return
    found = removal.planned(where, name)
    if who := removal.running(where, name):
        raise EnvironmentFault(
            f"study {name!r} is running: {who}",
            at=str(where.root),
            hint="stop it first: Ctrl-C in its terminal; then remove it",
        )
    _tell(found)
    if not yes and not _agreed(name):
        _say("nothing was removed")
        return
    done = removal.remove(where, name, storage=storage, tracking=tracking_uri, say=_say)
    if as_json:
        print_json({"schema": 1, **done.to_json()})
    else:
        _say(f"removed: {name}, {counted(len(done.goes), 'trial')}, {shown.size(done.disk_bytes)}")


def _tell(found: "Removal") -> None:
    """What goes and what stays, before anything does."""
    _say(
        f"goes: the plan of {found.study} ({counted(len(found.plans), 'declaration')}), "
        f"{counted(len(found.goes), 'trial')} with records, logs and weights "
        f"({shown.size(found.disk_bytes)}), its rows in Optuna, its experiment in MLflow"
    )
    if found.stays:
        users = dict.fromkeys(user for users in found.stays.values() for user in users)
        _say(f"stays: {counted(len(found.stays), 'trial')} that are also in {', '.join(users)}")
    _say("stays: reports, data sets, study files and recipes")
    for why in found.unread:
        _say(f"warning: trials that only this declaration names stay: {why}")
    if found.launch.variables:
        names = ", ".join(found.launch.variables)
        _say(f"it was run with {names}: rows in stores that are not named now stay there")


def _agreed(name: str) -> bool:
    """Ask on a terminal.

    Raises:
        InputError: there is none.
    """
    if not sys.stdin.isatty():
        raise InputError(
            f"nobody can be asked whether {name!r} may be removed: there is no terminal",
            hint="add --yes; what was recorded is then gone for good",
        )
    try:
        return typer.confirm(f"Remove {name} for good?", default=False, err=True)
    except typer.Abort:
        return False


def _say(text: str) -> None:
    terminal.err.print(text, markup=False, soft_wrap=True)
