"""Batches: the order of an epoch, raw images to normalised ones.

Everything is a pure function of its arguments, the generators' state included, so a resumed
run needs no state of the data's own.

Shapes: b images in a batch, c channels, h w pixels, k classes.
"""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from swinablate.config.recipe import derive
from swinablate.data.augment.pipeline import Augment
from swinablate.data.loader import Raw, all_batches, cut
from swinablate.data.rng import Chance, of_runs
from swinablate.data.splits import Images

EVAL_BATCH = 1000
"""Images that are judged at once: without gradients they take little memory, and a small test
set is a handful of calls."""
EVAL_VALUES = 2**25
"""At most so many numbers in a batch, 128 MiB of them: 1000 images of up to 105x105x3."""


def epoch_order(
    n: int, seed: int, stream: str, epoch: int, labels: Int[Tensor, " {n}"] | None = None
) -> Int[Tensor, " {n}"]:
    """The order of `n` training images in one epoch; the same for all arms of a seed.

    Args:
        n: images.
        seed: of the trial.
        stream: `train.stream`.
        epoch: from 0.
        labels: their classes, where all classes are to come equally often; the images of large
            ones then take turns, from epoch to epoch by chance, and those of small ones repeat.
    """
    chance = torch.Generator().manual_seed(derive(seed, stream, "order", epoch))
    if labels is None:
        return torch.randperm(n, generator=chance)
    labels = labels.cpu()
    classes = [(labels == k).nonzero()[:, 0] for k in torch.unique(labels)]
    # As equal as whole numbers allow; which classes get one more is drawn.
    counts = torch.full((len(classes),), n // len(classes))
    counts[torch.randperm(len(classes), generator=chance)[: n % len(classes)]] += 1
    drawn = [
        torch.cat([
            rows[torch.randperm(len(rows), generator=chance)]
            for _ in range(math.ceil(count / len(rows)))
        ])[:count]
        for rows, count in zip(classes, counts.tolist(), strict=True)
        if count
    ]  # fmt: skip
    return torch.cat(drawn)[torch.randperm(n, generator=chance)]


def batch(
    raw: Raw, images: Images, augment: Augment, chance: Chance
) -> tuple[Float[Tensor, "b c h w"], Int[Tensor, " b"] | Float[Tensor, "b k"]]:
    """Some training images, changed and normalised, and their classes.

    Args:
        raw: as `raw_batches` gives them.
        images: the training images.
        augment: the recipe's random changes.
        chance: the draws of this step; every image has its own.

    Returns:
        Images, and their classes; with mixup or cutmix, the share of each class, which
        `cross_entropy` takes as well (label smoothing then acts on the shares).
    """
    pixels, labels = raw
    return augment(pixels, labels, images.normalised, chance)


TOGETHER = 8
"""Steps whose images a GPU changes at once: of the batches of small images, launching the changes
takes an eighth of a step with flips and crops, and twice a step with RandAugment."""
VALUES = 2**24
"""At most so many numbers in them, 64 MiB."""


def train_batches(
    images: Images,
    augment: Augment,
    order: Int[Tensor, " n"],
    size: int,
    chance_of: Callable[[int], Callable[[str], torch.Generator]],
    *,
    first: int = 0,
) -> Iterator[tuple[Float[Tensor, "b c h w"], Int[Tensor, " b"] | Float[Tensor, "b k"]]]:
    """The batches of an epoch, as `batch` gives each from its own draws, bit for bit.

    Args:
        images: the training images.
        augment: the recipe's random changes.
        order: of the epoch.
        size: images in a batch.
        chance_of: the draws of a step of the epoch.
        first: batches to skip.
    """
    steps, many = len(order) // size, together(images, size)
    raws = cut(images, torch.split(order[first * size : steps * size], many * size))
    for start in range(first, steps, many):
        own = [chance_of(step) for step in range(start, min(start + many, steps))]
        x, y = batch(next(raws), images, augment, of_runs(own))
        yield from zip(torch.split(x, size), torch.split(y, size), strict=True)


def together(images: Images, size: int) -> int:
    """How many batches are changed at once; one, where launching costs nothing."""
    if images.device.type == "cpu" or images.ahead:  # else memory is what was to be spared
        return 1
    return max(1, min(TOGETHER, VALUES // (size * images.pixels[0].numel())))


def eval_size(images: Images, size: int = EVAL_BATCH) -> int:
    """Images in a batch of `eval_batches`: at least one, however large."""
    return max(1, min(size, EVAL_VALUES // images.pixels[0].numel()))


def eval_batches(
    images: Images, size: int = EVAL_BATCH, move: tuple[int, int] = (0, 0)
) -> Iterator[Float[Tensor, "b c h w"]]:
    """All images in their order, normalised, never changed by chance.

    Args:
        images: which.
        size: of a batch, at most.
        move: pixels downwards and to the right; what comes into sight is 0 before normalising,
            as in padded crops.
    """
    down, right = move
    for pixels, _ in all_batches(images, eval_size(images, size)):
        # What is padded on one side is cut off on the other.
        moved = F.pad(pixels, (right, -right, down, -down)) if any(move) else pixels
        yield images.normalised(moved)
