"""Looking more than once: published bounds, replay, every way a study can end."""

import json

import numpy as np
import pandas as pd
import pytest

from swinablate.errors import InputError
from swinablate.stats import Declaration, Hypothesis, look
from swinablate.stats.sequential.course import course
from swinablate.stats.sequential.spending import bounds, nominal, obrien_fleming, quadratic
from swinablate.stats.sequential.states import Rule, Run

LOOKS = (3, 5, 8, 12, 16)
ARMS = ("worse", "slow", "same", "noise")
EFFECT = {"baseline": 0.0, "worse": -3.0, "slow": -0.45, "same": 0.0, "noise": 0.12}


def results(seeds: int = 32, seed: int = 1) -> pd.DataFrame:
    """All seeds any look could ask for."""
    rng = np.random.default_rng(seed)
    rows = [
        (arm, s, 90 + effect + 0.3 * rng.standard_normal(), "done")
        for arm, effect in EFFECT.items()
        for s in range(seeds if arm == "baseline" else seeds // 2)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "value", "status"])


def declared(**more) -> Declaration:
    planned = dict.fromkeys(ARMS, 16) | {"baseline": 32}
    return Declaration(planned=planned, rope_pp=0.4, **more)


def upto(table: pd.DataFrame, wanted: dict) -> pd.DataFrame:
    return table[table.seed < table.arm.map(wanted)]


def play(table: pd.DataFrame, given: Declaration | None = None, **settings) -> list:
    """Run a study as `next_trials` would: only what is wanted, until it is done."""
    wanted = dict.fromkeys(EFFECT, 0)
    course = []
    while True:
        decided = look(upto(table, wanted), LOOKS, given or declared(), **settings)
        course.append(decided)
        if decided.done:
            return course
        assert decided.wanted != wanted
        wanted = decided.wanted


def test_published_obrien_fleming_bounds():
    """Lan and DeMets, five equal looks, alpha 0.05, two-sided."""
    published = (4.877, 3.357, 2.680, 2.290, 2.031)
    assert bounds((3, 6, 9, 12, 15), 0.05, obrien_fleming) == pytest.approx(published, abs=5e-4)


def test_one_look_spends_everything_at_once():
    assert nominal([5], 0.05) == pytest.approx([0.05])


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 8])
def test_simulated_paths_leave_the_bounds_at_the_rate_spent(alpha):
    rng, paths = np.random.default_rng(3), 400_000
    looks = np.array((3, 5, 8, 12, 16, 20))
    bound = bounds(tuple(looks.tolist()), alpha)
    at, inside, crossed = np.zeros(paths), np.ones(paths, bool), 0
    for i, n in enumerate(looks):
        more = n - (looks[i - 1] if i else 0)
        at += rng.standard_normal(paths) * more**0.5
        leave = inside & (np.abs(at) > bound[i] * n**0.5)
        inside &= ~leave
        crossed += leave.sum()
        target = quadratic(n / 20, alpha)
        assert crossed / paths == pytest.approx(target, abs=4 * (target / paths) ** 0.5)


def test_nominal_levels_of_the_default_looks():
    assert nominal((3, 5, 8, 12, 16, 20), 0.05) == pytest.approx(
        [0.001125, 0.002356, 0.005948, 0.013261, 0.022533, 0.034451], rel=1e-3
    )


@pytest.mark.parametrize("looks", [(), (2, 5), (3, 3), (5, 3)])
def test_looks_that_cannot_be(looks):
    with pytest.raises(InputError) as raised:
        look(results(), looks, declared())
    assert raised.value.problem == f"looks = {list(looks)} cannot be planned"


def test_an_empty_study_asks_for_the_first_look():
    first = look(results().iloc[:0], LOOKS, declared())
    assert first.wanted == {"baseline": 6, **dict.fromkeys(ARMS, 3)}
    assert (first.done, first.look, first.trace) == (False, 0, ())
    assert {arm.verdict for arm in first.verdicts.arms} == {"pending"}
    assert first.verdicts.arms[0].sentence == "worse: pending (3 seeds are due)."


def test_a_study_runs_only_what_it_needs():
    course = play(results())
    last = course[-1]
    words = {arm.name: (arm.verdict, arm.n) for arm in last.verdicts.arms}
    assert words["worse"] == ("worse", 3)
    assert words["slow"][0] == "worse"
    assert words["same"][0] == "equivalent"
    assert sum(last.wanted.values()) < 60 < 32 + 4 * 16
    assert [decided.look for decided in course] == [0, *LOOKS[: len(course) - 1]]
    assert len(last.trace) == len(course) - 1
    json.dumps(last.verdicts.to_json(), allow_nan=False)


