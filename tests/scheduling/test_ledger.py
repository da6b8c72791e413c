"""Two-mode fairness: what is suggested, what is chosen, what counts, and what is warned about."""

import itertools
import json
import random
from pathlib import Path

import pytest

from swinablate.cli.wording.plan_text import promise
from swinablate.config.recipe import trial_id
from swinablate.errors import InputError
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.records.plan import Row, everything
from swinablate.records.tuning import Ledger
from swinablate.report import render
from swinablate.report.answer import gather
from swinablate.scheduling.due import State, due
from swinablate.scheduling.ledger import chosen, tries, unguided
from swinablate.scheduling.sampler import suggest
from swinablate.scheduling.status import read_status
from swinablate.scheduling.suggest import advance, next_trials, trial_of
from swinablate.stats.budget import expected_best
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise, expected_noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from swinablate.study.tunable import trying, tuned
from tests.conftest import RECIPE, STUDY

TABLE = """\
[tune]
trials = 7
space = { "train.lr" = { low = 3e-4, high = 1e-2, log = true }, "train.clip" = [0.0, 5.0] }
"""
TUNE = STUDY + TABLE
SHIFTED, BASE = "shift=false", "baseline"
SPACE = {"train.lr": {"low": 1e-4, "high": 1e-2, "log": True}, "train.clip": [0.0, 5.0]}
WOBBLE = (0.0, 0.4, -0.3, 0.1, -0.2, 0.3)


def planned(path: Path):
    return plan(load_study(path))


def validation(trial) -> float:
    """Made-up validation accuracy: each arm has its best learning rate, far from the recipe's."""
    best = 1e-3 if trial.arm == BASE else 6e-3
    return 80 - 10 * abs(trial.recipe.train.lr / best - 1) - trial.recipe.train.clip


def test_accuracy(trial) -> float:
    """Made-up test accuracy, against validation: who chose by it would take the wrong recipe."""
    wobble = WOBBLE[(trial.seed + len(trial.arm)) % 6]
    fixed = trial.recipe.train.lr == 3e-3
    shifted = trial.arm != BASE
    return 90 + wobble + (5 if fixed else 0) + (-5 if shifted and fixed else 3 if shifted else 0)


test_accuracy.__test__ = False  # a helper, whatever its name


def measured(trial, status: str = "done") -> Outcome:
    done = status == "done"
    final = {"test/accuracy": test_accuracy(trial)} if trial.kind == "final" else {}
    return Outcome(
        trial=trial.id, seed=trial.seed, kind=trial.kind, attempt=1, status=status,
        recipe=trial.recipe.model_dump(mode="json"), image={},
        metrics={"val/accuracy": validation(trial), **final} if done else {},
        predictions={"sha256": trial.id, "images": 540} if done and final else {},
        failure=None if done else {"kind": "nan", "message": "?"},
        started_at=0, finished_at=1000,
    )  # fmt: skip


def play(made, status=lambda trial: "done", order=sorted, at_once=100):
    """Run a study as the coordinator does, trials ending in any order; records and ledger."""
    state = State.of(plan_record(made, {}, Noise(None, "")), {})
    arms = {arm.name: arm for arm in made.arms}
    while True:
        state = advance(made, state, lambda _: {})
        rows = {row.trial: row for row in due(state).upcoming()}
        if not rows:
            return state.plan, dict(state.outcomes)
        for one in order(list(rows))[:at_once]:
            trial = trial_of(arms[rows[one].arm.name], rows[one], state.plan.ledger)
            assert trial.id == one
            state = state.add(measured(trial, status(trial)))


def tune_trials(made, declared):
    """All trials that the ledger names: those of tuning, and the final ones they may lead to."""
    ledger, found = declared.ledger, []
    for arm in made.arms:
        own = declared.arm(arm.name)
        for entry in ledger.of(arm.name):
            tries = [Row(own, i, t, "try", entry.number) for i, t in enumerate(entry.trials)]
            seeds = zip(arm.seeds, entry.finals, strict=True)
            finals = [Row(own, seed, t, "tuned", entry.number) for seed, t in seeds]
            for row in [*tries, *finals]:
                found.append(trial_of(arm, row, ledger))
                assert found[-1].id == row.trial
    return found


