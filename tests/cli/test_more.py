"""`run --more`: who gets seeds, which, what goes on, what stays, and what is refused."""

import dataclasses

import pytest

from swinablate.cli.app import main
from swinablate.cli.more import extended
from swinablate.cli.which import lineage
from swinablate.errors import InputError
from swinablate.execution.run import Options
from swinablate.records.home import Home
from swinablate.records.launch import Launch, keep_launch
from swinablate.records.outcome import Outcome
from swinablate.report.answer import gather
from swinablate.report.prose import EXTENDED, checklist
from swinablate.stats.comparisons.trend import NO_LINE
from swinablate.study.files import load_study, smoke
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import STUDY

THREE = STUDY.replace("seeds = 3\nbaseline_seeds = 3", "seeds = 4\nbaseline_seeds = 6")
THREE += '"model.norm" = ["batch"]\n"train.lr" = [0.5]\n[compare]\nrope = 0.5\n'
WOBBLE = (0.0, 0.9, -0.8, 0.3, -0.5, 0.6, -0.2)
SHIFTS = {"shift=false": 0.3, "norm=batch": -9.0, "lr=0.5": 0.4}
"""One arm is clearly worse; of the others nobody can say."""


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path / "home")
    found.create()
    return found


def planned(path, *settings):
    return plan(load_study(path, settings))


def trained(home, made, launch=None, lost=()):
    """Declare a plan and record all of its trials that are not; without `lost` arms' last."""
    record = plan_record(made, {}, Noise(None, ""))
    home.declare(record)
    if launch:
        keep_launch(home, record, launch)
    for trial in made.trials:
        last = trial.seed == max(next(a.seeds for a in made.arms if a.name == trial.arm))
        if home.outcome(trial.id) or (trial.arm in lost and last):
            continue
        value = 90 + SHIFTS.get(trial.arm, 0.0) + WOBBLE[(trial.seed * 3 + len(trial.arm)) % 7]
        home.begin(trial.id)
        home.commit(
            Outcome(
                trial=trial.id, seed=trial.seed, kind="final", attempt=1, status="done",
                recipe=trial.recipe.model_dump(mode="json"), image={},
                metrics={"test/accuracy": value, "val/accuracy": value},
                curve=({"epoch": 1, "train/loss": 1.0, "val/accuracy": 50.0, "time/epoch_s": 2.0,
                        "time/images_per_s": 9.0},),
                execution={"device": "CPU", "torch": "2"},
                predictions={"sha256": trial.id, "images": 540}, failure=None,
                started_at=1000, finished_at=4000,
            )
        )  # fmt: skip
    return made


def more(made, home, seeds, launch=None):
    return extended(made, home, Options(more=seeds, launch=launch or Launch(study="s.toml")))


def seeds_of(made):
    return {arm.name: list(arm.seeds) for arm in made.arms}


def test_undecided_arms_get_the_next_seeds_and_the_baseline_keeps_its_ratio(home, write, capsys):
    made = trained(home, planned(write(THREE)))
    found, options = more(made, home, 3)
    assert seeds_of(found) == {
        "baseline": [*range(11)],  # one and a half times 7, rounded up
        "shift=false": [0, 1, 2, 3, 4, 5, 6],
        "norm=batch": [0, 1, 2, 3],
        "lr=0.5": [0, 1, 2, 3, 4, 5, 6],
    }
    assert found.study.extension.parent == made.declaration != found.declaration
    assert {trial.id for trial in made.trials} < {trial.id for trial in found.trials}
    assert options.launch.more == (3,)
    said = capsys.readouterr().err.splitlines()[0]  # a slow machine says which arms it plans, too
    assert said == "more seeds: baseline 6 -> 11, shift=false 4 -> 7, lr=0.5 4 -> 7"


def test_seeds_of_ones_own_go_on_after_the_baselines(home, write):
    text = THREE.replace("seeds = 4\nbaseline_seeds = 6", "seeds = [5, 2, 9, 7]")
    made = trained(home, planned(write(text)))
    assert seeds_of(made)["baseline"] == [5, 2, 9, 7, 10, 11, 12, 13]
    found, _ = more(made, home, 2)
    assert seeds_of(found)["shift=false"] == [5, 2, 9, 7, 10, 11]
    assert seeds_of(found)["baseline"] == [5, 2, 9, 7, *range(10, 18)]


