"""Several training runs in one: the loop of `train.fit` over a stack of replicas.

Each replica's checkpoints are those it would write alone, so it can go on alone, or in other
company. A fused replica differs from the same trial alone by rounding, as a trial differs
between one thread and two; `swinablate verify-fusion` measures both.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe, derive
from swinablate.data import EVAL_BATCH, Images, Splits, augmentation, eval_batches, load_splits
from swinablate.errors import Diverged
from swinablate.models.build import copied
from swinablate.records.events import Job, Kind
from swinablate.training import checkpoint
from swinablate.training.divergence import Losses
from swinablate.training.evaluation import most_probable
from swinablate.training.fit import (
    Clocks,
    Progress,
    Stopped,
    build,
    clocks,
    read_job,
    state_of,
    summary,
)
from swinablate.training.fused.drops import made_anew
from swinablate.training.fused.feed import Feed, make_feed
from swinablate.training.fused.stack import KEPT, Stack, why_not
from swinablate.training.graphs import launched
from swinablate.training.machine import forget_peak, peak_mib
from swinablate.training.optim import rate
from swinablate.training.precision import settle
from swinablate.training.saving import Saver, State

Report = Callable[[Job, Kind, Mapping[str, Any]], None]
"""Takes an event of one of the jobs."""

REVISION = {"fp32": 3, "bf16": 4}
"""Of how a fused step rounds, by format; recorded, so that W11 tells older fused trials from newer
ones. 1, which records do not name, had an update of its own; 2 has torch's fused optimizers; 3
makes what GELU gave again in the backward pass, which rounds otherwise in bf16; 4 leaves what
linear maps and convolutions give in bf16, as autocast does where a trial is alone."""
DROPPING = {**REVISION, "bf16": 5}
"""The same where layers drop: 5 leaves what these give in bf16, too."""
MOVED = 6
"""The same where numbers lie in another order than their axes: 6 drops those that it drops alone,
before it dropped as many others."""


class CannotFuse(Exception):
    """These jobs do not train as one; each can train alone."""


@dataclass
class Replica:
    """One of the runs.

    Attributes:
        now: its own curve and best epoch; where all are and their losses, `Together` knows, and
            `save` writes down.
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
        feed: their training batches.
        sums: of each replica's losses in this epoch.
        epoch: from 0; the one under way, in all of them.
        step: steps done in it.
    """

    members: list[Replica]
    stack: Stack
    feed: Feed
    sums: Float[Tensor, " k"]
    epoch: int = 0
    step: int = 0

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        return self.feed.count // self.feed.size

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
    feed = make_feed(
        [member.splits.train for member in members],
        [job.seed for job in jobs],
        recipes[0].train.stream,
        recipes[0].train.batch,
        augmentation(recipes[0].data, image),
    )
    recipes[0].train.check_rate(feed.count)
    models = [build(m.recipe, image, m.job.seed).to(device) for m in members]
    example = torch.zeros(feed.size, image.channels, image.height, image.width, device=device)
    try:
        copied(models[0])
    except Exception as error:  # whatever somebody's code raises
        raise CannotFuse(f"the network cannot be copied: {error}") from error
    if ":" in recipes[0].model.family and (name := made_anew(models[0], example)):
        raise CannotFuse(f"the network makes its buffer {name!r} anew")
    stack = Stack(models, [recipe.train for recipe in recipes], example)
    try:
        stack.rehearse(example)
    except RuntimeError as error:
        raise CannotFuse(f"torch.vmap: {str(error).splitlines()[0]}") from error
    return Together(members, stack, feed, torch.zeros(len(members), device=device))


def _splits(
    jobs: Sequence[Job], recipes: Sequence[Recipe], device: torch.device
) -> Sequence[Splits]:
    """The images of every replica, once on the device, even where each splits anew."""

    def load(job: Job, recipe: Recipe) -> Splits:
        return load_splits(recipe.data, Path(job.data), job.seed, recipe.train.stream, device)

    first = load(jobs[0], recipes[0])
    if not recipes[0].data.resample_split:
        return [first] * len(jobs)

    def of_first(part: Images, held: Images) -> Images:
        return replace(part, pixels=held.pixels, ahead=held.ahead)

    found = [first]
    for job, recipe in zip(jobs[1:], recipes[1:], strict=True):
        own = load(job, recipe)
        found.append(
            Splits(
                train=of_first(own.train, first.train),
                val=of_first(own.val, first.val),
                test=of_first(own.test, first.test),
            )
        )
    return found


def fit_fused(  # noqa: C901, PLR0912, PLR0915  one loop, top to bottom, is easiest to check
    runs: Together, report: Report, stopping: Callable[[], bool]
) -> dict[str, dict[str, Any] | str]:
    """Train several trials as one graph, or go on with them.

    Args:
        runs: as `prepare` gives them.
        report: takes "epoch", "resumed" and "checkpoint" events as they happen.
        stopping: asked before every step; True ends the runs after a checkpoint.

    Returns:
        By trial: what `train.fit` returns, or why it diverged. `time/epoch_s`, `time/cpu_s` and
        `memory/peak_mib` are a replica's share of the whole.

    Raises:
        Stopped: `stopping()` was true.
    """
    members, stack, per_epoch = runs.members, runs.stack, runs.per_epoch
    count, train, device = len(members), members[0].recipe.train, stack.flat.device
    total = train.total(per_epoch)
    resume(runs, report)

    def wrote(kept: Sequence[Job], epoch: int) -> None:
        for job in kept:
            report(job, "checkpoint", {"epoch": epoch})

    # ---- loop
    with Saver(members[0].job.checkpoint_s) as saver:
        while runs.epoch < math.ceil(total / per_epoch) and any(m.lost is None for m in members):
            steps = min(per_epoch, total - runs.epoch * per_epoch)
            batches = runs.feed.batches(runs.epoch, runs.step)
            unseen = Losses(device)
            began = clocks()
            while runs.step < steps and any(m.lost is None for m in members):
                if stopping():
                    share(members, began)
                    check(unseen, runs)
                    saver.save(states(runs))
                    saver.wait()
                    raise Stopped
                x, y = next(batches)
                masks = stack.draw([_drop_seed(m, runs) for m in members])
                found = stack.gradients(x, y, masks)
                stack.step(rate(train, runs.done, total))
                runs.step += 1
                stack.fade(runs.done / total)
                runs.sums = runs.sums + found
                if unseen.add(found):
                    check(unseen, runs)
            means = [loss / steps for loss in runs.sums.tolist()]  # waits for the device
            share(members, began)
            check(unseen, runs)

            # ---- evaluate on validation images, record, checkpoint
            accuracies, images = validate(stack, members), steps * runs.feed.size
            for k, member in enumerate(members):
                if not math.isfinite(means[k]):
                    member.lost = (
                        member.lost or f"the loss of epoch {runs.epoch + 1} is {means[k]}"
                    )
                if member.lost is None:
                    if train.select == "best_val":
                        member.now.keep_best(accuracies[k], stack.give(k)[0])
                    peak = peak_mib(device) / count
                    row = member.now.end_epoch(means[k], accuracies[k], images, peak)
                    report(member.job, "epoch", row)
            runs.epoch, runs.step, runs.sums = runs.epoch + 1, 0, torch.zeros_like(runs.sums)
            saver.look()
            if saver.due:
                kept = [member.job for member in members if member.lost is None]
                saver.save(states(runs), partial(wrote, kept, runs.epoch))

    # ---- final metrics; the test images are looked at here, once
    ends: dict[str, dict[str, Any] | str] = {}
    for k, member in enumerate(members):
        try:
            ends[member.job.trial] = member.lost or conclude(stack, k, member, count)
        except Diverged as error:  # the others have not
            ends[member.job.trial] = member.lost = error.problem
    for state in states(runs):
        checkpoint.finish(*state)
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
            now = member.now = Progress.saved(state["progress"])
            if checkpoint.finished(state):
                stack.give(k)  # an optimizer that has seen nothing: no step is left
            else:
                stack.optimizers[k].load_state_dict(state["optimizer"])
            stack.models[k].load_state_dict(state["model"])
            stack.take(k, step)
            place = {"epoch": now.epoch, "step": now.step, "curve": now.curve}
            report(member.job, "resumed", place)
        runs.epoch, runs.step = members[0].now.epoch, members[0].now.step
        runs.sums = torch.stack([member.now.loss for member in members])
        return


def states(runs: Together) -> Iterator[State]:
    """What every replica's checkpoint is made of, as it would write it alone."""
    for k, member in enumerate(runs.members):
        if member.lost is None:
            model, optimizer = runs.stack.give(k)
            member.now.loss, member.now.step = runs.sums[k].clone(), runs.step
            yield Path(member.job.folder), runs.done, state_of(member.now, model, optimizer)