def test_a_closed_arm_keeps_its_verdict_and_interval():
    seen = {}
    for decided in play(results()):
        for arm in decided.verdicts.arms:
            now = (arm.verdict, arm.ci_low, arm.ci_high, arm.n)
            if arm.name in seen:
                assert now == seen[arm.name]
            elif arm.verdict != "pending":
                seen[arm.name] = now
    assert set(seen) == set(ARMS)


def test_what_a_look_before_the_last_decides_is_marked_in_words_and_numbers():
    arms = {arm.name: arm for arm in play(results())[-1].verdicts.arms}
    marked = {name: (arm.verdict, arm.stopped_early) for name, arm in arms.items()}
    assert marked == {
        "worse": ("worse", True), "slow": ("worse", arms["slow"].look < 16),
        "same": ("equivalent", True), "noise": ("equivalent", True),
    }  # fmt: skip
    assert arms["worse"].sentence.endswith(
        f": worse. Stopped early, at the look of {arms['worse'].look} seeds: estimates that stop a "
        "comparison are too large on average."
    )
    assert arms["same"].sentence.endswith("a comparison are too near 0 on average.")
    assert arms["worse"].to_json()["stopped_early"] is True
    last = look(results(), (16,), declared()).verdicts.arms[0]
    assert (last.verdict, last.stopped_early) == ("worse", False)
    assert "stopped_early" not in last.to_json()
    assert "Stopped early" not in last.sentence


def test_the_answer_does_not_depend_on_what_else_is_recorded_or_its_order():
    table = results()
    last = play(table)[-1]
    more = look(table.sample(frac=1, random_state=2), LOOKS, declared())
    assert more.verdicts.to_json() == last.verdicts.to_json()
    assert more.wanted == last.wanted


def test_the_drawn_interval_and_the_test_agree():
    for seed in range(25):
        for arm in play(results(seed=seed))[-1].verdicts.arms:
            assert (arm.ci_low > 0) == (arm.verdict == "better")
            assert (arm.ci_high < 0) == (arm.verdict == "worse")
            inside = arm.equivalence_low > -0.4 and arm.equivalence_high < 0.4
            assert inside == (arm.verdict == "equivalent" or arm.negligible)


def test_a_missing_seed_holds_the_look_back():
    table = results()
    table = table[~((table.arm == "same") & (table.seed == 1))]
    decided = look(upto(table, dict.fromkeys(EFFECT, 6)), LOOKS, declared())
    assert (decided.look, decided.wanted["same"], decided.done) == (0, 3, False)
    assert {arm.verdict for arm in decided.verdicts.arms} == {"pending"}


def test_an_arm_of_which_a_seed_failed_closes_without_a_verdict():
    table = results()
    table.loc[(table.arm == "same") & (table.seed == 1), "status"] = "failed"
    last = play(table)[-1]
    same = last.verdicts.arms[2]
    assert (same.verdict, same.reason) == ("undecided", "same failed on seed 1")
    assert last.wanted["same"] == 3
    assert last.verdicts.arms[0].verdict == "worse"


def test_an_arm_whose_seeds_all_diverge_is_decided_at_its_first_look():
    """It needs no further seed; its siblings go on as if it were any decided arm."""
    table = results()
    table.loc[table.arm == "same", "status"] = "diverged"
    asked = (Hypothesis("same", "worse", 1.0), Hypothesis("worse", "worse"))
    last = play(table, given=declared(hypotheses=asked))[-1]
    same = last.verdicts.arms[2]
    assert (same.verdict, same.look, same.n, same.diverged) == ("fails to train", 3, 0, 3)
    assert same.reason.startswith("diverged on 3 of 3 seeds, the baseline on 0 of 6 (Fisher")
    assert same.sentence.startswith("same fails to train: it diverged on 3 of 3 seeds")
    assert same.hypothesis.answer == "supported"
    assert last.wanted["same"] == 3
    assert last.verdicts.arms[0].verdict == "worse"
    assert [s.verdict for s in last.verdicts.trace if s.arm == "same"] == ["fails to train"]


def test_one_diverged_seed_leaves_the_looks_to_the_others():
    table = results()
    table.loc[(table.arm == "same") & (table.seed == 1), "status"] = "diverged"
    same = play(table)[-1].verdicts.arms[2]
    assert (same.verdict, same.given_convergence) == ("equivalent", True)
    assert (same.divergence.diverged, same.divergence.seeds) == (1, same.look)
    assert same.worst_low < -5 < same.delta_pp == same.worst_high
    assert "within 0.4 pp given convergence (" in same.sentence
    assert f"{same.look - 1} seeds vs {2 * same.look} baseline seeds" in same.sentence


