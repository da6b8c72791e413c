"""Several studies in one report."""

from pathlib import Path
from typing import Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.options import HOME, Force, HomeFolder, Json
from swinablate.cli.terminal import print_json
from swinablate.cli.typed import studies_like
from swinablate.cli.which import named
from swinablate.config.schema import digest
from swinablate.records.home import Home
from swinablate.records.report_folder import check_folder

commands = typer.Typer()
LONG = 100
"""Letters of a folder's name: file systems take 255 bytes, and terminals show a line."""


@commands.command(epilog="Example: swinablate compare quickstart mission --out both")
def compare(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY STUDY...",
            help="Names of studies that were run, or their files.",
            show_default=False,
            autocompletion=studies_like,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder of the report.", show_default="reports/compare-STUDIES"
        ),
    ] = None,
    force: Force = False,
    home: HomeFolder = HOME,
    as_json: Json = False,
) -> None:
    """Show several studies side by side, each with its own verdicts; nothing is pooled.

    Data sets, recipes of the baseline and seeds may differ, and stand at the top; studies of
    another metric, unit, alpha, rope or method are refused.
    """
    where = Home(home)
    names = [named(one, where) for one in studies]
    folder = out or Path("reports") / _called(names)
    check_folder(folder, force=force)
    from swinablate.report.across.answers import across
    from swinablate.report.across.page import shown, write

    found = across(where, names)
    write(found, folder, force=force)
    if as_json:
        print_json(found.to_json())
    else:
        head, rows = shown(found)
        terminal.table(f"Differences in {found.first['metric']}, by study", head, rows)
        terminal.show_over(found.over, found.places)
    said = f"report: {folder / 'index.html'}"
    terminal.err.print(said, soft_wrap=True, markup=False)


def _called(names: list[str]) -> str:
    """The folder of a comparison; where its name is cut, a digest tells it from others."""
    whole = f"compare-{'-'.join(names)}"
    return whole if len(whole) <= LONG else f"{whole[: LONG - 9]}-{digest(names)[:8]}"
