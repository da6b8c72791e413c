"""Scripts that know nothing of swinablate as arms: killed in the middle, five seeds, two switches.

timm's own training script is not here, for it is no part of its package: docs/command.md has the
recipe that it was run with.
"""

import json
import shutil
import signal
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.integration.clusters import TWO
from tests.integration.conftest import send

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
# awk's seeds 0 and 1 draw the same, as C's do: `check = "first"` finds it.
SHELL = """\
#!/usr/bin/env bash
set -euo pipefail
seed=0 steps=3 rate=1
for word in "$@"; do
  case "$word" in
    --seed=*) seed=${word#*=} ;;
    --steps=*) steps=${word#*=} ;;
    --rate=*) rate=${word#*=} ;;
    *) echo "what is $word?" >&2; exit 2 ;;
  esac
done
kept="$SWINABLATE_CHECKPOINT/step"
at=$(cat "$kept" 2>/dev/null || echo 0)
said() {
  awk -v s="$seed" -v n="$1" -v r="$rate" \\
    'BEGIN { srand(s + 1); printf "step %d accuracy %.4f\\n", n, 50 + 5 * n * r + rand() }'
}
while [ "$at" -lt "$steps" ]; do
  sleep 0.3
  at=$((at + 1))
  echo "$at" > "$kept.new" && mv "$kept.new" "$kept"
  said "$at"
done
said "$at"  # it may have been killed when it had said all
"""
STUDY = """\
question = "What does somebody's script do?"
baseline = "base.toml"
seeds = 5
baseline_seeds = 5
"""


def shell(folder):
    (folder / "train.sh").write_text(SHELL)
    metric = '{ pattern = "step (?P<step>[0-9]+) accuracy ([0-9.]+)", name = "accuracy" }'
    (folder / "base.toml").write_text(
        '[command]\nrun = ["bash", "train.sh", "--seed={seed}"]\ngive = "flags"\ncheck = "first"\n'
        f"metric = {metric}\n[switches]\nsteps = 4\nrate = 1.0\n"
    )
    (folder / "study.toml").write_text(
        STUDY + '[axes]\n"switches.steps" = [5]\n"switches.rate" = [1.01]\n[compare]\nrope = 1\n'
    )


def post000(folder):
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    shutil.copy(ROOT / "benchmarks" / "programs" / "post000_train.py", folder / "train.py")
    run = [sys.executable, "train.py", "--seed={seed}", "--out={out}"]
    (folder / "base.toml").write_text(
        f'[command]\nrun = {json.dumps(run)}\ngive = "flags"\ncheck = "first"\n'
        'metric = { file = "history.csv", key = "accuracy" }\n'
        'also = [{ file = "history.csv", key = "loss", unit = "nats", better = "lower" }]\n'
        f'environment = {{ PYTHONPATH = "{folder}" }}\n'
        "[switches]\nwindow = 2\nlr = 0.003\n"
    )
    (folder / "study.toml").write_text(
        STUDY + '[axes]\n"switches.window" = [4]\n"switches.lr" = [0.00001]\n'
        '[compare]\nsecondary = ["loss"]\n'
    )


def killed_and_resumed(command, *words):
    """Kill the coordinator when some trials are done; then go on to the report."""
    process = command.start("--no-report", *words)
    command.wait_for("done", 3)
    send(process.pid, signal.SIGKILL)
    process.communicate()
    before = set(command.results())
    code, _, err = command.run(*[word for word in words if word != "--no-report"])
    assert code == 0, err
    found = command.results()
    assert len(found) == 15
    assert len(before) < 15, "it was killed in the middle"
    return json.loads((command.folder / "reports" / "study" / "verdicts.json").read_text())


@pytest.mark.parametrize("where", ["local", "slurm"])
def test_a_shell_script(command, where, request):
    if where == "slurm":
        request.getfixturevalue("slurm")
    shell(command.folder)
    told = killed_and_resumed(command, *(TWO if where == "slurm" else ()))
    arms = {arm["name"]: arm for arm in told["arms"]}
    # Five steps are five points better; a rate 1 % higher is 0.2 better, within the rope.
    assert arms["steps=5"]["verdict"] == "better"
    assert arms["steps=5"]["delta_pp"] == pytest.approx(5)
    assert arms["rate=1.01"]["delta_pp"] == pytest.approx(0.2)
    drawn = pd.read_csv(command.folder / "reports" / "study" / "tables" / "curves.csv")
    assert sorted(drawn[drawn.arm == "steps=5"].epoch.unique()) == [1, 2, 3, 4, 5]
    twins = [
        one["metrics"] for one in command.results().values() if "again/accuracy" in one["metrics"]
    ]
    assert [one["again/accuracy"] == one["command/accuracy"] for one in twins] == [True]


@pytest.mark.parametrize("where", ["local", "slurm"])
def test_the_code_of_post_000(command, where, request):
    if where == "slurm":
        request.getfixturevalue("slurm")
    post000(command.folder)
    told = killed_and_resumed(command, *(TWO if where == "slurm" else ()))
    arms = {arm["name"]: arm for arm in told["arms"]}
    assert told["baseline"]["mean"] > 15, "it learns: chance is 10 %"
    assert arms["lr=1e-05"]["verdict"] == "worse"
    assert arms["window=4"]["verdict"] in {"better", "worse", "undecided"}
    (loss,) = told["secondary"]
    assert loss["metric"] == "command/loss:nats:lower"
    assert {arm["name"]: arm["verdict"] for arm in loss["arms"]}["lr=1e-05"] == "worse"
    twins = [one for one in command.results().values() if "again/accuracy" in one["metrics"]]
    assert len(twins) == 1
    once = twins[0]["metrics"]
    assert once["again/accuracy"] == once["command/accuracy"], "its seed says all"