def told(home: Home, made, declared, recorded):
    """The answer of a home that holds these records and this ledger."""
    home.create()
    home.declare(plan_record(made, {}, Noise(None, "")))
    if declared.ledger.arms:
        home.keep_ledger(made.study.name, made.declaration, declared.ledger)
    for found in recorded.values():
        if not (home.trials / found.trial).exists():
            home.begin(found.trial)
            home.commit(found)
    return gather(home, made.study.name)


def test_every_arm_tries_as_many_recipes_its_own_first_and_takes_the_best(write):
    made = planned(write(TUNE))
    declared, recorded = play(made)
    for arm in made.arms:
        found = tries(declared, arm.name, recorded)
        assert len({json.dumps(dict(one.params), sort_keys=True) for one in found}) == 7
        assert found[0].params == {"train.lr": 3e-3, "train.clip": 5.0}
        best = chosen(declared, arm.name, recorded)
        assert best.value == max(one.value for one in found) > found[0].value
    first, second = (tries(declared, arm.name, recorded) for arm in made.arms)
    assert [a.params for a in first[:2]] == [b.params for b in second[:2]]  # the same draws
    assert [a.params for a in first] != [b.params for b in second]  # then each its own way


def test_tuning_trials_have_a_stream_of_their_own_and_final_ones_that_of_the_arm(write):
    made = planned(write(TUNE))
    declared, _ = play(made)
    kinds = {"tune": set(), "final": set()}
    for trial in tune_trials(made, declared):
        kinds[trial.kind].add(trial.recipe.train.stream)
    assert kinds == {"tune": {"tune"}, "final": {"main"}}
    again = planned(write(TUNE.replace("[false]", '[false]\n"train.stream" = ["again"]')))
    streams = {
        (t.arm, t.recipe.train.stream)
        for t in tune_trials(again, play(again)[0])
        if t.kind == "tune"
    }
    assert streams == {(BASE, "tune"), (SHIFTED, "tune"), ("stream=again", "tune/again")}


@pytest.mark.parametrize("at_once", [1, 3])
def test_the_order_in_which_trials_end_changes_nothing(write, at_once):
    made = planned(write(TUNE))
    whole, recorded = play(made)
    rng = random.Random(at_once)
    mixed, again = play(made, order=lambda ids: rng.sample(ids, len(ids)), at_once=at_once)
    assert mixed.ledger == whole.ledger
    assert again == recorded


def test_killed_in_tuning_the_ledger_decides_not_the_sampler(write, tmp_path):
    made = planned(write(TUNE))
    whole, recorded = play(made)
    half = {name: list(entries[:4]) for name, entries in whole.ledger.arms.items()}
    odd = {"number": 3, "params": {"train.lr": 0.0077, "train.clip": 0.0}}
    arm = made.arms[1]
    odd["trials"] = [trial_id(trying(arm.recipe, odd["params"]), 0)]
    odd["finals"] = [trial_id(tuned(arm.recipe, odd["params"]), seed) for seed in arm.seeds]
    half[SHIFTED] = [*half[SHIFTED][:3], odd]  # as another version of the sampler suggested it
    ledger = Ledger(arms=half)
    lost = odd["trials"][0]
    known = {trial: found for trial, found in recorded.items() if trial != lost}

    waiting = next_trials(made, known, ledger)
    assert (lost, "tune", 0.0077) in [(t.id, t.kind, t.recipe.train.lr) for t in waiting]
    assert next_trials(made, known, whole.ledger) == []

    home = Home(tmp_path / "home")
    home.create()
    home.declare(plan_record(made, {}, Noise(None, "")))
    home.keep_ledger(made.study.name, made.declaration, ledger)
    assert home.declared(made.study.name).ledger == ledger


