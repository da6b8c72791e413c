"""Which arms a device refuses to train, said before anything is trained."""

from dataclasses import replace

import pytest
import torch

from swinablate.execution import devices
from swinablate.execution.executor import Executor, Slot
from swinablate.execution.executors import local
from swinablate.execution.executors.serial import Serial
from swinablate.records.events import Batch
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.training.machine import cpu_name, without_determinism
from tests.conftest import RECIPE, STUDY
from tests.execution.jobs import Jobs

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes: int, way: str = "flatten") -> None:
        super().__init__()
        self.head, self.way = nn.Linear(64, classes), way

    def forward(self, x):
        x = x.flatten(1)
        if self.training and self.way == "put":
            torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))
        if self.way == "raise" and torch.are_deterministic_algorithms_enabled():
            raise ValueError("not today")  # `plan` lets them vary
        return self.head(x) * len(self.way)
"""


@pytest.fixture
def study(write, tmp_path, monkeypatch):
    module = f"nets_of_{tmp_path.name}"  # another test's is imported already
    (tmp_path / f"{module}.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    torch.use_deterministic_algorithms(mode=False)  # as before anything has trained here
    axes = '"model.way" = ["put", "raise"]\n"train.precision" = ["auto"]\n'
    recipe = RECIPE[RECIPE.index("[data]") :]
    head = f'[model]\nfamily = "{module}:Net"\n\n'
    return write(STUDY.replace('"model.shift" = [false]\n', axes), head + recipe)


def serial(*_):
    return Serial([Slot(index=0, device="cpu")], None, lambda: False)


def test_every_arm_takes_a_step_and_those_that_cannot_are_named(study):
    found = plan(load_study(study))
    assert len(found.arms) == 4
    put, raises = devices.rehearsed(found, serial())
    assert put == (
        f"way=put: put_ has no deterministic form on {cpu_name()}; put another layer in its "
        "place, or run this study with --devices cpu"
    )
    assert raises == "way=raise: one step fails: ValueError: not today"


def test_only_a_gpu_is_asked(study, monkeypatch):
    opened = []

    def open_one(slots, logs, stopping):
        opened.extend(slots)
        return serial()

    monkeypatch.setattr(devices, "EXECUTOR", Executor(open=open_one))
    found = plan(load_study(study))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert devices.refused_by_gpu(found) == []
    assert not opened
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert len(devices.refused_by_gpu(found)) == 2
    assert opened == [Slot(index=0, device="cuda:0")]


def test_a_rehearsal_in_a_worker_leaves_no_file(datasets, tmp_path):
    logs = tmp_path / "logs"
    for folder in (logs, tmp_path / "jobs"):
        folder.mkdir()
    job = replace(Jobs(datasets, tmp_path / "jobs").make(), kind="rehearsal", folder="", data="")
    execution = local.EXECUTOR.open([Slot(index=0, device="cpu")], logs, lambda: False)
    try:
        execution.submit(Batch(jobs=(job,)))
        events = []
        while not events or events[-1].kind == "started":
            events += execution.poll(1.0)
    finally:
        execution.close()
    assert events[-1].data == {"device": cpu_name(), "refused": None}


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (RuntimeError("cumsum_cuda_kernel does not have a deterministic implementation, but"),
         "cumsum_cuda_kernel"),
        (RuntimeError("... set, but this operation is not deterministic because it uses CuBLAS"),
         "cuBLAS"),
        (RuntimeError("out of patience"), None),
        (ValueError("x does not have a deterministic implementation"), None),
    ],
)  # fmt: skip
def test_what_torch_refuses_is_told_from_other_errors(error, what):
    assert without_determinism(error) == what
