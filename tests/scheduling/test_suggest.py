"""What to run next: nothing twice, nothing unasked for, nothing beyond the budget."""

from dataclasses import replace
from pathlib import Path

import pytest

from swinablate.errors import InputError
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.report.answer import gather
from swinablate.scheduling.due import State, due, gpu_seconds
from swinablate.scheduling.status import read_status
from swinablate.scheduling.suggest import next_trials
from swinablate.stats import Contrast, detectable, detectable_at, detectable_effects
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import STUDY

WOBBLE = (0.0, 0.4, -0.3, 0.1, -0.2, 0.3, -0.1, 0.2)
LOOKS = STUDY.replace("seeds = 3\nbaseline_seeds = 3", "[adaptive]\nlooks = [3, 5, 8]").replace(
    "[false]", '[false]\n"train.lr" = [1e-3]'
)
BASE = {"baseline": 90.0, "shift=false": 80.0, "lr=0.001": 90.2}


def planned(path: Path, *settings: str):
    return plan(load_study(path, settings))


def outcome(trial, value: float, status: str = "done", seconds: float = 10.0) -> Outcome:
    done = status == "done"
    return Outcome(
        trial=trial.id, seed=trial.seed, kind="final", attempt=1, status=status,
        recipe=trial.recipe.model_dump(mode="json"), image={},
        metrics={"test/accuracy": value, "val/accuracy": value} if done else {},
        predictions={"sha256": trial.id, "images": 540} if done else {},
        failure=None if done else {"kind": "nan", "message": "?"},
        started_at=0, finished_at=int(1000 * seconds),
    )  # fmt: skip


def measured(trial, status: str = "done", seconds: float = 10.0) -> Outcome:
    """A made-up result of a trial: its arm's mean, and a wobble of its own."""
    wobble = WOBBLE[(trial.seed + len(trial.arm)) % 8] * (1 + trial.seed / 20)
    return outcome(trial, BASE[trial.arm] + wobble, status, seconds)


def play(made, status=lambda trial: "done", seconds: float = 10.0):
    """Run a study as the coordinator does; returns its records and every batch it asked for."""
    recorded, asked = {}, []
    while batch := next_trials(made, recorded):
        asked.append(batch)
        recorded |= {t.id: measured(t, status(t), seconds) for t in batch}
    return recorded, asked


def names(batch) -> dict[str, list[int]]:
    arms = dict.fromkeys(trial.arm for trial in batch)
    return {arm: [t.seed for t in batch if t.arm == arm] for arm in arms}


def told(home: Home, made, recorded):
    """The answer of a home that holds these records."""
    home.create()
    home.declare(plan_record(made, {}, Noise(None, "")))
    for found in recorded.values():
        if not (home.trials / found.trial).exists():
            home.begin(found.trial)
            home.commit(found)
    return gather(home, made.study.name)


def words(answer) -> dict[str, str]:
    return {arm["name"]: arm["verdict"] for arm in answer.verdicts["arms"]}


def test_a_fixed_number_of_seeds_is_asked_for_at_once(write):
    made = planned(write())
    first, second, *rest = made.trials
    known = {first.id: measured(first), second.id: measured(second, "diverged"), "other": 1}
    assert next_trials(made, known) == rest


def test_the_first_look_is_three_seeds_and_twice_as_many_of_the_baseline(write):
    made = planned(write(LOOKS))
    batch = next_trials(made, {})
    assert names(batch) == {
        "baseline": [0, 1, 2, 3, 4, 5], "shift=false": [0, 1, 2], "lr=0.001": [0, 1, 2],
    }  # fmt: skip
    assert [t.seed for t in batch] == sorted(t.seed for t in batch)


def test_a_decided_arm_gets_no_more_seeds(write):
    made = planned(write(LOOKS))
    recorded, asked = play(made)
    assert names(asked[1]) == {"baseline": [6, 7, 8, 9], "lr=0.001": [3, 4]}
    assert names(asked[2]) == {"baseline": [*range(10, 16)], "lr=0.001": [5, 6, 7]}
    assert len(asked) == 3
    assert len(recorded) == 3 + 8 + 16


def test_the_same_records_give_the_same_trials_in_any_order(write):
    made = planned(write(LOOKS))
    recorded, _ = play(made)
    kept = {t: o for t, o in list(recorded.items())[::-1] if hash(t) % 3}
    again = dict(sorted(kept.items()))
    assert next_trials(made, kept) == next_trials(made, again)
    while batch := next_trials(made, again):
        again[batch[-1].id] = measured(batch[-1])  # one by one, the last first
    assert again == recorded


def test_seeds_recorded_by_another_study_are_not_looked_at(write, tmp_path):
    made = planned(write(LOOKS))
    recorded, _ = play(made)
    everything = {t.id: measured(t) for t in made.trials}
    assert next_trials(made, everything) == []
    alone, lent = (
        told(Home(tmp_path / "a"), made, recorded),
        told(Home(tmp_path / "b"), made, everything),
    )
    assert alone.verdicts == lent.verdicts
    assert alone.trials.equals(lent.trials)
    assert len(lent.trials) == 3 + 8 + 16 < len(everything)