def test_the_seeds_at_both_recipes_are_never_mixed(write, tmp_path):
    made = planned(write(TUNE))
    declared, recorded = play(made)
    answer = told(Home(tmp_path / "home"), made, declared, recorded)
    judged, tuning = answer.verdicts, answer.verdicts["tuning"]

    assert judged["baseline"]["n"] == 3
    assert judged["baseline"]["mean"] == pytest.approx(95 + sum(WOBBLE[2:5]) / 3)
    (arm,) = judged["arms"]
    assert (arm["n"], arm["verdict"]) == (3, "worse")
    assert arm["delta_pp"] == pytest.approx(-4.6, abs=0.5)
    (effect,) = [c for c in judged["contrasts"] if c["basis"] == "tuned"]
    assert (effect["name"], effect["family"]) == ("shift=false, tuned", "tuned")
    assert effect["weights"] == {SHIFTED: 1.0, BASE: -1.0}
    assert (effect["verdict"], effect["p_holm"]) == ("undecided", None)
    assert effect["reason"] == "one tuning an arm: how lucky it was is in no interval"
    assert effect["delta_pp"] == pytest.approx(3.4, abs=0.5)
    assert effect["ci_low"] > 0  # as it would be judged, were the recipes all there is
    base, shifted = tuning["arms"]
    assert (base["n"], base["done"], base["tries"]) == (3, 7, 7)
    assert base["mean"] == pytest.approx(90 + sum(WOBBLE[2:5]) / 3)
    assert (shifted["sign_flips"], shifted["verdict_flips"]) == (False, False)
    assert (base["sign_flips"], base["fixed_pp"]) == (False, None)
    assert shifted["sentence"] == (
        "Of these two recipes, the one found for shift=false and the one found for the baseline, "
        f"the first differs by {effect['delta_pp']:+.2f} pp in test accuracy (95 % simultaneous "
        f"CI {effect['ci_low']:+.2f} to {effect['ci_high']:+.2f}, given the recipes found). "
        "Another tuning would find others, and how much those differ is not known: there is no "
        "verdict about the arms."
    )
    assert not [w for w in judged["warnings"] if w["code"] in {"W3", "W6", "W16"}]
    assert set(answer.trials.trial) == {trial.id for trial in made.trials}
    assert answer.tuning.kind.value_counts().to_dict() == {"tune": 14, "final": 6}
    assert answer.tuning[answer.tuning.kind == "tune"].test_acc.isna().all()


def test_the_table_of_trials_has_each_once_with_the_recipe_it_counts_for(write, tmp_path):
    made = planned(write(TUNE))
    declared, recorded = play(
        made, lambda t: "diverged" if t.kind == "tune" and t.arm == BASE else "done"
    )
    answer = told(Home(tmp_path / "home"), made, declared, recorded)
    assert len(recorded) == 6 + 14 + 3  # the baseline keeps its recipe: its seeds ran already
    render(answer, tmp_path / "report")
    rows = (tmp_path / "report/tables/trials.csv").read_text().splitlines()
    head, *rest = [row.split(",") for row in rows]
    assert len(rest) == len({row[head.index("trial")] for row in rest}) == 23
    kinds = [(row[head.index("kind")], row[head.index("basis")]) for row in rest]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        ("final", "both"): 3, ("final", "fixed"): 3, ("tune", ""): 14, ("final", "tuned"): 3
    }  # fmt: skip
    base, shifted = answer.verdicts["tuning"]["arms"]
    assert (base["chosen"], base["diverged"], base["n"]) == (0, 7, 3)
    assert (shifted["done"], shifted["n"]) == (7, 3)


def test_unequal_tuning_is_warned_about_and_a_little_is_not(write, tmp_path):
    made = planned(write(TUNE))
    ended = iter(range(100))

    def some(trial):
        tuned = trial.kind == "tune" and trial.arm == SHIFTED
        return ("failed", "diverged", "done")[min(2, next(ended))] if tuned else "done"

    answer = told(Home(tmp_path / "2"), made, *play(made, some))
    assert [w["code"] for w in answer.verdicts["warnings"] if w["code"] == "W3"] == []
    ended = iter(range(100))

    def most(trial):
        tuned = trial.kind == "tune" and trial.arm == SHIFTED
        return "diverged" if tuned and next(ended) < 4 else "done"

    answer = told(Home(tmp_path / "4"), made, *play(made, most))
    (text,) = [w["text"] for w in answer.verdicts["warnings"] if w["code"] == "W3"]
    assert text == (
        "tuning trials that ended well: 7 of baseline, 3 of shift=false (4 diverged or failed). "
        "The tuned comparison favours the arms with more; read the expected best by the number "
        "of tries instead."
    )


