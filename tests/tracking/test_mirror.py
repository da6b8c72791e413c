"""The mirror under a scripted tracker: order, patience, what is missed, how it ends. No MLflow."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

from swinablate.errors import EnvironmentFault
from swinablate.records.home import Home
from swinablate.records.launch import Launch, keep_launch
from swinablate.records.outcome import Outcome
from swinablate.records.plan import ArmRecord, PlanRecord, Row
from swinablate.report.results import StudyResults
from swinablate.tracking import mirror as mirrors
from swinablate.tracking.mirror import Mirror, publish
from swinablate.tracking.tracker import StudyCard, Tracker, TrialCard

PATIENCE_S = 10
"""A thread that has not moved by then never will."""


class Scripted:
    """A tracker that notes what arrives and fails the calls of a script, by number from 0."""

    def __init__(self, fails: Callable[[int], bool] = lambda _: False) -> None:
        self.arrived: list[tuple[str, Any]] = []
        self.moved = False
        self.lacking = set[str]()
        self.shown = list[str]()
        self._fails, self._calls = fails, 0

    def sweep(self, alive: set[str]) -> None:
        self._take("sweep", alive)

    def begin(self, card: TrialCard) -> None:
        self._take("begin", card.trial)

    def epochs(self, trial: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._take("epochs", (trial, [row["epoch"] for row in rows]))

    def end(self, trial: str, outcome: Mapping[str, Any]) -> None:
        self._take("end", (trial, outcome["status"], outcome["finished_at"]))

    def interim(self, trial: str) -> None:
        self.shown.append(trial)

    def lacks(self, trials: Iterable[str]) -> set[str]:
        return set(trials) & self.lacking

    def summaries(self, verdicts: Mapping[str, Any], beside: Sequence[Any] = ()) -> None:
        self._take("summaries", verdicts)

    def attach(self, report_dir: Path) -> None:
        self._take("attach", report_dir)

    def close(self) -> None:
        self._take("close", None)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.arrived]

    def _take(self, name: str, what: Any) -> None:
        number, self._calls = self._calls, self._calls + 1
        if self._fails(number):
            raise EnvironmentFault(f"call {number} failed", at="store", hint="")
        self.arrived.append((name, what))


def mirror_of(tracker: Scripted) -> Mirror:
    return Mirror(lambda: cast("Tracker", tracker))


def card(trial: str = "t1") -> TrialCard:
    return TrialCard(
        trial=trial, arm="baseline", seed=0, kind="final", changes={}, recipe={}, geometry=(),
        params=1, macs=1, reused=False,
    )  # fmt: skip


def outcome(trial: str = "t1") -> Outcome:
    return Outcome(
        trial=trial, seed=0, kind="final", recipe={}, image={}, status="done", attempt=1,
        curve=({"epoch": 1}, {"epoch": 2}), started_at=1, finished_at=9,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def shown_at_once(monkeypatch):
    """Every row is a call of its own, as where epochs are long."""
    monkeypatch.setattr(mirrors, "SHOW_S", 0.0)


def send(mirror: Mirror, calls: int) -> None:
    for number in range(calls):
        mirror.epochs("t1", [{"epoch": number}])


def test_rows_of_short_epochs_are_held_back_till_there_is_time_or_the_trial_ends(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(mirrors, "SHOW_S", 10.0)
    monkeypatch.setattr(mirrors.time, "monotonic", lambda: now[0])
    tracker = Scripted()
    mirror = mirror_of(tracker)
    for trial in ("t1", "t2"):
        mirror.begin(card(trial))
        for number, after in ((1, 4.0), (2, 5.0), (3, 1.5), (4, 0.5)):
            now[0] += after
            mirror.epochs(trial, [{"epoch": number}])
    mirror.stopped("t1", 5)
    mirror.end(outcome("t2"))
    mirror.close()
    assert tracker.arrived[:-1] == [
        ("begin", "t1"),
        ("epochs", ("t1", [1, 2, 3])),  # 10.5 s after its start
        ("begin", "t2"),
        ("epochs", ("t2", [1, 2, 3])),
        ("epochs", ("t1", [4])),
        ("end", ("t1", "stopped", 5)),
        ("end", ("t2", "done", 9)),  # its record has the rows
    ]
    assert mirror.missed == 0


def test_calls_arrive_once_and_in_order():
    tracker = Scripted()
    mirror = mirror_of(tracker)
    mirror.sweep(["t3", "t2"])
    mirror.begin(card())
    mirror.epochs("t1", [{"epoch": 1}])
    mirror.stopped("t1", 5)
    mirror.replay(card("t2"), outcome("t2"))
    mirror.end(outcome("t3"))
    mirror.close()
    assert tracker.arrived == [
        ("sweep", {"t2", "t3"}),
        ("begin", "t1"),
        ("epochs", ("t1", [1])),
        ("end", ("t1", "stopped", 5)),
        ("begin", "t2"),
        ("epochs", ("t2", [1, 2])),
        ("end", ("t2", "done", 9)),
        ("end", ("t3", "done", 9)),
        ("close", None),
    ]
    assert tracker.shown == ["t2", "t3"]  # what is stopped is no result
    assert (mirror.missed, mirror.problem) == (0, "")


def test_a_store_is_opened_when_there_is_a_trial_to_tell_of_and_not_before():
    """Opening it imports MLflow, which takes a second that the first trial would wait for."""
    opened: list[str] = []

    def connect(tracker: Scripted) -> Mirror:
        return Mirror(lambda: (opened.append("open"), cast("Tracker", tracker))[1])

    tracker = Scripted()
    mirror = connect(tracker)
    mirror.sweep(["t1"])
    time.sleep(0.1)
    assert opened == []
    mirror.begin(card())
    until(lambda: tracker.names == ["sweep", "begin"])
    mirror.close()
    dropped = connect(Scripted())
    dropped.sweep(["t1"])
    dropped.close(within=0)
    dropped._thread.join(PATIENCE_S)
    assert opened == ["open"]


@pytest.fixture
def pause(monkeypatch):
    """How long a store that failed is left alone."""

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(mirrors, "PAUSE_S", seconds)

    return set_to


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_after_three_failures_in_a_row_what_follows_waits_and_arrives_later(pause):
    """A server that is away for a minute costs three records, not the rest of the study."""
    pause(0.3)
    tracker = Scripted(fails=lambda number: 1 <= number <= 3)
    mirror = mirror_of(tracker)
    send(mirror, 1000)
    until(lambda: len(tracker.arrived) == 997)
    assert [what[1] for _, what in tracker.arrived] == [[0], *([n] for n in range(4, 1000))]
    mirror.close()
    assert (mirror.missed, mirror.gone) == (3, False)


def test_while_a_store_is_left_alone_nothing_is_sent_and_each_later_failure_costs_one(pause):
    pause(0.4)
    tracker = Scripted(fails=lambda number: number < 5)
    mirror = mirror_of(tracker)
    send(mirror, 6)
    began = time.monotonic()
    until(lambda: tracker.arrived)
    assert time.monotonic() - began > 1.0  # after the third, the fourth and the fifth
    mirror.close()
    assert tracker.arrived[0] == ("epochs", ("t1", [5]))
    assert mirror.missed == 5


def test_a_store_that_is_left_alone_gets_one_more_try_at_the_end(pause):
    pause(600)
    tracker = Scripted(fails=lambda number: number < 3)
    mirror = mirror_of(tracker)
    send(mirror, 5)
    mirror.close()
    assert tracker.names == ["epochs", "epochs", "close"]
    assert (mirror.missed, mirror.gone) == (3, False)
    gone = mirror_of(Scripted(fails=lambda _: True))
    send(gone, 50)
    gone.close()
    assert (gone.missed, gone.gone) == (51, True)


def test_of_what_waits_too_much_is_missed(pause, monkeypatch):
    pause(600)
    monkeypatch.setattr(mirrors, "LIMIT", 10)
    tracker = Scripted(fails=lambda number: number < 3)
    mirror = mirror_of(tracker)
    send(mirror, 3)
    until(lambda: mirror.problem and tracker._calls == 3)
    time.sleep(0.05)  # it begins its pause
    send(mirror, 100)
    mirror.close()
    assert len(tracker.arrived) == 10
    assert mirror.missed == 94


def test_a_connection_that_failed_is_tried_again_and_costs_nothing(pause):
    pause(0.2)
    tries, tracker = iter((False, False, True)), Scripted()

    def connect() -> Tracker:
        if not next(tries):
            raise EnvironmentFault("out of reach", at="store", hint="")
        return cast("Tracker", tracker)

    mirror = Mirror(connect)
    send(mirror, 3)
    until(lambda: len(tracker.arrived) == 3)
    mirror.close()
    assert mirror.missed == 0
    assert mirror.problem.startswith("store: out of reach")


class Hung(Scripted):
    """A store that takes a call and never returns."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def begin(self, card: TrialCard) -> None:
        self.go.wait()


