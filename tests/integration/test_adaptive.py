"""Adaptive seeds in real processes: killed, the same trials and the same verdicts.

One arm differs from the baseline in its random numbers alone (A/A), one cannot learn. The
first look decides the second; the other must not get a verdict it has not earned.
"""

import json
import signal

import pytest

from tests.integration.conftest import send

pytestmark = pytest.mark.integration

STUDY = """\
question = "Do looks survive a kill?"
baseline = "base.toml"
[adaptive]
looks = [3, 4]
[axes]
"train.stream" = ["again"]
"train.lr" = [1e-6]
"""


def test_killed_inside_a_look_it_ends_as_if_nothing_had_happened(command):
    base = command.folder / "base.toml"
    base.write_text(base.read_text().replace("epochs = 6", "epochs = 4"))
    command.study.write_text(STUDY)

    process = command.start("--no-report")
    command.wait_for("done", 13)  # of 12 in the first look and 3 in the second
    send(process.pid, signal.SIGKILL)
    process.communicate()
    code, out, err = command.run("--json")
    assert code == 0, err
    answer = json.loads(out)

    arms = {arm["name"]: arm for arm in answer["arms"]}
    assert (arms["lr=1e-06"]["verdict"], arms["lr=1e-06"]["n"]) == ("worse", 3)
    again = arms["stream=again"]
    assert (again["n"], again["look"], answer["baseline"]["n"]) == (4, 4, 8)
    assert again["ci_low"] < 0 < again["ci_high"]
    assert [(s["arm"], s["look"]) for s in answer["trace"]] == [
        ("stream=again", 3), ("lr=1e-06", 3), ("stream=again", 4)
    ]  # fmt: skip
    assert len(command.results()) == 8 + 3 + 4  # not one trial that no look asked for
    done = [event["trial"] for event in command.events("done")]
    assert len(set(done)) == 15
