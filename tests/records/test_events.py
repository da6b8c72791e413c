"""What passes through a pipe comes out as it went in."""

import pytest

from swinablate.records.events import Batch, Event, Job, event, read_event

JOB = Job(
    trial="ab" * 32, attempt=2, recipe={"model": {"family": "swin"}}, image={"height": 8},
    seed=3, kind="final", folder="/f", resume=("/f/1",), data="/d",
)  # fmt: skip


def test_batch_survives_its_line():
    batch = Batch(jobs=(JOB,))
    line = batch.dumps()
    assert "\n" not in line
    assert Batch.loads(line) == batch


def test_event_survives_its_line_and_knows_its_job():
    happened = event(JOB, "epoch", {"epoch": 1, "val/accuracy": 91.5})
    assert (happened.trial, happened.attempt, happened.kind) == (JOB.trial, 2, "epoch")
    assert Event.loads(happened.dumps()) == happened


def test_no_infinity_passes():
    with pytest.raises(ValueError, match="not JSON compliant"):
        event(JOB, "epoch", {"loss": float("inf")}).dumps()


def test_a_moment_that_no_calendar_has_is_no_event():
    line = Event(trial="a", attempt=1, kind="done", at=10**13).dumps().encode()
    assert read_event(line) is not None
    assert read_event(line.replace(b"1" + b"0" * 13, b"1" + b"0" * 20)) is None
    assert read_event(line.replace(b"1" + b"0" * 13, b"-1")) is None