def test_what_the_report_says_of_a_finished_study(write, tmp_path):
    made = planned(write(LOOKS))
    answer = told(Home(tmp_path / "h"), made, play(made)[0])
    assert words(answer) == {"shift=false": "worse", "lr=0.001": "undecided"}
    assert (answer.trials.status == "done").all()
    first, second = answer.verdicts["arms"]
    assert (first["n"], first["look"], second["n"], second["look"]) == (3, 3, 8, 8)
    assert "3 seeds vs 6 baseline seeds" in first["sentence"]
    assert answer.verdicts["looks"] == [3, 5, 8]
    steps = [(s["arm"], s["look"], s["verdict"]) for s in answer.verdicts["trace"]]
    assert steps == [
        ("shift=false", 3, "worse"), ("lr=0.001", 3, "pending"), ("lr=0.001", 5, "pending"),
        ("lr=0.001", 8, "undecided"),
    ]  # fmt: skip


def test_an_unfinished_study_shows_what_waits_and_no_more(write, tmp_path):
    made = planned(write(LOOKS))
    first = next_trials(made, {})
    answer = told(Home(tmp_path / "h"), made, {t.id: measured(t) for t in first})
    assert words(answer) == {"shift=false": "worse", "lr=0.001": "pending"}
    assert answer.trials.status.value_counts().to_dict() == {"done": 12, "waiting": 6}
    now = read_status(Home(tmp_path / "h"), "study")
    assert (now.planned, now.done, now.waiting, now.most) == (18, 12, 6, 3 + 8 + 16)
    assert now.arms["shift=false"] == {"done": 3}


def test_an_arm_that_fails_to_train_is_asked_for_no_further_seed(write, tmp_path):
    made = planned(write(LOOKS))
    recorded, asked = play(made, lambda t: "diverged" if t.arm == "lr=0.001" else "done")
    assert len(asked) == 1
    arm = told(Home(tmp_path / "h"), made, recorded).verdicts["arms"][1]
    assert arm["verdict"] == "fails to train"
    assert (arm["n"], arm["diverged"], arm["ci_low"]) == (0, 3, None)


def test_a_diverged_seed_leaves_its_arm_open(write, tmp_path):
    made = planned(write(LOOKS))
    bad = {("lr=0.001", 1): "diverged"}
    recorded, asked = play(made, lambda t: bad.get((t.arm, t.seed), "done"))
    assert len(asked) == 3
    arm = told(Home(tmp_path / "h"), made, recorded).verdicts["arms"][1]
    assert (arm["verdict"], arm["given_convergence"]) == ("undecided", True)
    assert (arm["n"], arm["diverged"]) == (7, 1)
    assert arm["ci_low"] < arm["delta_pp"] < arm["ci_high"]
    assert arm["divergence_low"] == pytest.approx(0.0224, abs=1e-3)  # Wilson, 1 of 8


def test_trials_of_the_budget_end_a_study_between_looks(write, tmp_path):
    made = planned(write(LOOKS), "study.budget.trials=17")
    recorded, asked = play(made)
    assert [len(batch) for batch in asked] == [12]  # the second look would need 18
    now = due(State.of(plan_record(made, {}, Noise(None, "")), recorded))
    assert (now.spent, now.finished, now.most) == (True, True, 12)
    answer = told(Home(tmp_path / "h"), made, recorded)
    assert words(answer) == {"shift=false": "worse", "lr=0.001": "undecided"}
    assert answer.verdicts["arms"][1]["reason"] == "the budget was met after 3 seeds"
    assert (answer.trials.status == "done").all()
    assert len(play(planned(write(LOOKS), "study.budget.trials=18"))[0]) == 18


def test_hours_of_the_budget_are_judged_before_a_look_begins(write):
    """12 trials of 10 s, then 6 more: 180 s; a look that was begun is ended."""
    for hours, count in ((0.0499, 12), (0.05, 18)):
        assert len(play(planned(write(LOOKS), f"study.budget.hours={hours}"))[0]) == count
    made = planned(write(LOOKS), "study.budget.hours=0.05")
    recorded = {t.id: measured(t) for t in next_trials(made, {})}
    slow, *rest = next_trials(made, recorded)
    recorded[slow.id] = measured(slow, seconds=1000.0)
    assert next_trials(made, recorded) == rest


def test_hours_end_the_first_look_too(write, tmp_path):
    made = planned(write(LOOKS), "study.budget.hours=0.01")
    recorded = {t.id: measured(t) for t in next_trials(made, {})[:4]}
    assert next_trials(made, recorded) == []
    answer = told(Home(tmp_path / "h"), made, recorded)
    assert set(words(answer).values()) == {"undecided"}
    reasons = {arm["reason"] for arm in answer.verdicts["arms"]}
    assert reasons == {"the budget was met before the first look"}


