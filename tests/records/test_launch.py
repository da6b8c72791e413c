"""How a study was started, kept and put into words."""

import json
import shlex

import pytest

from swinablate.errors import EnvironmentFault
from swinablate.records.home import Home
from swinablate.records.launch import Launch, keep_launch, launch_of
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.records.seal import SCHEMA, seal

PLAN = PlanRecord(study="a", declaration="d" * 64, arms=(ArmRecord(name="baseline"),))
GIVEN = Launch(
    study="my studies/it's.toml",
    file="/x/my studies/it's.toml",
    digests={"": "ab"},
    settings=("study.question=Is it 'so'?", "train.epochs=3"),
    only=("no shift",),
    home="a home",
    stores={"--storage": "sqlite:////a b.db", "--tracking-uri": "http://mlflow"},
    command="swinablate retry 'my studies/it'\"'\"'s.toml' --slots 2",
    variables=("SWINABLATE_STORAGE",),
)
SET = ["--set", "study.question=Is it 'so'?", "--set", "train.epochs=3", "--home", "a home"]


def test_what_is_kept_is_read_back_and_the_last_start_counts(tmp_path):
    home = Home(tmp_path)
    assert launch_of(home, PLAN) == Launch()
    keep_launch(home, PLAN, GIVEN)
    assert launch_of(home, PLAN) == GIVEN
    keep_launch(home, PLAN, Launch())  # from Python values: nothing is known, nothing forgotten
    assert launch_of(home, PLAN) == GIVEN
    later = GIVEN.model_copy(update={"only": ()})
    keep_launch(home, PLAN, later)
    assert launch_of(home, PLAN) == later
    assert home.declarations("a") == []  # it is no declaration


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"schema": "x"}', '{"schema": 1, "only": 3}']
)
def test_a_damaged_one_is_named(text, tmp_path):
    home = Home(tmp_path)
    keep_launch(home, PLAN, GIVEN)
    (path,) = tmp_path.rglob("launch.json")
    path.write_text(text)
    with pytest.raises(EnvironmentFault, match="damaged record") as caught:
        launch_of(home, PLAN)
    assert caught.value.at == str(path)


def test_one_of_a_later_version_is_refused_and_its_new_fields_are_not(tmp_path):
    home = Home(tmp_path)
    keep_launch(home, PLAN, GIVEN)
    (path,) = tmp_path.rglob("launch.json")
    data = json.loads(path.read_text())
    path.write_text(seal({**data, "mood": "good"}))
    assert launch_of(home, PLAN) == GIVEN
    path.write_text(json.dumps({**data, "schema": SCHEMA + 1}))
    with pytest.raises(EnvironmentFault, match="newer swinablate"):
        launch_of(home, PLAN)


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("status", []), ("report", []), ("plan", []), ("weights", []),
        ("run", ["--storage", "sqlite:////a b.db", "--tracking-uri", "http://mlflow"]),
        ("retry", ["--storage", "sqlite:////a b.db", "--tracking-uri", "http://mlflow"]),
        ("sync", ["--storage", "sqlite:////a b.db", "--tracking-uri", "http://mlflow"]),
        ("ui", ["--tracking-uri", "http://mlflow"]),
    ],
)  # fmt: skip
def test_a_command_has_study_settings_home_and_the_stores_that_it_opens(command, more):
    said = GIVEN.says(command, "an arm", "w.pt")
    words = ["swinablate", command, GIVEN.study, "an arm", "w.pt", *SET, *more]
    assert shlex.split(said) == words


def test_a_smoke_run_is_named_by_its_option_or_by_its_home():
    smoke = Launch(study="a.toml", smoke=True)
    assert smoke.says("report") == "swinablate report a.toml --smoke"
    assert smoke.says("sync") == "swinablate sync a.toml --home .swinablate/smoke"
    elsewhere = smoke.model_copy(update={"home": "h"})
    assert elsewhere.says("status") == "swinablate status a.toml --home h --smoke"
    assert elsewhere.says("ui") == "swinablate ui a.toml --home h/smoke"
    assert smoke.says("retry") == ""  # which has no --smoke


def test_the_command_that_repeats_a_retry_runs_what_is_missing():
    words = ["swinablate", "run", "my studies/it's.toml", "--slots", "2"]
    assert shlex.split(GIVEN.again) == words
    assert GIVEN.needs == ", with SWINABLATE_STORAGE set"


def test_a_command_that_was_handed_over_is_repeated_as_it_was_typed():
    given = GIVEN.model_copy(update={"command": "python3 ../dev.py retry retry --more 2"})
    assert given.again == "python3 ../dev.py run retry"


def test_where_nothing_is_known_nothing_is_made_up():
    assert (Launch().again, Launch().needs, Launch().says("report")) == ("", "", "")


def test_only_commands_that_train_are_told_where_the_images_are():
    given = Launch(study="a.toml", data="/sets")
    assert given.says("retry") == "swinablate retry a.toml --data-dir /sets"
    assert given.says("status") == "swinablate status a.toml"
