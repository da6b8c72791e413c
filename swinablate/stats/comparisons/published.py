"""Whether a study finds the effect that somebody published: its sign, and its size.

A published difference is reproduced if the interval of ours lies between half and twice of it: an
equivalence test on a ratio, as Schuirmann's on a difference. So an effect outside of those is
called reproduced at the rate of the interval at most, however few the seeds. "The published number
lies in our interval" would not do: with few seeds an effect is seen only where luck made it large,
and then it looks like the published one (docs/published.md has the rates of both rules).

Source: Schuirmann, J. Pharmacokinetics Biopharm. 15 (1987), for the two one-sided tests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Sign = Literal["agrees", "opposite", "open", "none published"]
Size = Literal["agrees", "smaller", "larger", "open", "not compared"]
Answer = Literal["reproduced", "sign only", "contradicted", "not resolved"]

FACTOR = 2.0
"""An effect of half or twice the size is still the published one: other data, networks and
budgets change effects by as much, and a wider range would hold nearly every effect of its sign."""
TWO_SIDED = 1.959963984540054
"""The normal quantile at 97.5 %: what seeds of theirs leave open, at 95 %."""


@dataclass(frozen=True, kw_only=True)
class PublishedEffect:
    """A difference of two published numbers, positive where the metric is larger.

    Attributes:
        effect: as printed; None where its unit is not ours, and the sign alone compares.
        sign: 1 or -1; 0 where the numbers are the same.
        margin: by how much the numbers behind the printed ones may differ from them.
    """

    effect: float | None
    sign: int
    margin: float = 0.0


@dataclass(frozen=True, kw_only=True)
class OurEffect:
    """A difference as a study judged it.

    Attributes:
        low: lower end of its simultaneous interval.
        high: its upper end.
        inside_low: lower end of the interval of the two one-sided tests.
        inside_high: its upper end.
        rope: what nobody should care about, as it was declared; None without.
    """

    low: float
    high: float
    inside_low: float
    inside_high: float
    rope: float | None = None


@dataclass(frozen=True)
class Agreement:
    """What the comparison says."""

    sign: Sign
    size: Size
    answer: Answer


def rounding(decimals: int) -> float:
    """By how much a difference of two numbers printed with so many decimals may be off."""
    return 10.0**-decimals  # half of the last place each


def spread(sds: Sequence[float], runs: int) -> float:
    """By how much seeds may move a published difference of two means: half of a 95 % interval.

    Args:
        sds: over the seeds of either mean, of whoever published them.
        runs: seeds behind each.
    """
    return TWO_SIDED * math.hypot(*sds) / math.sqrt(runs)


def agreement(theirs: PublishedEffect, ours: OurEffect) -> Agreement:
    """Compare an effect with a published one.

    Args:
        theirs: as published.
        ours: as a study judged it.
    """
    if theirs.effect is None:
        return _sign_alone(theirs.sign, ours)
    size = abs(theirs.effect)
    if size <= theirs.margin:  # the printed numbers do not say that there is an effect
        return _no_effect(size + theirs.margin, ours)
    own = _turned(ours) if theirs.effect < 0 else ours
    least, most = (size - theirs.margin) / FACTOR, (size + theirs.margin) * FACTOR
    if own.high < 0:
        return Agreement("opposite", "not compared", "contradicted")
    sign: Sign = "agrees" if own.low > 0 else "open"
    found: Size = "open"
    if own.high < least:
        found = "smaller"
    elif own.low > most:
        found = "larger"
    elif own.low > 0 and own.inside_low >= least and own.inside_high <= most:
        found = "agrees"
    if sign == "agrees":
        return Agreement(sign, found, "reproduced" if found == "agrees" else "sign only")
    return Agreement(sign, found, "contradicted" if found == "smaller" else "not resolved")


def _no_effect(largest: float, ours: OurEffect) -> Agreement:
    """No difference was published: ours is none either, or it is one, or nobody knows.

    Args:
        largest: difference that may be behind the printed numbers.
        ours: as a study judged it.
    """
    rope = ours.rope or 0.0
    beyond = max(rope, largest)
    if rope and -rope <= ours.inside_low and ours.inside_high <= rope:
        return Agreement("none published", "agrees", "reproduced")
    if ours.low > beyond or ours.high < -beyond:
        return Agreement("none published", "larger", "contradicted")
    return Agreement("none published", "open", "not resolved")


def _sign_alone(sign: int, ours: OurEffect) -> Agreement:
    own = _turned(ours) if sign < 0 else ours
    if own.low > 0:
        return Agreement("agrees", "not compared", "sign only")
    if own.high < 0:
        return Agreement("opposite", "not compared", "contradicted")
    return Agreement("open", "not compared", "not resolved")


def _turned(ours: OurEffect) -> OurEffect:
    return OurEffect(
        low=-ours.high,
        high=-ours.low,
        inside_low=-ours.inside_high,
        inside_high=-ours.inside_low,
        rope=ours.rope,
    )
