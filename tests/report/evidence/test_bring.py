"""Import: what is there stays, what differs is refused, a crash leaves nothing half."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from swinablate.cli.app import main
from swinablate.config.variants import digests
from swinablate.errors import InputError
from swinablate.records.disk.files import write_atomically
from swinablate.records.home import Home
from swinablate.records.launch import Launch, keep_launch
from swinablate.records.plan import everything
from swinablate.records.survey import survey
from swinablate.report.answer import gather
from swinablate.report.evidence.bring import bring
from swinablate.report.evidence.check import check
from swinablate.report.evidence.contents import contents_of
from tests.records.homes import edited
from tests.report.evidence.bundles import bundle, resealed, study


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    home = study(folder)
    return home, bundle(home, folder / "b.tar", weights=True)


@pytest.fixture
def elsewhere(tmp_path):
    """A folder on another disk than the test's."""
    there = Path("/dev/shm")
    if not there.is_dir() or there.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one disk")
    with tempfile.TemporaryDirectory(dir=there) as folder:
        yield Path(folder)


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_home_gets_all_and_judges_the_same(made, tmp_path):
    theirs, whole = made
    home = Home(tmp_path / "home")
    done = bring(whole, home)
    assert (done.added, done.kept) == (13, 0)
    mine, other = gather(home, "plain"), gather(theirs.home, "plain")
    assert (mine.verdicts, mine.provenance) == (other.verdicts, other.provenance)
    assert done.file == home.studies / "plain" / mine.plan.declaration / "files/plain.toml"
    assert done.file.read_bytes() == theirs.file.read_bytes()
    found = survey(home)
    assert [finding.problem for finding in found.findings] == []
    again = bring(whole, home)
    assert (again.added, again.kept) == (0, 13)
    assert not [*home.root.glob(".importing-*")]


def test_weights_come_only_if_they_were_asked_for(made, tmp_path):
    theirs, whole = made
    assert [name for name in whole.entries if name.endswith(".pt")]
    assert not [n for n in bundle(theirs, tmp_path / "b.tar").entries if n.endswith(".pt")]


def test_what_differs_is_named_and_nothing_is_added(made, tmp_path):
    theirs, whole = made
    home = Home(tmp_path / "home")
    trial = theirs.done[0]
    path = home.trials / trial / "result.json"
    path.parent.mkdir(parents=True)
    record = (theirs.home.trials / trial / "result.json").read_bytes()
    path.write_bytes(resealed(record, finished_at=1))
    before = files(home.root)
    with pytest.raises(InputError, match=f"trial {trial[:12]} has another record"):
        bring(whole, home)
    assert files(home.trials) == {k.removeprefix("trials/"): v for k, v in before.items()}
    assert not (home.studies / "plain").exists()


def test_a_trial_that_has_not_ended_here_is_left_alone(made, tmp_path):
    theirs, whole = made
    home = Home(tmp_path / "home")
    (home.trials / theirs.done[0] / "attempts/1").mkdir(parents=True)
    with pytest.raises(InputError, match="has no record here, and may be running"):
        bring(whole, home)


def test_a_study_that_was_declared_otherwise_is_refused(made, tmp_path):
    _, whole = made
    home = Home(tmp_path / "home")
    (home.studies / "plain").mkdir(parents=True)
    (home.studies / "plain/latest").write_text("ab" * 32)
    with pytest.raises(InputError, match="the study 'plain' was declared otherwise"):
        bring(whole, home)


@pytest.mark.parametrize("left", ["", "{", "[" * 9999])
def test_a_record_that_is_damaged_here_is_named(made, tmp_path, capsys, left):
    theirs, whole = made
    path = tmp_path / "home/trials" / theirs.done[0] / "result.json"
    path.parent.mkdir(parents=True)
    path.write_text(left)
    assert main(["import", str(whole.path), "--home", str(tmp_path / "home")]) == 4
    said = capsys.readouterr().err
    assert f"{path}: damaged record" in said
    assert "hint: `swinablate doctor`" in said


@pytest.mark.parametrize("apart", ["trials", "studies"])
def test_a_home_may_lie_on_two_disks(made, tmp_path, elsewhere, apart):
    theirs, whole = made
    home = Home(tmp_path / "home")
    home.root.mkdir()
    (home.root / apart).symlink_to(elsewhere)
    assert bring(whole, home).added == 13
    assert bring(whole, home).kept == 13
    trials = everything(home.declared("plain"))
    assert home.outcomes(trials) == theirs.home.outcomes(trials)
    assert not [finding for finding in survey(home).findings if finding.problem != "running"]
    assert main(["rm", "plain", "--yes", "--home", str(home.root)]) == 0
    assert not [*home.trials.iterdir(), *home.studies.iterdir()]


class Killed(BaseException):
    """The end of the process."""


