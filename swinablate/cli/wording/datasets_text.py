"""What a study of several data sets will show, and what was found over data sets, in words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from swinablate.text import signed

OVER_TITLE = "Over the data sets, each of which counts as one"
OVER_COLUMNS = ("arm", ">mean", ">interval", ">on a new data set", ">sd between", ">same sign",
                ">middle half", "verdict")  # fmt: skip


def over_rows(entries: Iterable[Mapping[str, Any]], places: int) -> list[Sequence[object]]:
    """A row for every arm."""
    return [_row(one, places) for one in entries]


def _row(one: Mapping[str, Any], places: int) -> Sequence[object]:
    against = f" (against {one['against']})" if one["against"] else ""
    word = one["verdict"] or "-"
    return [
        one["arm"] + against,
        signed(one["mean_pp"], places),
        _ends(one["ci_low"], one["ci_high"], places),
        _ends(one["new_low"], one["new_high"], places),
        "-" if one["tau_pp"] is None else f"{one['tau_pp']:.{places}f}",
        "-" if one["same_sign"] is None else f"{one['same_sign']} of {one['k']}",
        signed(one["iqm_pp"], places),
        word + (f" ({one['why']})" if one["why"] else ""),
    ]


def _ends(low: float | None, high: float | None, places: int) -> str:
    if low is None or high is None:
        return "-"
    return f"[{signed(low, places)}, {signed(high, places)}]"
