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
from jaxtyping import Int
from torch import Tensor

from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe, derive
from swinablate.data import (
    Chance,
    Splits,
    augmentation,
    batch,
    epoch_order,
    eval_batches,
    load_splits,
    of_step,
    raw_batches,
)
from swinablate.records.events import Job, Kind
from swinablate.training import checkpoint
from swinablate.training.divergence import Losses
from swinablate.training.fit import (
    Progress,
    Stopped,
    Write,
    build,
    read_job,
    state_of,
    summary,
)
from swinablate.training.fused.stack import Stack, losses, why_not
from swinablate.training.machine import forget_peak, peak_mib
from swinablate.training.optim import rate
from swinablate.training.precision import autocast, settle

Report = Callable[[Job, Kind, Mapping[str, Any]], None]
"""Takes an event of one of the jobs."""

REVISION = 2
"""Of how a fused step rounds; recorded, so that W11 tells older fused trials from newer ones.
1, which records do not name, had an update of its own; 2 has torch's fused optimizers."""


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


@dataclass
class Together:
    """Runs that are ready to train as one.

    Attributes:
        size: images in a batch of each.
        epoch: from 0; the one under way, in all of them.
        step: steps done in it.
    """

    members: list[Replica]
    stack: Stack
    size: int
    epoch: int = 0
    step: int = 0

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return len(self.members[0].splits.train) // self.size

    @property
    def done(self) -> int:
        """Steps done in all."""
        return self.epoch * self.per_epoch + self.step


def prepare(jobs: Sequence[Job]) -> Together:
    """Load the data and stack the networks, each with the initial weights of its seed.

    Args:
        jobs: trials that differ in seed, learning rate and weight decay only.

    Raises:
        CannotFuse: the network, or something in the recipes, trains alone only.
    """
    device = torch.device(jobs[0].device)
    recipes, images = zip(*map(read_job, jobs), strict=True)
    image: ImageSpec = images[0]
    if reason := why_not(recipes):
        raise CannotFuse(reason)
    settle(recipes[0].train)
    forget_peak(device)
    members = [
        Replica(job, recipe, splits, Progress(loss=torch.zeros((), device=device)))
        for job, recipe, splits in zip(jobs, recipes, _splits(jobs, recipes, device), strict=True)
    ]
    size = min(recipes[0].train.batch, len(members[0].splits.train))
    models = [build(m.recipe, image, m.job.seed).to(device) for m in members]
    example = torch.zeros(size, image.channels, image.height, image.width, device=device)
    stack = Stack(models, [recipe.train for recipe in recipes], example)
    try:
        stack.rehearse(example)
    except RuntimeError as error:
        raise CannotFuse(f"torch.vmap: {str(error).splitlines()[0]}") from error
    return Together(members, stack, size)


def _splits(
    jobs: Sequence[Job], recipes: Sequence[Recipe], device: torch.device
) -> Sequence[Splits]:
    """The images of every replica: the same ones, once on the device, unless each splits anew."""

    def load(job: Job, recipe: Recipe) -> Splits:
        return load_splits(recipe.data, Path(job.data), job.seed, recipe.train.stream, device)

    if recipes[0].data.resample_split:
        return [load(job, recipe) for job, recipe in zip(jobs, recipes, strict=True)]
    return [load(jobs[0], recipes[0])] * len(jobs)


