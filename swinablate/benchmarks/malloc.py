"""glibc's allocator: thresholds of 256 MiB against its own, whole training steps in a process.

Large tensors are returned to the system and asked for again at every step where the thresholds
move; held high, the pages stay. Memory is the price.
"""

import json
import platform

from swinablate.harness import (
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
from swinablate.peers.studies import program, told

NAMES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
HELD = {name: str(256 << 20) for name in NAMES}
A = {"family": "swin", "patch": 4, "width": 48, "depths": [2, 2, 2], "heads": [4, 8, 16]}
TINY = {"family": "swin", "patch": 4, "width": 8, "depths": [2], "heads": [2]}
BATCH, SECONDS = 128, 4.0


def run(settings: Settings) -> Result:
    """Run the same steps in two environments, in turn."""
    fields = {**(TINY if settings.tiny else A), "window": 2}
    batch = 2 if settings.tiny else BATCH
    seconds = settings.seconds if settings.tiny else SECONDS
    words = (json.dumps(fields), str(batch), settings.device, str(seconds))

    def side(name: str, env: dict[str, str]) -> Side:
        def once() -> Spent:
            return Spent(**told(program("steps", *words), env))

        def ready() -> Round:
            return once

        return Side(name, ready)

    sides = [side("glibc's own", {}), side("256 MiB", HELD)]
    times = interleave(f"Swin, batch {batch}, fp32", "image", sides, settings.rounds, attempts=1)
    findings = answer(times, [Pair(a="256 MiB", b="glibc's own")])
    used = {name: found["memory_mib"] for name, found in findings[0].seconds.items()}
    memory = ", ".join(f"{name}: {mib:.0f} MiB" for name, mib in used.items())
    gaps = [] if platform.libc_ver()[0] == "glibc" else ["thresholds: this is not glibc"]
    return Result(findings=findings, gaps=gaps, notes=[f"largest memory: {memory}"])


BENCHMARK = Benchmark("a training step under other thresholds of glibc's allocator", run)
