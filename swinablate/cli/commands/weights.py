"""Weights of trained trials, for other studies to start from."""

from pathlib import Path
from typing import Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.options import HOME, HomeFolder, Json, Settings, Study
from swinablate.cli.terminal import print_json
from swinablate.cli.which import asked_of
from swinablate.records.home import Home

commands = typer.Typer()


@commands.command(epilog="Example: swinablate weights studies/quickstart.toml baseline start.pt")
def weights(
    context: typer.Context,
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
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Write the final weights of trained trials to files, for `start.weights` of a recipe.

    With {seed} in FILE, as in "start-{seed}.pt", every recorded seed gets a file of its own, and
    none is written over.
    """
    from swinablate.api import keep_weights
    from swinablate.config.recipe import EACH

    name = asked_of(context, study, settings, "weights", Home(home)).recorded()
    if EACH in str(path):
        _keep_each(Home(home), name, arm, path, seed, as_json=as_json)
        return
    seed = seed or 0
    trial = keep_weights(Home(home), name, arm, seed, path)
    if as_json:
        print_json({"schema": 1, "trial": trial, "file": str(path)})
    else:
        terminal.err.print(f"{path}: weights of {arm} s{seed}", soft_wrap=True, markup=False)


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
                f"{one.file}: {words[one.status]} {arm} s{one.seed}", soft_wrap=True, markup=False
            )
    if as_json:
        print_json({"schema": 1, "files": found})
