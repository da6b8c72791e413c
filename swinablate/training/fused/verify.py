"""How far fused replicas are from the same runs alone, next to how far rounding alone goes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from swinablate.config.recipe import Recipe, derive
from swinablate.data import image_spec
from swinablate.errors import InputError
from swinablate.training.fit import build
from swinablate.training.fused.stack import Stack, why_not
from swinablate.training.optim import rate, set_rate
from swinablate.training.precision import settle
from swinablate.training.step import make_learner

GATES = {"fp32": 3.0, "bf16": 4.0}
"""Largest deviation, in units of the floor.

Measured on a CPU, four replicas of a Swin: 0.75 to 1.0 in fp32, 1.4 to 3.7 in bf16.
"""
SPREAD = (1.0, 0.3, 3.0, 1.0)
"""Factors on the replicas' learning rates, one after the other: some must differ, or a rate that
reaches another replica would not show."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Largest difference of a training loss, over all steps and replicas.

    Attributes:
        fused: between replicas in one graph and each alone.
        floor: between each alone, and alone with rounding that falls otherwise: images that
            differ in their last bit and, on a CPU, a second thread. A network whose training
            amplifies rounding, as batch norm does at high rates, has a high floor.
        gate: `fused` may be so many times `floor`.
    """

    replicas: int
    steps: int
    precision: str
    device: str
    fused: float
    floor: float
    gate: float

    @property
    def ok(self) -> bool:
        """Whether fusion is no further off than rounding."""
        return self.fused <= self.gate * self.floor

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        ratio = self.fused / self.floor if self.floor else None  # rounding changed nothing
        return {**asdict(self), "ratio": ratio, "ok": self.ok}


def verify(recipe: Recipe, replicas: int, steps: int, device: str) -> Verification:
    """Train replicas on noise: fused, alone, and alone with other rounding.

    Args:
        recipe: what to train; its data give the shape of the images only.
        replicas: with seeds of their own, and learning rates and weight decays that differ.
        steps: optimizer steps.
        device: "cpu" or "cuda:N".

    Raises:
        InputError: the recipe does not train fused.
    """
    if reason := why_not([recipe]):
        raise InputError(f"this recipe is not fused: {reason}", at="recipe", hint="change it")
    recipes = [_variant(recipe, k) for k in range(replicas)]
    batches = _noise(recipe, replicas, steps, torch.device(device))
    rows = [[(x[k], y[k]) for x, y in batches] for k in range(replicas)]
    alone = [_alone(r, k, rows[k]) for k, r in enumerate(recipes)]
    ulp = 1 + torch.finfo(torch.float32).eps  # the smallest change that a number can have
    moved = [_alone(r, k, [(x * ulp, y) for x, y in rows[k]]) for k, r in enumerate(recipes)]
    floor = _largest(moved, alone)
    if device == "cpu":
        more = [_alone(r, k, rows[k], threads=r.train.threads + 1) for k, r in enumerate(recipes)]
        floor = max(floor, _largest(more, alone))
    try:
        fused = _together(recipes, batches)
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        why = str(error).partition("\n")[0]
        raise InputError(
            f"this recipe is not fused: {why}", at="recipe", hint="its seeds train alone"
        ) from error
    return Verification(
        replicas=replicas,
        steps=steps,
        precision=recipe.train.precision,
        device=device,
        fused=_largest(fused, alone),
        floor=floor,
        gate=GATES[recipe.train.precision],
    )


Batch = tuple[Float[Tensor, "*k b c h w"], Int[Tensor, "*k b"]]
"""Images and classes of k replicas; of one replica, without k."""


def _variant(recipe: Recipe, k: int) -> Recipe:
    train = recipe.train
    changes = {
        "lr": train.lr * SPREAD[k % len(SPREAD)],
        "weight_decay": train.weight_decay * (k % 3),  # none, its own, twice: other than rates
    }
    return recipe.model_copy(update={"train": train.model_copy(update=changes)})


def _noise(recipe: Recipe, replicas: int, steps: int, device: torch.device) -> list[Batch]:
    image, size = image_spec(recipe.data), recipe.train.batch
    chance = torch.Generator().manual_seed(derive(0, "verify", "images"))
    shape = (replicas, size, image.channels, image.height, image.width)
    return [
        (
            torch.empty(shape).normal_(generator=chance).to(device),
            torch.randint(image.classes, shape[:2], generator=chance).to(device),
        )
        for _ in range(steps)
    ]


def _alone(
    recipe: Recipe, seed: int, batches: Sequence[Batch], threads: int | None = None
) -> list[float]:
    """The losses of one run, as `train.fit` computes them."""
    train, device = recipe.train, batches[0][0].device
    settle(train)
    torch.set_num_threads(threads or train.threads)
    learner = make_learner(build(recipe, image_spec(recipe.data), seed), train, device)
    found = []
    for step, (x, y) in enumerate(batches):
        set_rate(learner.optimizer, train.peak_lr * rate(train, step, len(batches)))
        torch.manual_seed(derive(seed, "verify", "drop", step))
        found.append(learner.step(x, y).item())
    settle(train)
    return found


def _together(recipes: Sequence[Recipe], batches: Sequence[Batch]) -> list[list[float]]:
    """The losses of every replica in one graph."""
    train, device = recipes[0].train, batches[0][0].device
    settle(train)
    image = image_spec(recipes[0].data)
    models = [build(recipe, image, k).to(device) for k, recipe in enumerate(recipes)]
    stack, found = Stack(models, [r.train for r in recipes], batches[0][0][0]), []
    for step, (x, y) in enumerate(batches):
        masks = stack.draw([derive(k, "verify", "drop", step) for k in range(len(recipes))])
        each = stack.gradients(x, y, masks)
        stack.step(rate(train, step, len(batches)))
        found.append(each.tolist())
    return [list(row) for row in zip(*found, strict=True)]


def _largest(some: Sequence[Sequence[float]], others: Sequence[Sequence[float]]) -> float:
    pairs = zip(some, others, strict=True)
    return max(abs(a - b) for row, other in pairs for a, b in zip(row, other, strict=True))
