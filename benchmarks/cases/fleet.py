"""What a coordinator spends on many workers, and on paper how many it can serve.

Workers are played by one process over real pipes; their trials end at once, so that the
coordinator alone says how many end in a second. Optuna's store and the records are real. What a
thousand workers with trials of a minute would ask of it is computed from the time of one trial.
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

FEW, MANY = 10, 1_000
"""Workers of the studies."""
TRIALS, ENDED = 10_000, 150
"""Of a study, and how many of them end."""
TRIAL_S, WHOLE = 60.0, 100_000
"""What is computed is for trials of so many seconds, and a study of so many of them."""


def run(settings: Settings) -> Result:
    """Run studies on few and on many workers in turn."""
    sizes = (2, 4) if settings.tiny else (FEW, MANY)
    trials, ended = (100, 30) if settings.tiny else (TRIALS, ENDED)
    seen: dict[int, list[dict[str, Any]]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory() as name:
        sides = [_study(Path(name), size, (trials, ended), seen[size]) for size in sizes]
        times = interleave("trials that end at once", "trial", sides, settings.rounds, attempts=1)
        mlflow = _once(Path(name) / "mlflow", sizes[0], (trials, ended), "mlflow")
    pairs = [Pair(a=side.name, b=sides[0].name) for side in sides[1:]]
    return Result(findings=answer(times, pairs), notes=_notes(seen, mlflow["mlflow_s"]))


def _study(folder: Path, workers: int, sizes: tuple[int, int], seen: list[dict[str, Any]]) -> Side:
    count = itertools.count()

    def ready() -> Round:
        def once() -> Spent:
            found = _once(folder / f"{workers}-{next(count)}", workers, sizes, "alone")
            seen.append(found)
            return Spent(units=found["units"], wall_s=found["wall_s"], cpu_s=found["cpu_s"])

        return once

    return Side(f"{workers:,} workers", ready)


def _once(folder: Path, workers: int, sizes: tuple[int, int], copy: str) -> dict[str, Any]:
    words = (str(folder), str(workers), *map(str, sizes), "0", "sqlite", copy)
    return told(program("fleet", *words))


def _notes(seen: dict[int, list[dict[str, Any]]], mlflow_s: float) -> list[str]:
    notes = []
    for workers, found in seen.items():
        each = sorted(1e3 * one["cpu_s"] / one["units"] for one in found)
        middle = each[len(each) // 2]
        notes.append(
            f"{workers:,} workers: {middle:.1f} ms [{each[0]:.1f}, {each[-1]:.1f}] of the "
            f"coordinator's thread a trial, {found[0]['memory_mib']:.0f} MiB, "
            f"{found[0]['open']:.1f} open files a worker"
        )
    many = max(seen)
    one = seen[many][0]
    trial_s = sorted(each["cpu_s"] / each["units"] for each in seen[many])[len(seen[many]) // 2]
    rate = MANY / TRIAL_S
    notes += [
        (
            f"{MANY:,} workers with trials of {TRIAL_S:.0f} s: {rate:.1f} trials, "
            f"{rate * one['events']:.0f} events and {rate * one['bytes'] / 1e3:.0f} kB a second, "
            f"{100 * rate * trial_s:.0f} % of one core in the coordinator's thread, "
            f"{100 * rate * mlflow_s:.0f} % in MLflow's ({1e3 * mlflow_s:.0f} ms a trial)"
        ),
        (
            f"at trials of {TRIAL_S:.0f} s MLflow's thread is behind from "
            f"{TRIAL_S / mlflow_s:.0f} workers on, the coordinator's from "
            f"{TRIAL_S / trial_s:.0f}; the two share one core's time"
        ),
        (
            f"{WHOLE:,} trials: {WHOLE * one['disk_bytes'] / 1e9:.1f} GB and "
            f"{WHOLE * one['files']:,.0f} files of records without weights, "
            f"{WHOLE * mlflow_s / 3600:.1f} h of MLflow's thread"
        ),
    ]
    return notes


BENCHMARK = Benchmark("a coordinator with a thousand workers, on paper", run)
