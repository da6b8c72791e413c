"""Records that were cut off, edited, exchanged or lost: named, and never believed."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from swinablate.cli.app import main
from swinablate.errors import EnvironmentFault
from swinablate.records.seal import SCHEMA, Damaged, digest, seal, unseal
from swinablate.records.tuning import Ledger, TryRecord
from tests.records.homes import Study, edited, first, sealed


def put(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def setting(**values: object) -> Callable[[Path], None]:
    return lambda path: edited(path, lambda data: data.update(values))


def within(key: str, **values: object) -> Callable[[Path], None]:
    """`metrics__x` of a value stands for its metric `x`."""
    named = {name.replace("__", "/"): value for name, value in values.items()}
    return lambda path: edited(path, lambda data: data[key].update(named))


def without(*keys: str) -> Callable[[Path], None]:
    return lambda path: edited(path, lambda data: [data.pop(key) for key in keys])


ANYTHING = {
    "cut in half": halved,
    "empty": put(b""),
    "binary": put(bytes(range(256))),
    "zeros of a power loss": put(bytes(4096)),
    "a list": put(b"[]"),
    "null": put(b"null"),
    "an empty object": put(b"{}"),
    "brackets without end": put(b"[" * 100_000),
    "a number of 5,000 digits": put(b"9" * 5000),
    "a folder": folder,
    "a schema in words": setting(schema="1"),
    "schema 0": setting(schema=0),
    "schema true": setting(schema=True),
    "no digest": without("digest"),
    "another digest": setting(digest="0" * 64),
    "an unknown key": setting(mood="good"),
}
RECORDS = ANYTHING | {
    "an accuracy edited": within("metrics", test__accuracy=99.9),
    "an impossible accuracy": within("metrics", test__accuracy=250.0),
    "no metrics": setting(metrics={}),
    "metrics null": setting(metrics=None),
    "a metric in words": within("metrics", test__accuracy="high"),
    "an infinite accuracy": within("metrics", test__accuracy=float("inf")),
    "an accuracy that is no number": within("metrics", test__accuracy=float("nan")),
    "an unknown status": setting(status="bogus"),
    "a curve of numbers": setting(curve=[1, 2]),
    "no end": without("finished_at"),
    "an end in words": setting(finished_at="noon"),
    "no provenance": setting(provenance=None),
    "no execution": setting(execution=None),
    "garbage for predictions": setting(predictions={"sha256": 1, "correct": "%"}),
    "a confusion of other images": setting(
        predictions={"images": 3, "confusion": [[1, 0], [0, 1]]}
    ),
    "a confusion that is no square": setting(predictions={"images": 1, "confusion": [[1, 0]]}),
    "a confusion of shares": setting(predictions={"images": 1, "confusion": [[1.0]]}),
}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return sealed(tmp_path)


def refused(study: Study, capsys: pytest.CaptureFixture[str], *said: str) -> None:
    """Both `status` and `report` end with exit code 4 and name the place and a remedy."""
    for command in ("status", "report"):
        assert main(study.words(command)) == 4
        out, err = capsys.readouterr()
        assert out == ""
        for words in said:
            assert words in err
        assert "\n\nhint: " in err
        assert "Traceback" not in err


@pytest.mark.parametrize("how", RECORDS)
def test_a_damaged_record_is_named_and_restored_from_its_attempt(study, capsys, how):
    path = study.record(3)
    whole = path.read_bytes()
    RECORDS[how](path)
    refused(study, capsys, str(path), "damaged record: ", "`swinablate sync STUDY` restores it")
    trial = path.parent.name
    said = list(study.home.mend([trial], anew=False))
    assert said == [f"trial {trial[:12]}: record restored from attempt 1"]
    assert path.read_bytes() == whole
    assert path.with_name("result.json.damaged-1").exists()  # nothing was deleted
    assert main(study.words("status")) == 0


@pytest.mark.parametrize("how", RECORDS)
def test_a_record_that_is_damaged_twice_is_trained_again_when_asked(study, capsys, how):
    path = study.record()
    trial = path.parent.name
    copy = study.home.attempt(trial, 1) / "result.json"
    RECORDS[how](path), RECORDS[how](copy)
    refused(study, capsys, str(path), "`swinablate retry STUDY` trains the trial again")
    assert list(study.home.mend([trial], anew=False)) == []
    refused(study, capsys, str(path))
    (said,) = study.home.mend([trial], anew=True)
    assert said == f"trial {trial[:12]}: the damaged record is put aside; it is trained again"
    assert study.home.outcome(trial) is None
    assert study.home.earlier(trial, 2) == (str(copy.parent),)  # it goes on from a checkpoint
    assert all(p.with_name("result.json.damaged-1").exists() for p in (path, copy))


def test_another_trials_record_is_not_believed(study, capsys):
    path, other = study.record(0), study.record(1)
    shutil.copy(other, path)
    refused(study, capsys, f"{path}: damaged record: it is of another trial")


def test_a_file_in_the_place_of_a_trials_folder_is_named(study, capsys):
    folder = study.record().parent
    shutil.rmtree(folder)
    folder.write_text("")
    refused(study, capsys, str(folder), "Not a directory")


@pytest.mark.parametrize(
    "how",
    [
        *("an impossible accuracy", "no metrics", "metrics null", "a metric in words", "no end"),
        *("an infinite accuracy", "an accuracy that is no number", "an unknown status"),
        *("a curve of numbers", "an end in words", "no provenance", "no execution", "empty"),
        *("garbage for predictions", "an unknown key", "cut in half", "null", "a folder"),
    ],
)
def test_what_cannot_be_in_a_record_of_schema_1_is_named_without_a_digest(tmp_path, capsys, how):
    study = first(tmp_path)
    RECORDS[how](study.record())
    refused(study, capsys, f"{study.record()}: damaged record: ")


def test_a_record_of_schema_1_is_accepted_and_known_to_be_unchecked(tmp_path):
    study = first(tmp_path)
    within("metrics", test__accuracy=99.9)(study.record())
    found = study.home.outcome(study.done[0])
    assert (found.schema, found.metrics["test/accuracy"]) == (1, 99.9)


def test_a_record_that_says_schema_1_and_has_a_digest_is_not_believed(study, capsys):
    setting(schema=1)(study.record())
    refused(study, capsys, str(study.record()))


def test_a_home_of_a_newer_schema_is_refused_and_nothing_is_written_over(study, capsys):
    record, plan = study.record(), study.plan
    setting(schema=99)(record)
    refused(study, capsys, f"{record}: written by a newer swinablate (schema 99)", "upgrade")
    with pytest.raises(EnvironmentFault, match="newer swinablate"):
        list(study.home.mend([record.parent.name], anew=True))
    declared = study.home.declared("plain")
    setting(schema=99)(plan)
    refused(study, capsys, f"{plan}: written by a newer swinablate (schema 99)", "upgrade")
    before = plan.read_bytes()
    with pytest.raises(EnvironmentFault, match="newer swinablate"):
        study.home.declare(declared)
    assert plan.read_bytes() == before


@pytest.mark.parametrize("how", ANYTHING)
def test_a_damaged_plan_is_named_and_declared_again_by_run(study, capsys, how):
    plan, path = study.home.declared("plain"), study.plan
    ANYTHING[how](path)
    refused(study, capsys, f"{path}: damaged record: ", "`swinablate run studies/plain.toml`")
    study.home.declare(plan)
    assert study.home.declared("plain") == plan
    assert path.with_name("plan.json.damaged-1").exists()


def test_an_edited_plan_and_another_studys_plan_are_not_believed(study, capsys):
    whole = study.plan.read_bytes()
    edited(study.plan, lambda data: data["compare"].update(rope=5.0))
    refused(study, capsys, f"{study.plan}: damaged record: its digest is another's")
    study.plan.write_text(seal({**json.loads(whole), "study": "other"}))
    refused(study, capsys, f"{study.plan}: damaged record: it is of another study")
    study.plan.write_text(seal({**json.loads(whole), "declaration": "0" * 64}))
    refused(study, capsys, f"{study.plan}: damaged record: it is of another declaration")
    study.plan.unlink()
    refused(study, capsys, f"{study.plan}: damaged record: it is missing")


def test_a_plan_with_more_seeds_than_trials_is_no_plan(study, capsys):
    data = json.loads(study.plan.read_text())
    data["arms"][1]["trials"].pop()
    study.plan.write_text(seal(data))
    refused(study, capsys, str(study.plan), "an arm has more seeds than trials")


@pytest.mark.parametrize(
    "text", [b"", b"../../elsewhere", b"\xff\xfe", bytes(64), b"x" * 64, b"a" * 65, b"a/b"]
)
def test_a_damaged_pointer_to_the_newest_plan_is_named(study, capsys, text):
    path = study.folder / "latest"
    path.write_bytes(text)
    refused(study, capsys, f"{path}: damaged record: it names no declaration", "swinablate run")


def test_a_pointer_that_cannot_be_read_is_named(study, capsys):
    folder(study.folder / "latest")
    refused(study, capsys, f"{study.folder / 'latest'}: damaged record: Is a directory")


def test_a_study_that_was_never_run_is_wrong_input(study, capsys):
    (study.folder / "latest").unlink()
    assert main(study.words("status")) == main(study.words("report")) == 2
    assert "study 'plain' has not been run in" in capsys.readouterr().err


@pytest.mark.parametrize("how", ANYTHING)
def test_a_damaged_ledger_is_named(study, capsys, how):
    home, declaration = study.home, study.plan.parent.name
    entry = TryRecord(number=0, params={}, trials=("a" * 64,), finals=("b" * 64,))
    ledger = Ledger().with_try("baseline", entry)
    home.keep_ledger("plain", declaration, ledger)
    assert home.ledger("plain", declaration) == ledger
    path = study.plan.with_name("tuning.json")
    ANYTHING[how](path)
    refused(study, capsys, f"{path}: damaged record: ", "move this file away")


@pytest.mark.parametrize("how", ANYTHING)
def test_damaged_choices_are_named(study, how):
    devices = {"CPU": {"choice": {"precision": "fp32"}, "measured": [{"ms": 1}], "at": 5}}
    study.home.keep_choices("plain", devices)
    assert study.home.choices("plain") == devices
    path = study.folder / "choices.json"
    ANYTHING[how](path)
    with pytest.raises(Damaged, match=re.escape(f"{path}: damaged record: ")):
        study.home.choices("plain")


def test_another_studys_ledger_and_choices_are_not_believed(study):
    home = study.home
    home.keep_ledger("other", "0" * 64, Ledger())
    home.keep_choices("other", {})
    shutil.copy(home.studies / "other" / "choices.json", study.folder)
    shutil.copy(home.studies / "other" / ("0" * 64) / "tuning.json", study.plan.parent)
    for ask in (home.choices, lambda name: home.ledger(name, study.plan.parent.name)):
        with pytest.raises(Damaged, match="it is of another study"):
            ask("plain")


ROW = b'{"trial": "%s", "attempt": 1, "kind": "epoch", "at": 1, "data": %s}\n'


@pytest.mark.parametrize(
    "tail",
    [
        b'{"trial": "ab", "att',
        b"\xff\xfe\x00garbage\n",
        bytes(range(256)),
        b'{"mood": "good"}\n[]\nnull\n1e999\n',
        b'{"trial": 1, "attempt": "x", "kind": 2, "at": null, "data": []}\n',
        ROW.replace(b"%s", b"other", 1).replace(b"%s", b'{"epoch": 9, "val/accuracy": 9.0}'),
        ROW.replace(b"%s", b"ID", 1).replace(b"%s", b'{"epoch": "nine"}'),
        ROW.replace(b"%s", b"ID", 1).replace(b"%s", b'{"val/accuracy": 99.0}'),
        ROW.replace(b"epoch", b"resumed", 1).replace(b"%s", b"ID", 1).replace(b"%s", b'{"curve": 7}'),
        ROW.replace(b"epoch", b"resumed", 1).replace(b"%s", b"ID", 1).replace(b"%s", b'{"curve": [7]}'),
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_garbled_events_of_an_unfinished_trial_are_passed_over(study, capsys, tail):
    trial, home = study.torn, study.home
    log = home.attempt(trial, 1) / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)[:-1]  # killed, not stopped
    log.write_bytes(b"".join(lines))
    before = list(home.events(trial))
    assert len(before) == len(lines) > 2
    log.write_bytes(lines[0] + tail.replace(b"ID", trial.encode()) + b"\n" + b"".join(lines[1:]))
    assert list(home.events(trial)) == before
    assert main(study.words("status", "--json")) == 0
    (now,) = json.loads(capsys.readouterr().out)["current"]
    assert now["epoch"] == sum(one.kind == "epoch" for one in before)


def test_events_that_are_gone_are_none(study):
    log = study.home.attempt(study.torn, 1) / "events.jsonl"
    for damage in (put(b""), folder):
        damage(log)
        assert list(study.home.events(study.torn)) == []
        assert main(study.words("status")) == 0


def test_a_digest_is_that_of_the_content_however_it_is_written(tmp_path):
    content = {"b": [1, 2.5, "\u00fc"], "a": {"y": None, "x": (True,)}, 3: "number"}
    path = tmp_path / "x.json"
    path.write_text(seal(content))
    data = unseal(path, {}, "")
    assert data["schema"] == SCHEMA
    assert data["digest"] == digest(data)
    # the canonical form is part of the format: a home opens for ever
    assert data["digest"] == "b370f4ab97c5825aaf07765386e5792e2fac33617aea5ef07f54d24a3628be40"
    path.write_text(json.dumps(dict(reversed(data.items())), indent=7, ensure_ascii=False))
    assert unseal(path, {}, "") == data
    with pytest.raises(ValueError, match="not JSON compliant"):
        seal({"x": float("nan")})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_record_that_may_not_be_read_is_no_damage(study, capsys):
    study.record().chmod(0)
    refused(study, capsys, f"{study.record()}: cannot read: Permission denied")
