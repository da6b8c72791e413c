"""What the values of a table are: their unit, which way is good, and what cannot be meant."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from swinablate.errors import InputError
from swinablate.report.foreign.columns import Results
from swinablate.stats.comparisons.measures import (
    Scale,
    Voice,
    doubt,
    in_percent,
    known,
    unnamed,
    within,
)
from swinablate.stats.declaration import Direction


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What was said of the values; None was not said.

    Attributes:
        metric: what they are called.
        unit: percent; fractions of 1, which are shown in percent; or anything else.
        better: which way is good.
    """

    metric: str | None = None
    unit: Scale | None = None
    better: Direction | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Values with a unit and a direction.

    Attributes:
        rows: as read; fractions have become percent.
        metric: what the values are called.
        percent: whether they are percent, and differences percentage points.
        better: which way is good.
        taken: what was taken that nobody said; "" if all was said.
    """

    rows: pd.DataFrame
    metric: str
    percent: bool
    better: Direction
    taken: str = ""

    @property
    def datasets(self) -> list[str]:
        """The data sets, as they come in the table."""
        return list(dict.fromkeys(self.rows.dataset))


def settled(results: Results, asked: Measure) -> Measured:
    """Settle what the values are.

    Raises:
        InputError: they cannot be what was said, or may as well be something else.
    """
    to = Voice(
        at=str(results.file),
        spot=lambda row: f"line {row.line}",
        option=lambda name, value: f"--{name} {value}",
    )
    if results.percent and asked.unit not in {None, "percent"}:
        raise InputError(
            f"the values have percent signs, --unit says {asked.unit}",
            at=to.at,
            hint="leave out --unit, or the signs",
        )
    unit = asked.unit or ("percent" if results.percent else None)
    # What it is called here, and what the table calls it: another name turns nothing round.
    names = (asked.metric or results.metric, results.metric)
    said = known(names, unit, asked.better, to)
    rows = results.rows
    counted = rows[(rows.status == "done") & np.isfinite(rows.value)]
    if said.unit is None:
        last = counted.sort_values("step", kind="stable")
        doubt(last.drop_duplicates(["dataset", "arm", "seed"], keep="last").sort_index(), to)
    unit = said.unit or said.usual
    within(counted, unit, to)
    return Measured(
        rows=rows.assign(value=in_percent(rows.value, unit)),
        metric=names[0] or unnamed(unit, said.better),
        percent=unit != "none",
        better=said.better,
        taken=said.taken,
    )
