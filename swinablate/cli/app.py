"""The command line: parse, call one function, print.

torch, mlflow, optuna, pandas and matplotlib take seconds to import, so a command imports what
it needs when it runs.
"""

import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from swinablate import __version__
from swinablate.cli import machine_commands, model_commands, study_commands
from swinablate.config import imports
from swinablate.errors import SwinablateError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for part in (study_commands, model_commands, machine_commands):
    app.add_typer(part.commands)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"swinablate {__version__}")
        raise typer.Exit


@app.callback()
def swinablate(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Ablation studies of vision models: plan, run, record, report."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (ARCHITECTURE: 0, 1, 2, 3, 4, 75, 130)."""
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr
    )
    imports.log.setLevel(logging.INFO)  # whose code a study runs is named before it runs
    try:
        code = app(args=arguments, standalone_mode=False)
    except SwinablateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001  the last resort: what is left is a bug
        if hasattr(error, "format_message"):  # typer's own: wrong usage
            print(f"error: {error.format_message()}\n\nhint: add --help", file=sys.stderr)
            return 2
        traceback.print_exc()
        print(
            "\nThis is a bug in swinablate. Please report it with the lines above.",
            file=sys.stderr,
        )
        return 1
    return code if isinstance(code, int) else 0  # what typer.Exit was given
