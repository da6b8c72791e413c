"""What an arm costs: asked of workers with all slots busy, kept, and shared by equal steps."""

import os
from typing import NamedTuple

import pytest
import torch

from swinablate.errors import InputError
from swinablate.execution.ahead import where as wheres
from swinablate.execution.ahead.probing import cost_of, kept, probe
from swinablate.execution.ahead.where import Where, place_of
from swinablate.execution.executor import Request, Slot
from swinablate.execution.executors.serial import Serial
from swinablate.records.events import event
from swinablate.records.home import Home
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from swinablate.training.ahead import timing
from tests.conftest import STUDY
from tests.execution.fake_slurm import FakeSlurm
from tests.execution.scripted import Clock, Scripted

SLOTS = [Slot(index=0, device="cpu"), Slot(index=1, device="cpu")]
PLACE = place_of(SLOTS)
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
    known = probe(made, home, PLACE, lambda n, name: told.append((n, name)), execution)
    assert told == [(0, "baseline"), (1, "shift=false")]  # another rate is no other step
    assert [job.trial for job in execution.submitted] == ["timing-0", "timing-1"] * 2
    assert {job.data for job in execution.submitted} == {str(home.datasets)}
    base = known.speeds["baseline"]
    assert (base.step_s, base.peak_mib, base.busy) == (2.0, 120.0, 2)
    assert known.speeds["lr=0.0001"] == base
    assert known.failures == {"shift=false": "no memory"}


def test_what_was_measured_is_kept_for_those_slots_and_no_failure_is(made, home):
    known = probe(made, home, PLACE, quiet, Scripted(2, scripted, Clock()))
    assert kept(made, home, place_of(SLOTS)) == known.speeds
    assert kept(made, home, place_of(SLOTS[:1])) == {}


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("images", ["real", "noise"])
def test_a_real_network_is_timed_on_its_images_or_on_noise(made, home, tmp_path, datasets, images):
    if images == "real":
        home.datasets = datasets
    execution = Serial(SLOTS[:1], tmp_path, lambda: False)
    speeds = probe(made, home, place_of(SLOTS[:1]), quiet, execution).speeds
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
    known = probe(
        made, home, place_of(SLOTS[:1]), quiet, Serial(SLOTS[:1], tmp_path, lambda: False)
    )
    assert not known.speeds
    assert "train.accumulate = 2" in known.failures["baseline"]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    made = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", made.path)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    return made


def costs(made, home, **where):
    record = plan_record(made, {}, Noise(None, ""))
    return cost_of(made, record, home, Where(**where), None)


def test_a_cluster_is_counted_and_nothing_is_asked_of_it(made, home, fake):
    found = costs(made, home, executor="slurm", cluster=Request(nodes=2, gpus_per_node=4))
    assert (found.place.slots, found.place.gpus, found.source) == (8, 8, "none")
    assert found.place.device == "GPUs of slurm"
    assert fake.asked("sbatch")
    assert all("--test-only" in asked for asked in fake.asked("sbatch"))
    assert not list((fake.folder / "jobs").iterdir())
    assert costs(made, home, executor="slurm", cluster=Request(nodes=3)).place.slots == 3


def test_a_probe_of_a_cluster_is_kept_for_it_and_not_for_this_machine(made, home, fake):
    where = Where(executor="slurm", cluster=Request(nodes=2))
    place = where.found(made).place
    known = probe(made, home, place, quiet, Scripted(2, scripted, Clock()))
    found = costs(made, home, executor="slurm", cluster=Request(nodes=2))
    assert found.arms[0].speed == known.speeds["baseline"]
    assert kept(made, home, PLACE) == {}


@pytest.mark.usefixtures("fake")
def test_trials_on_record_tell_of_a_cluster_whatever_its_processor_is_called(made, home):
    class One(NamedTuple):
        execution: dict[str, str]

    found = Where(executor="slurm").found(made)
    ran = [One({"type": "cpu", "device": name}) for name in ("A", "B", "B")]
    assert found.model([*ran, *[One({"type": "cuda", "device": "G"})] * 5]) == "B"
    assert found.model([]) == "CPUs of slurm"
    assert Where(devices="cpu").found(made).model(ran) == PLACE.device


@pytest.mark.parametrize(("per_gpu", "slots"), [(3, 6), ("auto", 2), (None, 2)])
def test_trials_that_share_a_gpu_are_counted(made, monkeypatch, per_gpu, slots):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(wheres, "device_name", lambda _: "a GPU")
    place = Where(per_gpu=per_gpu).found(made).place
    assert (place.slots, place.gpus) == (slots, 2)


def test_what_this_machine_has_is_not_shared_on_a_cluster(made):
    with pytest.raises(InputError, match="--per-gpu: this machine's GPUs are shared by"):
        Where(per_gpu=2, executor="slurm").found(made)
