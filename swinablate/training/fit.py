"""One training run, from a job to its metrics: one loop, straight down.

All randomness comes from generators derived by name from (seed, stream, epoch, step), so a
resumed run needs no generator state and equals an uninterrupted one; on a CPU bit for bit.
"""

import base64
import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.config import schema
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe, derive
from swinablate.config.train import TrainConfig
from swinablate.data import (
    Splits,
    acting,
    augmentation,
    epoch_order,
    load_splits,
    of_step,
    train_batches,
)
from swinablate.errors import Diverged
from swinablate.models import transfer
from swinablate.models.build import start
from swinablate.models.layers.norm import Fading
from swinablate.models.registry import load_family
from swinablate.records.events import Job, Kind
from swinablate.training import checkpoint
from swinablate.training.divergence import Losses
from swinablate.training.evaluation import answers, besides_accuracy, confusion, correct
from swinablate.training.graphs import launched
from swinablate.training.machine import (
    device_name,
    execution,
    forget_peak,
    peak_mib,
    reseed,
    rounding,
)
from swinablate.training.optim import Averaged, rate, set_rate
from swinablate.training.precision import as_run, resolved_train, settle
from swinablate.training.ranks import ALONE, Ranks
from swinablate.training.saving import Saver, State
from swinablate.training.step import make_learner

Report = Callable[[Kind, Mapping[str, Any]], None]
"""Takes an event's kind and its data."""


class Stopped(Exception):
    """The run was asked to stop and has written its checkpoint."""


class Clocks(NamedTuple):
    """A moment: seconds on the wall, and of processor time of all threads of the process."""

    wall: float
    cpu: float


def clocks() -> Clocks:
    """Now."""
    return Clocks(time.perf_counter(), time.process_time())


@dataclass(kw_only=True)
class Progress:
    """Where a run is: the part of its state that is not tensors of the model.

    Attributes:
        epoch: from 0; the one under way.
        step: steps done in this epoch.
        loss: sum of this epoch's losses, one number on the device.
        seconds: spent training in this epoch, before an interruption.
        cpu_seconds: of processor time in them, all threads of the process; not a number where an
            earlier version began the epoch.
        curve: rows of the finished epochs.
        best: validation accuracy and weights of the best epoch, where they decide.
    """

    epoch: int = 0
    step: int = 0
    loss: Float[Tensor, ""] = field(default_factory=lambda: torch.zeros(()))
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def saved(cls, state: Mapping[str, Any]) -> "Progress":
        """As a checkpoint has it; those of earlier versions counted no processor time."""
        begun = state["seconds"] > 0 and "cpu_seconds" not in state
        return cls(**({"cpu_seconds": math.nan if begun else 0.0} | dict(state)))

    def spend(self, since: "Clocks", share: float = 1.0) -> None:
        """Add the time since then, or a share of it."""
        now = clocks()
        self.seconds += share * (now.wall - since.wall)
        self.cpu_seconds += share * (now.cpu - since.cpu)

    def keep_best(self, accuracy: float, model: nn.Module) -> None:
        """Keep the weights if they are the best yet on validation images."""
        if accuracy > self.best.get("accuracy", -1.0):  # of equals the first
            self.best = {"accuracy": accuracy, "epoch": self.epoch + 1, "model": snapshot(model)}

    def end_epoch(self, loss: float, accuracy: float, images: int, peak: float) -> dict[str, Any]:
        """Add a row to the curve and go on to the next epoch; returns the row.

        Args:
            loss: mean of the epoch's steps.
            accuracy: percent of the validation images.
            images: that were trained on.
            peak: largest memory in MiB.
        """
        row = {
            "epoch": self.epoch + 1,
            "at": int(time.time() * 1000),
            "train/loss": loss,
            "val/accuracy": accuracy,
            "time/epoch_s": self.seconds,
            "time/images_per_s": images / self.seconds,
            "memory/peak_mib": peak,
        }
        if math.isfinite(self.cpu_seconds):
            row["time/cpu_s"] = self.cpu_seconds
        self.curve.append(row)
        self.epoch, self.step = self.epoch + 1, 0
        self.seconds, self.cpu_seconds = 0.0, 0.0
        self.loss = torch.zeros_like(self.loss)
        return row


