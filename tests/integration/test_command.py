"""The command as users and programs call it."""

import json
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.study.shipped import placed

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study that was run, with its command."""
    from tests.integration.conftest import Command

    made = Command(tmp_path_factory.mktemp("finished"))
    made.study.write_text(
        made.study.read_text().replace("seeds = 2\nbaseline_seeds = 2", "seeds = 3")
    )
    made.out = made.folder / "report"
    made.code, made.stdout, made.stderr = made.run("--json", "--out", str(made.out))
    assert made.code == 0, made.stderr
    return made


def test_run_prints_data_on_stdout_and_the_rest_on_stderr(finished):
    verdicts = json.loads(finished.stdout)
    assert verdicts["schema"] == 1
    assert verdicts["baseline"]["n"] == 6
    assert [arm["name"] for arm in verdicts["arms"]] == ["shift=false"]
    assert "[9/9]" in finished.stderr
    assert "9 done" in finished.stderr
    assert "test" not in finished.stderr.replace("pytest", "")  # no test score on the way


def test_a_study_with_nothing_to_train_is_shown_without_a_report_too(finished, tmp_path):
    """It published nothing: only a report, and training, told MLflow anything."""
    twin = finished.folder / "twin.toml"
    twin.write_text(finished.study.read_text())
    uri = f"sqlite:///{tmp_path / 'other.db'}"
    end = subprocess.run(
        [sys.executable, "-m", "swinablate", "run", str(twin), "--home", str(finished.home),
         "--no-report", "--tracking-uri", uri],
        check=False, capture_output=True, text=True, timeout=120, cwd=finished.folder,
    )  # fmt: skip
    assert end.returncode == 0, end.stderr
    client = MlflowClient(uri)
    (shown,) = client.search_experiments(filter_string="name = 'twin @ digits'")
    runs = client.search_runs([shown.experiment_id])
    trials = [run for run in runs if run.data.tags["kind"] == "trial"]
    assert {run.info.status for run in trials} == {"FINISHED"}
    assert len(trials) == 9
    arms = [run for run in runs if run.data.tags["kind"] == "summary"]
    assert {(run.info.run_name, run.data.tags["done"]) for run in arms} == {
        ("baseline", "6 of 6"), ("shift=false", "3 of 3"),
    }  # fmt: skip


def test_plan_json_is_the_contract(finished):
    code, out, _ = finished.run("--json", command="plan")
    plan = json.loads(out)
    assert code == 0
    assert {
        "schema",
        "study",
        "question",
        "declaration",
        "arms",
        "refusals",
        "trials",
        "reused",
    } < set(plan)
    assert plan["arms"][0]["name"] == "baseline"
    assert {"name", "changes", "recipe", "params", "macs", "geometry", "seeds", "trials"} < set(
        plan["arms"][0]
    )
    assert (plan["trials"], plan["reused"]) == ({"min": 9, "max": 9}, 9)
    assert plan["detectable_pp"] > 0  # from the recorded trials


def test_status_json_is_the_contract(finished):
    code, out, _ = finished.run("--json", command="status")
    status = json.loads(out)
    assert code == 0
    counts = {
        key: status[key] for key in ("planned", "done", "running", "failed", "diverged", "waiting")
    }
    assert counts == {
        "planned": 9,
        "done": 9,
        "running": 0,
        "failed": 0,
        "diverged": 0,
        "waiting": 0,
    }
    assert status["eta_s"] is None


def test_report_has_every_file(finished):
    files = {
        str(path.relative_to(finished.out)) for path in finished.out.rglob("*") if path.is_file()
    }
    wanted = {"index.html", "report.md", "verdicts.json", "plan.json", "provenance.json",
              "tables/trials.csv", "tables/arms.csv", "tables/arms.tex", "tables/arms_wide.tex", "figures/forest.svg",
              "figures/seeds.svg", "figures/curves.svg"}  # fmt: skip
    assert wanted <= files
    assert len((finished.out / "tables" / "trials.csv").read_text().splitlines()) == 10
    assert json.loads((finished.out / "verdicts.json").read_text()) == json.loads(finished.stdout)


def test_finished_study_runs_again_without_training(finished):
    before = {p: p.stat().st_mtime_ns for p in finished.home.glob("trials/*/result.json")}
    code, _, err = finished.run("--out", str(finished.out))
    assert code == 0
    assert "9 recorded before" in err
    assert "index.html (changed: " in err  # the plan knows more of the noise by now
    assert "index.html (as it was)" in finished.run("--out", str(finished.out))[2]
    assert before == {p: p.stat().st_mtime_ns for p in finished.home.glob("trials/*/result.json")}


def test_another_study_reuses_the_trials_it_shares(finished):
    other = finished.folder / "other.toml"
    other.write_text(finished.study.read_text().replace("[axes]", '[axes]\n"train.lr" = [1e-3]'))
    code, out, err = run(
        other, "run", "--home", str(finished.home), "--out", str(finished.folder / "o"), "--json"
    )
    assert code == 0, err
    assert "12 trials, 9 recorded before" in err
    assert json.loads(out)["baseline"]["n"] == 6


def test_sync_rebuilds_both_stores(finished):
    before = runs(finished)
    for store in ("optuna.db", "mlflow.db"):
        (finished.home / store).unlink()
    code, _, err = finished.run(command="sync")
    assert code == 0, err
    assert "9 trials are in Optuna and MLflow again" in err
    assert runs(finished)["trial"] == 9 <= before["trial"]
    assert finished.run(command="sync")[0] == 0  # once more changes nothing
    assert runs(finished)["trial"] == 9


def runs(command):
    """MLflow's runs by kind, counted in its own tables."""
    with sqlite3.connect(command.home / "mlflow.db") as store:
        query = "select value, count(*) from tags where key = 'kind' group by value"
        return dict(store.execute(query).fetchall())


