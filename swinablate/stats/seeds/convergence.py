"""What seeds that diverged make of a verdict: none of the mean, a label on it, or its bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan

from swinablate.stats.declaration import (
    CONTRASTS,
    TUNED_CONTRASTS,
    Declaration,
    Estimate,
    Hypothesis,
    Reply,
    Word,
)
from swinablate.stats.estimate import TESTED, Contrast
from swinablate.stats.sample import Sample
from swinablate.stats.seeds.shares import Pair, Share, pair_shares
from swinablate.stats.seeds.units import ended

NO_NOISE = "no seed differs from another: the noise is unknown"


def obstacle_of(
    contrast: Contrast,
    samples: Mapping[str, Sample],
    declaration: Declaration,
    found: Mapping[str, Share],
    own: Share | None,
) -> tuple[Word, str] | None:
    """What divergence, or else the design, makes of a contrast, if not for its interval to say.

    Args:
        contrast: the comparison.
        samples: the seeds of every arm.
        declaration: names the baseline, and families without a verdict.
        found: how often each arm diverged, beside the baseline.
        own: how often the first arm of the contrast diverged, beside the second, where it is a
            difference of two.
    """
    mine = [found[arm] for arm in contrast.weights if arm in found]
    if own is not None and own.fails:
        return "fails to train", own.text
    for share in mine:
        if share.fails:
            return "undecided", f"{share.arm} fails to train: it {share.text}"
    if own is not None and own.helps:
        return "undecided", helped(own)
    few = [samples[arm].tally for arm in contrast.weights]
    few = [tally for tally in few if tally.diverged and tally.n < TESTED]
    if few:
        return "undecided", left(few[0].name, few[0].diverged, ended(few[0]))
    withheld = declaration.withheld.get(contrast.family)
    return ("undecided", withheld) if withheld else None


def labelled(
    judged: Estimate,
    samples: Mapping[str, Sample],
    own: Share | None,
    declaration: Declaration,
) -> Estimate:
    """The estimate with what a reader has to know where seeds of it diverged.

    The worst case is one of percentages that are good when they are high: others have no worst.
    """
    weights = judged.contrast.weights
    tallies = {arm: samples[arm].tally for arm in weights}
    if not any(tally.diverged for tally in tallies.values()):
        return judged
    low = high = None
    if (declaration.unit, declaration.better) == ("pp", "higher"):
        counts = {arm: (t.mean, ended(t), t.diverged) for arm, t in tallies.items()}
        low, high = worst_case(weights, counts)
    return replace(judged, given_convergence=True, worst_low=low, worst_high=high, divergence=own)


def own_shares(
    contrasts: Sequence[Contrast],
    samples: Mapping[str, Sample],
    declaration: Declaration,
    found: Mapping[str, Share],
) -> dict[str, Share]:
    """How often the first arm diverged beside the second, for each difference of two arms.

    Beside the baseline that is known; two other arms are compared where somebody declared it,
    with an error rate of their own.

    Args:
        contrasts: of one family.
        samples: the seeds of every arm.
        declaration: the baseline and the error rate.
        found: how often each arm diverged, beside the baseline.
    """
    told: dict[str, Share] = {}
    pairs: dict[str, Pair] = {}
    for contrast in contrasts:
        sides = two_sides(contrast.weights)
        if sides and contrast.family in {CONTRASTS, TUNED_CONTRASTS}:
            one, other = (samples[arm].tally for arm in sides)
            counts = [(t.diverged, ended(t) + t.diverged) for t in (one, other)]
            pairs[contrast.name] = Pair(one.name, counts[0], other.name, counts[1])
        elif sides and sides[0] in found and samples[sides[1]].tally.name == declaration.baseline:
            told[contrast.name] = found[sides[0]]
    return told | pair_shares(pairs, declaration.alpha)


def failed_reply(asked: Hypothesis, *, whole: bool) -> Reply:
    """Return what it says of a hypothesis that an arm fails to train.

    Args:
        asked: the hypothesis.
        whole: no seed of the arm is left; an arm that trains now and then is worse, but nobody
            knows by how much.
    """
    if asked.expect != "worse":
        return "contradicted"
    return "supported" if whole or not asked.by else "unresolved"


def worst_case(
    weights: Mapping[str, float], arms: Mapping[str, tuple[float | None, int, int]]
) -> tuple[float | None, float | None]:
    """Bounds of a contrast if a diverged seed counts as anything from 0 % to its arm's mean.

    Args:
        weights: arm -> weight.
        arms: arm -> mean of the seeds that did not diverge, how many, and how many did.

    Returns:
        Low and high; None if an arm has no mean: none, or nan.
    """
    low = high = 0.0
    for arm, weight in weights.items():
        mean, n, diverged = arms[arm]
        if mean is None or isnan(mean):
            return None, None
        ends = weight * mean, weight * mean * n / (n + diverged)
        low, high = low + min(ends), high + max(ends)
    return low, high


def helped(share: Share) -> str:
    """Say that a baseline diverges more often than an arm."""
    return f"{share.other} fails more often: {share.arm} {share.text}"


def left(arm: str, diverged: int, n: int) -> str:
    """Say that too few seeds of an arm are left to judge its mean by."""
    lost = f"{arm} diverged on {diverged} of {n + diverged} seeds"
    return f"{lost}, and {TESTED} are needed that did not"


def two_sides(weights: Mapping[str, float]) -> tuple[str, str] | None:
    """The arm and what is subtracted from it, where a contrast is one arm minus another."""
    ends = {weight: arm for arm, weight in weights.items()}
    return (ends[1.0], ends[-1.0]) if len(weights) == 2 and ends.keys() == {1.0, -1.0} else None
