"""`swinablate power`: seeds, budgets, and what cannot be planned."""

import json
import time

import pytest

from swinablate.cli.app import main
from swinablate.stats.estimate import BASELINE_RATIO
from swinablate.stats.planned.planning import Question, best_of
from swinablate.stats.power import detectable, detectable_at, seeds_for_equivalence, seeds_needed

ASKED = ["power", "--arms", "6", "--sd", "0.8"]


def answered(capsys, *words):
    assert main([*ASKED, *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_seeds_for_a_difference_and_for_equivalence(capsys):
    found = answered(capsys, "--rope", "0.5")["needed"]
    n, near = seeds_needed(0.5, 6, 0.8), seeds_for_equivalence(0.5, 6, 0.8)
    assert found["difference"] == {
        "size": 0.5, "seeds": n, "baseline_seeds": 2 * n, "trials": 8 * n,
    }  # fmt: skip
    assert found["equivalence"]["seeds"] == near > n
    other = answered(capsys, "--rope", "0.5", "--effect", "1", "--power", "0.9", "--alpha", "0.1")
    assert other["needed"]["difference"]["seeds"] == seeds_needed(
        1.0, 6, 0.8, power=0.9, alpha=0.1
    )
    assert other["needed"]["equivalence"]["size"] == 0.5


def test_without_a_size_the_table_stands_alone(capsys):
    found = answered(capsys)
    assert found["needed"] == {"difference": None, "equivalence": None}
    assert [row["seeds"] for row in found["shown"]] == [3, 5, 8, 12, 16]
    assert found["shown"][1]["difference"] == pytest.approx(detectable(5, 10, 6, 0.8), abs=1e-4)
    assert found["shown"][1]["trials"] == 6 * 5 + 10
    assert found["budget"] is None


def test_seeds_that_go_together_need_fewer(capsys):
    alone, together, barely = (
        answered(capsys, "--rope", "0.5", "--paired-correlation", r)["needed"]
        for r in ("0", "0.6", "0.2")
    )
    for what in ("difference", "equivalence"):
        assert together[what]["seeds"] < 0.7 * alone[what]["seeds"]
    assert barely == alone


def test_a_budget_is_spent_on_the_smallest_difference(capsys):
    found = answered(capsys, "--hours", "9", "--hours-per-trial", "0.1")["budget"]
    assert found["trials"] == 90
    assert 6 * found["seeds"] + found["baseline_seeds"] == 90
    every = {n: detectable(n, 90 - 6 * n, 6, 0.8) for n in range(3, 13)}
    assert found["difference"] == min(every.values())
    assert every[found["seeds"]] == found["difference"]
    assert found["baseline_seeds"] > found["seeds"]
    last = found["looks"][-1]
    assert last * (6 + BASELINE_RATIO) <= 90 < (last + 1) * (6 + BASELINE_RATIO)
    assert found["last_look"] == detectable_at(found["looks"], 6, 0.8)[-1]
    same = answered(capsys, "--trials", "90")["budget"]
    assert same == found


@pytest.mark.parametrize(("arms", "trials"), [(1, 6), (2, 9), (6, 21), (6, 24), (40, 2000)])
def test_any_budget_that_can_be_judged_is_spent_whole(arms, trials):
    found = best_of(Question(arms=arms, sd=1.0), trials)
    assert arms * found.seeds + found.baseline_seeds == trials
    assert found.baseline_seeds >= found.seeds >= 3
    assert not found.looks or found.looks[-1] * (arms + BASELINE_RATIO) <= trials
    assert list(found.looks) == sorted(set(found.looks))


def test_it_says_so_in_words_on_stdout(capsys):
    assert main([*ASKED, "--rope", "0.5", "--trials", "90"]) == 0
    said, errors = capsys.readouterr()
    n = seeds_needed(0.5, 6, 0.8)
    assert said.splitlines()[0] == (
        f"To show a difference of 0.5, with power 0.8: {n} seeds an arm and {2 * n} of the "
        f"baseline, {8 * n} trials."
    )
    assert "Best of 90 trials: seeds = " in said
    assert "[adaptive] looks = [3, " in said
    assert not errors


@pytest.mark.parametrize(
    ("words", "at"),
    [
        (["--arms", "0"], "--arms"), (["--sd", "0"], "--sd"), (["--sd", "nan"], "--sd"),
        (["--sd", "inf"], "--sd"), (["--rope", "-1"], "--rope"), (["--effect", "0"], "--effect"),
        (["--power", "1"], "--power"), (["--power", "0.3"], "--power"),
        (["--alpha", "0.5"], "--alpha"), (["--paired-correlation", "1"], "--paired-correlation"),
        (["--trials", "20"], "20 trials are less than 3 seeds of 6 arms and the baseline: 21"),
        (["--hours", "3"], "--hours-per-trial is missing"),
        (["--hours-per-trial", "3"], "--hours is missing"),
        (["--hours", "3", "--hours-per-trial", "0"], "are no budget"),
        (["--hours", "3", "--hours-per-trial", "1", "--trials", "9"], "two budgets"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused(capsys, words, at):
    assert main([*ASKED, *words]) == 2
    said, errors = capsys.readouterr()
    assert at in errors
    assert "hint: " in errors
    assert not said


def test_it_answers_before_anybody_gives_up(capsys):
    start = time.process_time()
    assert main([*ASKED, "--rope", "0.4", "--trials", "333", "--alpha", "0.04"]) == 0
    assert time.process_time() - start < 30  # 1 to 2 s were seen
