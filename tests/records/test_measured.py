"""`doctor` looks at what was measured after a record was written, as at the record itself."""

import json
import shutil
from dataclasses import replace

import pytest

from swinablate.records.launch import Launch, keep_launch
from swinablate.records.outcome import EVERY, MEASURED, Outcome
from swinablate.records.seal import digest, seal
from swinablate.records.survey import Finding, survey
from tests.records.homes import Study, sealed


@pytest.fixture
def study(tmp_path) -> Study:
    found = sealed(tmp_path)
    plan = found.home.declared("plain")
    keep_launch(found.home, plan, Launch(study="my studies/plain.toml", home="h"))
    return found


def outcome(study: Study, number: int = 0) -> Outcome:
    found = study.home.outcome(study.done[number])
    assert found is not None
    return found


def good(study: Study, number: int = 0) -> dict[str, object]:
    mine = outcome(study, number)
    return {
        "trial": mine.trial, "attempt": mine.attempt, "torch": "2.11",
        "predictions": mine.predictions["sha256"], "metrics": {"test/loss": 1.5},
    }  # fmt: skip


def beside(study: Study, text: str, number: int = 0) -> list[Finding]:
    """What is found of a file of that text beside a trial's record."""
    path = study.home.trials / study.done[number] / MEASURED
    path.write_text(text)
    return [one for one in survey(study.home).findings if one.path == path]


def loss(study: Study) -> float | None:
    """What a report would read."""
    return study.home.outcomes([study.done[0]])[study.done[0]].metrics.get("test/loss")


def test_what_is_as_it_was_written_is_no_finding_and_is_read(study):
    assert beside(study, seal(good(study))) == []
    assert loss(study) == 1.5
    assert survey(study.home).whole


def unsealed(content: dict[str, object]) -> str:
    """As version 0.1 wrote its records, which had no such file."""
    return json.dumps({**content, "schema": 1})


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (lambda content: "", "damaged record: it is empty"),
        (lambda content: seal(content)[:90], "damaged record: no JSON"),
        (lambda content: seal(content).replace("1.5", "0.5"), "damaged record: its digest is"),
        (unsealed, "damaged record: it has no digest"),
        (lambda content: seal({**content, "trial": "0" * 64}),
         "damaged record: it is of another trial"),
        (lambda content: seal({**content, "attempt": 7}),
         "damaged record: it is of another attempt"),
        (lambda content: seal({**content, "predictions": "0" * 64}),
         "damaged record: it is of weights that answered otherwise"),
        (lambda content: seal({**content, "metrics": {"test/loss": "1.5"}}),
         "damaged record: metrics: expected numbers"),
        (lambda content: seal({**content, "metrics": [1.5]}),
         "damaged record: metrics: expected numbers"),
    ],
)  # fmt: skip
def test_what_is_not_is_named_with_the_command_that_measures_again(study, wrong, problem):
    (finding,) = beside(study, wrong(good(study)))
    assert finding.problem.startswith(problem)
    assert (finding.damaged, finding.repair) == (True, "report")
    assert "`swinablate report 'my studies/plain.toml' --home h` measures again" in finding.hint
    found = survey(study.home)
    assert not found.whole
    assert found.trials[study.done[0]] == "whole"  # its own record is
    assert loss(study) is None


def test_another_trials_file_is_foreign(study):
    (finding,) = beside(study, seal(good(study, 1)))
    assert finding.problem == "damaged record: it is of another trial"


def test_a_newer_versions_file_is_said_to_be_one(study):
    data = json.loads(seal(good(study))) | {"schema": 99}
    data["digest"] = digest(data)
    (finding,) = beside(study, json.dumps(data))
    assert finding.problem == "written by a newer swinablate (schema 99)"
    assert (finding.damaged, finding.repair, finding.hint) == (True, "", "upgrade swinablate")


def test_a_file_that_nobody_reads_is_no_damage(study):
    path = study.home.trials / study.torn / MEASURED
    path.write_text("?")
    (finding,) = [one for one in survey(study.home).findings if one.path == path]
    assert finding.problem == "of no use: the trial has not ended"
    assert not finding.damaged

    study.home.commit(replace(outcome(study), kind="tune"))
    (finding,) = beside(study, "?")
    assert finding.problem == "of no use: it is no final trial with an answer"
    assert survey(study.home).whole


def test_what_the_record_says_is_not_replaced_by_what_was_measured_later(study):
    whole = outcome(study)
    study.home.commit(replace(whole, metrics={**whole.metrics, EVERY: 50.0, "test/loss": 0.25}))
    later = {"test/loss": 1.5, "test/translated/1": 40.0}
    assert beside(study, seal({**good(study), "metrics": later})) == []
    assert loss(study) == 0.25
    found = study.home.outcomes([study.done[0]])[study.done[0]]
    assert found.metrics["test/translated/1"] == 40.0  # a later study asked for it


def test_of_a_trial_that_no_study_has_it_is_to_be_moved_away(study):
    path = study.home.trials / study.done[0] / MEASURED
    path.write_text("")
    shutil.rmtree(study.home.studies)
    (finding,) = [one for one in survey(study.home).findings if one.path == path]
    assert (finding.damaged, finding.repair) == (True, "")
    assert "move the file away" in finding.hint
