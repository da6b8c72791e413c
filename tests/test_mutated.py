"""Every newer switch has a fault that a test sees: `tests/mutated.py` has them."""

import subprocess
import sys

import pytest

from tests.mutated import FAULTS, ROOT
from tests.rows import lacking

SWITCHES = {
    "rope2d", "rope of Swin", "swiglu", "muon", "rmsprop", "adagrad", "weight_decay", "lr_scale",
    "causal", "additive", "pool = layers", "gru", "bidirectional", "lenet", "translated",
    "crop_margin", "norm_fade", "shift_mask", "pad = masked", "window", "flip_vertical", "rotate",
}  # fmt: skip
"""What is new or was mended, as the names of faults begin."""


def test_every_newer_switch_has_a_fault():
    assert {switch for switch in SWITCHES if any(name.startswith(switch) for name in FAULTS)} == (
        SWITCHES
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_of_a_line_that_stands_there_once(name):
    fault = FAULTS[name]
    assert (ROOT / "swinablate" / fault.file).read_text("utf-8").count(fault.right) == 1
    assert fault.wrong != fault.right
    assert lacking(test.partition("[")[0] for test in fault.tests) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)  # forty times the imports of the package and some tests
def test_every_fault_is_seen():
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutated"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]