@pytest.mark.parametrize("after", [0, 1, 7, 13, 14, 15])
def test_a_crash_leaves_whole_trials_and_the_next_import_goes_on(
    made, tmp_path, monkeypatch, after
):
    theirs, whole = made
    home, moves, rename = Home(tmp_path / "home"), [], Path.rename

    def killed(self, to):
        if len(moves) == after:
            raise Killed
        moves.append(to)
        return rename(self, to)

    def wrote(path, text):
        if path.name == "latest":
            raise Killed
        write_atomically(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        patch.setattr("swinablate.report.evidence.bring.write_atomically", wrote)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)  # the dead tidy nothing up
        with pytest.raises(Killed):
            bring(whole, home)
    assert not (home.studies / "plain/latest").exists()
    for folder in home.trials.iterdir():
        assert files(folder) == files(theirs.home.trials / folder.name)
    done = bring(whole, home)
    assert done.added + done.kept == 13
    trials = everything(home.declared("plain"))
    assert home.outcomes(trials) == theirs.home.outcomes(trials)
    assert not [*home.root.glob(".importing-*")]


def test_a_faulty_bundle_is_not_brought(made, tmp_path, capsys):
    _, whole = made
    data = bytearray(whole.path.read_bytes())
    data[-1500] ^= 1
    (tmp_path / "b.tar").write_bytes(data)
    assert main(["import", str(tmp_path / "b.tar"), "--home", str(tmp_path / "h")]) == 3
    assert "its digest is another's" in capsys.readouterr().out
    assert not (tmp_path / "h").exists()


def test_secrets_are_masked_and_the_rest_still_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "hunter2hunter2")
    made = study(tmp_path)
    trial = made.done[0]
    failure = {"kind": "error", "message": "no hunter2hunter2 at postgresql://u:pw123456@h/d"}
    path = made.home.trials / trial / "result.json"
    path.write_bytes(resealed(path.read_bytes(), failure=failure))
    whole = bundle(made, tmp_path / "b.tar")
    data = whole.path.read_bytes()
    assert b"hunter2" not in data
    assert b"pw123456" not in data
    assert whole.about["masked"] == [f"trials/{trial}/result.json"]
    assert check(whole).whole
    done = bring(whole, made.home)  # what was masked is still the same record
    assert (done.added, done.kept) == (0, 13)
    assert b"hunter2" in path.read_bytes()


def test_paths_of_the_machine_stay_behind(made):
    theirs, whole = made
    assert str(theirs.file.parent).encode() not in whole.path.read_bytes()


def test_a_study_edited_since_is_left_out_and_said(tmp_path, capsys):
    made = study(tmp_path)
    made.file.write_text(made.file.read_text().replace("seeds = 3", "seeds = 4"))
    words = ["export", "plain", str(tmp_path / "b.tar"), "--home", str(made.home.root)]
    assert main(words) == 0
    assert (
        "without the study's own file, which was edited or moved since" in capsys.readouterr().err
    )
    assert main([*words, "--json"]) == 2
    assert "this file is there already" in capsys.readouterr().err
    assert main([*words, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"]


def test_a_copy_that_is_damaged_is_left_out_and_said(tmp_path):
    made = study(tmp_path)
    trial = made.done[0]
    copy = next((made.home.trials / trial).glob("attempts/*/result.json"))
    copy.write_text("{")
    (made.home.trials / trial / "measured.json").write_text("")
    file = tmp_path / "b.tar"
    found = contents_of(made.home, "plain", weights=False)
    notes = [note for note in found.notes if trial[:12] in note]
    assert notes[0] == f"without measured.json of trial {trial[:12]}: damaged record: it is empty"
    assert notes[1].startswith(f"without attempts/{copy.parent.name}/result.json of trial")
    assert check(bundle(made, file)).whole


@pytest.mark.parametrize("name", ["x" * 120 + ".toml", "a:b.toml", "tab\t.toml"])
def test_a_study_whose_files_no_bundle_can_hold_is_exported_without_them(tmp_path, name):
    made = study(tmp_path)
    file = made.file.parent / "below" / name
    file.parent.mkdir()
    shutil.copy(made.file, file)
    text = file.read_text().replace('baseline = "', 'baseline = "../')
    file.write_text(text)
    plan = made.home.declared("plain")
    launch = Launch(study=name, file=str(file), digests=digests(file))
    keep_launch(made.home, plan, launch)
    found = contents_of(made.home, "plain", weights=False)
    assert any("no bundle can hold the name" in note for note in found.notes)
    assert check(bundle(made, tmp_path / "b.tar")).whole


def test_a_damaged_home_is_not_exported(tmp_path, capsys):
    made = study(tmp_path)
    edited(made.record(), lambda data: data.update(seed=9))
    words = ["export", "plain", str(tmp_path / "b.tar"), "--home", str(made.home.root)]
    assert main(words) == 4
    assert "damaged record" in capsys.readouterr().err
    assert not (tmp_path / "b.tar").exists()
