"""What seeds that diverged make of a verdict: none of the mean, a label on it, or its bounds."""

from collections.abc import Mapping
from dataclasses import replace
from math import isnan

from swinablate.stats.declaration import Declaration, Estimate, Hypothesis, Reply, Word
from swinablate.stats.estimate import TESTED, Contrast
from swinablate.stats.sample import Sample
from swinablate.stats.seeds.shares import Share

NO_NOISE = "no seed differs from another: the noise is unknown"


def obstacle_of(
    contrast: Contrast,
    samples: Mapping[str, Sample],
    declaration: Declaration,
    found: Mapping[str, Share],
) -> tuple[Word, str] | None:
    """What divergence, or else the design, makes of a contrast, if not for its interval to say."""
    base = declaration.baseline
    mine = [found[arm] for arm in contrast.weights if arm in found]
    for share in mine:
        if share.fails and _is_arm(contrast.weights, share.arm, base):
            return "fails to train", share.text
        if share.fails:
            return "undecided", f"{share.arm} fails to train: it {share.text}"
    for share in mine:
        if share.helps and _is_arm(contrast.weights, share.arm, base):
            return "undecided", helped(share)
    few = [samples[arm].tally for arm in contrast.weights]
    few = [tally for tally in few if tally.diverged and tally.n < TESTED]
    if few:
        return "undecided", left(few[0].name, few[0].diverged, few[0].n)
    withheld = declaration.withheld.get(contrast.family)
    return ("undecided", withheld) if withheld else None


def labelled(
    judged: Estimate,
    samples: Mapping[str, Sample],
    found: Mapping[str, Share],
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
        low, high = worst_case(weights, {a: (t.mean, t.n, t.diverged) for a, t in tallies.items()})
    arms = (found[arm] for arm in found if _is_arm(weights, arm, declaration.baseline))
    share = next(arms, None)
    return replace(
        judged, given_convergence=True, worst_low=low, worst_high=high, divergence=share
    )


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
    return f"the baseline fails more often: {share.arm} {share.text}"


def left(arm: str, diverged: int, n: int) -> str:
    """Say that too few seeds of an arm are left to judge its mean by."""
    lost = f"{arm} diverged on {diverged} of {n + diverged} seeds"
    return f"{lost}, and {TESTED} are needed that did not"


def _is_arm(weights: Mapping[str, float], arm: str, baseline: str) -> bool:
    """Whether a contrast is the arm minus the baseline."""
    return dict(weights) == {arm: 1.0, baseline: -1.0}
