"""K seeds as one graph against K seeds one after the other, and how far the two are apart.

On a GPU there are two more rivals: the sequential steps compiled with CUDA graphs, and K
processes at once.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import torch

from benchmarks.harness import (
    Benchmark,
    Comparison,
    Pair,
    Result,
    Round,
    Settings,
    Side,
    Spent,
    answer,
    interleave,
)
from benchmarks.peers.steps import TINY, A, Track, noise, own, recipe, timed
from benchmarks.peers.studies import program, told
from swinablate.config.recipe import Recipe
from swinablate.data import image_spec
from swinablate.training.fit import build
from swinablate.training.fused.stack import Stack
from swinablate.training.fused.verify import verify
from swinablate.training.precision import settle

SMALL: dict[str, Any] = {"patch": 4, "width": 24, "depths": (2, 2), "heads": (2, 4)}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network, and how many of it."""

    name: str
    fields: dict[str, Any]
    replicas: int
    batch: int


def run(settings: Settings) -> Result:
    """Measure every case, then the deviation of a fused run."""
    findings: list[Comparison] = []
    cpu = settings.device == "cpu"
    for case in cases(settings):
        made = recipe({"family": "swin", **case.fields, "window": 2}, batch=case.batch)
        where = Track(batch=case.batch, device=settings.device, seconds=settings.seconds)
        alone = own("sequential", made, where)
        sides = [alone, _fused(made, case.replicas, where)]
        if not cpu:
            compiled = {"train": made.train.model_copy(update={"compile": True})}
            sides.append(own("sequential, compiled", made.model_copy(update=compiled), where))
            sides.append(_processes(case, where))
        setting = f"{case.name}, {case.replicas} seeds, batch {case.batch}"
        times = interleave(setting, "image", sides, settings.rounds)
        findings += answer(times, _pairs(settings.device))
    gaps = (
        ["sequential compiled with CUDA graphs, K processes: no GPU was available"] if cpu else []
    )
    return Result(findings=findings, gaps=gaps, notes=[_deviation(settings)])


def cases(settings: Settings) -> list[Case]:
    """What is fused."""
    if settings.tiny:
        return [Case(name="Swin, tiny", fields=TINY, replicas=2, batch=2)]
    if settings.device != "cpu":
        return [Case(name="Swin A", fields=A, replicas=16, batch=128)]
    return [
        *(
            Case(name="Swin A", fields=A, replicas=replicas, batch=batch)
            for replicas in (4, 8)
            for batch in (8, 32)
        ),
        Case(name="Swin, width 24", fields=SMALL, replicas=16, batch=8),
    ]


def _pairs(device: str) -> list[Pair]:
    if device == "cpu":
        return [Pair(a="fused", b="sequential", least=1.1)]
    rivals = {"sequential": 10.0, "sequential, compiled": 3.0, "processes": 2.0}
    clock: Literal["wall"] = "wall"
    return [Pair(a="fused", b=b, least=least, clock=clock) for b, least in rivals.items()]


def _fused(made: Recipe, replicas: int, track: Track) -> Side:
    where, train = torch.device(track.device), made.train

    def ready() -> Round:
        settle(train)
        image = image_spec(made.data)
        models = [build(made, image, seed).to(where) for seed in range(replicas)]
        x, y = noise(track.batch, image, where)
        stack = Stack(models, [train] * replicas, x)
        xs, ys = (part.expand(replicas, *part.shape).contiguous() for part in (x, y))

        def step() -> None:
            found = stack.gradients(xs, ys, {})
            stack.step(1.0)
            found.sum().item()  # waits for the device

        return timed(step, replicas * track.batch, track.seconds, lambda: settle(train))

    return Side("fused", ready)


def _processes(case: Case, track: Track) -> Side:
    """K processes at once, each with its own replica; their images a second add up."""
    fields = json.dumps({"family": "swin", **case.fields, "window": 2})
    train = json.dumps({"batch": track.batch})
    words = (fields, train, track.device, str(max(5.0, track.seconds)))

    def one(_: int) -> Spent:
        return Spent(**told(program("steps", *words), None))

    def once() -> Spent:
        with ThreadPoolExecutor(case.replicas) as pool:
            spent = list(pool.map(one, range(case.replicas)))
        wall = max(each.wall_s for each in spent)
        images = sum(each.units / each.wall_s for each in spent) * wall
        return Spent(units=images, wall_s=wall, cpu_s=sum(each.cpu_s for each in spent))

    return Side("processes", lambda: once)


def _deviation(settings: Settings) -> str:
    fields = TINY if settings.tiny else A
    made = recipe({"family": "swin", **fields, "window": 2}, batch=8)
    found = verify(made, 2 if settings.tiny else 4, 2 if settings.tiny else 20, settings.device)
    return (
        f"verify-fusion, {found.replicas} replicas, {found.steps} steps: losses differ by "
        f"{found.fused:.1e}, other rounding alone by {found.floor:.1e}, gate {found.gate:g} "
        f"times that: {'within' if found.ok else 'NOT within'}"
    )


BENCHMARK = Benchmark("seeds trained as one graph against one after the other", run)
