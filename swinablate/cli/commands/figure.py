"""One figure of a study as a file for a paper."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from swinablate.cli import terminal
from swinablate.cli.options import HOME, HomeFolder, Json, Settings, Smoke, Study, home_of
from swinablate.cli.terminal import print_json
from swinablate.cli.which import Asked, asked_of
from swinablate.config import schema
from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk.files import check_link, put_whole
from swinablate.records.home import Home

if TYPE_CHECKING:
    from swinablate.report.results import StudyResults

commands = typer.Typer()
Format = Literal["pdf", "svg", "png"]
FORMATS = get_args(Format)
"""Of files; a folder is hardly called so."""


@commands.command(
    epilog="Example: swinablate figure studies/quickstart.toml forest --width 3.25 --format pdf"
)
def figure(
    context: typer.Context,
    study: Study,
    name: Annotated[
        str, typer.Argument(help="The figure; --list names them.", show_default=False)
    ] = "",
    every: Annotated[
        bool, typer.Option("--list", help="List the figures, and why some are missing.")
    ] = False,
    width: Annotated[
        float, typer.Option(metavar="INCHES", help="Width: 3.25 is a column, 6.75 a page.")
    ] = 6.75,
    kind: Annotated[Format, typer.Option("--format", help="Of the file.")] = "pdf",
    by: Annotated[
        str,
        typer.Option(
            help="What results are drawn against, where a figure has a choice: "
            "macs, params or seconds of cost.",
            show_default="macs",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the file.", show_default="this folder"),
    ] = None,
    home: HomeFolder = HOME,
    smoke: Smoke = False,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Draw one figure of a study for a paper: its width, its letters, its format.

    The file is STUDY-NAME.FORMAT. An unfinished study has INTERIM written across its figures.
    `labels` of the study file say how arms and switches are called.
    """
    if not name and not every:
        hint = "name one, or list them with --list"
        raise InputError("which figure?", at="figure: NAME", hint=hint)
    _check_folder(out)
    where = home_of(home, smoke=smoke)
    asked = asked_of(context, study, settings, "figure", where)
    answer = _answer(asked, where)
    if every:
        _list(answer, as_json=as_json)
        return
    from swinablate.report.plots import file_of, paper_of

    file = (out or Path()) / f"{asked.name}-{name}{f'-{by}' if by else ''}.{kind}"
    data = file_of(answer, name, kind, paper_of(width), by)
    try:
        put_whole(file, data)
    except OSError as error:
        said, at = f"cannot write: {error.strerror or error}", str(error.filename or file)
        raise EnvironmentFault(said, at=at, hint="choose another folder with --out") from None
    if as_json:
        print_json({"schema": 1, "figure": name, "file": str(file), "width": width})
    else:
        terminal.err.print(f"figure: {file}", soft_wrap=True, markup=False)


def _check_folder(out: Path | None) -> None:
    """Refuse a file, or what is called as one, where a folder is wanted.

    Raises:
        InputError: it is one.
    """
    if out is None or out.is_dir():
        return
    check_link(out)
    format_of = out.suffix.lower().removeprefix(".")
    if out.exists() or format_of in FORMATS:
        kind = f" --format {format_of}" if format_of in FORMATS else ""
        raise InputError(
            "this is a file, and a figure goes into a folder under a name of its own",
            at=f"--out {out}",
            hint=f"name a folder: --out {out.parent}{kind}",
        )


def _answer(asked: Asked, where: Home) -> "StudyResults":
    """What was recorded, with the labels of the study's file as they are now."""
    name = asked.recorded()
    from swinablate.report.answer import gather
    from swinablate.report.plots import relabelled

    answer = gather(where, name)
    if not asked.by_file:
        return answer
    labels = schema.read_toml(asked.study).get("labels", {})
    return relabelled(answer, labels, str(asked.study))


def _list(answer: "StudyResults", *, as_json: bool) -> None:
    from swinablate.report.plots import figures, lacking

    reasons, known = lacking(answer), figures()
    if as_json:
        found: list[dict[str, Any]] = [
            {"name": name, "title": known[name].title, "by": list(dict(known[name].by)),
             "missing": reason or None}
            for name, reason in reasons.items()
        ]  # fmt: skip
        print_json({"schema": 1, "figures": found})
        return
    wide = max(map(len, reasons))
    for name, reason in reasons.items():
        said = f"not here: {reason}" if reason else known[name].title
        terminal.out.print(f"{name:{wide}}  {said}", soft_wrap=True, markup=False, highlight=False)
