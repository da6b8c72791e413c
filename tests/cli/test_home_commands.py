"""`list`, `show` and `logs` on the home of version 0.1, and on one that was damaged."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from swinablate.cli.app import main
from swinablate.cli.commands.verbs import shown
from swinablate.records.events import TRAINS
from swinablate.records.seal import seal
from swinablate.scheduling import status
from swinablate.scheduling.looking import headline
from tests.records.homes import edited, sealed


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return sealed(tmp_path)


def said(capsys, *words):
    """What a command printed for programs, which must end well."""
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *words):
    code = main(list(words))
    return code, capsys.readouterr().err


def home(study):
    return ["--home", str(study.home.root)]


def test_list_tells_how_far_studies_are(study, capsys):
    found = said(capsys, "list", *home(study))
    assert found["schema"] == 1
    rows = {one["name"]: one for one in found["studies"]}
    assert sorted(rows) == ["grid", "looks", "plain", "tuned"]
    plain = rows["plain"]
    assert (plain["state"], plain["interim"]) == ("interrupted", True)
    assert (plain["done"], plain["planned"]) == (len(study.done), len(study.done) + 3)
    assert plain["question"] == "Do shift and position matter?"
    assert plain["disk_bytes"] > 0
    assert plain["headline"] is None
    assert (rows["looks"]["state"], rows["looks"]["interim"]) == ("done", False)


@pytest.fixture
def judging(monkeypatch):
    """Names of the studies that were judged for a list."""
    names, judged = [], headline.judged

    def counted(home, plan):
        names.append(plan.study)
        return judged(home, plan)

    monkeypatch.setattr(headline, "judged", counted)
    return names


def headlines(capsys, study):
    found = said(capsys, "list", *home(study))["studies"]
    return {one["name"]: one["headline"] for one in found}


def kept(study, name="looks"):
    return study.home.studies / name / study.home.latest(name) / "headline.json"


def test_a_watched_status_is_a_line_a_look_for_programs(study, capsys, monkeypatch):
    """Each can be read when it comes, and the last when the study has ended."""
    looked = iter(("pid 7", "pid 7", ""))
    real = status.read_status
    monkeypatch.setattr(
        status, "read_status", lambda *asked: replace(real(*asked), owner=next(looked))
    )
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert main(["status", "plain", "--watch", "--json", *home(study)]) == 0
    looks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["schema"], one["owner"]) for one in looks] == [
        (1, "pid 7"),
        (1, "pid 7"),
        (1, ""),
    ]


def test_list_judges_what_is_done_once(study, capsys, judging):
    first = headlines(capsys, study)
    assert set(judging) == {"grid", "looks", "tuned"}
    judging.clear()
    assert headlines(capsys, study) == first
    assert judging == []
    assert first["plain"] is None


def test_a_report_keeps_what_it_judged(study, capsys, judging):
    assert main(["report", "looks", *home(study), "--out", "report"]) == 0
    capsys.readouterr()
    verdicts = json.loads(Path("report/verdicts.json").read_text())
    found = headlines(capsys, study)["looks"]
    assert "looks" not in judging
    assert found == headline.headline(verdicts, "report")


def test_a_list_believes_no_headline_of_other_records_or_code(study, capsys, judging, monkeypatch):
    headlines(capsys, study)
    was = kept(study).read_text()
    kept(study).write_text(was.replace('"study": "looks"', '"study": "lookz"'))
    judging.clear()
    headlines(capsys, study)
    assert judging == ["looks"]
    assert kept(study).read_text() == was  # written anew

    arms = study.home.declared("looks").arms
    record = study.home.trials / arms[1].trials[0] / "result.json"
    result = json.loads(record.read_text())
    result["metrics"]["test/accuracy"] = 99.0
    record.write_text(seal({k: value for k, value in result.items() if k != "digest"}))
    judging.clear()
    headlines(capsys, study)
    assert "looks" in judging

    elsewhere = study.home.root / "code"
    (elsewhere / "stats").mkdir(parents=True)
    monkeypatch.setattr(headline, "CODE", elsewhere)
    headlines(capsys, study)
    judging.clear()
    (elsewhere / "stats" / "verdict.py").write_text("ALPHA = 0.1")
    headlines(capsys, study)
    assert set(judging) == {"grid", "looks", "tuned"}


def test_list_names_a_damaged_study_and_the_others(study, capsys):
    edited(study.plan, lambda plan: plan.update(question="another"))
    rows = {one["name"]: one for one in said(capsys, "list", *home(study))["studies"]}
    assert rows["plain"]["state"] == "damaged"
    assert "digest" in rows["plain"]["problem"]
    assert rows["looks"]["state"] == "done"


def test_list_of_an_empty_home(tmp_path, capsys):
    assert said(capsys, "list", "--home", str(tmp_path / "none"))["studies"] == []
    assert not (tmp_path / "none").exists()


def test_show_a_trial_by_the_first_digits_of_its_id(study, capsys):
    trial = study.done[-1]
    one = said(capsys, "show", trial[:8], *home(study))
    assert one["trial"] == trial
    assert one["status"] == "done"
    row = next(row for row in study.home.declared("plain").rows() if row.trial == trial)
    assert {(use["study"], use["name"]) for use in one["uses"]} >= {
        ("plain", f"{row.arm.name} s{row.seed}")
    }
    assert one["differs"] == {path: list(pair) for path, pair in row.arm.differs.items()}
    assert one["metrics"]["test/accuracy"] == study.home.outcome(trial).metrics["test/accuracy"]
    assert [a["state"] for a in one["attempts"]] == ["done"]
    assert main(["show", trial[:8], *home(study)]) == 0
    text = capsys.readouterr().out
    assert f"trial {trial}" in text
    assert f"swinablate reproduce {trial[:12]} --home" in text
    assert text.index("What differs") < text.index("Recipe")


def test_show_a_trial_that_has_not_ended_or_not_begun(study, capsys):
    one = said(capsys, "show", study.torn, *home(study))
    assert one["status"] == "interrupted"
    assert one["curve"], "how far it has come"
    plan = study.home.declared("plain")
    (waiting, *_) = [r.trial for r in plan.rows() if not (study.home.trials / r.trial).exists()]
    assert said(capsys, "show", waiting, *home(study))["status"] == "planned"
    code, text = refused(capsys, "logs", waiting, *home(study))
    assert code == 2
    assert f"trial {waiting[:12]} has not begun: there is no log yet" in text
    assert "hint: `swinablate run STUDY` trains it" in text


def test_show_an_arm_in_all_studies_or_in_one(study, capsys):
    every = said(capsys, "show", "baseline", *home(study))
    assert set(every["studies"]) == {"grid", "looks", "plain", "tuned"}
    one = said(capsys, "show", "baseline", "--study", "plain", *home(study))
    assert [row["trial"] for row in one["trials"]] == list(
        study.home.declared("plain").baseline.trials
    )
    code, text = refused(capsys, "show", "baselime", "--study", "plain", *home(study))
    assert code == 2
    assert text == "error: plain: no arm is called 'baselime'\n\nhint: did you mean 'baseline'?\n"


def test_several_trials_are_listed_and_none_is_guessed(study, capsys):
    first = study.done[0]
    twin = first[:6] + ("0" if first[6] != "0" else "1") + "f" * 57
    (study.home.trials / twin).mkdir()
    code, text = refused(capsys, "show", first[:5], *home(study))
    assert code == 2
    assert f"2 trials begin with '{first[:5]}'" in text
    assert first[:16] in text and twin[:16] in text  # noqa: PT018
    assert "of no declared study" in text
    assert refused(capsys, "show", first[:3], *home(study))[0] == 2
    assert refused(capsys, "show", "ffff" + "0" * 8, *home(study))[0] == 2


def test_a_damaged_record_is_shown_as_one(study, capsys):
    edited(study.record(), lambda data: data["metrics"].update({"test/accuracy": 99.0}))
    one = said(capsys, "show", study.done[0], *home(study))
    assert one["status"] == "damaged"
    assert one["metrics"] == {}
    assert "digest" in one["damage"]


def test_logs_show_events_and_what_workers_printed_of_this_trial(study, capsys):
    trial = study.done[0]
    study.home.logs.mkdir(exist_ok=True)
    (study.home.logs / "worker-0.log").write_text(
        f"{TRAINS} {'a' * 64}:1 \nof another\n{TRAINS} {'b' * 64}:2 {trial}:1 \nmine\n{TRAINS} {trial}:2 \nlater\n"
    )
    one = said(capsys, "logs", trial, *home(study))
    (attempt,) = one["attempts"]
    assert attempt["events"][-1]["kind"] == "done"
    (text,) = attempt["printed"]
    assert text["lines"][1:] == ["mine"]
    assert main(["logs", trial, *home(study)]) == 0
    assert "mine" in capsys.readouterr().out


def test_a_missing_log_is_said(study, capsys):
    trial = study.done[0]
    assert main(["logs", trial, *home(study)]) == 0
    assert "is not in" in capsys.readouterr().err
    (study.home.attempt(trial, 1) / "events.jsonl").unlink()
    assert main(["logs", trial, *home(study)]) == 0
    assert "has no events" in capsys.readouterr().err
    code, text = refused(capsys, "logs", trial, "--attempt", "3", *home(study))
    assert (code, text.splitlines()[-1]) == (2, "hint: its attempts: 1")


def test_a_sparkline_has_its_ends():
    assert shown.sparkline([0.0, 1.0, 0.5], blocks=False) == ".%+"
    long = shown.sparkline([float(i) for i in range(1000)], blocks=True)
    assert (len(long), long[0], long[-1]) == (shown.WIDE, chr(0x2581), chr(0x2588))
    assert shown.sparkline([2.0, 2.0], blocks=False) == ".."