def test_a_diverged_baseline_seed_silences_nobody():
    table = results()
    table.loc[(table.arm == "baseline") & (table.seed == 4), "status"] = "diverged"
    before, last = play(results())[-1].verdicts, play(table)[-1].verdicts
    assert [a.verdict for a in last.arms] == [a.verdict for a in before.arms]
    assert all(arm.given_convergence for arm in last.arms)
    assert "baseline on 1 of " in last.arms[0].sentence


def test_shares_are_judged_with_what_each_look_may_spend():
    """Three of eight is no chance at the last look, and was not said at the look before."""
    table = results()
    table.loc[(table.arm == "same") & table.seed.isin([0, 1]), "status"] = "diverged"
    strict = Declaration(planned=declared().planned, rope_pp=0.01)  # the arm stays open
    same = play(table, given=strict)[-1].verdicts.arms[2]
    assert same.verdict == "undecided"  # 2 of 16 in the end
    table.loc[(table.arm == "same") & (table.seed < 9) & (table.seed > 2), "status"] = "diverged"
    same = play(table, given=strict)[-1].verdicts.arms[2]
    assert (same.verdict, same.look) == ("fails to train", 8)


def test_an_arm_with_too_few_seeds_left_waits_for_more():
    table = results()
    table.loc[(table.arm == "same") & (table.seed == 1), "status"] = "diverged"
    first = look(upto(table, dict.fromkeys(EFFECT, 6)), LOOKS, declared())
    assert (first.verdicts.arms[2].verdict, first.wanted["same"]) == ("pending", 5)
    only = look(upto(table, dict.fromkeys(EFFECT, 6)), (3,), declared()).verdicts.arms[2]
    assert only.verdict == "undecided"
    assert only.reason == "same diverged on 1 of 3 seeds, and 3 are needed that did not"


def test_where_no_seed_differs_the_last_look_says_so():
    table = results()
    table["value"] = 90.0
    assert {arm.reason for arm in play(table)[-1].verdicts.arms} == {
        "no seed differs from another: the noise is unknown"
    }


def test_a_lost_seed_after_the_arm_closed_changes_nothing():
    table = results()
    before = play(table)[-1]
    table.loc[(table.arm == "worse") & (table.seed == 9), "status"] = "diverged"
    assert look(table, LOOKS, declared()).verdicts.to_json() == before.verdicts.to_json()


def test_what_is_open_at_the_last_look_is_undecided():
    table = results()
    table.loc[table.arm == "same", "value"] += 0.1
    strict = Declaration(planned=declared().planned, rope_pp=0.05)
    decided = look(table, LOOKS, strict)
    assert decided.done
    same = decided.verdicts.arms[2]
    assert (same.verdict, same.reason, same.n) == ("undecided", None, 16)
    assert same.ci_low < 0 < same.ci_high
    assert "95 % repeated CI" in same.sentence


def test_hypotheses_are_answered_when_the_arm_closes():
    asked = (Hypothesis("worse", "worse", 1.0), Hypothesis("same", "equivalent"))
    table = results()
    early = look(upto(table, dict.fromkeys(EFFECT, 6)), LOOKS, declared(hypotheses=asked))
    late = look(table, LOOKS, declared(hypotheses=asked))
    answers = [arm.hypothesis.answer for arm in early.verdicts.arms if arm.hypothesis]
    assert answers == ["supported", "unresolved"]
    assert late.verdicts.arms[2].hypothesis.answer == "supported"


def test_pairing_is_decided_once_and_then_kept():
    rng = np.random.default_rng(5)
    luck = 2 * rng.standard_normal(32)
    names = [f"a{i}" for i in range(8)]
    rows = [
        (arm, s, 90 + luck[s] + 0.3 * rng.standard_normal())
        for arm in ("baseline", *names)
        for s in range(32)
    ]
    table = pd.DataFrame(rows, columns=["arm", "seed", "value"])
    planned = Declaration(planned=dict.fromkeys(["baseline", *names], 32), rope_pp=0.8)
    paired, apart = (look(table, LOOKS, planned, method=m) for m in ("auto", "shrunken"))
    assert paired.verdicts.method.startswith("group-sequential paired t")
    assert apart.verdicts.method.startswith("group-sequential Welch t")
    assert sum(paired.wanted.values()) < sum(apart.wanted.values())
    assert {arm.verdict for arm in paired.verdicts.arms} == {"equivalent"}


