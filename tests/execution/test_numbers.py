"""The result of a command: found, in its unit, or one clear error."""

import pytest

from swinablate.config.commands.schema import MetricConfig
from swinablate.errors import Diverged
from swinablate.execution.workers.numbers import CommandFailed, Incomplete, from_file, number


def asked(**said):
    return MetricConfig.model_validate({"file": "result.json", "key": "accuracy", **said})


@pytest.mark.parametrize(
    ("name", "text", "said", "found"),
    [
        ("result.json", '{"accuracy": 93.25}', {}, (93.25, [])),
        ("result.json", '{"eval": {"acc": "93.25"}}', {"key": "eval.acc"}, (93.25, [])),
        ("result.json", '{"a.b": 3}', {"key": "a.b"}, (3.0, [])),
        ("result.json", '{"accuracy": 0.931}', {"unit": "fraction"}, (93.1, [])),
        ("result.json", '{"accuracy": 0.5}', {"unit": "percent"}, (0.5, [])),
        ("result.json", '{"accuracy": -2.5}', {"unit": "nats"}, (-2.5, [])),
        ("l.jsonl", '{"accuracy": 80}\n{"loss": 1}\n{"accuracy": 90}\n', {}, (90.0, [80.0])),
        ("r.csv", "epoch, accuracy\n1,80\n2,\n3,90.5\n", {}, (90.5, [80.0])),
        ("r.csv", "epoch,accuracy\n0,nan\n1,80\n2,0.5\n3,90,\n", {}, (90.0, [80.0])),
        ("r.csv", 'note,accuracy\n"two\nlines",80\n\x85,90\n', {}, (90.0, [80.0])),
        (
            "l.jsonl",
            '{"val": {"acc": 80}}\n{"val": {"loss": 1}}\n{"val": {"acc": 90}}\n{"val": 3}',
            {"key": "val.acc"},
            (90.0, [80.0]),
        ),
        ("l.jsonl", '{"accuracy": 80, "n": "a\u2028b"}\r\n{"accuracy": 90}', {}, (90.0, [80.0])),
    ],
)
def test_a_number_is_read_in_its_unit(tmp_path, name, text, said, found):
    (tmp_path / name).write_text(text)
    last, before = found
    points = from_file(asked(file=name, **said), tmp_path)
    assert [point.value for point in points] == [*before, last]


@pytest.mark.parametrize(
    ("name", "text", "steps"),
    [
        ("l.jsonl", '{"epoch": 5, "accuracy": 80}\n{"epoch": 6, "accuracy": 90}\n', [5, 6]),
        ("r.csv", "step,epoch,accuracy\n100,1,80\n200,,\n300,2,90\n", [1, 2]),
        ("r.csv", "step,epoch,accuracy\n100,1,80\n300,1,90\n", [100, 300]),  # of two batches
        ("r.csv", "epoch,accuracy\n0.5,80\n1.5,90\n", [None, None]),
        ("r.csv", "step,accuracy\n1e30,80\n2e300,90\n", [None, None]),
        ("r.csv", "accuracy\n80\n90\n", [None, None]),
    ],
)
def test_a_number_knows_its_epoch_where_one_stands_beside_it(tmp_path, name, text, steps):
    (tmp_path / name).write_text(text)
    points = from_file(asked(file=name), tmp_path)
    assert [(point.value, point.step) for point in points] == [(80, steps[0]), (90, steps[1])]


@pytest.mark.parametrize(
    ("name", "text", "said", "ends"),
    [
        (
            "result.json",
            None,
            {},
            ("no result", "there is no result.json in {out}, which is empty"),
        ),
        ("l.jsonl", '{"loss": 1}\n', {}, ("no result", "no line with")),
        ("l.jsonl", '{"val": {"ac": 1}}\n', {"key": "val.acc"}, ("no result", "it has ac")),
        ("result.json", "{", {}, ("no result", "is not valid JSON")),
        ("result.json", '{"acc": 9}', {}, ("no result", "has no 'accuracy'; it has acc")),
        ("result.json", '{"accuracy": "high"}', {}, ("no result", "'high', and no number")),
        ("result.json", '{"accuracy": true}', {}, ("no result", "'True', and no number")),
        ("result.json", '{"accuracy": 0.93}', {}, ("unit", 'write unit = "fraction"')),
        ("result.json", '{"accuracy": 930}', {}, ("unit", "930, and not a percentage")),
        ("result.json", '{"accuracy": 93}', {"unit": "fraction"}, ("unit", "not a fraction of 1")),
        (
            "r.csv",
            "epoch,acc\n1,2\n",
            {},
            ("no result", "no column 'accuracy'; it has epoch, acc"),
        ),
        ("r.csv", "epoch,accuracy\n", {}, ("no result", "no row with 'accuracy'")),
        (
            "r.csv",
            "epoch,accuracy\n1,95,5\n",
            {},
            ("no result", "more cells than columns: '1,95,5'"),
        ),
        ("r.csv", "accuracy,accuracy\n80,90\n", {}, ("no result", "several columns 'accuracy'")),
        ("r.csv", "accuracy\n80\n90\n", {"twice": "fail"}, ("twice", "has 2 times a row")),
    ],
)
def test_what_is_no_result_is_one_error(tmp_path, name, text, said, ends):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(CommandFailed) as error:
        from_file(asked(file=name, **said), tmp_path)
    kind, problem = ends
    assert error.value.kind == kind
    assert problem in error.value.problem


def test_other_files_are_named_where_the_one_is_missing(tmp_path):
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(Incomplete, match=r"there are results\.json"):
        from_file(asked(), tmp_path)


@pytest.mark.parametrize("said", ["nan", float("nan"), "inf", "-Infinity", "1e400", -1e200])
def test_no_finite_number_is_a_divergence(said):
    with pytest.raises(Diverged):
        number(said, asked(), "accuracy")
