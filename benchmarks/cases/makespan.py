"""A whole study, from the first command to the last record: ours against a plain loop.

The study of the target is 12 arms by 5 seeds: `--trials 60`. Fewer trials are fewer seeds, and
the start of processes, which is paid once, weighs more. Both are commands, their imports
included. Ours chooses its number format (`auto`), runs two trials at a time, and keeps records
in Optuna and MLflow; the loop keeps none.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

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
from benchmarks.peers.studies import OurStudies, program, together

SLOTS, STEPS, BATCH = 2, 120, 32
BASE: dict[str, Any] = {"width": 48, "depths": [2, 2, 2], "heads": [4, 8, 16], "lr": 3e-4}
SMALL: dict[str, Any] = {"width": 8, "depths": [2], "heads": [2], "lr": 3e-4}
CHANGES: tuple[dict[str, Any], ...] = (
    {"lr": 1e-4},
    {"lr": 1e-3},
    {"lr": 3e-3},
    {"width": 32},
    {"width": 64},
    {"depths": [4, 2, 2]},
    {"depths": [2, 4, 2]},
    {"depths": [2, 2, 4]},
    {"heads": [1, 2, 4]},
    {"heads": [2, 4, 8]},
    {"heads": [3, 6, 12]},
)
RECIPE = """\
[model]
family = "swin"
patch = 4
width = {width}
depths = {depths}
heads = {heads}
window = 2
[data]
name = "noise"
image = {{ height = 32, width = 32, channels = 3, classes = 10 }}
[train]
steps = {steps}
batch = {batch}
optimizer = "adam"
lr = {lr}
weight_decay = 0.0
schedule = "constant"
warmup = 0.0
clip = 0.0
precision = "auto"
matmul = "auto"
"""


def run(settings: Settings) -> Result:
    """Run both, whole, in turn."""
    base, steps = (SMALL, 2) if settings.tiny else (BASE, STEPS)
    changes = CHANGES[:1] if settings.tiny else CHANGES
    seeds = 2 if settings.tiny else max(2, settings.trials // 12)  # of one there is no study
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sides = [
            _ours(folder / "ours", base, changes, steps, seeds),
            _loop(folder / "loop", base, changes, steps, seeds),
        ]
        setting = f"{1 + len(changes)} arms, {seeds} seeds, {steps} steps"
        times = interleave(setting, "trial", sides, settings.rounds, attempts=1)
    findings = answer(times, [Pair(a="ours", b="a plain loop", least=3.0, clock="wall")])
    note = "every round starts anew: processes, stores, images, and what `auto` becomes"
    return Result(findings=findings, notes=[note], gaps=["Optuna n_jobs=2, Ray Tune: not built"])


def _ours(
    folder: Path, base: dict[str, Any], changes: tuple[dict[str, Any], ...], steps: int, seeds: int
) -> Side:
    recipe = RECIPE.format(**base, steps=steps, batch=BATCH)
    arms = "".join(_arm(i, change) for i, change in enumerate(changes))

    def ready() -> Round:
        studies = OurStudies(folder, recipe, arms, SLOTS)

        def once() -> Spent:
            spent = together([studies.command(seeds)], 1)
            trials = seeds * (1 + len(changes))
            return Spent(units=trials, wall_s=spent.wall_s, cpu_s=spent.cpu_s)

        return once

    return Side("ours", ready)


def _arm(number: int, change: dict[str, Any]) -> str:
    ((key, level),) = change.items()
    table = "train" if key == "lr" else "model"
    return f'[[arms]]\nname = "arm {number}"\nchanges = {{ "{table}.{key}" = {level} }}\n'


def _loop(
    folder: Path, base: dict[str, Any], changes: tuple[dict[str, Any], ...], steps: int, seeds: int
) -> Side:
    def ready() -> Round:
        folder.mkdir(parents=True)
        chance = np.random.Generator(np.random.PCG64(0))
        train, test = 922, 256  # what is left of the noise after its validation part
        np.savez(
            folder / "images.npz",
            x=chance.integers(0, 256, (train, 32, 32, 3), dtype=np.uint8),
            y=np.arange(train) % 10,
            x_test=chance.integers(0, 256, (test, 32, 32, 3), dtype=np.uint8),
            y_test=np.arange(test) % 10,
        )
        runs = [
            {**base, **change, "steps": steps, "batch": BATCH, "seed": seed}
            for seed in range(seeds)
            for change in ({}, *changes)
        ]
        (folder / "runs.json").write_text(json.dumps(runs), "utf-8")
        command = program("plain_loop", str(folder))

        def once() -> Spent:
            spent = together([command], 1)
            return Spent(units=len(runs), wall_s=spent.wall_s, cpu_s=spent.cpu_s)

        return once

    return Side("a plain loop", ready)


BENCHMARK = Benchmark("a whole study against a plain loop over post 000's code", run)
