"""What `auto` becomes: a few timed steps of every number format and layout a device has.

A worker measures; the coordinator decides, once for a study and a device model, and every arm
that says `auto` gets the same answer: a choice per arm would be one more difference between
arms. What runs is the baseline's network on noise, in a batch of its own size.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe
from swinablate.records.events import Job
from swinablate.training.fit import build, read_job
from swinablate.training.graphs import warm
from swinablate.training.machine import device_name
from swinablate.training.precision import choices, settle
from swinablate.training.step import make_learner

ROUNDS, ROUND_S, WARM = 3, 0.1, 2
"""Every candidate runs in so many rounds, among the others; the first steps do not count.

Taken in turn, so that a neighbour's load meets all of them; the 0.3 s of a candidate are nothing
beside a trial. The first steps choose kernels and allocate.
"""
FASTER = 0.9
"""A departure from the plain settings is worth a tenth of the time, or it is not taken: less is
within what two timings of the same step differ by on a shared machine."""

Measured = dict[str, Any]
"""A candidate's settings, and `step_s`; compiled ones have `compile_s` too."""


def measure(job: Job, stopping: Callable[[], bool]) -> dict[str, Any]:
    """Time the candidates for what `job` leaves open.

    Returns:
        `device`, and `measured`: nothing where the job brings the answer for this device.
    """
    recipe, image = read_job(job)
    device = torch.device(job.device)
    name = device_name(device)
    wanted = choices(recipe.train, device)
    if wanted.keys() <= job.choices.get(name, {}).keys():
        return {"device": name, "measured": []}
    steady = {field: options for field, options in wanted.items() if field != "compile"}
    candidates = [
        dict(zip(steady, options, strict=True)) for options in itertools.product(*steady.values())
    ]
    if "compile" in wanted:
        candidates = [{**candidate, "compile": False} for candidate in candidates]
    measured = [
        {**candidate, "step_s": seconds}
        for candidate, seconds in zip(
            candidates, _rounds(recipe, image, candidates, device, stopping), strict=True
        )
        if seconds is not None
    ]
    if measured and True in wanted.get("compile", ()):
        measured += _compiled(recipe, image, decide(measured, 0), device)
    return {"device": name, "measured": measured}


def decide(measured: Iterable[Measured], steps: int) -> dict[str, Any]:
    """The settings to take: the plainest, unless another is a tenth faster.

    Args:
        measured: of one device model; the first candidate is the plain one.
        steps: of a trial; compiling must pay within one.
    """
    rows = list(measured)
    plain = _settings(rows[0])

    def departures(row: Measured) -> int:
        return sum(row[field] != value for field, value in plain.items())

    def seconds(row: Measured) -> float:
        # Of unknown length (0 steps) a trial is taken as one step: compiling does not pay then.
        return float(row["step_s"]) * max(1, steps) + float(row.get("compile_s", 0.0))

    best = rows[0]
    for row in sorted(rows, key=lambda row: (departures(row), seconds(row))):
        if seconds(row) < FASTER * seconds(best):
            best = row
    return _settings(best)


def merge(several: Iterable[list[Measured]]) -> list[Measured]:
    """Mean times of what every worker of a device model measured; the plain one first."""
    lists = [rows for rows in several if rows]
    merged: list[Measured] = []
    for row in lists[0] if lists else []:
        same = [other for rows in lists for other in rows if _settings(other) == _settings(row)]
        if len(same) == len(lists):
            times = {key: [float(other[key]) for other in same] for key in row if _timed(key)}
            merged.append(_settings(row) | {key: sum(t) / len(t) for key, t in times.items()})
    return merged


def _timed(key: str) -> bool:
    return key.endswith("_s")


def _settings(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not _timed(key)}


def _rounds(
    recipe: Recipe,
    image: ImageSpec,
    candidates: list[dict[str, Any]],
    device: torch.device,
    stopping: Callable[[], bool],
) -> list[float | None]:
    """The fastest round of each candidate, in seconds a step; None where it cannot run.

    Raises:
        Exception: what one of them raised, where none can.
    """
    best: list[float | None] = [float("inf")] * len(candidates)
    failed: Exception | None = None
    for _ in range(ROUNDS):
        for k, candidate in enumerate(candidates):
            before = best[k]
            if before is not None and not stopping():
                try:
                    seconds, _ = _step(recipe, image, candidate, device)
                except Exception as error:  # noqa: BLE001  a format that a network cannot have
                    # Without its frames, which hold the memory that the next candidate needs.
                    best[k], failed = None, error.with_traceback(None)
                else:
                    best[k] = min(before, seconds)
    if failed is not None and not any(best):
        raise failed
    return [None if seconds == float("inf") else seconds for seconds in best]


def _compiled(
    recipe: Recipe, image: ImageSpec, candidate: dict[str, Any], device: torch.device
) -> list[Measured]:
    candidate = candidate | {"compile": True}
    try:
        seconds, first = _step(recipe, image, candidate, device)
    except Exception:  # noqa: BLE001  not every network compiles
        return []
    return [candidate | {"step_s": seconds, "compile_s": first}]


def _step(
    recipe: Recipe, image: ImageSpec, candidate: dict[str, Any], device: torch.device
) -> tuple[float, float]:
    """Seconds of a training step, and of those before the first that counts."""
    train = recipe.train.model_copy(update=candidate)
    settle(train)
    learner = make_learner(build(recipe, image, 0), train, device)
    x = torch.randn(train.batch, image.channels, image.height, image.width, device=device)
    y = torch.randint(image.classes, (train.batch,), device=device)

    began = time.perf_counter()
    for _ in range(warm(device, WARM)):
        learner.step(x, y).item()  # waits for the device
    ready, steps = time.perf_counter(), 0
    while time.perf_counter() < ready + ROUND_S or not steps:
        learner.step(x, y).item()
        steps += 1
    return (time.perf_counter() - ready) / steps, ready - began