def test_the_methods_paragraph_says_what_was_done():
    text = play(results())[-1].verdicts.methods
    assert text.startswith(
        "Test accuracy was compared with the baseline's in 4 declared comparisons by a "
        "group-sequential design with looks at 3, 5, 8, 12, 16 seeds an arm, the baseline "
        "having twice as many; arms stopped at 3 to "
    )
    assert "spent with the square of the seeds; Holm over arms" in text


@pytest.mark.parametrize("unit", ["nats", "pp"])
def test_where_less_is_better_the_looks_say_the_same_of_the_negatives(unit):
    table = results()
    table["value"] += np.where(table.arm == "slow", 4.0, 0.0)
    asked = (Hypothesis("slow", "better", 1.0), Hypothesis("worse", "worse", 1.0))
    usual = look(table, LOOKS, declared(hypotheses=asked))
    mirrored = table.assign(value=-table.value)
    lower = declared(hypotheses=asked, better="lower", unit=unit)
    found = look(mirrored, LOOKS, lower)
    assert (found.wanted, found.done) == (usual.wanted, usual.done)
    words = {arm.verdict for arm in usual.verdicts.arms}
    assert {"better", "worse"} <= words
    for ours, theirs in zip(found.verdicts.arms, usual.verdicts.arms, strict=True):
        assert ours.verdict == theirs.verdict
        assert ours.delta_pp == pytest.approx(-theirs.delta_pp)
        assert ours.hypotheses == theirs.hypotheses


def test_a_diverged_seed_of_a_loss_has_no_worst_case_and_is_named():
    table = results()
    lost = (table.arm == "same") & (table.seed == 1)
    table = table.assign(status=np.where(lost, "diverged", "done"))
    for unit, better in (("nats", "lower"), ("pp", "lower"), ("pp", "higher")):
        found = look(table, LOOKS, declared(unit=unit, better=better))
        arm = next(arm for arm in found.verdicts.arms if arm.name == "same")
        assert arm.given_convergence
        assert (arm.worst_low is None) == ((unit, better) != ("pp", "higher"))


def test_a_rejection_leaves_more_level_for_the_rest():
    """Holm: p = 0.035 of two arms counts once the other is rejected, and only then."""
    base = np.linspace(-1, 1, 10)
    five = np.linspace(-1, 1, 5)

    def run(shift: float, other: float) -> list:
        runs = {
            "b": Run(values=base),
            "x": Run(values=five + other),
            "y": Run(values=five + shift),
        }
        rule = Rule(looks=(5,), alpha=0.05, rope=None, floor=0.0, method="auto")
        return list(course(runs, rule).states.values())

    shift = next(s for s in np.arange(0.5, 1.5, 0.01) if run(s, 0.0)[1].p < 0.035)
    alone, helped = run(shift, 0.0)[1], run(shift, 9.0)[1]
    assert alone.p == pytest.approx(helped.p)
    assert (alone.word, alone.level) == ("undecided", pytest.approx(0.025))
    assert (helped.word, helped.level) == ("better", pytest.approx(0.05))
    assert alone.low < 0 < helped.low


def test_a_decision_not_to_pair_is_kept():
    """Seeds 0 to 4 are independent; later ones agree, which may not be used any more."""
    rng = np.random.default_rng(5)
    luck = np.where(np.arange(32) < 5, 0.0, 3 * rng.standard_normal(32))
    arms = {name: luck + 0.5 * rng.standard_normal(32) for name in ["b", *"cdefghij"]}
    rule = Rule(looks=LOOKS, alpha=0.05, rope=0.1, floor=0.0, method="auto")
    end = course({arm: Run(values=values) for arm, values in arms.items()}, rule)
    assert (end.paired, len(end.trace)) == ({"arms": False}, 5)


def test_an_open_arm_answers_no_hypothesis():
    asked = (Hypothesis("noise", "worse", 2.0),)
    table = upto(results(), dict.fromkeys(EFFECT, 6))
    arm = look(table, LOOKS, declared(hypotheses=asked)).verdicts.arms[3]
    assert arm.verdict == "pending"
    assert arm.ci_low > -2
    assert arm.hypothesis.answer == "unresolved"


def test_looks_at_arms_that_share_no_random_numbers_are_never_within_seeds():
    rng = np.random.default_rng(3)
    table = results()
    luck = rng.standard_normal(32)
    table["value"] = 90 + luck[table.seed] + 0.05 * rng.standard_normal(len(table))
    together = play(table)[-1].verdicts
    assert "paired" in together.method
    alone = play(table, declared(apart=frozenset({"worse"})))[-1].verdicts
    assert "paired" not in alone.method
    assert alone.arms[0].ci_high - alone.arms[0].ci_low > 0.3, "what seeds share is noise here"
