"""Several training runs in one: the loop of `train.fit` over a stack of replicas.

Each replica's checkpoints are those it would write alone, so it can go on alone, or in other
company. A fused replica differs from the same trial alone by rounding, as a trial differs
between one thread and two; `swinablate verify-fusion` measures both.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swinablate import checkpoint
from swinablate.data import Splits, batch, epoch_order, eval_batches, load
from swinablate.events import Job, Kind
from swinablate.fuse import Stack, losses, why_not
from swinablate.machine import forget_peak, peak_mib
from swinablate.optim import rate
from swinablate.precision import autocast, settle
from swinablate.recipe import Recipe, derive
from swinablate.train import Progress, Stopped, build, read, snapshot, summary

Report = Callable[[Job, Kind, Mapping[str, Any]], None]
"""Takes an event of one of the jobs."""


class CannotFuse(Exception):
    """These jobs do not train as one; each can train alone."""


@dataclass
class Replica:
    """One of the runs.

    Attributes:
        now: its own loss, curve and best epoch; epoch and step are the same for all.
        lost: why it diverged; it is carried along, and nothing of it is reported.
    """

    job: Job
    recipe: Recipe
    splits: Splits
    now: Progress
    lost: str | None = None


def fit_fused(  # noqa: C901, PLR0912, PLR0915  one loop, top to bottom, is easiest to check
    jobs: Sequence[Job], report: Report, stopping: Callable[[], bool]
) -> dict[str, dict[str, Any] | str]:
    """Train several trials as one graph, or go on with them.

    Args:
        jobs: trials that differ in seed, learning rate and weight decay only.
        report: takes "epoch", "resumed" and "checkpoint" events as they happen.
        stopping: asked before every step; True ends the runs after a checkpoint.

    Returns:
        By trial: what `train.fit` returns, or why it diverged. `time/epoch_s` and
        `memory/peak_mib` are a replica's share of the whole.

    Raises:
        CannotFuse: the network, or something in the recipes, trains alone only.
        Stopped: `stopping()` was true.
    """
    device = torch.device(jobs[0].device)
    recipes = [read(job)[0] for job in jobs]
    if reason := why_not(recipes):
        raise CannotFuse(reason)
    train, count = recipes[0].train, len(jobs)
    settle(train)
    forget_peak(device)

    # ---- data, models, optimizers
    members = [
        Replica(
            job,
            recipe,
            load(recipe.data, Path(job.data), job.seed, recipe.train.stream, device),
            Progress(loss=torch.zeros((), device=device)),
        )
        for job, recipe in zip(jobs, recipes, strict=True)
    ]
    images = len(members[0].splits.train)
    size = min(train.batch, images)
    per_epoch = images // size
    total = train.steps if train.steps is not None else train.epochs * per_epoch
    stack = make_stack(members, size, device)
    place = resume(members, stack, device, report)

    def save() -> None:
        for k, member in enumerate(members):
            if member.lost is None:
                model, optimizer = stack.give(k)
                state = {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scaler": {},
                    "ema": {},
                    "progress": vars(member.now),
                }
                checkpoint.save(Path(member.job.folder), place.total(per_epoch), state)

    # ---- loop
    while place.epoch < math.ceil(total / per_epoch) and any(m.lost is None for m in members):
        orders = [
            epoch_order(images, m.job.seed, m.recipe.train.stream, place.epoch).to(device)
            for m in members
        ]
        steps = min(per_epoch, total - place.epoch * per_epoch)
        began = time.perf_counter()
        while place.step < steps:
            if stopping():
                share(members, began, count)
                save()
                raise Stopped
            chosen = slice(place.step * size, (place.step + 1) * size)
            drawn = [
                drawn_batch(m, order[chosen], place, device)
                for m, order in zip(members, orders, strict=True)
            ]
            x, y = (torch.stack(parts) for parts in zip(*drawn, strict=True))
            masks = stack.draw([_seed(m, "drop", place) for m in members])
            with autocast(train, device):
                found = losses(stack.learn(x, masks), y, train.label_smoothing)
            stack.step(found, rate(train, place.total(per_epoch), total))
            for member, loss in zip(members, found.detach().unbind(), strict=True):
                member.now.loss = member.now.loss + loss
            place.step += 1
            for member in members:
                member.now.step = place.step
        means = [member.now.loss.item() / steps for member in members]
        share(members, began, count)

        # ---- evaluate on validation images, record, checkpoint
        accuracies = validate(stack, members)
        for k, member in enumerate(members):
            if not math.isfinite(means[k]):
                member.lost = member.lost or f"the loss of epoch {place.epoch + 1} is {means[k]}"
            if member.lost is None:
                close_epoch(
                    member, k, stack, means[k], accuracies[k], images=steps * size, count=count
                )
        place.epoch, place.step = place.epoch + 1, 0
        for member in members:
            if member.lost is None:
                report(member.job, "epoch", member.now.curve[-1])
        save()
        for member in members:
            if member.lost is None:
                report(member.job, "checkpoint", {"epoch": place.epoch})

    # ---- final metrics; the test images are looked at here, once
    return {m.job.trial: m.lost or conclude(stack, k, m, count) for k, m in enumerate(members)}


@dataclass
class Place:
    """Where the batch is: epoch and step from 0."""

    epoch: int = 0
    step: int = 0

    def total(self, per_epoch: int) -> int:
        """Steps done."""
        return self.epoch * per_epoch + self.step


def make_stack(members: Sequence[Replica], size: int, device: torch.device) -> Stack:
    """Stack the replicas' networks, each with the initial weights of its seed.

    Raises:
        CannotFuse: torch cannot run this network over a stack of weights.
    """
    image = read(members[0].job)[1]
    models = [build(m.recipe, image, m.job.seed).to(device) for m in members]
    example = torch.zeros(size, image.channels, image.height, image.width, device=device)
    stack = Stack(models, [m.recipe.train for m in members], example)
    x = example[:2].expand(len(members), *example[:2].shape)
    try:
        stack.judge(x)
    except RuntimeError as error:
        raise CannotFuse(f"torch.vmap: {str(error).splitlines()[0]}") from error
    return stack


def resume(
    members: Sequence[Replica], stack: Stack, device: torch.device, report: Report
) -> Place:
    """Go on from the newest step of which every replica has a checkpoint, or start."""
    folders = [[Path(m.job.folder), *map(Path, m.job.resume)] for m in members]
    common = set.intersection(*(checkpoint.steps(found) for found in folders))
    for step in sorted(common, reverse=True):
        saved = [checkpoint.load(found, device, step) for found in folders]
        if any(state is None for state in saved):
            continue  # one is damaged
        for k, (member, state) in enumerate(zip(members, saved, strict=True)):
            assert state is not None
            member.now = Progress(**state["progress"])
            stack.models[k].load_state_dict(state["model"])
            stack.optimizers[k].load_state_dict(state["optimizer"])
            stack.take(k, step)
            now = member.now
            report(
                member.job, "resumed", {"epoch": now.epoch, "step": now.step, "curve": now.curve}
            )
        return Place(members[0].now.epoch, members[0].now.step)
    return Place()


def drawn_batch(
    member: Replica, index: Tensor, place: Place, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The batch that the replica would see alone."""
    chance = torch.Generator(device).manual_seed(_seed(member, "augment", place))
    return batch(member.splits.train, index, member.recipe.data.augment, chance)


