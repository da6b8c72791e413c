"""Levels for looking at a study more than once: error spent by a schedule fixed beforehand.

Source: Armitage, McPherson, Rowe, JRSS A 132 (1969) for the recursion; Lan, DeMets, Biometrika
70 (1983) for spending.

Shapes: q nodes of the integral over what has not stopped yet.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.special import ndtr, ndtri

from swinablate.errors import InputError
from swinablate.stats.critical import Floats

NODES = 160  # Gauss-Legendre; the density between the bounds is smooth
FAR = 12.0  # standard deviations: nothing lies beyond

Spending = Callable[[float, float], float]
"""(share of the information, error rate of the whole study) -> error spent until then."""


def quadratic(share: float, alpha: float) -> float:
    """Spend with the square of the information: little early, most of it at the end."""
    return alpha * share**2


def obrien_fleming(share: float, alpha: float) -> float:
    """Spend either side as O'Brien and Fleming's bounds do; hardly anything early."""
    return float(4 * ndtr(ndtri(alpha / 4) / share**0.5)) if share > 0 else 0.0


@lru_cache(maxsize=256)
def bounds(
    looks: tuple[int, ...], alpha: float, spending: Spending = quadratic
) -> tuple[float, ...]:
    """Return the two-sided bound on |z| at each look.

    Args:
        looks: seeds at each look, rising; the last is all the study can have.
        alpha: chance that z leaves the bounds at any look, without an effect.
        spending: how much of it is spent by when.

    Raises:
        InputError: the looks do not rise, or alpha is no error rate.
    """
    check_looks(looks)
    if not 0 < alpha < 1:
        raise InputError(f"alpha = {alpha} is no error rate", hint="give one between 0 and 1")
    found: list[float] = []
    at, weight = np.zeros(1), np.ones(1)  # where z * sqrt(information) is, and how likely
    before, spent = 0.0, 0.0
    for n in looks:
        share = n / looks[-1]
        scale = (share - before) ** 0.5
        due = spending(share, alpha) - spent
        bound = _bound(at, weight, scale, due)
        found.append(bound / share**0.5)
        # What has not stopped lies between the bounds: its density there starts the next stretch.
        nodes, widths = _nodes()
        new = bound * nodes
        density = np.exp(-(((new[:, None] - at) / scale) ** 2) / 2) / (scale * (2 * np.pi) ** 0.5)
        at, weight = new, bound * widths * (density @ weight)
        before, spent = share, spending(share, alpha)
    return tuple(found)


def nominal(looks: Sequence[int], alpha: float, spending: Spending = quadratic) -> list[float]:
    """Return the two-sided p-value that stops the study at each look."""
    return [float(2 * ndtr(-bound)) for bound in bounds(tuple(looks), alpha, spending)]


def check_looks(looks: Sequence[int]) -> None:
    """Refuse looks that do not rise or come before anything can be tested.

    Raises:
        InputError: they do not, or do.
    """
    rising = all(one < other for one, other in pairwise(looks))
    if not looks or not rising or looks[0] < 3:  # `estimate.TESTED`
        raise InputError(
            f"looks = {list(looks)} cannot be planned",
            hint="give rising numbers of seeds from 3 on: [3, 5, 8, 12, 16]",
        )


@lru_cache(maxsize=1)
def _nodes() -> tuple[Floats, Floats]:
    """Places and weights on [-1, 1], which take milliseconds to find."""
    nodes, widths = np.polynomial.legendre.leggauss(NODES)
    return nodes, widths


def _bound(at: Floats, weight: Floats, scale: float, due: float) -> float:
    """The bound that a path still inside crosses next with probability `due`."""
    low, high = 0.0, FAR
    for _ in range(80):  # halvings: more than the digits of a double
        middle = (low + high) / 2
        outside = ndtr((at - middle) / scale) + ndtr((-middle - at) / scale)
        if float(weight @ outside) > due:
            low = middle
        else:
            high = middle
    return high
