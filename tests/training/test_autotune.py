"""What `auto` becomes: measured by workers, decided once, kept."""

import dataclasses
import json

import pytest
import torch

from swinablate.config.train import TrainConfig
from swinablate.errors import EnvironmentFault
from swinablate.execution.ahead import autotune as choosing
from swinablate.execution.executor import Slot
from swinablate.execution.executors.serial import Serial
from swinablate.records.home import Home
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.training import precision
from swinablate.training.ahead import autotune as probe
from swinablate.training.machine import cpu_name
from swinablate.training.step import Learner
from tests.conftest import RECIPE, STUDY
from tests.training.test_fit import make_job, run

CPU = torch.device("cpu")


def rows(*seconds, field="precision", levels=("fp32", "bf16")):
    return [{field: x, "step_s": s} for x, s in zip(levels, seconds, strict=True)]


def test_a_departure_must_save_a_tenth_of_the_time():
    assert probe.decide(rows(1.0, 0.91), 100) == {"precision": "fp32"}
    assert probe.decide(rows(1.0, 0.89), 100) == {"precision": "bf16"}
    plain, half, fast, both = (
        {"precision": p, "matmul": m} for p in ("fp32", "bf16") for m in ("highest", "medium")
    )
    times = zip((plain, half, fast, both), (1.0, 0.7, 0.66, 0.65), strict=True)
    measured = [{**settings, "step_s": s} for settings, s in times]
    assert probe.decide(measured, 100) == {"precision": "bf16", "matmul": "highest"}
    measured[3]["step_s"] = 0.5
    assert probe.decide(measured, 100) == {"precision": "bf16", "matmul": "medium"}


def test_compiling_must_pay_within_one_trial():
    measured = rows(1.0, 0.5, field="compile", levels=(False, True))
    measured[1]["compile_s"] = 60.0
    assert probe.decide(measured, 100) == {"compile": False}  # 100 s against 110 s
    assert probe.decide(measured, 1000) == {"compile": True}


def test_workers_are_averaged_where_all_of_them_measured():
    merged = probe.merge(
        [rows(1.0, 0.5), [], rows(3.0, 1.5), [{"precision": "fp32", "step_s": 2.0}]]
    )
    assert merged == [{"precision": "fp32", "step_s": 2.0}]
    assert probe.merge([rows(1.0, 0.5), rows(3.0, 1.5)]) == rows(2.0, 1.0)


def test_nothing_is_chosen_for_what_says_no_auto():
    assert precision.choices(TrainConfig(), CPU) == {}
    every = TrainConfig(precision="auto", matmul="auto", channels_last="auto", compile="auto")
    assert precision.choices(every, CPU) == {
        "precision": ("fp32", "bf16"), "matmul": ("highest", "medium"),
        "channels_last": (False, True), "compile": (False,),
    }  # fmt: skip
    chosen = {"precision": "bf16", "matmul": "medium", "channels_last": False, "compile": False}
    assert precision.resolved_train(every, "X", {"X": chosen}) == TrainConfig(
        precision="bf16", matmul="medium"
    )
    with pytest.raises(
        ValueError, match=r'train\.precision = "auto" was not resolved for Y; name'
    ):
        precision.resolved_train(TrainConfig(precision="auto"), "Y", {"X": chosen})


@pytest.mark.parametrize(("major", "half"), [(7, "fp16"), (8, "bf16")])
def test_a_gpu_that_makes_bf16_up_of_fp32_is_offered_fp16(monkeypatch, major, half):
    """Of a V100 and a T4 torch says that they know bf16, unless it is asked otherwise."""
    properties = type("Properties", (), {"major": major})
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda _: True)
    open_ = TrainConfig(precision="auto")
    assert precision.choices(open_, torch.device("cuda", 0)) == {"precision": ("fp32", half)}


def test_trial_runs_as_chosen_and_keeps_that_when_it_goes_on(datasets, tmp_path):
    chosen = {cpu_name(): {"precision": "bf16", "matmul": "medium"}}
    job = make_job(datasets, tmp_path / "a", precision="auto", matmul="auto", epochs=1)
    told, loss = run(dataclasses.replace(job, choices=chosen))
    assert (told["execution"]["precision"], told["execution"]["matmul"]) == ("bf16", "medium")
    named = make_job(datasets, tmp_path / "b", precision="bf16", matmul="medium", epochs=1)
    assert run(named)[1] == loss


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(probe, "ROUND_S", 0.0)


