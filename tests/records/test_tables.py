"""The table of trials: what a failed one said."""

import pytest

from swinablate.records.outcome import Outcome
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.records.tables import WORDS, trials_table
from swinablate.text import first_line

PLAN = PlanRecord(arms=(ArmRecord(name="baseline", seeds=(0,), trials=("t",)),))


def said(message: str, how="failed"):
    failure = {"kind": "exception", "message": message, "traceback": "..."} if message else None
    found = Outcome(
        trial="t",
        seed=0,
        kind="final",
        recipe={},
        image={},
        status=how,
        attempt=3,
        failure=failure,
    )
    (row,) = trials_table(PLAN, {"t": found}).to_dict("records")
    return row


def test_the_first_line_of_a_failures_message_stands_in_the_table():
    row = said("\n  \nValueError: shapes 3 and 4\nat line 7")
    assert (row["failure"], row["message"]) == ("exception", "ValueError: shapes 3 and 4")
    assert row["attempts"] == 3
    assert said("", "done")["message"] is None
    assert trials_table(PLAN, {}).message.isna().all()


def test_a_long_message_is_cut():
    assert said("x" * 500)["message"] == "x" * (WORDS - 3) + "..."
    assert said("x" * WORDS)["message"] == "x" * WORDS


def test_a_message_moves_no_terminal():
    assert said("a\x1b[2Jb\u202ec")["message"] == "a\ufffd[2Jb\ufffdc"


@pytest.mark.parametrize(
    "secret", ["postgresql://ablator:hunter2secret@db/optuna", "http://bob:hunter2secret@h"]
)
def test_a_message_tells_no_secret(secret, monkeypatch):
    assert "hunter2secret" not in said(f"OperationalError: {secret}")["message"]
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2secret")
    assert "hunter2secret" not in said("no login with hunter2secret")["message"]


def test_text_without_a_line_has_no_first():
    assert first_line(" \n\t\n", 5) == ""