@pytest.mark.parametrize(
    ("setting", "count"), [("trials=4", 4), ("hours=0.01", 4), ("hours=9.0", 6)]
)
def test_a_fixed_study_stops_at_its_budget_and_says_what_is_missing(
    write, tmp_path, setting, count
):
    made = planned(write(), f"study.budget.{setting}")
    recorded = {}
    while batch := next_trials(made, recorded):
        recorded[batch[0].id] = measured(batch[0])
    assert len(recorded) == count
    now = due(State.of(plan_record(made, {}, Noise(None, "")), recorded))
    assert (now.spent, len(now.rows)) == (count < 6, 6)
    waiting = told(Home(tmp_path / "h"), made, recorded).trials.status == "waiting"
    assert waiting.sum() == 6 - count


def on_gpus(trial, held: float = 1.0) -> Outcome:
    """The record of a trial of 10 s that held so many GPUs."""
    return replace(measured(trial), provenance={"gpus": held})


@pytest.mark.parametrize(("held", "count"), [(0.0, 6), (0.5, 6), (1.0, 4), (2.0, 2)])
def test_gpu_hours_count_the_gpus_that_each_trial_held(write, held, count):
    """0.01 hours are 36 s of one GPU; of two trials on one, each holds half of it."""
    made, recorded = planned(write(), "study.budget.gpu_hours=0.01"), {}
    while batch := next_trials(made, recorded):
        recorded[batch[0].id] = on_gpus(batch[0], held)
    assert len(recorded) == count
    assert due(State.of(plan_record(made, {}, Noise(None, "")), recorded)).spent == (count < 6)


def test_a_record_that_says_no_number_of_gpus_had_one_if_it_ran_on_one(write):
    trial = next_trials(planned(write()), {})[0]
    old = replace(measured(trial), execution={"type": "cuda"})
    assert [gpu_seconds(one) for one in (measured(trial), old)] == [0.0, 10.0]


def test_gpu_hours_are_judged_before_a_look_begins(write):
    for hours, count in ((0.0499, 12), (0.05, 18)):
        made, recorded = planned(write(LOOKS), f"study.budget.gpu_hours={hours}"), {}
        while batch := next_trials(made, recorded):
            recorded |= {t.id: on_gpus(t) for t in batch}
        assert len(recorded) == count


def test_a_budget_smaller_than_the_first_look_is_refused(write):
    with pytest.raises(InputError) as raised:
        planned(write(LOOKS), "study.budget.trials=11")
    assert raised.value.problem == "the first look needs 12 trials, the budget has 11"
    assert raised.value.at.endswith("study.toml: budget.trials")


def test_more_looks_are_another_analysis_and_the_first_one_stays_visible(write, tmp_path):
    home = Home(tmp_path / "h")
    short = planned(write(LOOKS.replace("[3, 5, 8]", "[3]")))
    told(home, short, play(short)[0])
    long = planned(write(LOOKS))
    assert long.declaration != short.declaration
    answer = told(home, long, play(long)[0])
    (said,) = [w["text"] for w in answer.verdicts["warnings"] if w["code"] == "W9"]
    assert said == (
        "an extension of a study declared with looks at 3 seeds: this is another analysis, whose "
        "error rate does not count the first. The first one says: shift=false worse; "
        "lr=0.001 undecided."
    )
    assert "W8" not in {w["code"] for w in answer.verdicts["warnings"]}


def test_the_plan_says_what_the_looks_can_find(write):
    made = planned(write(LOOKS), "study.compare.sd=0.5")
    told_ = plan_record(made, {}, Noise(0.5, "guess"))
    assert told_.to_json()["trials"] == {"min": 12, "max": 32}
    assert [look.trials for look in told_.looks] == [12, 20, 32]
    found = [look.detectable_pp for look in told_.looks]
    assert found == sorted(found, reverse=True)
    assert told_.detectable_pp == found[-1]


def test_one_look_finds_what_a_fixed_design_finds():
    """Of one look all error is spent there: Bonferroni instead of Dunnett, a little more."""
    fixed = detectable(8, 16, 4, 0.5)
    (alone,) = detectable_at([8], 4, 0.5)
    assert fixed < alone < 1.03 * fixed
    *_, last = detectable_at([3, 5, 8], 4, 0.5)
    assert alone < last < 1.1 * alone


def test_a_contrast_of_two_arms_is_found_as_an_arm_is():
    one = Contrast(name="x", kind="arm", family="f", weights={"a": 1.0, "b": -1.0})
    found = detectable_effects([one], {"a": 8, "b": 16}, 0.5)
    # The same variances are drawn for both, in the order in which each names its arms.
    assert found == {"f": pytest.approx(detectable(8, 16, 1, 0.5), rel=1e-3)}
    half = Contrast(name="y", kind="main effect", family="f", weights={"a": 0.5, "b": -0.5})
    both = detectable_effects([half, half], {"a": 8, "b": 16}, 0.5)
    assert 0.5 * found["f"] < both["f"] < 0.6 * found["f"]  # two comparisons cost a little
