"""Results where people log them, as the cells of a table: TensorBoard's folders, MLflow's runs."""

import re
from pathlib import Path

from swinablate.config.commands import boards
from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
from swinablate.report.foreign.cells import Cells
from swinablate.report.foreign.wide import RUN

VERSION = re.compile(r"version_\d+")
"""What Lightning puts below a run's folder."""


def of_boards(folder: Path, tag: str | None) -> Cells:
    """A row for every scalar of every run below a folder: `ARM/seed0` or `ARM-seed0` are runs.

    Args:
        folder: of runs, each a folder of events.
        tag: what is wanted; None takes all tags, and a table of several metrics asks for one.

    Raises:
        InputError: there are no events or no such tag, or a folder does not say which run it is.
        EnvironmentFault: the package that reads events is not installed.
    """
    found = boards.scalars(folder)
    tags = sorted({tag for board in found.values() for tag in board})
    if not tags:
        raise InputError(
            "no events of TensorBoard are in this folder",
            at=str(folder),
            hint="give the folder that holds the runs, or a CSV file",
        )
    if tag is not None and tag not in tags:
        raise InputError(
            f"no event has the tag {tag!r}",
            at=f"{folder}: --metric",
            hint=did_you_mean(tag, tags),
        )
    rows = []
    for place in sorted(found):
        board = found[place]
        named = _run(folder, place) if tag is None or tag in board else ("", "")
        for name, scalars in board.items():
            if tag in {None, name}:
                rows += [[*named, name, str(one.step), repr(one.value)] for one in scalars]
    header = ("arm", "seed", "metric", "step", "value")
    lines = [*range(2, len(rows) + 2)]
    return Cells(file=folder, header=header, rows=rows, lines=lines, separator=",")


def _run(folder: Path, place: Path) -> tuple[str, str]:
    """Arm and seed of a run, by its folder.

    Raises:
        InputError: its name does not say it.
    """
    parts = place.parts[:-1] if VERSION.fullmatch(place.name) else place.parts
    named = RUN.fullmatch("/".join(parts))
    if named is None:
        raise InputError(
            f"the folder {str(place)!r} does not say which seed of which arm it is",
            at=str(folder),
            hint="call folders ARM/seed0, ARM/seed1, ..., or ARM-seed0",
        )
    return named["arm"], named["seed"]


def of_mlflow(uri: str, experiment: str) -> Cells:
    """A row for every run of an experiment, with its parameters, tags and last values.

    Raises:
        InputError: there is no such experiment, or it has no runs.
        EnvironmentFault: the store does not answer.
    """
    # Here, for mlflow takes seconds.
    from swinablate.tracking.reading import table

    header, rows = table(uri, experiment)
    lines = [*range(2, len(rows) + 2)]
    return Cells(
        file=Path(experiment), header=tuple(header), rows=rows, lines=lines, separator=","
    )
