"""Commands to begin with: a study file of one's own, and the quick start."""

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.options import (
    HOME,
    Force,
    HomeFolder,
    Json,
    Slots,
    Smoke,
    Storage,
    Tracking,
    options_of,
)
from swinablate.cli.running import Report, run_study
from swinablate.config.variants import digests
from swinablate.errors import InputError
from swinablate.records.launch import Launch, program

commands = typer.Typer()
DEMO = Path("reports") / "demo"
"""Where the report of the quick start is; git ignores it in a clone."""


@commands.command(epilog="Example: swinablate new my_study --template factorial")
def new(
    name: Annotated[
        str, typer.Argument(help="Name of the study; of a command, that of its script.")
    ] = "",
    command: Annotated[
        str,
        typer.Option(
            "--command",
            help="Your own training command, in quotes: its flags become switches.",
            show_default=False,
        ),
    ] = "",
    template: Annotated[
        str,
        typer.Option(help="The kind of study; --list says which there are.", show_default="parts"),
    ] = "",
    listed: Annotated[
        bool, typer.Option("--list", help="Say which templates there are, and write nothing.")
    ] = False,
    folder: Annotated[
        Path, typer.Option("--in", help="Where studies/ and experiments/ are.")
    ] = Path(),
) -> None:
    """Write a commented study file and its recipe to start from.

    With --command the recipe is your own training command, as you would type it here: levels of
    its flags become switches, which a study can vary.
    """
    from swinablate.study.starters.command import write_command
    from swinablate.study.starters.network import write_template
    from swinablate.study.starters.templates import DEFAULT, TEMPLATES

    if listed:
        rows = [(key, kind.about) for key, kind in TEMPLATES.items()]
        terminal.table("templates of `swinablate new`", ["template", "asks"], rows)
        return
    if template and command:
        raise InputError(
            "a command has no template: its flags are the switches",
            at="--template",
            hint="leave one of the two out",
        )
    if not name and not command:
        raise InputError(
            "the study has no name",
            at="new",
            hint='`swinablate new my_study`, or --command "python train.py --lr=0.1"',
        )
    written = (
        write_command(name, command, folder)
        if command
        else write_template(name, folder, template or DEFAULT)
    )
    ahead = shlex.join([*program(), "plan", str(written[0])])
    said = "\n".join([*map(str, written), f"next: {ahead}"])
    terminal.err.print(said, soft_wrap=True, markup=False)


@commands.command(epilog="Example: swinablate demo")
def demo(
    context: typer.Context,
    slots: Slots = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the report.", show_default=str(DEMO)),
    ] = None,
    force: Force = False,
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    smoke: Smoke = False,
    as_json: Json = False,
) -> None:
    """Run the quick start: which parts of Swin matter on 8x8 digits? Five minutes, two cores."""
    terminal.planning("the quick start")
    from swinablate.models.catalogue import examples

    study = examples() / "studies" / "quickstart.toml"
    options = options_of(context, slots, "auto", "local", None, storage, tracking_uri)
    what = {"study": study.stem, "file": str(study), "digests": digests(study)}
    options = dataclasses.replace(options, launch=options.launch.model_copy(update=what))
    # A clone has the shipped report of this study at its usual place; it is not written over.
    report = Report(out or (None if smoke else DEMO), force=force)
    try:
        run_study(study, home, options, [], smoke=smoke, report=report, as_json=as_json)
    except typer.Exit as end:
        if end.exit_code == 0 and not as_json:
            _say_next(options.launch)
        raise


def _say_next(launch: Launch) -> None:
    """What to do after the quick start, each a command to be pasted."""
    for what, command in (
        ("every trial in a browser", launch.says("ui")),
        ("what is recorded", launch.of_home("list")),
        ("a study of your own", shlex.join([*program(), "new", "my_study"])),
    ):
        terminal.err.print(f"next, {what}: {command}", soft_wrap=True, markup=False)
