"""Scalars in event files that torch's own writer has written."""

import sys
from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from swinablate.config.commands import boards
from swinablate.config.commands.schema import MetricConfig
from swinablate.errors import Diverged, EnvironmentFault
from swinablate.execution.workers.numbers import CommandFailed, Incomplete, Point, from_file


def written(folder, tag, values, *, first=1, **more):
    with SummaryWriter(str(folder), **more) as board:
        board.add_text("note", "no number")
        board.add_histogram("weights", np.arange(9.0), 1)
        for i, value in enumerate(values, first):
            board.add_scalar(tag, value, i)


def asked(**said):
    return MetricConfig.model_validate({"tag": "val/acc", "unit": "percent", **said})


def test_scalars_are_read_by_tag_and_step(tmp_path):
    written(tmp_path, "val/acc", [80, 90.5])
    assert from_file(asked(), tmp_path) == [Point(80, 1), Point(90.5, 2)]
    assert asked().called == "acc"
    assert set(boards.scalars(tmp_path)[Path()]) == {"val/acc"}, "texts and histograms are none"


def test_a_run_that_went_on_has_one_curve_and_its_newest_values(tmp_path):
    written(tmp_path, "val/acc", [80, 81, 70])
    written(tmp_path, "val/acc", [82, 83], first=3, filename_suffix=".again")
    found = [point.value for point in from_file(asked(), tmp_path)]
    assert found == [80, 81, 82, 83]


def test_a_file_that_breaks_off_is_read_as_far_as_it_goes(tmp_path):
    written(tmp_path, "val/acc", range(60, 90))
    (path,) = tmp_path.glob("*tfevents*")
    path.write_bytes(path.read_bytes()[:-300])
    found = [one.value for one in boards.scalars(tmp_path)[Path()]["val/acc"]]
    assert 1 < len(found) < 30
    assert found == list(range(60, 60 + len(found)))
    with pytest.raises(Incomplete, match="is cut off or damaged: its last value is not known"):
        from_file(asked(), tmp_path)
    # A process that was started again has written the rest.
    written(tmp_path, "val/acc", [88, 89], first=29, filename_suffix=".again")
    assert from_file(asked(), tmp_path)[-1] == Point(89, 30)


@pytest.mark.parametrize("at", [0.85, 0.9, 0.99])
def test_a_damaged_file_has_no_last_value(tmp_path, at):
    written(tmp_path, "val/acc", range(60, 90))
    (path,) = tmp_path.glob("*tfevents*")
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 4
    path.write_bytes(data)
    with pytest.raises(Incomplete, match="is cut off or damaged"):
        from_file(asked(), tmp_path)


@pytest.mark.parametrize(
    ("said", "kind", "problem"),
    [
        ({"tag": "val/accuracy"}, "no result", "no event has the tag 'val/accuracy'; there are"),
        ({"file": "nowhere"}, "no result", "no events of TensorBoard are in {out}/nowhere"),
        ({"twice": "fail"}, "twice", "'val/acc' has 2 values"),
        ({"unit": None}, "unit", 'write unit = "fraction"'),
    ],
)
def test_what_is_no_result_is_one_error(tmp_path, said, kind, problem):
    written(tmp_path, "val/acc", [0.5, 0.75])
    with pytest.raises(CommandFailed) as error:
        from_file(asked(**said), tmp_path)
    assert (error.value.kind, problem in error.value.problem) == (kind, True), error.value.problem


def test_several_runs_are_told_apart_by_their_folder(tmp_path):
    written(tmp_path / "a", "val/acc", [80])
    written(tmp_path / "b", "val/acc", [90])
    with pytest.raises(CommandFailed, match="in 2 folders of events: a, b; say which"):
        from_file(asked(), tmp_path)
    assert from_file(asked(file="b"), tmp_path) == [Point(90, 1)]


def test_nan_has_diverged(tmp_path):
    written(tmp_path, "val/acc", [80, float("nan")])
    with pytest.raises(Diverged):
        from_file(asked(), tmp_path)


def test_without_the_package_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert boards.lacking()
    with pytest.raises(EnvironmentFault) as error:
        boards.scalars(tmp_path)
    assert "swinablate[tensorboard]" in error.value.hint
