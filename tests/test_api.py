"""From Python: what is recorded is judged, and said as it goes."""

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

from swinablate import contrasts, effects, load_study, run
from swinablate.api import Silent
from swinablate.errors import InputError
from swinablate.execution.run import Options
from swinablate.records.events import Event
from swinablate.records.home import Home
from swinablate.records.launch import launch_of
from swinablate.report.answer import gather
from swinablate.study.planner import plan
from tests.conftest import STUDY

GOLDEN = Path(__file__).parent / "golden/home-0.1"


@pytest.fixture
def folder(tmp_path):
    """A study file beside a home in which all its trials are recorded."""
    return shutil.copytree(GOLDEN, tmp_path / "frozen")


def test_what_is_recorded_is_judged_and_not_trained_again(folder):
    said: list[str] = []
    answer = run(folder / "grid.toml", home=folder / "home", say=said.append)
    trials = len(plan(load_study(folder / "grid.toml")).trials)
    assert said == [f"grid: {trials} trials, {trials} recorded, 0 at a time"]
    assert answer.verdicts == gather(Home(folder / "home"), "grid").verdicts
    again = run(load_study(folder / "grid.toml"), home=str(folder / "home"))
    assert again.verdicts == answer.verdicts


def test_a_wrong_study_starts_nothing(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        run(tmp_path / "no.toml", home=tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_endings_are_said_and_nothing_else_that_happens(write):
    said: list[str] = []
    made = plan(load_study(write()))
    watcher = Silent(said.append)
    watcher.begin(made, {}, 2)
    for kind in (
        "started",
        "epoch",
        "checkpoint",
        "stopped",
        "lost",
        "failed",
        "diverged",
        "done",
    ):
        event = Event(trial=made.trials[0].id, attempt=1, kind=kind, at=0)
        watcher.happened(made.trials[0], event)
    watcher.expect(0, 6, 6)
    assert said == [
        "study: 6 trials, 0 recorded, 2 at a time",
        "baseline s0: failed",
        "baseline s0: diverged",
        "baseline s0: done",
    ]
    Silent(None).say("to nobody")


def test_a_study_that_may_grow_says_at_most(write):
    said: list[str] = []
    text = STUDY.replace("seeds = 3\nbaseline_seeds = 3", "")
    Silent(said.append).begin(
        plan(load_study(write(text + "[adaptive]\nlooks = [3, 5]\n"))), {}, 1
    )
    assert said == ["study: at most 15 trials, 0 recorded, 1 at a time"]


# ---- what a notebook has


HOSTILE = "<img src=x onerror=alert(1)>"


def test_results_are_a_row_a_trial(folder):
    study = load_study(folder / "grid.toml")
    frame = study.results(home=folder / "home")
    asked = [(trial.arm, trial.seed) for trial in plan(study).trials]
    assert sorted(zip(frame.arm, frame.seed, strict=True)) == sorted(asked)
    assert list(frame.columns[:5]) == ["arm", "seed", "trial", "status", "test_acc"]
    whole = gather(Home(folder / "home"), "grid")
    assert frame.test_acc.tolist() == whole.trials.test_acc.tolist()
    pd.testing.assert_frame_equal(frame, whole.frame())


def test_a_table_is_judged_into_a_list_that_is_a_table_again(folder):
    trials = load_study(folder / "grid.toml").results(home=folder / "home")
    table = trials.rename(columns={"test_acc": "value"})
    found = effects(table)
    frame = found.frame()
    assert [each.name for each in found] == frame.name.tolist()
    assert [each.verdict for each in found] == frame.verdict.tolist()
    assert frame.delta_pp.tolist() == [each.delta_pp for each in found]
    arm = found[0].name
    (one,) = contrasts(table, {"gap": {arm: 1, "baseline": -1}}).frame().to_dict("records")
    assert (one["name"], one["delta_pp"]) == ("gap", pytest.approx(found[0].delta_pp))


def test_a_plan_is_a_row_an_arm(folder):
    made = plan(load_study(folder / "grid.toml"))
    frame = made.frame()
    assert frame.arm.tolist() == [arm.name for arm in made.arms]
    assert frame.params.tolist() == [arm.params for arm in made.arms]
    assert frame.changes[0] == ""


def shown(folder, question):
    """What a notebook shows of a study, its plan, its results, and two tables of verdicts."""
    study = replace(load_study(folder / "grid.toml"), question=question)
    answer = gather(Home(folder / "home"), "grid")
    answer = replace(answer, plan=answer.plan.model_copy(update={"question": question}))
    seeds = {question: (50, 51, 52), "baseline": (60, 61, 63)}
    table = pd.DataFrame(
        [
            {"arm": arm, "seed": seed, "value": value}
            for arm, values in seeds.items()
            for seed, value in enumerate(values)
        ]
    )
    gap = contrasts(table, {question: {question: 1, "baseline": -1}})
    return [one._repr_html_() for one in (study, plan(study), answer, effects(table), gap)]


def test_what_a_notebook_shows_holds_no_markup_of_others(folder):
    for page in shown(folder, HOSTILE):
        assert "<img" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_tables_of_a_notebook_say_what_the_values_say(folder):
    study, planned, answer, judged, gap = shown(folder, "Is it so?")
    assert "Is it so?" in study
    for arm in plan(load_study(folder / "grid.toml")).arms:
        assert arm.name in planned
        assert f">{arm.params:,}<" in planned
        assert arm.name in answer
    assert "baseline" in answer
    for page in (judged, gap):
        assert ">-10.33 pp<" in page
        assert ">worse<" in page


@pytest.mark.integration
def test_a_browser_shows_the_tables_and_runs_nothing(folder):
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page()
        said: list[str] = []
        page.on("dialog", lambda box: (said.append(box.message), box.dismiss()))
        page.set_content("".join(shown(folder, HOSTILE)))
        assert page.locator("table").count() == 5
        assert page.locator("img").count() == 0
        assert page.get_by_text(HOSTILE).count() >= 5
        assert said == []
        browser.close()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"home": ""}, "home: no folder is named"),
        ({"home": "  "}, "home: no folder is named"),
        ({"home": "grid.toml"}, "home: grid.toml is no folder"),
        ({"storage": "no address"}, "storage: "),
        ({"tracking_uri": "ftp://there"}, "tracking_uri: "),
        ({"executor": "lokal"}, "executor: "),
    ],
)
def test_what_the_command_line_refuses_is_refused(words, message, folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError) as error:
        run("grid.toml", **{"home": "other", **words})
    assert message in str(error.value)
    assert not (folder / "other").exists()


