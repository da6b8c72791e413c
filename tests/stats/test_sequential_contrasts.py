"""Contrasts in a study that adds seeds: looks of their own, seeds of the arms they name."""

import numpy as np
import pytest

from swinablate.stats import Declaration, Hypothesis, declared, instead, look
from tests.stats.test_verdict import frame

LOOKS = (3, 5, 8)
RNG = np.random.default_rng(2)
NOISE = {name: RNG.standard_normal(16) for name in ("baseline", "A", "B", "C")}


def looked(means, wanted, sd=0.2, status=None, **declared_too):
    arms = {name: 90 + mean + sd * NOISE[name] for name, mean in means.items()}
    arms = {name: v if name == "baseline" else v[:8] for name, v in arms.items()}
    declaration = Declaration(
        planned={name: len(v) for name, v in arms.items()}, contrasts=tuple(wanted), **declared_too
    )
    return look(frame(arms, status), LOOKS, declaration)


def named(found):
    return {each.contrast.name: each for each in found.verdicts.contrasts}


FAR = {"baseline": 0.0, "A": -20.0, "B": -20.0, "C": -20.0}
PAIR = declared("A over B", {"A": 1, "B": -1})


def test_an_open_contrast_asks_for_seeds_of_arms_that_are_decided():
    """A, B and C are decided at the first look; whether A is like B is open until the last."""
    found = looked(FAR, [PAIR])
    arms = {arm.name: (arm.verdict, arm.look) for arm in found.verdicts.arms}
    assert arms == dict.fromkeys("ABC", ("worse", 3))
    assert named(found)["A over B"].look == 8
    assert found.wanted == {"baseline": 6, "A": 8, "B": 8, "C": 3}
    assert found.done


def test_a_contrast_is_judged_by_the_first_seeds_of_a_look_alone():
    """What it estimates does not depend on what was decided of its arms; only the pool does."""
    near, far = looked({**FAR, "A": 0.0, "B": 0.0}, [PAIR]), looked(FAR, [PAIR])
    ours, theirs = named(near)["A over B"], named(far)["A over B"]
    assert ours.delta_pp == pytest.approx(theirs.delta_pp)
    assert ours.ci_low == pytest.approx(theirs.ci_low, rel=0.1)


def test_a_contrast_is_found_and_stops():
    found = looked({**FAR, "B": -10.0}, [PAIR], hypotheses=(Hypothesis("A over B", "worse", 5),))
    one = named(found)["A over B"]
    assert (one.verdict, one.look, found.wanted["A"]) == ("worse", 3, 3)
    assert one.delta_pp == pytest.approx(-10, abs=1)
    assert one.hypotheses[0].answer == "supported"
    assert one.ci_high < 0
    assert "3 seeds an arm" in one.sentence
    assert one.p_holm is None


def test_an_arm_against_another_needs_no_seeds_for_the_baseline():
    found = looked({**FAR, "B": -20.0}, [instead("B", "A")], rope_pp=None)
    arm = {each.name: each for each in found.verdicts.arms}["B"]
    assert (arm.against, arm.look) == ("A", 8)
    assert found.wanted == {"baseline": 6, "A": 8, "B": 8, "C": 3}
    assert "8 seeds vs 8 seeds of A" in arm.sentence
    assert "2 declared comparisons" in found.verdicts.methods


def test_a_pending_contrast_says_what_is_due():
    arms = {name: (90 + mean + 0.2 * NOISE[name]) for name, mean in FAR.items()}
    arms = {name: v[:6] if name == "baseline" else v[:3] for name, v in arms.items()}
    planned = {"baseline": 16, "A": 8, "B": 8, "C": 8}
    found = look(frame(arms), LOOKS, Declaration(planned=planned, contrasts=(PAIR,)))
    assert (named(found)["A over B"].verdict, found.done) == ("pending", False)
    assert named(found)["A over B"].reason == "5 seeds are due"
    assert found.wanted == {"baseline": 6, "A": 5, "B": 5, "C": 3}
    ended = look(frame(arms), LOOKS, Declaration(planned=planned, contrasts=(PAIR,)), ended=True)
    assert named(ended)["A over B"].reason == "the budget was met after 3 seeds"


def test_arms_that_fail_or_diverge_close_their_contrasts():
    failed = looked(FAR, [PAIR], status={("A", 1): "failed"})
    assert named(failed)["A over B"].reason == "A failed on seed 1"
    gone = looked(FAR, [PAIR], status={("A", seed): "diverged" for seed in range(8)})
    one = named(gone)["A over B"]
    assert (one.verdict, one.look) == ("fails to train", 3)
    assert one.reason.startswith("diverged on 3 of 3 seeds, B on 0 of 3")


def test_two_families_have_the_whole_error_rate_each():
    alone = looked({**FAR, "A": -0.3}, [])
    beside = looked({**FAR, "A": -0.3}, [PAIR, declared("C over B", {"C": 1, "B": -1})])
    levels = [
        {s.arm: s.level for s in each.verdicts.trace if s.look == 3} for each in (alone, beside)
    ]
    assert levels[0].items() <= levels[1].items()
    assert levels[1].keys() - levels[0].keys() == {"A over B", "C over B"}
