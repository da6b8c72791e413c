"""`--json` is one document on standard output, also where somebody's network prints."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import STUDY

pytestmark = pytest.mark.integration
NETWORK = """
import os, torch
print("imported")
class Net(torch.nn.Module):
    def __init__(self, num_classes: int = 10, in_chans: int = 1, width: int = 8):
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(),
            torch.nn.Linear(16 * in_chans, width), torch.nn.ReLU(),
            torch.nn.Linear(width, num_classes),
        )
    def forward(self, x):
        print("forward")
        return self.body(x)
"""
RECIPE = """
[model]
family = "noisy:Net"
[data]
name = "digits"
limit = 32
[train]
epochs = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("noisy")
    (place / "noisy.py").write_text(NETWORK)
    (place / "base.toml").write_text(RECIPE)
    (place / "study.toml").write_text(
        STUDY.replace('"model.shift" = [false]', '"model.width" = [4]')
    )
    return place


@pytest.mark.parametrize(
    "words",
    [
        ["run", "study.toml", "--executor", "serial", "--no-report"],
        ["verify-fusion", "base.toml", "--steps", "2", "--replicas", "2"],
    ],
)
def test_what_a_network_prints_is_no_data(words, folder):
    done = subprocess.run(
        [sys.executable, "-m", "swinablate", *words, "--json"],
        capture_output=True, text=True, check=False, cwd=folder, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode in {0, 3}, done.stderr  # 3: it rounds otherwise when fused
    assert json.loads(done.stdout)
    assert "forward" in done.stderr
