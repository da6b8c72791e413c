"""The truth on disk: attempts, commit markers, locks."""

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk.files import write_atomically
from swinablate.records.disk.stores import database
from swinablate.records.events import Event
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord

OUTCOME = Outcome(
    trial="t1", seed=0, kind="final", recipe={"model": {}}, image={"height": 8}, status="done",
    attempt=1, metrics={"test/accuracy": 95.0}, curve=({"epoch": 1, "val/accuracy": 90.0},),
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    return made


def test_outcome_is_read_back_as_written(home):
    home.begin("t1")
    home.commit(OUTCOME)
    assert home.outcome("t1") == OUTCOME
    assert home.outcomes(["t1", "t2"]) == {"t1": OUTCOME}


def test_trials_that_trained_as_one_share_the_time():
    timed = replace(OUTCOME, started_at=1_000, finished_at=13_000)
    assert timed.seconds == 12.0
    assert replace(timed, execution={"fused": 4}).seconds == 3.0


def test_attempts_count_up_and_only_unfinished_ones_are_resumed(home):
    assert [home.begin("t1") for _ in range(3)] == [1, 2, 3]
    (home.attempt("t1", 1) / "result.json").write_text("{}")
    assert home.earlier("t1", 3) == (str(home.attempt("t1", 2)),)


def test_reopening_keeps_what_the_attempt_recorded(home):
    home.begin("t1")
    home.commit(OUTCOME)
    home.reopen("t1")
    assert home.outcome("t1") is None
    kept = json.loads((home.attempt("t1", 1) / "result.json").read_text())
    assert kept["metrics"] == {"test/accuracy": 95.0}


def test_no_number_of_an_attempt_is_given_twice(home):
    """M3: two studies that begin one trial at the same moment."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: home.begin("t1"), range(200)))
    assert sorted(found) == list(range(1, 201))


def test_torn_last_event_is_not_an_event(home):
    home.begin("t1")
    home.append(Event(trial="t1", attempt=1, kind="started", at=1))
    log = home.attempt("t1", 1) / "events.jsonl"
    log.write_text(log.read_text() + '{"trial": "t1", "att')
    assert [e.kind for e in home.events("t1")] == ["started"]


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1}', "[]"])
def test_unreadable_record_is_an_environment_fault_that_names_the_file(home, text):
    write_atomically(home.trials / "t1" / "result.json", text)
    with pytest.raises(EnvironmentFault, match="damaged record") as caught:
        home.outcome("t1")
    assert caught.value.at == str(home.trials / "t1" / "result.json")
    assert "`swinablate retry STUDY`" in caught.value.hint


def test_record_of_a_newer_version_is_not_guessed_at(home):
    write_atomically(home.trials / "t1" / "result.json", '{"schema": 99}')
    with pytest.raises(EnvironmentFault, match="newer swinablate"):
        home.outcome("t1")


def test_newest_declaration_is_the_one_reported(home):
    first, second = (PlanRecord(study="s", declaration=c * 8) for c in "ab")
    home.declare(first)
    home.declare(second)
    assert home.declared("s") == second
    assert home.declared("s", "a" * 8) == first
    assert home.declarations("s") == ["a" * 8, "b" * 8]
    with pytest.raises(InputError, match="study 'other' has not been run in"):
        home.declared("other")


def test_second_owner_is_told_who_the_first_is(home):
    with home.owned("s"):
        code = (
            "import sys; from pathlib import Path; from swinablate.records.home import Home\n"
            "with Home(Path(sys.argv[1])).owned('s'): pass"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(home.root)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "study 's' is already running: pid" in done.stderr
        assert " on " in done.stderr
        assert " since " in done.stderr
    with home.owned("s"):
        pass
    assert home.holder("s") == ""


def test_crash_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_cannot_be_written_is_an_environment_fault(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot write") as caught:
        Home(tmp_path / "file" / "home").create()
    assert "--home" in caught.value.hint


def test_what_is_told_is_the_file_that_somebody_knows(tmp_path):
    """Not the one that gets its name when it is whole, whose name nobody has seen."""
    path = tmp_path / (250 * "a")
    with pytest.raises(EnvironmentFault, match="File name too long") as caught:
        write_atomically(path, "text")
    assert caught.value.at == str(path)


def test_a_home_that_may_not_be_written_is_named_and_no_file_in_it():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        home = Home(Path(place) / "home")
        home.create()
        home.root.chmod(0o555)
        before = os.geteuid()
        try:
            if before == 0:
                os.seteuid(65534)  # root may write anywhere
            with pytest.raises(EnvironmentFault, match="cannot write") as caught:
                home.create()
        finally:
            os.seteuid(before)
        home.root.chmod(0o755)
    assert caught.value.at == str(home.root)


def test_the_newest_attempt_is_the_one_that_tells(home):
    """Of eleven attempts the eleventh, not the first, and not the ninth that sorts last."""
    for number in range(1, 12):
        assert home.begin("t1") == number
        told = {"epoch": number}
        home.append(Event(trial="t1", attempt=number, kind="epoch", at=1, data=told))
    assert [happened.data["epoch"] for happened in home.events("t1")] == [11]


@pytest.mark.parametrize(
    "name", ["a b", "a#b", "a@b:c", "a%1", "\N{LATIN SMALL LETTER E WITH ACUTE}", "a\nb", "'"]
)
def test_the_address_of_a_database_in_a_home_names_it(name, tmp_path):
    home = Home(tmp_path / name)
    assert database(home.optuna_url) == tmp_path / name / "optuna.db"
    assert database(home.mlflow_uri) == tmp_path / name / "mlflow.db"


@pytest.mark.parametrize("name", ["a?b", "{b}", "b}", "a\udcff"])
def test_where_no_address_can_name_a_database_the_home_is_refused(name, tmp_path):
    for read in (lambda home: home.optuna_url, lambda home: home.mlflow_uri):
        with pytest.raises(InputError, match="no address can name a database in this folder"):
            read(Home(tmp_path / name))


@pytest.mark.parametrize("status", ["done", "failed", "diverged"])
def test_a_trial_that_was_killed_between_its_two_writes_is_finished(home, status):
    home.begin("t1")
    ended = replace(OUTCOME, status=status)
    home.commit(ended)
    marker = home.trials / "t1" / "result.json"
    whole = marker.read_bytes()
    marker.unlink()
    assert home.outcome("t1") == ended
    home.finish("t1")
    assert marker.read_bytes() == whole


def test_a_trial_that_was_reopened_waits_until_its_next_attempt_ends(home):
    home.begin("t1")
    home.commit(replace(OUTCOME, status="failed"))
    home.reopen("t1")
    home.finish("t1")
    assert home.outcome("t1") is None
    assert home.begin("t1") == 2
    assert home.outcome("t1") is None
    home.commit(replace(OUTCOME, attempt=2))
    (home.trials / "t1" / "result.json").unlink()
    assert home.outcome("t1") == replace(OUTCOME, attempt=2)
