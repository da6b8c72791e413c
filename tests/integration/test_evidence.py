"""A study travels: run here, exported, checked and reported where its folder never was."""

import json
import shutil

import pytest

from swinablate.cli.app import main
from swinablate.records.home import Home
from tests.conftest import RECIPE, STUDY

pytestmark = pytest.mark.integration


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_study_is_checked_reported_and_gone_on_with_elsewhere(tmp_path, monkeypatch, capsys):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here / "studies", here / "experiments", there):
        folder.mkdir(parents=True)
    (here / "studies/shift.toml").write_text(
        STUDY.replace("base.toml", "../experiments/base.toml")
    )
    (here / "experiments/base.toml").write_text(RECIPE)
    monkeypatch.chdir(here)
    assert main(["run", "studies/shift.toml", "--home", "home", "--slots", "1"]) == 0
    words = ["export", "studies/shift.toml", "--home", "home"]
    assert main([*words, "../shift.tar"]) == 0
    assert main(["report", "shift", "--home", "home", "--out", "../one"]) == 0
    shutil.rmtree(here)

    monkeypatch.chdir(there)
    capsys.readouterr()
    assert main(["verify", "../shift.tar", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["whole"], found["trials"], found["unchecked"]) == (True, 6, [])
    assert main(["import", "../shift.tar", "--home", "home", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["study"], done["added"], done["kept"]) == ("shift", 6, 0)
    assert main(["report", "shift", "--home", "home", "--out", "../other"]) == 0
    assert files(tmp_path / "one") == files(tmp_path / "other")
    assert main(["export", "shift", "../again.tar", "--home", "home"]) == 0
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "shift.tar").read_bytes()

    capsys.readouterr()
    assert main(["status", "shift", "--home", "home", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 6
    assert main(["run", done["file"], "--home", "home", "--no-report"]) == 0
    assert "6 recorded before" in capsys.readouterr().err
    home = Home(there / "home")
    assert home.declarations("shift") == [found["declaration"]]  # the same study, no other
