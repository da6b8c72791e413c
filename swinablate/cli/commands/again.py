"""Training one recorded trial again, to see whether it gives the same."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swinablate.cli import terminal
from swinablate.cli.commands.home import Trial
from swinablate.cli.commands.verbs import shown
from swinablate.cli.options import HOME, HomeFolder, Json
from swinablate.cli.terminal import print_json
from swinablate.config.code.theirs import prints_aside
from swinablate.records.home import Home

if TYPE_CHECKING:
    from swinablate.cli.commands.verbs.comparison import Compared, Comparison

commands = typer.Typer()
NOT_THE_SAME = 3
"""Exit code: it ran to its end, and the numbers are not those of the record."""


@commands.command(epilog="Example: swinablate reproduce a9d2b305782b")
def reproduce(
    trial: Trial,
    device: Annotated[
        str,
        typer.Option(
            help="cpu or cuda:0.", show_default="of the kind that trained it, if there is one"
        ),
    ] = "auto",
    home: HomeFolder = HOME,
    as_json: Json = False,
) -> None:
    """Train a recorded trial again, alone, and compare: bit by bit where that can be.

    It trains in a temporary place: the recorded trial is read, and never written to. Where the
    class of execution differs (another processor, torch, precision, or trials that trained as
    one graph) it says what may differ, and by how much. Exit code 3: it is not the same.
    """
    from swinablate.cli.commands.verbs.again import again, repeatable
    from swinablate.cli.commands.verbs.comparison import compare
    from swinablate.records.launch import launch_of
    from swinablate.scheduling.looking.uses import found, uses_of

    where = Home(home)
    uses = uses_of(where)
    one = found(where, uses, trial)
    before = repeatable(where, one)
    places = uses.of.get(one, [])
    files = {launch_of(where, place.plan).file for place in places} - {""}
    _say(f"trial {one}: training it again")
    with prints_aside():
        result = again(
            where,
            before,
            device=device,
            asked=[name for place in places for name in place.plan.metrics],
            folders=(*sorted({str(Path(file).parent) for file in files}), str(Path.cwd())),
            say=_say,
        )
    others = {t for place in places for t in place.row.arm.trials if place.row.basis == "fixed"}
    answer = compare(result, [*where.outcomes(others | {one}).values()])
    print_json(answer.to_json(one)) if as_json else _show(answer)
    if not answer.same:
        raise typer.Exit(NOT_THE_SAME)


def _show(answer: "Comparison") -> None:
    for note in answer.said:
        terminal.out.print(f"note: {note}", markup=False, soft_wrap=True)
    terminal.table(
        "The same" if answer.same else "NOT the same",
        ["", ">recorded", ">again", ""],
        [
            [one.name, _shown(one.recorded), _shown(one.again), _judged(one, answer)]
            for one in answer.numbers
        ],
    )
    terminal.out.print(answer.rule, markup=False, soft_wrap=True)


def _judged(one: "Compared", answer: "Comparison") -> str:
    if one.same:
        return "the same" if answer.bits or one.recorded == one.again else "within what is allowed"
    return "DIFFERS"


def _shown(value: object) -> str:
    """Every digit of a number, so that two that differ look so; the beginning of a digest."""
    if isinstance(value, str) and len(value) == 64:
        return value[: shown.DIGITS]
    return "-" if value is None else repr(value) if isinstance(value, float) else str(value)


def _say(text: str) -> None:
    terminal.err.print(text, markup=False, soft_wrap=True)
