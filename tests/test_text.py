"""Numbers, levels and times as text, the same on every surface."""

import io
import json
import math
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from swinablate.cli import terminal
from swinablate.report.drawing import numbers
from swinablate.stats.declaration import Declaration, Judged, Tally
from swinablate.stats.sentence import sentence
from swinablate.text import (
    duration,
    ends,
    error_ratio,
    flat,
    interval,
    json_lines,
    known,
    known_or_none,
    level,
    named_level,
    number,
    places_in,
    signed,
    time_left,
)
from swinablate.tracking import text as mlflow

SMALL = -0.001
MINUS = "\N{MINUS SIGN}"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What commands print on stdout."""
    stream = io.StringIO()
    monkeypatch.setattr(terminal, "out", Console(file=stream, width=140, highlight=False))
    return stream


def judged(delta: float, low: float, high: float) -> dict[str, Any]:
    return {
        "name": "shift=false", "mean": 90.0, "sd": 0.4, "n": 5, "delta_pp": delta, "ci_low": low,
        "ci_high": high, "verdict": "undecided", "negligible": False,
    }  # fmt: skip


def in_a_sentence(delta: float, low: float, high: float) -> str:
    arm, base = (
        Tally(
            name=name, planned=n, n=n, mean=90.0, sd=0.4, diverged=0, failed=0, waiting=0,
            divergence_low=None, divergence_high=None,
        )
        for name, n in (("shift=false", 5), ("baseline", 10))
    )  # fmt: skip
    found = Judged(
        delta_pp=delta, ci_low=low, ci_high=high, equivalence_low=None, equivalence_high=None,
        p=0.9, p_holm=0.9, se=0.2, df=13.0, verdict="undecided", negligible=False,
        detectable_pp=0.61, seeds_needed=None, reason=None, method="Welch t", pairs=None,
    )  # fmt: skip
    return sentence(arm, found, base, Declaration())


def test_a_difference_that_rounds_to_zero_has_no_sign_on_any_surface(printed):
    """Page, MLflow, terminal and sentence."""
    assert numbers.signed(SMALL) == "0.00"
    assert numbers.interval(SMALL, 0.3) == "[0.00, +0.30]"
    note = mlflow.summary(judged(SMALL, -0.3, 0.004))
    assert note["mlflow.note.content"].startswith("0.00 pp [-0.30, 0.00], undecided")
    assert note["interval"] == "[-0.30, 0.00]"
    terminal.show_verdicts({"baseline": judged(0, 0, 0), "alpha": 0.05,
                            "arms": [judged(SMALL, -0.3, 0.004)]})  # fmt: skip
    assert printed.getvalue().splitlines()[-1].split()[1:4] == ["0.00", "[-0.30,", "0.00]"]
    assert in_a_sentence(SMALL, -0.3, 0.004) == (
        "shift=false: undecided (0.00 pp, 95 % simultaneous CI -0.30 to 0.00; "
        "5 seeds vs 10 baseline seeds); 5 seeds detect 0.61 pp with power 0.8."
    )


@pytest.mark.parametrize(
    ("value", "places", "shown"),
    [
        (0.126, 2, "+0.13"), (-0.126, 2, "-0.13"), (0.0, 2, "0.00"), (-0.0, 2, "0.00"),
        (-0.004, 2, "0.00"), (0.004, 2, "0.00"), (-0.006, 2, "-0.01"), (0.006, 2, "+0.01"),
        (-0.04, 1, "0.0"), (0.4, 0, "0"), (-12.6, 0, "-13"), (1234.5, 1, "+1234.5"),
        (-2.5e70, 2, "-2.5e+70"), (9.9e14, 0, "+990000000000000"), (1e15, 2, "+1e+15"),
    ],
)  # fmt: skip
def test_a_difference_has_its_sign_unless_it_shows_as_zero(value, places, shown):
    assert signed(value, places) == shown
    assert signed(value, places, minus=MINUS) == shown.replace("-", MINUS)
    assert number(value, places) == shown.lstrip("+")


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.0034, 0.7, ("+0.003", "+0.70")), (-1.2, -0.0034, ("-1.20", "-0.003")),
        (0.00004, 0.00006, ("+0.00004", "+0.0001")), (0.006, 0.7, ("+0.01", "+0.70")),
        (-0.0034, 0.7, ("0.00", "+0.70")), (0.0, 0.7, ("0.00", "+0.70")), (None, 0.7, ("-", "+0.70")),
    ],
)  # fmt: skip
def test_an_interval_that_leaves_zero_out_is_never_shown_as_if_it_reached_it(low, high, shown):
    assert ends(low, high) == shown
    assert ends(low, high, minus=MINUS) == tuple(end.replace("-0", f"{MINUS}0").replace("-1", f"{MINUS}1") for end in shown)  # fmt: skip
    assert error_ratio(0.4, 0.0034, 0.7) == "errors x 0.67 [0.50, 0.997]"
    assert error_ratio(0.4, -0.0034, 0.7) == "errors x 0.67 [0.50, 1.00]"


def test_every_surface_shows_such_an_interval(printed):
    found = judged(0.35, 0.0034, 0.7) | {"verdict": "better"}
    assert numbers.interval(0.0034, 0.7) == "[+0.003, +0.70]"
    assert mlflow.summary(found)["interval"] == "[+0.003, +0.70]"
    terminal.show_verdicts({"baseline": judged(0, 0, 0), "alpha": 0.05, "arms": [found]})
    assert "[+0.003, +0.70]" in printed.getvalue()
    assert "CI +0.003 to +0.70; " in in_a_sentence(0.35, 0.0034, 0.7)


def test_points_have_two_decimals_unless_their_error_would_show_as_none():
    assert [places_in("pp", spread) for spread in (None, 0.0, 0.005, 0.2, 12.0)] == [2] * 5
    assert [places_in("pp", spread) for spread in (0.0049, 0.0004)] == [4, 5]
    assert [places_in("nats", spread) for spread in (0.005, 0.2, None)] == [4, 2, 2]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_known_is_a_dash(value):
    assert [signed(value), number(value), duration(value)] == ["-", "-", "-"]
    assert [show(value, unknown="?") for show in (signed, number, duration)] == ["?", "?", "?"]
    assert not known(value)


def test_only_finite_numbers_are_known():
    assert known(0)
    assert known(np.float64(1.5))
    assert not known("1")
    assert known_or_none(np.float64(1.5)) == 1.5
    assert known_or_none(np.float64("nan")) is None
    assert known_or_none(-math.inf) is None


@pytest.mark.parametrize(
    ("value", "bare", "quoted", "in_a_name"),
    [
        (True, "true", "true", "true"), (False, "false", "false", "false"),
        ("batch", "batch", '"batch"', "batch"), (0.1, "0.1", "0.1", "0.1"),
        (1e-5, "1e-05", "1e-05", "1e-05"), (None, "null", "null", "none"),
        ((2, 4), "[2, 4]", "[2, 4]", "(2,4)"), ([True, [1]], "[true, [1]]", "[true, [1]]",
        "(true,(1))"), ("größer", "größer", '"größer"', "größer"),
        ({"depths": [2]}, '{"depths": [2]}', '{"depths": [2]}', "{'depths': [2]}"),
    ],
)  # fmt: skip
def test_a_level_as_data_and_as_an_arms_name_has_it(value, bare, quoted, in_a_name):
    assert level(value) == bare
    assert level(value, quote=True) == quoted
    assert named_level(value) == in_a_name


def test_nested_data_by_dotted_path():
    assert flat({"model": {"width": 8, "mlp": {"ratio": 2}}, "notes": {}, "seed": 0}) == {
        "model.width": 8,
        "model.mlp.ratio": 2,
        "notes": {},
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("seconds", "measured", "left"),
    [
        (0, "0 s", "0 s"), (12.34, "12.3 s", "12 s"), (59.4, "59.4 s", "59 s"),
        (59.6, "59.6 s", "1 min 00 s"), (60, "1 min", "1 min 00 s"),
        (90, "1.5 min", "1 min 30 s"), (3599.6, "60 min", "1 h 00 min"),
        (3600, "1 h", "1 h 00 min"), (7325, "2.03 h", "2 h 02 min"),
    ],
)  # fmt: skip
def test_times_measured_and_left(seconds, measured, left):
    assert duration(seconds) == measured
    assert time_left(seconds) == left


@pytest.mark.parametrize(
    "value",
    [
        "x", 3, None, {}, [], [[]], {"a": {}}, (1, (2.5,)), [1, [2, {"k": "v"}]],
        {"a": [1, 2.5e-7, 1e16, None, True, 'é"\n'], "b": {"c": (1, 2), "d": []}},
        {1: [2], None: {"x": 1}, 1.5: [2]}, {True: [1]}, {1: 2, None: 3},
    ],
)  # fmt: skip
def test_json_reads_as_pythons_own_does_with_an_indent(value):
    assert json_lines(value) == json.dumps(value, indent=1, ensure_ascii=False)


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": [math.nan, 1]}])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="Out of range"):
        json_lines(value)


def test_an_interval_is_its_ends_in_brackets():
    assert interval(-0.5, 0.25) == "[-0.50, +0.25]"
    assert interval(0.001, 1.0) == "[+0.001, +1.00]"  # what leaves 0 out is not shown to reach it
    assert interval(-0.5, 0.25, 1, minus=MINUS) == f"[{MINUS}0.5, +0.2]"
    for ends_of in ((None, 1.0), (1.0, None), (float("nan"), 1.0)):
        assert interval(*ends_of) == "-"
        assert interval(*ends_of, unknown="") == ""
