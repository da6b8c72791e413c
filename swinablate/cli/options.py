"""What commands have in common: their options, and what becomes of them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swinablate.config import plugins
from swinablate.errors import InputError
from swinablate.records.home import Home

if TYPE_CHECKING:
    from swinablate.execution.run import Options
Study = Annotated[Path, typer.Argument(help="Study file (TOML).", show_default=False)]
HomeFolder = Annotated[
    Path, typer.Option("--home", envvar="SWINABLATE_HOME", help="Folder of everything recorded.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change the baseline (train.epochs=3) or the study (study.seeds=3); repeatable.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print data for programs on stdout.")]
Storage = Annotated[
    str | None, typer.Option(help="Optuna storage URL [default: SQLite in the home].")
]
Tracking = Annotated[
    str | None,
    typer.Option("--tracking-uri", help="MLflow tracking URI [default: SQLite in the home]."),
]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="Two steps on a few images, one seed, no verdicts.")
]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder of the report [default: reports/STUDY].")
]
Slots = Annotated[
    int | None, typer.Option(help="Trials at a time [default: one a GPU, or one a core].")
]
Devices = Annotated[str, typer.Option(help="auto, cpu, or cuda:0,cuda:1,...")]
Fuse = Annotated[
    str,
    typer.Option(
        help="Trials of one arm that train as one graph: auto (on a GPU, where it pays), off, "
        "or a number."
    ),
]
Executor = Annotated[
    str,
    typer.Option(
        "--executor", help=" or ".join(plugins.names("swinablate.execution.executors")) + "."
    ),
]
Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="ARM", help="Run this arm only; repeatable.")
]
NoReport = Annotated[
    bool, typer.Option("--no-report", help="Train and record, but write no report.")
]
HOME = Path(".swinablate")


def options_of(
    slots: int | None,
    devices: str,
    executor: str,
    only: Sequence[str] | None,
    storage: str | None,
    tracking: str | None,
    *,
    retry: bool = False,
) -> "Options":
    """How a study runs, from the words of the command line."""
    from swinablate.execution.run import Options

    return Options(
        slots=slots,
        devices=devices,
        executor=executor,
        only=tuple(only or ()),
        storage=storage,
        tracking=tracking,
        retry=retry,
        command="swinablate " + " ".join(sys.argv[1:]),
    )


def fused(text: str) -> int | None:
    """Read `--fuse`: None chooses, 1 is off.

    Raises:
        InputError: neither auto nor off nor a number from 1.
    """
    if text == "auto":
        return None
    count = 1 if text == "off" else int(text) if text.isdecimal() else 0
    if count < 1:
        raise InputError(
            f"expected auto, off or a number, got {text!r}",
            at="--fuse",
            hint="--fuse 8 trains up to 8 seeds of an arm as one graph",
        )
    return count


def home_of(home: Path, *, smoke: bool) -> Home:
    """The folder of what is recorded; smoke runs have one of their own in it."""
    # Apart, so that no table or MLflow page ever shows noise beside results.
    return Home(home / "smoke" if smoke else home)
