"""The effects for a narrow screen: every arm above its own interval, all on one axis.

The forest is drawn for paper; on a telephone its zero line and its verdicts would be out of sight.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

REACH = 4.0
"""Times the median end of an interval that the axis reaches at most: one arm that fails by
50 points would otherwise leave all others no width."""
AIR = 1.05
"""Of the axis to the outermost end, so that it is seen to be one."""


def stacked(judged: Mapping[str, Any], ranked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where everything stands on the axis, in percent of its width.

    Args:
        judged: as in verdicts.json.
        ranked: its arms, in the order in which they are shown.

    Returns:
        `zero`; `rope`, a place and a width, or None; and `rows`: the arm with `dot` and `bar`
        (None where it has no interval).
    """
    keys = ("delta_pp", "ci_low", "ci_high")
    ends = [arm[key] for arm in ranked for key in keys if arm[key] is not None]
    rope = judged["rope_pp"]
    far = REACH * float(np.median(np.abs(ends))) if ends else 1.0
    most = max([abs(end) for end in ends if abs(end) <= far] or [far])
    most = AIR * max(most, rope or 0.0) or 1.0
    low = -most if rope or any(end < 0 for end in ends) else -most / 10
    high = most if rope or any(end > 0 for end in ends) else most / 10

    def at(value: float) -> float:
        return round(100 * (min(max(value, low), high) - low) / (high - low), 2)

    rows = []
    for arm in ranked:
        delta, left, right = (arm[key] for key in keys)
        bar = None if left is None or right is None else (at(left), max(at(right) - at(left), 0.5))
        rows.append({"arm": arm, "dot": None if delta is None else at(delta), "bar": bar})
    return {
        "zero": at(0.0),
        "rope": None if rope is None else (at(-rope), at(rope) - at(-rope)),
        "rows": rows,
    }