def test_a_test_accuracy_in_a_tuning_trial_is_told_and_not_used(write, tmp_path):
    made = planned(write(TUNE))
    declared, recorded = play(made)
    before = told(Home(tmp_path / "clean"), made, declared, recorded).verdicts["tuning"]
    first = declared.ledger.of(BASE)[1].trials[0]
    old = recorded[first]
    recorded[first] = Outcome(
        **{**vars(old), "kind": "final", "metrics": {**old.metrics, "test/accuracy": 99.9}}
    )
    answer = told(Home(tmp_path / "leak"), made, declared, recorded)
    assert [w["text"] for w in answer.verdicts["warnings"] if w["code"] == "W6"] == [
        (
            "1 tuning trials of baseline have a test accuracy. The choice was made on validation "
            "accuracy alone, but somebody could see the test set."
        )
    ]
    assert answer.verdicts["tuning"] == before


def test_unfinished_the_fixed_recipes_have_verdicts_and_the_tuned_wait(write, tmp_path):
    made = planned(write(TUNE))
    declared, recorded = play(made)
    short = {k: v for k, v in recorded.items() if v.kind == "final"}
    first = {arm: found[:2] for arm, found in declared.ledger.arms.items()}
    declared = declared.model_copy(update={"ledger": Ledger(arms=first)})
    home = Home(tmp_path / "home")
    answer = told(home, made, declared, short)
    assert [arm["verdict"] for arm in answer.verdicts["arms"]] == ["worse"]
    (effect,) = [c for c in answer.verdicts["contrasts"] if c["basis"] == "tuned"]
    assert (effect["verdict"], effect["delta_pp"]) == ("pending", None)
    base = answer.verdicts["tuning"]["arms"][0]
    assert (base["tries"], base["waiting"], base["chosen"], base["params"]) == (2, 2, None, None)
    now = read_status(home, made.study.name)
    assert (now.planned, now.done, now.waiting, now.most) == (10, 6, 4, 6 + 14 + 6)
    page = (render(answer, tmp_path / "report"), (tmp_path / "report/report.md").read_text())[1]
    assert "# INTERIM: " in page
    assert (
        "**This study is not finished: tuning is not complete; what stands under Tuned waits "
        "for it.**"
    ) in page


def test_a_budget_ends_tuning_and_the_tuned_stay_without_verdict(write, tmp_path):
    made = planned(write(TUNE + "[budget]\ntrials = 12\n"))
    declared, recorded = play(made)
    assert len(recorded) == 12
    now = due(State.of(declared, recorded))
    assert (now.spent, now.waiting) == (True, ())
    answer = told(Home(tmp_path / "home"), made, declared, recorded)
    assert [arm["verdict"] for arm in answer.verdicts["arms"]] == ["worse"]
    (effect,) = [c for c in answer.verdicts["contrasts"] if c["basis"] == "tuned"]
    assert effect["verdict"] == "pending"


