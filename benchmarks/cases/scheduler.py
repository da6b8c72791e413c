"""What a study costs besides training: warm workers against a process a trial, and threads.

In the first comparison trials are so short that all they take counts as outside training,
evaluation and records included. Ours: everything after the first trial has started. Peers have
their stores created before; a process a trial is counted whole.

In the second one trials take some seconds, and the peer is the trials themselves: the same
training, evaluation and checkpoints as function calls in one process. What a study takes longer
is spent outside of its trials.
"""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import (
    Benchmark,
    Pair,
    Result,
    Round,
    Settings,
    Side,
    Spent,
    answer,
    interleave,
)
from benchmarks.peers.studies import OurStudies, program, together, told

SLOTS = 2
STEPS, BATCH = 2, 16
LONG_S, MOST = 5.0, 0.05
"""A study of trials of about so many seconds spends at most that share outside of them."""
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
REAL = {"patch": 4, "width": 48, "depths": "[2, 2, 2]", "heads": "[4, 8, 16]", "limit": 1024}
REAL_BATCH = 32
FEW = 2
"""Seeds of a study that is not timed; of one there is no study."""


def run(settings: Settings) -> Result:
    """Measure both comparisons."""
    short, long = _short(settings), _long(settings)
    return Result(
        findings=[*short.findings, *long.findings],
        gaps=[*short.gaps, *long.gaps],
        notes=[*short.notes, *long.notes],
    )


def _short(settings: Settings) -> Result:
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
    notes = [f"a process a trial: {processes} processes a round, {SLOTS} at a time"]
    gaps = ["Ray Tune: it is not among the dependencies"]
    return Result(findings=findings, gaps=gaps, notes=notes)


def _long(settings: Settings) -> Result:
    """Time studies, and some of their trials as function calls, in turn."""
    seeds = max(FEW, settings.trials // 2)
    with tempfile.TemporaryDirectory() as name:
        steps = 4 if settings.tiny else _steps(Path(name) / "pilot")
        studies = _long_studies(Path(name) / "ours", steps, smoke=settings.tiny)

        def ours() -> Round:
            studies.run(FEW)  # stores, images
            return lambda: studies.after_the_start(seeds)

        sides = [Side("ours", ours), Side("the trials alone", lambda: lambda: studies.alone(FEW))]
        setting = f"study of {2 * seeds} trials of {steps} steps"
        times = interleave(setting, "trial", sides, settings.rounds, attempts=1)
    findings = answer(times, [Pair(a="ours", b="the trials alone", least=1 - MOST)])
    found = findings[0]
    note = (
        f"a trial of {steps} steps alone takes {found.seconds['the trials alone']['wall']:.2f} s; "
        f"in wall time a study of {SLOTS} slots is {found.beside.median:.2f} times as fast"
    )
    return Result(findings=findings, notes=[note] if found.control.clean else [])


def _steps(folder: Path) -> int:
    """How many steps take `LONG_S` here."""
    pilot = 28
    studies = _long_studies(folder, pilot, smoke=False)
    studies.run(FEW)
    return max(1, round(pilot * LONG_S / studies.alone(FEW).per_unit("wall")))


def _long_studies(folder: Path, steps: int, *, smoke: bool) -> OurStudies:
    recipe = RECIPE.format(**REAL, steps=steps, batch=REAL_BATCH)
    return OurStudies(folder, recipe, ARMS, SLOTS, smoke=smoke)


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


BENCHMARK = Benchmark("a study's time outside training against a process a trial", run)
