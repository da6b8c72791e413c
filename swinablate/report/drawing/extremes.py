"""Which of very many arms or effects a drawing shows: the best and the worst; tables have all."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

import pandas as pd

ROWS, PANELS = 64, 40
"""Rows: a design of six switches is drawn whole; twice as many would fill six pages that nobody
reads, and a thousand are more pixels than a PNG may have. Panels: ten rows of four, as high."""

Name = TypeVar("Name", bound=Hashable)


def extremes(values: Mapping[Name, float], most: int) -> list[Name]:
    """The arms to draw, in the order given: all, or as many of the best as of the worst.

    Args:
        values: what orders them; an arm without a value is drawn only where all are.
        most: how many there may be; an even number.
    """
    if len(values) <= most:
        return list(values)
    known = {name: value for name, value in values.items() if pd.notna(value)}
    order = sorted(known, key=lambda name: known[name])
    kept = {*order[: most // 2], *order[-most // 2 :]}
    return [name for name in values if name in kept]


def left_out(shown: int, of: int, most: int, what: str = "arms") -> str:
    """A line that says which arms, or what else, a drawing shows; nothing where it shows all."""
    if shown == of:
        return ""
    if shown < most:
        return f"\ndrawn: the {shown} of {of} {what} that have a result; the table has all"
    half = most // 2
    return f"\ndrawn: the {half} best and the {half} worst of {of} {what}; the table has all"
