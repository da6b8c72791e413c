"""What a trial costs the coordinator, in short studies and in long ones, without its training.

Every trial ends as soon as it is given to a slot; Optuna's store and the records are real. MLflow
is told by a thread of its own, which is timed apart.
"""

import itertools
import tempfile
from pathlib import Path
from typing import Any

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
from benchmarks.peers.studies import program, told

SHORT, MIDDLE, LONG = 100, 1_000, 10_000
"""Trials of the studies."""
ENDED = 100
"""Of each, so many end: the others wait."""
FLAT = 0.9
"""What the longest study costs a trial at most: a tenth more than the shortest."""
MOST_MS, MOST_MLFLOW_MS = 15, 60


def run(settings: Settings) -> Result:
    """Run studies of all lengths in turn."""
    lengths = (20, 40) if settings.tiny else (SHORT, MIDDLE, LONG)
    seen: dict[int, list[dict[str, Any]]] = {length: [] for length in lengths}
    with tempfile.TemporaryDirectory() as name:
        sides = [_study(Path(name), length, min(lengths[0], ENDED), seen) for length in lengths]
        setting = f"{min(lengths[0], ENDED)} trials end, two slots"
        times = interleave(setting, "trial", sides, settings.rounds, attempts=1)
    pairs = [Pair(a=side.name, b=sides[0].name, least=FLAT) for side in sides[1:]]
    return Result(findings=answer(times, pairs), notes=_notes(seen))


def _study(folder: Path, trials: int, ended: int, seen: dict[int, list[dict[str, Any]]]) -> Side:
    count = itertools.count()

    def ready() -> Round:
        def once() -> Spent:
            where = folder / f"{trials}-{next(count)}"
            found = told(program("queue", str(where), str(trials), str(ended)))
            seen[trials].append(found)
            return Spent(units=found["units"], wall_s=found["wall_s"], cpu_s=found["cpu_s"])

        return once

    return Side(f"a study of {trials:,}", ready)


def _notes(seen: dict[int, list[dict[str, Any]]]) -> list[str]:
    notes = []
    for trials, found in seen.items():
        each = sorted(1e3 * one["cpu_s"] / one["units"] for one in found)
        start = min(one["start_s"] for one in found)
        notes.append(
            f"of {trials:,} trials: {each[len(each) // 2]:.1f} ms [{each[0]:.1f}, {each[-1]:.1f}] "
            f"of processor time a trial (target {MOST_MS}), {start:.2f} s from the plan to the "
            "first trial"
        )
    few, many = min(seen), max(seen)
    starts = [min(one["start_s"] for one in seen[trials]) for trials in (few, many)]
    more = 1e6 * (starts[1] - starts[0]) / (many - few)
    notes.append(f"every trial that waits adds {more:.0f} microseconds before the first one")
    mlflow = sorted(1e3 * one["mlflow_s"] for one in seen[few])
    notes.append(
        f"MLflow's thread: {mlflow[len(mlflow) // 2]:.0f} ms [{mlflow[0]:.0f}, {mlflow[-1]:.0f}] "
        f"a trial of six epochs (target {MOST_MLFLOW_MS})"
    )
    return notes


BENCHMARK = Benchmark("the coordinator's own time a trial, however many wait", run)
