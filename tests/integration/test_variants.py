"""A study and its variant in one home: reports, MLflow's notes, and commands pasted from both."""

import json
import shlex
import shutil
import sqlite3
from pathlib import Path

import pytest

from swinablate.cli.app import main
from tests.conftest import RECIPE, STUDY

pytestmark = pytest.mark.integration
FILE = "my studies/a.toml"
VARIANT = "a@train.epochs=1"
QUICK = ("--executor", "serial", "--home", "a home")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A study in a folder with a blank, seen from its parent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWINABLATE_HOME", raising=False)
    Path("my studies").mkdir()
    Path("my studies/base.toml").write_text(RECIPE)
    Path(FILE).write_text(STUDY)
    return tmp_path


def files(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def notes(home, study):
    """Notes of a study's runs, and of its experiment."""
    with sqlite3.connect(Path(home) / "mlflow.db") as store:
        query = (
            "select t.value from tags t join runs r using (run_uuid) "
            "join experiments e using (experiment_id) "
            "where t.key = 'mlflow.note.content' and e.name = ? "
            "and r.lifecycle_stage = 'active' union all "
            "select t.value from experiment_tags t join experiments e using (experiment_id) "
            "where t.key = 'mlflow.note.content' and e.name = ?"
        )
        name = f"{study} @ digits"
        return [value for (value,) in store.execute(query, (name, name))]


def pasted(command):
    program, *words = shlex.split(command)
    assert program == "swinablate"
    return main(words)


def test_a_variant_takes_nothing_from_the_study_and_both_say_how_to_repeat_them(here, capsys):
    assert main(["run", FILE, *QUICK]) == 0
    own = files("reports/a")
    command = json.loads(Path("reports/a/provenance.json").read_text())["command"]
    assert command == f"swinablate run '{FILE}' {shlex.join(QUICK)}"

    changed = ("--set", "train.epochs=1")
    assert main(["run", FILE, *changed, *QUICK]) == 0
    assert files("reports/a") == own
    report = Path("reports") / VARIANT
    asked = json.loads((report / "provenance.json").read_text())
    assert asked["command"] == shlex.join(["swinablate", "run", FILE, *changed, *QUICK])
    assert asked["ui"] == shlex.join(["swinablate", "ui", FILE, *changed, "--home", "a home"])
    assert json.loads((report / "plan.json").read_text())["study"] == VARIANT
    assert asked["command"] in (report / "report.md").read_text().replace("\\", "")

    assert main(["report", FILE, "--home", "a home", "--out", "again"]) == 0
    kept = ("verdicts.json", "plan.json", "tables/trials.csv", "report.md")
    assert all(Path("again", one).read_bytes() == own[Path("reports/a", one)] for one in kept)
    assert main(["report", FILE, *changed, "--home", "a home", "--out", "out"]) == 0
    assert Path("out/plan.json").read_bytes() == (report / "plan.json").read_bytes()
    assert {path.name for path in Path("out").iterdir()} == {p.name for p in report.iterdir()}

    capsys.readouterr()
    assert main(["status", FILE, "--home", "a home", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["done"], status["variants"]) == (6, [VARIANT])

    said = notes("a home", VARIANT)
    again = [note for note in said if f"`{asked['command']}`" in note]
    assert len(said) == 6 + 2 + 1 + 1  # trials, arms, report, experiment
    assert len(again) == 6 + 1 + 1
    (weights,) = {
        note.partition("Its weights: `")[2].partition("`")[0]
        for note in again
        if "baseline weights.pt --seed 1" in note
    }
    assert pasted(weights) == 0
    assert Path("weights.pt").exists()

    before = json.loads((report / "verdicts.json").read_text())
    shutil.rmtree("a home")
    shutil.rmtree("reports")
    assert pasted(asked["command"]) == 0
    assert json.loads((report / "verdicts.json").read_text())["arms"] == before["arms"]
    assert [path.name for path in Path("a home/studies").iterdir()] == [VARIANT]
