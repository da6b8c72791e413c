"""What a command was given, as it was typed: to be repeated by others, and kept by `run`."""

import glob
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from swinablate.config.variants import digests
from swinablate.errors import InputError
from swinablate.records.home import Home
from swinablate.records.launch import DEFAULT_HOME, Launch, at_home, program
from swinablate.records.secrets import STORAGE, TRACKING, redact, secrets_of

ADDRESSES = {"--storage": STORAGE, "--tracking-uri": TRACKING}
"""Options that may hold a secret -> variables that may hold it instead."""


def launch(context: typer.Context) -> Launch:
    """What a command was given about its study, to be repeated by others and kept by `run`."""
    given = context.params
    typed_home = str(given["home"]) if _given(context, "home") else ""
    study = Path(given["study"]) if given.get("study") else None
    settings = tuple(given.get("settings") or ())
    words = words_of(context)
    if typed_home and not typed_in(context, "home"):
        words += ["--home", typed_home]  # a variable that the next terminal may not have
    stores = {
        option: str(given[option.removeprefix("--").replace("-", "_")])
        for option in ADDRESSES
        if typed_in(context, option.removeprefix("--").replace("-", "_"))
    }
    return Launch(
        study=str(study) if study else "",
        file=str(study.absolute()) if study else "",
        digests=digests(study, settings) if study else {},
        settings=tuple(map(redact, settings)),
        only=tuple(given.get("only") or ()),
        home=typed_home,
        smoke=bool(given.get("smoke")),
        stores={option: url for option, url in stores.items() if not secrets_of(url)},
        command=command_of(words),
        variables=variables_of(context),
    )


def words_of(context: typer.Context) -> list[str]:
    """The words after the name of the program."""
    return list(sys.argv[1:] if context.obj is None else context.obj)


def command_of(words: Sequence[str]) -> str:
    """The command line, to be pasted and shown to anybody: without options that hold a secret."""
    kept, rest = list[str](), iter(words)
    for word in rest:
        option, _, value = word.partition("=")
        if word in ADDRESSES:
            value = next(rest, "")
            kept += [] if secrets_of(value) else [word, value]
        elif option not in ADDRESSES or not secrets_of(value):
            kept.append(redact(word))
    return shlex.join([*program(), *kept])


def variables_of(context: typer.Context) -> tuple[str, ...]:
    """The variables to be set for `command_of` to name the same stores."""
    given = {"storage": STORAGE, "tracking_uri": TRACKING}
    values = {name: context.params.get(name) for name in given}
    return tuple(
        given[name]
        for name, value in values.items()
        if value is not None and (secrets_of(value) or not typed_in(context, name))
    )


def typed_in(context: typer.Context, name: str) -> bool:
    """Whether a parameter was given on the command line, not in a variable."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _given(context: typer.Context, name: str) -> bool:
    """Whether a parameter was given, on the command line or in a variable."""
    source = context.get_parameter_source(name)
    return source is not None and source.name in {"COMMANDLINE", "ENVIRONMENT"}


def home_as_typed(context: typer.Context) -> str:
    """The home that a command was given, to be repeated in another; empty for the default."""
    return str(context.params["home"]) if _given(context, "home") else ""


def data_folder(said: str | Path) -> Path:
    """The folder that `--data-dir` names.

    Raises:
        InputError: there is none.
    """
    path = at_home(said)
    if not str(said).strip() or not path.is_dir():
        hint = "make it, or leave it out: data sets are then prepared in the home"
        raise InputError(f"{str(said)!r} is no folder", at="--data-dir", hint=hint)
    return path


def studies_like(context: typer.Context, incomplete: str) -> list[str]:
    """Names of studies for a shell to complete; reads the names of folders only."""
    home = Home(Path(str(context.params.get("home") or DEFAULT_HOME)))
    names = (path.parent.name for path in home.studies.glob("*/latest"))
    return sorted(name for name in names if name.startswith(incomplete))


def trials_like(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of trials for a shell to complete; reads the names of folders only."""
    home = Home(Path(str(context.params.get("home") or DEFAULT_HOME)))
    return sorted(path.name for path in home.trials.glob(f"{glob.escape(incomplete)}*"))
