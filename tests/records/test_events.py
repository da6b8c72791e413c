"""What passes through a pipe comes out as it went in."""

import pytest

from swinablate.records.events import Batch, Event, Job, event

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
