"""Where trials may run."""

import pytest
import torch

from swinablate.errors import InputError
from swinablate.execution import devices
from swinablate.execution.devices import choose_slots, find_devices, gpus_each
from swinablate.execution.executor import Request, Slot
from swinablate.execution.executors.serial import Serial
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY


@pytest.fixture
def machine(monkeypatch):
    """A machine of so many cores and GPUs."""

    def make(cores: int, gpus: int = 0) -> None:
        monkeypatch.setattr(devices, "cores", lambda: cores)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    return make


def test_fp16_is_refused_on_a_cpu_before_anything_starts(write):
    found = plan(load_study(write(STUDY + '"train.precision" = ["bf16", "fp16"]\n')))
    with pytest.raises(InputError) as refusal:
        choose_slots(2, "cpu", found)
    assert str(refusal.value) == (
        "arm 'precision=fp16': train.precision = \"fp16\" is for GPUs, and a trial would run "
        'on a CPU\n\nhint: "bf16" is the short format that CPUs have'
    )
    assert len(choose_slots(2, "cpu", plan(load_study(write())))) == 2


@pytest.mark.parametrize(
    ("cores", "threads", "slots"), [(8, 1, 8), (8, 4, 2), (8, 3, 2), (2, 4, 1)]
)
def test_slots_times_threads_are_at_most_the_cores(write, machine, cores, threads, slots):
    """The arm with the most threads decides: any slot may run it."""
    machine(cores)
    axis = f'"train.threads" = [{threads}]\n' if threads > 1 else ""
    found = plan(load_study(write(STUDY + axis)))
    cpus = [Slot(index=i, device="cpu") for i in range(slots)]
    assert choose_slots(None, "auto", found) == cpus
    recipe = RECIPE + f"threads = {threads}\n"
    assert choose_slots(None, "auto", plan(load_study(write(STUDY, recipe)))) == cpus


