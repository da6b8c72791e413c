"""The trials of a study as a plain loop: one process, one after the other, nothing kept.

python quick_loop.py FILE prints nothing; FILE has the runs (JSON): recipe, image format, seed. The
networks are ours, with our initial weights; images, batches, rates and the loop are written as
anybody writes them who has twenty lines for it. The test images are asked once, at the end.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor

from swinablate.config import schema
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe
from swinablate.models.registry import load_family
from swinablate.training.fit import build

TRAIN, TEST = 1131, 540
"""Images that our trials train on, and are tested on."""


def factor(step: int, total: int, warmup: int) -> float:
    """A warm-up and half a cosine."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def train(model: torch.nn.Module, recipe: Recipe, x: Tensor, y: Tensor) -> None:
    """AdamW over all epochs; matrices decay."""
    settings = recipe.train
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
    )
    per_epoch = len(x) // settings.batch
    total = settings.epochs * per_epoch
    warmup = round(settings.warmup * total)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: factor(step, total, warmup)
    )
    for _ in range(settings.epochs):
        order = torch.randperm(len(x))
        model.train()
        for k in range(per_epoch):
            part = order[k * settings.batch : (k + 1) * settings.batch]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[part]), y[part])
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimizer.step()
            schedule.step()


def digits() -> tuple[Tensor, Tensor]:
    """All images, scaled by those that are trained on, and their labels."""
    found = load_digits()
    images = torch.from_numpy(found.images.astype(np.float32))[:, None]
    return (images - images[:TRAIN].mean()) / images[:TRAIN].std(), torch.from_numpy(found.target)


def accuracy(run: dict[str, Any], images: Tensor, labels: Tensor) -> float:
    """Train once; the share of test images that are right."""
    family = load_family(run["recipe"]["model"]["family"], "benchmark")
    model = schema.validate(family.config, run["recipe"]["model"], "benchmark")
    rest = {part: run["recipe"][part] for part in ("data", "train")}
    recipe = schema.validate(Recipe, {"model": model, **rest}, "benchmark")
    torch.manual_seed(run["seed"])
    network = build(recipe, ImageSpec(**run["image"]), run["seed"])
    train(network, recipe, images[:TRAIN], labels[:TRAIN])
    network.eval()
    with torch.no_grad():
        right = network(images[-TEST:]).argmax(1) == labels[-TEST:]
    return float(right.float().mean())


def main(path: Path) -> None:
    """Train every run of a file."""
    torch.set_num_threads(1)
    images, labels = digits()
    for run in json.loads(path.read_text()):
        accuracy(run, images, labels)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
