"""The command that checks what somebody says: a recipe's claim, a bundle's records, a paper."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.commands.bundle import checked, tell
from swinablate.cli.commands.verbs import published
from swinablate.cli.commands.verbs.claims import show, verify_recipe
from swinablate.cli.options import (
    HOME,
    Devices,
    HomeFolder,
    Json,
    Settings,
    Slots,
    Storage,
    Tracking,
    home_of,
    options_of,
)
from swinablate.cli.terminal import print_json
from swinablate.cli.typed import typed_in
from swinablate.cli.which import asked_of
from swinablate.errors import InputError

commands = typer.Typer()


@commands.command(epilog="Example: swinablate verify experiments/swin_digits.toml --params-only")
def verify(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE|BUNDLE|STUDY|REPORT",
            help="A recipe (TOML); what `swinablate export STUDY FILE` wrote; a study (TOML, or "
            "the name of one that was run); or the folder of a report.",
            show_default=False,
        ),
    ],
    params_only: Annotated[
        bool, typer.Option("--params-only", help="Count parameters, and train nothing.")
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Seeds to train.", show_default="as the claim says"),
    ] = None,
    pack: Annotated[
        Path | None,
        typer.Option(
            help="Of a study: a pack of published numbers (TOML), or a folder of them.",
            show_default="those that ship with swinablate",
        ),
    ] = None,
    slots: Slots = None,
    devices: Devices = "auto",
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Check what a recipe, an evidence bundle, or a paper about a study's question says.

    Of a recipe, parameters are counted and an accuracy is trained for. Trials are recorded in the
    home and reused; the accuracy holds if the interval over seeds lies inside the claim's
    tolerance. Of a bundle, digests, trial ids, the declaration and the verdicts are computed
    again, and nothing is written. Of a study, published numbers (packs) stand beside what was
    recorded: reproduced if the interval lies between half and twice the published difference, sign
    only, contradicted, or not resolved; nothing is trained. Exit code 0: all holds, or is
    reproduced; 3: something does not, or is undecided; 4: it cannot be checked here.
    """
    if (compared := _published(context, file, pack, home, settings)) is not None:
        _only_of_recipes(context, file)
        print_json(compared.to_json()) if as_json else published.show(compared)
        raise typer.Exit(compared.exit_code)
    if file.suffix != ".toml":
        _only_of_recipes(context, file)
        bundle = checked(file)
        print_json(bundle.to_json()) if as_json else tell(bundle)
        raise typer.Exit(0 if bundle.whole else 3)
    options = options_of(context, slots, devices, "local", None, storage, tracking_uri)
    launch = options.launch.model_copy(update={"study": "", "file": ""})
    options = dataclasses.replace(options, launch=launch)
    found = verify_recipe(
        file, home_of(home, smoke=False), options, seeds=seeds, params_only=params_only
    )
    print_json(found.to_json()) if as_json else show(found)
    if found.fault and found.exit_code == found.fault.exit_code:
        raise found.fault
    if found.stopped and found.exit_code == found.stopped:
        terminal.err.print(f"to go on: {launch.command}", markup=False, soft_wrap=True)
    raise typer.Exit(found.exit_code)


def _only_of_recipes(context: typer.Context, file: Path) -> None:
    """Refuse options that mean nothing where nothing is trained.

    Raises:
        InputError: one was given.
    """
    for name in ("params_only", "seeds", "slots", "devices"):
        if typed_in(context, name):
            option = f"--{name.replace('_', '-')}"
            raise InputError(
                f"{option} is about a recipe, and {file} is none",
                at=option,
                hint="give a recipe, or leave the option out",
            )


def _published(
    context: typer.Context, file: Path, pack: Path | None, home: Path, settings: list[str] | None
) -> published.Compared | None:
    """What packs say of a study or of a report; None of what is neither.

    Raises:
        InputError: options of a study beside something else; or what is wrong with either.
    """
    if file.is_dir():
        return published.compare_report(file, pack)
    named = not file.exists() and file.name == str(file) and not file.suffix
    if named or (file.suffix == ".toml" and published.is_study(file)):
        where = home_of(home, smoke=False)
        asked = asked_of(context, file, settings, "verify", where)
        given = asked.given.model_copy(update={"study": str(file)})
        name = dataclasses.replace(asked, given=given).recorded()
        return published.compare_study(name, where, pack)
    if pack is not None or settings:
        option = "--pack" if pack is not None else "--set"
        raise InputError(
            f"{option} is about a study, and {file} is none",
            at=option,
            hint="give a study, or leave the option out",
        )
    return None
