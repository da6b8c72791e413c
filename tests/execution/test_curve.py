"""Rows of a command's curve: several metrics, of one epoch, in one row."""

import pytest

from swinablate.config.commands.schema import MetricConfig
from swinablate.execution.workers.curve import Curve
from swinablate.execution.workers.numbers import Point

ACC = MetricConfig(pattern="acc (.*)", name="acc", unit="percent")
LOSS = MetricConfig(pattern="loss (.*)", name="loss", unit="nats", better="lower")
FILE = MetricConfig(file="r.csv", key="lr", unit="rate")


def rows(metrics, *said, files=()):
    """What is told, without the time: of lines (which, number, step), then of files."""
    told = []
    curve = Curve(metrics, lambda kind, data: told.append((kind, data)))
    for one in said:
        curve.printed(*one)
    before = len(told)
    for metric, points in files:
        curve.read(metric, points)
    curve.close()
    assert {kind for kind, _ in told} <= {"epoch"}
    shown = [
        tuple(data.get(key) for key in ("epoch", "command/acc", "command/loss", "command/lr"))
        for _, data in told
    ]
    return before, shown


def test_numbers_of_an_epoch_are_one_row_in_whatever_order_they_come():
    said = [(0, "50", None), (1, "2", None), (1, "1", None), (0, "60", None), (0, "61", None)]
    _, told = rows((ACC, LOSS), *said)
    assert told == [(1, 50, 2, None), (2, 60, 1, None), (3, 61, None, None)]


def test_rows_are_told_as_they_come_and_one_alone_is_no_curve():
    assert rows((ACC,), (0, "50", None)) == (0, [])
    before, told = rows((ACC,), *((0, str(value), None) for value in (50, 60, 70)))
    assert before == 2, "the last one may get more"
    assert len(told) == 3


def test_a_step_that_is_said_is_the_rows_and_a_line_without_one_is_no_point():
    said = [(0, "50", "7"), (0, "60", "8"), (0, "55", "7"), (0, "61", "8"), (0, "62", "")]
    assert rows((ACC,), *said)[1] == [(7, 50, None, None), (8, 61, None, None)]


@pytest.mark.parametrize("text", ["nan", "fine", "101"])
def test_what_is_no_number_of_its_unit_is_no_point(text):
    said = [(0, "50", None), (0, text, None), (0, "60", None)]
    assert [row[1] for row in rows((ACC,), *said)[1]] == [50, 60]


def test_files_and_lines_make_rows_together_at_the_end():
    said = [(0, "50", "1"), (0, "60", "2")]
    points = [Point(0.1, 2), Point(0.01, 3)]
    before, told = rows((ACC, FILE), *said, files=[(FILE, points)])
    assert before == 0
    assert told == [(1, 50, None, None), (2, 60, None, 0.1), (3, None, None, 0.01)]


def test_one_number_of_a_file_is_no_curve():
    assert rows((FILE,), files=[(FILE, [Point(0.1)])])[1] == []
    many = [(FILE, [Point(0.1), Point(0.2)])]
    assert rows((FILE,), files=many)[1] == [(1, None, None, 0.1), (2, None, None, 0.2)]
