"""How far a study is, and when it will end, from the files of a home alone."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from swinablate.errors import InputError
from swinablate.records.events import Event, Kind
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.records.outcome import Status as Ended
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.scheduling.claims import Claims
from swinablate.scheduling.status import Current, Status, read_status

RECIPE = {"train": {"epochs": 4}}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home in which a study of two arms with three seeds each is declared."""
    made = Home(tmp_path / "home")
    made.create()
    arms = tuple(
        ArmRecord(
            name=name, recipe=RECIPE, seeds=(0, 1, 2), trials=tuple(f"{name}{i}" for i in range(3))
        )
        for name in ("a", "b")
    )
    made.declare(PlanRecord(study="s", declaration="d" * 8, arms=arms))
    return made


def ended(home: Home, trial: str, seconds: float, status: Ended = "done", fused: int = 1) -> None:
    number = home.begin(trial)
    home.commit(
        Outcome(
            trial=trial, seed=0, kind="final", recipe=RECIPE, image={}, status=status,
            attempt=number, execution={"fused": fused}, started_at=1000,
            finished_at=1000 + int(1000 * seconds),
        )
    )  # fmt: skip


def tell(home: Home, trial: str, attempt: int, kind: Kind, **data: Any) -> None:
    home.append(Event(trial=trial, attempt=attempt, kind=kind, at=0, data=data))


def begun(home: Home, trial: str, epochs: int = 0) -> int:
    number = home.begin(trial)
    tell(home, trial, number, "started")
    for epoch in range(1, epochs + 1):
        tell(home, trial, number, "epoch", **{"epoch": epoch, "val/accuracy": 50.0 + epoch})
    return number


def run(home: Home, *trials: str) -> Status:
    """The status of a study that somebody runs, who trains these."""
    with home.owned("s"), closing(Claims(home)) as claims:
        assert all(map(claims.take, trials))
        return read_status(home, "s")


def eta(home: Home, *trials: str) -> float | None:
    """Seconds left, as a study that somebody runs has them."""
    return run(home, *trials).eta_s


def test_a_study_that_nobody_began_waits(home):
    now = read_status(home, "s")
    assert (now.study, now.declaration, now.owner) == ("s", "d" * 8, "")
    assert (now.planned, now.most, now.waiting, now.done) == (6, 6, 6, 0)
    assert now.arms == {"a": {"waiting": 3}, "b": {"waiting": 3}}
    assert (now.current, now.eta_s) == ((), None)
    with pytest.raises(InputError, match="study 'other' has not been run"):
        read_status(home, "other")


def test_every_trial_is_counted_once_by_how_it_stands(home):
    ended(home, "a0", 10)
    ended(home, "a1", 10, "failed")
    ended(home, "b0", 10, "diverged")
    begun(home, "b1", epochs=3)
    now = run(home, "b1")
    assert now.owner.startswith("pid ")
    assert (now.done, now.failed, now.diverged, now.running, now.waiting) == (1, 1, 1, 1, 2)
    assert now.arms == {
        "a": {"done": 1, "failed": 1, "waiting": 1},
        "b": {"diverged": 1, "running": 1, "waiting": 1},
    }
    b1 = Current(arm="b", seed=1, epoch=3, epochs=4, attempt=1, val_accuracy=53.0)
    assert now.current == (b1,)
    assert now.to_json()["schema"] == 1
    assert now.to_json()["current"][0]["val_accuracy"] == 53.0


def test_what_ran_when_its_coordinator_went_away_waits_and_is_shown(home):
    begun(home, "a0", epochs=2)
    now = read_status(home, "s")
    assert (now.running, now.waiting, now.eta_s) == (0, 6, None)
    assert [(c.arm, c.seed, c.epoch) for c in now.current] == [("a", 0, 2)]


def test_what_a_killed_run_left_waits_for_its_turn(home):
    """Of two that were killed the study, started again on one slot, trains one."""
    begun(home, "a0", epochs=2)
    begun(home, "b0", epochs=1)
    now = run(home, "b0")
    assert (now.running, now.waiting) == (1, 5)
    assert [(c.arm, c.epoch) for c in now.current] == [("b", 1)]


def test_what_another_study_trains_runs(home):
    begun(home, "a0", epochs=2)
    with closing(Claims(home)) as claims:
        claims.take("a0")
        now = read_status(home, "s")
    assert (now.owner, now.running, now.waiting, len(now.current)) == ("", 1, 5, 1)


def test_the_newest_attempt_of_a_resumed_trial_is_shown(home):
    """The first attempt died after three epochs; the second resumed at two and is at four."""
    assert begun(home, "a0", epochs=3) == 1
    second = home.begin("a0")
    rows = [{"epoch": k, "val/accuracy": 60.0 + k} for k in (1, 2)]
    tell(home, "a0", second, "started")
    tell(home, "a0", second, "resumed", curve=rows)
    tell(home, "a0", second, "epoch", **{"epoch": 3, "val/accuracy": 71.0})
    tell(home, "a0", second, "epoch", **{"epoch": 4, "val/accuracy": 72.0})
    assert read_status(home, "s").current == (
        Current(arm="a", seed=0, epoch=4, epochs=4, attempt=2, val_accuracy=72.0),
    )


def test_an_attempt_that_has_ended_does_not_run(home):
    number = begun(home, "a0", epochs=1)
    tell(home, "a0", number, "stopped")
    with home.owned("s"):
        now = read_status(home, "s")
    assert (now.current, now.running, now.waiting) == ((), 0, 6)


def test_a_trial_that_has_told_no_epoch_has_no_accuracy_yet(home):
    begun(home, "a0")
    (now,) = read_status(home, "s").current
    assert (now.epoch, now.val_accuracy) == (0, None)


def test_time_left_is_what_trials_took_times_those_that_wait(home):
    """Two of `a` took 10 and 20 s; the other four wait, three of them of an arm not seen yet."""
    ended(home, "a0", 10)
    ended(home, "a1", 20)
    assert eta(home) == pytest.approx(4 * 15)


def test_every_arm_takes_its_own_time(home):
    ended(home, "a0", 10)
    ended(home, "a1", 10)
    ended(home, "b0", 100)
    assert eta(home) == pytest.approx(1 * 10 + 2 * 100)


def test_a_running_trial_counts_half(home):
    ended(home, "a0", 10)
    begun(home, "a1")
    assert eta(home, "a1") == pytest.approx((1 + 0.5 + 3) * 10)


def test_slots_share_the_time_left(home):
    ended(home, "a0", 10)
    begun(home, "a1")
    begun(home, "b0")
    assert eta(home, "a1", "b0") == pytest.approx((1 + 0.5 + 0.5 + 2) * 10 / 2)


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_trials_that_were_lost_do_not_tell_how_long_one_takes(home, status):
    """They end early, or hang until somebody ends them."""
    ended(home, "a0", 10)
    ended(home, "a1", 9999, status)
    assert eta(home) == pytest.approx(4 * 10)


def test_trials_that_trained_as_one_took_their_share(home):
    ended(home, "a0", 40, fused=4)
    assert eta(home) == pytest.approx(5 * 10)


def test_no_time_is_known_before_the_first_trial_is_done(home):
    begun(home, "a0", epochs=3)
    assert eta(home) is None


def test_nobody_knows_when_a_study_ends_that_nobody_runs(home):
    ended(home, "a0", 10)
    assert read_status(home, "s").eta_s is None


def test_a_study_that_is_done_has_no_time_left(home):
    for trial in ("a0", "a1", "a2", "b0", "b1", "b2"):
        ended(home, trial, 10)
    assert eta(home) == 0
