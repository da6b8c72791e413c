"""Tables of a terminal: what stands where is read from their lines, at every width."""

import re

import pytest
from rich.cells import cell_len

from swinablate.cli import terminal
from swinablate.cli.wording.columns import laid

COLUMNS = ["arm", ">difference", ">95 % interval", ">n", "verdict"]
ROWS = [
    ["shift=false", "-8.63", "[-10.05, -7.22]", "8", "worse"],
    ["shift_mask=regions, position_bias=table, window=4", "+1.83", "[+0.89, +2.78]", "5",
     "better (given convergence)"],
]  # fmt: skip
TEXTS = [
    [
        "quickstart",
        "done",
        "64 of 64",
        "Which parts of Swin matter on 8x8 digits, and why so?",
        "-",
    ],
    ["own", "7 left", "1 of 8", "Which?", "shift=false worse: -8.63 pp [-10.05, -7.22]"],
]
HEADS = ["study", "state", ">trials", "question", "strongest verdict"]


def words(rows: list[list[str]]) -> set[str]:
    return {word for row in rows for cell in row for word in cell.split() if word != "-"}


@pytest.mark.parametrize("width", [32, 40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize(("columns", "rows"), [(COLUMNS, ROWS), (HEADS, TEXTS)])
def test_no_word_is_torn_and_no_line_is_longer_than_the_terminal(columns, rows, width):
    head, lines = laid(columns, rows, width)
    assert max(map(len, [*head, *lines])) <= width
    shown = {word for line in lines for word in line.split()}
    assert words(rows) - shown == set()


@pytest.mark.parametrize("width", [48, 60, 80, 120])
def test_an_interval_stands_on_one_line(width):
    _, lines = laid(COLUMNS, ROWS, width)
    assert sum("[-10.05, -7.22]" in line for line in lines) == 1


def test_with_room_a_row_is_a_line():
    head, lines = laid(COLUMNS, ROWS[:1], 80)
    assert head == ["arm          difference    95 % interval  n  verdict"]
    assert lines == ["shift=false       -8.63  [-10.05, -7.22]  8  worse"]


def test_a_name_that_goes_on_is_no_other_row():
    rows = [["shift=false, window=4, norm=batch", "5"], ["b", "8"]]
    assert laid(["arm", ">n"], rows, 26) == (
        ["arm                      n"],
        ["shift=false, window=4,   5", "  norm=batch", "b                        8"],
    )


def test_a_long_text_stands_below_its_row_and_what_says_nothing_nowhere():
    head, lines = laid(HEADS, TEXTS, 42)
    assert head == ["study       state     trials"]
    assert lines == [
        "quickstart  done    64 of 64",
        "  question: Which parts of Swin matter on",
        "    8x8 digits, and why so?",
        "own         7 left    1 of 8",
        "  question: Which?",
        "  strongest verdict: shift=false worse:",
        "    -8.63 pp [-10.05, -7.22]",
    ]


def test_a_long_first_column_stands_above_its_row():
    name = "a_long_name_of_one_word_and_no_blank"
    head, lines = laid(COLUMNS, [[name, *ROWS[0][1:]]], 44)
    assert head == ["arm", "  difference    95 % interval  n  verdict"]
    assert lines == [name, "       -8.63  [-10.05, -7.22]  8  worse"]


def test_where_nothing_fits_every_cell_has_a_line_with_its_name():
    assert laid(["arm", ">difference", ">n"], [["shift=false", "-8.63 points", "8"]], 16) == (
        [],
        ["shift=false", "  difference:", "    -8.63 points", "  n: 8"],
    )


def test_an_empty_column_is_left_out_where_room_lacks():
    head, _ = laid(["trial", "status", "why"], [["f13f7a3910ed", "done", ""]], 21)
    assert head == ["trial         status"]


def test_lines_of_a_cell_stay_lines():
    _, lines = laid(
        ["arm", "stages"], [["baseline", "grid 8x8  width 16\ngrid 4x4  width 32"]], 40
    )
    assert lines == ["baseline  grid 8x8  width 16", "          grid 4x4  width 32"]


def test_wide_letters_are_counted_as_wide_as_they_are():
    _, lines = laid(["a", "b"], [["\u7a93\u7a93", "x"], ["win", "x"]], 40, cell_len)
    assert [cell_len(line) for line in lines] == [7, 7]


def test_a_table_without_names_has_no_line_for_them():
    assert laid(["", ""], [["epochs", "15"]], 40) == ([], ["epochs  15"])


@pytest.mark.parametrize("width", [60, 80])
def test_verdicts_are_read_at_every_width(width, capsys, monkeypatch):
    monkeypatch.setattr(terminal.out, "width", width)
    arm = {"n": 5, "delta_pp": -1.2, "ci_low": -1.7, "ci_high": -0.7, "negligible": False}
    name = "shift_mask=regions, position_bias=table, shift_covered=false"
    arms = [{"name": name, "verdict": "worse", **arm}]
    terminal.show_verdicts({"baseline": {"mean": 91.2, "n": 5}, "alpha": 0.05, "arms": arms})
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= width
    assert "[-1.70, -0.70]" in said
    assert set(re.findall(r"[\w=]+", name)) <= set(re.findall(r"[\w=]+", said))
