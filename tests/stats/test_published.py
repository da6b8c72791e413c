"""Whether an effect is the published one: the rule, and how often it errs."""

import math

import pytest
from scipy import stats

from swinablate.stats.comparisons.published import (
    OurEffect,
    PublishedEffect,
    agreement,
    rounding,
    spread,
)
from tests.calibration.published import rates

LOSS = PublishedEffect(effect=-1.2, sign=-1, margin=0.1)
GAIN = PublishedEffect(effect=1.2, sign=1, margin=0.1)


def ours(low, high, *, narrower=0.0, rope=None):
    return OurEffect(
        low=low, high=high, inside_low=low + narrower, inside_high=high - narrower, rope=rope
    )


@pytest.mark.parametrize(
    ("low", "high", "sign", "size", "answer"),
    [
        (0.7, 2.4, "agrees", "agrees", "reproduced"),
        (0.5, 2.4, "agrees", "open", "sign only"),  # it may be less than half
        (0.7, 2.7, "agrees", "open", "sign only"),
        (2.7, 3.0, "agrees", "larger", "sign only"),
        (0.1, 0.5, "agrees", "smaller", "sign only"),
        (-0.3, 0.5, "open", "smaller", "contradicted"),
        (-0.3, 0.6, "open", "open", "not resolved"),
        (-0.9, -0.1, "opposite", "not compared", "contradicted"),
        (-9.0, 9.0, "open", "open", "not resolved"),
    ],
)
def test_an_effect_is_reproduced_between_half_and_twice_of_it(low, high, sign, size, answer):
    found = agreement(GAIN, ours(low, high))
    assert (found.sign, found.size, found.answer) == (sign, size, answer)
    assert agreement(LOSS, ours(-high, -low)) == found  # a loss is a gain turned round


def test_the_narrower_interval_of_equivalence_says_that_the_size_agrees():
    assert agreement(GAIN, ours(0.5, 2.7)).answer == "sign only"
    assert agreement(GAIN, ours(0.5, 2.7, narrower=0.1)).answer == "reproduced"


def test_no_published_difference_is_reproduced_by_equivalence_alone():
    none = PublishedEffect(effect=0.1, sign=1, margin=0.1)  # what rounding may be
    assert agreement(none, ours(-0.4, 0.4, rope=0.5)).answer == "reproduced"
    assert agreement(none, ours(-0.4, 0.4)).answer == "not resolved"  # without a rope
    assert agreement(none, ours(-0.4, 0.6, rope=0.5)).answer == "not resolved"
    assert agreement(none, ours(0.6, 0.9, rope=0.5)).answer == "contradicted"
    assert agreement(none, ours(-0.9, -0.6, rope=0.5)).answer == "contradicted"
    assert agreement(none, ours(0.15, 0.9)).answer == "not resolved"  # .2 may be behind it
    assert agreement(none, ours(0.25, 0.9)).answer == "contradicted"


def test_of_another_unit_the_sign_alone_is_compared():
    longer = PublishedEffect(effect=None, sign=1)
    assert agreement(longer, ours(10, 20)).answer == "sign only"
    assert agreement(longer, ours(-20, -10)).answer == "contradicted"
    assert agreement(longer, ours(-20, 10)).answer == "not resolved"
    assert agreement(PublishedEffect(effect=None, sign=-1), ours(-2, -1)).answer == "sign only"


def test_what_rounding_and_seeds_of_theirs_may_move():
    assert rounding(1) == pytest.approx(0.1)  # 81.25 less 80.25 may be printed as 1.1 or .9
    assert spread([0.3, 0.4], 5) == pytest.approx(stats.norm.ppf(0.975) * 0.5 / math.sqrt(5))
    assert spread([0.0, 0.0], 1) == 0


@pytest.mark.parametrize(("seeds", "sd"), [(3, 0.2), (5, 0.5), (8, 0.5), (8, 1.0)])
def test_the_rule_errs_no_more_often_than_its_intervals(seeds, sd):
    """Monte-Carlo error of a rate near .01 is .003: three of them stand beside each bound."""
    wrong = 0.05 / 6 + 0.008
    for truth in (-1.0, 0.0, 0.5, 2.0, 4.0):  # at the ends of what is called the same, and beyond
        assert rates(truth, seeds, sd, draws=1500)["reproduced"] <= wrong
    for truth in (0.5, 1.0, 2.0):
        assert rates(truth, seeds, sd, draws=1500)["contradicted"] <= wrong
    assert rates(0.0, seeds, sd, draws=1500)["sign only"] <= wrong


def test_with_seeds_enough_the_published_effect_is_reproduced():
    found = rates(1.0, 5, 0.2, draws=1500)
    assert found["reproduced"] > 0.8
    assert found["contradicted"] == 0
