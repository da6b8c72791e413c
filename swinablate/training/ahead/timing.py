"""What a trial costs: a few of its training steps, timed as it would train.

The steps are those of `fit`, with its images where they are prepared, else with noise of their
size. Nothing is recorded of what they learn.
"""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe, derive
from swinablate.config.train import TrainConfig
from swinablate.data import (
    Images,
    Sizes,
    Splits,
    augmentation,
    describe,
    epoch_order,
    load_splits,
    of_step,
    train_batches,
)
from swinablate.errors import EnvironmentFault
from swinablate.models import transfer
from swinablate.records.events import Job
from swinablate.training import checkpoint
from swinablate.training.evaluation import answers, predict
from swinablate.training.fit import Stopped, build, read_job
from swinablate.training.graphs import warm
from swinablate.training.machine import device_name, forget_peak, peak_mib, reseed
from swinablate.training.optim import Averaged
from swinablate.training.precision import FREE, settle
from swinablate.training.saving import on_host
from swinablate.training.step import Learner, make_learner

WARM = 2
"""Steps that do not count: the first choose kernels, allocate, and make the optimizer's state."""
LEAST, TIMED_S = 3, 1.5
"""Steps that count, and for how long they go on: a shared machine stutters for tenths of a second,
and an arm is not to take longer than the start of its worker."""
POOL = 2048
"""Images of noise: more would only take memory; every step sees others of them."""


def time_trial(job: Job, stopping: Callable[[], bool]) -> dict[str, Any]:
    """Time the parts of a trial (`records.speeds.SpeedRecord`).

    Raises:
        Stopped: `stopping()` was true between two steps.
    """
    recipe, image = read_job(job)
    train, device = recipe.train, torch.device(job.device)
    settle(train)
    forget_peak(device)

    began = time.perf_counter()
    splits, sizes, real = _images(recipe, image, job, device)
    model = build(recipe, image, job.seed)
    frozen = transfer.begin(model, recipe.start)
    head = transfer.head(model) if recipe.start.head_lr != 1 else ""
    learner = make_learner(model, train, device, (head, recipe.start.head_lr))
    averaged = Averaged(learner.model, train.ema) if train.ema else None
    steps = _steps(learner, averaged, recipe, image, splits, job, stopping)
    learner.model.train()
    for part in frozen:
        part.eval()
    first = max(WARM, FREE) if train.compile else warm(device, WARM)
    for _ in range(first):
        next(steps).item()  # waits for the device
    before = time.perf_counter() - began

    once = _timed(lambda: next(steps).item())
    count = max(LEAST, int(TIMED_S / max(once, 1e-9)))
    # In a trial nobody waits for the device at every step.
    step_s = _timed(lambda: _take(steps, count).item()) / count

    judged = averaged.module if averaged else learner.model
    size = min(train.batch, len(splits.train))
    few = max(min(size, len(splits.val)), int(TIMED_S / step_s * size))
    val_s, test_s = _evaluations(judged, splits, train, few)
    written, kept_mib = _checkpoint(learner, averaged)
    # At its end a trial is asked about the test images, and about as many training images.
    asked = sizes.test + min(sizes.test, sizes.train) if sizes else 0
    return {
        "device": device_name(device),
        "step_s": step_s,
        "epoch_s": val_s * (sizes.val if sizes else 0),
        "trial_s": max(0.0, before - first * step_s) + test_s * asked + written,
        "checkpoint_s": written,
        "checkpoint_mib": kept_mib,
        "peak_mib": peak_mib(device),
        "steps": sizes.train // min(train.batch, sizes.train) if sizes else 0,
        "images": "real" if real else "noise",
    }


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _take(steps: Iterator[torch.Tensor], count: int) -> torch.Tensor:
    """The loss of the last of so many steps."""
    for _ in range(count - 1):
        next(steps)
    return next(steps)


def _steps(  # noqa: PLR0913, PLR0917  what a step of `fit` needs, and no more
    learner: Learner,
    averaged: Averaged | None,
    recipe: Recipe,
    image: ImageSpec,
    splits: Splits,
    job: Job,
    stopping: Callable[[], bool],
) -> Iterator[torch.Tensor]:
    """Losses of training steps, without end, each made as `fit` makes it."""
    train, images = recipe.train, splits.train
    augment = augmentation(recipe.data, image)
    size = min(train.batch, len(images))
    for epoch in itertools.count():
        order = epoch_order(len(images), job.seed, train.stream, epoch, images.shared)
        draws = partial(of_step, job.seed, train.stream, epoch)
        for step, (x, y) in enumerate(train_batches(images, augment, order, size, draws)):
            if stopping():
                raise Stopped
            reseed(derive(job.seed, train.stream, "drop", epoch, step), images.device)
            loss = learner.step(x, y)
            if averaged:
                averaged.update_parameters(learner.model)
            yield loss


def _images(
    recipe: Recipe, image: ImageSpec, job: Job, device: torch.device
) -> tuple[Splits, Sizes | None, bool]:
    """The recipe's images, if they are prepared, else noise; how many there are; if real."""
    try:
        found = load_splits(recipe.data, Path(job.data), job.seed, recipe.train.stream, device)
    except EnvironmentFault:  # not prepared
        sizes = describe(recipe.data)
        return (
            _noise(recipe.data, image, sizes, max(recipe.train.batch, POOL), device),
            sizes,
            False,
        )
    counts = {part: len(getattr(found, part)) for part in ("train", "val", "test")}
    return found, Sizes(**counts), True


def _noise(
    data: DataConfig, image: ImageSpec, sizes: Sizes | None, pool: int, device: torch.device
) -> Splits:
    """Splits of the same sizes that share a pool of images without meaning."""
    chance = torch.Generator().manual_seed(0)
    sizes = sizes or Sizes(train=pool, val=pool, test=pool)
    pool = min(pool, sizes.train)
    shape = (pool, image.channels, image.height, image.width)
    pixels = torch.randint(image.top + 1, shape, generator=chance, dtype=torch.uint8).to(device)
    one = torch.ones(image.channels, 1, 1, device=device)

    def part(count: int) -> Images:
        rows = torch.arange(count) % pool
        return Images(
            pixels=pixels,
            rows=rows.to(device),
            labels=(torch.arange(count) % image.classes).to(device),
            scale=one * (2 / image.top),
            shift=-one,
            balanced=data.balanced,
        )

    return Splits(train=part(sizes.train), val=part(sizes.val), test=part(sizes.test))


def _evaluations(
    model: nn.Module, splits: Splits, train: TrainConfig, few: int
) -> tuple[float, float]:
    """Seconds an image of validation, and of the test.

    Args:
        model: the weights that are judged.
        splits: the images.
        train: the number format.
        few: images to look at, at most.
    """
    val, test = _first(splits.val, few), _first(splits.test, few)
    predict(model, val, train)  # once for nothing, as with the first steps
    looked = _timed(lambda: predict(model, val, train).cpu()) / len(val)
    asked = _timed(lambda: answers(model, test, train)) / len(test)
    return looked, asked


def _first(images: Images, count: int) -> Images:
    return replace(images, rows=images.rows[:count], labels=images.labels[:count])


def _checkpoint(learner: Learner, averaged: Averaged | None) -> tuple[float, float]:
    """Seconds to write a checkpoint, and its MiB."""
    state = {
        "model": learner.model.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "ema": averaged.state_dict() if averaged else {},
    }
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        path = checkpoint.save(Path(folder), 0, on_host(state))
        return time.perf_counter() - began, path.stat().st_size / 2**20
