"""What `auto` becomes: asked once, kept, and the same for every arm."""

from itertools import count

import pytest

from swinablate.errors import EnvironmentFault
from swinablate.execution.ahead import autotune
from swinablate.execution.ahead.autotune import choose
from swinablate.execution.executor import Slot
from swinablate.execution.executors.serial import Serial
from swinablate.records.events import event
from swinablate.records.home import Home
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY
from tests.execution.scripted import Clock, Scripted


@pytest.fixture
def home(tmp_path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def made(write):
    return plan(load_study(write(STUDY, RECIPE + 'matmul = "auto"\n')))


def never() -> bool:
    return False


def timed(seconds_of_medium: float, device: str = "cpu"):
    """A worker that measured so."""

    def script(job):
        assert (job.kind, job.attempt) == ("probe", 0)
        rows = [
            {"matmul": "highest", "step_s": 1.0},
            {"matmul": "medium", "step_s": seconds_of_medium},
        ]
        return [("started", {}), ("done", {"device": device, "measured": rows})]

    return script


def test_nothing_is_asked_where_nothing_is_open(write, home):
    execution = Scripted(2, timed(0.5), Clock())
    assert choose(plan(load_study(write())), home, execution, never) == {}
    assert execution.submitted == []


def test_workers_that_get_ready_close_together_are_all_asked(made, home, monkeypatch):
    execution = Scripted(0, timed(0.5), Clock())
    monkeypatch.setattr(autotune, "FOLLOW_S", 0.2)

    def poll(timeout):
        execution.slots = min(3, execution.slots + 1)
        return Scripted.poll(execution, timeout)

    monkeypatch.setattr(execution, "poll", poll)
    assert choose(made, home, execution, never) == {"cpu": {"matmul": "medium"}}
    assert len({job.trial for job in execution.submitted}) == 3


def test_a_stop_is_heard_while_no_worker_is_ready(made, home):
    execution, asked = Scripted(0, timed(0.5), Clock()), count()
    assert choose(made, home, execution, lambda: next(asked) > 3) == {}
    assert execution.submitted == []


def test_every_slot_measures_and_the_answer_is_kept_whatever_it_would_be_later(made, home):
    execution = Scripted(3, timed(0.5), Clock())
    assert choose(made, home, execution, never) == {"cpu": {"matmul": "medium"}}
    assert len({job.trial for job in execution.submitted}) == 3
    (kept,) = home.choices("study").values()
    assert kept["choice"] == {"matmul": "medium"}
    assert kept["measured"][1] == {"matmul": "medium", "step_s": 0.5}
    later = Scripted(1, timed(5.0), Clock())
    assert choose(made, home, later, never) == {"cpu": {"matmul": "medium"}}
    assert later.submitted[0].choices == {"cpu": {"matmul": "medium"}}


def test_a_departure_must_be_a_tenth_faster(made, home):
    assert choose(made, home, Scripted(1, timed(0.95), Clock()), never) == {
        "cpu": {"matmul": "highest"}
    }


def test_two_device_models_have_an_answer_each(made, home):
    def script(job):
        first = job.trial == "probe-0"
        return timed(0.5 if first else 2.0, "new" if first else "old")(job)

    found = choose(made, home, Scripted(2, script, Clock()), never)
    assert found == {"new": {"matmul": "medium"}, "old": {"matmul": "highest"}}


def test_a_network_that_takes_no_step_is_named_with_a_remedy(made, home):
    def script(job):
        return [lambda job: event(job, "failed", {"kind": "oom", "message": "out of memory"})]

    with pytest.raises(EnvironmentFault) as fault:
        choose(made, home, Scripted(1, script, Clock()), never)
    assert str(fault.value) == (
        '"auto" in [train]: no training step could be timed: out of memory\n\n'
        'hint: name the setting instead: train.precision = "fp32"'
    )


def test_a_stop_while_it_is_measured_decides_nothing(made, home):
    assert choose(made, home, Scripted(1, timed(0.5), Clock()), lambda: True) == {}
    assert home.choices("study") == {}


def test_a_real_network_is_timed(made, home, tmp_path):
    execution = Serial([Slot(index=0, device="cpu")], tmp_path, never)
    (found,) = choose(made, home, execution, never).values()
    assert found["matmul"] in {"highest", "medium"}
    (kept,) = home.choices("study").values()
    assert [row["matmul"] for row in kept["measured"]] == ["highest", "medium"]
