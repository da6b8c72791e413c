"""glibc's allocator: the thresholds of our workers against its own, whole training steps.

Large tensors are returned to the system and asked for again at every step where the thresholds
move; held high, the pages stay. Memory is the price.
"""

import json
import platform
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import (
    Benchmark,
    Comparison,
    Pair,
    Result,
    Settings,
    Side,
    Spent,
    answer,
    interleave,
)
from benchmarks.peers.steps import TINY, A, C
from benchmarks.peers.studies import program, told
from swinablate.execution.processes import HELD

SECONDS, WORTH = 4.0, 1.1


@dataclass(frozen=True)
class Case:
    """What trains."""

    name: str
    fields: dict[str, Any]
    train: dict[str, Any]


CASES = (
    Case("A, batch 32, bf16", A, {"batch": 32, "precision": "bf16"}),
    Case("A, batch 128, fp32", A, {"batch": 128}),
    Case("C, batch 32, bf16", {**C, "window": 4}, {"batch": 32, "precision": "bf16"}),
)


def run(settings: Settings) -> Result:
    """Run the same steps in two environments, in turn."""
    findings: list[Comparison] = []
    for case in (Case("tiny", TINY, {"batch": 2}),) if settings.tiny else CASES:
        findings += _measure(case, settings)
    notes = [f"largest memory, {found.setting}: {_memory(found)}" for found in findings]
    gaps = [] if platform.libc_ver()[0] == "glibc" else ["thresholds: this is not glibc"]
    return Result(findings=findings, gaps=gaps, notes=notes)


def _measure(case: Case, settings: Settings) -> list[Comparison]:
    fields = {"family": "swin", "window": 2, **case.fields}
    seconds = settings.seconds if settings.tiny else SECONDS
    command = program(
        "steps", json.dumps(fields), json.dumps(case.train), settings.device, str(seconds)
    )

    def side(name: str, env: dict[str, str]) -> Side:
        return Side(name, lambda: lambda: Spent(**told(command, env)))

    sides = [side("glibc's own", {}), side("our workers'", HELD)]
    times = interleave(f"Swin {case.name}", "image", sides, settings.rounds, attempts=1)
    return answer(times, [Pair(a="our workers'", b="glibc's own", least=WORTH)])


def _memory(found: Comparison) -> str:
    used = {name: of["memory_mib"] for name, of in found.seconds.items()}
    return ", ".join(f"{name}: {mib:.0f} MiB" for name, mib in used.items())


BENCHMARK = Benchmark("a training step under other thresholds of glibc's allocator", run)
