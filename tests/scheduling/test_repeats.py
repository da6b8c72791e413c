"""Several tunings of an arm: what each tries and chooses, what counts, and what may be said."""

import csv
import json
import random

import pytest

from swinablate.cli.app import main
from swinablate.config.recipe import trial_id
from swinablate.errors import InputError
from swinablate.records.home import Home
from swinablate.records.plan import everything
from swinablate.records.tuning import Ledger
from swinablate.report import render
from swinablate.scheduling.due import State, due
from swinablate.scheduling.ledger import choices, tries, unguided
from swinablate.scheduling.status import read_status
from swinablate.scheduling.suggest import next_trials
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.tunable import trying, tuned
from tests.conftest import STUDY
from tests.scheduling import test_ledger as one
from tests.scheduling.test_ledger import BASE, SHIFTED, TUNE, planned, play, told


def repeated(repeats, seeds=None, more=""):
    text = TUNE.replace("trials = 7", f"trials = 4\nrepeats = {repeats}{more}")
    return text if seeds is None else text.replace("seeds = 3\nbaseline_seeds = 3", seeds)


def words(answer):
    return [c["verdict"] for c in answer.verdicts["contrasts"] if c["basis"] == "tuned"]


@pytest.mark.parametrize(("repeats", "seeds", "dealt"), [
    ('"seed"', "seeds = 3", {BASE: [[0], [1], [2], [3], [4], [5]], SHIFTED: [[0], [1], [2]]}),
    ("3", "seeds = 4\nbaseline_seeds = 7", {
        BASE: [[0, 3, 6], [1, 4], [2, 5]], SHIFTED: [[0, 3], [1], [2]],
    }),
])  # fmt: skip
def test_every_tuning_starts_anew_and_final_seeds_are_dealt_to_them(write, repeats, seeds, dealt):
    made = planned(write(repeated(repeats, seeds)))
    declared, recorded = play(made)
    for arm in made.arms:
        starts = []
        for repeat, own in enumerate(dealt[arm.name]):
            found = tries(declared, arm.name, recorded, repeat)
            assert [each.number for each in found] == [0, 1, 2, 3]
            assert found[0].params == {"train.lr": 3e-3, "train.clip": 5.0}
            starts.append(found[1].params["train.lr"])
            recipes = [tuned(arm.recipe, each.params) for each in found]
            finals = [tuple(trial_id(recipe, seed) for seed in own) for recipe in recipes]
            assert [tuple(each.finals) for each in found] == finals
            best = max(found, key=lambda each: each.value)
            assert choices(declared, recorded)[arm.name, repeat] == best
            assert set(best.finals) <= recorded.keys()
        assert len(set(starts)) == len(starts)
    entries = [e for arm in made.arms for e in declared.ledger.of(arm.name)]
    names = [trial for e in entries for trial in e.trials]
    assert len(set(names)) == len(names) == 4 * sum(map(len, dealt.values()))


def test_the_first_tuning_is_that_of_a_study_that_has_no_other(write):
    alone, often = (planned(write(repeated(repeats))) for repeats in ("1", '"seed"'))
    assert alone.declaration != often.declaration
    assert alone.declaration == planned(write(TUNE.replace("= 7", "= 4"))).declaration
    first, every = play(alone)[0].ledger, play(often)[0].ledger
    for name in (BASE, SHIFTED):
        mine = every.tried(name, 0)
        assert [(e.params, e.trials) for e in mine] == [
            (e.params, e.trials) for e in first.of(name)
        ]
        assert [e.finals for e in mine] == [e.finals[:1] for e in first.of(name)]
    assert "repeat" not in json.dumps(first.to_json())


@pytest.mark.parametrize("at_once", [1, 4])
def test_the_order_in_which_trials_end_changes_nothing(write, at_once):
    made = planned(write(repeated('"seed"')))
    whole, recorded = play(made)
    rng = random.Random(at_once)
    mixed, again = play(made, order=lambda ids: rng.sample(ids, len(ids)), at_once=at_once)
    assert mixed.ledger == whole.ledger
    assert again == recorded


def test_killed_in_the_second_tuning_its_ledger_is_read_again(write, tmp_path):
    made = planned(write(repeated('"seed"')))
    whole, recorded = play(made)
    cut = {arm: tuple(e for e in es if (e.repeat, e.number) < (1, 3))
           for arm, es in whole.ledger.arms.items()}  # fmt: skip
    ledger = Ledger(arms=cut)
    home = Home(tmp_path / "home")
    home.create()
    home.declare(plan_record(made, {}, Noise(None, "")))
    home.keep_ledger(made.study.name, made.declaration, ledger)
    assert home.declared(made.study.name).ledger == ledger
    lost = whole.ledger.tried(SHIFTED, 1)[2].trials[0]
    known = {trial: found for trial, found in recorded.items() if trial != lost}
    waiting = next_trials(made, known, ledger)
    assert [(t.id, t.kind, t.seed) for t in waiting if t.arm == SHIFTED] == [(lost, "tune", 1)]
    assert next_trials(made, recorded, whole.ledger) == []
    for trial in waiting:
        recipe = whole.ledger.tried(trial.arm, 1)[2].params
        assert trial.recipe == trying(made.arms[trial.arm == SHIFTED].recipe, recipe)


