"""What an arm costs: asked of workers with all slots busy, kept, and shared by equal steps."""

import pytest

from swinablate.execution.ahead.probing import kept, place_of, probe
from swinablate.execution.executor import Slot
from swinablate.execution.executors.serial import Serial
from swinablate.records.events import event
from swinablate.records.home import Home
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.training import timing
from tests.conftest import STUDY
from tests.execution.scripted import Clock, Scripted

SLOTS = [Slot(index=0, device="cpu"), Slot(index=1, device="cpu")]
RATES = STUDY + '"train.lr" = [1e-4]\n'


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def made(write):
    return plan(load_study(write(RATES)))


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr(timing, "TIMED_S", 0.01)


def quiet(number, name):
    """Say nothing."""


def scripted(job):
    """Two workers that measured 1 and 3 s a step; the arm without shifts finds no memory."""
    assert (job.kind, job.attempt) == ("timing", 0)
    if not job.recipe["model"]["shift"]:
        return [lambda job: event(job, "failed", {"kind": "oom", "message": "no memory"})]
    first = job.trial == "timing-0"
    row = {
        "step_s": 1.0 if first else 3.0,
        "epoch_s": 0.5,
        "trial_s": 2.0,
        "checkpoint_s": 0.1,
        "peak_mib": 100.0 if first else 120.0,
        "steps": 4,
        "images": "real",
    }
    return [("started", {}), ("done", row)]


def test_every_slot_times_the_same_arm_and_equal_steps_are_timed_once(made, home):
    execution, told = Scripted(2, scripted, Clock()), []
    known = probe(made, home, SLOTS, lambda n, name: told.append((n, name)), execution)
    assert told == [(0, "baseline"), (1, "shift=false")]  # another rate is no other step
    assert [job.trial for job in execution.submitted] == ["timing-0", "timing-1"] * 2
    assert {job.data for job in execution.submitted} == {str(home.datasets)}
    base = known.speeds["baseline"]
    assert (base.step_s, base.peak_mib, base.busy) == (2.0, 120.0, 2)
    assert known.speeds["lr=0.0001"] == base
    assert known.failures == {"shift=false": "no memory"}


def test_what_was_measured_is_kept_for_those_slots_and_no_failure_is(made, home):
    known = probe(made, home, SLOTS, quiet, Scripted(2, scripted, Clock()))
    assert kept(made, home, place_of(SLOTS)) == known.speeds
    assert kept(made, home, place_of(SLOTS[:1])) == {}


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("images", ["real", "noise"])
def test_a_real_network_is_timed_on_its_images_or_on_noise(made, home, tmp_path, datasets, images):
    if images == "real":
        home.datasets = datasets
    execution = Serial(SLOTS[:1], tmp_path, lambda: False)
    speeds = probe(made, home, SLOTS[:1], quiet, execution).speeds
    assert speeds.keys() == {"baseline", "shift=false", "lr=0.0001"}
    for one in speeds.values():
        assert one.images == images
        assert one.steps == 4  # 128 images in batches of 32
        assert min(one.step_s, one.epoch_s, one.trial_s, one.checkpoint_s, one.peak_mib) > 0
    assert not any(home.trials.iterdir())


def test_a_network_that_asks_for_too_much_is_told_with_what_needs_less(
    made, home, tmp_path, monkeypatch
):
    def full(*_args, **_more):
        raise MemoryError("no memory is left")

    monkeypatch.setattr(timing, "make_learner", full)
    known = probe(made, home, SLOTS[:1], quiet, Serial(SLOTS[:1], tmp_path, lambda: False))
    assert not known.speeds
    assert "train.accumulate = 2" in known.failures["baseline"]
