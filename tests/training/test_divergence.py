"""Divergence: named by its step, however late it is seen, and seen soon."""

import math

import pytest
import torch

from swinablate.errors import Diverged
from swinablate.training import fit as fitting
from swinablate.training.divergence import LOOK_S, Losses
from swinablate.training.fit import Stopped, fit
from swinablate.training.fused import fit as fusing
from swinablate.training.fused.fit import fit_fused, prepare
from tests.training.test_fit import make_job, run
from tests.training.test_fused import make_jobs

CPU, NAN = torch.device("cpu"), float("nan")


class Rarely(Losses):
    """Losses that say themselves that nobody need look, as on a GPU within two seconds."""

    def add(self, loss):
        super().add(loss)
        return False


def poisoned(step, at: int, value: float = NAN):
    """A training step whose loss is no number from the `at`-th on."""
    calls = 0

    def poison(*arguments):
        nonlocal calls
        calls += 1
        loss = step(*arguments)
        return loss * value if calls >= at else loss

    poison.calls = lambda: calls
    return poison


@pytest.fixture
def learner(monkeypatch):
    """Poisons the learner's step; returns how often it was called."""

    def poison(at: int, value: float = NAN):
        make = fitting.make_learner
        made = {}

        def poisoning(*arguments):
            found = made["learner"] = make(*arguments)
            step = made["step"] = poisoned(found.step, at, value)
            object.__setattr__(found, "step", step)
            return found

        monkeypatch.setattr(fitting, "make_learner", poisoning)

        def steps() -> int:
            return made["step"].calls()

        return steps

    return poison


@pytest.mark.parametrize("value", [NAN, math.inf])
def test_a_run_ends_at_the_step_that_diverges(datasets, tmp_path, learner, value):
    """F8: 6 steps an epoch; the second epoch's third step is the 9th."""
    steps = learner(9, value)
    job = make_job(datasets, tmp_path, epochs=3)
    with pytest.raises(Diverged) as error:
        run(job)
    assert str(error.value) == f"the loss of step 3 in epoch 2 is {value}"
    assert steps() == 9


@pytest.mark.parametrize("at", [1, 3, 6])
def test_the_step_is_exact_where_an_epochs_end_is_the_first_look(
    datasets, tmp_path, learner, monkeypatch, at
):
    monkeypatch.setattr(fitting, "Losses", Rarely)
    steps = learner(at)
    with pytest.raises(Diverged, match=f"the loss of step {at} in epoch 1 is nan"):
        run(make_job(datasets, tmp_path, epochs=3))
    assert steps() == 6


def test_no_checkpoint_is_written_of_a_run_that_diverged_before_it_was_stopped(
    datasets, tmp_path, learner, monkeypatch
):
    monkeypatch.setattr(fitting, "Losses", Rarely)
    learner(3)
    job, asked = make_job(datasets, tmp_path, epochs=3), iter(range(100))
    with pytest.raises(Diverged, match="step 3 in epoch 1"):
        fit(job, lambda kind, data: None, lambda: next(asked) >= 5)
    assert not list(tmp_path.rglob("checkpoint-*"))


def test_looks_are_two_seconds_apart_on_a_gpu_and_a_step_on_a_cpu():
    now = 0.0
    losses = Losses(torch.device("cuda"), lambda: now)
    looked = []
    for step in range(1, 9):
        now += LOOK_S / 4
        if losses.add(torch.tensor(1.0)):
            looked.append(step)
            assert losses.look(epoch=0, step=step) == [None]
    assert looked == [4, 8]
    assert losses.look(epoch=0, step=8) == []  # nothing new
    assert Losses(CPU, lambda: now).add(torch.tensor(1.0))


def test_the_first_bad_step_is_named_not_the_last():
    losses = Losses(CPU)
    for loss in (1.0, math.inf, NAN):
        losses.add(torch.tensor(loss))
    assert losses.look(epoch=4, step=10) == ["the loss of step 9 in epoch 5 is inf"]


@pytest.mark.parametrize("kept", [Losses, Rarely])
def test_one_of_several_diverges_at_its_step_and_the_others_go_on(
    datasets, tmp_path, monkeypatch, kept
):
    monkeypatch.setattr(fusing, "Losses", kept)
    jobs = make_jobs(datasets, tmp_path)
    runs, calls = prepare(jobs), 0
    learn = runs.stack.learn

    def poison(*arguments):
        nonlocal calls
        calls += 1
        out = learn(*arguments)
        factor = torch.ones(len(jobs), *[1] * (out.dim() - 1))
        factor[1] = NAN if calls >= 10 else 1.0
        return out * factor

    monkeypatch.setattr(runs.stack, "learn", poison)
    found = fit_fused(runs, lambda *_: None, lambda: False)
    assert found["t1"] == "the loss of step 4 in epoch 2 is nan"
    assert all(isinstance(found[name], dict) for name in ("t0", "t2"))
    assert calls == 12  # of both epochs


def test_where_all_diverge_nothing_is_trained_on(datasets, tmp_path, monkeypatch):
    runs, calls = prepare(make_jobs(datasets, tmp_path)), 0
    learn = runs.stack.learn

    def poison(*arguments):
        nonlocal calls
        calls += 1
        return learn(*arguments) * (NAN if calls >= 3 else 1.0)

    monkeypatch.setattr(runs.stack, "learn", poison)
    found = fit_fused(runs, lambda *_: None, lambda: False)
    assert set(found.values()) == {"the loss of step 3 in epoch 1 is nan"}
    assert calls == 3


def test_a_stop_keeps_no_checkpoint_of_the_one_that_diverged(datasets, tmp_path, monkeypatch):
    monkeypatch.setattr(fusing, "Losses", Rarely)
    runs, asked = prepare(make_jobs(datasets, tmp_path)), iter(range(100))
    learn = runs.stack.learn

    def poison(*arguments):
        out = learn(*arguments)
        factor = torch.ones(3, *[1] * (out.dim() - 1))
        factor[1] = NAN
        return out * factor

    monkeypatch.setattr(runs.stack, "learn", poison)
    with pytest.raises(Stopped):
        fit_fused(runs, lambda *_: None, lambda: next(asked) >= 5)
    assert {p.parent.name for p in tmp_path.rglob("checkpoint-*")} == {"0", "2"}


@pytest.mark.parametrize("kind", ["final", "tune"])
def test_a_last_step_that_ruins_the_network_is_no_result(datasets, tmp_path, kind):
    """No loss shows it: that of a step is of the weights before it."""
    job = make_job(datasets, tmp_path, kind=kind, steps=1, lr=1e30)
    with pytest.raises(Diverged, match=r"^the trained network answers 96 of 96 images with nan$"):
        run(job)


def test_one_that_its_last_step_ruins_leaves_the_others_theirs(datasets, tmp_path):
    rates, rows = ({}, {"lr": 1e30}, {}), []
    jobs = make_jobs(datasets, tmp_path, variants=rates, steps=1, clip=0.0)
    runs = prepare(jobs)

    def report(job, kind, data):
        if kind == "epoch":
            rows.append((job.trial, data))

    found = fit_fused(runs, report, lambda: False)
    assert found["t1"] == "the trained network answers 96 of 96 images with nan"
    assert dict(rows)["t1"]["val/accuracy"] == 0  # and not what the first class has
    assert found["t0"]["metrics"]["test/accuracy"] == found["t2"]["metrics"]["test/accuracy"]