def test_interrupted_a_study_has_whole_replicates(write):
    made = planned(write(repeated('"seed"') + "[budget]\ntrials = 26\n"))
    declared, recorded = play(made, order=list, at_once=1)
    best = choices(declared, recorded)
    assert {repeat for _, repeat in best} < {0, 1, 2}
    assert all(set(best[arm, 0].finals) <= recorded.keys() for arm in (BASE, SHIFTED))


def test_over_a_tuning_for_every_seed_arms_are_judged(write, tmp_path):
    made = planned(write(repeated('"seed"', "seeds = 5")))
    declared, recorded = play(made)
    home = Home(tmp_path / "home")
    answer = told(home, made, declared, recorded)
    assert words(answer) == ["better"]
    base, shifted = answer.verdicts["tuning"]["arms"]
    assert (base["tunings"], base["n"], base["done"]) == (10, 10, 40)
    assert (shifted["tunings"], shifted["n"], shifted["tries"]) == (5, 5, 20)
    assert [one["seeds"] for one in shifted["choices"]] == [[0], [1], [2], [3], [4]]
    assert shifted["sentence"].startswith("shift=false, tuned: better (")
    assert shifted["sentence"].endswith("; 5 tunings vs 10 of the baseline).")
    now = read_status(home, made.study.name)
    assert (now.planned, now.waiting, now.most) == (len(recorded), 0, len(recorded))
    assert len(recorded) == 15 + 15 * 4 + 15

    render(answer, tmp_path / "report")
    rows = list(csv.DictReader((tmp_path / "report/tables/choices.csv").read_text().splitlines()))
    assert len(rows) == 15
    assert [row["seeds"] for row in rows if row["arm"] == SHIFTED] == list("01234")
    trials = list(csv.DictReader((tmp_path / "report/tables/trials.csv").read_text().splitlines()))
    assert sum(row["kind"] == "tune" and row["repeat"] == "3" for row in trials) == 2 * 4
    page = (tmp_path / "report/report.md").read_text()
    assert "This was done anew for every final seed" in page
    assert "5 tunings: lr = " in page
    assert "no verdict" not in page
    assert "What every tuning chose" in (tmp_path / "report/index.html").read_text()


def test_of_k_tunings_each_is_one_result(write, tmp_path):
    made = planned(write(repeated("3", "seeds = 6\nbaseline_seeds = 6")))
    declared, recorded = play(made)
    answer = told(Home(tmp_path / "home"), made, declared, recorded)
    base, shifted = answer.verdicts["tuning"]["arms"]
    assert (shifted["n"], shifted["planned"], shifted["tunings"]) == (6, 6, 3)
    means = []
    for choice in shifted["choices"]:
        own = choices(declared, recorded)[SHIFTED, choice["repeat"]].finals
        means.append(sum(recorded[t].metrics["test/accuracy"] for t in own) / len(own))
    assert [choice["mean"] for choice in shifted["choices"]] == pytest.approx(means)
    middle = sum(means) / 3
    assert shifted["mean"] == pytest.approx(middle)
    assert shifted["sd"] == pytest.approx((sum((m - middle) ** 2 for m in means) / 2) ** 0.5)
    assert "3 tunings vs 3 of the baseline" in shifted["sentence"]
    assert base["tunings"] == 3


def test_a_sign_flips_only_where_the_two_effects_differ_beyond_chance(
    write, tmp_path, monkeypatch
):
    made = planned(write(repeated('"seed"')))
    answer = told(Home(tmp_path / "far"), made, *play(made))
    shifted = answer.verdicts["tuning"]["arms"][1]
    assert shifted["change_pp"] == pytest.approx(8.0, abs=0.5)
    assert shifted["change_low"] > 0
    (text,) = [w["text"] for w in answer.verdicts["warnings"] if w["code"] == "W16"]
    assert text.endswith("Both effects' intervals exclude 0, too: which is better depends on the "
                         "recipe.")  # fmt: skip
    assert f"a change of {shifted['change_pp']:+.2f} pp (95 % simultaneous CI" in text

    by_chance = {  # fixed, tuned: +0.2 and -0.2 pp of the baseline's
        BASE: ([90.0, 90.4, 89.6], [89.6, 90.0, 90.4]),
        SHIFTED: ([90.5, 89.9, 90.2], [89.7, 90.1, 89.6]),
    }

    def noise(trial):
        return by_chance[trial.arm][trial.recipe.train.lr != 3e-3][trial.seed]

    monkeypatch.setattr(one, "test_accuracy", noise)
    answer = told(Home(tmp_path / "near"), made, *play(made))
    shifted = answer.verdicts["tuning"]["arms"][1]
    assert (shifted["fixed_pp"], shifted["tuned_pp"]) == pytest.approx((0.2, -0.2))
    assert shifted["change_low"] < 0 < shifted["change_high"]
    assert not [w for w in answer.verdicts["warnings"] if w["code"] == "W16"]


