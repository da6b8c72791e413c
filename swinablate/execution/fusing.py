"""How many trials of one arm train as one graph, and which.

On a GPU a small network's kernels are shorter than the time to launch them; K replicas in one
graph share the launches. Once their memory traffic takes as long as the launches, more bring
nothing. On a CPU nothing is launched, and processes are the better array.

The numbers below are a model. On an H200, with steps recorded as graphs, 16 seeds of a small Swin
take 0.39 of the time of 16 trials one after the other, three seeds on digits less than half, and
five of a Swin with 196 tokens as long (benchmarks/README.md): it may choose more than pays.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from swinablate.config import schema
from swinablate.config.recipe import CommandRecipe
from swinablate.errors import EnvironmentFault
from swinablate.execution.processes import environment
from swinablate.models.cost import measured
from swinablate.models.registry import load_family
from swinablate.study.plan import Arm, Trial
from swinablate.training.fused.stack import KEPT, common, why_not

LAUNCH_S, BYTES_PER_S = 5e-6, 4e12
"""Time to launch a kernel eagerly, and how fast memory is read and written: an H200's."""
KERNELS_PER_CALL, TRAFFIC = 2.6, 8.6
"""Kernels a call, forward and backward together; and what a step reads and writes, in units of
the bytes kept for the backward pass: fits networks of 0.8 to 10 MB an image within 15 %."""
WIDEST = 32
"""Trials in one graph at most: each then pays a 32nd of the launches, and more would save little
while they share one graph's fate."""
SHARE = 0.5
"""Of a GPU's memory that a fused batch may be expected to take.

The rest is for what the expectation leaves out: images, workspaces, fragments.
"""
VIEWS = frozenset(
    ("flatten", "unflatten", "squeeze", "unsqueeze", "permute", "movedim", "transpose", "reshape",
     "view", "expand", "unbind", "chunk", "split", "dim", "size", "__get__", "__set__",
     "__getitem__")
)  # fmt: skip
"""Calls that launch nothing, or seldom."""


@dataclass(frozen=True)
class Width:
    """How many trials of an arm train together.

    Attributes:
        trials: at most; 1 is alone.
        why: why alone, where more were asked for.
    """

    trials: int
    why: str = ""


class Calls(TorchFunctionMode):
    """Counts the calls that compute something."""

    def __init__(self) -> None:
        super().__init__()
        self.count: int = 0

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count and call."""
        self.count += int(func.__name__ not in VIEWS)
        return func(*args, **(kwargs or {}))


def width(arm: Arm, asked: int | None, device: str) -> Width:
    """How many trials of `arm` train together.

    Args:
        arm: the arm.
        asked: as `--fuse` says; None chooses.
        device: "cpu" or "cuda:N".
    """
    if asked == 1 or (asked is None and device == "cpu"):
        return Width(1)
    if isinstance(arm.recipe, CommandRecipe):
        return Width(1)
    if reason := why_not([arm.recipe]):
        return Width(1, reason)
    return Width(asked or worth(arm, memory(device)))


def worth(arm: Arm, room: float) -> int:
    """The number at which traffic takes as long as the launches, if memory holds it.

    Args:
        arm: the arm.
        room: bytes that the batch may take.
    """
    assert arm.activation_bytes is not None
    assert arm.params is not None
    batch = arm.recipe.train.batch
    launches = LAUNCH_S * KERNELS_PER_CALL * calls(arm)
    traffic = TRAFFIC * float(arm.activation_bytes) * batch / BYTES_PER_S
    # Weights, gradients and moments twice; validation takes no more than training, by `KEPT`.
    kept = KEPT * arm.activation_bytes * batch + 24 * arm.params
    fits = int(room / kept) if room < float("inf") else WIDEST
    most: int = min(WIDEST, round(launches / traffic), fits)
    return max(1, most)


def calls(arm: Arm) -> int:
    """Calls of one forward pass that compute something."""
    assert arm.image is not None
    family, image = load_family(arm.recipe.model.family, "plan"), arm.image

    def count(model: nn.Module) -> int:
        at = next(model.parameters()).device
        x = torch.zeros(2, image.channels, image.height, image.width, device=at)
        counted = Calls()
        with torch.no_grad(), counted:
            model(x)
        return counted.count

    return measured(family, arm.recipe.model, image, count)


ASK = "import torch; print(torch.cuda.get_device_properties(0).total_memory)"


def memory(device: str) -> float:
    """Bytes that a fused batch may take on a device.

    Another process asks: a CUDA context here would hold half a gigabyte for the whole study.
    """
    if device == "cpu":
        return float("inf")
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        env=environment(device),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        said = asked.stderr.strip().rpartition("\n")[2]
        raise EnvironmentFault(
            f"the memory of {device} is not known: {said}", hint="--fuse 8 needs not know it"
        )
    return SHARE * float(asked.stdout)


def group(trial: Trial) -> str:
    """Equal for trials that can train as one: seeds, rates and decays may differ."""
    return schema.digest([trial.kind, common(trial.recipe).model_dump(mode="json")])


def mates(first: Trial, others: Sequence[Trial], most: int) -> list[Trial]:
    """The trials that train with `first`, itself included: as many as there are, up to `most`.

    The rest is shared out: 9 trials by 8 are 5 and 4, not 8 and 1.
    """
    alike = [first, *(t for t in others if group(t) == group(first))]
    batches = -(-len(alike) // most)
    return alike[: -(-len(alike) // batches)]
