"""What a pattern takes of a line is all of a number, or the line is said to hold more."""

import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swinablate.execution.workers.keeper import LINE
from swinablate.execution.workers.patterns import Pattern, Taken, TooLong, required, within

LOSS = "loss: ([0-9.]+)"


@pytest.mark.parametrize(
    ("pattern", "line", "number", "whole"),
    [
        (LOSS, "loss: 0.25", "0.25", ""),
        (LOSS, "loss: nan", "", "nan"),
        (LOSS, "loss: -inf", "", "-inf"),
        (LOSS, "loss: nan, best loss: 0.5", "", "nan"),
        (LOSS, "loss: -0.05", "", "-0.05"),
        (LOSS, "loss: 9.5e-05", "9.5", "9.5e-05"),
        (LOSS, "loss: 95,5", "95", "95,5"),
        (LOSS, "loss: 1,234.5", "1", "1,234.5"),
        (LOSS, "loss: 93.", "93.", ""),
        (LOSS, "loss: 12 (best 11)", "12", ""),
        ("loss.*?([0-9.]+)", "loss = -0.5", "0.5", "-0.5"),
        ("loss: -([0-9.]+)", "loss: -0.5", "0.5", ""),
        ("acc ([0-9]+)", "acc 93.75", "93", "93.75"),
        ("acc ([0-9]{2})", "acc 100", "10", "100"),
        (r"acc ([0-9]+\.[0-9]{2})", "acc 93.7512", "93.75", ""),
        ("acc ([^ ]+)", "acc fine", "fine", ""),
        ("acc ([^ ]+)", "acc nan", "nan", ""),
        ("^[0-9]+,([0-9.]+)", "7,93,0.2", "93", ""),
        ("([0-9.]+),", "93,0.2", "93", ""),
        (r"(?x) acc \  ([0-9.]+)", "acc nan 5", None, None),
        (r"acc [(] ([0-9.]+) \)", "acc ( 1e-3 )", "", "1e-3"),
    ],
)
def test_a_number_is_taken_as_a_whole(pattern, line, number, whole):
    found = Pattern(pattern).of(line)
    if number is None:
        assert found is None
    else:
        assert (found.number, found.whole) == (number, whole)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (LOSS, "accuracy: nan"),
        (LOSS, "loss: nano"),
        (LOSS, "loss: none"),
        (r"loss: ([0-9]+\.[0-9]{4})", "loss: 0.25"),  # what it is to pass over
        ("([0-9]+[.][0-9]+)", "lr 1e-05"),  # nothing says that this is the number
        (r"(?P<step>[0-9]+): ([0-9.]+)", "x: nan"),
    ],
)
def test_a_line_of_something_else_holds_nothing(pattern, line):
    assert Pattern(pattern).of(line) is None


def test_the_step_is_that_of_the_number():
    pattern = Pattern("epoch (?P<step>[0-9]+): acc ([0-9.]+)")
    assert pattern.of("epoch 3: acc 90.5") == Taken("90.5", "", "3")
    assert pattern.of("epoch 4: acc nan") == Taken("", "nan", "4")
    late = Pattern("acc ([0-9.]+)(?: of (?P<step>[0-9]+))?")
    assert late.of("acc 90.5") == Taken("90.5", "", "")


@pytest.mark.parametrize("begin", [".*", ".+", ".*?"])
def test_a_pattern_that_begins_with_anything_is_asked_once_a_line(begin):
    pattern = Pattern(begin + "acc: ([0-9.]+)")
    began = time.process_time()
    assert pattern.of("x" * (1 << 19)) is None
    assert time.process_time() - began < 5
    assert pattern.of("x acc: 1 acc: 2 acc: 9e-5") == Taken(
        *(("9", "9e-5", None) if begin != ".*?" else ("1", "", None))
    )


def test_another_way_to_begin_is_still_looked_for_everywhere():
    assert Pattern(".*acc: ([0-9.]+)|b").of("xb") is None  # of the other way there is no number
    assert Pattern("(?:.*top|acc): ([0-9.]+)").of("x acc: 3") == Taken("3", "", None)


WORDS = [
    (r"\w+ acc ([0-9.]+)", " acc "),
    (r"(?:\w+ )*acc: ([0-9.]+)%", "acc: "),
    (r"acc\: ([0-9]+)%", "acc"),
    (r"[a:]+ top1=([0-9]{2})x{2}", " top1="),
    (r"(?P<step>[0-9]+): acc ([0-9.]+)", ": acc "),
    (r"acc (\d+)( of)? all", "acc "),
    ("a{123}bc ([0-9])", "bc "),
    ("a+b?cc*d ([0-9])", "d "),
    ("ab+c([0-9])", "ab"),
    ("a??b{2,}([0-9])", ""),
    ("{acc} ([0-9])", "acc"),
    ("(?i)acc ([0-9])", ""),
    ("x|acc ([0-9])", ""),
    (r"\x41cc ([0-9])", ""),
    ("([0-9.]+)", ""),
]


@pytest.mark.parametrize(("pattern", "word"), WORDS)
def test_a_word_that_every_line_has_is_known(pattern, word):
    assert required(pattern) == word


@given(st.sampled_from(WORDS), st.data())
def test_a_line_without_that_word_holds_nothing(row, data):
    pattern, word = row
    line = data.draw(st.from_regex(pattern))
    assert word in line


@pytest.mark.parametrize(
    "pattern", [r"\w+ acc ([0-9.]+)", r"(?:\w+ )*acc: ([0-9.]+)", r"([0-9]+)%"]
)
@pytest.mark.parametrize("line", ["x" * LINE, "x " * (LINE // 2), "1" * LINE])
def test_a_line_without_it_costs_nothing_however_long(pattern, line):
    """Each of these patterns takes as the square of some of these lines: a second and more."""
    asked = Pattern(pattern)
    began = time.process_time()
    assert all(asked.of(line) is None for _ in range(20))
    assert time.process_time() - began < 1


def test_a_pattern_that_takes_for_ever_is_given_up():
    asked, line = Pattern("(?:a+)+ acc ([0-9.]+)"), "a" * 40 + " acc !"
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(TooLong), within(0.2):
        asked.of(line)
    assert signal.getsignal(signal.SIGVTALRM) is before
    with within(0.2):
        assert asked.of("a acc 3") == Taken("3", "", None)
    time.sleep(0.3)