def fit_fused(  # noqa: C901, PLR0912, PLR0915  one loop, top to bottom, is easiest to check
    runs: Together, report: Report, stopping: Callable[[], bool]
) -> dict[str, dict[str, Any] | str]:
    """Train several trials as one graph, or go on with them.

    Args:
        runs: as `prepare` gives them.
        report: takes "epoch", "resumed" and "checkpoint" events as they happen.
        stopping: asked before every step; True ends the runs after a checkpoint.

    Returns:
        By trial: what `train.fit` returns, or why it diverged. `time/epoch_s` and
        `memory/peak_mib` are a replica's share of the whole.

    Raises:
        Stopped: `stopping()` was true.
    """
    members, stack, size, per_epoch = runs.members, runs.stack, runs.size, runs.per_epoch
    count, recipe, device = len(members), members[0].recipe, stack.flat.device
    train, augment = recipe.train, augmentation(recipe.data, read_job(members[0].job)[1])
    total = train.total(per_epoch)
    resume(runs, report)

    # ---- loop
    while runs.epoch < math.ceil(total / per_epoch) and any(m.lost is None for m in members):
        steps = min(per_epoch, total - runs.epoch * per_epoch)
        raws = [raw_batches(m.splits.train, _order(m, runs), size, runs.step) for m in members]
        unseen = Losses(device)
        began = time.perf_counter()
        while runs.step < steps and any(m.lost is None for m in members):
            if stopping():
                share(members, began)
                check(unseen, runs)
                save(runs)
                raise Stopped
            drawn = [
                batch(next(raw), m.splits.train, augment, _chance(m, runs))
                for m, raw in zip(members, raws, strict=True)
            ]
            x, y = (torch.stack(parts) for parts in zip(*drawn, strict=True))
            masks = stack.draw([_drop_seed(m, runs) for m in members])
            with autocast(train, device):
                found = losses(stack.learn(x, masks), y, train.label_smoothing)
            stack.step(found, rate(train, runs.done, total))
            runs.step += 1
            for member, loss in zip(members, found.detach().unbind(), strict=True):
                member.now.loss, member.now.step = member.now.loss + loss, runs.step
            if unseen.add(found):
                check(unseen, runs)
        means = [member.now.loss.item() / steps for member in members]
        share(members, began)
        check(unseen, runs)

        # ---- evaluate on validation images, record, checkpoint
        accuracies = validate(stack, members)
        for k, member in enumerate(members):
            if not math.isfinite(means[k]):
                member.lost = member.lost or f"the loss of epoch {runs.epoch + 1} is {means[k]}"
            if member.lost is None:
                if train.select == "best_val":
                    member.now.keep_best(accuracies[k], stack.give(k)[0])
                peak = peak_mib(device) / count
                row = member.now.end_epoch(means[k], accuracies[k], steps * size, peak)
                report(member.job, "epoch", row)
        runs.epoch, runs.step = runs.epoch + 1, 0
        save(runs)
        for member in members:
            if member.lost is None:
                report(member.job, "checkpoint", {"epoch": runs.epoch})

    # ---- final metrics; the test images are looked at here, once
    ends = {m.job.trial: m.lost or conclude(stack, k, m, count) for k, m in enumerate(members)}
    save(runs, checkpoint.finish)
    return ends


def resume(runs: Together, report: Report) -> None:
    """Go on from the newest step of which every replica has a checkpoint, or start."""
    members, stack = runs.members, runs.stack
    folders = [[Path(m.job.folder), *map(Path, m.job.resume)] for m in members]
    common = set.intersection(*(checkpoint.steps(found) for found in folders))
    for step in sorted(common, reverse=True):
        saved = [checkpoint.load_checkpoint(found, stack.flat.device, step) for found in folders]
        whole = [state for state in saved if state is not None]
        ended = {checkpoint.finished(state) for state in whole}
        if len(whole) < len(saved) or len(ended) > 1:
            continue  # one is damaged, or some have ended alone and kept no optimizer
        for k, (member, state) in enumerate(zip(members, whole, strict=True)):
            now = member.now = Progress(**state["progress"])
            if checkpoint.finished(state):
                stack.give(k)  # an optimizer that has seen nothing: no step is left
            else:
                stack.optimizers[k].load_state_dict(state["optimizer"])
            stack.models[k].load_state_dict(state["model"])
            stack.take(k, step)
            place = {"epoch": now.epoch, "step": now.step, "curve": now.curve}
            report(member.job, "resumed", place)
        runs.epoch, runs.step = members[0].now.epoch, members[0].now.step
        return


def save(runs: Together, write: Write = checkpoint.save) -> None:
    """Write every replica's checkpoint, as it would write it alone."""
    for k, member in enumerate(runs.members):
        if member.lost is None:
            model, optimizer = runs.stack.give(k)
            state = state_of(member.now, model, optimizer)
            write(Path(member.job.folder), runs.done, state)


def check(unseen: Losses, runs: Together) -> None:
    """Look at the losses of the steps since the last look; who diverged is lost."""
    found = unseen.look(epoch=runs.epoch, step=runs.step)
    for member, why in zip(runs.members, found, strict=False):  # none where nothing was new
        member.lost = member.lost or why


def _order(member: Replica, runs: Together) -> Int[Tensor, " n"]:
    images = len(member.splits.train)
    return epoch_order(images, member.job.seed, member.recipe.train.stream, runs.epoch)


def _chance(member: Replica, runs: Together) -> Chance:
    return of_step(member.job.seed, member.recipe.train.stream, runs.epoch, runs.step)


def _drop_seed(member: Replica, runs: Together) -> int:
    stream = member.recipe.train.stream
    return derive(member.job.seed, stream, "drop", runs.epoch, runs.step)


def share(members: Sequence[Replica], began: float) -> None:
    """Give every replica its share of the time since `began`."""
    for member in members:
        member.now.seconds += (time.perf_counter() - began) / len(members)


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


def conclude(stack: Stack, k: int, member: Replica, count: int) -> dict[str, Any]:
    """The final metrics of a replica, as alone; `execution` says how many trained together."""
    model, _ = stack.give(k)
    if "model" in member.now.best:  # as in `fit`
        model.load_state_dict(member.now.best["model"])
    found = summary(member.job, model, member.splits, member.recipe.train, member.now)
    how = {"fused": count, "fusion": REVISION}
    return {**found, "execution": {**found["execution"], **how}}