def check(unseen: Losses, runs: Together) -> None:
    """Look at the losses of the steps since the last look; who diverged is lost."""
    found = unseen.look(epoch=runs.epoch, step=runs.step)
    for member, why in zip(runs.members, found, strict=False):  # none where nothing was new
        member.lost = member.lost or why


def _drop_seed(member: Replica, runs: Together) -> int:
    stream = member.recipe.train.stream
    return derive(member.job.seed, stream, "drop", runs.epoch, runs.step)


def share(members: Sequence[Replica], began: Clocks) -> None:
    """Give every replica its share of the time since `began`."""
    for member in members:
        member.now.spend(began, 1 / len(members))


def validate(stack: Stack, members: Sequence[Replica]) -> list[float]:
    """Percent of the validation images that each replica classifies correctly.

    As many images at once as one network is asked about, shared out to the replicas, and no more
    than admission has counted.
    """
    train, first = members[0].recipe.train, members[0].splits.val
    size = max(1, min(EVAL_BATCH // len(members), KEPT * train.batch))
    images = [member.splits.val for member in members]
    if all(one is first for one in images):
        batches, labels = eval_batches(first, size), first.labels[None]
    else:
        own = zip(*(eval_batches(one, size) for one in images), strict=True)
        batches, labels = map(torch.stack, own), torch.stack([one.labels for one in images])
    answers = torch.cat([most_probable(stack.judge(some)) for some in batches], 1)
    return [100 * share for share in (answers == labels).float().mean(1).tolist()]


def conclude(stack: Stack, k: int, member: Replica, count: int) -> dict[str, Any]:
    """The final metrics of a replica, as alone; `execution` says how many trained together."""
    model, _ = stack.give(k)
    if "model" in member.now.best:  # as in `fit`
        model.load_state_dict(member.now.best["model"])
    found = summary(member.job, model, member.splits, member.recipe.train, member.now)
    revision = (DROPPING if stack.drops else REVISION)[stack.train.precision]
    revision = MOVED if any(drop.moved for drop in stack.drops) else revision
    how = {"fused": count, "fusion": revision, **launched(stack.recorded)}
    return {**found, "execution": {**found["execution"], **how}}
