"""Splits of the data as the units of a comparison: runs on one split are no replicates of it.

Seeds that were trained on one split share what that split is worth to an arm. Their mean is one
observation, and the degrees of freedom are those of the splits.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from swinablate.stats.critical import Floats


@dataclass(frozen=True)
class Units:
    """What counts as one observation of an arm, and what the intervals hold over.

    Attributes:
        of: seed -> the split that it was trained on; empty where every seed is a unit.
        over: what intervals hold over, as it stands behind one; empty where nobody asked.
    """

    of: Mapping[int, int] = field(default_factory=dict)
    over: str = ""

    @property
    def word(self) -> str:
        """What one observation is called."""
        return "split" if self.of else "seed"

    @property
    def each(self) -> int:
        """Seeds on a split."""
        return len(self.of) // len(set(self.of.values())) if self.of else 1


class Counted(Protocol):
    """What an arm has results of; `declaration.Tally` is one."""

    @property
    def n(self) -> int:
        """Units with a result."""

    @property
    def runs(self) -> int | None:
        """Seeds with a result, where those are no units."""


def ended(tally: Counted) -> int:
    """Seeds with a result, whatever the units are."""
    return tally.n if tally.runs is None else tally.runs


def grouped(
    seeds: NDArray[Any], values: Floats, digests: NDArray[Any], units: Mapping[int, int]
) -> tuple[dict[int, float], dict[int, str]]:
    """Split -> the mean of its results, and a digest of their answers; splits in order.

    Args:
        seeds: of the results.
        values: the results.
        digests: of their answers; "" where unknown, and then a split's is, too.
        units: seed -> split.
    """
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for at, seed in sorted(enumerate(seeds.tolist()), key=lambda pair: int(pair[1])):
        rows[units[int(seed)]].append(at)
    means = {unit: float(np.mean(values[rows[unit]])) for unit in sorted(rows)}
    return means, {unit: _joined([str(digests[at]) for at in rows[unit]]) for unit in means}


def by_unit(seeds: NDArray[Any], values: Floats, units: Mapping[int, int]) -> dict[int, Floats]:
    """Split -> its results, as they come."""
    places = np.array([units[int(seed)] for seed in seeds.tolist()], dtype=int)
    return {int(unit): values[places == unit] for unit in np.unique(places)}


def _joined(digests: list[str]) -> str:
    if len(digests) == 1 or not all(digests):
        return digests[0] if all(digests) else ""
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()