def _seed(member: Replica, name: str, place: Place) -> int:
    return derive(member.job.seed, member.recipe.train.stream, name, place.epoch, place.step)


def share(members: Sequence[Replica], began: float, count: int) -> None:
    """Give every replica its share of the time since `began`."""
    for member in members:
        member.now.seconds += (time.perf_counter() - began) / count


def validate(stack: Stack, members: Sequence[Replica]) -> list[float]:
    """Percent of the validation images that each replica classifies correctly."""
    train = members[0].recipe.train
    batches = zip(*(eval_batches(m.splits.val) for m in members), strict=True)
    with autocast(train, stack.flat.device):
        answers = torch.cat([stack.judge(torch.stack(some)).argmax(2) for some in batches], 1)
    return [
        100 * (answers[k] == m.splits.val.labels).float().mean().item()
        for k, m in enumerate(members)
    ]


def close_epoch(  # noqa: PLR0913
    member: Replica,
    k: int,
    stack: Stack,
    mean: float,
    accuracy: float,
    *,
    images: int,
    count: int,
) -> None:
    """Record a replica's epoch, and its weights if they are the best yet."""
    now = member.now
    if member.recipe.train.select == "best_val" and accuracy > now.best.get("accuracy", -1.0):
        weights = snapshot(stack.give(k)[0])
        now.best = {"accuracy": accuracy, "epoch": now.epoch + 1, "model": weights}
    now.curve.append(
        {
            "epoch": now.epoch + 1,
            "at": int(time.time() * 1000),
            "train/loss": mean,
            "val/accuracy": accuracy,
            "time/epoch_s": now.seconds,
            "time/images_per_s": images / now.seconds,
            "memory/peak_mib": peak_mib(stack.flat.device) / count,
        }
    )
    now.epoch, now.step, now.seconds, now.loss = now.epoch + 1, 0, 0.0, now.loss * 0


def conclude(stack: Stack, k: int, member: Replica, count: int) -> dict[str, Any]:
    """The final metrics of a replica, as alone; `execution` says how many trained together."""
    model, _ = stack.give(k)
    if member.recipe.train.select == "best_val":
        model.load_state_dict(member.now.best["model"])
    found = summary(member.job, model, member.splits.test, member.recipe.train, member.now)
    return {**found, "execution": {**found["execution"], "fused": count}}
