"""What tests of clusters share: a study of long trials, and what became of it."""

import re
import subprocess
from pathlib import Path

from tests.integration.conftest import Command, alive

SLURM = ("--executor", "slurm", "--no-report")
TWO = (*SLURM, "--nodes", "2", "--time", "20")
SLOW = """\
import time

from torch import nn


class Net(nn.Module):
    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, 10))

    def forward(self, x):
        time.sleep(0.04 * self.training)
        return self.body(x)
"""
"""A trial takes half a minute whatever the machine: a cluster needs time to notice something."""
RECIPE = """\
[model]
family = "slow:Net"
[data]
name = "digits"
limit = 96
[train]
epochs = 200
batch = 16
"""


class Long(Command):
    """A study that takes a minute on two slots."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "slow.py").write_text(SLOW)
        (folder / "base.toml").write_text(RECIPE)
        self.study.write_text(self.study.read_text().replace("model.shift", "model.dropout").replace("false", "0.2"))  # fmt: skip


def attempts(command):
    """How often each trial was tried."""
    return {trial: found["attempt"] for trial, found in command.results().items()}


def pids(command):
    return [event["data"]["pid"] for event in command.events("started")]


def gone(slurm, command):
    """Whether neither a job, nor a step, nor a worker is left."""
    return slurm.empty() and not any(map(alive, pids(command)))


def stepds(step):
    """Processes of a step: Slurm's own, and what it started."""
    found = subprocess.run(
        ["pgrep", "-f", rf"^slurmstepd: \[{re.escape(step)}\]"],
        capture_output=True,
        text=True,
        check=True,
    )
    own = found.stdout.split()
    below = subprocess.run(["pgrep", "-P", ",".join(own)], capture_output=True, text=True, check=False)  # fmt: skip
    return map(int, [*own, *below.stdout.split()])