def run(study, command, *words):
    done = subprocess.run(
        [sys.executable, "-m", "swinablate", command, str(study), *words],
        capture_output=True, text=True, check=False, timeout=240, cwd=study.parent,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


SHORT = {"quickstart"}  # the others are planned and take a step as unit tests


@pytest.mark.parametrize(
    "study",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem in SHORT else pytest.mark.slow)
        for path in sorted(ROOT.glob("studies/*.toml"))
    ],
)
def test_every_shipped_study_passes_a_smoke_run(study, tmp_path):
    code, out, err = run(
        placed(study, tmp_path / "copy"), "run", "--smoke", "--home", str(tmp_path), "--json"
    )
    assert code == 0, err
    verdicts = json.loads(out)
    assert all(arm["verdict"] in {"not tested", "pending"} for arm in verdicts["arms"])
    assert (tmp_path / "smoke" / "reports" / study.stem / "index.html").exists()
    assert not (tmp_path / "trials").exists()


def test_new_study_plans_at_once(tmp_path):
    words = ["-m", "swinablate", "new", "mine", "--in", str(tmp_path)]
    assert (
        subprocess.run([sys.executable, *words], check=False, capture_output=True).returncode == 0
    )
    again = subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True)
    assert again.returncode == 2
    assert "the file exists" in again.stderr
    code, out, err = run(
        tmp_path / "studies" / "mine.toml", "plan", "--json", "--home", str(tmp_path / "h")
    )
    assert code == 0, err
    assert len(json.loads(out)["arms"]) == 3


def test_doctor_finds_this_installation_in_order(tmp_path):
    words = ["-m", "swinablate", "doctor", "--json", "--home", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["torch with torchvision"]["ok"]
    (tmp_path / "mlflow.db").write_text(
        "this is no database, and longer than a header of SQLite is"
    )
    done = subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True)
    assert done.returncode == 4
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert not checks["mlflow.db"]["ok"]
    assert "sync" in checks["mlflow.db"]["hint"]


@pytest.mark.parametrize(
    "words", [["switches", "swin", "--json"], ["schema", "study"], ["schema", "recipe"]]
)
def test_data_for_programs_is_json(words):
    done = subprocess.run(
        [sys.executable, "-m", "swinablate", *words], capture_output=True, text=True, check=True
    )
    data = json.loads(done.stdout)
    if words[0] == "switches":
        rows = {row["switch"]: row for row in data["switches"]}
        assert rows["model.position_bias"]["source"]
        assert {"train.lr", "data.augment"} < set(rows)
    else:
        assert data["properties"]


def test_a_bare_environment_is_enough(tmp_path):
    """As a job of a cluster may have it: no HOME, no folder for temporary files, 64 files."""
    path = ROOT / "studies" / "shapes_control.toml"
    words = ["-m", "swinablate", "plan", str(path), "--json", "--home", str(tmp_path / "home")]
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "TMPDIR": "/nonexistent"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["study"] == "shapes_control"
