"""What a removal takes and leaves, also when it is killed in the middle."""

import errno
import re
import shutil
from pathlib import Path

import pytest

from swinablate.cli.app import main
from swinablate.cli.commands.verbs import removal
from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.survey import survey
from tests.records.homes import sealed


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = sealed(tmp_path)
    (found.home.root / "optuna.db").unlink()  # of version 0.1; stores have tests of their own
    return found


def trials(study):
    return {path.name for path in study.home.trials.iterdir()}


def test_what_only_this_study_uses_goes_and_the_rest_stays(study):
    before, plan = trials(study), removal.planned(study.home, "plain")
    shared = set(study.home.declared("grid").baseline.trials)
    assert shared <= plan.stays.keys()
    assert set(plan.goes) & shared == set()
    assert all("plain" not in users for users in plan.stays.values())
    assert trials(study) == before, "planning removes nothing"
    removal.remove(study.home, "plain")
    assert trials(study) == before - set(plan.goes)
    assert not (study.home.studies / "plain").exists()
    assert {"grid", "looks", "tuned"} <= {path.name for path in study.home.studies.iterdir()}
    assert not [f for f in survey(study.home).findings if f.damaged]
    assert not (study.home.root / removal.AWAY).exists()
    with pytest.raises(InputError, match="has not been run"):
        removal.planned(study.home, "plain")


@pytest.mark.parametrize("after", [0, 100])
def test_a_removal_that_was_killed_is_finished_by_a_second_one(study, monkeypatch, after, capsys):
    goes = removal.planned(study.home, "plain").goes
    calls = []

    def killed(folder, **_):
        if len(calls) >= after and not str(folder).endswith(removal.AWAY):
            raise KeyboardInterrupt
        if after == 100 and str(folder).endswith(removal.AWAY) and calls:
            raise KeyboardInterrupt
        calls.append(folder)
        real(folder, ignore_errors=True)

    real = shutil.rmtree
    with monkeypatch.context() as patch:
        patch.setattr(removal.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            removal.remove(study.home, "plain")
    assert not [f for f in survey(study.home).findings if f.damaged], "doctor reads it"
    assert main(["rm", "plain", "--yes", "--home", str(study.home.root)]) == 0
    assert not (study.home.studies / "plain").exists()
    assert not set(goes) & trials(study)
    assert not (study.home.root / removal.AWAY).exists()


def test_a_trial_that_was_moved_elsewhere_goes_and_what_its_link_names_stays(study, tmp_path):
    trial = removal.planned(study.home, "plain").goes[0]
    (study.home.trials / trial).rename(tmp_path / "larger disk")
    (study.home.trials / trial).symlink_to(tmp_path / "larger disk")
    removal.remove(study.home, "plain")
    assert trial not in trials(study)
    assert (tmp_path / "larger disk" / "attempts").is_dir()
    assert not (study.home.root / removal.AWAY).exists()


def test_nothing_goes_unasked(study, capsys):
    before = trials(study)
    words = ["rm", "plain", "--home", str(study.home.root)]
    assert main(words) == 2
    text = capsys.readouterr().err
    assert "stays: " in text
    assert "hint: add --yes" in text
    assert trials(study) == before
    assert main(["rm", "../plain", "--yes", "--home", str(study.home.root)]) == 2


def test_a_study_that_runs_is_not_removed(study, capsys):
    before = trials(study)
    with study.home.owned("plain"):
        assert main(["rm", "plain", "--yes", "--home", str(study.home.root)]) == 4
    assert "is running: pid" in capsys.readouterr().err
    assert trials(study) == before


def test_where_nobody_knows_what_another_study_uses_nothing_goes(study):
    plan = next((study.home.studies / "grid").glob("*/plan.json"))
    plan.write_text(plan.read_text()[:-40])
    with pytest.raises(EnvironmentFault, match="nobody can say which trials study 'grid' uses"):
        removal.planned(study.home, "plain")


@pytest.mark.parametrize("name", ["latest", "plan.json"])
def test_a_study_that_may_not_be_read_is_not_one_that_uses_nothing(study, name, capsys):
    """As another user's, made under umask 077: here a link to itself, which root cannot read."""
    before = trials(study)
    shared = set(study.home.declared("grid").baseline.trials) & before
    (path,) = (study.home.studies / "grid").rglob(name)
    path.unlink()
    path.symlink_to(path)
    words = ["--home", str(study.home.root)]
    assert main(["list", *words]) == 0
    assert re.search("grid .*damaged", capsys.readouterr().out)
    if name == "plan.json":  # nobody knows which trials it uses
        assert main(["rm", "plain", "--yes", *words]) == 4
        assert "nobody can say which trials study 'grid' uses" in capsys.readouterr().err
        assert trials(study) == before
    else:
        assert main(["rm", "plain", "--yes", *words]) == 0
        assert shared
        assert shared <= trials(study)


def test_a_mount_of_the_same_disk_is_another_place(study, monkeypatch):
    """A bind mount: its device is the same, and yet nothing can be renamed out of it."""
    real = Path.rename

    def rename(path, to):
        if path.parent == study.home.trials and to.parent.parent != study.home.trials:
            raise OSError(errno.EXDEV, "another mount")
        return real(path, to)

    monkeypatch.setattr(Path, "rename", rename)
    goes = removal.planned(study.home, "plain").goes
    removal.remove(study.home, "plain")
    assert not set(goes) & trials(study)
    assert not (study.home.trials / removal.AWAY).exists()