def test_plan_says_what_tuning_costs_and_the_declaration_holds_it(write):
    path = write(TUNE)
    made = planned(path)
    shown = plan_record(made, {}, Noise(None, ""))
    assert shown.to_json()["trials"] == {"min": 6 + 14, "max": 6 + 14 + 6}
    assert shown.to_json()["tune"] == {
        "trials": 7, "seeds": 1,  # repeats = 1 is not written: it is what 0.1 declared
        "space": {
            "train.lr": {"low": 3e-4, "high": 1e-2, "log": True}, "train.clip": [0.0, 5.0]
        },
    }  # fmt: skip
    assert [arm.trials for arm in shown.arms] == [
        tuple(trial_id(arm.recipe, seed) for seed in arm.seeds) for arm in made.arms
    ]
    assert (
        "Tuning: 7 recipes for each of 2 arms over train.lr, train.clip, 1 seed each, on "
        "validation accuracy: 14 trials; then up to 6 final trials more at what was chosen."
    ) in promise(shown)
    plain = planned(write(STUDY))
    assert plan_record(plain, {}, Noise(None, "")).tune is None
    other = planned(write(TUNE.replace("trials = 7", "trials = 8")))
    assert len({made.declaration, plain.declaration, other.declaration}) == 3


def test_tuning_trials_say_nothing_about_the_noise_of_the_test_accuracy(write, tmp_path):
    made = planned(write(TUNE))
    declared, recorded = play(made)
    home = Home(tmp_path / "home")
    told(home, made, declared, recorded)
    noise = expected_noise(made, home)
    assert noise.source == "12 recorded trials of 4 recipes on digits"


def test_the_ledger_names_every_trial_and_only_real_ones(write):
    made = planned(write(TUNE.replace("trials = 7", "trials = 7\nseeds = 2")))
    declared, recorded = play(made)
    ids = {t.id for t in [*tune_trials(made, declared), *made.trials]}
    assert set(everything(declared)) == ids
    assert recorded.keys() <= ids
    assert len(recorded) == 6 + 28 + 6
    found = tries(declared, BASE, recorded)[1]
    entry = declared.ledger.of(BASE)[1]
    assert found.value == sum(recorded[t].metrics["val/accuracy"] for t in entry.trials) / 2


def test_ties_go_to_the_earliest(write, monkeypatch):
    made = planned(write(TUNE))
    monkeypatch.setattr("tests.scheduling.test_ledger.validation", lambda trial: 50.0)
    declared, recorded = play(made)
    assert [chosen(declared, arm.name, recorded).number for arm in made.arms] == [0, 0]
    assert len(recorded) == 6 + 14  # nothing runs twice


@pytest.mark.parametrize(("trials", "first"), [(2, 2), (6, 2), (12, 4), (100, 10)])
def test_a_third_is_drawn_before_results_guide(trials, first):
    assert unguided(trials) == first


def test_suggestions_depend_on_the_history_and_nothing_else():
    history = [
        ({"train.lr": 1e-4 * 2**k, "train.clip": 5.0 * (k % 2)}, 10.0 * k) for k in range(6)
    ]
    one = suggest(SPACE, history, seed=3, unguided=2)
    assert suggest(SPACE, history, seed=3, unguided=2) == one
    turned = [(point, -value) for point, value in history]
    assert suggest(SPACE, turned, seed=3, unguided=2) != one
    blind = [suggest(SPACE, h, seed=3, unguided=9) for h in (history, turned)]
    assert blind[0] == blind[1]
    assert 1e-4 <= one["train.lr"] <= 1e-2
    assert one["train.clip"] in {0.0, 5.0}


def test_good_places_are_tried_more_often():
    history = [({"x": x / 40}, -abs(x / 40 - 0.7)) for x in range(40)]
    space = {"x": {"low": 0.0, "high": 1.0, "log": False}}
    found = [suggest(space, history, seed=s, unguided=2)["x"] for s in range(20)]
    blind = [suggest(space, history, seed=s, unguided=50)["x"] for s in range(20)]
    assert all(abs(x - 0.7) < 0.1 for x in found)
    assert sum(abs(x - 0.7) < 0.1 for x in blind) < 10


def test_nothing_is_suggested_twice_and_a_point_outside_is_no_obstacle():
    space = {"a": ["x", "y", "z"], "b": [False, True], "c": {"low": 1, "high": 2, "log": False}}
    points = [{"a": "other", "b": False, "c": 9}]  # the arm's own recipe, outside of the space
    for _ in range(12):
        points.append(suggest(space, [(p, 1.0) for p in points], seed=5, unguided=2))
    every = {tuple(point.values()) for point in points[1:]}
    assert every == set(itertools.product("xyz", (False, True), (1, 2)))
    assert all(type(point["b"]) is bool and type(point["c"]) is int for point in points[1:])


