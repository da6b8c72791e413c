"""`plan --probe` with real workers: what it says before, and what the study then took."""

import json

import pytest

from swinablate.records.home import Home
from tests.integration.conftest import until

pytestmark = pytest.mark.integration


@pytest.mark.slow
def test_a_probe_of_slurm_takes_an_allocation_and_leaves_none(slurm, command):
    words = ("--json", "--executor", "slurm", "--nodes", "2", "--set", "train.epochs=1")
    code, out, err = command.run(*words, command="plan")
    assert code == 0, err
    before = json.loads(out)["cost"]
    assert (before["source"], before["slots"]) == ("none", 2)
    code, out, err = command.run(*words, "--probe", command="plan")
    assert code == 0, err
    found = json.loads(out)["cost"]
    assert "is asked for: workers start when it does" in err
    assert (found["source"], found["slots"], found["device"]) == ("probe", 2, "CPUs of slurm")
    assert all(arm["step_s"] > 0 for arm in found["arms"])
    until(slurm.empty)
    code, out, _ = command.run(*words, command="plan")
    assert json.loads(out)["cost"] == found


@pytest.mark.slow
def test_a_probe_is_near_what_the_study_takes_and_is_kept(command):
    small = ("--set", "train.epochs=3", "--devices", "cpu", "--slots", "2")

    def costs(*words):
        code, out, err = command.run("--json", *small, *words, command="plan")
        assert code == 0, err
        return json.loads(out)["cost"]

    found = costs("--probe")
    assert (found["source"], found["gpu_hours"], found["slots"]) == ("probe", 0.0, 2)
    assert [arm["name"] for arm in found["arms"]] == ["baseline", "shift=false"]
    assert all(arm["step_s"] > 0 and arm["peak_mib"] > 100 for arm in found["arms"])
    again = costs()
    assert again == found  # kept: nothing was measured again

    code, _, err = command.run("--no-report", *small)
    assert code == 0, err
    home = Home(command.home)
    trials = [path.name for path in home.trials.iterdir()]
    took = [outcome.elapsed_s for outcome in home.outcomes(trials).values()]
    said = sum(arm["hours"] for arm in found["arms"]) * 3600
    assert 0.3 < said / sum(took) < 3, (said, took)

    weights = sum(path.stat().st_size for path in home.trials.rglob("*.pt")) / 2**20
    assert found["disk_mib"] < 20 * weights + 1
    over = costs()
    assert (over["hours"], over["disk_mib"]) == (0.0, 0.0)
    alone = costs("--slots", "1", "--set", "train.epochs=4")
    assert alone["source"] == "recorded"  # trials of the same steps tell it
    assert alone["hours"] > 0
