"""Claims of trials: one process has a trial, the next when that has ended or died."""

import os
import subprocess
import sys

import pytest

from swinablate.records.disk import locks
from swinablate.records.home import Home
from swinablate.scheduling.claims import AGAIN_S, Claims
from tests.execution.scripted import Clock

HOLD = (
    "import sys, time; from pathlib import Path\n"
    "from swinablate.scheduling.claims import Claims; from swinablate.records.home import Home\n"
    "claims = Claims(Home(Path(sys.argv[1]))); claims.take('t1'); print('held', flush=True)\n"
    "time.sleep(60)"
)


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    made.create()
    return made


def files(home):
    return [path.name for path in (home.locks / "trials").iterdir()]


def test_a_claim_is_had_once_and_leaves_no_file(home):
    one, other = Claims(home), Claims(home)
    assert [one.take("t1"), one.take("t1"), one.take("t2"), other.take("t1")] == [True] * 3 + [False]  # fmt: skip
    assert other.others["t1"].startswith(f"pid {os.getpid()} on ")
    assert sorted(files(home)) == ["t1.lock", "t2.lock"]
    one.keep({"t2"})
    assert files(home) == ["t2.lock"]
    one.release("t1")
    one.close()
    assert files(home) == []


def test_a_claim_of_anothers_is_tried_again_after_a_while(home):
    clock = Clock()
    one, other = Claims(home), Claims(home, clock=clock)
    one.take("t1")
    assert not other.take("t1")
    one.close()
    assert not other.take("t1")
    clock.now += AGAIN_S
    assert other.take("t1")
    assert other.others == {}


def test_a_claim_dies_with_its_holder(home):
    words = [sys.executable, "-c", HOLD, str(home.root)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        claims = Claims(home, take_over=True)  # it lives
        assert not claims.take("t1")
        assert claims.others["t1"].startswith(f"pid {process.pid} on ")
        process.kill()
    assert files(home) == ["t1.lock"]
    claims = Claims(home)
    assert claims.take("t1")
    claims.close()
    assert files(home) == []


def test_a_claim_that_a_gone_machine_holds_can_be_taken_over(home):
    path = home.locks / "trials" / "t1.lock"
    with locks.lock(path):
        path.write_text("pid 7 on elsewhere since 2026-01-01 00:00:00")
        assert not Claims(home).take("t1")
        claims = Claims(home, take_over=True)
        assert claims.take("t1")
    assert files(home) == ["t1.lock"]  # the new holder's
    assert not Claims(home).take("t1")
    claims.close()


@pytest.mark.parametrize("taken", [True, False])
def test_a_claim_for_a_moment(home, taken):
    other = Claims(home)
    if taken:
        other.take("t1")
    with Claims(home).passing("t1") as had:
        assert had is not taken
        assert files(home) == ["t1.lock"]
    assert files(home) == ["t1.lock"] * taken
    other.close()
