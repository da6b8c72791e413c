"""Another metric of a study that added seeds by its own: repeated intervals, at looks not its own."""

import numpy as np
import pytest

from swinablate.stats import Declaration, beside, declared, look
from swinablate.stats.critical import t_quantile
from swinablate.stats.sequential.spending import nominal
from tests.stats.test_verdict import frame

LOOKS = (3, 5, 8)
RNG = np.random.default_rng(4)
NOISE = {name: RNG.standard_normal(16) for name in ("baseline", "A", "B", "C")}
FIRST = {"baseline": 0.0, "A": -20.0, "B": 0.0, "C": -20.0}
PAIR = declared("A over C", {"A": 1, "C": -1})
STOPS = {"A": 3, "B": 8, "C": 3, "A over C": 8}


def values(means, sd=0.2, seeds=8, level=90.0):
    arms = {name: level + mean + sd * NOISE[name] for name, mean in means.items()}
    return {name: v[: 2 * seeds] if name == "baseline" else v[:seeds] for name, v in arms.items()}


def asked(**more):
    planned = {"baseline": 16, "A": 8, "B": 8, "C": 8}
    return Declaration(planned=planned, contrasts=(PAIR,), **more)


def first(status=None, seeds=8):
    return look(frame(values(FIRST, seeds=seeds), status), LOOKS, asked()).verdicts


def named(found):
    return {each.contrast.name: each for each in found.contrasts}


def judged(means, other=None, **more):
    """The other metric, of trials of a study whose own metric stopped its arms at `STOPS`."""
    own = first()
    assert {name: each.look for name, each in named(own).items()} == STOPS
    return named(beside(frame(other or values(means)), asked(**more), own))


def test_each_comparison_is_judged_at_the_look_that_the_first_metric_closed_it():
    found = judged({"baseline": 0.0, "A": 9.0, "B": -9.0, "C": 0.0})
    assert {name: each.look for name, each in found.items()} == STOPS
    words = {name: each.verdict for name, each in found.items()}
    assert words == {"A": "better", "B": "worse", "C": "undecided", "A over C": "better"}


def test_its_interval_is_the_repeated_one_of_that_look():
    found = judged({"baseline": 0.0, "A": 9.0, "B": 0.0, "C": 0.0})
    for name, m in (("A", 3), ("B", 3), ("A over C", 1)):
        one = found[name]
        level = nominal(LOOKS, 0.05 / m)[LOOKS.index(one.look)]
        half = float(t_quantile(1 - level / 2, one.df)) * one.se
        assert one.ci_high - one.delta_pp == pytest.approx(half)
        assert one.p_holm is None


def test_of_the_first_metric_itself_it_says_what_the_first_look_said():
    own = first()
    again = named(beside(frame(values(FIRST)), asked(), own))
    for name in ("A", "C"):
        mine, theirs = again[name], named(own)[name]
        assert (mine.delta_pp, mine.verdict) == (theirs.delta_pp, theirs.verdict)
        assert mine.ci_low <= theirs.ci_low  # Holm's step, which the course may take, is left out


def test_seeds_beyond_the_look_change_no_estimate():
    means = {"baseline": 0.0, "A": 0.5, "B": 0.0, "C": 0.0}
    plain = judged(means)
    odd = values(means)
    odd["baseline"] = np.concatenate([odd["baseline"][:6], np.full(10, 95.0)])
    found = judged(means, odd)
    assert found["A"].delta_pp == plain["A"].delta_pp
    assert found["B"].delta_pp != plain["B"].delta_pp


def test_less_may_be_better():
    found = judged({"baseline": 0.0, "A": 9.0, "B": -9.0, "C": 0.0}, better="lower", unit="none")
    assert (found["A"].verdict, found["B"].verdict) == ("worse", "better")


def test_what_is_open_in_the_first_metric_is_pending():
    own = first(seeds=5)
    assert named(own)["B"].verdict == "pending"
    found = named(beside(frame(values({**FIRST, "B": -9.0}, seeds=5)), asked(), own))
    assert (found["B"].verdict, found["A"].verdict) == ("pending", "worse")


def test_an_arm_that_fails_to_train_does_so_in_every_metric():
    lost = {("A", seed): "diverged" for seed in range(3)}
    own = first(lost)
    assert named(own)["A"].verdict == "fails to train"
    found = named(beside(frame(values(FIRST), lost), asked(), own))
    assert (found["A"].verdict, found["A"].reason) == ("fails to train", named(own)["A"].reason)


def test_an_arm_whose_trials_have_no_record_of_the_metric_is_not_tested():
    found = judged({"baseline": 0.0, "A": 9.0, "B": -9.0, "C": 0.0}, unrecorded={"A": 2})
    assert (found["A"].verdict, found["A over C"].verdict) == ("not tested", "not tested")
    assert "is not recorded of 2 trials of A" in found["A"].reason
    assert found["B"].verdict == "worse"


def test_a_budget_that_ended_before_the_first_look_leaves_it_undecided():
    some = frame(values(FIRST, seeds=2))
    own = look(some, LOOKS, asked(), ended=True).verdicts
    found = named(beside(some, asked(), own))
    assert {each.verdict for each in found.values()} == {"undecided"}
    assert {each.reason for each in found.values()} == {"the budget was met before the first look"}


def test_the_paragraph_says_which_metric_chose_the_seeds():
    text = beside(frame(values(FIRST)), asked(called="test loss"), first()).methods
    assert text.startswith("How many seeds an arm has was decided by test accuracy. Test loss is ")
