"""Whether a trial that was trained again is called the same, and when."""

from dataclasses import replace

import pytest

from swinablate.cli.commands.verbs.again import Again, repeatable
from swinablate.cli.commands.verbs.comparison import compare
from swinablate.errors import InputError
from swinablate.records.events import Event
from tests.records.homes import first

CLASS = {"device": "a", "type": "cpu", "precision": "fp32", "fused": 1, "torch": "2"}


@pytest.fixture
def study(tmp_path):
    return first(tmp_path)


def outcome(study, **change):
    found = study.home.outcome(study.done[0])
    return replace(found, execution=CLASS, **change)


def again(before, *, execution=None, curve=None, weights=(None, None), kind="done", **metrics):
    """The same training once more, but for what is given."""
    data = {"metrics": {**before.metrics, **metrics}, "predictions": before.predictions}
    return Again(
        before=before,
        last=Event(trial=before.trial, attempt=1, kind=kind, at=0, data=data if kind == "done" else {"message": "step 4"}),
        curve=before.curve if curve is None else curve,
        execution=CLASS if execution is None else execution,
        weights=weights,
        said=(),
    )  # fmt: skip


def test_every_bit_is_asked_of_the_same_class(study):
    before = outcome(study)
    same = compare(again(before, weights=("w", "w")))
    assert (same.same, same.bits) == (True, True)
    assert {"test/accuracy", "final weights (sha256)", "answers to the test images (sha256)"} <= {
        one.name for one in same.numbers
    }
    assert not any(one.name.startswith(("time/", "memory/")) for one in same.numbers)
    nearly = before.metrics["test/accuracy"] * (1 + 2**-50)
    other = compare(again(before, **{"test/accuracy": nearly}))
    assert not other.same
    assert [one.name for one in other.numbers if not one.same] == ["test/accuracy"]
    assert not compare(again(before, weights=("w", "v"))).same
    assert compare(again(before, weights=("w", None))).same, "no weights were kept"


def test_times_may_differ_and_the_first_epoch_that_differs_is_named(study):
    before = outcome(study)
    assert compare(again(before, **{"time/train_s": 1e6, "memory/peak_mib": 1.0})).same
    curve = [dict(row) for row in before.curve]
    curve[2]["train/loss"] += 1e-9
    curve[4]["train/loss"] += 1.0
    found = compare(again(before, curve=curve))
    (wrong,) = [one for one in found.numbers if not one.same]
    assert wrong.name == "curve of train/loss, epoch 3"
    assert not compare(again(before, curve=curve[:2])).same


def test_another_class_may_differ_by_what_seeds_differ_by(study):
    before = outcome(study)
    fused = {**CLASS, "fused": 8, "threads": 2}
    was = before.metrics["test/accuracy"]
    near = compare(again(before, execution=fused, **{"test/accuracy": was + 1.0}))
    assert (near.same, near.bits) == (True, False)
    assert near.differs == {"fused": (1, 8), "threads": (None, 2)}
    assert "fused 1 -> 8" in near.rule
    # 540 test images at 50 % leave 2.15 points of a test to chance: 3 sqrt(2) of that.
    assert near.allowed is not None
    assert not compare(again(before, execution=fused, **{"test/accuracy": was + 15.0})).same
    far = [
        replace(before, metrics={**before.metrics, "test/accuracy": was + d}) for d in (-9, 0, 9)
    ]
    wide = compare(again(before, execution=fused, **{"test/accuracy": was + 15.0}), far)
    assert wide.same, "its seeds differ by as much"


def test_what_diverged_must_diverge_again(study):
    before = outcome(study, status="diverged", failure={"kind": "nan", "message": "step 3"})
    assert compare(again(before, kind="diverged")).same
    assert not compare(again(before)).same
    assert not compare(again(outcome(study), kind="diverged")).same


def test_what_has_no_numbers_is_refused(study):
    with pytest.raises(InputError, match="has no record yet"):
        repeatable(study.home, study.torn)
    failed = replace(outcome(study), status="failed", failure={"kind": "oom", "message": "m"})
    study.home.commit(replace(failed, schema=2))
    with pytest.raises(InputError, match=r"failed \(oom\)"):
        repeatable(study.home, failed.trial)
