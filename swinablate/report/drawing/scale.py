"""The scale of what is drawn: percent and percentage points, or a metric's own numbers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from swinablate.report.drawing.place import within
from swinablate.text import LOG_ODDS, after_difference, after_value, places_of, unit_of


class Scale(NamedTuple):
    """How values and differences read; the defaults are a study's.

    Attributes:
        unit: of differences: "pp", "none", or the metric's own.
        better: which values are good.
        places: decimals of a difference.
    """

    unit: str = "pp"
    better: str = "higher"
    places: int = 2

    @property
    def percent(self) -> bool:
        """Whether values are percent, and differences percentage points."""
        return self.unit == "pp"

    @property
    def odds(self) -> bool:
        """Whether differences are those of log odds, which are ratios of errors."""
        return self.unit == LOG_ODDS

    @property
    def after(self) -> str:
        """What stands after a value."""
        return after_value(self.unit)

    @property
    def sign(self) -> int:
        """What makes a larger number a better one."""
        return 1 if self.better == "higher" else -1

    def axis(self, what: str) -> str:
        """The label of an axis of values."""
        unit = self.after.strip()
        return f"{what} ({unit})" if unit else what

    @property
    def of_differences(self) -> str:
        """What stands after the title of a column of differences."""
        return f" ({self.unit})" if self.unit != "none" else ""

    @property
    def in_words(self) -> str:
        """What stands after the name of a difference on an axis."""
        words = "percentage points" if self.percent else after_difference(self.unit).strip()
        return f", {words}" if words else ""

    def least(self, pp: float) -> float:
        """The narrowest axis; a metric's own numbers may differ by anything."""
        return pp if self.percent else 0.0

    def within(self, limits: tuple[float, float]) -> tuple[float, float]:
        """Limits that promise no more than 100 %."""
        return within(limits) if self.percent else limits


def scale_of(verdicts: Mapping[str, Any]) -> Scale:
    """The scale of an answer."""
    return Scale(unit_of(verdicts), str(verdicts.get("better", "higher")), places_of(verdicts))


def said(verdicts: Mapping[str, Any]) -> dict[str, Any]:
    """What a figure's table says of its scale: nothing where it is a study's."""
    found = scale_of(verdicts)
    return {} if found == Scale() else found._asdict()


def scale_in(rows: pd.DataFrame) -> Scale:
    """The scale that a figure's table names."""
    if "unit" not in rows:
        return Scale()
    first = rows.iloc[0]
    return Scale(str(first.unit), str(first.better), int(first.places))
