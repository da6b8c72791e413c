"""How a figure of a GPU is taken."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

RECIPES = Path(__file__).parents[2] / "experiments"
ROUNDS, WARM = 5, 5
"""Rounds of a figure, and steps before them: torch records a CUDA graph in the third."""
PATIENCE_S = 40.0
"""For the recipes together: the largest are drawn for a minute, and are of one family."""
OUT = Path("gpu.json")
Found = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where to measure, and how much.

    Attributes:
        round_s: seconds of a round, at least.
        folder: for images and checkpoints.
        tiny: the smallest of everything, to see that it runs.
    """

    device: torch.device
    round_s: float
    folder: Path
    tiny: bool

    def wait(self) -> None:
        """Until the device has done what was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def speed(step: Callable[[], object], images: int, where: Where) -> Found:
    """Images a second of a step in its steady state: median and range of the rounds.

    The device is waited for at the two ends of a round and never within.
    """
    began = time.perf_counter()
    for _ in range(WARM):
        step()
    where.wait()
    first = time.perf_counter() - began
    rates = []
    for _ in range(ROUNDS):
        began, steps = time.perf_counter(), 0
        while not steps or time.perf_counter() - began < where.round_s:
            # In tens: a clock that is asked after every step sees calls, not the device.
            for _ in range(10):
                step()
            steps += 10
            where.wait()
        rates.append(steps * images / (time.perf_counter() - began))
    return {"images_per_s": median(rates), "range": [min(rates), max(rates)], "first_s": first}


def peak(where: Where) -> int:
    """The most memory that tensors took since `clear`."""
    return torch.cuda.max_memory_allocated() if where.device.type == "cuda" else 0


def clear(where: Where) -> None:
    """Forget the case before."""
    torch.compiler.reset()
    if where.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
