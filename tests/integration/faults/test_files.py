"""Files that are not the study's own: a home that was copied (m5), a report's folder (M6)."""

import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.integration.conftest import Command

pytestmark = pytest.mark.integration


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def ran(command: Command) -> Command:
    code, _, err = command.run("--set", "train.epochs=1", "--slots", "2")
    assert code == 0, err
    return command


@pytest.mark.parametrize("lost", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_m5_a_copied_home_writes_into_itself_and_shows_every_trial(ran, lost):
    old = ran.home
    ran.home = ran.folder / "copy"
    shutil.copytree(old, ran.home)
    if lost:
        shutil.rmtree(next(iter((ran.home / "trials").iterdir())))
    before = files(old)
    code, _, err = ran.run("--set", "train.epochs=1")
    assert code == 0, err
    assert files(old) == before
    client = MlflowClient(f"sqlite:///{ran.home / 'mlflow.db'}")
    (here,) = [
        found for found in client.search_experiments()
        if found.name == "study@train.epochs=1 @ digits"
    ]  # fmt: skip
    runs = client.search_runs([here.experiment_id])
    assert all(run.info.artifact_uri.startswith(ran.home.as_uri()) for run in runs)
    kinds = [run.data.tags["kind"] for run in runs]
    assert {kind: kinds.count(kind) for kind in kinds} == {"trial": 4, "summary": 2, "report": 1}


def test_m6_a_folder_of_somebodys_is_refused_before_anything_trains(command):
    thesis = command.folder / "thesis"
    for name in ("index.html", "figures/cost.svg", "tables/curves.csv"):
        path = thesis / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    before = files(thesis)
    code, _, err = command.run("--out", str(thesis))
    assert (code, files(thesis)) == (2, before)
    assert f"{thesis}: this folder holds files, and no report" in err
    assert not command.events("started")


@pytest.mark.slow
def test_m6_force_and_the_folder_of_an_earlier_version(ran):
    out = ran.folder / "reports" / "study@train.epochs=1"
    (out / ".swinablate-report").unlink()  # as version 0.1 left it
    (out / "notes.txt").write_text("mine")
    ran.study = Path("study@train.epochs=1")
    code, _, err = ran.run(command="report")
    assert code == 0, err
    (out / "report.md").write_text("with notes")
    code, _, err = ran.run(command="report")
    assert code == 2
    assert f"{out.relative_to(ran.folder)}/report.md: this file was changed since" in err
    code, _, err = ran.run("--force", command="report")
    assert code == 0, err
    assert (out / "report.md").read_text() != "with notes"
    assert (out / "notes.txt").read_text() == "mine"
    assert json.loads((out / "verdicts.json").read_text())["baseline"]["n"] == 2
