"""A trial costs the coordinator the same in a study of a thousand trials, at its start and end."""

import sys

import pytest

from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY
from tests.execution.scripted import Stage, done

TRIALS, WINDOW = 1000, 30
"""Trials of the study, and how many of them, at its start and at its end, are looked at."""
SAME = 1.02
"""Calls at the end over calls at the start: a loop over what waits, or over what has ended, would
make it 10 and more; a file of a longer name, or a number of one more digit, makes no call."""


@pytest.fixture
def counted(tmp_path, datasets):
    """A study that counts every call of a function, Python's or C's, in two windows of it."""
    (tmp_path / "base.toml").write_text(RECIPE)
    seeds = f"seeds = {TRIALS // 2}\nbaseline_seeds = {TRIALS // 2}"
    (tmp_path / "study.toml").write_text(STUDY.replace("seeds = 3\nbaseline_seeds = 3", seeds))
    on = Stage(tmp_path / "home", datasets, plan(load_study(tmp_path / "study.toml")))
    calls, begun = {}, 0

    def count(_frame, happened, _what):
        if "call" in happened:
            calls[window] += 1

    window = ""

    def script(job):
        nonlocal begun, window
        begun += 1
        starts = {WINDOW: "start", TRIALS - 2 * WINDOW: "end"}
        if begun in starts:
            window = starts[begun]
            calls[window] = 0
            sys.setprofile(count)
        elif begun - WINDOW in starts:
            sys.setprofile(None)
        return [done(job)]

    yield on, script, calls
    sys.setprofile(None)


def test_what_a_trial_costs_does_not_grow_with_those_that_wait_or_have_ended(counted):
    on, script, calls = counted
    summary = on.run(script, slots=1)
    assert summary.counts == {"done": TRIALS}
    assert calls["start"] > 100 * WINDOW  # it was counted
    assert calls["end"] <= SAME * calls["start"]
    assert calls["start"] <= SAME * calls["end"]


def test_a_study_starts_its_first_trial_without_looking_at_those_that_wait(counted, monkeypatch):
    """Beyond the plan itself, of which every trial is read once."""
    on, _, _ = counted
    looked = []
    for name in ("outcome", "attempts", "begin", "finish"):
        real = getattr(on.home, name)
        monkeypatch.setattr(on.home, name, lambda *a, r=real, n=name: (looked.append(n), r(*a))[1])
    before = []

    def script(job):
        before.extend(looked)
        looked.clear()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on.run(script, slots=1)
    assert sorted(set(before)) == ["attempts", "begin", "outcome"]
    assert len(before) < 10