def test_a_slot_a_gpu_and_more_in_turn_where_more_are_asked_for(write, machine):
    machine(cores=8, gpus=2)
    found = plan(load_study(write()))
    assert [slot.device for slot in choose_slots(None, "auto", found)] == ["cuda:0", "cuda:1"]
    three = [Slot(index=0, device="cuda:1"), Slot(index=1, device="cpu")]
    assert choose_slots(None, "cuda:1, cpu", found) == three
    assert [s.device for s in choose_slots(3, "auto", found)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert find_devices("auto") == ["cuda:0", "cuda:1"]


def test_a_trial_on_several_gpus_has_a_slot_of_so_many(write, machine):
    machine(cores=8, gpus=5)
    found = plan(load_study(write(STUDY, RECIPE + "world = 2\n")))
    slots = choose_slots(None, "auto", found)
    assert [(s.device, s.further) for s in slots] == [
        ("cuda:0", ("cuda:1",)),
        ("cuda:2", ("cuda:3",)),
    ]
    assert [s.device for s in choose_slots(None, "cuda:4,cuda:1,cuda:3", found)] == ["cuda:4"]
    with pytest.raises(
        InputError, match=r"train\.world: a trial trains on 2 GPUs, and there are 1"
    ):
        choose_slots(None, "cuda:3", found)
    machine(cores=8)
    assert choose_slots(None, "auto", found) == [Slot(index=i, device="cpu") for i in range(4)]
    request = Request(gpus_per_node=2)
    with pytest.raises(InputError, match="runs on this machine only"):
        request.about(found, None, print)
    assert Request().about(found, None, print).threads == 2


@pytest.mark.parametrize(
    ("devices", "why"),
    [
        ("cpu,cuda:0,cuda:1", "a trial trains on 2 devices of one kind, and CPUs are among these"),
        ("cuda:0,cuda:0", "a trial trains on 2 GPUs, and cuda:0 is named twice"),
        ("cuda:0,cuda:1,cuda:2,cuda:1", "a trial trains on 2 GPUs, and cuda:1 is named twice"),
    ],
)
def test_a_trial_on_several_gpus_has_different_ones(write, machine, devices, why):
    """CUDA shows a process none of its GPUs where one is named twice, and one alone is too few."""
    machine(cores=8, gpus=4)
    found = plan(load_study(write(STUDY, RECIPE + "world = 2\n")))
    with pytest.raises(InputError) as refusal:
        choose_slots(None, devices, found)
    said = f"--devices: {why}\n\nhint: name each GPU once, or cpu alone"
    assert str(refusal.value) == said
    assert len(choose_slots(None, "cpu,cpu", found)) == 2
    assert len(choose_slots(None, devices, plan(load_study(write())))) == devices.count(",") + 1


def test_the_executor_for_debuggers_has_no_other_gpu_between_those_of_a_trial(tmp_path):
    """Its processes count from the first one on, and would take the one between."""
    for further in ((), ("cuda:2",), ("cuda:2", "cuda:3")):
        Serial([Slot(index=0, device="cuda:1", further=further)], tmp_path, lambda: False)
    for further in (("cuda:3",), ("cuda:0",), ("cuda:2", "cuda:4")):
        with pytest.raises(InputError, match=r"--devices: .* follow each other, not cuda:1, cuda"):
            Serial([Slot(index=0, device="cuda:1", further=further)], tmp_path, lambda: False)


def test_no_slot_and_no_such_device_are_refused(write, machine):
    machine(cores=8, gpus=1)
    found = plan(load_study(write()))
    with pytest.raises(InputError) as refusal:
        choose_slots(0, "auto", found)
    assert str(refusal.value) == "--slots: 0 slots run nothing\n\nhint: give 1 or more"
    with pytest.raises(InputError) as refusal:
        choose_slots(None, "cuda:0,cuda:1", found)
    assert str(refusal.value) == (
        "--devices: this machine has no device 'cuda:1'\n\nhint: known: auto, cpu, cuda:0"
    )


@pytest.mark.parametrize(
    ("given", "here", "each"),
    [
        (["cpu", "cpu"], True, 0.0),
        (["cuda:0", "cuda:1"], True, 1.0),
        (["cuda:0", "cuda:0", "cuda:0", "cuda:0"], True, 0.25),
        (["cuda:0", "cuda:0"], False, 1.0),  # of two nodes
    ],
)
def test_trials_on_one_gpu_hold_a_share_of_it_each(given, here, each):
    slots = [Slot(index=i, device=device) for i, device in enumerate(given)]
    assert gpus_each(slots, here=here) == each


def test_a_trial_on_several_gpus_holds_them_all():
    assert gpus_each([Slot(index=0, device="cuda:0", further=("cuda:1",))], here=True) == 2.0


def test_so_many_slots_a_gpu_as_are_asked_for(write, machine):
    machine(cores=8, gpus=2)
    found = plan(load_study(write()))
    slots = choose_slots(None, "auto", found, 3)
    assert [slot.device for slot in slots] == ["cuda:0", "cuda:1"] * 3
    assert not any(slot.measured for slot in slots)
    assert gpus_each(slots, here=True) == 1 / 3
    slots = choose_slots(None, "cuda:1", found, "auto")
    assert [(slot.device, slot.measured) for slot in slots] == [("cuda:1", True)] * devices.CROWD


@pytest.mark.parametrize(
    ("there", "slots", "said"),
    [
        ((0, 1), None, "trials would run on a CPU.*hint: --slots says"),
        ((1, 1), 2, "--slots says the same.*hint: give one of the two"),
        ((2, 2), None, r"trains on 2 GPUs, and has them alone.*hint: .* set train\.world = 1"),
    ],
)
def test_gpus_that_cannot_be_shared_are_refused(write, machine, there, slots, said):
    gpus, world = there
    machine(cores=8, gpus=gpus)
    found = plan(load_study(write(STUDY, RECIPE + f"world = {world}\n")))
    with pytest.raises(InputError, match=f"(?s)--per-gpu: .*{said}"):
        choose_slots(slots, "auto", found, "auto")


@pytest.mark.parametrize(
    ("executor", "hint"),
    [("serial", "leave it out"), ("slurm", "leave it out"), ("ray", "--gpus-per-trial 0.5")],
)
def test_only_workers_of_this_machine_share_its_gpus(executor, hint):
    devices.check_here(2, "local")
    devices.check_here(None, executor)
    with pytest.raises(InputError, match=f"(?s)--per-gpu: .*{executor}.*hint: .*{hint}"):
        devices.check_here("auto", executor)
