"""A whole home is looked through: everything that is not as written is found, and left alone."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from swinablate.cli.app import main
from swinablate.records.disk import locks
from swinablate.records.disk.files import drop_half_written
from swinablate.records.home import Home
from swinablate.records.launch import Launch, keep_launch
from swinablate.records.survey import Finding, survey
from tests.records.homes import Study, edited, first, sealed


@pytest.fixture
def study(tmp_path) -> Study:
    return sealed(tmp_path)


def files(root: Path) -> dict[str, tuple[str, int]]:
    """Every file with its content and the time of its last change."""
    return {
        str(path.relative_to(root)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in root.rglob("*")
        if path.is_file()
    }


def of(home: Home, path: Path) -> list[Finding]:
    return [finding for finding in survey(home).findings if finding.path == path]


def test_sealed_records_are_whole_and_what_never_ended_is_waiting(study):
    found = survey(study.home)
    assert found.whole
    assert {found.trials[trial] for trial in study.done} == {"whole"}
    assert found.trials[study.torn] == "waiting"
    assert found.studies == ("grid", "looks", "plain", "tuned")


def test_records_without_a_digest_are_unchecked_and_no_fault(tmp_path):
    study = first(tmp_path)
    found = survey(study.home)
    assert found.whole
    assert {found.trials[trial] for trial in study.done} == {"unchecked"}
    assert found.count("unchecked") == len(found.trials) - 1
    assert "schema 1" in of(study.home, study.plan)[0].problem


def test_nothing_is_written(study):
    edited(study.record(), lambda data: data["metrics"].update({"test/accuracy": 99.9}))
    study.plan.write_text("{")
    before = files(study.home.root)
    assert not survey(study.home).whole
    assert files(study.home.root) == before


def test_an_edited_record_is_restored_by_the_command_that_is_printed(study):
    plan = study.home.declared("plain")
    keep_launch(study.home, plan, Launch(study="my studies/plain.toml", home="h"))
    edited(study.record(), lambda data: data["metrics"].update({"test/accuracy": 99.9}))
    (finding,) = of(study.home, study.record())
    assert (finding.damaged, finding.repair) == (True, "sync")
    assert "`swinablate sync 'my studies/plain.toml' --home h`" in finding.hint
    assert survey(study.home).trials[study.done[0]] == "damaged"

    list(study.home.mend(study.done, anew=False))
    mended = survey(study.home)
    assert mended.whole
    assert mended.trials[study.done[0]] == "whole"
    assert any("put aside" in one.problem for one in mended.findings)


def test_a_record_whose_copy_is_damaged_too_is_trained_again(study):
    trial, attempts = study.done[0], study.record().parent / "attempts"
    for path in (study.record(), attempts / str(study.home.attempts(trial)) / "result.json"):
        path.write_bytes(b"\x00" * 64)
    (finding,) = of(study.home, study.record())
    assert (finding.damaged, finding.repair) == (True, "retry")


def test_another_trials_record_is_found(study):
    study.record(0).write_bytes(study.record(1).read_bytes())
    (finding,) = of(study.home, study.record(0))
    assert finding.damaged
    assert finding.problem == "damaged record: it is of another trial"


def test_a_damaged_copy_is_said_and_the_trial_is_whole(study):
    trial = study.done[0]
    copy = study.home.attempt(trial, study.home.attempts(trial)) / "result.json"
    copy.write_text("")
    (finding,) = of(study.home, copy)
    assert not finding.damaged
    assert survey(study.home).trials[trial] == "whole"


def test_killed_between_its_two_writes_a_trial_has_ended(study):
    record = study.record()
    record.unlink()
    (finding,) = of(study.home, record.parent)
    assert (finding.damaged, finding.repair) == (False, "sync")
    assert survey(study.home).trials[record.parent.name] == "whole"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"schema": 2}'])
def test_a_damaged_plan_is_found_and_its_trials_lose_nothing(study, content):
    plan, trial = study.plan, study.record().parent
    plan.write_bytes(content)
    (finding,) = of(study.home, plan)
    assert (finding.damaged, finding.repair) == (True, "run")
    assert survey(study.home).trials[trial.name] == "whole"


def test_a_trial_of_no_declared_study_is_said_and_is_whole(study):
    trial = study.record().parent
    shutil.rmtree(study.home.studies)
    (finding,) = of(study.home, trial)
    assert finding.problem == "no declared study of this home has this trial"
    assert survey(study.home).trials[trial.name] == "whole"

    (trial / "result.json").write_text("")
    (finding,) = of(study.home, trial / "result.json")
    assert (finding.damaged, finding.repair) == (True, "")
    assert "move the trial's folder away" in finding.hint


@pytest.mark.parametrize("content", [b"", b"\xff", b"../../etc", b"0" * 64])
def test_a_damaged_latest_is_found(study, content):
    (study.folder / "latest").write_bytes(content)
    (finding,) = of(study.home, study.folder / "latest")
    assert (finding.damaged, finding.repair) == (True, "run")


@pytest.mark.parametrize("name", ["tuning.json", "launch.json"])
def test_damaged_files_beside_a_plan_are_found(study, name):
    path = study.plan.with_name(name)
    path.write_text("[]")
    assert [finding.damaged for finding in of(study.home, path)] == [True]


def test_damaged_choices_are_found(study):
    path = study.folder / "choices.json"
    path.write_text("[]")
    assert [finding.damaged for finding in of(study.home, path)] == [True]


def test_a_newer_schema_is_found_and_nothing_here_mends_it(study):
    edited(study.record(), lambda data: data.update(schema=99))
    (finding,) = of(study.home, study.record())
    assert (finding.damaged, finding.repair) == (True, "")
    assert finding.hint == "upgrade swinablate"


def test_garbled_events_of_a_waiting_trial_are_counted(study):
    log = study.home.attempt(study.torn, 1) / "events.jsonl"
    count = len(log.read_bytes().splitlines())
    with log.open("ab") as file:
        file.write(b"\xac\xed\n{}\n")
    (finding,) = of(study.home, log)
    assert not finding.damaged
    assert finding.problem == (
        f"2 of {count + 2} lines are no events; the first is line {count + 1}"
    )


def test_a_flipped_bit_of_a_checkpoint_is_found(study):
    folder = study.home.attempt(study.torn, 1)
    payload = b"weights"
    whole, flipped = folder / "checkpoint-1.pt", folder / "checkpoint-2.pt"
    whole.write_bytes(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
    flipped.write_bytes(hashlib.sha256(payload).hexdigest().encode() + b"\n" + b"weighty")
    assert of(study.home, whole) == []
    (finding,) = of(study.home, flipped)
    assert finding.problem == "damaged checkpoint: its digest is another's"


def test_what_a_kill_left_and_who_works_here_is_said(study):
    left = study.record().with_name(".result.json-0123abcd.tmp")
    left.touch()
    with locks.lock(study.home.locks / "plain.lock"):
        texts = {one.path.name: one.problem for one in survey(study.home).findings}
    assert texts[left.name] == "half written, and left by a kill"
    assert texts["plain.lock"].startswith("running: pid ")
    assert survey(study.home).whole


@pytest.mark.integration  # the whole installation, three times
def test_doctor_names_the_damage_and_ends_with_4(study, capsys):
    words = ["doctor", "--home", str(study.home.root)]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["home"]
    assert not any(one["damaged"] for one in told["findings"])

    edited(study.record(), lambda data: data.update(seed=7))
    assert main(words) == 4
    text = capsys.readouterr().out
    assert "DAMAGED" in text
    assert study.done[0][:12] in text
    assert main([*words, "--json"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["home"]["trials"][study.done[0]] == "damaged"
    assert [one["ok"] for one in told["checks"] if one["name"] == "records"] == [False]


def test_a_folder_that_is_no_home_has_nothing_to_find(tmp_path):
    found = survey(Home(tmp_path / "none"))
    assert (found.whole, found.trials, found.findings) == (True, {}, ())


def test_what_a_command_writes_is_its_own(study):
    """Below an attempt a script calls its files what it likes, folders too."""
    attempt = study.home.attempt(study.torn, 1)
    theirs = attempt / "out" / ".cache.tmp"
    theirs.mkdir(parents=True)
    (attempt / "checkpoint").mkdir()
    (attempt / "checkpoint" / ".model.tmp").touch()
    ours = attempt / ".checkpoint-000000000001.pt.7.tmp"
    ours.touch()
    left = [f.path for f in survey(study.home).findings if "half written" in f.problem]
    assert left == [ours]
    drop_half_written(study.home.trials / study.torn)
    assert not ours.exists()
    assert theirs.exists()
    assert (attempt / "checkpoint" / ".model.tmp").exists()


def test_a_checkpoint_that_goes_away_meanwhile_is_no_damage(study, monkeypatch):
    path = study.home.attempt(study.torn, 1) / "checkpoint-000000000009.pt"
    path.touch()
    opened = Path.open

    def gone(self, *words, **more):
        if self == path:
            self.unlink(missing_ok=True)
        return opened(self, *words, **more)

    monkeypatch.setattr(Path, "open", gone)
    assert survey(study.home).whole
    assert not path.exists()


def test_folders_that_come_and_go_stop_no_list(study, capsys):
    """A command makes and removes folders while its study is listed."""
    out = study.home.attempt(study.torn, 1) / "out"
    script = f"""
import os, sys
while True:
    for n in range(50):
        os.makedirs("{out}/%d/a/b" % n)
    print(flush=True)
    for n in range(50):
        os.removedirs("{out}/%d/a/b" % n)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as busy:
        try:
            busy.stdout.readline()
            for _ in range(15):
                assert main(["list", "--home", str(study.home.root)]) == 0
                survey(study.home)
        finally:
            busy.kill()
    capsys.readouterr()
