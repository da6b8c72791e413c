"""Commands about evidence bundles: a study's records in one file, and back into a home."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.options import HOME, HomeFolder, Json, Settings, Smoke, Study, home_of
from swinablate.cli.terminal import print_json
from swinablate.cli.which import asked_of
from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk.files import check_link
from swinablate.records.launch import program

if TYPE_CHECKING:
    from swinablate.report.evidence.check import Checked

commands = typer.Typer()


@commands.command(epilog="Example: swinablate export studies/quickstart.toml quickstart.tar")
def export(
    context: typer.Context,
    study: Study,
    file: Annotated[Path, typer.Argument(help="The file to write (.tar).", show_default=False)],
    weights: Annotated[
        bool, typer.Option("--weights", help="With the checkpoints, which may be large.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that is there.")
    ] = False,
    home: HomeFolder = HOME,
    smoke: Smoke = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Write a study's records into one file that a stranger can check offline.

    It holds the study's files, plans, every trial's record and events, verdicts, tables and the
    environment, with the SHA-256 of each and a digest over all. Secrets are masked. The same
    records give the same bytes.
    """
    if file.is_dir():
        hint = f"name a file in it: {file / 'study.tar'}"
        raise InputError("this is a folder, and a bundle is a file", at=str(file), hint=hint)
    check_link(file)
    if file.exists() and not file.is_file():
        problem = "this is a device or a pipe, and a bundle is a file of its own"
        raise InputError(problem, at=str(file), hint="choose another name")
    if file.exists() and not force:
        hint = "choose another name; --force writes over it"
        raise InputError("this file is there already", at=str(file), hint=hint)
    if not file.absolute().parent.is_dir():
        raise InputError("there is no such folder", at=str(file.parent), hint="make it first")
    where = home_of(home, smoke=smoke)
    name = asked_of(context, study, settings, "export", where).recorded()
    from swinablate.report.evidence.archive import write_bundle
    from swinablate.report.evidence.contents import contents_of

    made = contents_of(where, name, weights=weights)
    digest = write_bundle(file, made.about, made.files)
    for line in made.notes:
        terminal.err.print(line, markup=False, soft_wrap=True)
    if as_json:
        said = {"file": str(file), "study": name, "digest": digest, "files": len(made.files)}
        size = file.stat().st_size
        print_json({"schema": 1, **said, "bytes": size, "notes": made.notes})
        return
    terminal.err.print(
        f"{file}: {len(made.files)} files, digest {digest}", markup=False, soft_wrap=True
    )


@commands.command("import", epilog="Example: swinablate import quickstart.tar --home .swinablate")
def import_(
    file: Annotated[
        Path, typer.Argument(help="What `swinablate export STUDY FILE` wrote.", show_default=False)
    ],
    home: HomeFolder = HOME,
    as_json: Json = False,
) -> None:
    """Check an evidence bundle, then add its trials and its study to a home.

    Trials that the home has already are kept; where they differ, nothing is added. Afterwards
    `status`, `report` and `run` work as where the study was run.
    """
    from swinablate.report.evidence.bring import bring

    where = home_of(home, smoke=False)
    found = checked(file)
    if not found.whole:
        tell(found)
        raise typer.Exit(3)
    done = bring(found.bundle, where)
    if as_json:
        print_json(done.to_json())
        return
    said = f"{done.study}: {done.added} trials added, {done.kept} were there"
    terminal.err.print(said, markup=False, soft_wrap=True)
    if done.file:
        words = [word for text in done.settings for word in ("--set", text)]
        command = [*program(), "run", str(done.file), *words, "--home", str(home)]
        terminal.err.print(f"to go on: {shlex.join(command)}", markup=False, soft_wrap=True)


def checked(file: Path) -> "Checked":
    """What is found in a bundle.

    Raises:
        InputError: it is none.
    """
    from swinablate.report.evidence.archive import open_bundle
    from swinablate.report.evidence.check import check

    bundle = open_bundle(file)
    try:
        return check(bundle)
    except OSError as error:
        raise EnvironmentFault(
            f"no room to look at it: {error.strerror or error}",
            at=str(file),
            hint="TMPDIR names another folder",
        ) from None


def tell(found: "Checked") -> None:
    """Print what is wrong with a bundle, what nobody can tell, and its digest."""
    about = found.bundle.about
    counts = f"{found.trials} trials, {len(found.bundle.entries)} files"
    state = "whole" if found.whole else f"{len(found.faults)} faults"
    rows = [
        ("study", about["study"]),
        ("declaration", about["declaration"]),
        ("digest", found.bundle.digest),
        ("records", counts),
        *(("fault", f"{where}: {problem}") for where, problem in found.faults),
        *(("not checked", line) for line in found.unchecked),
        ("bundle", state),
    ]
    terminal.table(str(found.bundle.path), ["check", "found"], rows)
