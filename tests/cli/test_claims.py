"""`swinablate verify RECIPE`: what is claimed against what is counted and recorded."""

import json

import pytest

from swinablate.cli.app import main
from swinablate.errors import EnvironmentFault
from swinablate.execution.run import Summary
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.study.arms.recipes import load_recipe
from swinablate.study.planner import alone
from tests.conftest import RECIPE
from tests.study.shipped import ROOT

PARAMS = 1942
ACCURACY = "accuracy = 95.0\ntolerance = 1.0\nseeds = 3\n"


@pytest.fixture
def recipe(tmp_path):
    """Write a recipe with a claim; records what its trials reached, if that is given."""

    def make(claim, reached=(), **ended):
        path = tmp_path / "r.toml"
        path.write_text(f"{RECIPE}\n[claim]\n{claim}")
        if not reached:
            return path
        home = Home(tmp_path / "home")
        made = alone(load_recipe(path), "claim@r", str(path), range(len(reached)))
        for trial, accuracy in zip(made.trials, reached, strict=True):
            number = home.begin(trial.id)
            home.commit(
                Outcome(
                    trial=trial.id,
                    seed=trial.seed,
                    kind="final",
                    recipe=trial.recipe.model_dump(mode="json"),
                    image=made.arms[0].image.model_dump(mode="json"),
                    attempt=number,
                    metrics={"test/accuracy": accuracy, "val/accuracy": accuracy},
                    **({"status": "done"} | ended),
                )
            )
        return path

    return make


