"""Whether a claimed mean holds: the interval over seeds, against what its author tolerates.

A claim is judged as a hypothesis of equivalence is: it holds if the interval of the two one-sided
tests lies inside the tolerance, it does not if the interval of the difference lies outside. Two
means that differ say nothing by themselves, and two that are equal by luck do not, either.

Source: Schuirmann, J. Pharmacokinetics Biopharm. 15 (1987), for the two one-sided tests.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from swinablate.stats.estimate import TESTED, Cells, estimate

Answer = Literal["holds", "does not hold", "undecided"]
ALPHA = 0.05
"""The rate at which a claim that is wrong by its tolerance or more is said to hold; the same at
which one that is right is said not to."""
HIDDEN = 12**-0.5
"""Of the step between two results: the sd of what rounding hides, as of any uniform number."""
ROUNDED = 1e-9
"""The smallest sd where nobody knows the step: above what floats round off percentages."""


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A mean as it is claimed; in the unit of the values, for accuracy percent.

    Attributes:
        tolerance: a difference that does not matter.
        sd: over the seeds of whoever measured it; None where the mean is taken as given.
        n: those seeds.
    """

    mean: float
    tolerance: float
    sd: float | None = None
    n: int | None = None


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was measured of a claim, and what it says.

    Attributes:
        n: seeds that count.
        mean: of them.
        sd: over them.
        delta: measured less claimed.
        ci_low: lower end of the interval of `delta`, 95 %.
        ci_high: its upper end.
        within: half the width of the interval of the two one-sided tests, 90 %.
        answer: holds, does not hold, or undecided.
    """

    n: int
    mean: float
    sd: float
    delta: float
    ci_low: float
    ci_high: float
    within: float
    answer: Answer

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def check_claim(values: Sequence[float], claimed: Claimed, *, step: float = 0.0) -> Checked:
    """Judge a claimed mean by the seeds that were trained.

    Args:
        values: one a seed, at least `TESTED`.
        claimed: what is claimed.
        step: between two results that can be told apart, one test image for accuracy: seeds that
            agree by chance do not make an interval of no width.

    Raises:
        ValueError: fewer seeds give no interval.
    """
    n = len(values)
    if n < TESTED:
        raise ValueError(f"{n} seeds give no interval; {TESTED} do")
    mean, var = float(np.mean(values)), float(np.var(values, ddof=1))
    floor = max(step * HIDDEN, ROUNDED)
    theirs = claimed.sd is not None and (claimed.n or 0) >= TESTED
    if theirs:
        assert claimed.sd is not None
        means, spreads, counts = [mean, claimed.mean], [var, claimed.sd**2], [n, claimed.n or 0]
        weights = [[1.0, -1.0]]
    else:  # a difference with a number that has no spread
        means, spreads, counts, weights = [mean - claimed.mean], [var], [n], [[1.0]]
    counted = np.array(counts, dtype=float)
    found = estimate(
        Cells(
            mean=np.array(means),
            var=np.array(spreads),
            n=counted,
            declared=counted,
            pooled=np.array([True] * len(means)),
        ),
        np.array(weights),
        alpha=ALPHA,
        floor=floor,
    )
    delta, half = float(found.delta[0]), float(found.half[0])
    within = float(found.half_equivalence[0])
    return Checked(
        n=n,
        mean=mean,
        sd=var**0.5,
        delta=delta,
        ci_low=delta - half,
        ci_high=delta + half,
        within=within,
        answer=_answer(delta, half, within, claimed.tolerance),
    )


def _answer(delta: float, half: float, within: float, tolerance: float) -> Answer:
    if abs(delta) + within <= tolerance:
        return "holds"
    return "does not hold" if abs(delta) - half > tolerance else "undecided"