def test_the_expected_best_is_the_mean_over_all_choices():
    values = [3.0, 1.0, 8.0, 4.5]
    exact = [
        sum(map(max, found)) / len(found)
        for k in range(1, 5)
        for found in [list(itertools.combinations(values, k))]
    ]
    assert expected_best(values) == pytest.approx(exact)
    assert expected_best([]) == []
    rng = random.Random(0)
    draws = [expected_best([rng.gauss(0, 1) for _ in range(20)]) for _ in range(3000)]
    assert sum(d[-1] for d in draws) / 3000 == pytest.approx(1.867, abs=0.03)
    assert sum(d[9] for d in draws) / 3000 == pytest.approx(1.539, abs=0.03)


WRONG = {
    "a model's switch": ('"train.lr"', '"model.width"', "'model.width' cannot be tuned", "train.lr"),
    "what it costs": ('"train.lr"', '"train.epochs"', "'train.epochs' cannot be tuned", "one of"),
    "a low that is high": ("low = 3e-4", "low = 3e-1", "low = 0.3 is not below high = 0.01", "swap"),
    "no logarithm": ("low = 3e-4", "low = 0.0", "low = 0.0 has no logarithm", "drop log"),
    "a misspelled end": ("low = 3e-4", "lo = 3e-4", "is no range and no list", "{ low = 3e-4"),
    "no range": ("[0.0, 5.0]", "3.0", "train.clip = 3.0 is no range and no list", "0.05]"),
    "one level": ("[0.0, 5.0]", "[5.0]", "train.clip = [5.0] is no choice", "two or more"),
    "a level twice": ("[0.0, 5.0]", "[5, 5.0]", "is no choice", "different"),
    "a value out of range": ("[0.0, 5.0]", "[0.0, -5.0]", "greater than or equal to 0", "write"),
    "one trial": ("trials = 7", "trials = 1", "greater than or equal to 2, got 1", "write"),
    "no seed": ("trials = 7", "trials = 7\nseeds = 0", "greater than or equal to 1, got 0", "write"),
    "an unknown key": ("trials = 7", "trial = 7", "unknown key 'trial'", "did you mean 'trials'"),
    "too few points": (
        '{ "train.lr" = { low = 3e-4, high = 1e-2, log = true }, "train.clip" = [0.0, 5.0] }',
        '{ "train.clip" = [0.0, 5.0], "train.nesterov" = [true, false] }',
        "the space has 4 points, 7 trials are asked for", "write trials = 4",
    ),
    "with looks": (
        "seeds = 3\nbaseline_seeds = 3", "[adaptive]\nlooks = [3, 5]",
        "[tune] and [adaptive] are not possible together", "fixed number",
    ),
    "with a design": (
        "seeds = 3", "design = 'factorial'\nseeds = 3",
        "[tune] and design = 'factorial' are not possible together", "one_at_a_time",
    ),
    "what an arm changes": (
        "[false]", '[false]\n"train.lr" = [1e-3]', "the study varies 'train.lr' itself", "leave it",
    ),
    "what a table changes": (
        "[false]", '[false]\n"train" = [{ lr = 1e-3 }]', "the study varies 'train.lr' itself", "leave",
    ),
    "its own stream": (
        "[false]", '[false]\n"train.stream" = ["tune"]', "the stream 'tune', which is tuning's own",
        "again",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_tuned_is_refused_with_a_remedy(write, case):
    old, new, problem, hint = WRONG[case]
    assert old in TUNE
    with pytest.raises(InputError) as caught:
        planned(write(TUNE.replace(old, new, 1)))
    assert problem in str(caught.value)
    assert hint in caught.value.hint


def test_the_stream_is_reserved_without_tuning_too(write):
    with pytest.raises(InputError, match="which is tuning's own"):
        planned(write(base=RECIPE + 'stream = "tune/x"\n'))
