"""Whether arms diverge more often than the baseline: shares of seeds, a family of their own.

Each arm's share is compared with the baseline's by Fisher's exact test, two-sided. What few seeds
cannot show whatever they do is no comparison: Tarone's correction counts only the arms whose
smallest possible p, given how many seeds diverged in arm and baseline together, could be found.

Source: Fisher, J. R. Statist. Soc. 98 (1935); Tarone, A modified Bonferroni method for discrete
data, Biometrics 46 (1990).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import comb
from typing import Any, NamedTuple

from swinablate.text import counted

BASELINE = "the baseline"
Count = tuple[int, int]
"""Seeds that diverged, of those that ended, diverged or not."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """How often an arm diverged, beside the baseline.

    Attributes:
        arm: its name.
        diverged: seeds of the arm whose loss left the real numbers.
        seeds: of the arm that ended, diverged or not.
        baseline: how many of the baseline's diverged.
        baseline_seeds: of the baseline that ended.
        p: Fisher's, two-sided, not corrected.
        beyond: the shares differ beyond chance, with the family's error rate.
        other: what it is compared with, in words; another arm stands in the baseline's place.
    """

    arm: str
    diverged: int
    seeds: int
    baseline: int
    baseline_seeds: int
    p: float
    beyond: bool
    other: str = BASELINE

    @property
    def whole(self) -> bool:
        """Every seed of the arm diverged and none of the baseline's."""
        return 0 < self.seeds == self.diverged and self.baseline == 0 < self.baseline_seeds

    @property
    def fails(self) -> bool:
        """The arm fails to train: as a whole, or more often than chance explains."""
        return self.whole or (self.beyond and self._excess > 0)

    @property
    def helps(self) -> bool:
        """The baseline diverges more often than the arm, beyond chance."""
        return self.beyond and self._excess < 0

    @property
    def text(self) -> str:
        """Both counts and the p-value, in words."""
        both = (
            f"diverged on {_of(self.diverged, self.seeds)}, {self.other} on "
            f"{self.baseline} of {self.baseline_seeds}"
        )
        return f"{both} (Fisher's exact p = {self.p:.2g})"

    def to_json(self) -> dict[str, Any]:
        """Plain data; the baseline goes without saying."""
        found = asdict(self)
        if self.other == BASELINE:
            del found["other"]
        return found

    @property
    def _excess(self) -> int:
        """Positive where the arm's share is the larger one; of whole numbers, so exact."""
        return self.diverged * self.baseline_seeds - self.baseline * self.seeds


class Pair(NamedTuple):
    """An arm and what it is compared with: names in words, and how many seeds diverged."""

    arm: str
    own: Count
    other: str
    base: Count


def shares(arms: Mapping[str, Count], base: Count, alpha: float) -> dict[str, Share]:
    """Compare the shares of diverged seeds of all arms with the baseline's.

    Args:
        arms: arm -> its seeds; those that failed otherwise say nothing about divergence.
        base: the baseline's.
        alpha: error rate of all these comparisons together.

    Returns:
        Every arm that has seeds and of which, or of whose baseline, some seed diverged.
    """
    found = {arm: Pair(arm, own, BASELINE, base) for arm, own in arms.items()}
    return pair_shares(found, alpha)


def pair_shares(pairs: Mapping[str, Pair], alpha: float) -> dict[str, Share]:
    """Compare the shares of diverged seeds of two arms, pair by pair.

    Args:
        pairs: name of a comparison -> its two sides.
        alpha: error rate of all these comparisons together.

    Returns:
        Every comparison whose arm has seeds and of which some seed diverged, on either side.
    """
    told = {name: p for name, p in pairs.items() if p.own[1] and (p.own[0] or p.base[0])}
    tables = [(*pair.own, *pair.base) for pair in told.values()]
    found = [fisher(*table) for table in tables]
    floors = [least(a + b, n, m) for a, n, b, m in tables]
    beyond = tarone(found, floors, alpha)
    return {
        name: Share(arm=pair.arm, diverged=a, seeds=n, baseline=b, baseline_seeds=m, p=p,
                    beyond=sure, other=pair.other)
        for (name, pair), (a, n, b, m), p, sure in zip(
            told.items(), tables, found, beyond, strict=True
        )
    }  # fmt: skip


@lru_cache(maxsize=4096)
def fisher(a: int, n: int, b: int, m: int) -> float:
    """Fisher's exact p that `a` of `n` and `b` of `m` are shares of one size; two-sided.

    The probability, given a + b, of all tables that are no more likely than this one.
    """
    weights = _tables(a + b, n, m)
    here = weights[a - max(0, a + b - m)]
    return sum(w for w in weights if w <= here) / comb(n + m, a + b)


@lru_cache(maxsize=4096)
def least(total: int, n: int, m: int) -> float:
    """The smallest p that `total` hits among n and m seeds can give."""
    weights = _tables(total, n, m)
    return weights.count(min(weights)) * min(weights) / comb(n + m, total)


def tarone(p: Sequence[float], floors: Sequence[float], alpha: float) -> list[bool]:
    """Which p-values are found, with the error rate `alpha` for all of them together.

    Args:
        p: of discrete tests.
        floors: the smallest value that each could have had.
        alpha: error rate of the family.
    """
    k = 1
    while sum(floor <= alpha / k for floor in floors) > k:
        k += 1
    return [each <= alpha / k for each in p]


def _tables(total: int, n: int, m: int) -> list[int]:
    """How many ways lead to each number of hits among the first n; whole numbers, so exact."""
    return [comb(n, k) * comb(m, total - k) for k in range(max(0, total - m), min(n, total) + 1)]


def _of(part: int, whole: int) -> str:
    return f"{part} of {counted(whole, 'seed')}"
