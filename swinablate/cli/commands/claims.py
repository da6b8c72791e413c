"""Commands that check what somebody says: a recipe's claim, or a bundle's records."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.commands.bundle import checked, tell
from swinablate.cli.commands.verbs.claims import show, verify_recipe
from swinablate.cli.options import (
    HOME,
    Devices,
    HomeFolder,
    Json,
    Slots,
    Storage,
    Tracking,
    home_of,
    options_of,
)
from swinablate.cli.terminal import print_json

commands = typer.Typer()


@commands.command(epilog="Example: swinablate verify experiments/swin_digits.toml --params-only")
def verify(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="RECIPE|BUNDLE",
            help="A recipe (TOML), or what `swinablate export STUDY FILE` wrote.",
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
    slots: Slots = None,
    devices: Devices = "auto",
    home: HomeFolder = HOME,
    storage: Storage = None,
    tracking_uri: Tracking = None,
    as_json: Json = False,
) -> None:
    """Check what a recipe claims, or that an evidence bundle is what it says.

    Of a recipe, parameters are counted and an accuracy is trained for. Trials are recorded in the
    home and reused; the accuracy holds if the interval over seeds lies inside the claim's
    tolerance. Of a bundle, digests, trial ids, the declaration and the verdicts are computed
    again, and nothing is written. Exit code 0: all holds; 3: something does not, or is undecided;
    4: it cannot be checked here.
    """
    if file.suffix != ".toml":
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
