"""Training steps, ours and others', ready to be timed: same images, same classes, same batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness import Round, Side, Spent, repeated
from swinablate.config import schema
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe
from swinablate.data import image_spec
from swinablate.models.registry import load_family
from swinablate.training.fit import build
from swinablate.training.precision import FORMATS, settle
from swinablate.training.step import make_learner

CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)
A: dict[str, Any] = {"patch": 4, "width": 48, "depths": (2, 2, 2), "heads": (4, 8, 16)}
"""Post 000's own configuration, but for its window of 2."""
C: dict[str, Any] = {"patch": 2, "width": 96, "depths": (2, 6, 2), "heads": (3, 6, 12)}
"""A wider one, for windows of 4."""
TINY: dict[str, Any] = {"patch": 4, "width": 8, "depths": (2,), "heads": (2,)}
WARM = 2
"""Steps before the first that counts."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """How others' networks train.

    Attributes:
        fused: Adam as one kernel; torch's default is a loop over tensors on a CPU.
    """

    precision: str = "fp32"
    matmul: str = "highest"
    fused: bool | None = None
    channels_last: bool = False
    compiled: bool = False


DEFAULT = Mode()
SAME = Mode(fused=True)
FAST = Mode(precision="bf16", fused=True)


def recipe(model: dict[str, Any], **train: Any) -> Recipe:
    """A recipe of random images of CIFAR's format, trained as post 000 does: Adam, no decay."""
    config = schema.validate(
        load_family(model["family"], "benchmark").config, model, at="benchmark"
    )
    plain = {"optimizer": "adam", "lr": 3e-4, "weight_decay": 0.0, "clip": 0.0, "warmup": 0.0}
    data = {"name": "noise", "image": CIFAR.model_dump()}
    return Recipe.model_validate(
        {"model": config, "data": data, "train": {**plain, "schedule": "constant", **train}}
    )


def noise(batch: int, image: ImageSpec, device: torch.device) -> tuple[Tensor, Tensor]:
    """A batch."""
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(batch, image.channels, image.height, image.width, generator=chance)
    return x.to(device), torch.randint(image.classes, (batch,), generator=chance).to(device)


@dataclass(frozen=True, kw_only=True)
class Track:
    """What is equal for all.

    Attributes:
        batch: images.
        device: "cpu" or "cuda:N".
        seconds: of a round, at least.
    """

    batch: int
    device: str
    seconds: float


def own(name: str, made: Recipe, track: Track) -> Side:
    """The step of `train.fit`, without its images' augmentation; the batch is the recipe's."""
    where, train = torch.device(track.device), made.train

    def ready() -> Round:
        settle(train)
        image = image_spec(made.data)
        learner = make_learner(build(made, image, 0), train, where)
        x, y = noise(train.batch, image, where)

        def step() -> None:
            learner.step(x, y).item()  # waits for the device

        return timed(step, train.batch, track.seconds, lambda: settle(train))

    return Side(name, ready)


def others(name: str, build: Callable[[], nn.Module], mode: Mode, track: Track) -> Side:
    """The step of a loop as anybody writes it."""
    where = torch.device(track.device)
    form = torch.channels_last if mode.channels_last else torch.contiguous_format

    def settings() -> None:
        torch.set_num_threads(1)
        torch.set_float32_matmul_precision(mode.matmul)
        torch.use_deterministic_algorithms(mode=False)

    def ready() -> Round:
        settings()
        torch.manual_seed(0)
        model = build().to(where).to(memory_format=form).train()
        call: Callable[[Tensor], Tensor] = model
        if mode.compiled:
            call = torch.compile(model, mode="reduce-overhead" if where.type == "cuda" else None)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-4, fused=mode.fused)
        x, y = noise(track.batch, CIFAR, where)
        x = x.contiguous(memory_format=form)
        short = torch.autocast(
            where.type, FORMATS[mode.precision], enabled=mode.precision != "fp32"
        )

        def step() -> None:
            optimizer.zero_grad()
            with short:
                loss = F.cross_entropy(call(x).float(), y)
            torch.autograd.backward(loss)
            optimizer.step()
            loss.item()

        return timed(step, track.batch, track.seconds, settings)

    return Side(name, ready)


def timed(
    step: Callable[[], None], units: int, seconds: float, settings: Callable[[], None]
) -> Round:
    """A round of steps, after some that do not count; `settings` are global, so set each time."""
    for _ in range(WARM):
        step()
    work = repeated(step, units, seconds)

    def once() -> Spent:
        settings()
        return work()

    return once
