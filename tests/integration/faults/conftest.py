"""Networks that misbehave, in real studies of real processes."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Command

NETS = '''
"""Networks that train well until they do what they are called."""

import ctypes
import os
import signal
import subprocess
import time
from typing import Literal

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        self.steps = 0

    def forward(self, x):
        if self.training:
            self.steps += 1
            if self.steps == 5:
                self.misbehave()
            time.sleep(0.01)
        return self.body(x)

    def misbehave(self):
        pass


class Holds(Net):
    """Is in a call that never returns and holds Python's lock."""

    def misbehave(self):
        ctypes.PyDLL(None).sleep(600)


class Parent(Net):
    """Starts a process of its own."""

    def misbehave(self):
        subprocess.Popen(["sleep", "997"])


class Slow(Net):
    """Trains for a minute."""

    def misbehave(self):
        pass


class Varied(Net):
    """Does in its fifth step what its argument says."""

    def __init__(self, does: Literal["well", "oom", "nan", "wrong", "killed"] = "well") -> None:
        super().__init__()
        self.does = does

    def misbehave(self):
        if self.does == "oom":
            torch.empty(1 << 50)
        elif self.does == "nan":
            self.body[1].weight.data.fill_(float("nan"))
        elif self.does == "wrong":
            raise ValueError("it is wrong every time")
        elif self.does == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
'''
RECIPE = """\
[model]
family = "nets:{net}"
[data]
name = "digits"
[train]
epochs = {epochs}
batch = 32
"""
STUDY = """\
question = "Does it end?"
baseline = "base.toml"
seeds = 2
baseline_seeds = 2
[axes]
"train.lr" = [0.01]
"""


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Makes the command of a study of one of these networks; nothing runs afterwards."""
    made = []

    def make(net: str, epochs: int = 40) -> Command:
        command = Command(tmp_path)
        made.append(command)
        (tmp_path / "nets.py").write_text(NETS)
        (tmp_path / "base.toml").write_text(RECIPE.format(net=net, epochs=epochs))
        command.study.write_text(STUDY)
        return command

    yield make
    for command in made:
        command.kill()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a tracking server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