def fit(  # noqa: C901, PLR0912, PLR0915  one loop, top to bottom, is easiest to check
    job: Job, report: Report, stopping: Callable[[], bool], ranks: Ranks = ALONE
) -> dict[str, Any]:
    """Train one trial, or go on with it.

    Args:
        job: what to train, where, and which checkpoints may be used.
        report: takes "epoch", "resumed" and "checkpoint" events as they happen.
        stopping: asked before every step; True ends the run after a checkpoint.
        ranks: which of the processes that train it this is; all take the same steps and judge
            validation images, and the first alone looks at test images, reports and writes.

    Returns:
        `metrics` (final values, accuracy in percent), `predictions` (of the test images;
        empty for tuning trials), `execution`. Nothing where this process does not lead.

    Raises:
        Diverged: a loss is not finite, seen when its step ends on a CPU, and at most
            `divergence.LOOK_S` later on a GPU; or what the network answers at the end is not.
        Stopped: `stopping()` was true.
    """
    recipe, image = read_job(job)
    train, device = recipe.train, torch.device(job.device)
    settle(train)
    forget_peak(device)

    # ---- data, model, optimizer
    splits = load_splits(recipe.data, Path(job.data), job.seed, train.stream, device)
    augment = augmentation(recipe.data, image)
    model = build(recipe, image, job.seed)
    frozen = transfer.begin(model, recipe.start)
    head = transfer.head(model) if recipe.start.head_lr != 1 else ""
    learner = make_learner(model, train, device, (head, recipe.start.head_lr), ranks)
    model, optimizer, scaler = learner.model, learner.optimizer, learner.scaler
    averaged = Averaged(model, train.ema) if train.ema else None
    judged = averaged.module if averaged else model  # the weights that are evaluated
    train.check_rate(len(splits.train))
    size = min(train.batch, len(splits.train))
    per_epoch = len(splits.train) // size  # whole batches: a rest would be a noisier step
    total = train.total(per_epoch)
    epochs = math.ceil(total / per_epoch)
    fading = Fading(model, train.norm_fade, frozen)
    fading.at(0.0)  # weights that it starts from may have faded

    # ---- resume
    now = Progress(loss=torch.zeros((), device=device))
    saved = checkpoint.load_checkpoint([Path(job.folder), *map(Path, job.resume)], device)
    if saved is not None:
        now = Progress.saved(saved["progress"])
        if checkpoint.finished(saved):
            judged.load_state_dict(saved["model"])
        else:
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            scaler.load_state_dict(saved.get("scaler", {}))
            if averaged:
                averaged.load_state_dict(saved["ema"])
        report("resumed", {"epoch": now.epoch, "step": now.step, "curve": now.curve})
    ended = saved is not None and checkpoint.finished(saved)
    saved = None  # the network has its weights: they need not be there twice
    ranks.wait()  # the first one's next checkpoint is not the one that the others go on from

    def here() -> State:
        state = state_of(now, model, optimizer)
        state |= {"scaler": scaler.state_dict()}
        state |= {"ema": averaged.state_dict() if averaged else {}}
        return Path(job.folder), now.epoch * per_epoch + now.step, state

    drop = ("drop",) if ranks.leads else ("drop", f"rank {ranks.rank}")  # other images

    # ---- loop
    with Saver(job.checkpoint_s) as saver:
        while now.epoch < epochs:
            model.train()
            for part in frozen:  # `train` has just woken them
                part.eval()
            images = splits.train
            order = epoch_order(len(images), job.seed, train.stream, now.epoch, images.shared)
            draws = partial(of_step, job.seed, train.stream, now.epoch)
            batches = train_batches(splits.train, augment, order, size, draws, first=now.step)
            steps = min(per_epoch, total - now.epoch * per_epoch)
            losses = Losses(device)
            began = clocks()
            while now.step < steps:
                if stopping():
                    now.spend(began)
                    check(losses, now, ranks)
                    saver.save([here()])
                    saver.wait()
                    raise Stopped
                at = now.epoch * per_epoch + now.step
                set_rate(optimizer, train.peak_lr * rate(train, at, total))
                x, y = next(batches)
                # Layers that drop draw from torch's global generators; nothing else does.
                reseed(derive(job.seed, train.stream, *drop, now.epoch, now.step), device)
                loss = learner.step(x, y)
                fading.at((at + 1) / total)
                now.loss = now.loss + loss  # stays on the device: no wait a step
                if averaged:
                    averaged.update_parameters(model)
                now.step += 1
                if losses.add(loss):
                    check(losses, now, ranks)
            mean = now.loss.item() / steps  # waits for the device: the time is the epoch's own
            now.spend(began)
            check(losses, now, ranks)
            if ranks.leads and not math.isfinite(mean):
                raise Diverged(f"the loss of epoch {now.epoch + 1} is {mean}")

            # ---- evaluate on validation images, record, checkpoint
            right = correct(judged, splits.val, train, ranks)
            if not ranks.leads:
                now.epoch, now.step = now.epoch + 1, 0
                now.loss = torch.zeros_like(now.loss)
                continue
            accuracy = 100 * right.float().mean().item()
            if train.select == "best_val":
                now.keep_best(accuracy, judged)
            row = now.end_epoch(mean, accuracy, steps * size, peak_mib(device))
            report("epoch", row)
            saver.look()
            if saver.due:
                saver.save([here()], partial(report, "checkpoint", {"epoch": now.epoch}))

    if not ranks.leads:
        return {}

    # ---- final metrics; the test images are looked at here, once
    if "model" in now.best:  # else it is not asked for, or an ended run was loaded with it
        judged.load_state_dict(now.best["model"])
    found = summary(job, judged, splits, as_run(train, learner.forward), now)
    found["execution"] |= launched(learner.gradients)
    if not ended:
        checkpoint.finish(*here())
    return found


