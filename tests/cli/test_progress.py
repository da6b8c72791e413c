"""What a running study shows: plain lines on a pipe, bars on a terminal, and the time left."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from swinablate.cli.progress import Watch
from swinablate.cli.terminal import Terminal
from swinablate.records.events import Event, Kind
from swinablate.records.outcome import Outcome
from swinablate.study.files import load_study
from swinablate.study.plan import Plan, Trial
from swinablate.study.planner import plan
from tests.conftest import STUDY

LOOKS = STUDY.replace("seeds = 3\nbaseline_seeds = 3", "[adaptive]\nlooks = [3, 5]")
TUNE = f"""{STUDY}
[tune]
trials = 2
space = {{ "train.lr" = [0.001, 0.003] }}
"""


class Screen:
    """A console's stream, and a clock that a test sets."""

    def __init__(self, *, terminal: bool) -> None:
        self.stream, self.now = io.StringIO(), 0.0
        console = Console(file=self.stream, force_terminal=terminal, width=120)
        self.watch = Watch(console, lambda: self.now)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def ended(self) -> str:
        """What the display shows when it stops, without what it showed before."""
        self.stream.seek(0)
        self.stream.truncate()
        self.watch.__exit__(None, None, None)
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.stream.getvalue())


def told(trial: Trial, kind: Kind, **data: Any) -> tuple[Trial, Event]:
    return trial, Event(trial=trial.id, attempt=1, kind=kind, at=0, data=data)


def row(epoch: int, accuracy: float) -> dict[str, float]:
    return {"epoch": epoch, "val/accuracy": accuracy}


def recorded(*trials: Trial) -> dict[str, Outcome]:
    return {
        trial.id: Outcome(
            trial=trial.id, seed=trial.seed, kind="final", recipe={}, image={}, status="done",
            attempt=1,
        )
        for trial in trials
    }  # fmt: skip


@pytest.fixture
def made(write: Callable[..., Path]) -> Plan:
    """Two arms, three seeds each."""
    return plan(load_study(write()))


@pytest.fixture
def pipe() -> Screen:
    return Screen(terminal=False)


def test_a_pipe_gets_a_line_for_every_trial_with_the_time_left(made, pipe):
    """Of six trials one was recorded before; the first took 30 s, the second 60 s more."""
    first, second, third = made.trials[1:4]
    with pipe.watch as watch:
        watch.begin(made, recorded(made.trials[0]), 2)
        watch.expect(1, 6, 6)
        watch.happened(*told(first, "started"))
        watch.happened(*told(first, "epoch", **row(1, 80.0)))
        watch.happened(*told(first, "epoch", **row(2, 91.26)))
        pipe.now = 30
        watch.happened(*told(first, "done"))
        watch.happened(*told(second, "started"))
        watch.happened(*told(second, "resumed", curve=[row(1, 70.0), row(2, 75.0)]))
        pipe.now = 90
        watch.happened(*told(second, "done"))
        watch.happened(*told(third, "started"))
        watch.happened(*told(third, "resumed", curve=[]))
        watch.happened(*told(third, "failed", message="out of memory"))
    assert pipe.lines == [
        "study: 2 arms, 6 trials, 1 recorded before, 2 at a time",
        "[2/6] shift=false s0: val 91.3 %, about 2 min 00 s left",  # 4 left at 30 s
        "[3/6] baseline s1: val 75.0 %, about 2 min 15 s left",  # 3 left at 45 s
        "shift=false s1: failed: out of memory",
    ]


def test_a_trial_that_stopped_or_was_lost_is_neither_done_nor_told(made, pipe):
    first, second = made.trials[:2]
    with pipe.watch as watch:
        watch.begin(made, {}, 0)
        watch.happened(*told(first, "started"))
        watch.happened(*told(first, "epoch", **row(1, 80.0)))
        watch.happened(*told(first, "stopped"))
        watch.happened(*told(second, "lost"))
        pipe.now = 20
        watch.happened(*told(first, "started"))
        watch.happened(*told(first, "epoch", **row(2, 81.0)))
        watch.happened(*told(first, "done"))
    assert pipe.lines == [
        "study: 2 arms, 6 trials",
        "[1/6] baseline s0: val 81.0 %, about 1 min 40 s left",
    ]


