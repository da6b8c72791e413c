"""The installation is looked at; nothing is made."""

import os
import sqlite3

import pytest

from swinablate.cli import doctor
from swinablate.records.home import Home


@pytest.fixture
def of(monkeypatch):
    """The checks of a home by name, without the one that starts a process."""
    fine = doctor.Diagnosis(name="torch with torchvision", ok=True, found="import together")
    monkeypatch.setattr(doctor, "_pair", lambda: fine)
    return lambda root: {check.name: check for check in doctor.examine(Home(root))}


def test_a_home_that_is_not_there_is_fine_and_is_not_made(of, tmp_path):
    root = tmp_path / "deep" / ".swinablate"
    found = of(root)
    assert (found["home"].ok, found["home"].found) == (True, f"{root} (not there yet)")
    assert found["disk"].found.endswith("GiB free")
    assert found["optuna.db"].found == found["mlflow.db"].found == "not there yet"
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_in_a_home_that_is_there(of, tmp_path):
    assert of(tmp_path)["home"].found == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", ["", "below"])
def test_a_file_in_the_place_of_a_home_is_a_problem_with_a_remedy(of, tmp_path, inside):
    file = tmp_path / "file"
    file.write_text("no folder")
    found = of(file / inside)["home"]
    assert (found.ok, found.found) == (False, f"cannot write: {file}")
    assert found.hint == "choose another folder with --home or SWINABLATE_HOME"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_a_problem(of, tmp_path):
    tmp_path.chmod(0o500)
    found = of(tmp_path / "home")["home"]
    tmp_path.chmod(0o700)
    assert (found.ok, found.found) == (False, f"cannot write: {tmp_path}")


@pytest.mark.parametrize("name", ["a#b", "a b", "ü"])
def test_the_stores_of_a_home_are_found_whatever_its_name(of, tmp_path, name):
    root = tmp_path / name
    root.mkdir()
    with sqlite3.connect(root / "optuna.db") as store:
        store.execute("CREATE TABLE t (x)")
    assert of(root)["optuna.db"].found == "ok"