def check(losses: Losses, now: Progress, ranks: Ranks) -> None:
    """Look at the losses of the steps since the last look.

    On GPUs each process looks when its own clock says so: one that left by itself would leave the
    others waiting for its next gradients. So the first decides, and ends the others.

    Raises:
        Diverged: one of them is not finite.
    """
    for why in losses.look(epoch=now.epoch, step=now.step):
        if why is not None and ranks.leads:
            raise Diverged(why)


def state_of(
    now: Progress, model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, dict[str, Any]]:
    """What a checkpoint holds of every run."""
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": {},
        "ema": {},
        "progress": vars(now),
    }


def summary(
    job: Job, model: nn.Module, splits: Splits, train: TrainConfig, now: Progress
) -> dict[str, Any]:
    """The final metrics of a trained model; tuning trials look at no more than it had.

    Raises:
        Diverged: it answers with what is no number.
    """
    last, final = now.curve[-1], job.kind == "final"
    found = answers(model, splits.test if final else splits.val, train)
    metrics = {
        "val/accuracy": now.best["accuracy"] if now.best else last["val/accuracy"],
        "train/loss": last["train/loss"],
        "time/train_s": sum(row["time/epoch_s"] for row in now.curve),
        "time/images_per_s": float(np.median([row["time/images_per_s"] for row in now.curve])),
        "memory/peak_mib": max(row["memory/peak_mib"] for row in now.curve),
        "epochs": len(now.curve),
    }
    if all("time/cpu_s" in row for row in now.curve):
        metrics["time/cpu_s"] = sum(row["time/cpu_s"] for row in now.curve)
    predictions: dict[str, Any] = {}
    if final:
        right = (found.predicted == splits.test.labels).cpu()
        metrics["test/accuracy"] = 100 * right.float().mean().item()
        metrics |= besides_accuracy(found, model, splits, train, job.asked)
        predictions = {
            "sha256": hashlib.sha256(
                found.predicted.cpu().to(torch.int32).numpy().tobytes()
            ).hexdigest(),
            "images": len(right),
            "correct": base64.b64encode(np.packbits(right.numpy()).tobytes()).decode(),
            **confusion(found, splits.test.labels, int(job.image["classes"])),
        }
    return {
        "metrics": metrics,
        "predictions": predictions,
        "execution": execution(train, torch.device(job.device))
        | rounding(model, train, torch.device(job.device))
        | ({"accumulate": job.parts} if job.parts else {}),
    }


def read_job(job: Job) -> tuple[Recipe, ImageSpec]:
    """Rebuild the values a job carries as plain data, with what was chosen for `auto`.

    Raises:
        ValueError: nothing was chosen for this device.
    """
    folders = [Path(folder) for folder in job.folders]
    family = load_family(job.recipe["model"]["family"], "job", folders)
    model = schema.validate(family.config, job.recipe["model"], "job: model")
    rest = {part: dict(job.recipe[part]) for part in ("data", "train", "start")}
    recipe = schema.validate(Recipe, {"model": model, **rest}, "job")
    if recipe.train.open and job.kind not in {"probe", "rehearsal"}:
        train = resolved_train(recipe.train, device_name(torch.device(job.device)), job.choices)
        recipe = recipe.model_copy(update={"train": train})
    recipe = recipe.model_copy(update={"train": acting(recipe)})
    if job.parts:
        train = recipe.train.model_copy(update={"accumulate": job.parts})
        recipe = recipe.model_copy(update={"train": train})
    return recipe, schema.validate(ImageSpec, job.image, "job: image")


def build(recipe: Recipe, image: ImageSpec, seed: int) -> nn.Module:
    """The network with the initial weights of a seed, each drawn by its own name."""
    family = load_family(recipe.model.family, "job")

    def generator_for(name: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive(seed, recipe.train.stream, "init", name))

    return start(family, recipe.model, image, generator_for)


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights that training does not change."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
