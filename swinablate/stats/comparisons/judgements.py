"""Judged differences in a row: a list, a table of pandas', or a table in a notebook."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from swinablate.stats.declaration import ArmVerdict, Estimate, Unit
from swinablate.text import (
    after_difference,
    html_table,
    interval,
    known,
    number,
    places_in,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

Each = TypeVar("Each", ArmVerdict, Estimate)
SMALLEST_P = 0.0001
"""Of four decimals."""
NESTED = {"hypotheses", "divergence", "contrast"}
"""Fields that hold more than one value, for which a table has no cell; the entries have them."""


class Judgements(list[Each]):
    """What `effects` and `contrasts` return: the entries of verdicts.json, in their order.

    Attributes:
        unit: of differences: "pp", percentage points; or "none".
    """

    def __init__(self, entries: Iterable[Any] = (), unit: Unit = "pp") -> None:
        super().__init__(entries)
        self.unit = unit

    def frame(self) -> pd.DataFrame:
        """A row for every comparison.

        Returns:
            `name`, then every number and word of the entries under its name in verdicts.json.
            Differences and intervals are in `unit`; nothing can be said where a cell is missing.
        """
        import pandas as pd

        return pd.DataFrame([_plain(each) for each in self])

    def _repr_html_(self) -> str:
        errors = sorted(each.se for each in self if known(each.se))
        places = places_in(self.unit, errors[len(errors) // 2] if errors else None)
        return html_table(
            [
                {
                    "name": _name(each),
                    **(
                        {"n": each.n, "mean": self._mean(each, places)}
                        if isinstance(each, ArmVerdict)
                        else {}
                    ),
                    "difference": signed(each.delta_pp, places) + after_difference(self.unit),
                    "interval": interval(each.ci_low, each.ci_high, places),
                    "p": _p(each.p_holm),
                    "verdict": each.verdict + (" (negligible)" if each.negligible else ""),
                }
                for each in self
            ]
        )

    def _mean(self, each: ArmVerdict, places: int) -> float | str | None:
        """A percentage as tables show it; another number to the digits of its differences."""
        return each.mean if self.unit == "pp" else number(each.mean, places)


def _p(p: float | None) -> str:
    """A p-value; none is 0."""
    return f"< {SMALLEST_P}" if known(p) and p < SMALLEST_P else number(p, 4)


def _name(each: ArmVerdict | Estimate) -> str:
    return each.name if isinstance(each, ArmVerdict) else each.contrast.name


def _plain(each: ArmVerdict | Estimate) -> dict[str, Any]:
    names = [field.name for field in fields(each) if field.name not in NESTED | {"name"}]
    return {"name": _name(each), **{name: getattr(each, name) for name in names}}