@pytest.mark.parametrize("within", [None, 0.3])
def test_a_store_that_never_answers_delays_the_end_for_a_moment_only(within, caplog):
    tracker = Hung()
    mirror = Mirror(lambda: cast("Tracker", tracker), silence=0.3 if within is None else 600)
    mirror.begin(card())
    send(mirror, 3)
    began = time.monotonic()
    mirror.close(within=within)
    assert 0.25 < time.monotonic() - began < 60  # a tenth of the other limit
    assert (mirror.missed, mirror.gone) == (5, True)
    assert "MLflow: it did not answer for 0 s" in caplog.text
    tracker.go.set()


def test_python_does_not_wait_for_a_store_that_never_answers():
    code = (
        "import time\n"
        "from swinablate.tracking.mirror import Mirror\n"
        "mirror = Mirror(lambda: time.sleep(600))\n"
        "mirror.sweep([])\n"
        "mirror.close(within=0.2)\n"
        "print(mirror.missed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


def test_a_store_that_is_slow_and_moves_is_waited_for():
    class Slow(Scripted):
        def epochs(self, trial: str, rows: Sequence[Mapping[str, Any]]) -> None:
            time.sleep(0.15)
            super().epochs(trial, rows)

    tracker = Slow()
    mirror = Mirror(lambda: cast("Tracker", tracker), silence=0.5)
    send(mirror, 8)  # more than a second in all
    mirror.close()
    assert (len(tracker.arrived), mirror.missed, mirror.gone) == (9, 0, False)


@pytest.mark.parametrize(("uri", "silence"), [("http://h:1", 5), ("sqlite:///a", 60)])
def test_a_server_is_waited_for_shorter_than_a_database(uri, silence, monkeypatch, tmp_path):
    found = []
    monkeypatch.setattr(mirrors, "Mirror", lambda connect, silence: found.append(silence))
    mirrors.mirror(uri, tmp_path, cast("StudyCard", None))
    assert found == [silence]


def test_three_failures_with_a_success_between_do_not_end_it():
    tracker = Scripted(fails=lambda number: number in {0, 1, 3, 4, 6})
    mirror = mirror_of(tracker)
    send(mirror, 9)
    mirror.close()
    assert [what for name, what in tracker.arrived if name == "epochs"] == [
        ("t1", [2]), ("t1", [5]), ("t1", [7]), ("t1", [8]),
    ]  # fmt: skip
    assert mirror.missed == 5


def test_the_first_reason_is_kept_and_logged_once(caplog):
    mirror = mirror_of(Scripted(fails=lambda number: number in {1, 3}))
    with caplog.at_level(logging.WARNING):
        send(mirror, 5)
        mirror.close()
    assert mirror.problem.startswith("store: call 1 failed")
    assert [record.getMessage() for record in caplog.records] == [f"MLflow: {mirror.problem}"]
    assert mirror.missed == 2


def test_a_connection_that_never_came_misses_every_call(caplog):
    def refuse() -> Tracker:
        raise EnvironmentFault("out of reach", at="store", hint="")

    mirror = Mirror(refuse)
    with caplog.at_level(logging.WARNING):
        mirror.begin(card())
        send(mirror, 4)
        mirror.close()
    assert mirror.missed == 6  # the closing too
    assert mirror.problem.startswith("store: out of reach")
    assert len(caplog.records) == 1


def test_nobody_waits_for_a_slow_connection():
    """Calls return while it connects, and arrive once it has."""
    opened, tracker = threading.Event(), Scripted()

    def connect() -> Tracker:
        assert opened.wait(PATIENCE_S)
        return cast("Tracker", tracker)

    mirror = Mirror(connect)
    send(mirror, 2)
    assert tracker.arrived == []
    opened.set()
    mirror.close()
    assert tracker.names == ["epochs", "epochs", "close"]
    assert mirror.missed == 0


def test_closing_without_waiting_drops_what_waits():
    """Neither they nor the closing of the tracker come later; what was dropped is missed."""
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    class Slow(Scripted):
        def begin(self, card: TrialCard) -> None:
            begun.set()
            assert go.wait(PATIENCE_S)
            super().begin(card)
            ended.set()

    tracker = Slow()
    mirror = mirror_of(tracker)
    mirror.begin(card())
    send(mirror, 3)
    assert begun.wait(PATIENCE_S)
    mirror.close(within=0)
    go.set()
    assert ended.wait(PATIENCE_S)
    for thread in threading.enumerate():
        if thread.name.startswith("mirror"):
            thread.join(PATIENCE_S)
    assert tracker.names == ["begin"]
    assert mirror.missed == 3


def test_a_tracker_that_cannot_be_closed_is_told(caplog):
    """The study has ended well, and MLflow still shows trials as running."""
    mirror = mirror_of(Scripted(fails=lambda number: number == 1))
    send(mirror, 1)
    with caplog.at_level(logging.WARNING):
        mirror.close()
    assert (mirror.missed, len(caplog.records)) == (1, 1)
    assert mirror.problem.startswith("store: call 1 failed")


def results() -> StudyResults:
    recipe = {"data": {"name": "digits"}}
    plan = PlanRecord(study="quick", question="?", arms=(ArmRecord(name="b", recipe=recipe),))
    return StudyResults(
        plan=plan, trials=pd.DataFrame(), curves=pd.DataFrame(), verdicts={"arms": []},
        provenance={},
    )  # fmt: skip


def test_a_study_whose_trials_others_trained_has_them_too(tmp_path, monkeypatch):
    tracker = Scripted()
    tracker.lacking = {"t1"}
    monkeypatch.setattr("swinablate.tracking.tracker.Tracker.open", lambda *_: tracker)
    answer = results()
    arm = answer.plan.arms[0].model_copy(update={"seeds": (0, 1), "trials": ("t1", "t2")})
    plan = answer.plan.model_copy(update={"arms": (arm,)})
    rows = [
        (Row(arm=arm, seed=seed, trial=trial), outcome(trial))
        for seed, trial in enumerate(arm.trials)
    ]
    publish("sqlite:///x.db", Home(tmp_path), replace(answer, plan=plan), tmp_path, lambda: rows)
    assert tracker.arrived[:3] == [
        ("begin", "t1"), ("epochs", ("t1", [1, 2])), ("end", ("t1", "done", 9))
    ]  # fmt: skip
    assert tracker.names[3:] == ["summaries", "attach", "close"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_report_is_published_and_the_tracker_closed(tmp_path, monkeypatch, fails):
    opened: list[tuple[str, Path, StudyCard]] = []
    tracker = Scripted(fails=lambda number: fails and number == 1)

    def connect(uri: str, artifacts: Path, study: StudyCard) -> Scripted:
        opened.append((uri, artifacts, study))
        return tracker

    monkeypatch.setattr("swinablate.tracking.tracker.Tracker.open", connect)
    home, answer = Home(tmp_path), results()
    keep_launch(home, answer.plan, Launch(study="my/quick.toml"))
    if fails:
        with pytest.raises(EnvironmentFault, match="call 1 failed"):
            publish("sqlite:///x.db", home, answer, tmp_path / "report", tuple)
        assert tracker.names == ["summaries", "close"]
    else:
        publish("sqlite:///x.db", home, answer, tmp_path / "report", tuple)
        assert tracker.arrived == [
            ("summaries", {"arms": []}),
            ("attach", tmp_path / "report"),
            ("close", None),
        ]
    ((uri, artifacts, study),) = opened
    assert (uri, artifacts) == ("sqlite:///x.db", home.artifacts)
    assert (study.name, study.dataset) == ("quick", "digits")
    assert study.launch == Launch(study="my/quick.toml")
