"""How many trials of one arm train as one graph, and which.

On a GPU a small network's kernels are shorter than the time to launch them; K replicas in one
graph share the launches. Once their memory traffic takes as long as the launches, more bring
nothing. On a CPU nothing is launched, and processes are the better array.

The numbers below are a model, fitted to steps of twelve shipped networks on an H200, in fp32 and
recorded as graphs, alone and as 2, 5 and 16 seeds (benchmarks/results/2026-11-27-h200.md): it errs
by 16 %, and no choice of it among those 36 loses time. In 16 bits more would pay than it says.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from swinablate.config import schema
from swinablate.config.recipe import CommandRecipe, Recipe
from swinablate.errors import EnvironmentFault
from swinablate.execution.ahead.autotune import Choices
from swinablate.execution.processes import environment
from swinablate.models.cost import measured
from swinablate.models.registry import load_family
from swinablate.study.plan import Arm, Trial
from swinablate.training.fused.stack import KEPT, common, why_not
from swinablate.training.precision import resolved_train

ALONE_CALL, ALONE_MB = 14.5, 11.3
"""Microseconds of a step of one trial: for a call that computes, forward and backward together,
and for a megabyte kept for the backward pass."""
FUSED_CALL, FUSED_MB, REPLICA_MB = 21.8, 24.9, 10.9
"""The same of many as one: for a call, for a megabyte of one of them however many there are, and
for a megabyte of each. `torch.vmap` makes more kernels of a call than it was."""
CONVOLVED_ALONE, CONVOLVED = 2.0, 2.5
"""How many times a megabyte counts where there are convolutions, which become convolutions in
groups: those have slower kernels."""
GAIN = 1.15
"""Trials train as one where that is so many times as fast, by the model: it errs by as much."""
WIDEST = 32
"""Trials in one graph at most: each then pays a 32nd of the launches, and more would save little
while they share one graph's fate."""
SHARE = 0.5
"""Of a GPU's memory that a fused batch may be expected to take.

The rest is for what the expectation leaves out: images, workspaces, fragments. 16 seeds of post
000's network took 1.13 times what was expected in fp32, on an H200.
"""
MB = 1e6
"""Bytes of a megabyte, the unit of the model."""
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
        least: fewer gain nothing, and train alone.
    """

    trials: int
    why: str = ""
    least: int = 1


@dataclass(frozen=True)
class Work:
    """What a training step of one trial does.

    Attributes:
        calls: of the forward pass, that compute something.
        convolved: whether there are convolutions among them.
        megabytes: kept for the backward pass, of a batch.
    """

    calls: int
    convolved: bool
    megabytes: float

    def gain(self, trials: int) -> float:
        """How many times as fast so many trials train as one as one after the other."""
        alone, fused = (CONVOLVED_ALONE, CONVOLVED) if self.convolved else (1.0, 1.0)
        one = ALONE_CALL * self.calls + ALONE_MB * alone * self.megabytes
        many = FUSED_MB + REPLICA_MB * trials
        return trials * one / (FUSED_CALL * self.calls + many * fused * self.megabytes)


class Calls(TorchFunctionMode):
    """Counts the calls that compute something, and those of them that convolve."""

    def __init__(self) -> None:
        super().__init__()
        self.count: int = 0
        self.convolutions: int = 0

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count and call."""
        self.count += int(func.__name__ not in VIEWS)
        self.convolutions += int(func.__name__.startswith("conv"))
        return func(*args, **(kwargs or {}))


def width(arm: Arm, asked: int | None, device: str, choices: Choices | None = None) -> Width:
    """How many trials of `arm` train together.

    Args:
        arm: the arm.
        asked: as `--fuse` says; None chooses.
        device: "cpu" or "cuda:N".
        choices: device model -> what `auto` became there; a worker that finds only then that its
            batch trains alone trains it one by one, and other slots have nothing.
    """
    if asked == 1 or (asked is None and device == "cpu"):
        return Width(1)
    if isinstance(arm.recipe, CommandRecipe):
        return Width(1)
    for recipe in _as_chosen(arm.recipe, choices or {}):
        if reason := why_not([recipe]):
            return Width(1, reason)
    return Width(asked) if asked else worth(arm, memory(device))


def _as_chosen(recipe: Recipe, choices: Choices) -> list[Recipe]:
    """The recipe as it runs on each kind of device; as it is written where nobody has chosen."""
    train = recipe.train
    known = [model for model, chosen in choices.items() if train.open <= chosen.keys()]
    resolved = [resolved_train(train, model, choices) for model in known]
    return [recipe.model_copy(update={"train": one}) for one in resolved] or [recipe]


def worth(arm: Arm, room: float) -> Width:
    """As many as memory holds, if they train faster as one than one after the other.

    Args:
        arm: the arm.
        room: bytes that the batch may take.
    """
    assert arm.activation_bytes is not None
    assert arm.params is not None
    kept = arm.activation_bytes * arm.recipe.train.batch
    # Weights, gradients and moments twice; validation takes no more than training, by `KEPT`.
    each = KEPT * kept + 24 * arm.params
    most = WIDEST if room == float("inf") else min(WIDEST, int(room / each))
    done = work(arm, kept / MB)
    least = next((count for count in range(2, most + 1) if done.gain(count) >= GAIN), None)
    return Width(1) if least is None else Width(most, least=least)


def work(arm: Arm, megabytes: float) -> Work:
    """What one step of an arm does, which keeps so much for its backward pass."""
    assert arm.image is not None
    family, image = load_family(arm.recipe.model.family, "plan"), arm.image

    def look(model: nn.Module) -> Work:
        at = next(model.parameters()).device
        x = torch.zeros(2, image.channels, image.height, image.width, device=at)
        counted = Calls()
        with torch.no_grad(), counted:
            model(x)
        return Work(counted.count, counted.convolutions > 0, megabytes)

    return measured(family, arm.recipe.model, image, look)


ASK = "import torch; print(*torch.cuda.mem_get_info(0))"


@cache
def memory(device: str) -> float:
    """Bytes that a fused batch may take on a device: its share, or what others leave of it.

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
    free, total = map(float, asked.stdout.split())
    return min(free, SHARE * total)


def unknown(device: str) -> str:
    """Why nobody here can say what memory a device has; empty where somebody can."""
    try:
        memory(device)
    except EnvironmentFault as fault:
        return f"{fault.problem}; {fault.hint}"
    return ""


def group(trial: Trial) -> str:
    """Equal for trials that can train as one: seeds, rates and decays may differ."""
    return schema.digest([trial.kind, common(trial.recipe).model_dump(mode="json")])


def mates(first: Trial, others: Sequence[Trial], most: int, least: int = 1) -> list[Trial]:
    """The trials that train with `first`, itself included: as many as there are, up to `most`.

    The rest is shared out: 9 trials by 8 are 5 and 4, not 8 and 1. Fewer than `least` train alone.
    """
    alike = [first, *(t for t in others if group(t) == group(first))]
    batches = -(-len(alike) // most)
    chosen = alike[: -(-len(alike) // batches)]
    return chosen if len(chosen) >= least else [first]
