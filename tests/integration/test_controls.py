"""Controls: a study must find what is there, and nothing where there is nothing.

On `shapes` the label needs communication across windows and knowledge of directions. An arm
without the shift, or without the position bias, has lost one and must come out worse; an arm that differs in nothing but its random numbers (A/A) must not
get a verdict.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]
STUDY = Path(__file__).parents[2] / "studies" / "shapes_control.toml"


@pytest.mark.timeout(900)  # a whole study: minutes on a quiet machine
def test_removed_mechanism_is_found_and_nothing_else(tmp_path):
    command = [
        *(sys.executable, "-m", "swinablate", "run", str(STUDY), "--home", str(tmp_path / "home")),
        *("--out", str(tmp_path / "report"), "--json"),
        *("--set", "study.baseline_seeds=5"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    arms = {arm["name"]: arm for arm in json.loads(done.stdout)["arms"]}

    for name in ("shift=false", "position_bias=none"):
        assert arms[name]["verdict"] == "worse"
        assert arms[name]["hypothesis"]["answer"] == "supported"
    again = arms["stream=again"]
    assert again["verdict"] in {"undecided", "equivalent"}
    assert again["ci_low"] < 0 < again["ci_high"]