def test_arms_that_are_compared_with_each_other_leave_the_baseline_alone(home, write):
    text = THREE.replace("seeds = 4\nbaseline_seeds = 6", "seeds = 4\nbaseline_seeds = 4")
    text = text.replace('"model.norm" = ["batch"]\n"train.lr" = [0.5]\n', "").replace(
        '"model.shift" = [false]', '"model.norm" = ["batch"]'
    )
    text += '[[arms]]\nname = "norm=batch twin"\nchanges = {"model.norm" = "batch", '
    text += '"train.lr" = 0.01}\nagainst = "norm=batch"\n'
    made = planned(write(text))
    SHIFTS["norm=batch twin"] = -9.1
    trained(home, made)
    found, _ = more(made, home, 2)
    assert seeds_of(found) == {
        "baseline": [0, 1, 2, 3], "norm=batch": [*range(6)], "norm=batch twin": [*range(6)],
    }  # fmt: skip


def test_the_report_names_the_first_answer_and_what_both_may_get_wrong(home, write):
    made = trained(home, planned(write(THREE)))
    first = {arm["name"]: arm["verdict"] for arm in gather(home, "study").verdicts["arms"]}
    assert first == {"shift=false": "undecided", "norm=batch": "worse", "lr=0.5": "undecided"}
    found, _ = more(made, home, 3)
    trained(home, found)
    answer = gather(home, "study")
    assert answer.plan.parent == made.declaration
    (said,) = [w["text"] for w in answer.verdicts["warnings"] if w["code"] == "W9"]
    assert said == (
        "an extension of a study declared with 4 seeds an arm: this is another analysis, whose "
        "error rate does not count the first. The first one says: shift=false undecided; "
        "norm=batch worse; lr=0.5 undecided. What was undecided there got more seeds, what was "
        "decided did not: over 2 analyses a word is wrong in up to 10 % of such studies."
    )
    assert {q: said for q, said, _ in checklist(answer)}["Extension"] == EXTENDED
    again, _ = more(made, home, 2)
    trained(home, again)
    said = [w["text"] for w in gather(home, "study").verdicts["warnings"] if w["code"] == "W9"]
    assert len(said) == 2
    assert sum("over 3 analyses a word is wrong in up to 15 %" in text for text in said) == 1
    assert sum("declared with 4 to 7 seeds an arm" in text for text in said) == 1
    newest = home.declared("study")
    assert [one.declaration for one in lineage(home, newest)] == [
        again.declaration, found.declaration, made.declaration,
    ]  # fmt: skip


def test_an_extension_that_is_unfinished_goes_on_and_grows_no_further(home, write, capsys):
    made = trained(home, planned(write(THREE)))
    launch = Launch(study="s.toml")
    found, options = more(made, home, 2, launch)
    trained(home, found, options.launch, lost=("lr=0.5",))
    capsys.readouterr()
    again, kept = more(made, home, 2, launch)
    assert again.declaration == found.declaration
    assert kept.launch.more == (2,)
    assert capsys.readouterr().err.startswith(
        "going on with the seeds that were added before: 1 trial missing\n"
    )
    plain, kept = extended(made, home, Options(launch=launch))  # `run` without it, and `retry`
    assert plain.declaration == found.declaration
    assert plain.study.extension == found.study.extension
    assert kept.launch.more == (2,)
    trained(home, found, options.launch)
    longer, kept = more(made, home, 2, launch)
    assert len(longer.arms[1].seeds) == 8
    assert kept.launch.more == (2, 2)


def test_another_file_is_another_study(home, write):
    made = trained(home, planned(write(THREE)))
    found, _ = more(made, home, 2)
    trained(home, found)
    edited = planned(write(THREE.replace("rope = 0.5", "rope = 0.6")))
    same, _ = extended(edited, home, Options())
    assert same is edited
    with pytest.raises(InputError, match="is not what was run last") as caught:
        more(edited, home, 2)
    assert "`swinablate run s.toml` runs it" in caught.value.hint


def test_where_everything_is_decided_nothing_is_added(home, write, capsys, monkeypatch):
    for arm in ("shift=false", "lr=0.5"):
        monkeypatch.setitem(SHIFTS, arm, -8.0)
    made = trained(home, planned(write(THREE)))
    same, _ = more(made, home, 2)
    assert same is made
    assert "nothing that more seeds could decide is undecided" in capsys.readouterr().err


SCALE = """
[scale]
axis = "model.width"
levels = [8, 12, 16]
[compare]
rope = 0.5
"""


