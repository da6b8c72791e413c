"""How far what a study calls is likely to lie above the truth, if that is hard to see (W25).

A small effect is called only where chance helps it: then the estimate is too large on average
(a type M error, for magnitude), the more so the lower the power. How much follows from the
design and a supposed effect, never from the estimate itself.

Source: Gelman, Carlin, Perspectives on Psychological Science 9 (2014), "retrodesign".
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from swinablate.stats.critical import scale_nodes
from swinablate.stats.declaration import Declaration, Estimate, Warn
from swinablate.stats.planned.drawn import density

LOW_POWER = 0.5
"""Where an effect is missed more often than found, what is found is at least 1.2 times too large
on average (1.4 with one comparison of many seeds, 1.2 with eight of five)."""
NAMED = 6  # comparisons that the warning spells out: about three lines


def exaggeration(effect: float, se: float, c: float, df: float) -> tuple[float, float]:
    """Return the power for an effect, and by how much those that are called exceed it on average.

    Args:
        effect: the true difference, positive, in the unit of `se`.
        se: the true standard error.
        c: half-width of the interval, in estimated standard errors.
        df: degrees of freedom of the estimated standard error.
    """
    (scale,), (weights,) = scale_nodes(np.array([df]))
    at, bound = effect / se, c * scale
    above, below = ndtr(at - bound), ndtr(-at - bound)
    power = float(weights @ (above + below))
    # E |z + at| where that exceeds the bound, on either side.
    size = at * (above - below) + density(bound - at) + density(bound + at)
    return power, float(weights @ size) / power / at


def exaggerated(estimates: Sequence[Estimate], declaration: Declaration) -> list[Warn]:
    """Name what is called although the smallest effect that matters would mostly be missed.

    Only where the interval leaves room for so small an effect: what was shown to be larger was
    not called by luck.
    """
    found: list[str] = []
    for one in estimates:
        size = _of_interest(one, declaration)
        if size is None or one.se is None or one.df is None or one.delta_pp is None:
            continue
        low, high = one.ci_low or 0.0, one.ci_high or 0.0
        if one.verdict not in {"better", "worse"} or min(abs(low), abs(high)) >= size:
            continue
        power, ratio = exaggeration(size, one.se, (high - one.delta_pp) / one.se, one.df)
        if power >= LOW_POWER:
            continue
        found.append(
            f"{one.contrast.name} ({size:g}{declaration.suffix}: power {power:.2f}, "
            f"{ratio:.1f} times)"
        )
    if not found:
        return []
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    text = (
        f"called, and likely to be smaller than estimated: {'; '.join(found[:NAMED])}{more}. "
        "An effect of the smallest size of interest would be found with that power, and where it "
        "is found the estimate is so many times too large on average. Trust the interval, not "
        "its middle."
    )
    return [Warn("W25", text)]


def _of_interest(one: Estimate, declaration: Declaration) -> float | None:
    """The smallest effect that matters: the rope, else what a hypothesis claims."""
    if declaration.rope_pp is not None:
        return declaration.rope_pp
    claimed = [h.by for h in declaration.hypotheses if h.arm == one.contrast.name and h.by > 0]
    return min(claimed, default=None)