def test_a_trial_that_found_the_disk_full_has_not_failed(made, pipe):
    first = made.trials[0]
    with pipe.watch as watch:
        watch.begin(made, {}, 0)
        watch.happened(*told(first, "started"))
        trial, event = told(first, "failed", message="no space left")
        watch.happened(trial, replace(event, data={**event.data, "kind": "disk"}))
    assert pipe.lines == ["study: 2 arms, 6 trials"]


def test_a_study_with_looks_says_what_the_next_look_needs_and_when_it_may_end(write, pipe):
    """Time left to the look, and to the last look at most."""
    made = plan(load_study(write(LOOKS)))
    first, second = made.trials[:2]
    with pipe.watch as watch:
        watch.begin(made, {}, 1)
        watch.expect(0, 9, 15)
        pipe.now = 10
        watch.happened(*told(first, "started"))
        watch.happened(*told(first, "epoch", **row(1, 80.0)))
        watch.happened(*told(first, "done"))
        watch.expect(9, 15, 15)
        watch.happened(*told(second, "started"))
        watch.happened(*told(second, "epoch", **row(1, 60.0)))
        pipe.now = 20
        watch.happened(*told(second, "done"))
    assert pipe.lines == [
        "study: 2 arms, at most 15 trials, 1 at a time",
        "[1/9] baseline s0: val 80.0 %, 1 min 20 s to at most 2 min 20 s left",
        "the next look: 6 more trials",
        "[10/15] shift=false s0: val 60.0 %, about 50 s left",
    ]


def test_a_tuned_study_has_at_most_so_many_trials_and_no_look(write, pipe):
    made = plan(load_study(write(TUNE)))
    with pipe.watch as watch:
        watch.begin(made, {}, 1)
        watch.expect(0, 10, 16)
        watch.expect(10, 13, 16)
    assert pipe.lines == [f"study: 2 arms, at most {made.most} trials, 1 at a time"]


def test_a_terminal_shows_a_bar_for_the_study_and_one_for_every_running_trial(made):
    screen = Screen(terminal=True)
    first, second, third, fourth = made.trials[:4]
    watch = screen.watch.__enter__()
    watch.begin(made, {}, 2)
    watch.expect(0, 6, 9)
    for trial in (first, second, third, fourth):
        watch.happened(*told(trial, "started"))
    watch.happened(*told(first, "epoch", **row(1, 88.8)))
    watch.happened(*told(second, "epoch", **row(2, 77.7)))
    watch.happened(*told(second, "done"))
    watch.happened(*told(third, "diverged", message="nan at step 7"))
    watch.happened(*told(fourth, "stopped"))
    said = screen.stream.getvalue()
    assert "baseline s1: diverged: nan at step 7" in said
    assert "[1/6]" not in said  # the bars say it
    bars = [line.split() for line in screen.ended().splitlines() if "/" in line]
    shown = [[word for word in bar if not re.fullmatch(r"[━╸╺]+", word)] for bar in bars]
    assert [bar[:5] for bar in shown] == [
        ["trials", "2/6", "at", "most", "9"],
        ["baseline", "s0", "1/2", "val", "88.8"],
    ]


def test_the_name_of_an_arm_is_neither_markup_nor_obeyed(made):
    stream = io.StringIO()
    console = Terminal(file=stream, force_terminal=True, width=120, emoji=False)
    trial = replace(made.trials[0], arm="[/x] :smile: \x1b[2J")
    with Watch(console) as watch:
        watch.begin(made, {}, 1)
        watch.happened(*told(trial, "started"))
        watch.happened(*told(trial, "failed", message="\x1b]0;mine\x07"))
        shown = stream.getvalue()
    assert "[/x] :smile: \\x1b[2J s0" in shown
    assert "\\x1b]0;mine\\x07" in shown
    assert not re.search(r"\x1b\[2J|\x1b\]|\x07", shown)