def test_an_empty_home_holds_no_results(folder):
    with pytest.raises(InputError, match="no folder is named"):
        load_study(folder / "grid.toml").results(home="")


@pytest.mark.integration  # MLflow makes its tables
def test_another_store_of_mlflow_takes_what_is_recorded(folder, tmp_path):
    stores = [f"sqlite:///{tmp_path}/{name}.db" for name in ("optuna", "mlflow")]
    run(folder / "grid.toml", home=folder / "home", storage=stores[0], tracking_uri=stores[1])
    home = Home(folder / "home")
    launch = launch_of(home, home.declared("grid"))
    assert launch.command == shlex.join(
        [
            *("swinablate", "run", str(folder / "grid.toml"), "--home", str(folder / "home")),
            *("--storage", stores[0], "--tracking-uri", stores[1]),
        ]
    )
    assert (tmp_path / "mlflow.db").exists()
    assert not (folder / "home" / "mlflow.db").exists()


def test_an_address_with_a_password_is_named_by_its_variable(folder, monkeypatch):
    seen: list[Options] = []

    def stop(*words, **_):
        seen.append(words[2])
        raise InputError("enough")

    monkeypatch.setattr("swinablate.api.execute", stop)
    with pytest.raises(InputError, match="enough"):
        run(
            folder / "grid.toml",
            home=folder / "home",
            executor="serial",
            storage="postgresql://bob:pass@host/name",
        )
    (options,) = seen
    assert (options.executor, options.storage) == ("serial", "postgresql://bob:pass@host/name")
    assert options.launch.variables == ("SWINABLATE_STORAGE",)
    assert "pass@" not in options.launch.model_dump_json()
    assert "--executor serial" in options.launch.command
