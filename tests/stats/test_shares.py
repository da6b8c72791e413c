"""Parts of a path: that they add up, scipy's interval of a part, Fieller's by search, error rates."""

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from swinablate.stats.comparisons.shares import VAGUE, shares

ALPHA = 0.05


def orders(worth, *, seeds=5, sd=0.5, number=0):
    """(n, k) steps forward and in reverse, of arms that are as noisy each; the two ends are shared.

    Args:
        worth: (k,) of every change, whatever came before.
    """
    chance = np.random.default_rng(number)
    k = len(worth)
    ends = sd * chance.standard_normal((seeds, 2))
    found = []
    for order in (np.arange(k), np.arange(k)[::-1]):
        middle = sd * chance.standard_normal((seeds, k - 1))
        stops = np.concatenate([ends[:, :1], middle, ends[:, 1:]], axis=1)
        stops += np.concatenate([[0.0], np.cumsum(np.asarray(worth)[order])])
        steps = np.empty((seeds, k))
        steps[:, order] = np.diff(stops, axis=1)
        found.append(steps)
    return found


def test_parts_add_up_and_have_the_t_interval_of_their_seeds():
    forward, reverse = orders([3.0, 1.0, 0.0])
    found = shares(forward, reverse, alpha=ALPHA)
    assert sum(part.effect for part in found.parts) == pytest.approx(found.effect)
    assert sum(part.share for part in found.parts) == pytest.approx(1)
    theirs = ttest_1samp(forward.sum(axis=1), 0).confidence_interval(1 - ALPHA)
    assert (found.ci_low, found.ci_high) == pytest.approx((theirs.low, theirs.high))
    for i, part in enumerate(found.parts):
        own = (forward[:, i] + reverse[:, i]) / 2
        theirs = ttest_1samp(own, 0).confidence_interval(1 - ALPHA / 3)
        assert (part.ci_low, part.ci_high) == pytest.approx((theirs.low, theirs.high))
        assert (part.first, part.last) == (forward[:, i].mean(), reverse[:, i].mean())


def test_a_share_has_the_shares_that_a_test_does_not_reject():
    """Fieller's interval is of ratios r for which mean(part - r whole) may be 0: searched for."""
    forward, reverse = orders([3.0, 1.0, 0.0], number=2)
    found = shares(forward, reverse, alpha=ALPHA)
    whole, part = forward.sum(axis=1), (forward[:, 0] + reverse[:, 0]) / 2
    tried = np.linspace(-1, 3, 4001)
    least = np.array([ttest_1samp(part - r * whole, 0).pvalue for r in tried])
    kept = tried[least >= ALPHA / 3]
    assert (found.parts[0].share_low, found.parts[0].share_high) == pytest.approx(
        (kept.min(), kept.max()), abs=0.002
    )


def test_of_a_whole_that_may_be_nothing_there_are_no_shares():
    found = shares(*orders([0.3, -0.3, 0.0], number=3), alpha=ALPHA)
    assert found.why == "all changes together may make no difference"
    assert found.ci_low < 0 < found.ci_high
    assert {part.share for part in found.parts} == {None}
    assert all(part.ci_low < part.effect < part.ci_high for part in found.parts)


def test_a_whole_that_is_some_but_too_vague_for_many_shares_is_not_called_nothing():
    """Alone it excludes 0 at 5 %; at the 5 % over k that every share has, it does not."""
    forward, reverse = orders([1.0, 0.2, 0.0], number=3)
    for more in np.linspace(0, 2, 2001):  # until the whole only just is something
        raised = (steps + np.array([more, 0, 0]) for steps in (forward, reverse))
        found = shares(*raised, alpha=ALPHA)
        if found.ci_low > 0:
            break
    assert (found.why, found.parts[0].share) == (VAGUE, None)


def test_two_seeds_tell_the_means_alone():
    found = shares(*orders([3.0, 1.0], seeds=2), alpha=ALPHA)
    assert (found.n, found.ci_low, found.parts[0].ci_low, found.parts[0].share) == (2, *[None] * 3)
    assert "fewer than 3 seeds" in found.why


def test_seeds_that_agree_to_the_last_image_are_not_believed():
    """Every arm is as noisy as an image of the test set makes it: an interval is never a point."""
    steps = np.tile([3.0, 1.0], (5, 1))
    found = shares(steps, steps, alpha=ALPHA, floor=0.28)
    half = student.ppf(1 - ALPHA / 4, 4) * 0.28 / 5**0.5
    assert found.parts[0].ci_high == pytest.approx(3 + half)
    assert found.parts[0].share_low < 0.75 < found.parts[0].share_high


@pytest.mark.parametrize(
    ("forward", "reverse", "problem"),
    [
        ([[1.0, 2.0]], [[1.0]], "same size"),
        ([], [], "same size"),
        ([[1.0, 2.0]], [[1.0, 2.5]], "both orders"),
    ],
)
def test_what_is_no_path_is_refused(forward, reverse, problem):
    with pytest.raises(ValueError, match=problem):
        shares(forward, reverse, alpha=ALPHA)


def covered(worth, *, runs, sd=0.5, seeds=5):
    """Shares of studies that have all true shares and all true parts; of those with shares."""
    truth, hits, told = np.asarray(worth) / sum(worth), np.zeros(2), np.zeros(2)
    for number in range(runs):
        found = shares(*orders(worth, number=number, sd=sd, seeds=seeds), alpha=ALPHA)
        own = zip(found.parts, worth, strict=True)
        hits[0] += all(part.ci_low <= value <= part.ci_high for part, value in own)
        told[0] += 1
        if not found.why:
            own = zip(found.parts, truth, strict=True)
            hits[1] += all(part.share_low <= value <= part.share_high for part, value in own)
            told[1] += 1
    return hits / told, told


def test_intervals_hold_for_all_changes_at_once():
    """2,000 studies: the Monte-Carlo error of .95 is .005; Bonferroni's bound errs to wider."""
    (parts, share), told = covered([3.0, 1.0, 0.0, 2.0], runs=2000)
    assert told[1] == 2000
    assert parts > 0.95 - 3 * 0.005
    assert share > 0.95 - 3 * 0.005
