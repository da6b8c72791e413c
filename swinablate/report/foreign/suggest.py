"""What to say of a table whose columns do not have the names that are looked for."""

import re
import shlex

from swinablate.errors import InputError
from swinablate.report.foreign.cells import Cells
from swinablate.report.foreign.wide import SEED

NEEDED = ("arm", "seed", "value")
OPTIONAL = ("status", "params", "macs", "step", "dataset", "metric")
REPLICATE = re.compile(
    r"(?:random[_ ])?seed|rep|replicate|repeat|repetition|fold|trial|run|run[_ ]?id|lauf",
    re.IGNORECASE,
)
"""What people call a column that tells the runs of an arm apart."""
TEST = re.compile(r"test|eval", re.IGNORECASE)
"""In the name of results of a test, which are meant rather than those of validation."""
METRIC = re.compile(
    r"acc|f1|auc|top-?\d|iou|dice|precision|recall|score|loss|err|metric|result|psnr|bleu",
    re.IGNORECASE,
)
"""In the name of a column of results."""


def missing(
    cells: Cells, at: dict[str, int | None], numeric: list[int], baseline: str
) -> InputError:
    """The error about columns that are not there: what was found, and what to say.

    Args:
        cells: the table.
        at: role -> its column, None where it was not found.
        numeric: the columns that may hold results.
        baseline: an arm; the only column in which it stands is likely that of the arms.
    """
    names = [name for name in cells.header if name]
    if len(names) == 1 and names[0].lower() not in NEEDED:
        return InputError(
            f"the table has one column only, {names[0]!r}",
            at=str(cells.file),
            hint="separate cells by commas, semicolons or tabs",
        )
    lacks = [role for role in NEEDED if at[role] is None]
    arm = _arm(cells, at, baseline) if at["arm"] is None else at["arm"]
    seed = _seed(cells, arm) if at["seed"] is None else at["seed"]
    results = sorted((i for i in numeric if i not in (arm, seed)), key=lambda i: _rank(cells, i))
    if len(results) > 1 and all(SEED.fullmatch(cells.header[i]) for i in results):
        lacks = ["arm"]  # a column a seed: no more than this has to be said
    guess = {"arm": arm, "seed": seed, "value": results[0] if results else None}
    hint = f"columns: {', '.join(NEEDED)}; optional: {', '.join(OPTIONAL)}"
    if "value" in lacks and results:
        hint += f"; numbers are in {', '.join(cells.header[i] for i in results)}"
    options = " ".join(f"--{role} {_name(cells, guess[role])}" for role in lacks)
    hint += f": {options}" if lacks == ["value"] and results else f"; other columns: {options}"
    if "seed" in lacks and guess["seed"] is None:
        hint += " (any that tells runs apart, a run's id too: one row for every seed)"
    if "arm" in lacks and not baseline:
        hint += "; where every column is an arm: --baseline COLUMN"
    *others, last = map(repr, lacks)
    problem = f"columns {', '.join(others)} and {last} are" if others else f"column {last} is"
    return InputError(
        f"{problem} missing; found {', '.join(map(repr, names))}", at=str(cells.file), hint=hint
    )


def _name(cells: Cells, at: int | None) -> str:
    return "COLUMN" if at is None else shlex.quote(cells.header[at])


def _arm(cells: Cells, at: dict[str, int | None], baseline: str) -> int | None:
    """The only column in which the baseline stands."""
    free = [i for i in range(len(cells.header)) if i not in at.values()]
    has = [i for i in free if baseline in {text.strip() for text in cells.column(i)}]
    return has[0] if baseline and len(has) == 1 else None


def _seed(cells: Cells, arm: int | None) -> int | None:
    """The first column that is called as people call replicates."""
    names = enumerate(cells.header)
    return next((i for i, name in names if i != arm and REPLICATE.fullmatch(name)), None)


def _rank(cells: Cells, at: int) -> tuple[bool, bool, bool, int]:
    """Where a column stands among those that may hold results; the smallest is the likeliest."""
    name = cells.header[at]
    whole = all(text.strip().isdigit() for text in cells.column(at) if text.strip())
    return (not METRIC.search(name), whole, not TEST.search(name), at)