def test_a_seed_that_diverges_after_tuning_counts_as_in_any_study(write, tmp_path):
    made = planned(write(repeated('"seed"', "seeds = 3")))

    def ends(trial):
        away = trial.arm == SHIFTED and trial.kind == "final" and trial.recipe.train.lr != 3e-3
        return "diverged" if away else "done"

    answer = told(Home(tmp_path / "home"), made, *play(made, ends))
    assert words(answer) == ["fails to train"]
    once = planned(write(repeated("1", "seeds = 3")))
    answer = told(Home(tmp_path / "once"), once, *play(once, ends))
    assert words(answer) == ["undecided"]  # that recipe fails, not the arm


def test_a_tuning_that_lost_some_of_its_seeds_gives_no_verdict(write, tmp_path):
    made = planned(write(repeated("3", "seeds = 6\nbaseline_seeds = 6")))

    def ends(trial):
        away = trial.kind == "final" and trial.recipe.train.lr != 3e-3
        return "diverged" if away and (trial.arm, trial.seed) == (SHIFTED, 4) else "done"

    answer = told(Home(tmp_path / "home"), made, *play(made, ends))
    (effect,) = [c for c in answer.verdicts["contrasts"] if c["basis"] == "tuned"]
    assert effect["verdict"] == "undecided"
    assert effect["reason"] == "some, not all, seeds of a tuning of shift=false diverged"


def test_unequal_tuning_is_judged_by_the_tuning(write, tmp_path):
    made = planned(write(repeated('"seed"', "seeds = 3")))
    answer = told(Home(tmp_path / "home"), made, *play(made))
    assert not [w for w in answer.verdicts["warnings"] if w["code"] == "W3"]

    def ends(trial):
        return "diverged" if (trial.arm, trial.kind) == (SHIFTED, "tune") else "done"

    answer = told(Home(tmp_path / "lost"), made, *play(made, ends))
    (text,) = [w["text"] for w in answer.verdicts["warnings"] if w["code"] == "W3"]
    assert "4 of baseline, 0 of shift=false (means over tunings) (12 diverged" in text


def test_everything_that_may_run_is_counted_before_it_does(write, capsys):
    path = write(repeated('"seed"', "seeds = 3", "\nseeds = 2"))
    made = planned(path)
    shown = plan_record(made, {}, Noise(None, "")).to_json()
    assert shown["trials"] == {"min": 9 + 9 * 8, "max": 9 + 9 * 8 + 9}
    assert shown["tune"]["repeats"] == "seed"
    declared = plan_record(made, {}, Noise(None, ""))
    assert due(State.of(declared, {})).most == 9 + 72 + 9
    finished, recorded = play(made)
    assert len(recorded) == len(set(everything(finished)) & recorded.keys()) <= 9 + 72 + 9
    assert unguided(4) == 2
    assert main(["plan", str(path)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        'With tune.repeats = "seed": 24 tuning and 3 tuned final trials an arm, 48 and 6 of the '
        "baseline; 72 and 9 in all, together 81."
    ) in printed
    assert "no verdict about tuned arms" in printed  # of repeats = 1
    assert "Each arm is tuned once" not in printed


@pytest.mark.parametrize(("repeats", "problem", "hint"), [
    ("2", "of 2 tunings an arm nothing can be tested", "repeats = 3 or more"),
    ("0", "greater than or equal to 1, got 0", "write"),
    ('"seeds"', "'seeds' is neither a number nor", 'repeats = "seed"'),
    ("5", "5 tunings of an arm need as many final seeds, and it has 3", 'repeats = "seed"'),
])  # fmt: skip
def test_repeats_that_cannot_be_are_refused_with_a_remedy(write, repeats, problem, hint):
    with pytest.raises(InputError) as caught:
        planned(write(repeated(repeats)))
    assert problem in str(caught.value)
    assert hint in caught.value.hint


def test_looks_and_repeats_are_refused_together(write):
    text = STUDY.replace("seeds = 3\nbaseline_seeds = 3", "[adaptive]\nlooks = [3, 5]")
    table = one.TABLE.replace("trials = 7", 'trials = 7\nrepeats = "seed"')
    with pytest.raises(InputError, match="not possible together") as caught:
        planned(write(text + table))
    assert "fixed number of seeds" in caught.value.hint
