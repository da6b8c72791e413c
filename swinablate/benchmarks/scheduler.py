"""What a study costs besides training: warm workers against a process a trial, and threads.

Trials are so short that all they take counts as outside training, evaluation and records
included. Ours: everything after the first trial has started, the start of the second worker
included, and what torch imports in each worker with the first optimizer. Both are paid once, so
their share of a trial falls with the number of trials. Peers have their stores created before; a
process a trial is counted whole.
"""

import tempfile
from pathlib import Path

import numpy as np

from swinablate.harness import (
    Benchmark,
    Finding,
    Pair,
    Result,
    Round,
    Settings,
    Side,
    Spent,
    answer,
    interleave,
)
from swinablate.peers.studies import OurStudies, program, together, told

SLOTS = 2
STEPS, BATCH = 2, 16
LONG_S, MOST = 5.0, 0.05
"""A study of trials of so many seconds spends at most that share outside training."""
ARMS = '[axes]\n"model.shift" = [false]\n'
RECIPE = """\
[model]
family = "swin"
patch = {patch}
width = {width}
depths = {depths}
heads = {heads}
window = 2
[data]
name = "noise"
image = {{ height = 32, width = 32, channels = 3, classes = 10 }}
limit = {limit}
[train]
steps = {steps}
batch = {batch}
"""
SMALL = {"patch": 4, "width": 8, "depths": "[2]", "heads": "[2]", "limit": 64}


def run(settings: Settings) -> Result:
    """Time studies, and batches of processes, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = max(1, settings.trials // 2)
        processes = 1 if settings.tiny else 2
        sides = [
            _ours(folder / "ours", seeds),
            _processes(folder / "process", processes),
            _threads(folder / "threads", 2 * seeds),
        ]
        times = interleave(
            f"study of {2 * seeds} trials", "trial", sides, settings.rounds, attempts=1
        )
        findings = answer(
            times,
            [
                Pair(a="ours", b="a process a trial", least=20.0),
                Pair(a="ours", b="Optuna n_jobs=2"),
            ],
        )
        notes = [
            *_derived(findings),
            f"a process a trial: {processes} processes a round, {SLOTS} at a time",
        ]
    gaps = ["Ray Tune: it is not among the dependencies"]
    return Result(findings=findings, gaps=gaps, notes=notes)


def _ours(folder: Path, seeds: int) -> Side:
    def ready() -> Round:
        recipe = RECIPE.format(**SMALL, steps=STEPS, batch=BATCH)
        studies = OurStudies(folder, recipe, ARMS, SLOTS)
        studies.run(1)  # stores, images
        return lambda: studies.after_the_start(seeds)

    return Side("ours", ready)


def _processes(folder: Path, count: int) -> Side:
    def ready() -> Round:
        command = _prepare("trial", folder, STEPS, BATCH)
        return lambda: together([command] * count, SLOTS)

    return Side("a process a trial", ready)


def _threads(folder: Path, trials: int) -> Side:
    def ready() -> Round:
        _prepare("trial", folder, STEPS, BATCH)
        words = (str(folder), *map(str, (trials, SLOTS, STEPS, BATCH)))
        command = program("threads", *words)

        def once() -> Spent:
            return Spent(units=trials, **told(command))

        return once

    return Side("Optuna n_jobs=2", ready)


def _prepare(name: str, folder: Path, *words: int) -> list[str]:
    """Images and stores of a program, and its command; it runs once alone."""
    folder.mkdir(parents=True)
    chance = np.random.Generator(np.random.PCG64(0))
    pixels = chance.integers(0, 256, (64, 3, 32, 32), dtype=np.uint8)
    np.savez(folder / "images.npz", x=pixels, y=np.arange(64) % 10)
    command = program(name, str(folder), *map(str, words))
    together([command], 1)
    return command


def _derived(findings: list[Finding]) -> list[str]:
    """What the seconds a trial would be of trials of five seconds."""
    ours = findings[0]
    if not ours.control.clean:
        return []
    spent = ours.seconds["ours"]["cpu"]
    share = spent / (LONG_S + spent)
    verdict = "reached" if share <= MOST else "missed"
    return [
        (
            f"ours: {spent:.2f} s of processor time a trial outside training; computed from it, "
            f"{100 * share:.1f} % of the time at trials of {LONG_S:g} s (target <= "
            f"{100 * MOST:g} %: {verdict})"
        )
    ]


BENCHMARK = Benchmark("a study's time outside training against a process a trial", run)