def test_an_open_trend_gets_more_seeds_at_all_of_its_rungs(home, write, monkeypatch):
    text = THREE.partition('"model.norm"')[0].replace("baseline_seeds = 6\n", "") + SCALE
    for name in ("shift=false", "shift=false at width=12", "shift=false at width=16"):
        monkeypatch.setitem(SHIFTS, name, -9.0)  # worse everywhere
    made = trained(home, planned(write(text)))
    before = gather(home, "study").verdicts
    assert [arm["verdict"] for arm in before["arms"]] == ["worse"]
    assert [one["answer"] for one in before["scale"]] == ["cannot tell"]
    found, options = more(made, home, 2)
    assert {tuple(seeds) for seeds in seeds_of(found).values()} == {(0, 1, 2, 3, 4, 5)}
    assert len(found.arms) == 6
    assert found.declaration != made.declaration
    trained(home, found, options.launch)
    judged = gather(home, "study").verdicts
    assert judged["scale"][0]["n"] == 6
    (told,) = [w["text"] for w in judged["warnings"] if w["code"] == "W9"]
    assert "shift=false worse; over scales shift=false cannot tell" in told
    assert not [w for w in judged["warnings"] if w["code"] == "W8"]
    # Started again it is the extension that goes on.
    again, _ = extended(made, home, Options())
    assert again.declaration == found.declaration


def test_an_open_verdict_of_a_scale_gets_more_seeds_at_home_alone(home, write, monkeypatch):
    text = THREE.partition('"model.norm"')[0].replace("baseline_seeds = 6\n", "") + SCALE
    monkeypatch.setitem(SHIFTS, "shift=false at width=12", -40.0)  # no line: seeds do not mend it
    made = trained(home, planned(write(text)))
    before = gather(home, "study").verdicts
    assert [arm["verdict"] for arm in before["arms"]] == ["undecided"]
    assert [one["why"] for one in before["scale"]] == [NO_LINE]
    found, _ = more(made, home, 2)
    seeds = {name: len(own) for name, own in seeds_of(found).items()}
    assert (seeds["baseline"], seeds["shift=false"]) == (6, 6)
    assert {n for name, n in seeds.items() if " at " in name} == {4}


@pytest.mark.parametrize(
    ("change", "problem", "hint"),
    [
        (("seeds = 4\nbaseline_seeds = 6", "[adaptive]\nlooks = [3, 5]"),
         "a study with looks adds seeds itself", "looks = [3, 5, 10]"),
        (("[compare]", '[tune]\ntrials = 2\nspace = { "train.clip" = [0.5, 1.0] }\n[compare]'),
         "a tuned study has two answers", "seeds = 9"),
    ],
)  # fmt: skip
def test_looks_and_tuning_are_refused_with_what_to_do(home, write, change, problem, hint):
    made = planned(write(THREE.replace(*change)))
    with pytest.raises(InputError, match=problem) as caught:
        more(made, home, 5)
    assert hint in caught.value.hint


def test_what_was_not_run_or_is_unfinished_is_refused(home, write):
    made = planned(write(THREE))
    with pytest.raises(InputError, match="is not what was run last"):
        more(made, home, 2)
    trained(home, made, lost=("lr=0.5", "shift=false"))
    with pytest.raises(InputError, match="of the study, 2 trials are missing"):
        more(made, home, 2)
    noise = plan(smoke(load_study(write(THREE), smoke=True)))
    with pytest.raises(InputError, match="a smoke run decides nothing"):
        more(noise, home, 2)


def test_status_is_about_the_extension_and_the_file_as_it_is(home, write, capsys):
    path = write(THREE)
    made = trained(home, planned(path), Launch(study=str(path), file=str(path)))
    found, options = more(made, home, 2, Launch(study=str(path), file=str(path)))
    trained(home, found, options.launch)
    assert main(["status", str(path), "--home", str(home.root)]) == 0
    assert f"{len(found.trials)} of {len(found.trials)} trials done" in capsys.readouterr().out
    path.write_text(path.read_text().replace("rope = 0.5", "rope = 0.6"))
    assert main(["status", str(path), "--home", str(home.root)]) == 2
    said = capsys.readouterr().err
    assert "compare.rope: 0.5 -> 0.6" in said
    assert "seeds" not in said


@pytest.mark.parametrize(
    "words", ["--more 2 --slots 3", "--slots 3 --more 2", "--slots 3 --more=2"]
)
def test_printed_commands_go_on_and_repeat_all_that_was_added(words):
    ran = Launch(study="s.toml", command=f"swinablate run s.toml {words}", more=(5, 2))
    assert ran.again == "swinablate run s.toml --slots 3"
    assert ran.whole == (
        "swinablate run s.toml --slots 3 && swinablate run s.toml --slots 3 --more 5 && "
        "swinablate run s.toml --slots 3 --more 2"
    )
    assert dataclasses.replace(Options(), launch=ran).launch.whole == ran.whole
    assert Launch(command="swinablate run s.toml").whole == "swinablate run s.toml"
    assert Launch(more=(3,)).whole == ""
