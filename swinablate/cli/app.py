"""The command line: parse, call one function, print.

torch, mlflow, optuna, pandas and matplotlib take seconds to import, so a command imports what
it needs when it runs.
"""

import functools
import io
import logging
import os
import re
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer

from swinablate import __version__
from swinablate.cli.commands import (
    again,
    bundle,
    claims,
    compare,
    figure,
    home,
    machine,
    model,
    remove,
    start,
    study,
    weights,
)
from swinablate.cli.ending import is_ending
from swinablate.config.code import imports
from swinablate.errors import SwinablateError
from swinablate.execution.stop import TERMINATED
from swinablate.records.disk.files import refusal
from swinablate.records.launch import NAME, as_typed, program
from swinablate.records.secrets import redact, secrets_of, secrets_of_environment
from swinablate.text import visible

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for part in (
    study,
    start,
    home,
    again,
    remove,
    compare,
    figure,
    weights,
    claims,
    bundle,
    model,
    machine,
):
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
    words = list(sys.argv[1:] if arguments is None else arguments)
    known = secrets_of_environment(os.environ).union(*map(_secrets_in, words))
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr
    )
    with _shown_by_all(), _redacted_logs(known), _imports_named():
        return _run(words, known)


def _run(words: list[str], known: set[str]) -> int:
    try:
        # Not standalone: typer would print errors its own way, and end the process.
        code = _command()(args=words, standalone_mode=False, obj=words, prog_name=_named())
        sys.stdout.flush()  # here, where somebody is told if it fails
    except SwinablateError as error:
        print(f"error: {visible(as_typed(redact(str(error))))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130  # as shells say of Ctrl-C: 128 and the signal's number
    except Exception as error:  # noqa: BLE001  the last resort: what is left is a bug
        if is_ending():  # a library was cut short by it, and failed
            return TERMINATED
        if hasattr(error, "format_message"):  # typer's own: wrong usage
            _tell_usage(visible(redact(error.format_message(), known)))
            return 2
        if isinstance(error, BrokenPipeError) and _stdout_refuses():
            return 1  # as typer does: whoever read it has enough
        if fault := refusal(error):
            fault.at = fault.at or ("standard output" if _stdout_refuses() else "")
            with suppress(OSError):  # the same disk may hold standard error
                said = visible(as_typed(redact(str(fault), known)))
                print(f"error: {said}", file=sys.stderr, flush=True)
            return fault.exit_code
        print(visible(redact(traceback.format_exc(), known)), end="", file=sys.stderr)
        print(
            "\nThis is a bug in swinablate. Please report it with the lines above.",
            file=sys.stderr,
        )
        return 1
    return code if isinstance(code, int) else 0  # what typer.Exit was given


def _tell_usage(said: str) -> None:
    """Say what was typed wrongly; where nothing was typed, help stands there already."""
    if said.strip():
        print(f"error: {said}\n\nhint: add --help", file=sys.stderr)


def _named() -> str | None:
    """How help calls the program; None is as Python says."""
    return None if program() == [NAME] else shlex.join(program())


def _command() -> Any:
    """The command line; commands in its help begin as this one was typed."""
    return _made(_named())


@functools.cache  # typer takes 50 ms for it, and a notebook may ask for many commands
def _made(named: str | None) -> Any:
    command = typer.main.get_command(app)
    for one in _below(command) if named else ():
        one.epilog = (one.epilog or "").replace(f"Example: {NAME} ", f"Example: {named} ")
        for told in (one, *one.params):
            told.help = as_typed(getattr(told, "help", None) or "")
    return command


def _below(command: Any) -> Iterator[Any]:
    yield command
    for one in getattr(command, "commands", {}).values():
        yield from _below(one)


def _stdout_refuses() -> bool:
    """Whether standard output takes no more; what it was to get is dropped.

    Otherwise Python would try again when it ends, and complain.
    """
    try:
        handle = sys.stdout.fileno()
    except OSError:  # it is no file: somebody called us from Python
        return False
    try:
        os.write(
            handle, b"\n"
        )  # a stream that failed has dropped what it held: flush proves nothing
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, handle)
        os.close(nowhere)
        return True
    return False


def _secrets_in(word: str) -> set[str]:
    """Those of a word of the command line: an address, or one behind `--option=` or `KEY=`."""
    address = re.search(r"[A-Za-z][\w+.-]*://.*", word, re.DOTALL)
    if address:
        return secrets_of(address[0])
    return secrets_of(word.partition("=")[2] if word.startswith("-") else word)


@contextmanager
def _imports_named() -> Iterator[None]:
    """Say whose code a study runs, before it runs."""
    before = imports.log.level
    imports.log.setLevel(logging.INFO)
    try:
        yield
    finally:
        imports.log.setLevel(before)


@contextmanager
def _shown_by_all() -> Iterator[None]:
    """Let streams that cannot show a character write its number; Python would raise."""
    streams = [s for s in (sys.stdout, sys.stderr) if isinstance(s, io.TextIOWrapper)]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            stream.reconfigure(errors=errors)


@contextmanager
def _redacted_logs(known: set[str]) -> Iterator[None]:
    """Keep secrets out of what any library logs, whatever handlers it has."""
    make = logging.getLogRecordFactory()

    def redacted(*args: Any, **fields: Any) -> logging.LogRecord:
        record = make(*args, **fields)
        with suppress(
            TypeError, ValueError
        ):  # a format that does not fit is the handler's to tell
            record.msg = visible(as_typed(redact(record.getMessage(), known)))
            record.args = ()
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            record.exc_text = visible(
                redact(text, known)
            )  # handlers take this and format no other
        return record

    logging.setLogRecordFactory(redacted)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)
