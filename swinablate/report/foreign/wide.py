"""Tables with a column a run, a seed or an arm, turned into tables with a row a run.

W&B exports a chart as `"Step","swin-seed0 - test/acc","swin-seed0 - test/acc__MIN",...`. People
write `arm,seed0,seed1,seed2` and `seed,swin,no shift`.
"""

import re
from dataclasses import replace

from swinablate.errors import InputError
from swinablate.report.foreign.cells import Cells

BETWEEN = " - "
"""What W&B puts between a run and its metric."""
BOUNDS = ("__MIN", "__MAX")
"""Of W&B's smoothing: the same values once more."""
RUN = re.compile(
    r"(?P<arm>.*?\S)[\s_/.:=-]+(?:(?:seed|run|s)[\s_=:.-]*)?(?P<seed>\d{1,15})", re.IGNORECASE
)
"""A run's name: `swin-seed0`, `swin_s0`, `swin 0`; not `swin2`, which may be an arm."""
STEPS = re.compile(r".*(?:step|epoch|iteration)s?", re.IGNORECASE)
"""The first column of a chart: `Step`, `epoch`, `train/global_step`."""
KEPT = frozenset((
    *("arm", "seed", "dataset", "data_set", "data set", "task", "benchmark", "status", "state"),
    *("epoch", "_step", "params", "macs", "metric", ""),
))  # fmt: skip
"""Columns that are neither arms nor seeds."""
UNNAMED = re.compile(r"unnamed: \d+")
"""What pandas calls an index that was written without a name."""
OF_RUNS = frozenset(("_step", "_runtime", "_timestamp"))
"""What W&B logs beside every metric."""
SEED = re.compile(r"(?:seed|run|s)?[\s_=:#.-]*\d{1,15}", re.IGNORECASE)


def unfolded(
    cells: Cells, baseline: str, arm: str | None = None, seed: str | None = None
) -> Cells:
    """The table with a row a run, and a step where it has curves; others stay as they are.

    Args:
        cells: the table.
        baseline: an arm; where every column is an arm, one is called so.
        arm: what the column of arms is called, if not so.
        seed: what the column of seeds is called, if not so.

    Raises:
        InputError: the columns are runs, but their names do not say of which arm and seed.
    """
    said = {(arm or "arm").strip().lower(): "arm", (seed or "seed").strip().lower(): "seed"}
    names = [said.get(name.lower(), name.lower()) for name in cells.header]
    if "arm" not in names and STEPS.fullmatch(names[0]) and _charted(cells):
        return _chart(cells)
    if "value" in names:
        return cells
    rest = [i for i, name in enumerate(names) if not _kept(cells, i, name)]
    if "arm" in names and "seed" not in names:
        if len(rest) > 1 and all(SEED.fullmatch(names[i]) for i in rest):
            return _melted(cells, rest, "seed")
    elif "seed" in names and "arm" not in names and baseline in cells.header and len(rest) > 1:
        return _melted(cells, rest, "arm")
    return cells


def _kept(cells: Cells, at: int, name: str) -> bool:
    """Whether a column is none of those that are turned into rows.

    An arm may be called "step", as a schedule is: its results are not all whole numbers.
    """
    if name == "step":
        return all(text.strip().isdigit() for text in cells.column(at))
    return name in KEPT or UNNAMED.fullmatch(name) is not None


def _melted(cells: Cells, at: list[int], called: str) -> Cells:
    """A row for every cell of some columns, which are called after what their names are."""
    kept = [i for i in range(len(cells.header)) if i not in at]
    rows, lines = [], []
    for row, line in zip(cells.rows, cells.lines, strict=True):
        for i in at:
            if row[i].strip():  # an arm with fewer seeds leaves cells empty
                rows.append([*(row[k] for k in kept), cells.header[i], row[i]])
                lines.append(line)
    header = (*(cells.header[k] for k in kept), called, "value")
    return replace(cells, header=header, rows=rows, lines=lines)


def _charted(cells: Cells) -> bool:
    return len(cells.header) > 1 and all(BETWEEN in name for name in cells.header[1:])


def _chart(cells: Cells) -> Cells:
    """A row for every point of every run of a chart that W&B exported."""
    at = [i for i, name in enumerate(cells.header) if i and not name.endswith(BOUNDS)]
    told = [i for i in at if cells.header[i].rpartition(BETWEEN)[2].strip() not in OF_RUNS]
    rows, lines = [], []
    for i in told or at:
        name, _, metric = cells.header[i].rpartition(BETWEEN)
        found = RUN.fullmatch(name.strip())
        if found is None:
            raise InputError(
                f"the run {name!r} does not say which seed of which arm it is",
                at=f"{cells.file}: column {cells.header[i]!r}",
                hint="call runs ARM-seed0, ARM-seed1, ..., or export the table of runs "
                "with columns for arm and seed",
            )
        for row, line in zip(cells.rows, cells.lines, strict=True):
            if row[i].strip():  # another run was logged at this step
                rows.append([found["arm"], found["seed"], metric.strip(), row[0], row[i]])
                lines.append(line)
    header = ("arm", "seed", "metric", "step", "value")
    return replace(cells, header=header, rows=rows, lines=lines)