@pytest.fixture
def verify(tmp_path, capsys):
    def run(path, *words):
        code = main(["verify", str(path), "--home", str(tmp_path / "home"), *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def answers(text):
    found = json.loads(text)
    return found["answer"], {line["what"]: line["answer"] for line in found["claims"]}


def test_params_are_counted(recipe, verify):
    code, out, _ = verify(recipe(f"params = {PARAMS}"), "--json")
    assert (code, answers(out)) == (0, ("holds", {"params": "holds"}))
    code, out, _ = verify(recipe(f"params = {PARAMS + 1}"), "--json")
    assert (code, answers(out)) == (3, ("does not hold", {"params": "does not hold"}))
    (line,) = json.loads(out)["claims"]
    assert (line["claimed"], line["measured"]) == (PARAMS + 1, PARAMS)


def test_an_accuracy_is_judged_by_recorded_trials(recipe, verify):
    path = recipe(f"params = {PARAMS}\n{ACCURACY}", [94.8, 95.0, 95.3])
    code, out, _ = verify(path, "--json")
    assert (code, answers(out)[0]) == (0, "holds")
    (_, line) = json.loads(out)["claims"]
    assert (line["n"], line["claimed"], line["tolerance"]) == (3, 95.0, 1.0)
    assert line["measured"] == pytest.approx(95.0333, abs=1e-3)
    code, out, _ = verify(path)
    assert code == 0
    assert "95 within 1" in out
    assert "95.03 (sd" in out  # a narrow terminal breaks the rest


def test_a_wrong_accuracy_does_not_hold(recipe, verify):
    code, out, _ = verify(recipe(ACCURACY, [90.0, 90.2, 90.1]), "--json")
    assert (code, answers(out)[0]) == (3, "does not hold")


def test_an_open_question_names_the_command_that_trains_more(recipe, verify):
    path = recipe(ACCURACY, [93.0, 95.0, 97.0])
    code, _, err = verify(path)
    assert code == 3
    assert f"3 seeds leave it open; `swinablate verify {path} --seeds 6` trains more" in err


def test_a_seed_that_diverged_breaks_the_claim(recipe, verify):
    code, out, _ = verify(recipe(ACCURACY, [95.0] * 3, status="diverged"), "--json")
    assert (code, answers(out)[0]) == (3, "does not hold")
    assert json.loads(out)["claims"][0]["why"] == "3 of 3 seeds diverged"


def test_a_seed_that_failed_leaves_it_unchecked(recipe, verify):
    failure = {"kind": "oom", "message": "no memory", "traceback": ""}
    code, out, _ = verify(recipe(ACCURACY, [95.0] * 3, status="failed", failure=failure), "--json")
    assert (code, answers(out)[0]) == (3, "cannot be checked here")
    assert json.loads(out)["claims"][0]["why"] == "3 of 3 seeds failed: no memory"


def test_without_its_data_an_accuracy_cannot_be_checked(recipe, verify, monkeypatch):
    def refuse(*_):
        raise EnvironmentFault("no images", at="datasets", hint="get them")

    monkeypatch.setattr("swinablate.execution.run.execute", refuse)
    code, out, err = verify(recipe(f"params = {PARAMS}\n{ACCURACY}"), "--json")
    assert (code, answers(out)) == (
        4,
        ("cannot be checked here", {"params": "holds", "test/accuracy": "cannot be checked here"}),
    )
    assert err.endswith("error: datasets: no images\n\nhint: get them\n")
    code, out, _ = verify(recipe(f"params = 1\n{ACCURACY}"), "--json")
    assert (code, answers(out)[0]) == (3, "does not hold")  # what is wrong is known


def test_a_stop_says_how_to_go_on(recipe, verify, monkeypatch):
    from collections import Counter

    stopped = Summary(counts=Counter(), missing=3, unmirrored=0, exit_code=75)
    monkeypatch.setattr("swinablate.execution.run.execute", lambda *_: stopped)
    path = recipe(ACCURACY)
    code, _, err = verify(path)
    assert code == 75
    assert f"to go on: swinablate verify {path}" in err


@pytest.mark.parametrize(
    ("claim", "words", "problem"),
    [
        ('source = "a paper"', [], ": claim: the recipe claims nothing"),
        (ACCURACY, ["--params-only"], ": claim: the recipe claims no params"),
        ("accuracy = 95.0", [], ": claim.tolerance: an accuracy is claimed without saying by how"),
        (ACCURACY.replace("3", "2"), [], ": claim.seeds: 2 seeds give no interval"),
        (ACCURACY, ["--seeds", "1"], "--seeds: 1 seeds give no interval"),
        ("accuracy = 950.0", [], ": claim.accuracy: expected a number less than or equal to 100"),
    ],
)
def test_a_claim_that_nobody_could_judge_is_refused(recipe, verify, claim, words, problem):
    code, out, err = verify(recipe(claim), *words)
    assert (code, out) == (2, "")
    assert problem in err
    assert "hint: " in err


def test_params_alone_train_nothing(recipe, verify, monkeypatch):
    monkeypatch.delattr("swinablate.execution.run.execute")
    code, _, _ = verify(recipe(f"params = {PARAMS}\n{ACCURACY}"), "--params-only")
    assert code == 0


@pytest.mark.integration
def test_what_is_lacking_is_trained_once(recipe, verify, tmp_path):
    path = recipe(ACCURACY.replace("1.0", "99.0"))
    code, out, err = verify(path, "--json", "--slots", "1")
    assert (code, answers(out)[0]) == (0, "holds")
    assert "[3/3]" in err
    code, again, err = verify(path, "--json")
    assert (code, again, "3 recorded before" in err) == (0, out, True)
    assert (
        main(["report", "claim@r", "--home", str(tmp_path / "home"), "--out", str(tmp_path / "o")])
        == 0
    )


SMALL = sorted(
    path
    for path in (ROOT / "experiments").glob("*.toml")
    if load_recipe(path).data.name in {"digits", "shapes"}
)
"""Recipes whose data come with the package."""


@pytest.mark.slow
@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_every_shipped_claim_that_can_be_checked_here_holds(path, tmp_path_factory, capsys):
    home = tmp_path_factory.getbasetemp() / "claims"
    assert main(["verify", str(path), "--home", str(home)]) == 0, capsys.readouterr()