def test_probe_times_every_candidate_and_leaves_no_weights(datasets, tmp_path, quick):
    job = make_job(datasets, tmp_path / "a", precision="auto", matmul="auto")
    job = dataclasses.replace(job, kind="probe")
    found = probe.measure(job, lambda: False)
    assert found["device"] == cpu_name()
    assert [(row["precision"], row["matmul"]) for row in found["measured"]] == [
        ("fp32", "highest"), ("fp32", "medium"), ("bf16", "highest"), ("bf16", "medium"),
    ]  # fmt: skip
    assert all(0 < row["step_s"] < 10 for row in found["measured"])
    assert not list((tmp_path / "a").iterdir())
    known = {cpu_name(): {"precision": "fp32", "matmul": "medium"}}
    assert probe.measure(dataclasses.replace(job, choices=known), lambda: False)["measured"] == []
    json.dumps(found)


def test_network_that_cannot_have_a_format_does_without(datasets, tmp_path, quick, monkeypatch):
    real = Learner.step

    def step(learner, x, y):
        if learner.train.precision == "bf16":
            raise RuntimeError("no such kernel")
        return real(learner, x, y)

    monkeypatch.setattr(Learner, "step", step)
    job = make_job(datasets, tmp_path / "a", precision="auto")
    found = probe.measure(dataclasses.replace(job, kind="probe"), lambda: False)
    assert [row["precision"] for row in found["measured"]] == ["fp32"]


def test_network_that_takes_no_step_in_any_format_says_why(
    datasets, tmp_path, quick, monkeypatch, write
):
    """Else every trial would fail for a setting that nobody chose."""

    def step(learner, x, y):
        raise torch.OutOfMemoryError(f"no memory in {learner.train.precision}")

    monkeypatch.setattr(Learner, "step", step)
    job = dataclasses.replace(make_job(datasets, tmp_path / "a", precision="auto"), kind="probe")
    with pytest.raises(torch.OutOfMemoryError, match="no memory in bf16"):
        probe.measure(job, lambda: False)
    assert probe.measure(job, lambda: True)["measured"] == []  # it is being stopped
    home = Home(tmp_path / "home")
    home.create()
    serial = Serial([Slot(index=0, device="cpu")], tmp_path, lambda: False)
    with pytest.raises(EnvironmentFault, match="no training step could be timed: OutOfMemory"):
        choosing.choose(plan(load_study(write(AXES))), home, serial, lambda: False)


AXES = STUDY + '"train.precision" = ["auto"]\n"train.matmul" = ["auto"]\n'


def test_study_chooses_once_for_all_its_arms(write, tmp_path, quick, monkeypatch):
    found, home = plan(load_study(write(AXES))), Home(tmp_path / "home")
    home.create()
    serial = Serial([Slot(index=0, device="cpu")], tmp_path, lambda: False)
    chosen = choosing.choose(found, home, serial, lambda: False)
    assert chosen.keys() == {cpu_name()}
    assert chosen[cpu_name()].keys() == {"precision", "matmul"}
    kept = json.loads((home.studies / "study" / "choices.json").read_text())
    assert kept["devices"][cpu_name()]["choice"] == chosen[cpu_name()]
    assert len(kept["devices"][cpu_name()]["measured"]) == 4

    # a machine that would answer otherwise today is not asked again
    monkeypatch.setattr(probe, "_step", lambda *_: pytest.fail("measured again"))
    assert choosing.choose(found, home, serial, lambda: False) == chosen
    assert choosing.choose(plan(load_study(write())), home, serial, lambda: False) == {}


def test_what_was_chosen_stays_when_another_field_is_opened(write, tmp_path, quick, monkeypatch):
    home = Home(tmp_path / "home")
    home.create()
    home.keep_choices("study", {cpu_name(): {"choice": {"matmul": "medium"}, "measured": []}})
    monkeypatch.setattr(probe, "_step", lambda *_: (1.0, 0.0))
    serial = Serial([Slot(index=0, device="cpu")], tmp_path, lambda: False)
    chosen = choosing.choose(plan(load_study(write(AXES))), home, serial, lambda: False)
    assert chosen == {cpu_name(): {"precision": "fp32", "matmul": "medium"}}


def test_baseline_that_cannot_take_a_step_ends_the_study_with_its_reason(write, tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    found = plan(load_study(write(AXES)))
    serial = Serial([Slot(index=0, device="nowhere")], tmp_path, lambda: False)
    with pytest.raises(EnvironmentFault, match="no training step could be timed: RuntimeError"):
        choosing.choose(found, home, serial, lambda: False)
    assert home.choices("study") == {}


def test_trials_of_auto_have_ids_of_their_own(write):
    plain = plan(load_study(write())).trials[0].id
    auto = plan(load_study(write(base=RECIPE + 'precision = "auto"\n'))).trials[0].id
    assert plain != auto
